"""What is written for changed cells: exactly those, in their styles, and nothing left behind."""

from __future__ import annotations

import asyncio
import re

import pytest
from hypothesis import given
from hypothesis import strategies as some
from rich.color import ColorSystem
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual._compositor import ChopsUpdate
from textual.strip import Strip

from pyctr_tui.terminal.painting import change, codes, install, render
from tests.tui.harness import running

STYLES = (
    None, Style(), Style(color="#ff8800"), Style(bgcolor="#102030"), Style(bold=True, color="red"),
    Style(reverse=True), Style(color="default", bgcolor="default"), Style(underline=True, bgcolor="blue"),
    Style(dim=True),
)  # fmt: skip
WIDTH = 30


def console(system: ColorSystem | None) -> Console:
    made = Console(width=WIDTH)
    made._color_system = system
    return made


def shown(written: str) -> dict[tuple[int, int], tuple[str, frozenset[str]]]:
    """Cells by row and column, as a terminal would have them: the character and what is switched on."""
    cells: dict[tuple[int, int], tuple[str, frozenset[str]]] = {}
    row = column = 0
    on: dict[str, str] = {}
    for found in re.finditer(r"\x1b\[([\d;]*)([Hm])|(.)", written, re.DOTALL):
        if found.group(3):
            cells[row, column] = (found.group(3), frozenset(on.values()))
            column += 1
        elif found.group(2) == "H":
            row, column = (int(word) - 1 for word in found.group(1).split(";"))
        else:
            words = found.group(1).split(";") if found.group(1) else ["0"]
            while words:
                word = words.pop(0)
                if word == "0":
                    on.clear()
                elif word in ("38", "48"):
                    count = 4 if words[0] == "2" else 2
                    on[word] = ";".join([word, *words[:count]])
                    del words[:count]
                elif word in ("39", "49"):
                    on.pop("38" if word == "39" else "48", None)
                elif (word[0] in "349" and len(word) > 1) or word.startswith("10"):
                    on["48" if word[0] == "4" or word.startswith("10") else "38"] = word
                else:
                    on[word] = word
    return cells


def wanted(style: Style | None, system: ColorSystem) -> frozenset[str]:
    parts = codes(style, system) if style else ("", "", "")
    plain = {"39", "49"}
    attributes = set(filter(None, parts[0].split(";")))
    return frozenset(attributes | ({parts[1], parts[2]} - plain - {""}))


pieces = some.lists(some.tuples(some.text("abc ", min_size=1, max_size=5), some.sampled_from(STYLES)), max_size=6)


@given(
    some.lists(pieces, min_size=1, max_size=4),
    some.tuples(some.integers(0, WIDTH - 1), some.integers(1, WIDTH)),
    some.sampled_from([ColorSystem.TRUECOLOR, ColorSystem.EIGHT_BIT, ColorSystem.STANDARD]),
)
def test_cells_come_out_as_they_are(
    lines: list[list[tuple[str, Style | None]]], span: tuple[int, int], system: ColorSystem
) -> None:
    strips = [Strip([Segment(text, style) for text, style in line]) for line in lines]
    first, last = min(span), max(span[0] + 1, span[1])
    update = ChopsUpdate(
        [{0: strip} for strip in strips],
        [(y, first, last) for y in range(len(strips))],
        [[strip.cell_length] for strip in strips],
    )
    written = render(update, console(system))
    expected = {}
    for y, strip in enumerate(strips):
        column = 0
        for segment in strip:
            for character in segment.text:
                if first <= column < last:
                    expected[y, column] = (character, wanted(segment.style, system))
                column += 1
    assert shown(written) == expected
    assert shown(written + "\x1b[9;9Hx")[8, 8] == ("x", frozenset()), "all is off at the end"


def test_only_what_differs_is_told() -> None:
    system = ColorSystem.TRUECOLOR
    back = "48;2;16;32;48"
    one, two = Style.parse("#ff0000 on #102030"), Style.parse("#00ff00 on #102030")
    assert change(None, codes(one, system)) == f"\x1b[38;2;255;0;0;{back}m"
    assert change(codes(one, system), codes(two, system)) == "\x1b[38;2;0;255;0m"
    assert change(codes(one, system), codes(one, system)) == ""
    assert change(codes(one, system), codes(one + Style(bold=True), system)) == f"\x1b[0;1;38;2;255;0;0;{back}m"
    assert change(codes(one, system), ("", "", "")) == "\x1b[39;49m"


def test_nothing_is_written_without_colours() -> None:
    strip = Strip([Segment("ab", Style(color="red")), Segment("c")])
    assert render(ChopsUpdate([{0: strip}], [(0, 1, 3)], [[3]]), console(None)) == "\x1b[1;2Hbc"


async def test_what_changes_under_a_dialog_is_all_that_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    install()
    async with running() as it:
        await it.press("K")
        assert "Kill crawler-fetch-1?" in it.text()
        drawn: list[object] = []
        display = it.app._display
        monkeypatch.setattr(it.app, "_display", lambda screen, what: (drawn.append(what), display(screen, what)))
        it.app.home.top_line.jobs = 7
        it.app.home.top_line.repaint()
        await asyncio.sleep(1.0)
        assert "7 jobs" in it.lines()[0]
        changed = [what for what in drawn if what is not None]
        assert changed
        assert all(isinstance(what, ChopsUpdate) for what in changed), "never the whole screen"
        assert sum(last - first for what in changed for _, first, last in what.spans) < 3 * it.app.size.width  # type: ignore[attr-defined]


async def test_a_dialog_draws_what_it_has_to_when_what_is_under_it_changes_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    install()
    async with running() as it:
        await it.press("K")
        top, home = it.app.screen, it.app.home
        inside = next(child for child in top.query("*") if child in top._compositor.visible_widgets)
        drawn: list[object] = []
        update = top._compositor.update_widgets
        monkeypatch.setattr(top._compositor, "update_widgets", lambda some: (drawn.extend(some), update(some)))
        top._dirty_widgets.add(inside)
        home._compositor._dirty_regions.add(home.top_line.region)
        home._compositor_refresh()
        top._on_timer_update()
        assert inside in drawn
