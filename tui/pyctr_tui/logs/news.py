"""What the reader of logs delivers, and how it is put together."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from typing import Literal

from pyctr_engine.record import dataclass
from pyctr_tui.logs.file import Parsed
from pyctr_tui.logs.merge import Entry, Place, Step

KEPT = 5000
"""Lines the pane keeps: no more are delivered at once."""
Source = tuple[str, str]
"""A container: its id and its name."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Lines for the log pane, and where they stand.

    Attributes:
        sources: Whose.
        how: ``replace`` all, ``append`` newer ones, ``prepend`` older ones; ``found``: replace all and show the
            line ``found``; ``none``: no line was found; ``busy``: looked this far, nothing to show yet.
        lines: In the order of time.
        top: Where the first of them begins: what is before it has not been delivered.
        bottom: Behind the last one.
        at_start: Whether nothing is before them.
        at_end: Whether nothing was behind them.
        rate: Lines a second, when following.
        busy: How much of it has been looked through, from 0 to 1; ``None`` when it isn't going on.
        over: Whether it ended with an error: nothing will follow.
        live: Whether it came by following, and answers nothing that was asked; its ``busy`` counts when it is all
            there is.
        serial: Of the last request that took the place of all before; see `LogReader.serial`.
    """

    sources: tuple[Source, ...]
    how: Literal["replace", "append", "prepend", "found", "none", "busy"]
    lines: tuple[Entry, ...] = ()
    top: Place = ()
    bottom: Place = ()
    at_start: bool = False
    at_end: bool = False
    rate: float = 0.0
    found: tuple[int, int] | None = None
    busy: float | None = None
    error: str = ""
    over: bool = False
    live: bool = False
    serial: int = 0


@dataclass(frozen=True, slots=True)
class Merged:
    """The last lines of several containers in the order of their times: (container's label, line).

    ``until``: those before that time, in seconds since the epoch; ``None`` when they are the newest.
    """

    lines: tuple[tuple[str, Parsed], ...]
    rate: float
    until: float | None = None


class Rate:
    """Lines a second, over the last two seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, float]] = deque(maxlen=20)

    def count(self, lines: float) -> float:
        """Count some more; how many a second there are now."""
        now = time.monotonic()
        self._seen.append((now, lines))
        return sum(count for _, count in self._seen) / max(now - self._seen[0][0], 1.0)

    @property
    def is_flowing(self) -> bool:
        """Whether some came lately."""
        return any(count for _, count in self._seen)


class Gathered:
    """Lines that were walked over, and the place reached."""

    def __init__(self, place: Place, back: bool) -> None:
        self.lines: list[Entry] = []
        self.size = 0
        self._back = back
        self._from = place
        self._edge = list(place)

    @property
    def edge(self) -> Place:
        """How far it went."""
        return tuple(self._edge)

    def add(self, step: Step) -> None:
        """Take a step."""
        if isinstance(step, Entry):
            self.lines.append(step)
            self.size += len(step.raw) + 1
            self._edge[step.source] = step.at if self._back else step.end
        else:
            self._edge[step.source] = step.at

    def batch(
        self,
        sources: tuple[Source, ...],
        how: Literal["replace", "prepend", "append"],
        ended: bool,
        busy: float | None,
        follows: bool = False,
    ) -> Batch:
        """What was gathered since the last time, to be delivered."""
        lines, self.lines = self.lines, []
        start, self._from = self._from, self.edge
        if self._back:
            at_end = follows or how == "replace"
            return Batch(sources, how, tuple(reversed(lines)), self._from, start, ended, at_end, busy=busy)
        return Batch(sources, how, tuple(lines), start, self._from, how == "replace", ended, busy=busy)


def advanced(place: Place, lines: Iterable[Entry]) -> Place:
    """A place after some lines that come next."""
    edge = list(place)
    for line in lines:
        edge[line.source] = line.end
    return tuple(edge)


def retreated(place: Place, lines: Iterable[Entry]) -> Place:
    """A place before some lines that came last, the newest of them first."""
    edge = list(place)
    for line in lines:
        edge[line.source] = line.at
    return tuple(edge)
