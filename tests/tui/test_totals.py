"""Totals that are kept from second to second are what they would be if they were made anew."""

from __future__ import annotations

import math
import random

import pytest

from pyctr_tui.samples import KEPT, Ring
from pyctr_tui.totals import LATE, Totals, join_of

METRICS = ("cpu", "psi_io", "memory_limit")
IDS = tuple("abcde")


class Watched:
    """Rings, and how many columns of them were read."""

    def __init__(self) -> None:
        self.rings = {id: Ring(METRICS) for id in IDS}
        self.columns = 0

    def series(self, id: str, metric: str, step: int, columns: int, end: int) -> list[float]:
        self.columns += columns
        return self.rings[id].buckets(metric, step, columns, end)

    def plain(self, metric: str, step: int, columns: int, end: int) -> list[float]:
        """The same without anything kept, value by value."""
        each = [self.rings[id].buckets(metric, step, columns, end) for id in IDS]
        return [join_of(metric)(values) for values in zip(*each, strict=True)]


def same(one: list[float], other: list[float]) -> bool:
    return len(one) == len(other) and all(
        a == pytest.approx(b) or (math.isnan(a) and math.isnan(b)) for a, b in zip(one, other, strict=True)
    )


@pytest.mark.parametrize("step", [1, 2, 7, 60])
def test_what_is_kept_is_as_if_made_anew(step: int) -> None:
    chance = random.Random(step)
    watched = Watched()
    totals = Totals(watched.series)
    most = min(80, KEPT // step - 1)  # what a ring no longer has, nobody can make anew
    second, columns = 10_000, most // 2
    for _ in range(600):
        second += chance.choice((1, 1, 1, 2, 3, 9))
        for number, id in enumerate(IDS):
            if chance.random() < 0.9 and not (number == 1 and second < 10_300):
                value = chance.choice((0.0, chance.random() * 100, math.nan))
                watched.rings[id].append(second, dict.fromkeys(METRICS, value))
        totals.renew()
        end = second // (2 * step) * (2 * step) + 2 * step - 1
        if chance.random() < 0.05:
            columns = chance.randint(2, most)
        if chance.random() < 0.1:
            end -= chance.randint(0, (most - columns) * step)  # somebody scrolls back
        for metric in METRICS:
            assert same(totals.read(IDS, metric, step, columns, end), watched.plain(metric, step, columns, end))


def test_a_second_costs_its_own_columns_alone() -> None:
    watched = Watched()
    totals = Totals(watched.series)
    for second in range(1000, 1100):
        for ring in watched.rings.values():
            ring.append(second, {"cpu": 1.0})
    totals.read(IDS, "cpu", 1, 100, 1100)
    assert watched.columns == 100 * len(IDS)
    watched.columns = 0
    totals.read(IDS, "cpu", 1, 100, 1101)
    assert watched.columns <= (LATE + 4) * len(IDS)
    totals.forget("xyz")
    watched.columns = 0
    totals.read(IDS, "cpu", 1, 100, 1101)
    assert watched.columns < 100, "they have nothing to do with it"
    totals.forget("xb")
    watched.columns = 0
    totals.read(IDS, "cpu", 1, 100, 1101)
    assert watched.columns == 100 * len(IDS)


def ring_of(start: int, values: list[float]) -> Ring:
    ring = Ring(METRICS)
    for at, value in enumerate(values):
        ring.append(start + at, dict.fromkeys(METRICS, value))
    return ring


@pytest.mark.parametrize(
    ("past", "seen"),
    [
        (ring_of(100, [1, 2, 3, 4]), ring_of(102, [7, 8])),
        (ring_of(100, [1, 2]), ring_of(104, [7, 8])),
        (ring_of(100, [1, 2]), ring_of(120, [7, 8])),
        (ring_of(100, [1, 2]), ring_of(5000, [7, 8])),
        (ring_of(110, [1, 2]), ring_of(100, [7, 8])),
        (Ring(METRICS), ring_of(100, [7, 8])),
        (ring_of(100, [1, 2]), Ring(METRICS)),
        (ring_of(100, [float(value) for value in range(900)]), ring_of(900, [7.0] * 900)),
    ],
)
def test_a_recorded_past_stands_before_what_was_seen(past: Ring, seen: Ring) -> None:
    whole = seen.preceded_by(past)
    slow = Ring(METRICS)  # the same reading by reading
    for ring, until in ((past, seen.start if len(seen) else 1 << 40), (seen, 1 << 40)):
        for at, value in enumerate(ring.values["cpu"]):
            if ring.start + at < until:
                slow.append(ring.start + at, dict.fromkeys(METRICS, value))
    end = max(whole.start + len(whole), slow.start + len(slow))
    assert same(whole.buckets("cpu", 1, 800, end), slow.buckets("cpu", 1, 800, end))
