"""The graphs pane: the past, the cursor, events, lines, the machine, and what 100% is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from textual.geometry import Offset

from pyctr_engine.record import replace
from pyctr_tui.panes.graphs import GraphsPane
from pyctr_tui.past import Past, Recorded
from pyctr_tui.samples import METRICS, Ring
from pyctr_tui.store import HOST
from pyctr_tui.totals import total
from tests.tui.fake import START, FakeEngine
from tests.tui.harness import Running, running
from tests.tui.past import host_past, record


@asynccontextmanager
async def graphs(
    width: int = 120, height: int = 36, name: str = "crawler-fetch-1", recorded: bool = True
) -> AsyncIterator[tuple[Running, GraphsPane]]:
    engine = FakeEngine()
    if recorded:
        record(engine)
    async with running(width, height, engine=engine) as it:
        it.app.home.containers.select(engine._find(name).id)
        await it.settle()
        await it.press("4")
        yield it, it.app.home.graphs


async def test_the_past_is_scrolled_to_its_beginning_and_back() -> None:
    async with graphs() as (it, pane):
        assert "not live" not in it.text()
        await it.press("left_square_bracket")
        assert "not live: 7m ago · G back to now" in it.text()
        await it.press("right_square_bracket")
        assert pane.end is None
        await it.press("g")
        assert pane.end is not None
        assert START - pane.end > 23 * 3600
        await it.press("left_square_bracket")
        assert START - pane.end < 24 * 3600, "there is nothing before the beginning"
        await it.press("G")
        assert pane.end is None
        assert "now ▸" in it.text()


async def test_figures_are_those_of_then_and_a_gap_says_nothing() -> None:
    async with graphs() as (it, pane):
        pane.look_at(int(START) - 3600 * 4 - 1800)
        await it.settle()
        memory = next(line for line in it.lines() if "memory  " in line)
        assert "–" in memory, "it did not run then"
        pane.look_at(int(START) - 3600 * 6)
        await it.settle()
        assert "of its limit 2.0" in it.text()


async def test_the_span_grows_to_the_whole_past_and_no_further() -> None:
    async with graphs() as (it, pane):
        for _ in range(20):
            await it.press("plus")
        width = pane._graph_width()
        assert pane.step(width) * width * 2 >= 86000
        widest = pane.zoom
        await it.press("plus")
        assert pane.zoom == widest
        assert " ●" in it.text(), "the start of twenty hours ago is marked"
        for _ in range(20):
            await it.press("minus")
        assert pane.zoom == 1


async def test_the_cursor_shows_the_figures_and_the_moment() -> None:
    async with graphs() as (it, pane):
        await it.press("left")
        assert "at 14:02:00, now" in it.text()
        await it.press("left", "left")
        assert pane.cursor == int(START) - 2 * 2 * pane.step(pane._graph_width())
        assert "28s ago" in it.text()
        await it.press("escape")
        assert pane.cursor is None
        assert it.app.home.focus_name == "graphs"
        await it.press("escape")
        assert it.app.home.focus_name == "containers"


async def test_the_cursor_scrolls_at_the_edge() -> None:
    async with graphs() as (it, pane):
        width = pane._graph_width()
        pane.put_cursor(int(START) - 2 * pane.step(width) * (width - 1))
        assert pane.end is None
        await it.press("left", "left")
        assert pane.end is not None
        await it.press("right")
        assert pane.cursor is not None


async def test_events_are_gone_to_one_by_one() -> None:
    async with graphs() as (it, pane):
        told = []
        for _ in range(7):
            await it.press("n")
            assert pane.cursor is not None
            told.append(int(START) - pane.cursor)
        assert told == [237, 320, 520, 700, 1320, 5000, 7200]
        assert "limits changed" in it.text()
        await it.press("N")
        assert "checkpoint made" in it.text()
        for _ in range(9):
            await it.press("n")
        assert "no older event is known" in it.text()


async def test_a_commit_marks_the_container_it_was_made_of() -> None:
    async with graphs() as (it, _):
        await it.press("n", "n")
        assert "app:fixed committed" in it.text()


async def test_the_mouse_puts_and_drags_the_cursor() -> None:
    async with graphs() as (it, pane):
        left, width = 2, pane._graph_width()
        await it.pilot.mouse_down(pane, offset=Offset(left + width - 11, 6))
        await it.settle()
        per_cell = pane.step(width) * 2
        assert pane.cursor is not None
        assert pane.cursor // per_cell == int(START) // per_cell - 10
        await it.pilot.hover(pane, offset=Offset(left + width - 21, 6))
        assert pane.cursor // per_cell == int(START) // per_cell - 20
        await it.pilot.mouse_up(pane, offset=Offset(left + width - 21, 6))
        await it.pilot.hover(pane, offset=Offset(left + 5, 6))
        assert pane.cursor // per_cell == int(START) // per_cell - 20, "it was let go"


@pytest.mark.parametrize("size", [(200, 60), (120, 36), (80, 24)])
async def test_the_mouse_hits_the_cell_that_is_drawn(size: tuple[int, int]) -> None:
    async with graphs(*size) as (it, pane):
        await it.press("z")
        width = pane._graph_width()
        for cell in (0, width // 2, width - 1):
            second = pane._second_at(int(pane.framed) + 1 + pane._gutter(*pane.inner_size) + cell, 4)
            assert second is not None
            pane.put_cursor(second)
            assert pane._charts(*pane.inner_size).cell_of_cursor(width) == cell


async def test_marked_containers_are_lines_of_their_own() -> None:
    async with graphs(recorded=False) as (it, pane):
        await it.press("1", "space")
        for name in ("shop-web-1", "shop-db-1"):
            it.app.home.containers.select(it.engine._find(name).id)
            await it.press("space")
        assert pane.subject.name == "3 marked"
        assert all(f"{number} {name} " in it.text() for number, name in ((1, "web-1"), (2, "db-1"), (3, "fetch-1")))
        await it.press("4", "O")
        assert "1 web-1 " not in it.text(), "their sum"
        assert "of their limits 6.0" in it.text()


async def test_a_stack_becomes_lines_and_one_container_cannot() -> None:
    async with graphs(recorded=False) as (it, _):
        await it.press("O")
        assert "mark several containers with Space" in it.text()
        it.app.home.containers.select("stack:shop")
        await it.settle()
        await it.press("O")
        assert "1 web-1 " in it.text()


async def test_the_machine_has_graphs_of_its_own() -> None:
    async with graphs(recorded=False) as (it, pane):
        host_past(it.app.store)
        await it.read()
        await it.press("0")
        text = it.text()
        assert "34% of its 8 CPUs" in text
        assert "containers " in text
        assert "412 tasks" in text
        assert "kept while this program runs" in text
        await it.press("left", "left")
        assert "412 tasks" not in it.text()
        await it.press("escape", "escape")
        assert not pane.of_host
        assert "crawler-fetch-1 · " in it.text()


async def test_the_machine_is_shown_from_the_list_until_the_cursor_moves() -> None:
    async with graphs(recorded=False) as (it, pane):
        await it.press("1", "0")
        assert pane.subject.is_host
        assert it.app.home.focus_name == "containers"
        await it.press("j")
        assert not pane.subject.is_host


async def test_with_nothing_selected_the_machine_is_shown() -> None:
    engine = FakeEngine()
    engine._containers.clear()
    async with running(120, 36, engine=engine) as it:
        await it.press("4")
        assert "of its 8 CPUs" in it.text()
        await it.press("n")
        assert "no older event is known" in it.text()


async def test_what_a_hundred_percent_is_can_be_chosen() -> None:
    async with graphs(recorded=False, width=200, height=60) as (it, _):
        row = next(line for line in it.lines() if "fetch-1" in line and "crawler:4" in line)
        assert "64%" in row
        assert "64% of 1 CPU " in it.text()
        await it.press("percent_sign")
        assert "%LIM" in it.text()
        assert "32% of its limit 2.0 " in it.text()
        assert "100% of cpu is the container's limit" in it.text()
        await it.press("percent_sign")
        assert "%HOST" in it.text()
        assert "8% of the host's 8" in it.text()
        assert "100% of cpu is all 8 CPUs of the host" in it.text()
        await it.press("percent_sign")
        assert "%HOST" not in it.text()


async def test_a_picture_that_does_not_change_sends_nothing() -> None:
    async with graphs() as (_, pane):
        sent: list[object] = []
        pane.refresh = lambda *regions, **_: sent.append(regions)  # type: ignore[method-assign,return-value,assignment]
        pane.repaint()
        assert not sent


async def test_ten_seconds_of_past_are_drawn_at_the_right() -> None:
    engine = FakeEngine()
    async with running(120, 36, engine=engine, past=False) as it:
        found = engine._find("crawler-fetch-1").id
        it.app.home.containers.select(found)
        ring = it.app.store.rings[found] = Ring()
        for second in range(int(START) - 10, int(START) + 1):
            ring.append(second, dict.fromkeys(METRICS, 0.5))
        await it.press("4")
        assert it.app.home.graphs.step(60) == 1
        assert "now ▸" in it.text()
        await it.press("left_square_bracket", "g")
        assert it.app.home.graphs.end is None, "there is nothing to scroll to"


async def test_a_container_that_is_gone_leaves_no_past() -> None:
    async with graphs() as (it, _):
        store, gone = it.app.store, it.engine._find("crawler-fetch-1").id
        assert gone in store.pasts
        del it.engine._containers[gone]
        await it.read()
        assert gone not in store.pasts
        assert gone not in store.past_events
        store.keep({gone: Recorded(Ring(), Past())})
        assert gone not in store.pasts, "an answer that came late"
        assert HOST in store.pasts


async def test_an_ended_container_still_says_why() -> None:
    async with graphs(name="crawler-index-1", recorded=False) as (it, pane):
        assert "It ran out of memory" in it.text()
        assert pane._second_at(20, 5) is None
        assert "[ ] past" not in it.text()


async def test_the_totals_of_a_large_stack_are_made_in_pieces_and_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(engine=FakeEngine(copies=60)) as it:
        it.app.home.containers.select("stack:load")
        await it.until(lambda: "of 1 CPU" in it.text() and it.app.home.graphs.subject.name == "load")
        graphs = it.app.home.graphs
        assert len(graphs.subject.ids) == 60
        await it.until(lambda: not graphs._gathering)
        charts = graphs._charts(*graphs.inner_size)
        together = sum(it.app.store.samples[id].memory for id in graphs.subject.ids)
        assert charts.value("memory") == pytest.approx(together)
        assert charts.series("memory", 10)[-2:] == pytest.approx(charts.series("memory", 2), nan_ok=True)
        now = it.engine.all_stats()
        more = {id: replace(stats, memory=2 * (stats.memory or 0)) for id, stats in now.items()}
        monkeypatch.setattr(it.engine, "all_stats", lambda: more)
        await it.read()
        await it.until(lambda: not graphs._gathering)
        charts = graphs._charts(*graphs.inner_size)
        each = [charts.of(id, "memory", 10) for id in graphs.subject.ids]
        whole = [total(values) for values in zip(*each, strict=True)]
        assert charts.value("memory") == pytest.approx(2 * together)
        assert charts.series("memory", 10) == pytest.approx(whole, nan_ok=True), "nothing of before is left in it"


async def test_a_cursor_goes_where_it_was_wanted_when_that_becomes_known() -> None:
    async with graphs(recorded=False) as (it, pane):
        wanted = int(START) - 3 * 3600
        pane.put_cursor(wanted)
        assert pane.cursor is not None
        assert pane.cursor > wanted, "nothing is known of then"
        record(it.engine)
        selection = it.app.home.selection
        selection._remembered.clear()
        selection._ask_for_the_past()
        await it.until(lambda: pane.cursor == wanted)
