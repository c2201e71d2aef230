"""The screens as they were looked at, at three sizes and in all depths of colour."""

from __future__ import annotations

import pytest

from pyctr_tui.palette import Depth
from tests.tui.harness import running
from tests.tui.snapshot import check

SIZES = ((80, 24), (120, 36), (200, 60))


@pytest.mark.parametrize(("width", "height"), SIZES)
async def test_home(width: int, height: int) -> None:
    async with running(width, height) as it:
        if height == 60:
            await it.until(lambda: "following · " in it.text() and "GET https" in it.text())
        check(it.picture(), f"home-{width}x{height}")


@pytest.mark.parametrize("tab", ["5", "6", "7", "8", "9"])
async def test_tabs(tab: str) -> None:
    async with running() as it:
        await it.press(tab)
        await it.until(lambda: "reading …" not in it.text() and "nothing printed" not in it.text())
        check(it.picture(), f"tab-{tab}")


@pytest.mark.parametrize("depth", ["256", "16", "none"])
async def test_colours(depth: Depth) -> None:
    async with running(80, 24, depth=depth) as it:
        check(it.picture(), f"depth-{depth}")


async def test_ascii() -> None:
    async with running(120, 36, ascii_only=True) as it:
        assert it.text().isascii()
        check(it.picture(), "ascii")


async def test_paper_theme() -> None:
    async with running() as it:
        await it.press("t")
        it.app.home.notify_line("")
        await it.pilot.pause()
        check(it.picture(), "paper")


@pytest.mark.parametrize(
    ("name", "keys"), [("commit", "C"), ("remove", "d"), ("help", "question_mark"), ("palette", "colon")]
)
async def test_dialogs(name: str, keys: str) -> None:
    async with running() as it:
        await it.press(keys)
        check(it.picture(), f"dialog-{name}")


async def test_ended_container() -> None:
    async with running() as it:
        await it.press("j")
        assert "It ran out of memory: the kernel killed it" in it.text()
        check(it.picture(), "ended")


async def test_stack_totals() -> None:
    async with running() as it:
        await it.press("k")
        check(it.picture(), "stack")


async def test_nothing_yet() -> None:
    from tests.tui.fake import FakeEngine

    engine = FakeEngine()
    engine._containers.clear()
    engine._images.clear()
    engine._past.clear()
    async with running(80, 24, engine=engine) as it:
        check(it.picture(), "empty")
