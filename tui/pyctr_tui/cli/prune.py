"""``prune``, ``system prune``, ``container prune``, ``image prune`` and ``volume prune``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from pyctr_engine.model.tidy import Pruned, PruneRequest
from pyctr_engine.record import replace
from pyctr_tui.cli import output, text, values
from pyctr_tui.cli.call import Call, report
from pyctr_tui.cli.options import Grammar, Option, Parsed

_FILTERS = ("until=TIME", "label=KEY[=VALUE]", "label!=KEY[=VALUE]")
_FORCE = Option("-f, --force", "Don't ask")
_DRY_RUN = Option("--dry-run", "Only tell what would go, and what that would give back")
_ALL_IMAGES = Option("-a, --all", "Also images that have a name, if no container uses them")
_COUNTED = (
    "Space is counted in bytes that are allocated on the disk (not the files' sizes), each inode once: of blobs, "
    "layers, containers with their logs, and volumes."
)


def _grammar(command: str, summary: str, *options: Option, filters: Sequence[str] = _FILTERS) -> Grammar:
    filter = Option("--filter", "Only what fits: " + ", ".join(filters), "FILTER", many=True)
    return Grammar(command, "", summary, *options, filter, _DRY_RUN, _FORCE, output.LIST_FORMAT, note=_COUNTED)


_CONTAINERS = _grammar("container prune", "Remove all containers that don't run.")
_IMAGES = _grammar(
    "image prune",
    "Remove images without a name that no container uses, and blobs and layers that nothing refers to.",
    _ALL_IMAGES,
    filters=(*_FILTERS, "dangling=false (as --all)"),
)
_VOLUMES = _grammar(
    "volume prune",
    "Remove volumes without a name of their own that no container uses.",
    Option("-a, --all", "Also volumes that have a name"),
    filters=(*_FILTERS[1:], "all=true (as --all)"),
)
_SYSTEM = _grammar(
    "system prune",
    "Remove containers that don't run, images that are not used, and what nothing refers to.",
    _ALL_IMAGES,
    Option("--volumes", "Volumes without a name of their own too"),
)


def containers(call: Call, words: Sequence[str]) -> int:
    """``container prune``."""
    parsed = _CONTAINERS.parse(words)
    return _prune(call, _CONTAINERS, parsed, PruneRequest(containers=True), ["all stopped containers"])


def images(call: Call, words: Sequence[str]) -> int:
    """``image prune``."""
    parsed = _IMAGES.parse(words)
    request = PruneRequest(images=True, all_images=parsed.flag("all"))
    return _prune(call, _IMAGES, parsed, request, [])


def volumes(call: Call, words: Sequence[str]) -> int:
    """``volume prune``."""
    parsed = _VOLUMES.parse(words)
    request = PruneRequest(volumes=True, all_volumes=parsed.flag("all"))
    return _prune(call, _VOLUMES, parsed, request, [])


def system(call: Call, words: Sequence[str]) -> int:
    """``system prune``, and ``prune``."""
    parsed = _SYSTEM.parse(words)
    everything = parsed.flag("volumes")
    request = PruneRequest(containers=True, images=True, volumes=everything, all_images=parsed.flag("all"))
    return _prune(call, _SYSTEM, parsed, request, ["all stopped containers"])


def _prune(call: Call, grammar: Grammar, parsed: Parsed, request: PruneRequest, warned: list[str]) -> int:
    request = _filtered(grammar, parsed.values("filter"), request)
    request = replace(request, dry_run=parsed.flag("dry-run"))
    if not request.dry_run and not parsed.flag("force") and not _confirmed([*warned, *_warnings(request)]):
        report("nothing was removed", "--force removes without asking, --dry-run only tells")
        return 1
    _show(call.engine.prune(request), request, parsed.value("format"))
    return 0


def _filtered(grammar: Grammar, filters: Sequence[str], request: PruneRequest) -> PruneRequest:
    for given in filters:
        key, equals, value = given.partition("=")
        if not equals or not value:
            raise grammar.error(f"--filter: {given!r} is not KEY=VALUE")
        if key == "until" and not request.volumes:
            request = replace(request, until=values.moment(value, "--filter until"))
        elif key == "label":
            request = replace(request, labels=(*request.labels, value))
        elif key == "label!":
            request = replace(request, not_labels=(*request.not_labels, value))
        elif key == "dangling" and grammar is _IMAGES:
            request = replace(request, all_images=not _truth(grammar, given, value))
        elif key == "all" and grammar is _VOLUMES:
            request = replace(request, all_volumes=_truth(grammar, given, value))
        elif key == "until":
            raise grammar.error("--filter: volumes can't be chosen by until", "leave --volumes or the filter out")
        else:
            raise grammar.error(f"--filter: {given!r} is unknown", f"filters: {', '.join(_FILTERS)}")
    return request


def _truth(grammar: Grammar, given: str, value: str) -> bool:
    if value.lower() in ("1", "t", "true"):
        return True
    if value.lower() in ("0", "f", "false"):
        return False
    raise grammar.error(f"--filter: {given!r} is neither true nor false")


def _warnings(request: PruneRequest) -> list[str]:
    lines = []
    if request.volumes:
        lines.append("all volumes" if request.all_volumes else "all unnamed volumes")
        lines[-1] += " not used by at least one container"
    if request.images:
        some = "without at least one container associated to them"
        lines.append(f"all images {some}" if request.all_images else "all dangling images")
    return lines


def _confirmed(what: Sequence[str]) -> bool:
    sys.stderr.write("WARNING! This will remove:\n" + "".join(f"  - {line}\n" for line in what))
    sys.stderr.write("Are you sure you want to continue? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _show(pruned: Pruned, request: PruneRequest, format: str) -> None:
    if format == "json":
        output.json_value(_row(pruned, request))
        return
    if format not in ("", "table"):
        output.rows([_row(pruned, request)], format, ())
        return
    title = "{} that would be deleted:" if request.dry_run else "Deleted {}:"
    sections = (
        ("Containers", pruned.containers),
        ("Volumes", pruned.volumes),
        ("Images", pruned.images),
        ("Layers", pruned.layers),
        ("Blobs", pruned.blobs),
    )
    for name, deleted in sections:
        if deleted:
            output.lines([title.format(name), *deleted, ""])
    total = "Total space that would be reclaimed" if request.dry_run else "Total reclaimed space"
    output.line(f"{total}: {text.size(pruned.reclaimed)} ({pruned.reclaimed} bytes)")
    output.line(f"On disk: {pruned.before} bytes before, {pruned.after} after")
    for note in pruned.notes:
        report(note)


def _row(pruned: Pruned, request: PruneRequest) -> output.Row:
    """Under the names of docker's API where it has one."""
    return {
        "ContainersDeleted": list(pruned.containers),
        "VolumesDeleted": list(pruned.volumes),
        "ImagesDeleted": [
            {what.capitalize(): which} for what, _, which in (line.partition(": ") for line in pruned.images)
        ],
        "LayersDeleted": list(pruned.layers),
        "BlobsDeleted": list(pruned.blobs),
        "SpaceReclaimed": pruned.reclaimed,
        "SizeBefore": pruned.before,
        "SizeAfter": pruned.after,
        "DryRun": request.dry_run,
        "Notes": list(pruned.notes),
    }
