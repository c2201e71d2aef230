"""The cpu controller: bandwidth and weight (and, on v1, what cpuacct counts).

Sources: the kernel's admin-guide/cgroup-v2.rst ("CPU"), admin-guide/cgroup-v1/cpuacct.rst, scheduler/sched-bwc.rst.
"""

from __future__ import annotations

from math import ceil, log2

from pyctr_engine.cgroups.setting import Setting
from pyctr_engine.errors import InvalidValue
from pyctr_engine.linux.kept import Opener, number, value
from pyctr_engine.model.spec import Resources

NAME = "cpu"

# Also joined without a limit: each container is then one entity to the scheduler, however many
# processes it has, and joining costs 20 µs once the first hierarchy has been joined.
ALWAYS = True

PERIOD = 100_000  # µs, docker's (and the kernel's) default
_LEAST_QUOTA = 1_000  # µs, the kernel's minimum, of a period too
_MOST_PERIOD = 1_000_000


def asked(resources: Resources) -> str:
    """The name of a limit that needs this controller; empty when there is none."""
    for name in ("cpus", "cpu_quota", "cpu_period", "cpu_burst"):
        if getattr(resources, name) is not None:
            return name
    return "cpu_shares" if resources.cpu_shares else ""


def settings(resources: Resources, version: int) -> list[Setting]:
    """Limits as writes; raises InvalidValue."""
    found = []
    if resources.cpu_shares:
        shares = _shares(resources.cpu_shares)
        found.append(
            Setting("cpu.weight", str(weight(shares))) if version == 2 else Setting("cpu.shares", str(shares))
        )
    quota, period = bandwidth(resources)
    if quota is not None:
        if version == 2:
            found.append(Setting("cpu.max", f"{quota} {period}"))
        else:
            found += [Setting("cpu.cfs_period_us", str(period)), Setting("cpu.cfs_quota_us", str(quota))]
    if resources.cpu_burst:
        found.append(Setting("cpu.max.burst" if version == 2 else "cpu.cfs_burst_us", str(resources.cpu_burst)))
    return found


def lifted(before: Resources, after: Resources, version: int) -> list[Setting]:
    """Writes that take back the limits which only ``before`` has."""
    found = []
    if before.cpu_burst and not after.cpu_burst:  # first: a quota can't become less than its burst
        found.append(Setting("cpu.max.burst" if version == 2 else "cpu.cfs_burst_us", "0"))
    if before.cpu_shares and not after.cpu_shares:
        found.append(Setting("cpu.weight", "100") if version == 2 else Setting("cpu.shares", "1024"))
    if before.cpu_limit is not None and after.cpu_limit is None:
        if version == 2:
            found.append(Setting("cpu.max", f"max {PERIOD}"))
        else:
            found += [Setting("cpu.cfs_quota_us", "-1"), Setting("cpu.cfs_period_us", str(PERIOD))]
    return found


def bandwidth(resources: Resources) -> tuple[int | None, int]:
    """Quota and period in microseconds; no quota without a limit. Raises InvalidValue.

    Source for the bounds: scheduler/sched-bwc.rst, and docker's for what excludes each other.
    """
    quota, period, burst = resources.cpu_quota, resources.cpu_period, resources.cpu_burst
    if resources.cpus is not None:
        if quota is not None or period is not None:
            raise InvalidValue("a number of CPUs and a quota or period of CPU time exclude each other", "keep one")
        quota = _quota(resources.cpus)
    if period is not None and not _LEAST_QUOTA <= period <= _MOST_PERIOD:
        raise InvalidValue(f"a CPU period of {period} µs can't be: it is 1000 to 1000000", "100000 is usual")
    if period is not None and quota is None:
        raise InvalidValue("a CPU period limits nothing without a quota", "set the CPU quota too")
    if quota is not None and quota < _LEAST_QUOTA:
        raise InvalidValue(f"a CPU quota of {quota} µs can't be: the least is 1000", "50000 is half a CPU")
    if burst is not None and (burst < 0 or quota is None or burst > quota):
        raise InvalidValue(
            f"a CPU burst of {burst} µs can't be: it is saved from a quota, and at most as much as that",
            "set a limit of CPU time, and a burst from 0 to its quota",
        )
    return quota, period or PERIOD


