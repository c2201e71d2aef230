"""Reading the flight recorder: see `pyctr_engine.runtime.history` for the file."""

from __future__ import annotations

import json
import os

from pyctr_engine.containers.context import Context
from pyctr_engine.model.past import HealthResult, History, PastProcess
from pyctr_engine.model.spec import ContainerSpec
from pyctr_engine.model.stats import Pressure, Stats
from pyctr_engine.runtime import history


def read(context: Context, spec: ContainerSpec) -> History:
    """All that is kept."""
    fine, coarse = _read_file(history.path(context.paths.container(spec.id)))
    return History(tuple(fine), tuple(coarse))


def _read_file(path: str) -> tuple[list[Stats], list[Stats]]:
    try:
        with open(path, "rb") as file:
            data = file.read(history.FILE_BYTES)
    except OSError:
        return [], []
    if data[: len(history.MAGIC_1)] == history.MAGIC_1:
        data = history.converted(data)
    fine, coarse = history.counts(data)
    return (
        _ring(data, fine, history.FINE_AT, history.FINE_SLOTS),
        _ring(data, coarse, history.COARSE_AT, history.COARSE_SLOTS),
    )


def _ring(data: bytes, count: int, start: int, slots: int) -> list[Stats]:
    """A ring's records, oldest first. One that was never written (the disk was full) is left out."""
    found = []
    for number in range(max(0, count - slots), count):
        at = start + number % slots * history.RECORD_BYTES
        record = data[at : at + history.RECORD.size]
        if len(record) == history.RECORD.size and record[:8] != bytes(8):
            found.append(unpack(record))
    return found


def unpack(record: bytes) -> Stats:
    """A reading of a record."""
    (when, cpu, throttled, memory, anon, file, kernel, swap, read_bytes, write_bytes, received, sent, memory_limit,
     peak, working_set, periods, throttled_periods, cpus, pids, pids_limit, ooms,
     *pressures) = history.RECORD.unpack(record)  # fmt: skip
    shares = [None if share == history.UNKNOWN else share / 100 for share in pressures]
    return Stats(
        time=when,
        cpu_usec=cpu,
        cpu_limit=round(cpus, 3) or None,
        periods=_known(periods),
        throttled_periods=_known(throttled_periods),
        throttled_usec=_known(throttled),
        memory=_known(memory),
        memory_limit=memory_limit or None,
        memory_peak=_known(peak),
        anon=_known(anon),
        file=_known(file),
        kernel=_known(kernel),
        swap=_known(swap),
        working_set=_known(working_set),
        oom_kills=None if ooms == history.NONE_32 else ooms,
        pids=None if pids == history.NONE_32 else pids,
        pids_limit=pids_limit or None,
        read_bytes=_known(read_bytes),
        write_bytes=_known(write_bytes),
        rx_bytes=received,
        tx_bytes=sent,
        cpu_pressure=Pressure(*shares[:2]),
        memory_pressure=Pressure(*shares[2:4]),
        io_pressure=Pressure(*shares[4:]),
    )


def _known(value: int) -> int | None:
    return None if value == history.NONE else value


def processes(run_dir: str) -> tuple[float, tuple[PastProcess, ...]]:
    """Who ran in it near its last end, and when that was looked at (seconds since the epoch, 0 for never)."""
    try:
        with open(f"{run_dir}/processes.json", "rb") as file:
            when, listed = json.load(file)
        return float(when), tuple(PastProcess(*one) for one in listed)
    except (OSError, ValueError, TypeError):
        return 0.0, ()


def health(*directories: str) -> tuple[HealthResult, ...]:
    """The last probes, oldest first, from the first of these directories that has some."""
    for directory in directories:
        try:
            with open(f"{directory}/health.json", "rb") as file:
                listed = json.load(file)
            return tuple(HealthResult(r["start"], r["end"], r["exit_code"], r["output"]) for r in listed)
        except (OSError, ValueError, TypeError, KeyError):
            continue
    return ()


def trace(state_dir: str) -> tuple[tuple[str, float, float], ...]:
    """The steps of its last start: name, begin and end in milliseconds."""
    try:
        with open(os.path.join(state_dir, "start-trace.json"), "rb") as file:
            return tuple((str(name), float(begin), float(end)) for name, begin, end in json.load(file))
    except (OSError, ValueError, TypeError):
        return ()
