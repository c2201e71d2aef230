"""One file of a log, read by ``pread`` in blocks of whole lines from wherever the reader stands.

The format is the monitor's: one JSON object a line, ``{"t":…,"s":"stdout","m":…}``. Nothing here keeps more than
the block it reads, so a log of any size costs the same.
"""

from __future__ import annotations

import contextlib
import json
import os
from functools import lru_cache
from typing import NamedTuple

from pyctr_engine.record import dataclass
from pyctr_tui.safe_text import safe_log

BLOCK = 128 << 10
SHORT = 2 << 10
"""Bytes of a line of which many may be remembered."""
LONGEST = 4 << 20
"""A line longer than this is cut at its beginning, and ends what is read on."""


class Block(NamedTuple):
    """Whole lines of a log, each with its newline, and the offset of the first."""

    start: int
    data: bytes

    @property
    def end(self) -> int:
        """Offset of the byte after the last newline."""
        return self.start + len(self.data)


@dataclass(frozen=True, slots=True)
class Parsed:
    """A line as it is shown: harmless text, time in seconds since the epoch (0 when unknown)."""

    time: float
    stream: str
    text: str


def parse(raw: bytes) -> Parsed:
    """Read a line; one that is no JSON is shown as it is."""
    return _parse_short(raw) if len(raw) <= SHORT else _parse_long(raw)


def _parse(raw: bytes) -> Parsed:
    text = raw.decode("utf-8", "replace")
    try:
        record = json.loads(text)
        return Parsed(float(record["t"]), str(record["s"]), safe_log(str(record["m"]).rstrip("\n")))
    except (ValueError, KeyError, TypeError, RecursionError):
        return Parsed(0.0, "", safe_log(text))


_parse_short = lru_cache(maxsize=4096)(_parse)
_parse_long = lru_cache(maxsize=128)(_parse)


def time_of(raw: bytes) -> float:
    """When a line was printed, in seconds since the epoch; 0 when that isn't known."""
    if raw.startswith(b'{"t":'):
        with contextlib.suppress(ValueError):
            return float(raw[5 : raw.index(b",", 5)])
    return 0.0


class LogFile:
    """An open file of a log. Closes itself when it is let go of."""

    def __init__(self, path: str) -> None:
        """Open. Raises OSError."""
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.inode = os.fstat(self._fd).st_ino

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        fd, self._fd = getattr(self, "_fd", -1), -1
        if fd >= 0:
            os.close(fd)

    def size(self) -> int:
        """Bytes now."""
        return os.fstat(self._fd).st_size

    def _read(self, start: int, end: int) -> bytes:
        pieces = []
        while start < end:
            piece = os.pread(self._fd, end - start, start)
            if not piece:
                break
            pieces.append(piece)
            start += len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def before(self, end: int, size: int = BLOCK) -> Block:
        """About ``size`` bytes of lines that end at or before ``end``; none at the file's beginning."""
        length = size
        while True:
            start = max(0, end - length)
            data = self._read(start, end)
            data = data[: data.rfind(b"\n") + 1]  # what is still being written is left for later
            if start:
                cut = data.find(b"\n") + 1
                if cut == len(data):  # the block is inside one line
                    if length < LONGEST:
                        length *= 4
                        continue
                    cut = 0
                data, start = data[cut:], start + cut
            return Block(start, data)

    def after(self, start: int, size: int = BLOCK) -> Block:
        """About ``size`` bytes of lines from ``start`` (the beginning of one) on; none at the end."""
        length = size
        while True:
            data = self._read(start, start + length)
            if b"\n" in data or len(data) < length or length >= LONGEST:
                return Block(start, data[: data.rfind(b"\n") + 1])
            length *= 4

    def find_time(self, when: float) -> int | None:
        """Offset of the first line printed at ``when`` (seconds since the epoch) or later; ``None`` for none.

        Halves the file until a block is left, so that ten million lines cost some twenty reads.
        """
        low, high = 0, self.size()
        while high - low > BLOCK:
            middle = (low + high) // 2
            block = self.after(self._next_line(middle))
            first = next(((at, time) for at, time in _times(block) if time), None)
            if first is None or first[0] >= high or first[1] >= when:
                high = middle
            else:
                low = first[0]
        while (block := self.after(low)).data:
            for at, time in _times(block):
                if time >= when:
                    return at
            low = block.end
        return None

    def first_time(self) -> float:
        """When the first line that says so was printed; 0 for none."""
        return next((time for _, time in _times(self.after(0)) if time), 0.0)

    def _next_line(self, offset: int) -> int:
        """Where the first line begins that begins at or after an offset."""
        start = max(offset - 1, 0)
        while data := self._read(start, start + BLOCK):
            if (newline := data.find(b"\n")) >= 0:
                return start + newline + 1
            start += len(data)
        return start


def _times(block: Block) -> list[tuple[int, float]]:
    """The offset and the time of each line."""
    out, at = [], block.start
    for raw in block.data.split(b"\n")[:-1]:
        out.append((at, time_of(raw)))
        at += len(raw) + 1
    return out
