"""Changing a container's limits by keypress."""

from __future__ import annotations

from pyctr_tui.dialogs.limits import LimitsDialog
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
