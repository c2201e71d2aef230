"""The thread that reads logs for the log pane and for the strip.

It looks for new bytes ten times a second. What came in between is read in one block; when that is more than a
block, the middle is skipped (it is in the file, scrolling back finds it), so that a flood costs no more than a
trickle. It reads on only when the interface has taken what was read before.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pyctr_engine.errors import EngineError
from pyctr_tui.logs.file import BLOCK, Entry, LogFile, Parsed, parse
from pyctr_tui.safe_text import safe_error

if TYPE_CHECKING:
    from pyctr_engine.engine import Engine

TICK = 0.1
FLOOD = 256 << 10
STRIP_BLOCK = 16 << 10
STRIP_LINES = 40


@dataclass(frozen=True, slots=True)
class Batch:
    """Lines for the log pane.

    Attributes:
        ref: Whose.
        how: ``replace`` all, ``append`` newer ones, ``prepend`` older ones, or ``found``: replace all and show
            the line at ``found``; without a match ``found`` is -1 and there are no lines.
        lines: In the file's order.
        at_end: Whether the last one is the file's last.
        rate: Lines a second, when following.
    """

    ref: str
    how: Literal["replace", "append", "prepend", "found"]
    lines: tuple[Entry, ...]
    at_end: bool
    rate: float = 0.0
    found: int = -1
    error: str = ""


@dataclass(frozen=True, slots=True)
class Merged:
    """The last lines of several containers in the order of their times: (container's label, line)."""

    lines: tuple[tuple[str, Parsed], ...]
    rate: float


class LogReader:
    """Follows one log for the pane and several for the strip; ``deliver`` is called from the thread."""

    def __init__(self, engine: Engine, deliver: Callable[[Batch | Merged], None]) -> None:
        self._engine = engine
        self._deliver = deliver
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._taken = threading.Event()
        self._taken.set()
        self._jobs: deque[Callable[[], None]] = deque()
        self._started = self._stopped = False
        self._ref = ""
        self._file: LogFile | None = None
        self._following = False
        self._at = 0
        self._rates: deque[tuple[float, float]] = deque(maxlen=20)
        self._strip: dict[str, tuple[str, LogFile]] = {}
        self._strip_sizes: dict[str, int] = {}
        self._strip_rates: deque[tuple[float, float]] = deque(maxlen=20)

    # -- for the interface --------------------------------------------------------------------------------------

    def watch(self, ref: str) -> None:
        """Read this container's log, from its end; ``""`` reads none."""
        self._do(lambda: self._open(ref))

    def watch_strip(self, containers: Sequence[tuple[str, str]]) -> None:
        """Read the ends of these containers' logs: (id, label)."""
        self._do(lambda: self._open_strip(tuple(containers)))

    def older(self, before: int) -> None:
        """Read lines before an offset."""
        self._do(lambda: self._older(before))

    def newer(self, after: int) -> None:
        """Read lines from an offset on."""
        self._do(lambda: self._newer(after))

    def follow(self) -> None:
        """Read the end, and what will come."""
        self._do(self._tail)

    def stay(self) -> None:
        """Don't read what will come."""
        self._do(self._stay)

    def find(self, needle: str, offset: int, backwards: bool) -> None:
        """Look for a line, before (or from) an offset."""
        self._do(lambda: self._find(needle, offset, backwards))

    def seek(self, when: float) -> None:
        """Read around the first line printed at a time (seconds since the epoch) or later."""
        self._do(lambda: self._seek(when))

    def taken(self) -> None:
        """The last delivery has been shown: read on."""
        self._taken.set()

    def stop(self) -> None:
        """Read no more."""
        self._stopped = True
        self._taken.set()
        self._wake.set()

    # -- the thread ---------------------------------------------------------------------------------------------

    def _do(self, job: Callable[[], None]) -> None:
        self._jobs.append(job)
        with self._lock:
            if not self._started:
                self._started = True
                threading.Thread(target=self._run, name="logs", daemon=True).start()
        self._wake.set()

    def _run(self) -> None:
        while not self._stopped:
            self._wake.wait(TICK)
            self._wake.clear()
            while self._jobs:
                self._jobs.popleft()()
            if self._file is not None and self._following:
                self._look(self._file)
            if self._strip:
                self._look_strip()
            if not self._wake.is_set():
                time.sleep(TICK / 4)

    def _put(self, batch: Batch | Merged) -> None:
        self._taken.wait(timeout=5)
        self._taken.clear()
        if not self._stopped:
            self._deliver(batch)

    def _open(self, ref: str) -> None:
        if self._file is not None:
            self._file.close()
        self._ref, self._file, self._following = ref, None, False
        if not ref:
            return
        try:
            self._file = LogFile(self._engine.log_file(ref))
        except EngineError as error:
            self._put(Batch(ref, "replace", (), True, error=safe_error(error)))
            return
        self._tail()

    def _tail(self) -> None:
        if self._file is None:
            return
        self._file.changed()
        lines = self._file.before(self._file.size())
        self._at = lines[-1].end if lines else 0
        self._following = True
        self._rates.clear()
        self._put(Batch(self._ref, "replace", tuple(lines), at_end=True))

    def _stay(self) -> None:
        self._following = False

    def _look(self, file: LogFile) -> None:
        size = file.size()
        if size <= self._at:
            if file.changed() or size < self._at:
                self._tail()
            elif self._rates and self._rates[-1][1]:
                self._count(self._rates, 0)
            return
        skipped = size - self._at > FLOOD
        lines = file.before(size) if skipped else file.after(self._at, FLOOD)
        if not lines:
            return
        came = lines[-1].end - self._at
        mean = max(1, (lines[-1].end - lines[0].offset) // len(lines))
        self._at = lines[-1].end
        rate = self._count(self._rates, came / mean)
        self._put(Batch(self._ref, "replace" if skipped else "append", tuple(lines), at_end=True, rate=rate))

    @staticmethod
    def _count(rates: deque[tuple[float, float]], lines: float) -> float:
        now = time.monotonic()
        rates.append((now, lines))
        span = now - rates[0][0]
        return sum(count for _, count in rates) / max(span, 1.0)

    def _older(self, before: int) -> None:
        if self._file is not None:
            self._put(Batch(self._ref, "prepend", tuple(self._file.before(before)), at_end=False))

    def _newer(self, after: int) -> None:
        if self._file is not None:
            lines = tuple(self._file.after(after))
            end = lines[-1].end if lines else after
            self._put(Batch(self._ref, "append", lines, at_end=end >= self._file.size()))

    def _find(self, needle: str, offset: int, backwards: bool) -> None:
        if self._file is None:
            return
        self._following = False
        found = self._file.find_before(needle, offset) if backwards else self._file.find_after(needle, offset)
        self._show(self._file, found)

    def _seek(self, when: float) -> None:
        if self._file is not None:
            self._following = False
            self._show(self._file, self._file.find_time(when))

    def _show(self, file: LogFile, found: int | None) -> None:
        if found is None:
            self._put(Batch(self._ref, "found", (), at_end=False))
            return
        lines = tuple(file.around(found))
        end = bool(lines) and lines[-1].end >= file.size()
        self._put(Batch(self._ref, "found", lines, at_end=end, found=found))

    # -- the strip ----------------------------------------------------------------------------------------------

    def _open_strip(self, containers: tuple[tuple[str, str], ...]) -> None:
        kept = self._strip
        self._strip = {}
        for id, label in containers:
            if id in kept:
                self._strip[id] = (label, kept.pop(id)[1])
                continue
            try:
                self._strip[id] = (label, LogFile(self._engine.log_file(id)))
            except EngineError:
                continue
        for _, file in kept.values():
            file.close()
        self._strip_sizes = {}
        if not self._strip:
            self._put(Merged((), 0.0))

    def _look_strip(self) -> None:
        for _, file in self._strip.values():
            file.changed()
        sizes = {id: file.size() for id, (_, file) in self._strip.items()}
        if sizes == self._strip_sizes:
            return
        grown = sum(size - self._strip_sizes.get(id, size) for id, size in sizes.items())
        merged: list[tuple[str, Parsed]] = []
        mean = 100.0
        for id, (label, file) in self._strip.items():
            lines = file.before(sizes[id], STRIP_BLOCK)[-STRIP_LINES:]
            if lines:
                mean = max(1.0, (lines[-1].end - lines[0].offset) / len(lines))
            merged += [(label, parse(line.raw)) for line in lines]
        self._strip_sizes = sizes
        merged.sort(key=lambda item: item[1].time)
        rate = self._count(self._strip_rates, max(grown, 0) / mean)
        self._put(Merged(tuple(merged[-STRIP_LINES:]), rate))


__all__ = ["BLOCK", "Batch", "LogReader", "Merged"]
