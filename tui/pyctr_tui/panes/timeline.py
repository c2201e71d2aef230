"""The lane under the graphs: from when to when, what happened on the way, and the text of one of these."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.segment import Segment
from rich.style import Style

from pyctr_tui import glyphs
from pyctr_tui.figures import age
from pyctr_tui.panes.charts import closest
from pyctr_tui.widgets.draw import Line, gap, width_of

if TYPE_CHECKING:
    from pyctr_tui.panes.charts import Charts
    from pyctr_tui.view import EventView

TICKS = (10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200)
"""Seconds between two ticks."""
TICK_ROOM = 14
"""Cells between two ticks at least."""
DAY = 86400


def told_short(event: EventView, named: bool = True) -> str:
    """An event for a graph's axis: ``OOM index-1 13:58``, without its symbol."""
    when = time.strftime("%H:%M", time.localtime(event.time))
    word = {"oom": "OOM", "update": "limits"}.get(event.action, event.action.removeprefix("health_status: "))
    return f"{word} {event.name} {when}" if named else f"{word} {when}"


def symbol(event: EventView) -> str:
    """The sign an event is marked by."""
    return glyphs.WARNING if event.action == "oom" else event.symbol


def lane(charts: Charts, width: int, live: bool, told: bool = True) -> Line:
    """Marks under the cells they belong to, between the first and the last moment in sight.

    Args:
        width: Cells of the graphs above, their gutter not counted.
        live: Whether the right end is now.
        told: Whether there is an event's text too, the cursor's or the last one's.
    """
    palette = charts.palette
    row: list[tuple[str, Style]] = [(glyphs.LIMIT, palette.frame)] * width
    happened = charts.happened(width)
    cursor = charts.cell_of_cursor(width)
    taken = {cell for cell, _ in happened} | {cursor}
    first = clock(charts.end - charts.step * 2 * width, charts.step * 2 * width) + " "
    last = f" now {glyphs.CLOSED}" if live else f" {clock(charts.end, charts.step * 2 * width)}"
    if not taken & set(range(len(first))):
        _write(row, 0, first, palette.dim)
    end_free = not taken & set(range(width - width_of(last), width))
    if end_free:
        _write(row, width - width_of(last), last, palette.dim if live else palette.warn)
    if told and happened:
        _tell(row, charts, happened, len(first), width - (width_of(last) if end_free else 0))
    for cell, event in happened:
        row[cell] = symbol(event), getattr(palette, event.tone)
    if cursor >= 0 and row[cursor][0] == glyphs.LIMIT:
        row[cursor] = glyphs.EVENT_LINE, palette.strong
    return _joined(row)


def _tell(
    row: list[tuple[str, Style]], charts: Charts, happened: list[tuple[int, EventView]], start: int, end: int
) -> None:
    """Write one event's text beside its mark, where no other mark and no time is in the way."""
    at = charts.cell_of_cursor(len(row))
    found = happened[-1] if at < 0 else closest(happened, at)
    assert found is not None
    cell, event = found
    others = [other for other, _ in happened if other != cell]
    right_free = min([end, *(other for other in others if other > cell)]) - cell - 1
    left_start = max([start, *(other + 1 for other in others if other < cell)])
    text, tone = f" {told_short(event)} ", getattr(charts.palette, event.tone)
    if max(right_free, cell - left_start) < width_of(text):
        text = f" {told_short(event, named=False)} "
    if right_free >= width_of(text):
        _write(row, cell + 1, text, tone)
    elif cell - left_start >= width_of(text):
        _write(row, cell - width_of(text), text, tone)


def ticks(charts: Charts, width: int) -> Line:
    """Round times under the cells they belong to."""
    per_cell = charts.step * 2
    every = next((seconds for seconds in TICKS if seconds // per_cell >= TICK_ROOM), TICKS[-1])
    last = charts.end // per_cell
    # Ticks are round in local time.
    offset = time.localtime(charts.end).tm_gmtoff or 0
    row: list[tuple[str, Style]] = [(" ", charts.palette.faint)] * width
    second = (charts.end + offset) // every * every - offset
    free = width
    while True:
        cell = width - 1 - (last - second // per_cell)
        form = "%H:%M:%S" if every < 60 else "%H:%M"
        text = time.strftime(form, time.localtime(second))
        if cell < 0:
            return _joined(row)
        if cell + len(text) + 1 < free:
            _write(row, cell, "╵" + text, charts.palette.faint)
            free = cell
        second -= every


def moment(charts: Charts, width: int) -> Line:
    """When the cursor is, and what happened just then: ``at 13:58:03, 4m ago · ▲ index-1 killed …``."""
    assert charts.cursor is not None
    palette = charts.palette
    ago = charts.store.clock() - charts.cursor
    when = clock(charts.cursor, DAY if ago > DAY / 2 else 0, seconds=True)
    line: Line = [Segment("at ", palette.dim), Segment(when, palette.strong)]
    line.append(Segment(f", {age(ago)} ago" if ago >= 1 else ", now", palette.text))
    at = charts.cell_of_cursor(width)
    near = closest([found for found in charts.happened(width) if abs(found[0] - at) <= 1], at)
    if near is not None:
        event = near[1]
        line.append(Segment(f" {glyphs.DOT} ", palette.dim))
        line.append(Segment(f"{symbol(event)} {event.name} {event.text}", getattr(palette, event.tone)))
    return line


def clock(second: float, span: float, seconds: bool = False) -> str:
    """A time of day, with the day where the picture spans more than half a one."""
    form = "%H:%M:%S" if seconds else "%H:%M"
    return time.strftime(f"%a {form}" if span > DAY / 2 else form, time.localtime(second))


def _write(row: list[tuple[str, Style]], at: int, text: str, style: Style) -> None:
    if width_of(text) != len(text):  # wide characters: their cells can't be marked one by one
        text = "".join(character if width_of(character) == 1 else "?" for character in text)
    for index, character in enumerate(text):
        if 0 <= at + index < len(row):
            row[at + index] = character, style


def _joined(row: list[tuple[str, Style]]) -> Line:
    line: Line = []
    for character, style in row:
        if line and line[-1].style is style:
            line[-1] = Segment(line[-1].text + character, style)
        else:
            line.append(Segment(character, style))
    return line or [gap(0)]
