"""What several containers use together, column by column; kept, so that a second costs its own columns alone."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence

from pyctr_tui.samples import BRIDGED

Series = Callable[[str, str, int, int, int], list[float]]
"""One container's past: id, metric, seconds of a column, columns, the last one's end; NaN where nothing is known."""
Join = Callable[[Sequence[float]], float]
LATE = BRIDGED + 2
"""Seconds in which what is past may still change: readings come late, and bridge a gap before them."""
OPEN = 2
"""Columns at the end that time has not filled yet: a cell has two, and is drawn whole."""
MOST = 256
"""Series that are kept: all metrics of a dozen subjects."""


class Totals:
    """Sums over containers, from the series of each; of shares of time the worst, of limits 0 where one has none."""

    def __init__(self, series: Series) -> None:
        self._series = series
        self._kept: OrderedDict[tuple[tuple[str, ...], str, int], tuple[int, list[float], int]] = OrderedDict()
        self._reading = 0

    def renew(self) -> None:
        """There is a new reading of all: until the next one, what is read twice is the same."""
        self._reading += 1

    def forget(self, ids: Collection[str]) -> None:
        """What was kept of these is no longer right: more of their past has become known."""
        for key in [key for key in self._kept if not set(key[0]).isdisjoint(ids)]:
            del self._kept[key]

    def read(self, ids: tuple[str, ...], metric: str, step: int, columns: int, end: int) -> list[float]:
        """``columns`` values, each of ``step`` seconds, the last holding second ``end``."""
        key, last = (ids, metric, step), end // step
        before = last - columns
        kept_last, kept, reading = self._kept.get(key, (before, [], 0))
        kept_before = kept_last - len(kept)
        if reading == self._reading and kept_last == last and kept_before <= before:
            return kept[before - kept_before :]
        settled = min(last, kept_last - OPEN - -(-LATE // step))
        if kept_before > before or settled < before:
            settled = before
        found = kept[before - kept_before : settled - kept_before]
        if fresh := last - settled:
            found += joined([self._series(id, metric, step, fresh, end) for id in ids], join_of(metric))
        if last >= kept_last:
            self._kept[key] = last, found, self._reading
            self._kept.move_to_end(key)
            if len(self._kept) > MOST:
                self._kept.popitem(last=False)
        return found


def join_of(metric: str) -> Join:
    """How several containers' values of a metric become one."""
    return worst if metric.startswith(("psi", "full", "throttled")) else limit if metric.endswith("_limit") else total


def joined(each: Sequence[Sequence[float]], join: Join) -> list[float]:
    """Several series as one: `total`, `worst` or `limit` of what is known of each column."""
    found = []
    for values in zip(*each, strict=True):
        summed = sum(values)
        if summed != summed:  # something is unknown, or all
            found.append(join(values if values.count(math.nan) < len(values) else ()))
        elif join is worst:
            found.append(max(values))
        else:
            found.append(0.0 if join is limit and not min(values) else summed)
    return found


def total(values: Sequence[float]) -> float:
    """The sum of what is known."""
    known = [value for value in values if value == value]
    return sum(known) if known else math.nan


def limit(values: Sequence[float]) -> float:
    """The sum of what is known, 0 for none: that is what any of them makes of it that has no limit."""
    known = [value for value in values if value == value]
    return sum(known) if known and all(known) else 0.0


def worst(values: Sequence[float]) -> float:
    """The highest of what is known."""
    return max((value for value in values if value == value), default=math.nan)
