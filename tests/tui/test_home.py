"""Moving about: cursor, panes, filter, marks, sorting, sizes."""

from __future__ import annotations

import pytest

from pyctr_engine.errors import StoreError
from pyctr_engine.model.stack import StackSummary
from pyctr_tui.bindings import COMMANDS, HOME
from pyctr_tui.home_layout import PANES, Wish, arrange
from pyctr_tui.keymap import Keymap
from pyctr_tui.pages import PAGES
from tests.tui.fake import START, FakeEngine
from tests.tui.harness import Running, running


def selected(it: Running) -> str:
    home = it.app.home
    if home.containers.container is not None:
        return home.containers.container.name
    return home.containers.stack.name if home.containers.stack else ""


async def test_cursor_moves_by_line_page_and_ends() -> None:
    async with running() as it:
        assert selected(it) == "crawler-fetch-1"
        await it.press("j")
        assert selected(it) == "crawler-index-1"
        await it.press("down", "k")
        assert selected(it) == "crawler-index-1"
        await it.press("G")
        assert selected(it) == "sleepy-finch"
        await it.press("g")
        assert selected(it) == "crawler"
        await it.press("ctrl+d")
        assert it.app.home.containers.cursor == it.app.home.containers.page // 2
        await it.press("pagedown")
        assert selected(it) == "sleepy-finch"


async def test_cursor_stays_on_its_container_when_the_list_changes() -> None:
    async with running() as it:
        await it.press("G")
        it.engine._add("aaa", "first-1", "nginx:1.27", 5, 0.1, 1 << 20, None, 0, 0, 0)
        await it.read()
        assert selected(it) == "sleepy-finch"
        assert "first-1" in it.text()


async def test_digits_and_tab_go_to_panes() -> None:
    async with running() as it:
        for digit, pane in enumerate(PANES, 1):
            await it.press(str(digit))
            assert it.app.focused is not None
            assert it.app.focused.id == pane
            assert it.app.home.pane_of(pane).region.area > 0
            assert it.app.home.focus_name == pane
        await it.press("1", "tab")
        assert it.app.home.focus_name == "images"
        await it.press("shift+tab", "shift+tab")
        assert it.app.home.focus_name == "term"


async def test_filter_follows_typing_and_escape_clears_it() -> None:
    async with running() as it:
        await it.press("slash", *"web")
        assert [row.container.name for row in it.app.home.containers.items if hasattr(row, "container")] == [
            "shop-web-1",
            "shop-web-2",
        ]
        assert "/web" in it.text()
        await it.press("enter")
        assert "1 Containers · 2 of 11 · /web" in it.text()
        await it.press("escape")
        assert "1 Containers · 11" in it.text()


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("state:paused", ["parse-1"]),
        ("state:oom", ["index-1"]),
        ("stack:monitoring", ["grafana", "prom"]),
        ("cpu>20", ["fetch-1"]),
        ("mem>150m", ["fetch-1", "db-1"]),
        ("image:nginx -web-2", ["web-1"]),
        ("nothing-has-this", []),
    ],
)
async def test_filter_conditions(query: str, names: list[str]) -> None:
    async with running() as it:
        keys = [{" ": "space", ":": "colon", ">": "greater_than_sign", "-": "minus"}.get(key, key) for key in query]
        await it.press("slash", *keys, "enter")
        rows = it.app.home.containers.items
        assert [row.container.label for row in rows if hasattr(row, "container")] == names


async def test_marks_make_actions_act_on_all_of_them() -> None:
    async with running() as it:
        await it.press("slash", *"web", "enter", "space", "space")
        assert "2 marked" in it.text()
        await it.press("s")
        await it.until(lambda: len(it.engine.calls) == 2)
        assert sorted(it.engine.calls) == [("stop", "shop-web-1"), ("stop", "shop-web-2")]
        await it.read()
        assert it.text().count("exit 0") == 2


async def test_collapsed_stack_keeps_its_totals() -> None:
    async with running() as it:
        await it.press("left")
        text = it.text()
        assert "fetch-1 " not in "\n".join(it.lines()[2:12])
        assert "▸ crawler  2/3" in text
        assert selected(it) == "crawler"
        await it.press("right")
        assert "▾ crawler  2/3" in it.text()


