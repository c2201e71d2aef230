"""The flight recorder's file: bounded, in order, and read back as it was."""

from __future__ import annotations

import os
from pathlib import Path

from pyctr_engine.containers import history as reading
from pyctr_engine.model.stats import Pressure, Stats
from pyctr_engine.runtime import history


def _stats(number: int) -> Stats:
    return Stats(
        time=0.0,
        cpu_usec=number,
        throttled_usec=2,
        memory=3 << 30,
        anon=4,
        file=5,
        kernel=6,
        swap=7,
        read_bytes=8,
        write_bytes=9,
        pids=10,
        oom_kills=11,
        cpu_pressure=Pressure(1.25, 0.0),
        memory_pressure=Pressure(100.0, None),
    )


def test_a_record_is_read_back() -> None:
    read = reading.unpack(history.pack(123.5, _stats(1), 20, 30, [1.5, 64 << 20, 100])[: history.RECORD.size])
    assert (read.time, read.cpu_usec, read.memory, read.rx_bytes, read.tx_bytes) == (123.5, 1, 3 << 30, 20, 30)
    assert (read.cpu_limit, read.memory_limit, read.pids_limit) == (1.5, 64 << 20, 100)
    assert read.cpu_pressure == Pressure(1.25, 0.0)
    assert read.memory_pressure == Pressure(100.0, None)
    assert read.io_pressure == Pressure(None, None)
    assert reading.unpack(history.pack(1.0, _stats(1), 0, 0, [0, 0, 0])[: history.RECORD.size]).memory_limit is None


def test_an_hour_and_a_day_are_kept_whatever_the_clock_does(tmp_path: Path) -> None:
    ring = history.Ring(history.path(str(tmp_path)))
    count = history.FINE_SLOTS + 100
    for number in range(count):
        when = 100_000.0 - number if number > count // 2 else 5000.0 + number  # somebody sets it back
        ring.append(history.pack(when, _stats(number), 0, 0, [0, 0, 0]))
    fine, coarse = reading._read_file(history.path(str(tmp_path)))
    assert [read.cpu_usec for read in fine] == list(range(100, count))
    assert [read.cpu_usec for read in coarse] == list(range(0, count, history.FINE_PER_COARSE))
    assert os.stat(tmp_path / "history").st_size <= history.FILE_BYTES < 1 << 20


def test_another_recorder_goes_on_where_the_one_before_ended(tmp_path: Path) -> None:
    for number in range(3):
        history.Ring(history.path(str(tmp_path))).append(history.pack(1.0, _stats(number), 0, 0, [0, 0, 0]))
    fine, _ = reading._read_file(history.path(str(tmp_path)))
    assert [read.cpu_usec for read in fine] == [0, 1, 2]


def test_what_is_no_history_reads_as_none(tmp_path: Path) -> None:
    (tmp_path / "history").write_bytes(b"something else" * 100)
    assert reading._read_file(str(tmp_path / "history")) == ([], [])
    assert reading._read_file(str(tmp_path / "nothing")) == ([], [])
