"""Tasks that need each other."""

from __future__ import annotations

import threading

import pytest

from pyctr_engine.stacks.schedule import Task, run


class Recorder:
    def __init__(self) -> None:
        self.done: list[str] = []
        self.stop = threading.Event()

    def task(self, key: str, *needs: str, after: tuple[str, ...] = (), error: BaseException | None = None) -> Task:
        def do() -> None:
            if error is not None:
                raise error
            self.done.append(key)

        return Task(key, do, needs, after)


def test_needs_come_first() -> None:
    recorder = Recorder()
    outcome = run([recorder.task("c", "b"), recorder.task("b", "a"), recorder.task("a")], recorder.stop)
    assert recorder.done == ["a", "b", "c"]
    assert (outcome.failed, outcome.skipped) == ({}, [])


def test_what_doesn_t_need_each_other_goes_on_at_once() -> None:
    barrier = threading.Barrier(8, timeout=20)
    outcome = run([Task(str(n), lambda: (barrier.wait(), None)[1]) for n in range(8)], threading.Event())
    assert outcome.failed == {}


def test_a_failure_holds_back_what_needs_it_and_nothing_else() -> None:
    recorder = Recorder()
    error = ValueError("no")
    outcome = run(
        [
            recorder.task("bad", error=error),
            recorder.task("needs", "bad"),
            recorder.task("needs that", "needs"),
            recorder.task("after", after=("bad", "needs that")),
            recorder.task("other"),
        ],
        recorder.stop,
    )
    assert outcome.failed == {"bad": error}
    assert sorted(outcome.skipped) == ["needs", "needs that"]
    assert sorted(recorder.done) == ["after", "other"]


def test_unknown_needs_count_as_done() -> None:
    recorder = Recorder()
    run([recorder.task("a", "nobody", after=("no one",))], recorder.stop)
    assert recorder.done == ["a"]


def test_no_tasks() -> None:
    assert run([], threading.Event()).failed == {}


def test_a_circle_does_not_hang() -> None:
    recorder = Recorder()
    assert sorted(run([recorder.task("a", "b"), recorder.task("b", "a")], recorder.stop).skipped) == ["a", "b"]


def test_an_interrupt_begins_no_more_and_waits_for_those_under_way() -> None:
    recorder = Recorder()
    under_way = threading.Event()

    def slow() -> None:
        under_way.set()
        # the interrupt has come once `stop` is set; whoever runs then still ends its step
        assert recorder.stop.wait(20)
        recorder.done.append("slow")

    def interrupt() -> None:
        assert under_way.wait(20)
        raise KeyboardInterrupt

    tasks = [Task("slow", slow), Task("interrupt", interrupt), recorder.task("later", "slow")]
    with pytest.raises(KeyboardInterrupt):
        run(tasks, recorder.stop)
    assert recorder.done == ["slow"]
