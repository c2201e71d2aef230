"""Block I/O: the io controller of v2, blkio of v1. Counting only; limits of I/O are not offered yet.

v1 counts what processes read and write themselves (direct and synchronous I/O, cache misses); what is written back
later from the page cache is charged to the root. v2 charges it to who dirtied the page.
Sources: admin-guide/cgroup-v2.rst ("IO"), admin-guide/cgroup-v1/blkio-controller.rst.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import pairwise

from pyctr_engine.cgroups import files
from pyctr_engine.cgroups.setting import Setting
from pyctr_engine.model.spec import Resources

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


def usage(directory: str, version: int) -> IoUsage:
    """One reading; zeros where the kernel counts nothing."""
    return _usage_v2(directory) if version == 2 else _usage_v1(directory)


def _usage_v2(directory: str) -> IoUsage:
    """Lines like ``8:0 rbytes=90112 wbytes=0 rios=7 wios=0 dbytes=0 dios=0``; a device without I/O has no pairs."""
    sums = {"rbytes": 0, "wbytes": 0, "rios": 0, "wios": 0}
    try:
        words = files.read(f"{directory}/io.stat").split()
    except OSError:
        return IoUsage()
    for word in words:
        key, _, value = word.partition("=")
        if key in sums and value.isdigit():
            sums[key] += int(value)
    return IoUsage(sums["rbytes"], sums["wbytes"], sums["rios"], sums["wios"])


def _usage_v1(directory: str) -> IoUsage:
    read_bytes, write_bytes = _sums(f"{directory}/blkio.throttle.io_service_bytes_recursive")
    read_ops, write_ops = _sums(f"{directory}/blkio.throttle.io_serviced_recursive")
    return IoUsage(read_bytes, write_bytes, read_ops, write_ops)


def _sums(path: str) -> tuple[int, int]:
    """Reads and writes in lines like ``254:0 Read 4096``, all disks together."""
    try:
        words = files.read(path).split()
    except OSError:
        return 0, 0
    sums = {"Read": 0, "Write": 0}
    for key, value in pairwise(words):
        if key in sums and value.isdigit():
            sums[key] += int(value)
    return sums["Read"], sums["Write"]
