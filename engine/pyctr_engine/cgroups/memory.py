"""The memory controller: limits, what is charged, and the OOM killer's count.

Sources: admin-guide/cgroup-v2.rst ("Memory"), admin-guide/cgroup-v1/memory.rst; docker's meaning of its options
is in docs.docker.com/engine/containers/resource_constraints.
"""

from __future__ import annotations

from pyctr_engine.cgroups import files
from pyctr_engine.cgroups.setting import Setting
from pyctr_engine.errors import InvalidValue, Unsupported
from pyctr_engine.linux.kept import Opener, number, value
from pyctr_engine.model.spec import Resources

NAME = "memory"

# Also joined without a limit: nothing else says how much memory a container uses.
ALWAYS = True

LEAST = 6 << 20  # bytes; docker's minimum: below it nothing gets as far as its first instruction


def asked(resources: Resources) -> str:
    """The name of a limit that needs this controller; empty when there is none."""
    for name in ("memory", "memory_swap", "memory_reservation", "memory_high", "memory_swappiness"):
        if getattr(resources, name) is not None:
            return name
    if resources.oom_group:
        return "oom_group"
    return "oom_kill_disable" if resources.oom_kill_disable else ""


def settings(resources: Resources, version: int) -> list[Setting]:
    """Limits as writes, in the order the kernel takes them; raises InvalidValue, Unsupported."""
    _check(resources)
    v2 = version == 2
    _check_version(resources, v2)
    found = []
    if resources.memory is not None:
        # v1 refuses a limit of memory and swap below the limit of memory: memory goes first.
        found.append(Setting("memory.max" if v2 else "memory.limit_in_bytes", str(resources.memory)))
        found += _swap(resources.memory, resources.memory_swap, v2)
    if resources.memory_reservation is not None:
        name = "memory.low" if v2 else "memory.soft_limit_in_bytes"
        found.append(Setting(name, str(resources.memory_reservation)))
    if resources.memory_high is not None:
        found.append(Setting("memory.high", str(resources.memory_high)))
    if resources.memory_swappiness is not None:
        found.append(Setting("memory.swappiness", str(resources.memory_swappiness)))
    if resources.oom_group:
        found.append(Setting("memory.oom.group", "1"))
    if resources.oom_kill_disable:
        found.append(Setting("memory.oom_control", "1"))
    return found


def lifted(before: Resources, after: Resources, version: int) -> list[Setting]:
    """Writes that take back the limits which only ``before`` has."""
    v2 = version == 2
    found = []
    if before.memory is not None and after.memory is None:
        # memory and swap together first: v1 refuses a limit of memory above it. A kernel may lack that file.
        found.append(
            Setting("memory.swap.max" if v2 else "memory.memsw.limit_in_bytes", "max" if v2 else "-1", False)
        )
        found.append(Setting("memory.max" if v2 else "memory.limit_in_bytes", "max" if v2 else "-1"))
    if before.memory_reservation is not None and after.memory_reservation is None:
        found.append(Setting("memory.low", "0") if v2 else Setting("memory.soft_limit_in_bytes", "-1"))
    if before.memory_high is not None and after.memory_high is None:
        found.append(Setting("memory.high", "max"))
    if before.memory_swappiness is not None and after.memory_swappiness is None:
        found.append(Setting("memory.swappiness", files.read("/proc/sys/vm/swappiness").strip()))
    if before.oom_group and not after.oom_group:
        found.append(Setting("memory.oom.group", "0"))
    if before.oom_kill_disable and not after.oom_kill_disable:
        found.append(Setting("memory.oom_control", "0"))
    return found


def _swap(memory: int, total: int | None, v2: bool) -> list[Setting]:
    """The limit of swap: ``total`` is memory and swap together, -1 unlimited, ``None`` as much swap as memory."""
    asked_for = total is not None
    if total is None:
        total = 2 * memory
    if v2:
        return [Setting("memory.swap.max", "max" if total == -1 else str(total - memory), asked_for)]
    return [Setting("memory.memsw.limit_in_bytes", str(total), asked_for)]


