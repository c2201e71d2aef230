"""``layers`` and ``compare``: into images, layer by layer, and from one state of files to another."""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from pyctr_tui.cli import output, text, values, views
from pyctr_tui.cli.call import Call, is_terminal
from pyctr_tui.cli.options import Grammar, Option

if TYPE_CHECKING:
    from pyctr_engine.model.explore import Efficiency, FileDifference, FileState

_STATES = "IMAGE@3 is the state after an image's third layer, as `layers IMAGE` counts them, the lowest first."

_LAYERS = Grammar(
    "layers",
    "IMAGE[@N] [PATH]",
    "Show an image's layers, the lowest first: size, files, who shares them.",
    Option("-t, --tree", "Show the files instead, and which layer each is from"),
    Option("-c, --changes", "Show what layer N adds, changes and deletes", "N"),
    Option("-p, --versions", "Show every version of PATH"),
    Option("-w, --waste", "Show efficiency and wasted bytes, as dive counts them"),
    Option("--no-trunc", "Shorten nothing"),
    output.LIST_FORMAT,
    least=1,
    most=2,
    note=_STATES,
)
_ANY = f"{_STATES}\nA container, or CONTAINER@CHECKPOINT, as well: its name goes before an image's."
_CAT = Grammar("layers cat", "IMAGE[@N] PATH", "Print a file of an image.", least=2, most=2, note=_ANY)
_EXTRACT = Grammar(
    "layers extract",
    "IMAGE[@N] PATH DESTINATION|-",
    "Take a file or directory out of an image; - writes a tar to standard output.",
    least=3,
    most=3,
    note=f"{_STATES}\nCONTAINER@CHECKPOINT as well; `cp` copies out of containers.",
)
_COMPARE = Grammar(
    "compare",
    "ONE OTHER [PATH]",
    "Show what was Added, Changed and Deleted from one state of files to another.",
    Option("-u, --text", "Show how texts differ, line by line"),
    Option("-q, --quiet", "Print nothing; exit with 1 if they differ"),
    output.LIST_FORMAT,
    least=2,
    most=3,
    note="ONE and OTHER: a container, CONTAINER@CHECKPOINT, an image, or IMAGE@N (its state after layer N).\n"
    "PATH: only what is at and below it. Times alone are no difference.",
)
_SHOWN_WASTE = 20
_NUMBERED = ("Layer", "ID", "CreatedSince", "Size", "Files", "SharedWith", "CreatedBy")


def layers(call: Call, words: Sequence[str]) -> int:
    """``layers``."""
    parsed = _LAYERS.parse(words)
    image, *given = parsed.arguments
    path, format = (given or ["/"])[0], parsed.value("format")
    explore = call.engine.explore
    if parsed.flag("versions"):
        if not given:
            raise _LAYERS.error("--versions needs a path", "usage: pyctr-tui layers --versions IMAGE PATH")
        found = explore.versions(image, path)
        _stream(({**_row(c.path, c.state), "Kind": c.kind, "Layer": c.layer} for c in found), format)
    elif "changes" in parsed:
        number = int(values.number(parsed.value("changes"), "--changes"))
        changed = explore.changes(image, number, path)
        rows = ({**_row(c.path, c.state), "Kind": c.kind, "Layer": c.layer} for c in changed)
        _stream(rows, format)
    elif parsed.flag("tree"):
        _stream(({**_row(e.path, e.state), "Layer": e.layer} for e in explore.tree(image, path)), format)
    elif parsed.flag("waste"):
        _waste(explore.efficiency(image), format)
    else:
        now, full = time.time(), parsed.flag("no-trunc")
        steps = [layer for layer in call.engine.layers(image) if not layer.empty]
        rows_ = (views.layer_row(layer, now, full=full, ascii=call.ascii) for layer in steps)
        output.rows(rows_, format, _NUMBERED, "CHAIN ID")
    return 0


def _stream(rows: Iterable[output.Row], format: str) -> None:
    """Print rows as they come: there may be a hundred thousand."""
    if format == "json":
        import json

        separator = "[\n"
        for row in rows:
            sys.stdout.write(separator + json.dumps(row))
            separator = ",\n"
        print("\n]" if separator == ",\n" else "[]")
    elif format in ("", "table"):
        output.lines(map(_line, rows))
    else:
        output.rows(rows, format, ())


def _line(row: output.Row) -> str:
    """As `ls -l` would, behind the layer's number and the kind of change. By hand: a template takes 20 µs a row."""
    start = f"{row['Layer']:>3}  " + (f"{row['Kind']} " if "Kind" in row else "")
    return f"{start}{row['Mode']} {row['Owner']:>11} {row['Size']:>10}  {row['Path']}{row['Arrow']}"


