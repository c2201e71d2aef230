"""The flight recorder: what a container uses, every two seconds, in a file of fixed size.

``history`` in its state directory, 415 KB: two rings of records, one of an hour at 2 s, one of a day at a minute, and
a header that counts how many were ever written to each. A record has counters, not rates, so that a missing one costs
a point and not a sum. Who writes it is `recorder`.

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
from collections.abc import Sequence
from typing import Any

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

_MOST_PROCESSES = 64


def path(state_dir: str) -> str:
    """Where a container's history is kept."""
    return f"{state_dir}/history"


_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGESIZE")


def processes(pids: list[int]) -> list[list[Any]]:
    """Who these are, as far as they are still there: pid, parent, CPU seconds, resident bytes, command line."""
    found = []
    for pid in pids[:_MOST_PROCESSES]:
        with contextlib.suppress(OSError, ValueError, IndexError):
            found.append(_process(pid))
    return found


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


def pack(when: float, read: Stats, received: int, sent: int, limits: Sequence[float]) -> bytes:
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

    def append(self, record: bytes) -> None:
        """Append to both."""
        with contextlib.suppress(OSError):
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fine, coarse = self._counts or counts(os.pread(fd, HEADER.size, 0))
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
