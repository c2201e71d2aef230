"""The memory controller: limits, what is charged, and the OOM killer's count.

Sources: admin-guide/cgroup-v2.rst ("Memory"), admin-guide/cgroup-v1/memory.rst; docker's meaning of its options
is in docs.docker.com/engine/containers/resource_constraints.
"""

from __future__ import annotations

from pyctr_engine.cgroups import files
from pyctr_engine.cgroups.setting import Setting
from pyctr_engine.errors import InvalidValue
from pyctr_engine.model.spec import Resources
from pyctr_engine.record import dataclass

NAME = "memory"

# Also joined without a limit: nothing else says how much memory a container uses.
ALWAYS = True

LEAST = 6 << 20  # bytes; docker's minimum: below it nothing gets as far as its first instruction


def asked(resources: Resources) -> str:
    """The name of a limit that needs this controller; empty when there is none."""
    if resources.memory is not None:
        return "memory"
    if resources.memory_swap is not None:
        return "memory_swap"
    return "memory_reservation" if resources.memory_reservation is not None else ""


def settings(resources: Resources, version: int) -> list[Setting]:
    """Limits as writes, in the order the kernel takes them; raises InvalidValue."""
    _check(resources)
    v2 = version == 2
    found = []
    if resources.memory is not None:
        # v1 refuses a limit of memory and swap below the limit of memory: memory goes first.
        found.append(Setting("memory.max" if v2 else "memory.limit_in_bytes", str(resources.memory)))
        found += _swap(resources.memory, resources.memory_swap, v2)
    if resources.memory_reservation is not None:
        name = "memory.low" if v2 else "memory.soft_limit_in_bytes"
        found.append(Setting(name, str(resources.memory_reservation)))
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
    return found


def _swap(memory: int, total: int | None, v2: bool) -> list[Setting]:
    """The limit of swap: ``total`` is memory and swap together, -1 unlimited, ``None`` as much swap as memory."""
    asked_for = total is not None
    if total is None:
        total = 2 * memory
    if v2:
        return [Setting("memory.swap.max", "max" if total == -1 else str(total - memory), asked_for)]
    return [Setting("memory.memsw.limit_in_bytes", str(total), asked_for)]


def _check(resources: Resources) -> None:
    memory, total = resources.memory, resources.memory_swap
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


@dataclass(frozen=True, slots=True)
class MemoryUsage:
    """Bytes charged and their parts, and how many processes the OOM killer took."""

    usage: int = 0
    anon: int = 0
    file: int = 0
    kernel: int = 0
    swap: int = 0
    oom_kills: int = 0


def usage(directory: str, version: int) -> MemoryUsage:
    """One reading; zeros where there is nothing to read."""
    return _usage_v2(directory) if version == 2 else _usage_v1(directory)


def _usage_v2(directory: str) -> MemoryUsage:
    anon, file, kernel, *older = files.pick(f"{directory}/memory.stat", "anon", "file", "kernel", *_KERNEL_PARTS)
    if kernel < 0:  # before Linux 5.18
        kernel = sum(max(0, value) for value in older)
    return MemoryUsage(
        usage=files.number(f"{directory}/memory.current"),
        anon=max(0, anon),
        file=max(0, file),
        kernel=kernel,
        swap=files.number(f"{directory}/memory.swap.current"),
        oom_kills=max(0, *files.pick(f"{directory}/memory.events", "oom_kill")),
    )


_KERNEL_PARTS = ("kernel_stack", "pagetables", "percpu", "slab", "vmalloc")


def _usage_v1(directory: str) -> MemoryUsage:
    anon, file, swap = files.pick(f"{directory}/memory.stat", "total_rss", "total_cache", "total_swap")
    return MemoryUsage(
        usage=files.number(f"{directory}/memory.usage_in_bytes"),
        anon=max(0, anon),
        file=max(0, file),
        kernel=files.number(f"{directory}/memory.kmem.usage_in_bytes"),
        swap=max(0, swap),
        oom_kills=max(0, *files.pick(f"{directory}/memory.oom_control", "oom_kill")),
    )
