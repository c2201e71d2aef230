"""Block I/O: the io controller of v2, blkio of v1. Counting only; limits of I/O are not offered yet.

v1 counts what processes read and write themselves (direct and synchronous I/O, cache misses); what is written back
later from the page cache is charged to the root. v2 charges it to who dirtied the page.
Sources: admin-guide/cgroup-v2.rst ("IO"), admin-guide/cgroup-v1/blkio-controller.rst.
"""

from __future__ import annotations

import os
from functools import cache

from pyctr_engine.cgroups import files
from pyctr_engine.cgroups.setting import Setting
from pyctr_engine.model.spec import Resources
from pyctr_engine.record import dataclass

NAME = "io"

# Also joined without a limit: nothing else says how much a container reads and writes.
ALWAYS = True

_UNLIMITED = 2**64 - 1


def asked(resources: Resources) -> str:
    """The name of a limit that needs this controller: there is none yet."""
    return ""


def settings(resources: Resources, version: int) -> list[Setting]:
    """Limits as writes: there are none yet."""
    return []


def lifted(before: Resources, after: Resources, version: int) -> list[Setting]:
    """Writes that take back limits: there are none yet."""
    return []


def counting(sys_block: str = "/sys/block") -> tuple[tuple[str, str], ...]:
    """The writes into a v1 parent that make the kernel count: a limit of "unlimited" for each disk.

    Since Linux 6.10 blkio counts nothing on a disk until some cgroup has been given a rule for it. The
    largest number is no rule (it reads back as nothing), yet it starts the counting.
    Only disks with a device behind them: stacked ones (dm, md, loop) would count each byte twice.
    """
    try:
        names = sorted(os.listdir(sys_block))
    except OSError:
        return ()
    disks = []
    for name in names:
        if os.path.exists(f"{sys_block}/{name}/device"):
            try:
                number = files.read(f"{sys_block}/{name}/dev").strip()
            except OSError:
                continue
            disks.append(("blkio.throttle.read_bps_device", f"{number} {_UNLIMITED}"))
    return tuple(disks)


@dataclass(frozen=True, slots=True)
class IoUsage:
    """Counters of all disks together."""

    read_bytes: int = 0
    write_bytes: int = 0
    read_ops: int = 0
    write_ops: int = 0


def usage(directory: str, version: int, devices: str = "/sys/dev/block") -> IoUsage:
    """One reading; zeros where the kernel counts nothing."""
    return _usage_v2(directory, devices) if version == 2 else _usage_v1(directory, devices)


def _usage_v2(directory: str, devices: str) -> IoUsage:
    """Lines like ``8:0 rbytes=90112 wbytes=0 rios=7 wios=0 dbytes=0 dios=0``; a device without I/O has no pairs."""
    sums = {"rbytes": 0, "wbytes": 0, "rios": 0, "wios": 0}
    for number, *pairs in _lines(f"{directory}/io.stat"):
        if not pairs or not _is_disk(devices, number):
            continue
        for pair in pairs:
            key, _, value = pair.partition("=")
            if key in sums and value.isdigit():
                sums[key] += int(value)
    return IoUsage(sums["rbytes"], sums["wbytes"], sums["rios"], sums["wios"])


def _usage_v1(directory: str, devices: str) -> IoUsage:
    read_bytes, write_bytes = _sums(f"{directory}/blkio.throttle.io_service_bytes_recursive", devices)
    read_ops, write_ops = _sums(f"{directory}/blkio.throttle.io_serviced_recursive", devices)
    return IoUsage(read_bytes, write_bytes, read_ops, write_ops)


def _sums(path: str, devices: str) -> tuple[int, int]:
    """Reads and writes in lines like ``254:0 Read 4096``, all disks together."""
    sums = {"Read": 0, "Write": 0}
    for number, *words in _lines(path):
        if len(words) == 2 and words[0] in sums and _is_disk(devices, number):
            sums[words[0]] += int(words[1])
    return sums["Read"], sums["Write"]


def _lines(path: str) -> list[list[str]]:
    try:
        return [words for line in files.read(path).split("\n") if (words := line.split())]
    except OSError:
        return []


@cache
def _is_disk(devices: str, number: str) -> bool:
    """Whether a device is one with hardware behind it (or unknown): what dm, md and loop pass on is counted below."""
    return os.path.exists(f"{devices}/{number}/device") or not os.path.exists(f"{devices}/{number}")
