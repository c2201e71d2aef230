"""What a container uses: one reading of its cgroup."""

from __future__ import annotations

from pyctr_engine.record import dataclass


@dataclass(frozen=True, slots=True)
class Pressure:
    """Share of the last 10 s in which some or all tasks waited, percent; ``None`` where the kernel can't tell."""

    some: float | None = None
    full: float | None = None


@dataclass(frozen=True, slots=True)
class Stats:
    """One reading. Counters only grow while the container runs; rates are the difference of two readings.

    Attributes:
        time: ``time.monotonic()`` when it was read, seconds.
        cpu_usec: CPU time used, microseconds. ``user_usec`` and ``system_usec`` are its parts.
        cpu_limit: CPUs' worth of time allowed; ``None`` without limit.
        periods, throttled_periods, throttled_usec: Bandwidth control's counters.
        memory: Bytes charged. ``memory_limit`` ``None`` without limit.
        anon, file, kernel, swap: Bytes, parts of what is charged.
        oom_kills: Processes the kernel killed for want of memory.
        pids, pids_limit: Tasks now, and how many are allowed.
        read_bytes, write_bytes, read_ops, write_ops: Block I/O.
        rx_bytes, tx_bytes, rx_packets, tx_packets: Network, as the container sees it.
        cpu_pressure, memory_pressure, io_pressure: Stalls.
    """

    time: float
    cpu_usec: int = 0
    user_usec: int = 0
    system_usec: int = 0
    cpu_limit: float | None = None
    periods: int = 0
    throttled_periods: int = 0
    throttled_usec: int = 0
    memory: int = 0
    memory_limit: int | None = None
    anon: int = 0
    file: int = 0
    kernel: int = 0
    swap: int = 0
    oom_kills: int = 0
    pids: int = 0
    pids_limit: int | None = None
    read_bytes: int = 0
    write_bytes: int = 0
    read_ops: int = 0
    write_ops: int = 0
    rx_bytes: int = 0
    tx_bytes: int = 0
    rx_packets: int = 0
    tx_packets: int = 0
    cpu_pressure: Pressure = Pressure()
    memory_pressure: Pressure = Pressure()
    io_pressure: Pressure = Pressure()


@dataclass(frozen=True, slots=True)
class HostStats:
    """The machine as a whole: counters as in `Stats`; ``cpu_total_usec`` is busy and idle time of all CPUs."""

    time: float
    cpus: int
    cpu_busy_usec: int
    cpu_total_usec: int
    memory_used: int
    memory_total: int
    cpu_pressure: Pressure = Pressure()
    memory_pressure: Pressure = Pressure()
    io_pressure: Pressure = Pressure()
