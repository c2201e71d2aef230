"""What a monitor recorded of a container, further back than the ring of seconds: an hour at 2 s, a day at a minute.

A slot is the mean of its time, as the recorder's own figures are, and goes on being kept while the program runs.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from pyctr_engine.record import dataclass
from pyctr_tui.samples import METRICS, UNKNOWN, Ring, past_of, rates_of
from pyctr_tui.view import event_view

if TYPE_CHECKING:
    from pyctr_engine.engine import Engine
    from pyctr_engine.model.past import History
    from pyctr_tui.view import EventView

Reading = tuple[float, Mapping[str, float]]

FINE, COARSE = 2, 60
"""Seconds of a slot."""
FINE_KEPT, COARSE_KEPT = 1800, 1440
EVENTS_MOST = 500
"""Events of a container's past that are kept."""
LONGEST = 3
"""Periods that two readings may lie apart to tell what was between them: a recorder that is late is no gap."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A recorder's past as rates; ``near`` is the last quarter of an hour by the second.

    Made where it is read, not where it is shown: for a stack of hundreds that takes seconds.
    """

    near: Ring
    past: Past
    events: tuple[EventView, ...] = ()


def read(engine: Engine, ids: Sequence[str]) -> dict[str, Recorded]:
    """All that is known of the past of these containers. Raises EngineError."""
    happened: dict[str, list[EventView]] = {id: [] for id in ids}
    for event in engine.events(since=time.time() - COARSE * COARSE_KEPT, follow=False):
        of = event.attributes.get("container", "") or event.id
        if of in happened:
            happened[of].append(event_view(event))
    return {id: recorded(engine.history(id), happened[id][-EVENTS_MOST:]) for id in ids}


def recorded(history: History, events: Sequence[EventView] = ()) -> Recorded:
    """What the engine tells of a container's past, as rates."""
    near, past = Ring(), Past()
    for second, values in past_of(history.fine):
        near.append(second, values)
    past.fill(rates_of(history.fine, LONGEST * FINE), rates_of(history.coarse, LONGEST * COARSE))
    return Recorded(near, past, tuple(events))


class Past:
    """The past of one thing in two resolutions."""

    __slots__ = ("_cache", "_coarse", "_count", "_fine", "_sums")

    def __init__(self, metrics: Sequence[str] = METRICS) -> None:
        # The recorder's clock and the seconds' don't beat together: one slot may be left out between two.
        self._fine = Ring(metrics, FINE_KEPT, bridged=1)
        self._coarse = Ring(metrics, COARSE_KEPT, bridged=1)
        self._sums: dict[str, float] = {}
        self._count = 0
        self._cache: dict[tuple[str, int], tuple[tuple[int, int, int], list[float]]] = {}

    @property
    def first(self) -> int:
        """The first second that is known; 0 when nothing is."""
        known = [ring.start * period for ring, period in ((self._fine, FINE), (self._coarse, COARSE)) if len(ring)]
        return min(known, default=0)

    def fill(self, fine: Iterable[Reading], coarse: Iterable[Reading]) -> None:
        """Take in what was recorded, oldest first; before anything is added."""
        for ring, period, readings in ((self._fine, FINE, fine), (self._coarse, COARSE, coarse)):
            for when, values in readings:
                ring.append(int(when) // period, values)
        self._cache.clear()

    def follow(self, ring: Ring) -> None:
        """Take in what was seen, second by second, after what was recorded."""
        start = (self._fine.start + len(self._fine)) * FINE if len(self._fine) else 0
        for at in range(len(ring)):
            if ring.start + at >= start:
                values = {metric: slots[at] for metric, slots in ring.values.items()}
                if values["cpu"] != UNKNOWN:
                    self.add(ring.start + at, values)

    def add(self, second: int, values: Mapping[str, float]) -> None:
        """Go on with a reading of now."""
        self._fine.append(second // FINE, values)
        slot = second // COARSE
        if not len(self._coarse) or slot != self._coarse.start + len(self._coarse) - 1:
            self._sums, self._count = {}, 0
        self._count += 1
        mean = {}
        for metric, value in values.items():
            total = self._sums[metric] = self._sums.get(metric, 0.0) + (value if value > 0 else 0.0)
            mean[metric] = total / self._count if value >= 0 else math.nan
        self._coarse.append(slot, mean)

    def buckets(self, metric: str, step: int, columns: int, end: int) -> list[float]:
        """As `Ring.buckets`: columns of minutes from the minutes, finer ones from both. Renewed every minute."""
        state = (columns, end // step, (self._coarse.start + len(self._coarse)))
        known = self._cache.get((metric, step))
        if known is not None and known[0] == state:
            return known[1]
        first = (end // step - columns + 1) * step
        fine = _spread(self._fine, FINE, metric, step, columns, first)
        coarse = _spread(self._coarse, COARSE, metric, step, columns, first)
        better, other = (coarse, fine) if step >= COARSE else (fine, coarse)
        found = [a if a == a else b for a, b in zip(better, other, strict=True)]
        self._cache[metric, step] = state, found
        return found


def _spread(ring: Ring, period: int, metric: str, step: int, columns: int, first: int) -> list[float]:
    """The highest of each column's slots; a slot longer than a column is in all that it covers."""
    values = ring.values[metric]
    known_from, known_to = ring.start * period, (ring.start + len(values)) * period
    begin = min(max((known_from - first) // step, 0), columns)
    end = min(max(-((first - known_to) // step), begin), columns) if values else begin
    out = [math.nan] * begin
    for start in range(first + begin * step, first + end * step, step):
        low = start // period - ring.start
        high = (start + step - 1) // period - ring.start + 1
        out.append(_highest(values[max(low, 0) : high]))
    return out + [math.nan] * (columns - end)


def _highest(values: Iterable[float]) -> float:
    top = max(values, default=UNKNOWN)
    return top if top >= 0 else math.nan
