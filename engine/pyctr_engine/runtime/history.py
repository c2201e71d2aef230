"""The flight recorder: what a container uses, every two seconds, in a file of fixed size.

``history`` in its state directory, 415 KB: two rings of records, one of an hour at 2 s, one of a day at a minute, and
a header that counts how many were ever written to each. A record has counters, not rates, so that a missing one costs
a point and not a sum. Written in batches; what is not in the file yet, a reader asks the monitor for (`protocol`).

::

    0        64                        64 + 1800 × 128             + 1440 × 128
    ┌────────┬─────────────────────────┬───────────────────────────┐
    │ header │ fine: one every 2 s     │ coarse: one every minute  │
    └────────┴─────────────────────────┴───────────────────────────┘

The newest record of a ring that counts ``n`` is at ``(n - 1) % slots``: order does not depend on the clock, which
somebody may set back.
"""

from __future__ import annotations

import contextlib
import os
import struct
import time
from typing import Any, NamedTuple

from pyctr_engine.cgroups import control as control_groups
from pyctr_engine.cgroups import files, stats
from pyctr_engine.cgroups import layout as layouts
from pyctr_engine.errors import EngineError
from pyctr_engine.model.stats import Stats

PERIOD = 2.0
"""Seconds between two records."""
FINE_SLOTS, COARSE_SLOTS, FINE_PER_COARSE = 1800, 1440, 30
HEADER = struct.Struct("<8sQQ")
MAGIC = b"PYCTRH1\n"
RECORD = struct.Struct("<dQQQQQQQQQQQQfIIIHHHHHH")
RECORD_BYTES = 128
FINE_AT = 64
COARSE_AT = FINE_AT + FINE_SLOTS * RECORD_BYTES
FILE_BYTES = COARSE_AT + COARSE_SLOTS * RECORD_BYTES
UNKNOWN = 0xFFFF
"""A pressure that the kernel can't tell; else hundredths of a percent."""

_BATCH = 5
_TREE_EVERY = 15
_MOST_PROCESSES = 64


def path(state_dir: str) -> str:
    """Where a container's history is kept."""
    return f"{state_dir}/history"


class Source(NamedTuple):
    """Where the figures come from: the fields of `layout.Layout`, the cgroup's parent, and the container's id."""

    mode: str
    unified: str
    available: list[str]
    v1: dict[str, str]
    parent: str

    def layout(self) -> layouts.Layout:
        """The hierarchies."""
        return layouts.Layout(self.mode, self.unified, frozenset(self.available), self.v1)  # type: ignore[arg-type]


class Recorder:
    """Takes records and keeps those that are to be written, and the last list of processes."""

    __slots__ = (
        "_id",
        "_interface",
        "_last_pids",
        "_layout",
        "_parent",
        "_ring",
        "_unified",
        "count",
        "limits",
        "pending",
        "processes",
        "processes_at",
    )

    def __init__(self, source: Source, id: str, interface: str, limits: list[float], state_dir: str) -> None:
        self._layout = source.layout()
        self._parent = source.parent
        self._id = id
        self._interface = interface
        self._ring = Ring(path(state_dir))
        self.limits = limits
        self._last_pids = -1
        version, directory = self._layout.directory("unified", self._parent, id)
        self._unified = directory if version else self._layout.directory("memory", self._parent, id)[1]
        self.count = 0
        self.pending: list[bytes] = []
        self.processes: list[list[Any]] = []
        self.processes_at = 0.0

    def take(self) -> bool:
        """Take one; whether a batch is full."""
        try:
            read = stats.read(self._layout, self._parent, self._id)
        except EngineError:  # it has ended
            return False
        received, sent = self._traffic()
        self.pending.append(pack(time.time(), read, received, sent, self.limits))
        if read.pids != self._last_pids or self.count % _TREE_EVERY == 0:
            self._last_pids = read.pids
            self.list_processes()
        self.count += 1
        return len(self.pending) >= _BATCH

    def list_processes(self) -> None:
        """Note who runs in it: pid, parent, CPU seconds, resident bytes, command line."""
        found = []
        for pid in control_groups.pids(self._unified)[:_MOST_PROCESSES]:
            with contextlib.suppress(OSError, ValueError, IndexError):
                found.append(_process(pid))
        if found:
            self.processes, self.processes_at = found, time.time()

    def write(self, records: list[bytes]) -> None:
        """Write records to the file; in the thread that may wait for the disk."""
        self._ring.append(records)

    def _traffic(self) -> tuple[int, int]:
        """Bytes received and sent, as the container sees it: what the host's end sent and received."""
        if not self._interface:
            return 0, 0
        counters = f"/sys/class/net/{self._interface}/statistics"
        return files.number(f"{counters}/tx_bytes"), files.number(f"{counters}/rx_bytes")


_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGESIZE")


def _process(pid: int) -> list[Any]:
    with open(f"/proc/{pid}/stat", "rb") as file:
        stat = file.read()
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        words = file.read(512)
    name = stat[stat.index(b"(") + 1 : stat.rindex(b")")]
    fields = stat[stat.rindex(b")") + 2 :].split()
    command = words.rstrip(b"\0").replace(b"\0", b" ") or b"[" + name + b"]"
    cpu = (int(fields[11]) + int(fields[12])) / _TICKS
    return [pid, int(fields[1]), cpu, int(fields[21]) * _PAGE, command.decode("utf-8", "replace")]


def pack(when: float, read: Stats, received: int, sent: int, limits: list[float]) -> bytes:
    """One record of a reading; ``limits`` are CPUs, bytes of memory and processes, 0 for none."""
    pressures = []
    for pressure in (read.cpu_pressure, read.memory_pressure, read.io_pressure):
        for share in (pressure.some, pressure.full):
            pressures.append(UNKNOWN if share is None else min(round(share * 100), UNKNOWN - 1))
    cpus, memory, pids = limits
    return RECORD.pack(
        when,
        read.cpu_usec,
        read.throttled_usec,
        read.memory,
        read.anon,
        read.file,
        read.kernel,
        read.swap,
        read.read_bytes,
        read.write_bytes,
        received,
        sent,
        int(memory),
        cpus,
        read.pids,
        int(pids),
        read.oom_kills,
        *pressures,
    ).ljust(RECORD_BYTES, b"\0")


class Ring:
    """The file. A disk that is full, or fails, loses records and nothing else."""

    __slots__ = ("_counts", "_path")

    def __init__(self, path: str) -> None:
        self._path = path
        self._counts: tuple[int, int] | None = None

    def append(self, records: list[bytes]) -> None:
        """Append to both rings."""
        with contextlib.suppress(OSError):
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fine, coarse = self._counts or counts(os.pread(fd, HEADER.size, 0))
                for record in records:
                    os.pwrite(fd, record, FINE_AT + fine % FINE_SLOTS * RECORD_BYTES)
                    if fine % FINE_PER_COARSE == 0:
                        os.pwrite(fd, record, COARSE_AT + coarse % COARSE_SLOTS * RECORD_BYTES)
                        coarse += 1
                    fine += 1
                os.pwrite(fd, HEADER.pack(MAGIC, fine, coarse), 0)
                self._counts = fine, coarse
            finally:
                os.close(fd)


def counts(header: bytes) -> tuple[int, int]:
    """How many records were ever written to each ring; (0, 0) for a file that is none, or new."""
    if len(header) < HEADER.size:
        return 0, 0
    magic, fine, coarse = HEADER.unpack(header[: HEADER.size])
    return (fine, coarse) if magic == MAGIC else (0, 0)
