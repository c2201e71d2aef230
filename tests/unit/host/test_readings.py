"""The machine and its processes, from files as the kernel writes them."""

from __future__ import annotations

import os
from pathlib import Path

from pyctr_engine.host.info import info
from pyctr_engine.host.processes import processes
from pyctr_engine.host.stats import stats
from pyctr_engine.model.stats import Pressure

TICK = 1_000_000 // os.sysconf("SC_CLK_TCK")
PROC_STAT = """\
cpu  100 10 50 1000 40 3 2 5 60 0
cpu0 50 5 25 500 20 1 1 2 30 0
cpu1 50 5 25 500 20 2 1 3 30 0
intr 1 2 3
btime 1700000000
processes 4
"""
MEMINFO = "MemTotal:       2048 kB\nMemFree:        100 kB\nMemAvailable:   1024 kB\nSwapTotal: 0 kB\n"


def test_cpu_time_busy_and_all(tmp_path: Path) -> None:
    (tmp_path / "stat").write_text(PROC_STAT)
    (tmp_path / "meminfo").write_text(MEMINFO)
    reading = stats(str(tmp_path))
    assert reading.cpus == 2
    assert reading.cpu_busy_usec == (100 + 10 + 50 + 3 + 2) * TICK
    assert reading.cpu_total_usec == (100 + 10 + 50 + 1000 + 40 + 3 + 2 + 5) * TICK


def test_memory_used_is_what_is_not_available(tmp_path: Path) -> None:
    (tmp_path / "stat").write_text(PROC_STAT)
    (tmp_path / "meminfo").write_text(MEMINFO)
    reading = stats(str(tmp_path))
    assert (reading.memory_used, reading.memory_total) == (1024 * 1024, 2048 * 1024)


def test_pressure_of_the_machine(tmp_path: Path) -> None:
    (tmp_path / "pressure").mkdir()
    (tmp_path / "pressure/cpu").write_text("some avg10=2.25 avg60=0.00 avg300=0.00 total=1\n")
    reading = stats(str(tmp_path))
    assert reading.cpu_pressure == Pressure(some=2.25, some_usec=1)
    assert reading.io_pressure == Pressure()


def test_the_real_machine_makes_sense() -> None:
    first, second = stats(), stats()
    assert first.cpus >= 1
    assert 0 < first.cpu_busy_usec < first.cpu_total_usec <= second.cpu_total_usec
    assert 0 < first.memory_used < first.memory_total


def test_info_of_the_real_machine() -> None:
    here = info("pyctr-tui")
    assert here.hostname == os.uname().nodename
    assert here.cgroup_mode in ("v2", "hybrid", "v1", "none")
    assert here.user


def make_process(proc: Path, pid: int, name: str, cmdline: bytes, uid: int, uid_map: str) -> None:
    directory = proc / str(pid)
    directory.mkdir()
    fields = ["S", "7", *["0"] * 9, "150", "50", "0", "0", "20", "0", "1", "0", "1000", "9999", "25", "0"]
    (directory / "stat").write_text(f"{pid} ({name}) {' '.join(fields)}\n")
    (directory / "cmdline").write_bytes(cmdline)
    (directory / "status").write_text(f"Name:\tx\nUid:\t1\t{uid}\t1\t1\nGid:\t0\t0\t0\t0\n")
    (directory / "uid_map").write_text(uid_map)


def test_a_process_in_a_user_namespace(tmp_path: Path) -> None:
    (tmp_path / "stat").write_text(PROC_STAT)
    make_process(tmp_path, 42, "a) b (c", b"nginx\0-g\0daemon off;\0", 524321, "  0  524288  65536\n")
    (process,) = processes([42], str(tmp_path))
    hertz = os.sysconf("SC_CLK_TCK")
    assert (process.pid, process.ppid, process.state, process.user) == (42, 7, "S", "33")
    assert process.command == "nginx -g daemon off;"
    assert process.started_at == 1700000000 + 1000 / hertz
    assert process.cpu_seconds == 200 / hertz
    assert process.rss == 25 * os.sysconf("SC_PAGESIZE")


def test_a_name_stands_for_a_missing_command_line(tmp_path: Path) -> None:
    make_process(tmp_path, 5, "kworker/0:1", b"", 0, "0 0 4294967295\n")
    (process,) = processes([5], str(tmp_path))
    assert (process.command, process.user) == ("[kworker/0:1]", "0")


def test_an_id_that_has_no_number_inside_is_nobodys(tmp_path: Path) -> None:
    make_process(tmp_path, 5, "x", b"x\0", 1000, "0 524288 65536\n100000 700000 5\n")
    assert processes([5], str(tmp_path))[0].user == "nobody"


def test_bytes_that_are_no_text_do_not_hurt(tmp_path: Path) -> None:
    make_process(tmp_path, 5, "x", b"\xff\x1b[2J\0", 0, "0 0 1\n")
    assert processes([5], str(tmp_path))[0].command == "\ufffd\x1b[2J"


def test_processes_that_are_gone_are_left_out() -> None:
    found = processes([os.getpid(), 2**22 + 1])
    assert [process.pid for process in found] == [os.getpid()]
    assert found[0].rss > 0


DISKSTATS = """\
   8       0 sda 10 0 100 5 20 0 200 7 0 1 1
   8       1 sda1 10 0 100 5 20 0 200 7 0 1 1
   7       0 loop0 10 0 999 5 20 0 999 7 0 1 1
 254       0 dm-0 10 0 100 5 20 0 200 7 0 1 1
"""
NET_DEV = """\
Inter-|   Receive                            |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes packets
    lo: 900 1 0 0 0 0 0 0 900 1 0 0 0 0 0 0
  eth0: 500 1 0 0 0 0 0 0 70 1 0 0 0 0 0 0
br-shop:300 1 0 0 0 0 0 0 30 1 0 0 0 0 0 0
"""


def test_a_byte_of_the_disks_is_counted_once(tmp_path: Path) -> None:
    for disk in ("sda", "loop0", "dm-0"):
        (tmp_path / "sys" / "block" / disk).mkdir(parents=True)
    (tmp_path / "diskstats").write_text(DISKSTATS)
    reading = stats(str(tmp_path), str(tmp_path / "sys"))
    assert (reading.read_bytes, reading.write_bytes) == (100 * 512, 200 * 512)


def test_the_network_is_what_hardware_carries(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "dev").write_text(NET_DEV)
    inside = stats(str(tmp_path), str(tmp_path / "sys"))
    assert (inside.rx_bytes, inside.tx_bytes) == (800, 100), "no hardware in sight: all but the loopback device"
    (tmp_path / "sys" / "class" / "net" / "eth0" / "device").mkdir(parents=True)
    reading = stats(str(tmp_path), str(tmp_path / "sys"))
    assert (reading.rx_bytes, reading.tx_bytes) == (500, 70)


def test_tasks_of_the_machine(tmp_path: Path) -> None:
    assert stats(str(tmp_path)).tasks is None
    (tmp_path / "loadavg").write_text("0.20 0.18 0.12 1/80 11206\n")
    assert stats(str(tmp_path)).tasks == 80
    assert stats(str(tmp_path)).read_bytes is None
