"""``cp``: files between a container and here."""

from __future__ import annotations

from collections.abc import Sequence

from pyctr_tui.cli.call import Call, is_terminal
from pyctr_tui.cli.options import Grammar, Option

_GRAMMAR = Grammar(
    "cp",
    "CONTAINER:SOURCE DESTINATION | SOURCE CONTAINER:DESTINATION",
    "Copy files and directories between a container, running or not, and here. `-` is a tar on standard output or\n"
    "input. Into a directory that is there, else under the new name; SOURCE/. means what is in it.",
    Option("-a, --archive", "Keep owners; else they are yours here, and root's inside"),
    Option("-L, --follow-link", "Copy what a symlink at SOURCE leads to"),
    Option("-q, --quiet", "Say nothing (it never does)"),
    least=2,
    most=2,
)


def copy(call: Call, words: Sequence[str]) -> int:
    """``cp``."""
    parsed = _GRAMMAR.parse(words)
    source, destination = parsed.arguments
    out, into = _split(source), _split(destination)
    follow, owners = parsed.flag("follow-link"), parsed.flag("archive")
    if out and into:
        raise _GRAMMAR.error(
            "it copies between a container and here, not between containers", "by way of a directory"
        )
    if out:
        if destination == "-" and is_terminal(1):
            raise _GRAMMAR.error("a tar does not belong on a terminal", "send it to a file: `… - > FILE.tar`")
        call.engine.copy_out(*out, destination, follow=follow, owners=owners)
    elif into:
        if source == "-" and is_terminal(0):
            raise _GRAMMAR.error("a tar can't be typed", "take it from a file: `… - CONTAINER:PATH < FILE.tar`")
        call.engine.copy_in(into[0], source, into[1], follow=follow, owners=owners)
    else:
        raise _GRAMMAR.error("neither names a container", "CONTAINER:PATH is a path inside one")
    return 0


def _split(word: str) -> tuple[str, str] | None:
    """Container and path of ``name:path``; ``None`` for a path here, which one with a slash or dot before it is."""
    name, colon, path = word.partition(":")
    if not colon or not name or name.startswith((".", "/")) or "/" in name:
        return None
    return name, path or "/"
