"""The graphs as they were looked at."""

from __future__ import annotations

import pytest

from pyctr_tui.palette import Depth
from tests.tui.fake import FakeEngine
from tests.tui.harness import Running, running
from tests.tui.past import host_past, record
from tests.tui.snapshot import check

SIZES = ((80, 24), (120, 36), (200, 60))


async def pressed(it: Running, *keys: str) -> None:
    it.app.home.containers.select(it.engine._find("crawler-fetch-1").id)
    await it.settle()
    await it.press("4", *keys)
    if it.app.size.height == 60 and not it.app.home.zoomed:
        strip = ("following · ", "GET https") if it.app.home.graphs.cursor is None else ("until ", "printed until")
        await it.until(lambda: all(text in it.text() for text in strip))
    it.app.home.notify_line("")
    await it.pilot.pause()


def with_a_past() -> FakeEngine:
    engine = FakeEngine()
    record(engine)
    return engine


@pytest.mark.parametrize(("width", "height"), SIZES)
async def test_graphs_with_the_cursor_on_an_event(width: int, height: int) -> None:
    async with running(width, height, engine=with_a_past()) as it:
        await pressed(it, "n", "n")
        check(it.picture(), f"graphs-cursor-{width}x{height}")


@pytest.mark.parametrize(("width", "height"), SIZES)
async def test_graphs_have_the_whole_screen(width: int, height: int) -> None:
    async with running(width, height, engine=with_a_past()) as it:
        await pressed(it, "z", "plus", "plus")
        check(it.picture(), f"graphs-zoom-{width}x{height}")


async def test_a_day_with_a_gap() -> None:
    async with running(120, 36, engine=with_a_past()) as it:
        await pressed(it, *["plus"] * 12)
        check(it.picture(), "graphs-day")


async def test_scrolled_back_in_paper() -> None:
    async with running(120, 36, engine=with_a_past()) as it:
        await pressed(it, "t", "plus", "plus", "left_square_bracket")
        check(it.picture(), "graphs-past-paper")


@pytest.mark.parametrize("depth", ["256", "16", "none"])
async def test_bands_in_fewer_colours(depth: Depth) -> None:
    async with running(80, 24, depth=depth, engine=with_a_past()) as it:
        await pressed(it)
        check(it.picture(), f"graphs-{depth}")


@pytest.mark.parametrize(("width", "height"), SIZES)
async def test_the_machine(width: int, height: int) -> None:
    async with running(width, height) as it:
        host_past(it.app.store)
        await pressed(it, "0")
        check(it.picture(), f"graphs-host-{width}x{height}")


@pytest.mark.parametrize(("width", "height"), SIZES)
async def test_lines(width: int, height: int) -> None:
    async with running(width, height) as it:
        it.app.home.containers.select("stack:shop")
        await it.settle()
        await it.press("4", "O")
        if height == 60:
            await it.until(lambda: "following · " in it.text())
        check(it.picture(), f"graphs-lines-{width}x{height}")


async def test_an_idle_container() -> None:
    async with running(120, 36) as it:
        it.app.home.containers.select(it.engine._find("sleepy-finch").id)
        await it.settle()
        await it.press("4")
        check(it.picture(), "graphs-idle")
