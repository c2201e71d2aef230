"""Keeping a container's changes by keypress."""

from __future__ import annotations

from typing import cast

from pyctr_engine.errors import Conflict
from pyctr_engine.model.spec import CommitRequest
from pyctr_tui.dialogs.commit import CommitDialog
from tests.tui.harness import Running, running


def request_of(it: Running) -> CommitRequest:
    calls = [call for call in it.engine.calls if call[0] == "commit"]
    assert len(calls) == 1
    return cast(CommitRequest, calls[0][2])


async def test_commit_shows_what_it_would_take() -> None:
    async with running() as it:
        await it.press("C")
        text = it.text()
        assert "Commit crawler-fetch-1" in text
        assert "38 MiB in 7 paths become one new layer of crawler:4" in text
        for path in ("/app/cache/pages.db", "/etc/resolv.conf.bak", "/run/fetch.sock=", "/tmp/current@"):
            assert path in text


async def test_commit_makes_an_image_that_is_selected_at_once() -> None:
    async with running() as it:
        await it.press("C", "ctrl+u", *"fixed", "colon", *"1", "tab", *"me", "tab", *"why")
        await it.press("enter")
        await it.until(lambda: it.app.screen is it.app.home)
        await it.read()
        await it.until(lambda: it.app.home.focus_name == "images")
        assert request_of(it) == CommitRequest("fixed:1", "me", "why", (), True, ())
        assert it.app.home.images.selected is not None
        assert it.app.home.images.selected.label == "fixed:1"
        assert "3 Layers of fixed:1" in it.text()
        assert "committed as fixed:1" in it.text()


async def test_paths_are_left_out_with_all_below_them() -> None:
    async with running() as it:
        await it.press("C", *["tab"] * 7, "space")
        assert "2 left out" in it.text()
        assert "2 MiB in 5 paths" in it.text()
        await it.press("enter")
        await it.until(lambda: it.app.screen is it.app.home)
        assert request_of(it).exclude == ("/app/cache",)


async def test_left_out_path_can_be_taken_back() -> None:
    async with running() as it:
        await it.press("C", *["tab"] * 7, "space", "up", "space")
        assert "left out" not in it.text()


async def test_without_pause() -> None:
    async with running() as it:
        await it.press("C", "tab", "tab", "tab", "space", "enter")
        await it.until(lambda: it.app.screen is it.app.home)
        assert request_of(it).pause is False


async def test_a_name_is_needed() -> None:
    async with running() as it:
        await it.press("C", "ctrl+u", "enter")
        assert "give the new image a name" in it.text()
        assert not it.engine.calls


async def test_errors_are_shown_in_the_dialog_which_stays_usable() -> None:
    async with running() as it:
        it.engine.fail["commit"] = Conflict("the name is taken", "choose another")
        await it.press("C", "enter")
        await it.until(lambda: "the name is taken · choose another" in it.text())
        assert isinstance(it.app.screen, CommitDialog)
        del it.engine.fail["commit"]
        await it.press("enter")
        await it.until(lambda: it.app.screen is it.app.home)


async def test_escape_commits_nothing() -> None:
    async with running() as it:
        await it.press("C", "escape")
        assert it.app.screen is it.app.home
        assert not it.engine.calls


async def test_a_changed_count_arrives_while_the_dialog_is_open() -> None:
    async with running() as it:
        it.app.home.selection.changes_of = ""
        await it.press("C")
        await it.until(lambda: "38 MiB in 7 paths" in it.text())
