"""Readings again and again, of files that stay open: nothing that changes is missed, nothing is kept too long."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest

from pyctr_engine.cgroups import control, stats
from pyctr_engine.cgroups.layout import detect
from pyctr_engine.linux import kept
from pyctr_engine.model.stats import Stats
from tests.engine.cgroups.conftest import MIB, PARENT, Cgroup, Maker, first_line, until

pytestmark = pytest.mark.root

BUSY = "import sys\nfor line in sys.stdin:\n    exec(line)\n    print('done', flush=True)\n"


@pytest.fixture
def reader() -> Iterator[stats.Reader]:
    """A reader of these tests' cgroups; no descriptor may be left when it is closed."""
    descriptors = kept.Descriptors(1000)
    found = stats.Reader(detect(), PARENT, descriptors)
    yield found
    found.close()
    assert descriptors.left == 1000


def look(reader: stats.Reader, group: Cgroup) -> Stats:
    reader.turn()
    found = reader.read(group.id, group.resources)
    assert found is not None
    return found


def same(kept_open: Stats, fresh: Stats) -> None:
    """What does not change between two readings one after the other."""
    for name in (
        "oom_events", "oom_kills", "high_events", "pids", "pids_limit",
        "memory_limit", "cpu_limit", "read_bytes", "write_bytes", "devices",
    ):  # fmt: skip
        assert getattr(kept_open, name) == getattr(fresh, name), name
    for name in ("anon", "file", "kernel", "working_set", "memory_peak"):
        ours, theirs = getattr(kept_open, name), getattr(fresh, name)
        assert abs(ours - theirs) <= MIB, name


def test_a_reader_sees_all_that_a_single_reading_sees(cgroup: Maker, reader: stats.Reader) -> None:
    group = cgroup(memory=96 * MIB, pids=20, cpus=0.5)
    child = group.run(
        "import os, time\nheld = []\nfor step in range(6):\n"
        "    held.append(bytearray(b'x') * (4 << 20))\n    end = time.process_time() + 0.05\n"
        "    while time.process_time() < end: pass\n"
        "    if os.fork() == 0: time.sleep(1000)\n"
        "    print(step, flush=True)\n    time.sleep(0.3)\ntime.sleep(1000)"
    )
    for step in range(6):
        assert first_line(child) == str(step)
        found = look(reader, group)
        same(found, group.read())
        assert found.pids == step + 2
        assert found.anon is not None
        assert found.anon >= (step + 1) * 4 * MIB


def test_one_that_sleeps_is_not_read_in_full_and_still_right(cgroup: Maker, reader: stats.Reader) -> None:
    group = cgroup()
    child = group.run("print('there', flush=True); import time; time.sleep(1000)")
    assert first_line(child) == "there"
    before = -1
    while before != (before := group.read().cpu_usec):
        time.sleep(0.05)
    first = look(reader, group)
    for _ in range(stats.WHOLE_EVERY + 1):
        found = look(reader, group)
        same(found, group.read())
        assert found.time > first.time
        assert found.cpu_usec == group.read().cpu_usec


def test_a_kill_of_a_sleeper_s_child_is_seen_at_once(cgroup: Maker, reader: stats.Reader) -> None:
    group = cgroup(memory=32 * MIB, memory_swap=32 * MIB)
    parent = group.run(
        "import os, signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])\n"
        "print('there', flush=True)\nsignal.sigwait([signal.SIGUSR1])\n"
        "if os.fork() == 0:\n    open('/proc/self/oom_score_adj', 'w').write('1000')\n    x = bytearray(200 << 20)\n"
        "os.wait()\nprint('killed', flush=True)\nsignal.pause()"
    )
    assert first_line(parent) == "there"
    assert look(reader, group).oom_kills == 0
    parent.send_signal(signal.SIGUSR1)
    assert first_line(parent) == "killed"
    found = look(reader, group)
    assert found.oom_kills == 1
    assert found.max_events != 0, "some kernels do not count these, and then it is not 0 either"
    same(found, group.read())


def test_one_that_is_gone_is_let_go_of(cgroup: Maker, reader: stats.Reader) -> None:
    group = cgroup()
    open_before = len(os.listdir("/proc/self/fd"))
    look(reader, group)
    assert len(os.listdir("/proc/self/fd")) > open_before + 3
    assert group.close() == []
    reader.turn()
    assert reader.read(group.id) is None
    assert reader.read(group.id) is None
    assert len(os.listdir("/proc/self/fd")) <= open_before + 5  # the machine's own files
    again = Cgroup(group.layout, group.id, group.resources)
    try:
        assert look(reader, again).cpu_usec == 0
    finally:
        assert again.close() == []


def test_without_descriptors_it_reads_the_same(cgroup: Maker) -> None:
    group = cgroup(memory=96 * MIB)
    child = group.run("x = bytearray(b'x') * (9 << 20); print('there', flush=True); import time; time.sleep(1000)")
    assert first_line(child) == "there"
    poor = stats.Reader(detect(), PARENT, kept.Descriptors(2))
    for _ in range(3):
        same(look(poor, group), group.read())
    poor.close()


def test_stalls_and_their_total_are_told(cgroup: Maker, reader: stats.Reader) -> None:
    if not group_has_pressure():
        pytest.skip("this kernel measures no pressure")
    group = cgroup(cpus=0.05)
    group.run("while True: pass")
    assert until(lambda: (look(reader, group).cpu_pressure.some_usec or 0) > 100_000)
    found = look(reader, group).cpu_pressure
    assert found.some is not None
    assert found.full_usec is not None


def group_has_pressure() -> bool:
    layout = detect()
    return bool(layout.unified) and os.path.exists("/proc/pressure/cpu")


def test_one_that_was_made_anew_is_read_from_its_beginning(cgroup: Maker, reader: stats.Reader) -> None:
    group = cgroup()
    group.run("for _ in range(10**6): pass").wait()
    assert look(reader, group).cpu_usec > 0
    control.prepare(group.plan.parents, group.plan.directories, group.plan.settings, group.plan.defaults)
    assert look(reader, group).cpu_usec == 0
