"""Rates between two readings."""

from __future__ import annotations

import pytest

from pyctr_engine.model.rates import Rates, between
from pyctr_engine.model.stats import Stats


def test_rates_are_differences_over_the_readings_own_time() -> None:
    before = Stats(
        10.0, 1_000_000, 600_000, 400_000, read_bytes=0, write_bytes=10, read_ops=1, write_ops=2, rx_bytes=5
    )
    after = Stats(
        12.0, 4_000_000, 3_000_000, 1_000_000, read_bytes=100, write_bytes=10, read_ops=5, write_ops=4, rx_bytes=25,
        periods=30, throttled_periods=6,
    )  # fmt: skip
    found = between(before, after)
    assert (found.seconds, found.cpu, found.user, found.system) == (2.0, 1.5, 1.2, 0.3)
    assert (found.read_bytes, found.write_bytes, found.read_ops, found.write_ops) == (50, 0, 2, 1)
    assert (found.rx_bytes, found.tx_bytes) == (10, 0)
    assert found.throttled is None, "one of the two does not know"


def test_a_hundred_percent_is_one_core_or_all_that_it_may_have() -> None:
    rates = Rates(1.0, cpu=1.5)
    assert rates.cpu_percent == 150
    assert rates.cpu_percent_of(2.0) == 75
    assert rates.cpu_percent_of(0.0) == 0


@pytest.mark.parametrize("before", [None, Stats(5.0, 9), Stats(5.0, 1), Stats(6.0, 1)])
def test_without_two_readings_of_one_run_all_is_zero(before: Stats | None) -> None:
    """None, one of the run before a restart, one of the same moment, one of a moment after."""
    found = between(before, Stats(5.0, 5, read_bytes=7, periods=4, throttled_periods=4))
    assert (found.seconds, found.cpu, found.rx_bytes) == (0.0, 0.0, 0.0)
    assert not found.read_bytes


def test_throttling_is_a_share_of_the_periods() -> None:
    def reading(time: float, periods: int, held_back: int) -> Stats:
        return Stats(time, periods=periods, throttled_periods=held_back)

    assert between(reading(1, 10, 1), reading(2, 20, 4)).throttled == 30
    assert between(reading(1, 10, 1), reading(2, 10, 1)).throttled == 0
    assert between(None, reading(2, 10, 1)).throttled == 0


def test_counters_that_began_anew_are_no_negative_rates() -> None:
    found = between(Stats(1.0, 5, rx_bytes=100, read_bytes=50), Stats(2.0, 6, rx_bytes=1, read_bytes=2))
    assert (found.rx_bytes, found.read_bytes) == (0, 0)
