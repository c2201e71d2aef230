"""The options of limits (`request.LIMITS`), which ``run``, ``create`` and ``update`` share, as the model's type."""

from __future__ import annotations

from collections.abc import Callable

from pyctr_engine.model.spec import DeviceLimits, Resources
from pyctr_engine.record import replace
from pyctr_tui.cli import values
from pyctr_tui.cli.options import Parsed, UsageError


def changed(parsed: Parsed, before: Resources) -> Resources:
    """The limits with those that were given in their places; 0 takes one away. Raises UsageError."""

    def size(key: str, now: int | None) -> int | None:
        return values.size(parsed.value(key), f"--{key}") or None if key in parsed else now

    def integer(key: str, now: int | None) -> int | None:
        return values.integer(parsed.value(key), f"--{key}") or None if key in parsed else now

    def flag(key: str, now: bool) -> bool:
        return parsed.flag(key) if key in parsed else now

    def devices(key: str, now: DeviceLimits, amount: Callable[[str, str], int]) -> DeviceLimits:
        return _devices(parsed, key, now, amount)

    after = replace(
        before,
        memory=size("memory", before.memory),
        memory_reservation=size("memory-reservation", before.memory_reservation),
        memory_high=size("memory-high", before.memory_high),
        memory_swappiness=_swappiness(parsed) if "memory-swappiness" in parsed else before.memory_swappiness,
        oom_group=flag("oom-group", before.oom_group),
        oom_kill_disable=flag("oom-kill-disable", before.oom_kill_disable),
        cpu_shares=integer("cpu-shares", before.cpu_shares),
        cpu_burst=integer("cpu-burst", before.cpu_burst),
        cpuset=parsed.value("cpuset-cpus") if "cpuset-cpus" in parsed else before.cpuset,
        cpuset_mems=parsed.value("cpuset-mems") if "cpuset-mems" in parsed else before.cpuset_mems,
        blkio_weight=integer("blkio-weight", before.blkio_weight),
        blkio_weight_device=devices("blkio-weight-device", before.blkio_weight_device, values.integer),
        device_read_bps=devices("device-read-bps", before.device_read_bps, values.size),
        device_write_bps=devices("device-write-bps", before.device_write_bps, values.size),
        device_read_iops=devices("device-read-iops", before.device_read_iops, values.integer),
        device_write_iops=devices("device-write-iops", before.device_write_iops, values.integer),
        hugetlb=_huge_pages(parsed, before.hugetlb),
    )
    if "pids-limit" in parsed:
        count = values.integer(parsed.value("pids-limit"), "--pids-limit")
        after = replace(after, pids=count if count > 0 else -1)  # none at all would be the usual one
    return _bandwidth(parsed, _swap(parsed, before, after))


def _swap(parsed: Parsed, before: Resources, after: Resources) -> Resources:
    """A limit of both together that the new one of memory makes impossible goes with it."""
    if "memory-swap" in parsed:
        return replace(after, memory_swap=values.swap_size(parsed.value("memory-swap")) or None)
    if "memory" in parsed and (after.memory is None or 0 < (before.memory_swap or 0) < after.memory):
        return replace(after, memory_swap=None)
    return after


def _bandwidth(parsed: Parsed, after: Resources) -> Resources:
    """CPU time in one number or in two: who changes one way leaves the other."""
    if "cpus" in parsed:
        after = replace(after, cpus=values.number(parsed.value("cpus"), "--cpus") or None)
        if "cpu-quota" not in parsed and "cpu-period" not in parsed:
            return replace(after, cpu_quota=None, cpu_period=None)
    elif "cpu-quota" in parsed:
        after = replace(after, cpus=None)
    if "cpu-quota" in parsed:
        quota = values.integer(parsed.value("cpu-quota"), "--cpu-quota")
        after = replace(after, cpu_quota=quota if quota > 0 else None)
        if quota <= 0 and "cpu-period" not in parsed:
            after = replace(after, cpu_period=None)
    if "cpu-period" in parsed:
        after = replace(after, cpu_period=values.integer(parsed.value("cpu-period"), "--cpu-period") or None)
    return after


def _swappiness(parsed: Parsed) -> int | None:
    """0 is a value of its own; -1 is docker's word for none."""
    value = values.integer(parsed.value("memory-swappiness"), "--memory-swappiness")
    return None if value == -1 else value


def _devices(parsed: Parsed, key: str, now: DeviceLimits, amount: Callable[[str, str], int]) -> DeviceLimits:
    """``/dev/x:amount``, each in the place of the same device's; an amount of 0 takes it away."""
    found = dict(now)
    for text in parsed.values(key):
        path, colon, value = text.rpartition(":")
        if not colon or not path.startswith("/"):
            raise UsageError(f"--{key}: {text!r} is not a device and what holds for it", "like /dev/sda:10m")
        found[path] = amount(value, f"--{key}")
    return tuple((path, value) for path, value in found.items() if value)


def _huge_pages(parsed: Parsed, now: tuple[tuple[str, int], ...]) -> tuple[tuple[str, int], ...]:
    """``2MB=64m``, each in the place of the same size's; 0 allows none, an empty one takes the limit away."""
    found = dict(now)
    for text in parsed.values("hugetlb"):
        page, equals, value = text.partition("=")
        if not equals or not page:
            raise UsageError(f"--hugetlb: {text!r} is not a page size and a limit", "like 2MB=64m")
        page = page.upper() if page.upper().endswith("B") else f"{page.upper()}B"
        if value:
            found[page] = values.size(value, "--hugetlb")
        else:
            found.pop(page, None)
    return tuple(found.items())
