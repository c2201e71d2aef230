"""Lists sorted by their columns, by key and by click."""

from __future__ import annotations

import pytest

from tests.tui.harness import Running, running


def images(it: Running) -> list[str]:
    return [image.label for image in it.app.home.images.items]


async def test_images_are_sorted_by_every_column_and_back() -> None:
    async with running(200, 60) as it:
        await it.press("2")
        pane = it.app.home.images
        by_age = images(it)
        assert not any(arrow in it.text() for arrow in ("AGE▾", "▾AGE", "▾SIZE"))
        await it.press("ctrl+o")
        assert images(it) == by_age[::-1]
        assert "↑AGE" in it.text()
        await it.press("o")
        assert "NAME▾" in it.text()
        assert images(it) == sorted(by_age, key=lambda label: (label.isalnum(), label))
        await it.press("o")
        assert "▾SIZE" in it.text()
        assert [image.size for image in pane.items] == sorted((image.size for image in pane.items), reverse=True)
        await it.press("ctrl+o")
        assert "↑SIZE" in it.text()
        assert [image.size for image in pane.items] == sorted(image.size for image in pane.items)
        await it.press("o", "o")
        used = [len(image.used_by) for image in pane.items]
        assert used == sorted(used, reverse=True)
        await it.press("o")
        assert images(it) == by_age


async def test_the_cursor_stays_on_its_item_and_new_ones_are_sorted_in() -> None:
    async with running() as it:
        await it.press("2", "j", "j")
        chosen = it.app.home.images.selected
        await it.press("o", "o")
        assert it.app.home.images.selected == chosen
        before = images(it)
        await it.read()
        assert images(it) == before


async def test_a_click_on_a_columns_title_sorts_by_it_and_turns_it_round() -> None:
    async with running(200, 60) as it:
        pane = it.app.home.images
        line = it.lines()[pane.region.y + 1]
        at = line.index("SIZE", pane.region.x) - pane.region.x
        await it.pilot.click(pane, offset=(at, 1))
        assert (pane.order, pane.turned) == ("size", False)
        await it.pilot.click(pane, offset=(at, 1))
        assert (pane.order, pane.turned) == ("size", True)
        await it.pilot.click(pane, offset=(1, 1))
        assert (pane.order, pane.turned) == ("size", True), "there is no column"


@pytest.mark.parametrize(("key", "figure"), [("rss", "rss"), ("cpu", "cpu_seconds")])
async def test_processes_are_sorted(key: str, figure: str) -> None:
    async with running() as it:
        await it.press("8")
        pane = it.app.home.ps
        await it.until(lambda: len(pane.items) > 1)
        while pane.order != key:
            await it.press("o")
        figures = [getattr(process, figure) for process in pane.items]
        assert figures == sorted(figures, reverse=True)
        assert len(set(figures)) > 1
        assert f"▾{key.upper()}" in it.text()


async def test_changes_are_sorted_by_size() -> None:
    async with running() as it:
        await it.press("6")
        pane = it.app.home.diff
        await it.until(lambda: len(pane.items) > 1)
        await it.press("o")
        sizes = [change.size for change in pane.items]
        assert sizes == sorted(sizes, reverse=True)
        assert sizes[0] > sizes[-1]
        assert "by size" in it.text()


@pytest.mark.parametrize(("page", "order"), [("S", "MEM"), ("V", "SIZE"), ("W", "MEMBERS")])
async def test_lists_of_pages_are_sorted(page: str, order: str) -> None:
    async with running() as it:
        await it.press(page)
        await it.until(lambda: "reading" not in it.text())
        for _ in range(8):
            if f"▾{order}" in it.text():
                break
            await it.press("o")
        assert f"▾{order}" in it.text()