async def test_sort_by_memory_puts_the_biggest_first() -> None:
    async with running() as it:
        await it.press("o", "o")
        rows = [row.container.label for row in it.app.home.containers.items if hasattr(row, "container")]
        shop = [label for label in rows if label.startswith(("web", "db", "migrate"))]
        assert shop == ["db-1", "web-1", "web-2", "migrate-1"]
        assert "by stack ▾ memory" in it.text()


async def test_running_only() -> None:
    async with running() as it:
        await it.press("A")
        assert "migrate-1" not in it.text()
        assert "1 Containers · 9 of 11 · running" in it.text()


async def filtered(it: Running, *keys: str) -> None:
    await it.press("1", "slash", *"sleepy", "enter", *keys)


async def test_what_is_gone_to_is_shown_whatever_hides_it() -> None:
    async with running() as it:
        await filtered(it, "S", "l")
        assert (it.app.home.focus_name, selected(it)) == ("logs", "crawler")
        assert "cleared the filter: crawler was hidden" in it.text()
        await filtered(it, "S", "G", "enter")
        assert (it.app.home.focus_name, selected(it)) == ("containers", "shop")
        await it.press("left", "W", "enter", "enter")
        assert selected(it) == "shop-web-1"
        assert "cleared" not in it.text(), "a collapsed stack is expanded, no more"
        await filtered(it, "1", "A", "v", "slash", *"oom", "enter", "enter")
        assert selected(it) == "crawler-index-1"
        assert "cleared the filter and “running only”: crawler-index-1 was hidden" in it.text()
        await it.press("A", "v", "m")
        assert (it.app.home.focus_name, selected(it)) == ("graphs", "crawler-index-1")
        assert "cleared “running only”" in it.text()


async def test_what_is_gone_to_need_not_be_there() -> None:
    async with running() as it:
        await filtered(it)
        assert not it.app.home.lists.reveal("f" * 64)
        assert selected(it) == "sleepy-finch"
        assert it.app.store.query.text == "sleepy"
        stacks = it.engine.stacks
        it.engine.stacks = lambda: [*stacks(), StackSummary("ended", "/srv/x.yaml", 0, 0)]  # type: ignore[method-assign]
        await it.press("S", "j")
        await it.until(lambda: "ended" in it.text())
        await it.press("l")
        assert "ended has no containers · u brings it up" in it.text()
        assert it.app.home.page is not None


async def test_the_palette_clears_what_hides_a_container_and_no_more() -> None:
    async with running() as it:
        await it.press("space", "space", "z")
        await filtered(it, "colon", *"shop-web-2", "enter")
        assert selected(it) == "shop-web-2"
        assert "cleared the filter: shop-web-2 was hidden" in it.text()
        assert len(it.app.store.marks) == 2
        assert it.app.home.zoomed


async def test_what_another_terminal_does_appears() -> None:
    async with running() as it:
        assert "newcomer" not in it.text()
        it.engine._add("", "newcomer", "debian:12", 1, 0.1, 1 << 20, None, 0, 0, 0)
        await it.read()
        assert "newcomer" in it.text()


@pytest.mark.parametrize(
    ("width", "height"), [(80, 24), (120, 36), (200, 60), (40, 10), (100, 28), (160, 44), (300, 90)]
)
async def test_resize_shows_what_there_is_room_for(width: int, height: int) -> None:
    async with running(90, 30) as it:
        await it.pilot.resize_terminal(width, height)
        await it.settle()
        lines = it.lines()
        assert len(lines) == height
        assert all(len(line) == width for line in lines)
        assert "fetch-1" in it.text()
        assert ("Events" in it.text()) == (width >= 160)
        assert ("2 Images · 8" in it.text()) == (width >= 100)


@pytest.mark.parametrize("width", range(20, 320, 37))
@pytest.mark.parametrize("height", range(8, 100, 13))
def test_layout_covers_the_screen_without_overlap(width: int, height: int) -> None:
    for pane in PANES:
        for zoom in (False, True):
            tab = pane if pane not in ("containers", "images", "layers") else "graphs"
            regions = arrange(width, height, Wish(tab=tab, focus=pane, zoom=zoom))
            assert pane in regions
            covered = sum(region.area for region in regions.values())
            assert covered == width * height, (regions, width, height)
            for name, region in regions.items():
                assert region.width > 0
                assert region.height > 0, name
                assert region.right <= width
                assert region.bottom <= height


