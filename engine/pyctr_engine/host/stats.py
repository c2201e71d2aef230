"""One reading of the whole machine.

Sources: proc_stat(5), proc_meminfo(5), proc_loadavg(5), proc_pid_net(5), admin-guide/iostats.rst, accounting/psi.rst.
"""

from __future__ import annotations

import os
import time

from pyctr_engine.cgroups import pressure
from pyctr_engine.host import files
from pyctr_engine.model.stats import HostStats

SECTOR = 512
"""Bytes of a sector in diskstats, whatever the disk's own are."""


def stats(proc: str = "/proc", sys: str = "/sys") -> HostStats:
    """What the machine uses; parts that this kernel doesn't tell are 0 or ``None``."""
    cpus, busy, total = _cpu(files.read(f"{proc}/stat"))
    memory_total, memory_available = _memory(files.read(f"{proc}/meminfo"))
    read_bytes, write_bytes = _disks(files.read(f"{proc}/diskstats"), f"{sys}/block")
    rx_bytes, tx_bytes = _networks(files.read(f"{proc}/net/dev"), f"{sys}/class/net")
    return HostStats(
        time=time.monotonic(),
        cpus=cpus,
        cpu_busy_usec=busy,
        cpu_total_usec=total,
        memory_used=memory_total - memory_available,
        memory_total=memory_total,
        cpu_pressure=pressure.read(f"{proc}/pressure/cpu"),
        memory_pressure=pressure.read(f"{proc}/pressure/memory"),
        io_pressure=pressure.read(f"{proc}/pressure/io"),
        read_bytes=read_bytes,
        write_bytes=write_bytes,
        rx_bytes=rx_bytes,
        tx_bytes=tx_bytes,
        tasks=_tasks(files.read(f"{proc}/loadavg")),
    )


def _disks(text: str, block: str) -> tuple[int | None, int | None]:
    """Bytes read and written by the disks. Partitions, and what dm, md and loop devices pass on, are in theirs."""
    read = written = 0
    known = False
    for line in text.splitlines():
        columns = line.split()
        if len(columns) < 10 or columns[2].startswith(("loop", "ram", "zram", "dm-", "md", "sr", "fd")):
            continue
        if os.path.isdir(f"{block}/{columns[2]}"):
            known = True
            read += int(columns[5]) * SECTOR
            written += int(columns[9]) * SECTOR
    return (read, written) if known else (None, None)


def _networks(text: str, devices: str) -> tuple[int | None, int | None]:
    """Bytes received and sent by devices that have hardware, real or a virtual machine's.

    Bridges, pairs and tunnels pass on what these carry; where there is none (we are in a container), what isn't
    the loopback device counts.
    """
    lines = {}
    for line in text.splitlines()[2:]:
        name, colon, figures = line.strip().partition(":")
        columns = figures.split()
        if colon and name != "lo" and len(columns) >= 9:
            lines[name] = int(columns[0]), int(columns[8])
    hardware = [figures for name, figures in lines.items() if os.path.exists(f"{devices}/{name}/device")]
    counted = hardware or list(lines.values())
    if not counted:
        return None, None
    return sum(received for received, _ in counted), sum(sent for _, sent in counted)


def _tasks(text: str) -> int | None:
    """Of ``0.20 0.18 0.12 1/80 11206``: 80."""
    columns = text.split()
    total = columns[3].partition("/")[2] if len(columns) > 3 else ""
    return int(total) if total.isdigit() else None


def _cpu(text: str) -> tuple[int, int, int]:
    """CPUs that are on, and the busy time and all time of them together, microseconds.

    Columns: user nice system idle iowait irq softirq steal guest guest_nice; guest time is in user's already.
    Time stolen by a hypervisor was nobody's here: it is part of the whole, but not of what was used.
    """
    usec = 1_000_000 // os.sysconf("SC_CLK_TCK")
    cpus, busy, total = 0, 0, 0
    for line in text.split("\n"):
        if not line.startswith("cpu"):
            break
        name, *columns = line.split()
        if name != "cpu":
            cpus += 1
            continue
        ticks = [*map(int, columns), *[0] * 8][:8]
        total = sum(ticks) * usec
        busy = (ticks[0] + ticks[1] + ticks[2] + ticks[5] + ticks[6]) * usec
    return cpus, busy, total


def _memory(text: str) -> tuple[int, int]:
    """MemTotal and MemAvailable, bytes."""
    found = {}
    for line in text.split("\n"):
        name, _, rest = line.partition(":")
        if name in ("MemTotal", "MemAvailable"):
            found[name] = int(rest.split()[0]) * 1024
    return found.get("MemTotal", 0), found.get("MemAvailable", 0)
