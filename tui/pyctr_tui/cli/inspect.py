"""``inspect``, ``diff``, ``top`` and ``port``: one container (or image, or volume) closely."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from pyctr_engine.errors import EngineError, NotFound
from pyctr_tui.cli import output, text, views
from pyctr_tui.cli.call import Call, report
from pyctr_tui.cli.options import Grammar, Option

if TYPE_CHECKING:
    from pyctr_engine.model.host import ProcessInfo

_INSPECT = Grammar(
    "inspect",
    "NAME…",
    "Show everything about containers, images or volumes, as one JSON array.",
    Option("--why", "Why a container is as it is: how it ended, and what went before"),
    Option("--type", "container, image or volume; all of them otherwise", "TYPE"),
    output.FORMAT,
    least=1,
    most=None,
)
_DIFF = Grammar(
    "diff",
    "CONTAINER",
    "Show what a container Added, Changed and Deleted against its image.",
    Option("-s, --size", "Show what each is and how large"),
    output.LIST_FORMAT,
    least=1,
    most=1,
)
_TOP = Grammar("top", "CONTAINER", "Show a container's processes.", output.LIST_FORMAT, least=1, most=1)
_PORT = Grammar("port", "CONTAINER [PORT[/PROTOCOL]]", "Show a container's published ports.", least=1, most=2)

Inspector = Callable[[str], dict[str, Any]]


def inspect(call: Call, words: Sequence[str]) -> int:
    """``inspect``: what was found is printed, what wasn't is reported, and then the exit code is 1."""
    parsed = _INSPECT.parse(words)
    kinds: dict[str, Inspector] = {
        "container": call.engine.inspect,
        "image": call.engine.inspect_image,
        "volume": lambda name: inspect_volume(call, name),
    }
    if parsed.flag("why"):
        from pyctr_tui.cli.why import why

        return why(call, parsed.arguments, parsed.value("format"))
    wanted = parsed.value("type")
    if wanted and wanted not in kinds:
        raise _INSPECT.error(f"--type {wanted} is unknown", f"types: {', '.join(kinds)}")
    inspectors = [kinds[wanted]] if wanted else list(kinds.values())
    found, failed = [], False
    for name in parsed.arguments:
        try:
            found.append(_first(inspectors, name, wanted or "container, image or volume"))
        except EngineError as error:
            report(error.message, error.hint)
            failed = True
    show(found, parsed.value("format"))
    return int(failed)


def show(found: list[dict[str, Any]], format: str) -> None:
    """Print inspected objects: a JSON array, or a template for each."""
    if format in ("", "json"):
        output.json_value(found)
    else:
        output.rows(found, format, ())


def inspect_volume(call: Call, name: str) -> dict[str, Any]:
    """A volume as the engine describes it. Raises NotFound."""
    for volume in call.engine.volumes():
        if volume["name"] == name:
            return volume_row(volume)
    raise NotFound(f"there is no volume {name}", "`pyctr-tui volume ls` lists volumes")


def volume_row(volume: dict[str, Any]) -> dict[str, Any]:
    """A volume under docker's field names."""
    return {
        "Name": volume["name"],
        "Driver": "local",
        "Mountpoint": volume["mountpoint"],
        "CreatedAt": text.date(volume["created"]),
        "Size": text.size(volume["size"]),
        "Links": len(volume["used_by"]),
        "UsedBy": list(volume["used_by"]),
        "Scope": "local",
    }


def _first(inspectors: list[Inspector], name: str, what: str) -> dict[str, Any]:
    """The first that knows it. An ambiguous name is not looked for elsewhere."""
    for inspector in inspectors:
        try:
            return inspector(name)
        except NotFound as error:
            only = error if len(inspectors) == 1 else None
    raise only or NotFound(
        f"there is no {what} {name}", "`pyctr-tui ps -a` and `pyctr-tui images` list what there is"
    )


def diff(call: Call, words: Sequence[str]) -> int:
    """``diff``."""
    parsed = _DIFF.parse(words)
    changes = call.engine.changes(parsed.arguments[0])
    rows = ({"Kind": c.kind, "Path": c.path, "Size": c.size, "Type": c.file_type} for c in changes)
    plain = "table" if parsed.flag("size") else "{{.Kind}} {{.Path}}"
    output.rows(rows, parsed.value("format") or plain, ("Kind", "Type", "Size", "Path"))
    return 0


def top(call: Call, words: Sequence[str]) -> int:
    """``top``."""
    parsed = _TOP.parse(words)
    rows = map(_process_row, call.engine.processes(parsed.arguments[0]))
    columns = ("PID", "PPID", "User", "State", "Started", "Time", "Memory", "Command")
    output.rows(rows, parsed.value("format"), columns)
    return 0


def _process_row(process: ProcessInfo) -> output.Row:
    minutes, seconds = divmod(int(process.cpu_seconds), 60)
    return {
        "PID": process.pid,
        "PPID": process.ppid,
        "User": process.user,
        "State": process.state,
        "Started": time.strftime("%H:%M:%S", time.localtime(process.started_at)),
        "Time": f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}",
        "Memory": text.binary_size(process.rss),
        "Command": process.command,
    }


def port(call: Call, words: Sequence[str]) -> int:
    """``port``."""
    parsed = _PORT.parse(words)
    ref, *wanted = parsed.arguments
    container = call.engine.container(ref)
    published = [(f"{p.container_port}/{p.protocol}", views.address(p)) for p in container.ports if p.host_port]
    if not wanted:
        output.lines(f"{inside} -> {outside}" for inside, outside in published)
        return 0
    inside = wanted[0] if "/" in wanted[0] else f"{wanted[0]}/tcp"
    outsides = [outside for port, outside in published if port == inside]
    if not outsides:
        raise NotFound(
            f"{container.name} publishes no port {inside}", f"`pyctr-tui port {container.name}` lists them"
        )
    output.lines(outsides)
    return 0