async def test_zoom_and_back() -> None:
    async with running() as it:
        await it.press("4", "z")
        assert "1 Containers" not in it.text()
        await it.press("escape")
        assert "1 Containers" in it.text()


async def test_a_page_is_not_zoomed_and_its_filter_goes_first() -> None:
    async with running() as it:
        await it.press("S", "z")
        assert not it.app.home.zoomed
        await it.press("colon", *"zoom", "enter")
        assert "zoom: in containers · 1 goes there" in it.text()
        await it.press("1", "z", "S", "slash", *"shop", "enter")
        assert "shown · /shop" in it.text()
        await it.press("escape")
        assert it.app.home.page is not None
        assert "shown · /shop" not in it.text()
        await it.press("escape")
        assert "1 Containers" in it.text()
        assert it.app.home.zoomed


async def test_enter_on_a_stack_folds_it() -> None:
    async with running() as it:
        await it.press("k", "enter")
        assert "▸ crawler" in it.text()


async def test_error_of_the_engine_is_one_line_and_the_list_stays() -> None:
    async with running() as it:
        it.engine.fail["containers"] = StoreError("the database is busy", "try again")
        await it.read()
        assert "the database is busy · try again" in it.lines()[-1]
        assert "fetch-1" in it.text()


async def test_no_engine_call_on_the_interface_thread() -> None:
    async with running(200, 60) as it:
        it.engine.threads.clear()
        await it.press("j", "k", "s", "2", "3", "6", "7", "8", "5", "1", "p", "r")
        await it.until(lambda: len(it.engine.calls) >= 3)
        assert "MainThread" not in it.engine.threads


async def test_mouse_selects_and_focuses() -> None:
    async with running() as it:
        await it.pilot.click("#images", offset=(6, 4))
        await it.settle()
        assert it.app.home.focus_name == "images"
        assert it.app.home.images.selected is not None
        assert it.app.home.images.selected.label == "postgres:16"


def test_no_key_does_two_things() -> None:
    Keymap(COMMANDS)  # raises otherwise
    doubled = (*COMMANDS, COMMANDS[0])
    with pytest.raises(ValueError, match="two things"):
        Keymap(doubled)


async def test_every_action_exists() -> None:
    async with running() as it:
        home = it.app.home
        views = [None, *PAGES]
        found: set[tuple[str, str]] = set()
        for view in views:
            if view is not None:
                home.action_view(view)
                await it.settle()
            panes = HOME if home.page is None else {str(pane.id) for pane in home.page.panes}
            for command in COMMANDS:
                for scope in panes & command.scopes or (panes if "*" in command.scopes else ()):
                    home.focus_name = scope
                    home.handler(command.action.partition(" ")[0])  # raises LookupError
                    found.add((command.action, scope))
        missing = {(command.action, scope) for command in COMMANDS for scope in command.scopes - {"*"}} - found
        assert not {action for action, scope in missing if scope in HOME}


async def test_footer_keys_fit_and_help_lists_them_all() -> None:
    keymap = Keymap(COMMANDS)
    for width in (40, 80, 120):
        for scope in PANES:
            items = keymap.footer(scope, width)
            assert sum(len(key) + len(word) + 3 for key, word in items) <= width
            assert ("?", "help") in items


def test_fake_is_deterministic() -> None:
    first, second = FakeEngine(), FakeEngine()
    assert first.all_stats() == second.all_stats()
    assert first.now == START


async def test_ended_container_shows_how_it_went_before() -> None:
    async with running() as it:
        await it.press("s")
        await it.until(lambda: bool(it.engine.calls))
        await it.read()
        text = it.text()
        assert "with exit code 0" in text
        assert "before it ended, to " in text
        assert any("⣿⣿⣿" in line for line in it.lines())


async def test_no_size_is_too_small() -> None:
    """A window can be dragged to nothing; what has no room is blank, and comes back."""
    async with running() as it:
        for size in ((1, 1), (2, 2), (3, 40), (40, 2), (6, 8), (10, 3), (12, 12), (20, 5)):
            await it.pilot.resize_terminal(*size)
            for key in ("1", "2", "3", "4", "5", "6", "7", "8", "question_mark", "escape", "C", "escape"):
                await it.pilot.press(key)
        await it.pilot.resize_terminal(120, 36)
        await it.press("1")
        assert "crawler-fetch-1" in it.text()
