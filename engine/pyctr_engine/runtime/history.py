"""The flight recorder: what a container uses, every two seconds, in a file of fixed size.

``history`` in its state directory, 622 KB: two rings of records, one of an hour at 2 s, one of a day at a minute, and
a header that counts how many were ever written to each. A record has counters, not rates, so that a missing one costs
a point and not a sum. Who writes it is `recorder`.

::

    0        64                        64 + 1800 × 192             + 1440 × 192
    ┌────────┬─────────────────────────┬───────────────────────────┐
    │ header │ fine: one every 2 s     │ coarse: one every minute  │
    └────────┴─────────────────────────┴───────────────────────────┘

The newest record of a ring that counts ``n`` is at ``(n - 1) % slots``: order does not depend on the clock, which
somebody may set back.

The header's first bytes say in which format. The first one had records of 132 bytes every 128, so that each lost its
last four, the pressure of I/O; such a file is read without them, and rewritten before it is appended to.
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
MAGIC = b"PYCTRH2\n"
MAGIC_1 = b"PYCTRH1\n"
RECORD = struct.Struct("<dQQQQQQQQQQQQQQQQfIIIHHHHHH")
RECORD_1 = struct.Struct("<dQQQQQQQQQQQQfIIIHHHH")
RECORD_BYTES, RECORD_BYTES_1 = 192, 128
FINE_AT = 64
COARSE_AT = FINE_AT + FINE_SLOTS * RECORD_BYTES
FILE_BYTES = COARSE_AT + COARSE_SLOTS * RECORD_BYTES
UNKNOWN = 0xFFFF
"""A pressure that the kernel can't tell; else hundredths of a percent."""
NONE, NONE_32 = 2**64 - 1, 2**32 - 1
"""A figure that is not available, by the width of its field."""

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
        _long(read.throttled_usec),
        _long(read.memory),
        _long(read.anon),
        _long(read.file),
        _long(read.kernel),
        _long(read.swap),
        _long(read.read_bytes),
        _long(read.write_bytes),
        received,
        sent,
        int(memory),
        _long(read.memory_peak),
        _long(read.working_set),
        _long(read.periods),
        _long(read.throttled_periods),
        cpus,
        _short(read.pids),
        int(pids),
        _short(read.oom_kills),
        *pressures,
    ).ljust(RECORD_BYTES, b"\0")


def _long(value: int | None) -> int:
    return NONE if value is None else value


def _short(value: int | None) -> int:
    return NONE_32 if value is None else value


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
                fine, coarse = self._counts or _begin(fd)
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
    return (fine, coarse) if magic in (MAGIC, MAGIC_1) else (0, 0)


def _begin(fd: int) -> tuple[int, int]:
    """The counts of a file that is to be appended to, after it was brought to this format."""
    header = os.pread(fd, HEADER.size, 0)
    if header[: len(MAGIC_1)] == MAGIC_1:
        data = converted(os.pread(fd, FILE_BYTES, 0))
        os.pwrite(fd, data, 0)  # shorter than before it never is
        header = data[: HEADER.size]
    return counts(header)


def converted(data: bytes) -> bytes:
    """A whole file of the first format in this one."""
    fine, coarse = counts(data)
    found = bytearray(FILE_BYTES)
    found[: HEADER.size] = HEADER.pack(MAGIC, fine, coarse)
    for slots, old_at, new_at in ((FINE_SLOTS, FINE_AT, FINE_AT), (COARSE_SLOTS, _COARSE_AT_1, COARSE_AT)):
        for slot in range(slots):
            at = old_at + slot * RECORD_BYTES_1
            record = data[at : at + RECORD_1.size]
            if len(record) == RECORD_1.size and record[:8] != bytes(8):
                *counters, cpus, pids, pids_limit, ooms, a, b, c, d = RECORD_1.unpack(record)
                new = RECORD.pack(
                    *counters, NONE, NONE, NONE, NONE, cpus, pids, pids_limit, ooms, a, b, c, d, UNKNOWN, UNKNOWN
                )
                found[new_at + slot * RECORD_BYTES : new_at + slot * RECORD_BYTES + RECORD.size] = new
    return bytes(found)


_COARSE_AT_1 = FINE_AT + FINE_SLOTS * RECORD_BYTES_1