def _row(path: str, state: FileState) -> dict[str, object]:
    arrow = " -> " if state.type == "symlink" else " = " if state.target else ""
    return {
        "Path": path,
        "Type": state.type,
        "Mode": _mode(state),
        "Owner": f"{state.uid}:{state.gid}",
        "Size": state.size,
        "ModifiedAt": text.date(state.mtime / 1e9),
        "Target": state.target,
        "Arrow": f"{arrow}{state.target}",
    }


_LETTERS = {"file": "-", "directory": "d", "symlink": "l", "fifo": "p", "device": "c", "socket": "s"}


def _mode(state: FileState) -> str:
    """As ls(1) writes it."""
    import stat

    return _LETTERS[state.type] + stat.filemode(state.mode)[1:]


def _waste(found: Efficiency, format: str) -> None:
    rows = [{"Count": w.count, "Bytes": w.bytes, "Size": text.size(w.bytes), "Path": w.path} for w in found.paths]
    if format == "json":
        output.json_value({"Score": found.score, "WastedBytes": found.wasted, "Share": found.share, "Paths": rows})
        return
    if format in ("", "table"):
        print(f"Efficiency: {found.score:.2%}. Wasted: {text.size(found.wasted)}", end="")
        print(f", {found.share:.2%} of the layers above the lowest." if found.share else ".")
        rows = rows[:_SHOWN_WASTE]
    if rows:
        output.rows(rows, format, ("Count", "Size", "Path"))


def cat(call: Call, words: Sequence[str]) -> int:
    """``layers cat``: bytes as they are, but not to a terminal that they could harm."""
    image, path = _CAT.parse(words).arguments
    pieces = call.engine.explore.read(image, path)
    if is_terminal(1):
        _to_terminal(pieces)
        return 0
    for piece in pieces:
        sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()
    return 0


def _to_terminal(pieces: Iterable[bytes]) -> None:
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        output.lines(os.fsdecode(line) for line in lines)
    if rest:
        output.line(os.fsdecode(rest))


def extract(call: Call, words: Sequence[str]) -> int:
    """``layers extract``."""
    image, path, destination = _EXTRACT.parse(words).arguments
    if destination != "-":
        output.line(call.engine.explore.extract(image, path, destination))
        return 0
    if is_terminal(1):
        raise _EXTRACT.error("standard output is a terminal, no place for a tar")
    for piece in call.engine.explore.tar(image, path):
        sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()
    return 0


def compare(call: Call, words: Sequence[str]) -> int:
    """``compare``: 0 always, but with ``--quiet`` as cmp(1) does."""
    parsed = _COMPARE.parse(words)
    one, other, *given = parsed.arguments
    explore = call.engine.explore
    found = explore.compare(one, other, (given or ["/"])[0])
    if parsed.flag("quiet"):
        with contextlib.closing(found):  # type: ignore[type-var]
            return int(any(True for _ in itertools.islice(found, 1)))
    if not parsed.flag("text"):
        _stream_differences(found, parsed.value("format"))
        return 0
    for difference in list(found):
        if _is_text(difference):
            for line in explore.text_difference(one, other, difference.path):
                output.line(line)
        else:
            output.line(_told(difference))
    return 0


def _is_text(difference: FileDifference) -> bool:
    sides = [state for state in (difference.before, difference.after) if state is not None]
    changed = difference.kind != "C" or "contents" in difference.what
    return changed and all(state.type == "file" for state in sides)


def _stream_differences(found: Iterable[FileDifference], format: str) -> None:
    if format in ("", "table"):
        for difference in found:
            output.line(_told(difference))
        return
    rows: Iterator[output.Row] = (
        {
            "Kind": difference.kind,
            "Path": difference.path,
            "What": list(difference.what),
            "Before": difference.before and _row(difference.path, difference.before),
            "After": difference.after and _row(difference.path, difference.after),
        }
        for difference in found
    )
    _stream(rows, format)


def _told(difference: FileDifference) -> str:
    """``C /etc/passwd (contents 839 → 871, mode 644 → 600)``."""
    before, after = difference.before, difference.after
    if before is None or after is None:
        return f"{difference.kind} {difference.path}"
    told = {
        "type": f"{before.type} to {after.type}",
        "contents": f"contents, {before.size} to {after.size} bytes",
        "mode": f"mode {before.mode:o} to {after.mode:o}",
        "owner": f"owner {before.uid}:{before.gid} to {after.uid}:{after.gid}",
        "target": f"target {before.target} to {after.target}",
    }
    return f"{difference.kind} {difference.path} ({'; '.join(told.get(what, what) for what in difference.what)})"
