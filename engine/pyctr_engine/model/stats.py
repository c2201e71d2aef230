"""What a container uses: one reading of its cgroup."""

from __future__ import annotations

from pyctr_engine.record import dataclass


@dataclass(frozen=True, slots=True)
class Pressure:
    """How much some, or all, tasks were kept waiting; ``None`` where the kernel can't tell.

    Attributes:
        some, full: Share of the last 10 s, percent.
        some_usec, full_usec: Microseconds in all since the start, a counter.
    """

    some: float | None = None
    full: float | None = None
    some_usec: int | None = None
    full_usec: int | None = None


@dataclass(frozen=True, slots=True)
class DeviceIo:
    """What was read from and written to one block device: counters, as in `Stats`.

    Attributes:
        device: Its number, ``8:0``.
        name: As the kernel names it, ``sda``; empty for one that is gone.
    """

    device: str
    name: str = ""
    read_bytes: int = 0
    write_bytes: int = 0
    read_ops: int = 0
    write_ops: int = 0


@dataclass(frozen=True, slots=True)
class Stats:
    """One reading, with the same fields on all cgroup layouts; ``None`` is "not available here".

    Counters only grow while the container runs; `rates.between` makes rates of two readings.

    Attributes:
        time: ``time.monotonic()`` when it was read, seconds.
        cpu_usec: CPU time used, microseconds. ``user_usec`` and ``system_usec`` are its parts.
        cpu_limit: CPUs' worth of time allowed; ``None`` without limit.
        periods, throttled_periods, throttled_usec: Bandwidth control's counters.
        memory: Bytes charged now. ``memory_limit`` ``None`` without limit.
        memory_peak: The most that was ever charged; v2 knows it from Linux 5.19 on.
        anon, file, kernel, swap: Bytes, parts of what is charged.
        working_set: Bytes that could not be taken from it without harm: all that is charged but file pages that were
            not used for a while (``inactive_file``). It is what ``docker stats`` shows and what a kubelet evicts by.
        oom_events: How often it stood at its limit with nothing left to reclaim; v2 only.
        oom_kills: Processes the kernel killed for want of memory.
        max_events: How often its limit of memory held it back.
        high_events: How often it was slowed down for being above ``memory_high``; v2 only.
        pids, pids_limit: Tasks now, and how many are allowed.
        read_bytes, write_bytes, read_ops, write_ops: Block I/O of all disks; what dm, md and loop devices pass on to
            disks is counted once.
        devices: The same for each device that it used, those others pass on to included.
        rx_bytes, tx_bytes, rx_packets, tx_packets: Network, as the container sees it.
        cpu_pressure, memory_pressure, io_pressure: Stalls.
    """

    time: float
    cpu_usec: int = 0
    user_usec: int = 0
    system_usec: int = 0
    cpu_limit: float | None = None
    periods: int | None = None
    throttled_periods: int | None = None
    throttled_usec: int | None = None
    memory: int | None = None
    memory_limit: int | None = None
    memory_peak: int | None = None
    anon: int | None = None
    file: int | None = None
    kernel: int | None = None
    swap: int | None = None
    working_set: int | None = None
    oom_events: int | None = None
    oom_kills: int | None = None
    max_events: int | None = None
    high_events: int | None = None
    pids: int | None = None
    pids_limit: int | None = None
    read_bytes: int | None = None
    write_bytes: int | None = None
    read_ops: int | None = None
    write_ops: int | None = None
    devices: tuple[DeviceIo, ...] = ()
    rx_bytes: int = 0
    tx_bytes: int = 0
    rx_packets: int = 0
    tx_packets: int = 0
    cpu_pressure: Pressure = Pressure()
    memory_pressure: Pressure = Pressure()
    io_pressure: Pressure = Pressure()


@dataclass(frozen=True, slots=True)
class HostStats:
    """The machine as a whole: counters as in `Stats`; ``cpu_total_usec`` is busy and idle time of all CPUs.

    Attributes:
        read_bytes, write_bytes: All disks, each byte counted once; ``None`` where the kernel doesn't tell.
        rx_bytes, tx_bytes: All network devices of hardware; ``None`` where the kernel doesn't tell.
        tasks: Processes and threads there are; ``None`` where the kernel doesn't tell.
    """

    time: float
    cpus: int
    cpu_busy_usec: int
    cpu_total_usec: int
    memory_used: int
    memory_total: int
    cpu_pressure: Pressure = Pressure()
    memory_pressure: Pressure = Pressure()
    io_pressure: Pressure = Pressure()
    read_bytes: int | None = None
    write_bytes: int | None = None
    rx_bytes: int | None = None
    tx_bytes: int | None = None
    tasks: int | None = None
