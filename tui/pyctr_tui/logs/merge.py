"""Several logs as one, in the order of time, walked through lazily in both directions.

A place is one offset for each log. Inside a log lines never change their order: one that says an earlier time than
the line before it (a clock was set) counts as printed with it.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from math import inf

from pyctr_engine.record import dataclass
from pyctr_tui.logs.file import BLOCK, Block, time_of
from pyctr_tui.logs.log import Log
from pyctr_tui.logs.query import REACH

SMALLEST = 16 << 10
LOOKED_THROUGH = 512 << 10
"""Bytes read at once when most lines are passed over."""

Place = tuple[int, ...]
Keep = Callable[[bytes, Callable[[], bytes]], list[tuple[int, int]]]
"""Which lines of a block are wanted: where they begin and end. May ask for the lines before the block."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A line as it is in its file.

    Attributes:
        source: Number of the log.
        at: Place of its first byte there.
        raw: The line without its newline.
    """

    source: int
    at: int
    raw: bytes

    @property
    def end(self) -> int:
        """Place of the byte after its newline."""
        return self.at + len(self.raw) + 1


@dataclass(frozen=True, slots=True)
class Passed:
    """So far a log was looked through, for nothing: up to (or, backwards, down to) this place."""

    source: int
    at: int


Step = Entry | Passed


class Logs:
    """What several containers printed. ``block``: bytes to read at once, of all of them together."""

    def __init__(self, logs: Sequence[Log], block: int = BLOCK) -> None:
        self.logs = tuple(logs)
        self._block = block

    def close(self) -> None:
        """Let go of the files."""
        for log in self.logs:
            log.close()

    def refresh(self) -> None:
        """Look how far the logs have grown."""
        for log in self.logs:
            log.refresh()

    @property
    def restarts(self) -> int:
        """How often places became meaningless."""
        return sum(log.restarts for log in self.logs)

    @property
    def start(self) -> Place:
        """Where the first lines begin."""
        return tuple(log.start for log in self.logs)

    @property
    def end(self) -> Place:
        """Behind the last lines."""
        return tuple(log.end for log in self.logs)

    def find_time(self, when: float) -> Place:
        """Where what was printed at a time (seconds since the epoch) or later begins."""
        return tuple(log.find_time(when) for log in self.logs)

    def place_of(self, entry: Entry) -> Place:
        """The place before a line."""
        when = time_of(entry.raw)
        return tuple(entry.at if n == entry.source else log.find_time(when) for n, log in enumerate(self.logs))

    def between(self, start: Place, end: Place) -> int:
        """Bytes between two places."""
        return sum(max(0, b - a) for a, b in zip(start, end, strict=True))

    def backwards(self, place: Place, keep: Keep | None = None) -> Iterator[Step]:
        """The lines before a place, newest first; with ``keep`` those that are wanted, and what was passed."""
        size = self._block_size(keep)
        walks = [self._back(n, place[n], size, keep) for n in range(len(self.logs))]
        for _, _, step in heapq.merge(*walks, reverse=True, key=lambda item: item[:2]):
            yield step

    def forwards(self, place: Place, keep: Keep | None = None) -> Iterator[Step]:
        """The lines from a place on, oldest first; with ``keep`` those that are wanted, and what was passed."""
        size = self._block_size(keep)
        walks = [self._on(n, place[n], size, keep) for n in range(len(self.logs))]
        for _, _, step in heapq.merge(*walks, key=lambda item: item[:2]):
            yield step

    def _block_size(self, keep: Keep | None) -> int:
        return max((LOOKED_THROUGH if keep else self._block) // max(len(self.logs), 1), SMALLEST)

    def _back(self, number: int, end: int, size: int, keep: Keep | None) -> Iterator[tuple[float, int, Step]]:
        log, eldest = self.logs[number], inf
        while (block := log.before(end, size)).data:
            for at, raw in reversed(_lines(log, block, keep)):
                eldest = min(eldest, time_of(raw) or eldest)
                yield eldest, number, Entry(number, at, raw)
            end = block.start
            eldest = min(eldest, time_of(block.data[: block.data.find(b"\n")]) or eldest)
            yield eldest, number, Passed(number, end)

    def _on(self, number: int, start: int, size: int, keep: Keep | None) -> Iterator[tuple[float, int, Step]]:
        log, newest = self.logs[number], 0.0
        while (block := log.after(start, size)).data:
            for at, raw in _lines(log, block, keep):
                newest = max(newest, time_of(raw))
                yield newest, number, Entry(number, at, raw)
            start = block.end
            newest = max(newest, time_of(block.data[block.data.rfind(b"\n", 0, -1) + 1 :]))
            yield newest, number, Passed(number, start)


def _lines(log: Log, block: Block, keep: Keep | None) -> list[tuple[int, bytes]]:
    """Lines of a block, each with its place."""
    start, data = block
    if keep is not None:
        return [(start + first, data[first:last]) for first, last in keep(data, partial(_head, log, start))]
    out = []
    for raw in data.split(b"\n")[:-1]:
        out.append((start, raw))
        start += len(raw) + 1
    return out


def _head(log: Log, end: int) -> bytes:
    """The lines before a place as far as they may tell a level for those after it; also out of older files."""
    pieces: list[bytes] = []
    missing = REACH
    while missing > 0 and (block := log.before(end, missing)).data:
        pieces.insert(0, block.data)
        missing -= len(block.data)
        end = block.start
    return b"".join(pieces)
