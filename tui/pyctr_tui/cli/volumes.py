"""``volume ls``, ``volume create``, ``volume inspect`` and ``volume rm``."""

from __future__ import annotations

from collections.abc import Sequence

from pyctr_tui.cli import output
from pyctr_tui.cli.call import Call
from pyctr_tui.cli.inspect import inspect_volume, show, volume_row
from pyctr_tui.cli.lifecycle import each
from pyctr_tui.cli.options import Grammar, Option

_LIST = Grammar("volume ls", "", "List volumes.", Option("-q, --quiet", "Only names"), output.LIST_FORMAT)
_INSPECT = Grammar(
    "volume inspect",
    "VOLUME…",
    "Show everything about volumes, as one JSON array.",
    output.FORMAT,
    least=1,
    most=None,
)
_CREATE = Grammar("volume create", "VOLUME…", "Make volumes; mounting one makes it, too.", least=1, most=None)
_REMOVE = Grammar("volume rm", "VOLUME…", "Remove volumes that no container uses.", least=1, most=None)


def list_(call: Call, words: Sequence[str]) -> int:
    """``volume ls``."""
    parsed = _LIST.parse(words)
    rows = list(map(volume_row, call.engine.volumes()))
    if parsed.flag("quiet"):
        output.lines(row["Name"] for row in rows)
    else:
        output.rows(rows, parsed.value("format"), ("Driver", "Name", "Size", "Links"))
    return 0


def create(call: Call, words: Sequence[str]) -> int:
    """``volume create``."""
    return each(_CREATE.parse(words).arguments, call.engine.create_volume)


def inspect(call: Call, words: Sequence[str]) -> int:
    """``volume inspect``."""
    parsed = _INSPECT.parse(words)
    show([inspect_volume(call, name) for name in parsed.arguments], parsed.value("format"))
    return 0


def remove(call: Call, words: Sequence[str]) -> int:
    """``volume rm``."""
    return each(_REMOVE.parse(words).arguments, call.engine.remove_volume)
