"""OOM kills are heard of by waiting, not by looking; and what v2 alone can do about memory."""

from __future__ import annotations

import select
import signal

import pytest

from pyctr_engine.cgroups import oom
from pyctr_engine.cgroups.layout import detect
from tests.engine.cgroups.conftest import MIB, Maker, first_line, until

pytestmark = pytest.mark.root

V2 = detect().home("memory")[0] == 2

CHILD = (
    "import os, signal\n"
    "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])\n"
    "print('there', flush=True)\n"
    "while True:\n"
    "    signal.sigwait([signal.SIGUSR1])\n"
    "    if os.fork() == 0:\n"
    "        open('/proc/self/oom_score_adj', 'w').write('1000')\n"
    "        held = bytearray(b'x') * (200 << 20)\n"
    "    os.wait()\n"
    "    print('killed', flush=True)\n"
)


def test_each_kill_is_heard_of(cgroup: Maker) -> None:
    group = cgroup(memory=32 * MIB, memory_swap=32 * MIB)
    parent = group.run(CHILD)
    assert first_line(parent) == "there"
    watch = oom.Watch(group.plan.oom)
    epoll = select.epoll()
    epoll.register(watch.fd, watch.mask)
    try:
        assert watch.kills() == 0
        assert epoll.poll(0) == []
        for number in (1, 2, 3):
            parent.send_signal(signal.SIGUSR1)
            assert epoll.poll(10), "the kernel says nothing"
            assert until(lambda number=number: watch.kills() == number)  # type: ignore[misc]
            assert first_line(parent) == "killed"
            watch.kills()
            until(lambda: not (epoll.poll(0.02) and watch.kills()))
    finally:
        epoll.close()
        watch.close()


def test_one_that_is_gone_can_not_be_watched(cgroup: Maker) -> None:
    group = cgroup()
    watch = oom.Watch(group.plan.oom)
    assert group.close() == []
    with pytest.raises(OSError, match="No such"):
        watch.kills()
    with pytest.raises(FileNotFoundError):
        oom.Watch(group.plan.oom)
    watch.close()


@pytest.mark.skipif(not V2, reason="cgroup v1 kills one process at a time")
def test_a_group_is_killed_as_a_whole(cgroup: Maker) -> None:
    group = cgroup(memory=32 * MIB, memory_swap=32 * MIB, oom_group=True)
    parent = group.run(CHILD)
    assert first_line(parent) == "there"
    parent.send_signal(signal.SIGUSR1)
    assert parent.wait() == -signal.SIGKILL, "it went with its child"
    assert (group.read().oom_kills or 0) >= 2


@pytest.mark.skipif(not V2, reason="cgroup v1 has no memory.high")
def test_above_high_it_is_slowed_down_and_lives(cgroup: Maker) -> None:
    group = cgroup(memory_high=32 * MIB)
    child = group.run("x = bytearray(b'x') * (34 << 20); print('there', flush=True); import time; time.sleep(60)")
    assert first_line(child) == "there"
    reading = group.read()
    assert reading.high_events
    assert reading.oom_kills == 0
