"""Changing a container's limits by keypress."""

from __future__ import annotations

import re
import threading

import pytest

from pyctr_engine.record import replace
from pyctr_tui import reverts
from pyctr_tui.dialogs.limits import LimitsDialog, moved
from pyctr_tui.jobs import Job
from tests.tui.harness import Running, running


def dialog(it: Running) -> LimitsDialog:
    assert isinstance(it.app.screen, LimitsDialog)
    return it.app.screen


async def opened(it: Running) -> None:
    await it.press("M")
    await it.until(lambda: dialog(it)._pane.before is not None)
    await it.pilot.pause()


async def test_it_opens_with_the_limits_that_there_are_and_says_the_command() -> None:
    async with running() as it:
        await opened(it)
        text = it.text()
        assert "Limits of crawler-fetch-1" in text
        assert "$ pyctr-tui update crawler-fetch-1" in text
        await it.press("ctrl+u", *"512m", "tab", "tab", "ctrl+u", *"1", "full_stop", "5")
        assert "$ pyctr-tui update -m 512m --cpus 1.5 crawler-fetch-1" in it.text()


async def test_enter_sets_what_was_changed_and_nothing_else() -> None:
    async with running() as it:
        before = it.engine.container("crawler-fetch-1").spec.request.resources
        await opened(it)
        await it.press("tab", "tab", "tab", "tab", "ctrl+u", *"77", "enter")
        await it.until(lambda: bool(it.engine.calls))
        name, ref, after = it.engine.calls[0]
        assert (name, ref) == ("update", "crawler-fetch-1")
        assert after.pids == 77
        assert (after.memory, after.cpus) == (before.memory, before.cpus)
        await it.until(lambda: it.app.screen is it.app.home)
        assert "crawler-fetch-1 has its new limits" in it.text()


async def test_what_is_no_size_or_is_refused_is_said_and_nothing_is_lost() -> None:
    async with running() as it:
        await opened(it)
        await it.press("ctrl+u", *"lots", "enter")
        assert "'lots' is not a size" in it.text()
        await it.press("ctrl+u", *"1k", "enter")
        await it.until(lambda: "too small" in it.text())
        assert "6m is the least" in it.text()
        assert not it.engine.calls
        await it.press("escape")
        assert it.app.screen is it.app.home


async def test_without_a_change_enter_just_closes() -> None:
    async with running() as it:
        await opened(it)
        await it.press("enter")
        assert it.app.screen is it.app.home
        assert not it.engine.calls


async def test_a_key_moves_a_limit_at_once_and_the_dialog_stays() -> None:
    async with running() as it:
        await opened(it)
        before = it.engine.container("crawler-fetch-1").spec.request.resources.memory
        assert before == 1 << 30
        await it.press("ctrl+up")
        await it.until(lambda: len(it.engine.calls) == 1 and not dialog(it)._pane.busy)
        assert it.engine.calls[0][2].memory == 1280 << 20
        assert "1280m" in it.text()
        await it.press("ctrl+down")
        await it.until(lambda: len(it.engine.calls) == 2 and not dialog(it)._pane.busy)
        assert it.engine.calls[1][2].memory == before
        await it.press("tab", "tab", "ctrl+down")
        await it.until(lambda: len(it.engine.calls) == 3 and not dialog(it)._pane.busy)
        assert it.engine.calls[2][2].cpus == 1.6
        assert it.engine.calls[2][2].memory == before
        await it.press("up", "up", "up", "up", "ctrl+up")
        assert "restart is typed" in it.text()
        assert len(it.engine.calls) == 3


