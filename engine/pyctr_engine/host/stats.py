"""One reading of the whole machine. Sources: proc_stat(5), proc_meminfo(5), accounting/psi.rst."""

from __future__ import annotations

import os
import time

from pyctr_engine.cgroups import pressure
from pyctr_engine.host import files
from pyctr_engine.model.stats import HostStats


def stats(proc: str = "/proc") -> HostStats:
    """What the machine uses; parts that this kernel doesn't tell are 0 or ``None``."""
    cpus, busy, total = _cpu(files.read(f"{proc}/stat"))
    memory_total, memory_available = _memory(files.read(f"{proc}/meminfo"))
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
    )


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