def _check_version(resources: Resources, v2: bool) -> None:
    """Refuse what only the other version's controller can do. Raises Unsupported."""
    if v2 and resources.memory_swappiness is not None:
        raise Unsupported(
            "the swappiness of one container can't be set: cgroup v2 has none, all go by the host's",
            "leave it out, or change the host's: `sysctl vm.swappiness`",
        )
    if v2 and resources.oom_kill_disable:
        raise Unsupported(
            "the OOM killer can't be kept away from a container: cgroup v2 has no such switch",
            "leave it out; --memory-high slows a container down before its limit is reached",
        )
    if not v2 and resources.memory_high is not None:
        raise Unsupported(
            "a container can't be slowed down above so much memory: that needs memory.high of cgroup v2",
            "leave --memory-high out, or boot with systemd.unified_cgroup_hierarchy=1",
        )
    if not v2 and resources.oom_group:
        raise Unsupported(
            "a container can't be killed as a whole when memory runs out: that needs memory.oom.group of cgroup v2",
            "leave --oom-group out, or boot with systemd.unified_cgroup_hierarchy=1",
        )


def _check(resources: Resources) -> None:
    memory, total = resources.memory, resources.memory_swap
    high, swappiness = resources.memory_high, resources.memory_swappiness
    if high is not None and high < LEAST:
        raise InvalidValue(f"slowing down from {high} bytes on can't be: the least is 6 MiB", "write 6m or more")
    if swappiness is not None and not 0 <= swappiness <= 100:
        raise InvalidValue(f"a swappiness of {swappiness} can't be: it is 0 to 100", "60 is usual")
    if resources.oom_kill_disable and memory is None:
        raise InvalidValue(
            "without a limit of memory the OOM killer can't be kept away: the whole host would stand still",
            "set the memory limit too",
        )
    if memory is not None and memory < LEAST:
        raise InvalidValue(f"a memory limit of {memory} bytes can't be: the least is 6 MiB", "write 6m or more")
    if total is None:
        return
    if memory is None:
        raise InvalidValue("a limit of memory and swap needs a limit of memory", "set the memory limit too")
    if total != -1 and total < memory:
        raise InvalidValue(
            f"memory and swap together ({total} bytes) can't be less than memory ({memory} bytes)",
            "the same value means no swap, -1 unlimited swap",
        )


CURRENT, PEAK, ANON, FILE, KERNEL, SWAP, WORKING_SET, OOM, OOM_KILL, MAX, HIGH = range(11)
"""Places in a meter's values: bytes, then counters of events."""


_NEAR = 4 << 20
"""Bytes below a limit from which on it may have held something back: what is charged at once is less."""


class Meter:
    """Reads what is charged.

    Attributes:
        values: See the places above; ``None`` for what this kernel does not tell.
    """

    __slots__ = ("_current", "_inactive", "_peak", "_stat", "files", "values")

    def __init__(self, file: Opener, directory: str, names: tuple[str, str, str]) -> None:
        self.values: list[int | None] = [None] * 11
        self._inactive: int | None = None
        self._current, self._peak, self._stat = (file(f"{directory}/{name}") for name in names)
        self.files = [self._current, self._peak, self._stat]

    def read(self, whole: bool, limit: int | None, killed: bool, swaps: bool) -> None:
        """Read it.

        Args:
            whole: Read everything; else the parts only when the sum has changed.
            limit: The least of its limits; one that it never came near can't have held it back.
            killed: Whether the kernel has killed anything, anywhere, since the last time.
            swaps: Whether this machine has any swap.
        """
        values = self.values
        changed = self._current.changed()
        if self._peak.changed():
            values[PEAK] = number(self._peak.data)
        if changed or whole:
            self._take_current()
        if swaps or whole:
            self._read_swap()
        peak = values[PEAK]
        limited = limit is not None and (peak is None or peak + _NEAR >= limit)
        if limited or killed or whole:
            self._read_events(limited, killed or whole)

    def read_parts(self) -> None:
        """Read what others may have changed: how much is charged, and the parts of it."""
        self._current.changed()
        self._take_current()

    def _take_current(self) -> None:
        """Parse the sum, which was read, and read its parts."""
        values = self.values
        current = values[CURRENT] = number(self._current.data)
        if self._stat.changed():
            self._read_parts(b"\n" + self._stat.data)
        self._read_rest()
        if current is not None and self._inactive is not None:
            values[WORKING_SET] = max(0, current - self._inactive)

    def _read_parts(self, data: bytes) -> None:
        raise NotImplementedError

    def _read_rest(self) -> None:
        """What changes with the parts and is in files of its own."""

    def _read_swap(self) -> None:
        """What is swapped out."""

    def _read_events(self, limited: bool, killed: bool) -> None:
        raise NotImplementedError