@pytest.fixture
def over(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Says when the while is over for which limits are changed, however long it was to be."""
    event = threading.Event()

    def is_cancelled(job: Job, seconds: float) -> bool:
        while not event.is_set():
            if job.cancel.wait(0.01):
                return True
        return False

    monkeypatch.setattr(reverts, "is_cancelled", is_cancelled)
    return event


async def test_a_while_is_as_long_as_it_is_said_to_be() -> None:
    async with running() as it:
        before = limits(it)
        await change(it, "ctrl+u", *"2g", *AFTER, *"1s")
        await it.until(lambda: limits(it) == before)


async def test_what_was_changed_for_a_while_goes_back_by_itself_and_can_stay(over: threading.Event) -> None:
    async with running() as it:
        first = it.engine.container("crawler-fetch-1").spec.request.resources
        await opened(it)
        await it.press("up", *"3s", "down", "ctrl+up")
        await it.until(lambda: len(it.engine.calls) == 1 and not dialog(it)._pane.busy)
        await it.press("ctrl+up")
        await it.until(lambda: len(it.engine.calls) == 2 and not dialog(it)._pane.busy)
        over.set()
        await it.until(lambda: len(it.engine.calls) == 3)
        assert [call[2].memory for call in it.engine.calls] == [1280 << 20, 1600 << 20, 1 << 30]
        assert it.engine.container("crawler-fetch-1").spec.request.resources == first
        assert [job.state for job in it.app.jobs.all if "goes back" in job.title] == ["cancelled", "done"]
        await it.press("escape", "J")
        assert "goes back to its limits of before at" in it.text()
        it.engine.calls.clear()
        over.clear()
        await it.press("1")
        await opened(it)
        await it.press("ctrl+u", *"2g", "up", *"1h", "enter")
        await it.until(lambda: bool(it.engine.calls) and it.app.screen is it.app.home)
        await it.press("ctrl+x")
        await it.until(lambda: "cancelled: crawler-fetch-1 goes back" in it.text())
        assert it.engine.container("crawler-fetch-1").spec.request.resources.memory == 2 << 30


async def change(it: Running, *keys: str) -> None:
    """Change limits in a dialog of its own."""
    calls = len(it.engine.calls)
    await opened(it)
    await it.press(*keys, "enter")
    await it.until(lambda: len(it.engine.calls) > calls and it.app.screen is it.app.home)


def limits(it: Running) -> tuple[int | None, int | None]:
    found = it.engine.container("crawler-fetch-1").spec.request.resources
    return found.memory and found.memory >> 20, found.pids


PIDS = ("tab",) * 4
AFTER = ("up",)


async def test_what_is_changed_for_good_does_not_go_back(over: threading.Event) -> None:
    async with running() as it:
        pids = limits(it)[1]
        await change(it, "ctrl+u", *"2g", *PIDS, "ctrl+u", *"77", "tab", "tab", *"4s")
        await change(it, "ctrl+u", *"3g")
        assert limits(it) == (3 << 10, 77)
        assert [job.state for job in it.app.jobs.all if "goes back" in job.title] == ["running"], "for the processes"
        over.set()
        await it.until(lambda: limits(it) == (3 << 10, pids) and not list(it.app.jobs.running))
        over.clear()
        await change(it, "ctrl+u", *"2g", *AFTER, *"1h")
        await change(it, "ctrl+u", *"1g")
        await it.until(lambda: "cancelled: crawler-fetch-1 goes back" in it.text())
        assert not list(it.app.jobs.running)


async def test_two_changes_for_a_while_go_back_to_what_was_before_both(over: threading.Event) -> None:
    async with running() as it:
        before = limits(it)
        await change(it, "ctrl+u", *"2g", *AFTER, *"1h")
        await change(it, "ctrl+u", *"3g", *PIDS, "ctrl+u", *"77", "tab", "tab", *"2s")
        await it.until(lambda: "cancelled: crawler-fetch-1 goes back" in it.text())
        assert limits(it) == (3 << 10, 77)
        over.set()
        await it.until(lambda: limits(it) == before)
        await it.until(lambda: not list(it.app.jobs.running))
        assert len(it.engine.calls) == 3


async def test_a_change_that_was_kept_is_what_the_next_one_goes_back_to(over: threading.Event) -> None:
    async with running() as it:
        await change(it, "ctrl+u", *"2g", *AFTER, *"1h")
        await it.press("ctrl+x")
        await it.until(lambda: "cancelled: crawler-fetch-1 goes back" in it.text())
        await change(it, "ctrl+u", *"3g", *AFTER, *"1h")
        assert limits(it)[0] == 3 << 10
        over.set()
        await it.until(lambda: limits(it)[0] == 2 << 10)


async def test_what_somebody_else_has_changed_since_stays(over: threading.Event) -> None:
    async with running() as it:
        pids, policy = limits(it)[1], it.engine.container("crawler-fetch-1").spec.request.restart
        await change(it, "ctrl+u", *"2g", *PIDS, "ctrl+u", *"77", "tab", "ctrl+u", *"always", "tab", *"2s")
        assert it.engine.container("crawler-fetch-1").spec.request.restart.name == "always"
        it.engine.update("crawler-fetch-1", lambda now: replace(now, memory=4 << 30, memory_swap=5 << 30))
        over.set()
        await it.until(lambda: limits(it) == (4 << 10, pids))
        request = it.engine.container("crawler-fetch-1").spec.request
        assert (request.resources.memory_swap, request.restart) == (5 << 30, policy)


async def test_that_it_goes_back_only_while_the_program_runs_stands_beside_it() -> None:
    async with running() as it:
        await opened(it)
        assert re.search(r"back after +10m, 1h; empty for good +while this program runs", it.text())
        await it.press("up", *"90s")
        assert re.search(r"back after +90s +while this program runs", it.text())


@pytest.mark.parametrize(
    ("name", "now", "up", "text"),
    [
        ("memory", 100 << 20, True, "125m"), ("memory", 6 << 20, False, "6m"), ("memory", None, True, ""),
        ("memory", None, False, "16m"), ("cpus", 1.0, True, "1.25"), ("cpus", 0.011, False, "0.01"),
        ("pids", 1, True, "2"), ("pids", 1, False, "1"), ("shares", 2, False, "2"), ("pids", None, False, "16"),
    ],
)  # fmt: skip
def test_how_far_a_key_moves(name: str, now: float | None, up: bool, text: str) -> None:
    assert moved(name, now, up, None) == text
