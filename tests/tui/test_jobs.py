"""The log of jobs: what was done, as command lines."""

from __future__ import annotations

import pytest

from pyctr_engine.errors import Conflict
from pyctr_engine.model.progress import Progress
from pyctr_tui.dialogs.form import Field, FormDialog
from pyctr_tui.jobs import Job
from tests.tui.harness import running


async def test_what_was_done_is_kept_with_its_command_line() -> None:
    async with running() as it:
        await it.press("s")
        await it.until(lambda: "stopped" in it.text())
        it.engine.fail["restart"] = Conflict("it is busy", "wait")
        await it.press("r")
        await it.until(lambda: "it is busy · wait" in it.text())
        await it.press("J")
        text = it.text()
        assert "pyctr-tui stop crawler-fetch-1" in text
        assert "pyctr-tui restart crawler-fetch-1" in text
        assert "it is busy · wait" in text
        await it.press("escape")
        assert "1 Containers" in it.text()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (KeyError("\x1b[2Jno\nkey"), "something unexpected went wrong: KeyError: '"),
        (OSError(28, "No space left on device", "/there"), "/there: no space left on device"),
    ],
)
async def test_whatever_a_job_dies_of_it_ends_and_says_so(error: Exception, said: str) -> None:
    async with running() as it:

        def work(job: Job) -> None:
            raise error

        job = it.app.jobs.run("doing much", work, "done", "much")
        await it.until(lambda: job.state == "failed")
        assert job.said.startswith(said)
        assert "\x1b" not in job.said


async def test_whatever_a_question_dies_of_the_next_one_is_answered() -> None:
    async with running() as it:
        answers: list[object] = []

        def ask() -> None:
            raise KeyError("no key")

        it.app.details.call("one", ask, answers.append)
        await it.until(lambda: bool(answers))
        assert "something unexpected went wrong: KeyError: 'no key' (test_jobs.py, line" in answers[0].error  # type: ignore[attr-defined]
        it.app.details.call("one", lambda: "fine", answers.append)
        await it.until(lambda: len(answers) == 2)
        assert answers[1].value == "fine"  # type: ignore[attr-defined]


async def test_a_job_shows_how_far_it_is_and_can_be_cancelled() -> None:
    async with running() as it:

        def work(job: Job) -> None:
            job.report(Progress("layer", "downloading", 30, 100))
            job.cancel.wait(10)
            job.report(Progress("layer", "downloading", 31, 100))

        it.app.jobs.run("pulling much", work, "pulled", "pull much", cancellable=True)
        await it.press("J")
        await it.until(lambda: "30% downloading" in it.text())
        await it.press("d")
        await it.until(lambda: "cancelled: pulling much" in it.text())


@pytest.mark.parametrize(
    ("keys", "answer"), [(("b", "enter"), "ab"), (("ctrl+u", "enter"), None), (("escape",), None)]
)
async def test_a_form_gives_what_was_filled_in(keys: tuple[str, ...], answer: str | None) -> None:
    async with running() as it:
        got: list[object] = []
        fields = (Field("name", "new name", "a", needed=True), Field("all", "all", switch=True, hint="of them"))
        form = FormDialog("Rename", fields, "renames", cli=lambda found: f"rename x {found['name']}")
        it.app.push_screen(form, got.append)
        await it.settle()
        assert "$ pyctr-tui rename x a" in it.text()
        await it.press(*keys)
        if keys[-1] == "enter" and answer is None:
            assert "new name is needed" in it.text()
            assert got == []
        else:
            assert got == [None if answer is None else {"name": answer, "all": ""}]