def weight(shares: int) -> int:
    """v1 shares (2 to 262144, usually 1024) as a v2 weight (1 to 10000, usually 100).

    The curve through the three points (2, 1), (1024, 100), (262144, 10000), which runc and crun use since 2025.
    The straight line they used before gave 39 for 1024, so asking for the default made a container
    weigh less than not asking.
    """
    power = log2(shares)
    exponent = (power * power + 125 * power) / 612 - 7 / 34
    return ceil(round(10**exponent, 6))


def _shares(shares: int) -> int:
    if not 2 <= shares <= 262144:
        raise InvalidValue(f"cpu shares of {shares} can't be: they go from 2 to 262144", "1024 is usual")
    return shares


def _quota(cpus: float) -> int:
    quota = round(cpus * PERIOD) if 0 < cpus < 1e6 else 0
    if quota < _LEAST_QUOTA:
        raise InvalidValue(f"a limit of {cpus:g} CPUs can't be kept: the least is 0.01", "1.5 is one CPU and a half")
    return quota


class Meter:
    """Reads what was used.

    Attributes:
        values: CPU time, user's and system's (microseconds); periods, throttled periods and throttled microseconds,
            ``None`` without a controller that counts them.
    """

    __slots__ = ("_bandwidth", "_is_v1", "_parts", "_spent", "files", "values")

    def __init__(self, file: Opener, unified: str, cpu_v1: str, cpuacct_v1: str) -> None:
        """From the directories there are; empty strings for those there aren't.

        The unified tree's cpu.stat has usage and its parts even where the controller belongs to v1.
        """
        self.values: list[int | None] = [0, 0, 0, None, None, None]
        self._is_v1 = not unified
        self._spent = file(f"{unified}/cpu.stat" if unified else f"{cpuacct_v1}/cpuacct.usage")
        self._parts = [] if unified else [file(f"{cpuacct_v1}/cpuacct.usage_{part}") for part in ("user", "sys")]
        self._bandwidth = file(f"{cpu_v1}/cpu.stat") if cpu_v1 else None
        self.files = [self._spent, *self._parts, *([self._bandwidth] if self._bandwidth else [])]

    def has_run(self) -> bool:
        """Read it; whether any CPU time was used since the last time. Raises OSError: it is gone."""
        if not self._spent.changed():
            return False
        values = self.values
        if self._is_v1:  # nanoseconds
            values[0] = (number(self._spent.data) or 0) // 1000
            for place, part in enumerate(self._parts, 1):
                part.changed()
                values[place] = (number(part.data) or 0) // 1000
            return True
        data = b"\n" + self._spent.data
        values[0] = value(data, b"\nusage_usec ") or 0
        values[1] = value(data, b"\nuser_usec ") or 0
        values[2] = value(data, b"\nsystem_usec ") or 0
        if self._bandwidth is None and b"\nnr_periods " in data:
            values[3] = value(data, b"\nnr_periods ")
            values[4] = value(data, b"\nnr_throttled ")
            values[5] = value(data, b"\nthrottled_usec ")
        return True

    def read_bandwidth(self, limited: bool) -> None:
        """Read v1's counters of throttling, which stand still (at first at 0) for one that is not ``limited``."""
        if self._bandwidth is None or (not limited and self.values[3] is not None) or not self._bandwidth.changed():
            return
        data = b"\n" + self._bandwidth.data
        self.values[3] = value(data, b"\nnr_periods ")
        self.values[4] = value(data, b"\nnr_throttled ")
        nanoseconds = value(data, b"\nthrottled_time ")
        self.values[5] = None if nanoseconds is None else nanoseconds // 1000
