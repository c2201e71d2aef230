"""What was used per second between two readings: the one place where that is computed."""

from __future__ import annotations

from pyctr_engine.model.stats import Stats
from pyctr_engine.record import dataclass


@dataclass(frozen=True, slots=True)
class Rates:
    """Between two readings; ``None`` where the kernel doesn't count.

    Attributes:
        seconds: How long that was; 0 without two readings of the same run, and then all rates are 0.
        cpu, user, system: CPUs' worth of time: 1.0 is one core busy all the time.
        throttled: Percent of the scheduler's periods in which it was held back.
        read_bytes, write_bytes, read_ops, write_ops: Per second, all disks.
        rx_bytes, tx_bytes, rx_packets, tx_packets: Per second, as the container sees it.
    """

    seconds: float = 0.0
    cpu: float = 0.0
    user: float = 0.0
    system: float = 0.0
    throttled: float | None = None
    read_bytes: float | None = None
    write_bytes: float | None = None
    read_ops: float | None = None
    write_ops: float | None = None
    rx_bytes: float = 0.0
    tx_bytes: float = 0.0
    rx_packets: float = 0.0
    tx_packets: float = 0.0

    @property
    def cpu_percent(self) -> float:
        """100 is one core busy all the time, as in docker: two busy cores are 200."""
        return 100 * self.cpu

    def cpu_percent_of(self, cpus: float) -> float:
        """100 is all of ``cpus``: a container's limit, or what the machine has."""
        return 100 * self.cpu / cpus if cpus > 0 else 0.0


def between(before: Stats | None, after: Stats) -> Rates:
    """The rates between two readings, by the readings' own times; zeros when it began, or began anew, in between."""
    seconds = after.time - before.time if before is not None else 0.0
    if before is None or seconds <= 0 or after.cpu_usec < before.cpu_usec:
        before, seconds = after, 0.0

    def rate(now: int, then: int) -> float:
        return max(0, now - then) / seconds if seconds else 0.0

    def known(now: int | None, then: int | None) -> float | None:
        return None if now is None or then is None else rate(now, then)

    return Rates(
        seconds,
        rate(after.cpu_usec, before.cpu_usec) / 1e6,
        rate(after.user_usec, before.user_usec) / 1e6,
        rate(after.system_usec, before.system_usec) / 1e6,
        _throttled(before, after),
        known(after.read_bytes, before.read_bytes),
        known(after.write_bytes, before.write_bytes),
        known(after.read_ops, before.read_ops),
        known(after.write_ops, before.write_ops),
        rate(after.rx_bytes, before.rx_bytes),
        rate(after.tx_bytes, before.tx_bytes),
        rate(after.rx_packets, before.rx_packets),
        rate(after.tx_packets, before.tx_packets),
    )


def _throttled(before: Stats, after: Stats) -> float | None:
    if None in (before.periods, after.periods, before.throttled_periods, after.throttled_periods):
        return None
    periods = (after.periods or 0) - (before.periods or 0)
    held_back = (after.throttled_periods or 0) - (before.throttled_periods or 0)
    return 100 * max(0, held_back) / periods if periods > 0 else 0.0
