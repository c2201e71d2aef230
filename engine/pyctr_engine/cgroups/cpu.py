"""The cpu controller: bandwidth and weight (and, on v1, what cpuacct counts).

Sources: the kernel's admin-guide/cgroup-v2.rst ("CPU"), admin-guide/cgroup-v1/cpuacct.rst, scheduler/sched-bwc.rst.
"""

from __future__ import annotations

from math import ceil, log2

from pyctr_engine.cgroups import files
from pyctr_engine.cgroups.setting import Setting
from pyctr_engine.errors import InvalidValue
from pyctr_engine.model.spec import Resources
from pyctr_engine.record import dataclass

NAME = "cpu"

# Also joined without a limit: each container is then one entity to the scheduler, however many
# processes it has, and joining costs 20 µs once the first hierarchy has been joined.
ALWAYS = True

PERIOD = 100_000  # µs, docker's (and the kernel's) default
_LEAST_QUOTA = 1_000  # µs, the kernel's minimum


def asked(resources: Resources) -> str:
    """The name of a limit that needs this controller; empty when there is none."""
    if resources.cpus is not None:
        return "cpus"
    return "cpu_shares" if resources.cpu_shares else ""


def settings(resources: Resources, version: int) -> list[Setting]:
    """Limits as writes; raises InvalidValue."""
    found = []
    if resources.cpu_shares:
        shares = _shares(resources.cpu_shares)
        found.append(
            Setting("cpu.weight", str(weight(shares))) if version == 2 else Setting("cpu.shares", str(shares))
        )
    if resources.cpus is not None:
        quota = _quota(resources.cpus)
        if version == 2:
            found.append(Setting("cpu.max", f"{quota} {PERIOD}"))
        else:
            found += [Setting("cpu.cfs_period_us", str(PERIOD)), Setting("cpu.cfs_quota_us", str(quota))]
    return found


def lifted(before: Resources, after: Resources, version: int) -> list[Setting]:
    """Writes that take back the limits which only ``before`` has."""
    found = []
    if before.cpu_shares and not after.cpu_shares:
        found.append(Setting("cpu.weight", "100") if version == 2 else Setting("cpu.shares", "1024"))
    if before.cpus is not None and after.cpus is None:
        found.append(Setting("cpu.max", f"max {PERIOD}") if version == 2 else Setting("cpu.cfs_quota_us", "-1"))
    return found


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


@dataclass(frozen=True, slots=True)
class CpuUsage:
    """Counters, in microseconds and periods of 0.1 s."""

    usage: int = 0
    user: int = 0
    system: int = 0
    periods: int = 0
    throttled_periods: int = 0
    throttled: int = 0


def usage(unified: str, cpu_v1: str, cpuacct_v1: str, limited: bool) -> CpuUsage:
    """What was used, from the directories there are (empty strings for those there aren't).

    The unified tree's cpu.stat has usage and its parts even where the controller belongs to v1;
    throttling is counted where the controller is, and only ``limited`` containers are throttled.
    """
    if unified and not cpu_v1:
        found = files.pick(f"{unified}/cpu.stat", *_SPENT, *_THROTTLED)
        return CpuUsage(*(max(0, value) for value in found))
    spent = files.pick(f"{unified}/cpu.stat", *_SPENT) if unified else _cpuacct(cpuacct_v1)
    throttled = _throttled_v1(cpu_v1) if limited else ()
    return CpuUsage(*(max(0, value) for value in (*spent, *throttled)))


_SPENT = ("usage_usec", "user_usec", "system_usec")
_THROTTLED = ("nr_periods", "nr_throttled", "throttled_usec")


def _cpuacct(directory: str) -> tuple[int, ...]:
    """Nanoseconds as microseconds: all, user's, system's."""
    if not directory:
        return (0, 0, 0)
    return tuple(files.number(f"{directory}/cpuacct.{name}") // 1000 for name in ("usage", "usage_user", "usage_sys"))


def _throttled_v1(directory: str) -> tuple[int, ...]:
    """Periods, throttled periods, and the time throttled: v1 counts it in nanoseconds."""
    if not directory:
        return (0, 0, 0)
    periods, throttled, nanoseconds = files.pick(
        f"{directory}/cpu.stat", "nr_periods", "nr_throttled", "throttled_time"
    )
    return periods, throttled, nanoseconds // 1000
