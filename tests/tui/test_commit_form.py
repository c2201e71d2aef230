"""What the commit dialog checks as it is typed, how it shows growth, and its job."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pyctr_engine.model.image import Change
from pyctr_engine.model.progress import Progress
from pyctr_engine.model.spec import CommitRequest
from pyctr_tui.dialogs.commit import CommitDialog
from pyctr_tui.dialogs.commit_form import CommitForm
from pyctr_tui.jobs import Job
from pyctr_tui.widgets.line_edit import LineEdit
from tests.tui.harness import running
from tests.tui.test_more_actions import key


def test_picked_paths_mean_themselves() -> None:
    form = CommitForm(LineEdit("a:1"), excluded={"/srv/a[1]*.txt"})
    assert form.request().exclude == ("/srv/a[[]1][*].txt",)


def test_the_command_line_says_all_of_it() -> None:
    form = CommitForm(LineEdit("a:1"), LineEdit("me"), LineEdit("why not"), False, [LineEdit("CMD sh")])
    form.only, form.patterns = LineEdit("/srv"), LineEdit("*.log")
    told = "commit -a me -m 'why not' -c 'CMD sh' --no-pause --include /srv --exclude '*.log' web a:1"
    assert form.line("web") == told


async def test_patterns_leave_out_what_the_engine_would() -> None:
    async with running() as it:
        await it.press("C", *["tab"] * 6, *(key(letter) for letter in "*.log /app/cache"))
        await it.until(lambda: "3 left out" in it.text())
        assert "14 KiB in 4 paths" in it.text()
        await it.press("enter")
        await it.until(lambda: it.app.screen is it.app.home)
        request = next(call[2] for call in it.engine.calls if call[0] == "commit")
        assert request.exclude == ("*.log", "/app/cache")


async def test_patterns_take_alone_what_the_engine_would() -> None:
    async with running() as it:
        await it.press("C", *["tab"] * 5, *(key(letter) for letter in "/app/cache"))
        await it.until(lambda: "left out" in it.text())
        await it.press("enter")
        await it.until(lambda: it.app.screen is it.app.home)
        request = next(call[2] for call in it.engine.calls if call[0] == "commit")
        assert (request.include, request.exclude) == (("/app/cache",), ())


@pytest.mark.parametrize(
    ("tabs", "typed", "says"),
    [
        (0, "UPPER", "must be in lower case"),
        (4, "CMDS x", "unknown instruction"),
        (5, "[", "that doesn't end"),
        (6, "[", "that doesn't end"),
    ],
)
async def test_what_can_not_be_is_said_as_it_is_typed(tabs: int, typed: str, says: str) -> None:
    async with running() as it:
        await it.press("C", *["tab"] * tabs, "ctrl+u", *(key(letter) for letter in typed))
        await it.until(lambda: says in it.text())
        await it.press("enter")
        assert isinstance(it.app.screen, CommitDialog)
        assert not it.engine.calls


async def test_a_name_that_is_taken_is_told() -> None:
    async with running() as it:
        await it.press("C", "ctrl+u", *(key(letter) for letter in "app:dev"))
        await it.until(lambda: "replaces the name of another image" in it.text())


async def test_changes_to_the_config_are_lines() -> None:
    async with running() as it:
        await it.press("C", *["tab"] * 4, *(key(letter) for letter in "USER app"), "tab")
        await it.press(*(key(letter) for letter in "ENV A=b"), "enter")
        await it.until(lambda: it.app.screen is it.app.home)
        request: CommitRequest = next(call[2] for call in it.engine.calls if call[0] == "commit")
        assert request.changes == ("USER app", "ENV A=b")


async def test_growth_is_shown_while_it_is_open() -> None:
    async with running() as it:
        await it.press("C")
        await it.until(lambda: "38 MiB in 7 paths" in it.text())
        before = it.engine.changes("crawler-fetch-1")
        after = [replace(one, size=one.size + (4 << 20)) if one.path.endswith(".db") else one for one in before]
        grown = [*after, Change("/tmp/fresh", "A", 1 << 20)]
        it.engine.changes = lambda ref: grown  # type: ignore[method-assign]
        dialog = it.app.screen
        assert isinstance(dialog, CommitDialog)
        dialog._due = 0.0
        await it.until(lambda: "+5.0M since opened" in it.text())
        text = it.text()
        assert "+4.0M" in text
        assert "new" in next(line for line in it.lines() if "/tmp/fresh" in line)


async def test_a_commit_is_cancelled_from_its_dialog_or_left() -> None:
    async with running() as it:
        made = it.engine.commit

        def slow(ref: str, request: CommitRequest, progress: object = None) -> object:
            assert callable(progress)
            while not it.engine.hold.wait(0.01):
                progress(Progress(request.name, "writing the layer", 9 << 20))
            return made(ref, request)

        it.engine.commit = slow  # type: ignore[method-assign, assignment]
        it.engine.hold.clear()
        await it.press("C", "enter")
        await it.until(lambda: "Ctrl+X cancels · Esc leaves it running" in it.text() and "24%" in it.text())
        await it.press("ctrl+x")
        await it.until(lambda: "cancelled; nothing was made" in it.text())
        await it.press("enter", "escape")
        assert it.app.screen is it.app.home
        assert "1 job" in it.lines()[0]
        it.engine.hold.set()
        await it.until(lambda: "committed as fetch:new" in it.text())
        await it.read()
        await it.until(lambda: it.app.home.images.selected is not None
                       and it.app.home.images.selected.label == "fetch:new")  # fmt: skip
        assert it.app.home.focus_name == "containers"


def test_a_job_says_how_much_is_left() -> None:
    job = Job("pulling", "pull x", 0.0, True)
    job.report(Progress("a", "downloading", 0, 100 << 20))
    job.take_steps(0.0)
    assert job.figures() == "downloading"
    job.report(Progress("a", "downloading", 20 << 20, 100 << 20))
    job.take_steps(2.0)
    assert job.figures() == "20% · 10M/s · 8 s left"
    job.report(Progress("a", "unpacking", 0, 100 << 20))
    job.take_steps(2.1)
    assert job.done == 20 << 20, "it is not done less because it begins to be unpacked"
    job.report(Progress("a", "pulled", 100 << 20, 100 << 20, True))
    job.take_steps(3.0)
    assert job.share == 1.0
