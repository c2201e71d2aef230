"""The thread that writes: in order, never in the way, and told when there is room."""

from __future__ import annotations

import os
import threading

from pyctr_engine.runtime.disk import HIGH_WATER, Disk
from pyctr_engine.runtime.loop import Loop


def test_jobs_are_done_in_their_order() -> None:
    done: list[int] = []
    disk = Disk(Loop(), lambda: None)
    for number in range(1000):
        disk.submit(lambda number=number: done.append(number))  # type: ignore[misc]
    assert disk.finish(lambda: done.append(-1), 5.0)
    assert done == [*range(1000), -1]


def test_without_a_thread_the_last_job_is_done_here() -> None:
    here: list[int] = []
    disk = Disk(Loop(), lambda: None)
    assert disk.finish(lambda: here.append(threading.get_ident()), 0.0)
    assert here == [threading.get_ident()]


def test_a_stalled_disk_holds_up_nobody_and_relief_is_told() -> None:
    relieved: list[bool] = []
    loop = Loop()
    disk = Disk(loop, lambda: relieved.append(True))
    reading, writing = os.pipe()
    disk.submit(lambda: os.read(reading, 1) and None, HIGH_WATER + 1)  # type: ignore[func-returns-value]
    assert disk.is_full
    assert not disk.finish(lambda: None, 0.05)
    assert not loop.turn(0.05)
    os.write(writing, b"x")
    assert loop.turn(5.0)
    assert relieved == [True]
    assert not disk.is_full


def test_a_job_that_fails_loses_nothing_but_itself(capsys: object) -> None:
    done: list[str] = []
    disk = Disk(Loop(), lambda: None)

    def fail() -> None:
        raise RuntimeError("a fault")

    disk.submit(fail)
    assert disk.finish(lambda: done.append("after"), 5.0)
    assert done == ["after"]
