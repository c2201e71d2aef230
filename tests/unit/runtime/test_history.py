"""The flight recorder's file: bounded, in order, and read back as it was."""

from __future__ import annotations

import os
import struct
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
        memory_peak=4 << 30,
        working_set=2 << 30,
        periods=12,
        cpu_pressure=Pressure(1.25, 0.0),
        memory_pressure=Pressure(100.0, None),
        io_pressure=Pressure(3.5, 0.5),
    )


def test_a_record_is_read_back() -> None:
    read = reading.unpack(history.pack(123.5, _stats(1), 20, 30, [1.5, 64 << 20, 100])[: history.RECORD.size])
    assert (read.time, read.cpu_usec, read.memory, read.rx_bytes, read.tx_bytes) == (123.5, 1, 3 << 30, 20, 30)
    assert (read.cpu_limit, read.memory_limit, read.pids_limit) == (1.5, 64 << 20, 100)
    assert read.cpu_pressure == Pressure(1.25, 0.0)
    assert read.memory_pressure == Pressure(100.0, None)
    assert read.io_pressure == Pressure(3.5, 0.5)
    assert (read.memory_peak, read.working_set, read.periods, read.pids) == (4 << 30, 2 << 30, 12, 10)
    assert reading.unpack(history.pack(1.0, _stats(1), 0, 0, [0, 0, 0])[: history.RECORD.size]).memory_limit is None


def test_an_hour_and_a_day_are_kept_whatever_the_clock_does(tmp_path: Path) -> None:
    ring = history.Ring(history.path(str(tmp_path)))
    count = history.FINE_SLOTS + 100
    for number in range(count):
        when = 100_000.0 - number if number > count // 2 else 5000.0 + number  # somebody sets it back
        ring.append(history.pack(when, _stats(number), 0, 0, [0, 0, 0]))
    fine, coarse = reading._read_file(history.path(str(tmp_path)))
    assert [read.cpu_usec for read in fine] == list(range(100, count))
    assert {read.io_pressure for read in fine + coarse} == {Pressure(3.5, 0.5)}, "no record runs into the next"
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


def test_what_is_not_available_is_read_back_as_that() -> None:
    read = reading.unpack(history.pack(1.0, Stats(0.0), 0, 0, [0, 0, 0])[: history.RECORD.size])
    assert (read.memory, read.anon, read.oom_kills, read.pids, read.read_bytes, read.periods) == (None,) * 6
    assert len(history.pack(1.0, Stats(0.0), 0, 0, [0, 0, 0])) == history.RECORD_BYTES >= history.RECORD.size


def _first_format(path: str, count: int) -> None:
    """A file as the first format had it: records of 132 bytes, each of which wrote over the next one's begin."""
    old = struct.Struct("<dQQQQQQQQQQQQfIIIHHHHHH")
    data = bytearray(64 + (1800 + 1440) * 128 + 4)
    for number in range(count):
        record = old.pack(5.0 + number, number, 2, 3, 4, 5, 6, 7, 8, 9, 20, 30, 40, 1.5, 10, 50, 11, 1, 2, 3, 4, 5, 6)
        at = 64 + number % 1800 * 128
        data[at : at + 132] = record
        if number % 30 == 0:
            at = 64 + 1800 * 128 + number // 30 * 128
            data[at : at + 132] = record
    data[:24] = struct.pack("<8sQQ", b"PYCTRH1\n", count, (count + 29) // 30)
    with open(path, "wb") as file:
        file.write(data)


def test_the_first_format_is_read_and_gone_on_with(tmp_path: Path) -> None:
    path = history.path(str(tmp_path))
    _first_format(path, 1900)
    fine, coarse = reading._read_file(path)
    assert [read.cpu_usec for read in fine] == list(range(100, 1900))
    assert [read.cpu_usec for read in coarse] == list(range(0, 1900, 30))
    last = fine[-1]
    assert (last.time, last.memory, last.tx_bytes, last.memory_limit) == (1904.0, 3, 30, 40)
    assert (last.cpu_limit, last.pids, last.pids_limit, last.oom_kills) == (1.5, 10, 50, 11)
    assert last.memory_pressure == Pressure(0.03, 0.04)
    assert last.io_pressure == Pressure(), "it was lost"
    assert last.working_set is None
    ring = history.Ring(path)
    ring.append(history.pack(9000.0, _stats(1900), 0, 0, [0, 0, 0]))
    assert reading._read_file(path)[0] == [*fine[1:], reading._read_file(path)[0][-1]]
    fine, coarse = reading._read_file(path)
    assert [read.cpu_usec for read in fine] == list(range(101, 1901))
    assert [read.cpu_usec for read in coarse] == list(range(0, 1900, 30))
