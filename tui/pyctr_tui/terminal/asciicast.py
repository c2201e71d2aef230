"""Recordings of terminals: asciicast v2, a header and then an event a line, ``[seconds, kind, data]``.

https://docs.asciinema.org/manual/asciicast/v2/
"""

from __future__ import annotations

import codecs
import contextlib
import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from typing import TextIO

from pyctr_engine.errors import InvalidValue, told_as
from pyctr_engine.record import dataclass
from pyctr_tui.safe_text import safe

MOST_LINE = 8 << 20
"""Characters of one event: more is no recording."""
MOST_SIZE = 500


@dataclass(frozen=True, slots=True)
class Event:
    """What happened ``at`` seconds from the beginning: ``o`` output, ``r`` a new size as ``COLUMNSxROWS``."""

    at: float
    kind: str
    data: str


@dataclass(frozen=True, slots=True)
class Header:
    """How big the terminal was, what the recording calls itself, and pauses longer than what to shorten (0: none)."""

    columns: int
    rows: int
    title: str
    idle: float


def folder(environ: Mapping[str, str]) -> str:
    """Where recordings go: ``$XDG_STATE_HOME/pyctr-tui/recordings``."""
    state = environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(state):
        state = os.path.join(environ.get("HOME") or "/", ".local", "state")
    return os.path.join(state, "pyctr-tui", "recordings")


def fresh_path(where: str, name: str, now: float) -> str:
    """A path in ``where`` for a recording of ``name`` begun ``now``."""
    clean = re.sub(r"[^A-Za-z0-9_.-]", "_", name).lstrip(".") or "terminal"
    return os.path.join(where, f"{clean}-{time.strftime('%Y%m%d-%H%M%S', time.localtime(now))}.cast")


class Recorder:
    """Writes one recording. What is typed is not recorded: it may be a password."""

    def __init__(self, path: str, columns: int, rows: int, title: str, first: str = "") -> None:
        """Begin: a new file for its owner alone; ``first`` draws what is on the screen already.

        Raises an EngineError that says why the file can't be made, also when it is there.
        """
        with told_as(f"record to {path}"):
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            fd = os.open(path, flags, 0o600)
        self.path = path
        self.failed = ""
        self._file = os.fdopen(fd, "w", encoding="utf-8", newline="\n")
        self._began = time.monotonic()
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        header = {
            "version": 2, "width": columns, "height": rows, "timestamp": int(time.time()), "title": safe(title)[:200],
            "env": {"TERM": "xterm-256color"},
        }  # fmt: skip
        self._line(header)
        if first:
            self._line([0.0, "o", first])

    @property
    def seconds(self) -> float:
        """How long it has been."""
        return time.monotonic() - self._began

    def output(self, data: bytes) -> None:
        """The program wrote this."""
        text = self._decode(data)
        if text:
            self._line([round(self.seconds, 6), "o", text])

    def resized(self, columns: int, rows: int) -> None:
        """The terminal has another size."""
        self._line([round(self.seconds, 6), "r", f"{columns}x{rows}"])

    def close(self) -> None:
        """End it."""
        try:
            self._file.close()
        except OSError as error:
            self.failed = self.failed or (error.strerror or "error").lower()

    def _line(self, value: object) -> None:
        if self.failed:
            return
        try:
            self._file.write(json.dumps(value, ensure_ascii=True) + "\n")
        except OSError as error:
            self.failed = (error.strerror or "error").lower()
            with contextlib.suppress(OSError):
                self._file.close()


def read(path: str) -> tuple[Header, list[Event]]:
    """A recording. Raises InvalidValue with the line that is wrong, and errors about the file."""
    with told_as(f"read {path}"), open(path, encoding="utf-8", errors="replace") as file:
        header = _header(path, file.readline(MOST_LINE))
        return header, list(_events(path, file))


def _header(path: str, line: str) -> Header:
    try:
        found = json.loads(line)
        if not isinstance(found, dict) or found.get("version") != 2:
            raise ValueError
        columns, rows = int(found["width"]), int(found["height"])
        idle = float(found.get("idle_time_limit") or 0)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InvalidValue(
            f"{path}:1: this is no asciicast v2 header", "recordings of version 2 can be played"
        ) from error
    columns, rows = max(2, min(columns, MOST_SIZE)), max(1, min(rows, MOST_SIZE))
    return Header(columns, rows, safe(str(found.get("title") or "")), idle)


def _events(path: str, file: TextIO) -> Iterator[Event]:
    for number, line in enumerate(iter(lambda: file.readline(MOST_LINE + 1), ""), 2):
        if len(line) > MOST_LINE:
            raise InvalidValue(f"{path}:{number}: this is no event of an asciicast: it has no end", "")
        if not line.strip():
            continue
        try:
            at, kind, data = json.loads(line)
            event = Event(float(at), str(kind), str(data))
        except (ValueError, TypeError, RecursionError) as error:
            if not line.endswith("\n"):
                return  # whoever wrote it was killed in the middle of a line
            raise InvalidValue(f"{path}:{number}: this is no event of an asciicast", "") from error
        if event.kind in ("o", "r"):
            yield event


def size_of(data: str) -> tuple[int, int] | None:
    """Columns and rows of a resize event; ``None`` when it says nothing sensible."""
    found = re.fullmatch(r"(\d{1,4})x(\d{1,4})", data)
    if found is None:
        return None
    return max(2, min(int(found[1]), MOST_SIZE)), max(1, min(int(found[2]), MOST_SIZE))
