"""The memory controller: limits, what is charged, and the OOM killer's count.

Sources: admin-guide/cgroup-v2.rst ("Memory"), admin-guide/cgroup-v1/memory.rst; docker's meaning of its options
is in docs.docker.com/engine/containers/resource_constraints.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyctr_engine.cgroups import files
from pyctr_engine.cgroups.setting import Setting
from pyctr_engine.errors import InvalidValue
from pyctr_engine.model.spec import Resources

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


def usage(directory: str, version: int, swap: bool = True) -> MemoryUsage:
    """One reading. ``swap`` false saves v2 a file when the host has no swap."""
    return _usage_v2(directory, swap) if version == 2 else _usage_v1(directory)


def _usage_v2(directory: str, swap: bool) -> MemoryUsage:
    stat = files.table(f"{directory}/memory.stat")
    kernel = stat.get("kernel")
    if kernel is None:  # before Linux 5.18
        kernel = sum(stat.get(key, 0) for key in ("kernel_stack", "pagetables", "percpu", "slab", "vmalloc"))
    return MemoryUsage(
        usage=files.number(f"{directory}/memory.current"),
        anon=stat.get("anon", 0),
        file=stat.get("file", 0),
        kernel=kernel,
        swap=files.number(f"{directory}/memory.swap.current") if swap else 0,
        oom_kills=files.table(f"{directory}/memory.events").get("oom_kill", 0),
    )


def _usage_v1(directory: str) -> MemoryUsage:
    stat = files.table(f"{directory}/memory.stat")
    return MemoryUsage(
        usage=files.number(f"{directory}/memory.usage_in_bytes"),
        anon=stat.get("total_rss", 0),
        file=stat.get("total_cache", 0),
        kernel=files.number(f"{directory}/memory.kmem.usage_in_bytes"),
        swap=stat.get("total_swap", 0),
        oom_kills=files.table(f"{directory}/memory.oom_control").get("oom_kill", 0),
    )
