"""Rates from pairs of readings, and the ring of the last quarter of an hour for each container."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from pyctr_engine.model.rates import between
from pyctr_engine.record import dataclass, field

if TYPE_CHECKING:
    from pyctr_engine.model.stats import HostStats, Stats

KEPT = 900
"""Seconds of history kept for each container."""
SLACK = 300
"""A ring is cut back to `KEPT` when it is this much longer."""
BRIDGED = 3
"""Missing seconds that are filled with the value before: a late reading is no gap."""

UNKNOWN = -1.0

METRICS = (
    "cpu", "throttled", "memory", "anon", "file", "kernel", "read", "write", "rx", "tx", "pids",
    "psi_cpu", "psi_memory", "psi_io", "full_cpu", "full_memory", "full_io",
    "cpu_limit", "memory_limit", "pids_limit",
)  # fmt: skip
"""What a ring keeps of a `Sample`; a limit that there isn't is 0."""
HOST_METRICS = (
    "cpu", "memory", "read", "write", "rx", "tx", "pids",
    "psi_cpu", "psi_memory", "psi_io", "full_cpu", "full_memory", "full_io",
)  # fmt: skip
"""What is kept of the machine, in the same units."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What a container used in the last second; 0 for what this host does not count.

    Attributes:
        cpu: CPUs' worth of time (1.0 is one CPU busy).
        throttled: Share of the scheduler's periods in which it was held back, 0 to 100.
        memory, anon, file, kernel: Bytes.
        read, write, rx, tx: Bytes per second.
        psi_cpu, psi_memory, psi_io: Percent of the last 10 s in which some task waited; NaN when unknown.
        full_cpu, full_memory, full_io: The same for all tasks at once.
        cpu_limit, memory_limit, pids_limit: ``None`` without limit.
    """

    cpu: float = 0.0
    throttled: float = 0.0
    memory: float = 0.0
    anon: float = 0.0
    file: float = 0.0
    kernel: float = 0.0
    read: float = 0.0
    write: float = 0.0
    rx: float = 0.0
    tx: float = 0.0
    pids: float = 0.0
    psi_cpu: float = math.nan
    psi_memory: float = math.nan
    psi_io: float = math.nan
    cpu_limit: float | None = None
    memory_limit: int | None = None
    pids_limit: int | None = None
    full_cpu: float = math.nan
    full_memory: float = math.nan
    full_io: float = math.nan


@dataclass(frozen=True, slots=True)
class HostSample:
    """What the machine uses. ``cpu`` in percent of all CPUs, ``pressure`` the worst of the three, percent.

    ``used`` are `HOST_METRICS` in the units of a container's `Sample`; NaN for what this kernel doesn't tell.
    """

    cpu: float
    cpus: int
    memory_used: int
    memory_total: int
    pressure: float | None
    used: Mapping[str, float] = field(default_factory=dict)


def sample(before: Stats | None, now: Stats) -> Sample:
    """The rates between two readings; without a first one, rates are 0."""
    rate = between(before, now)
    return Sample(
        cpu=rate.cpu,
        throttled=rate.throttled or 0.0,
        memory=now.memory or 0,
        anon=now.anon or 0,
        file=now.file or 0,
        kernel=now.kernel or 0,
        read=rate.read_bytes or 0.0,
        write=rate.write_bytes or 0.0,
        rx=rate.rx_bytes,
        tx=rate.tx_bytes,
        pids=now.pids or 0,
        psi_cpu=_known(now.cpu_pressure.some),
        psi_memory=_known(now.memory_pressure.some),
        psi_io=_known(now.io_pressure.some),
        cpu_limit=now.cpu_limit,
        memory_limit=now.memory_limit,
        pids_limit=now.pids_limit,
        full_cpu=_known(now.cpu_pressure.full),
        full_memory=_known(now.memory_pressure.full),
        full_io=_known(now.io_pressure.full),
    )


def past_of(readings: Sequence[Stats]) -> list[tuple[int, dict[str, float]]]:
    """The last quarter of an hour of what a recorder noted: second (since the epoch) and what a ring keeps of it."""
    if not readings:
        return []
    since = readings[-1].time - KEPT
    return [(int(when), values) for when, values in rates_of(readings) if when > since]


def rates_of(readings: Sequence[Stats], longest: float = math.inf) -> Iterator[tuple[float, dict[str, float]]]:
    """Of a recorder's readings, oldest first: when (seconds since the epoch), and what a ring keeps of it.

    Two that lie further apart than ``longest`` seconds tell nothing of the time between.
    """
    for before, now in pairwise(readings):
        if 0 < now.time - before.time <= longest:
            yield now.time, reading(sample(before, now))


def host_sample(before: HostStats | None, now: HostStats) -> HostSample:
    """The machine between two readings."""
    busy = now.cpu_busy_usec - (before.cpu_busy_usec if before else 0)
    total = now.cpu_total_usec - (before.cpu_total_usec if before else 0)
    known = [
        pressure.some
        for pressure in (now.cpu_pressure, now.memory_pressure, now.io_pressure)
        if pressure.some is not None
    ]
    return HostSample(
        cpu=max(0.0, min(100.0, 100 * busy / total)) if total > 0 else 0.0,
        cpus=now.cpus,
        memory_used=now.memory_used,
        memory_total=now.memory_total,
        pressure=max(known) if known else None,
        used=_host_used(before, now, max(0.0, min(1.0, busy / total)) * now.cpus if total > 0 else 0.0),
    )


