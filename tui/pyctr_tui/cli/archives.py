"""What makes images and carries them about: ``commit``, ``import``, ``export``, ``load`` and ``save``.

Ids and names go to standard output, progress to standard error, so that scripts can take the former.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pyctr_engine.model.spec import CommitRequest
from pyctr_tui.cli import output
from pyctr_tui.cli.call import Call, is_terminal
from pyctr_tui.cli.options import Grammar, Option
from pyctr_tui.cli.progress import ProgressLine

if TYPE_CHECKING:
    from pyctr_engine.model.image import ArchiveFormat

_CHANGE = Option("-c, --change", "CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, USER, WORKDIR …", "INSTRUCTION", many=True)
_MESSAGE = Option("-m, --message", "What changed", "TEXT")

_COMMIT = Grammar(
    "commit",
    "CONTAINER [NAME[:TAG]]",
    "Make an image of what a container changed, and print its id.",
    Option("-a, --author", "Who made it", "TEXT"),
    _MESSAGE,
    _CHANGE,
    Option("-p, --pause", "Freeze the container meanwhile (the default)"),
    Option("--no-pause", "Take it as it runs"),
    Option("--include", "Take only what matches, with all below it", "GLOB", many=True),
    Option("--exclude", "Leave out what matches, with all below it", "GLOB", many=True),
    Option("-s, --squash", "Make one layer of all, the image's own included"),
    least=1,
    most=2,
    note="GLOB: /var/cache is a path, '*.log' a name at any depth; ** crosses directories.",
)
_IMPORT = Grammar(
    "import",
    "FILE|- [NAME[:TAG]]",
    "Make an image of a root file system's tar (plain, gzip or zstd), and print its id.",
    _CHANGE,
    _MESSAGE,
    least=1,
    most=2,
)
_EXPORT = Grammar(
    "export",
    "CONTAINER",
    "Write a container's whole file system, without what is mounted in it, as a tar.",
    Option("-o, --output", "The file; standard output otherwise", "PATH"),
    least=1,
    most=1,
)
_LOAD = Grammar(
    "load",
    "[FILE|DIRECTORY]",
    "Load images from an OCI archive or layout, or from docker's archive.",
    Option("-i, --input", "The archive or directory; standard input otherwise", "PATH"),
    Option("-q, --quiet", "No progress"),
    most=1,
)
_SAVE = Grammar(
    "save",
    "IMAGE…",
    "Write images to an archive for docker and OCI tools, or to an OCI layout if the path ends in a slash.",
    Option("-o, --output", "The archive or directory; standard output otherwise", "PATH"),
    Option("--format", "oci or docker: an archive of that kind alone, not one for both", "FORMAT"),
    least=1,
    most=None,
)


def commit(call: Call, words: Sequence[str]) -> int:
    """``commit``."""
    parsed = _COMMIT.parse(words)
    ref, *name = parsed.arguments
    request = CommitRequest(
        name=name[0] if name else "",
        author=parsed.value("author"),
        message=parsed.value("message"),
        changes=tuple(parsed.values("change")),
        pause=parsed.flag("pause", default=True) and not parsed.flag("no-pause"),
        exclude=tuple(parsed.values("exclude")),
        include=tuple(parsed.values("include")),
        squash=parsed.flag("squash"),
    )
    with ProgressLine(sys.stderr) as progress:
        image = call.engine.commit(ref, request, progress)
    print(image.id)
    return 0


def import_(call: Call, words: Sequence[str]) -> int:
    """``import``."""
    parsed = _IMPORT.parse(words)
    path, *name = parsed.arguments
    changes, message = parsed.values("change"), parsed.value("message")
    with ProgressLine(sys.stderr) as progress:
        image = call.engine.import_image(path, name[0] if name else "", changes, message, progress)
    print(image.id)
    return 0


def export(call: Call, words: Sequence[str]) -> int:
    """``export``."""
    parsed = _EXPORT.parse(words)
    call.engine.export(parsed.arguments[0], _target(parsed.value("output", "-"), _EXPORT, "CONTAINER"))
    return 0


def load(call: Call, words: Sequence[str]) -> int:
    """``load``."""
    parsed = _LOAD.parse(words)
    path = (parsed.arguments or [parsed.value("input", "-")])[0]
    if path == "-" and is_terminal(0):
        raise _LOAD.error("standard input is a terminal, not an archive", "usage: pyctr-tui load -i FILE")
    with ProgressLine(sys.stderr) as progress:
        images = call.engine.load(path, None if parsed.flag("quiet") else progress)
    for image in images:
        for name in image.names:
            output.line(f"Loaded image: {name}")
        if not image.names:
            output.line(f"Loaded image ID: {image.id}")
    return 0


def save(call: Call, words: Sequence[str]) -> int:
    """``save``."""
    parsed = _SAVE.parse(words)
    path = _target(parsed.value("output", "-"), _SAVE, "IMAGE")
    with ProgressLine(sys.stderr) as progress:
        call.engine.save(parsed.arguments, path, progress, _format(parsed.value("format")))
    return 0


def _target(path: str, grammar: Grammar, what: str) -> str:
    if path == "-" and is_terminal(1):
        raise grammar.error(
            "standard output is a terminal, no place for an archive",
            f"usage: pyctr-tui {grammar.command} -o FILE {what}",
        )
    return path


def _format(text: str) -> ArchiveFormat:
    """Podman's words for it mean the same."""
    kind = text.removesuffix("-archive").removesuffix("-dir")
    if kind == "oci":
        return "oci"
    if kind == "docker":
        return "docker"
    if text:
        raise _SAVE.error(f"there is no format {text}", "it is oci or docker; without it, both can load the archive")
    return ""
