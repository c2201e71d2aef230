"""The threads that ask the engine."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pyctr_engine.errors import NotFound, StoreError
from pyctr_engine.model.event import Event
from pyctr_tui import feed
from pyctr_tui.details import LONG, Answer, Details
from pyctr_tui.feed import Feed, Happened, Known, Message, Snapshot
from tests.tui.fake import FakeEngine
from tests.tui.harness import happened

PATIENCE = 10.0


def eventually(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


class Reader:
    """Takes what a feed delivers, as the interface does."""

    def __init__(self, engine: FakeEngine) -> None:
        self.engine = engine
        self.feed = Feed(engine)
        self.messages: list[Message] = []
        self.feed.connect(lambda: self.messages.extend(self.feed.take()))
        self.feed.start()

    def snapshots(self) -> list[Snapshot]:
        return [message for message in self.messages if isinstance(message, Snapshot)]


@pytest.fixture
def reader() -> Iterator[Reader]:
    reader = Reader(FakeEngine())
    yield reader
    reader.feed.stop()


def test_names_come_before_figures_and_images_come_once(reader: Reader) -> None:
    eventually(lambda: len(reader.snapshots()) >= 3)
    first, second, third = reader.snapshots()[:3]
    assert len(first.containers) == 11
    assert not first.samples
    assert first.images is not None
    assert len(second.samples) == 9
    assert second.images is None
    assert third.host is not None
    assert any(isinstance(message, Known) for message in reader.messages)


def test_an_event_is_told_and_read_after(reader: Reader) -> None:
    eventually(lambda: len(reader.snapshots()) >= 3 and reader.engine._listeners)
    reader.engine._add("", "newcomer", "debian:12", 1, 0.1, 1 << 20, None, 0, 0, 0)
    reader.engine.emit(happened(reader.engine, "create", "newcomer"))
    eventually(lambda: any(one.name == "newcomer" for one in reader.snapshots()[-1].containers))
    assert any(isinstance(message, Happened) and message.events[0].name == "newcomer" for message in reader.messages)


def test_new_images_are_read_after_a_commit(reader: Reader) -> None:
    from pyctr_engine.model.spec import CommitRequest

    eventually(lambda: len(reader.snapshots()) >= 3 and reader.engine._listeners)
    reader.engine.commit("brave-otter", CommitRequest("kept:1"))
    eventually(lambda: any(one.images and one.images[0].label == "kept:1" for one in reader.snapshots()))


def test_trouble_is_told_and_got_over(reader: Reader) -> None:
    reader.engine.fail["containers"] = StoreError("busy", "wait")
    reader.feed.refresh()
    eventually(lambda: any(one.error == "busy · wait" for one in reader.snapshots()))
    del reader.engine.fail["containers"]
    reader.feed.refresh()
    eventually(lambda: not reader.snapshots()[-1].error)


@pytest.mark.parametrize("trouble", [OSError(24, "Too many open files"), StoreError("busy"), RuntimeError("a fault")])
def test_events_that_can_not_be_read_are_told_once_and_read_again(
    trouble: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "PERIOD", 0.05)
    engine, failures = FakeEngine(), []
    events = engine.events

    def failing(*arguments: Any, **options: Any) -> Iterator[Event]:
        if len(failures) < 4:
            failures.append(trouble)
            raise trouble
        return events(*arguments, **options)

    monkeypatch.setattr(engine, "events", failing)
    reader = Reader(engine)
    try:
        eventually(lambda: reader.engine._listeners)
        engine.emit(happened(engine, "die", "shop-web-1"))
        eventually(lambda: any(isinstance(message, Happened) for message in reader.messages))
        eventually(lambda: any(one.error for one in reader.snapshots()))
        (said,) = {one.error for one in reader.snapshots() if one.error}
        assert said.startswith("events can't be read: ")
        assert all(one.containers for one in reader.snapshots())
    finally:
        reader.feed.stop()


def test_what_waits_for_a_reading_is_called_after_one_that_began_later(reader: Reader) -> None:
    eventually(lambda: len(reader.snapshots()) >= 3)
    gate, asked, seen = threading.Event(), threading.Event(), list[set[str]]()
    containers = reader.engine.containers

    def slow() -> object:
        found = containers()
        asked.set()
        gate.wait(PATIENCE)
        return found

    reader.engine.containers = slow  # type: ignore[assignment]
    reader.feed.refresh()
    assert asked.wait(PATIENCE)
    reader.engine._add("", "newcomer", "debian:12", 1, 0.1, 1 << 20, None, 0, 0, 0)
    reader.feed.refresh(then=lambda: seen.append({one.name for one in reader.snapshots()[-1].containers}))
    gate.set()
    eventually(lambda: seen)
    assert "newcomer" in seen[0]


def test_an_interface_that_is_away_costs_bounded_memory() -> None:
    feed = Feed(FakeEngine())
    for _ in range(2000):
        feed._put(Happened(()))
    assert len(feed.take()) <= 900


class SlowEngine(FakeEngine):
    """Answers about layers when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.asked: list[str] = []

    def layers(self, image: str) -> list[object]:  # type: ignore[override]
        self.asked.append(image)
        self.gate.wait(PATIENCE)
        if image == "missing":
            raise NotFound("no such image")
        return []


def test_only_the_newest_question_of_a_kind_is_asked() -> None:
    engine, answers = SlowEngine(), list[Answer]()
    details = Details(engine, answers.append)
    details.ask("layers", "first")
    eventually(lambda: engine.asked)
    for number in range(50):
        details.ask("layers", f"passed-{number}")
    details.ask("layers", "missing")
    engine.gate.set()
    eventually(lambda: len(answers) == 2)
    assert engine.asked == ["first", "missing"]
    assert answers[1].error == "no such image"
    details.stop()


def test_slow_kinds_take_turns_and_hold_up_no_other() -> None:
    gates = {kind: threading.Event() for kind in LONG}
    began: queue.Queue[str] = queue.Queue()
    answers: queue.Queue[str] = queue.Queue()
    details = Details(FakeEngine(), lambda answer: answers.put(answer.kind))

    def look(kind: str) -> None:
        began.put(kind)
        gates[kind].wait(PATIENCE)

    for kind in LONG:
        details.call(kind, lambda kind=kind: look(kind), lambda _: None)  # type: ignore[misc]
    first = began.get(timeout=PATIENCE)
    for kind in ("quick", "other", "quick"):
        details.call(kind, lambda: None, lambda _: None)
        assert answers.get(timeout=PATIENCE) == kind
    assert began.empty()
    gates[first].set()
    assert answers.get(timeout=PATIENCE) == first
    second = began.get(timeout=PATIENCE)
    assert {first, second} == LONG
    gates[second].set()
    assert answers.get(timeout=PATIENCE) == second
    details.stop()


def test_one_slow_question_does_not_hold_up_another_kind() -> None:
    engine, answers = SlowEngine(), list[Answer]()
    details = Details(engine, answers.append)
    details.ask("layers", "slow")
    details.ask("changes", "brave-otter")
    eventually(lambda: answers)
    assert answers[0].kind == "changes"
    engine.gate.set()
    details.stop()