def _host_used(before: HostStats | None, now: HostStats, cpu: float) -> dict[str, float]:
    seconds = now.time - before.time if before is not None else 0.0

    def rate(after: int | None, earlier: int | None) -> float:
        if after is None or earlier is None or seconds <= 0:
            return math.nan
        return max(0, after - earlier) / seconds

    return {
        "cpu": cpu,
        "memory": float(now.memory_used),
        "read": rate(now.read_bytes, before.read_bytes if before else None),
        "write": rate(now.write_bytes, before.write_bytes if before else None),
        "rx": rate(now.rx_bytes, before.rx_bytes if before else None),
        "tx": rate(now.tx_bytes, before.tx_bytes if before else None),
        "pids": _known(now.tasks),
        "psi_cpu": _known(now.cpu_pressure.some),
        "psi_memory": _known(now.memory_pressure.some),
        "psi_io": _known(now.io_pressure.some),
        "full_cpu": _known(now.cpu_pressure.full),
        "full_memory": _known(now.memory_pressure.full),
        "full_io": _known(now.io_pressure.full),
    }


def _known(value: float | None) -> float:
    return math.nan if value is None else value


class Ring:
    """The past of one thing, one slot a second, in 4-byte floats; a second without a reading is `UNKNOWN`.

    No metric is ever negative, so a plain ``max`` over a slice is right with unknown seconds in it.

    Attributes:
        start: The second (since the epoch) of the first slot.
        kept: Slots that are kept at least.
        bridged: Missing slots that are filled with the value before: a late reading is no gap.
    """

    __slots__ = ("bridged", "kept", "start", "values")

    def __init__(self, metrics: Sequence[str] = METRICS, kept: int = KEPT, bridged: int = BRIDGED) -> None:
        self.start = 0
        self.kept = kept
        self.bridged = bridged
        self.values: dict[str, array[float]] = {metric: array("f") for metric in metrics}

    def __len__(self) -> int:
        return len(next(iter(self.values.values())))

    def append(self, second: int, reading: Mapping[str, float]) -> None:
        """Keep a reading of ``second``; one of a second that is there already replaces it."""
        length = len(self)
        if not length:
            self.start = second
        missing = second - (self.start + length)
        if missing < -1:
            return
        if missing > self.kept:
            self.start = second
            for values in self.values.values():
                del values[:]
            missing = 0
        for metric, values in self.values.items():
            value = reading.get(metric, UNKNOWN)
            if value != value:
                value = UNKNOWN
            if missing == -1:
                values[-1] = value
                continue
            if missing:
                values.extend([values[-1] if missing <= self.bridged else UNKNOWN] * missing)
            values.append(value)
        if len(self) > self.kept + SLACK:
            surplus = len(self) - self.kept
            for values in self.values.values():
                del values[:surplus]
            self.start += surplus

    def preceded_by(self, past: Ring) -> Ring:
        """One with an earlier past before this one's; where both know a second, this one is right."""
        if not len(self):
            return past
        earlier = min(len(past), self.start - past.start)
        gap = self.start - past.start - earlier
        if earlier <= 0 or gap > self.kept:
            return self
        whole = Ring(tuple(self.values), self.kept, self.bridged)
        surplus = max(0, earlier + gap + len(self) - self.kept - SLACK)
        whole.start = past.start + surplus
        for metric, values in self.values.items():
            known = past.values[metric][:earlier]
            between = array("f", [known[-1] if gap <= self.bridged else UNKNOWN]) * gap
            whole.values[metric] = (known + between + values)[surplus:]
        return whole

    def buckets(self, metric: str, step: int, columns: int, end: int) -> list[float]:
        """``columns`` values, each the highest of ``step`` seconds, the last holding second ``end``.

        Buckets are counted from the epoch, so the same second is always in the same one.
        """
        values = self.values[metric]
        low = (end // step - columns + 1) * step - self.start
        before = min(columns, -(low // step) if low < 0 else 0)  # columns that begin before the first slot
        out = [math.nan] * before
        if before and (cut := low + before * step) > 0:
            out[-1] = _highest(values[:cut])
        low += before * step
        high = min(low + (columns - before) * step, len(values))
        tops = _highest_of_each(values[low:high], step)
        out += tops if min(tops, default=0) >= 0 else [top if top >= 0 else math.nan for top in tops]
        return out + [math.nan] * (columns - len(out))

    def last(self, metric: str, count: int) -> list[float]:
        """The last ``count`` seconds, fewer when there are fewer."""
        return [value if value >= 0 else math.nan for value in self.values[metric][-count:]]


def _highest_of_each(values: array[float], step: int) -> list[float]:
    """The highest of every ``step`` values; this is done thousands of times for a large stack."""
    if step == 1:
        return values.tolist()
    whole = len(values) // step * step
    tops = list(map(max, zip(*[iter(values[:whole])] * step, strict=True)))
    return [*tops, max(values[whole:])] if whole < len(values) else tops


def _highest(values: Sequence[float]) -> float:
    top = max(values, default=UNKNOWN)
    return top if top >= 0 else math.nan


def reading(sample: Sample) -> dict[str, float]:
    """A sample as a ring keeps it."""
    return {metric: getattr(sample, metric) or 0.0 for metric in METRICS}