class MeterV1(Meter):
    """v1's. What lies below is included, where v1 can tell: ``total_`` in ``memory.stat``."""

    __slots__ = ("_failcnt", "_kernel", "_oom", "_swap_failcnt")

    def __init__(self, file: Opener, directory: str) -> None:
        super().__init__(file, directory, ("memory.usage_in_bytes", "memory.max_usage_in_bytes", "memory.stat"))
        self._kernel = file(f"{directory}/memory.kmem.usage_in_bytes")
        self._failcnt = file(f"{directory}/memory.failcnt")
        self._swap_failcnt = file(f"{directory}/memory.memsw.failcnt")
        self._oom = file(f"{directory}/memory.oom_control")
        self.files += [self._kernel, self._failcnt, self._swap_failcnt, self._oom]

    def _read_parts(self, data: bytes) -> None:
        values = self.values
        values[ANON] = value(data, b"\ntotal_rss ")
        values[FILE] = value(data, b"\ntotal_cache ")
        values[SWAP] = value(data, b"\ntotal_swap ")
        self._inactive = value(data, b"\ntotal_inactive_file ")

    def _read_rest(self) -> None:
        if self._kernel.changed():
            self.values[KERNEL] = number(self._kernel.data)

    def _read_events(self, limited: bool, killed: bool) -> None:
        if limited or self.values[MAX] is None:
            both = (self._failcnt, self._swap_failcnt)  # a charge that is refused counts in one of them
            if sum(file.changed() for file in both):
                self.values[MAX] = sum(number(file.data) or 0 for file in both)
        if killed and self._oom.changed():
            self.values[OOM_KILL] = value(b"\n" + self._oom.data, b"\noom_kill ")
        if self.values[OOM_KILL] and not self.values[MAX]:
            self.values[MAX] = None  # this kernel counts none: without reaching a limit nothing is killed


class MeterV2(Meter):
    """v2's."""

    __slots__ = ("_events", "_swapped")

    def __init__(self, file: Opener, directory: str) -> None:
        super().__init__(file, directory, ("memory.current", "memory.peak", "memory.stat"))
        self._events = file(f"{directory}/memory.events")
        self._swapped = file(f"{directory}/memory.swap.current")
        self.files += [self._events, self._swapped]

    def _read_parts(self, data: bytes) -> None:
        values = self.values
        values[ANON] = value(data, b"\nanon ")
        values[FILE] = value(data, b"\nfile ")
        self._inactive = value(data, b"\ninactive_file ")
        kernel = value(data, b"\nkernel ")
        if kernel is None:  # before Linux 5.18
            parts = [value(data, part) for part in _KERNEL_PARTS]
            kernel = sum(part for part in parts if part is not None)
        values[KERNEL] = kernel

    def _read_swap(self) -> None:
        if self._swapped.changed():
            self.values[SWAP] = number(self._swapped.data)

    def _read_events(self, limited: bool, killed: bool) -> None:
        if self._events.changed():
            data = b"\n" + self._events.data
            for place, key in ((OOM, b"\noom "), (OOM_KILL, b"\noom_kill "), (MAX, b"\nmax "), (HIGH, b"\nhigh ")):
                self.values[place] = value(data, key)


_KERNEL_PARTS = (b"\nkernel_stack ", b"\npagetables ", b"\npercpu ", b"\nslab ", b"\nvmalloc ")


def meter(file: Opener, directory: str, version: int) -> Meter:
    """The one of a version's controller."""
    return MeterV2(file, directory) if version == 2 else MeterV1(file, directory)
