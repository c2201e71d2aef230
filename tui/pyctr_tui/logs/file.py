"""A log file as lines at offsets, read by ``pread`` in blocks from wherever the reader stands.

The format is the monitor's: one JSON object a line, ``{"t":…,"s":"stdout","m":…}``. Nothing here keeps more than
the block it reads, so a log of any size costs the same.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass
from functools import lru_cache

from pyctr_tui.safe_text import safe_log

BLOCK = 128 << 10
LONGEST = 4 << 20
"""A line longer than this is cut where a block ends."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A line as it is in the file: ``offset`` of its first byte, ``raw`` without the newline."""

    offset: int
    raw: bytes

    @property
    def end(self) -> int:
        """Offset of the byte after its newline."""
        return self.offset + len(self.raw) + 1


@dataclass(frozen=True, slots=True)
class Parsed:
    """A line as it is shown: harmless text, time in seconds since the epoch (0 when unknown)."""

    time: float
    stream: str
    text: str


@lru_cache(maxsize=2048)
def parse(raw: bytes) -> Parsed:
    """Read a line; one that is no JSON is shown as it is."""
    text = raw.decode("utf-8", "replace")
    try:
        record = json.loads(text)
        return Parsed(float(record["t"]), str(record["s"]), safe_log(str(record["m"]).rstrip("\n")))
    except (ValueError, KeyError, TypeError, RecursionError):
        return Parsed(0.0, "", safe_log(text))


class LogFile:
    """An open log file. A rotated or truncated one is noticed by `changed`."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._fd = -1
        self._inode = 0

    def close(self) -> None:
        """Let go of the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def size(self) -> int:
        """Bytes now; 0 while there is no file."""
        if self._fd < 0 and not self._open():
            return 0
        return os.fstat(self._fd).st_size

    def changed(self) -> bool:
        """Whether another file took this one's place; it is opened then."""
        try:
            inode = os.stat(self.path).st_ino
        except OSError:
            return False
        if self._fd >= 0 and inode == self._inode:
            return False
        self.close()
        return self._open()

    def _open(self) -> bool:
        with contextlib.suppress(OSError):
            self._fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            self._inode = os.fstat(self._fd).st_ino
        return self._fd >= 0

    def _read(self, start: int, end: int) -> bytes:
        if self._fd < 0 and not self._open():
            return b""
        pieces = []
        while start < end:
            piece = os.pread(self._fd, end - start, start)
            if not piece:
                break
            pieces.append(piece)
            start += len(piece)
        return b"".join(pieces)

    def before(self, end: int, block: int = BLOCK) -> list[Entry]:
        """Whole lines that end at or before ``end``: about a block of them."""
        length = block
        while True:
            start = max(0, end - length)
            data = self._read(start, end)
            if start:
                cut = data.find(b"\n") + 1
                if cut in (0, len(data)):  # the block is inside one line
                    if length < LONGEST:
                        length *= 4
                        continue
                    cut = 0
                data, start = data[cut:], start + cut
            return _split(data, start)

    def after(self, start: int, block: int = BLOCK) -> list[Entry]:
        """Whole lines from ``start`` (the beginning of one) on: about a block of them."""
        length = block
        while True:
            data = self._read(start, start + length)
            if b"\n" in data or len(data) < length or length >= LONGEST:
                return _split(data, start)
            length *= 4

    def around(self, offset: int) -> list[Entry]:
        """Lines before and after the line at ``offset``."""
        return self.before(offset, BLOCK // 2) + self.after(offset, BLOCK // 2)

    def find_before(self, needle: str, end: int) -> int | None:
        """Offset of the last line before ``end`` that has ``needle`` in it, in any case of letters."""
        wanted, key = needle.lower(), _key(needle)
        while end > 0:
            lines = self.before(end)
            if not lines:
                return None
            found = _last(lines, wanted, key)
            if found is not None:
                return found
            end = lines[0].offset
        return None

    def find_after(self, needle: str, start: int) -> int | None:
        """Offset of the first line from ``start`` on that has ``needle`` in it."""
        wanted, key = needle.lower(), _key(needle)
        while lines := self.after(start):
            for line in lines:
                if key in line.raw.lower() and wanted in parse(line.raw).text.lower():
                    return line.offset
            start = lines[-1].end
        return None

    def find_time(self, when: float) -> int | None:
        """Offset of the first line printed at ``when`` (seconds since the epoch) or later; ``None`` for none.

        Halves the file until a block is left, so that ten million lines cost some twenty reads.
        """
        low, high = 0, self.size()
        while high - low > BLOCK:
            middle = (low + high) // 2
            lines = self.after(self._next_line(middle))
            first = next((line for line in lines if parse(line.raw).time), None)
            if first is None or first.offset >= high or parse(first.raw).time >= when:
                high = middle
            else:
                low = first.offset
        while lines := self.after(low):
            for line in lines:
                if parse(line.raw).time >= when:
                    return line.offset
            low = lines[-1].end
        return None

    def _next_line(self, offset: int) -> int:
        """Where the first line begins that begins at or after an offset."""
        start = max(offset - 1, 0)
        while data := self._read(start, start + BLOCK):
            if (newline := data.find(b"\n")) >= 0:
                return start + newline + 1
            start += len(data)
        return start


def _key(needle: str) -> bytes:
    """What is in the raw line when ``needle`` is in its text: a quick test before reading the JSON."""
    return json.dumps(needle, ensure_ascii=False)[1:-1].encode().lower() if needle.isascii() else b""


def _last(lines: list[Entry], wanted: str, key: bytes) -> int | None:
    for line in reversed(lines):
        if key in line.raw.lower() and wanted in parse(line.raw).text.lower():
            return line.offset
    return None


def _split(data: bytes, start: int) -> list[Entry]:
    """Whole lines of a block that begins with one; what is after the last newline is still being written."""
    out = []
    whole, newline, _ = data.rpartition(b"\n")
    if not newline:
        return []
    for raw in whole.split(b"\n"):
        out.append(Entry(start, raw))
        start += len(raw) + 1
    return out
