"""What waits while the interface takes nothing: little, and nothing of it is lost that is still of use."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pyctr_engine.errors import StoreError
from pyctr_tui import feed
from pyctr_tui.feed import Backlog, Feed, Happened, Known, Snapshot
from pyctr_tui.store import Store
from pyctr_tui.view import event_view
from tests.tui.fake import FakeEngine
from tests.tui.harness import happened


class Source:
    """States of the made-up engine, a second apart."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0
        self.engine = FakeEngine(lambda: self.now)
        self.feed = Feed(self.engine, lambda: self.now)

    def state(self, figures: bool = True) -> Snapshot:
        self.now += 1
        return self.feed.read(figures)


@pytest.fixture
def source() -> Source:
    return Source()


def waiting(backlog: Backlog) -> list[Snapshot]:
    return [message for message in backlog.take() if isinstance(message, Snapshot)]


def test_figures_are_kept_and_lists_only_once(source: Source) -> None:
    backlog = Backlog()
    for _ in range(5):
        backlog.put(source.state())
    states = waiting(backlog)
    assert [bool(state.samples) for state in states] == [True] * 5
    assert [state.time for state in states] == sorted(state.time for state in states)
    assert all(state.containers is states[-1].containers for state in states)
    assert len(states[-1].containers) == 11


def test_states_without_figures_take_each_others_place(source: Source) -> None:
    backlog = Backlog()
    backlog.put(source.state())
    for _ in range(3000):
        backlog.put(replace(source.state(figures=False), images=None))
    states = waiting(backlog)
    assert [state.host is not None for state in states] == [True, False]
    assert states[-1].time == source.now


def test_images_outlive_the_state_that_brought_them(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "BACKLOG", 10)
    backlog = Backlog()
    first = source.state()
    assert first.images
    backlog.put(first)
    for _ in range(30):
        backlog.put(source.state())
    states = waiting(backlog)
    assert len(states) == 10
    assert [state.images for state in states] == [None] * 9 + [first.images]


def test_events_and_the_host_outlive_any_number_of_states(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "BACKLOG", 3)
    backlog = Backlog()
    backlog.put(Known(source.engine.host()))
    for name in ("brave-otter", "crawler-fetch-1"):
        backlog.put(Happened((event_view(happened(source.engine, "start", name)),)))
    for _ in range(10):
        backlog.put(source.state())
    known, events, *states = backlog.take()
    assert isinstance(known, Known)
    assert isinstance(events, Happened)
    assert [event.name for event in events.events] == ["brave-otter", "crawler-fetch-1"]
    assert len(states) == 3
    assert not backlog
    assert backlog.take() == []


def test_no_more_samples_wait_than_there_is_room_for(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "SAMPLES", 40)
    backlog = Backlog()
    for _ in range(50):
        backlog.put(source.state())
    states = waiting(backlog)
    assert 1 < len(states) < 6
    assert sum(len(state.samples) for state in states) <= 40
    assert states[-1].time == source.now
    backlog.put(source.state())  # the room is there again once all was taken
    backlog.put(source.state())
    assert len(waiting(backlog)) == 2


def test_lists_stay_beside_an_error_however_long_it_lasts(source: Source) -> None:
    backlog = Backlog()
    backlog.put(source.state())
    source.engine.fail["containers"] = StoreError("busy", "wait")
    for _ in range(20):
        backlog.put(source.state())
    store = Store(lambda: source.now)
    messages = backlog.take()
    assert len(messages) == 2
    for message in messages:
        store.apply(message)
    assert store.error == "busy · wait"
    assert len(store.containers) == 11
    del source.engine.fail["containers"]
    backlog.put(source.state())
    store.apply(backlog.take()[0])
    assert store.error == ""


def test_the_store_ends_as_if_it_had_taken_each_state(source: Source) -> None:
    at_once, later, backlog = Store(lambda: source.now), Store(lambda: source.now), Backlog()
    for number in range(40):
        if number == 20:
            source.engine.stop("brave-otter")
            source.engine.remove("brave-otter")
        state = source.state(figures=number % 3 > 0)
        at_once.apply(state)
        backlog.put(state)
    for message in backlog.take():
        later.apply(message)
    assert later.containers == at_once.containers
    assert later.images == at_once.images
    assert later.samples == at_once.samples
    assert {id: ring.values for id, ring in later.rings.items()} == {
        id: ring.values for id, ring in at_once.rings.items()
    }


def test_images_that_could_not_be_read_are_read_again(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy() -> None:
        raise StoreError("busy", "wait")

    with monkeypatch.context() as patch:
        patch.setattr(source.engine, "images", busy)
        state = source.state()
        assert (state.images, state.error) == (None, "busy · wait")
    assert source.state().images
    assert source.state().images is None
