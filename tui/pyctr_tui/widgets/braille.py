"""Graphs in braille: two columns and four rows of dots to a cell, a bright edge over a dim body.

The newest value stands at the right. Columns are buckets of whole seconds counted from the epoch, two to a cell,
so that the picture moves by whole cells and stays the same between two moves, but for its last cell.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.segment import Segment
from rich.style import Style

from pyctr_tui import glyphs
from pyctr_tui.widgets.draw import Line

_LEFT = (0x40, 0x04, 0x02, 0x01)
_RIGHT = (0x80, 0x20, 0x10, 0x08)
_LEFT_FILL = tuple(sum(_LEFT[:n]) for n in range(5))
_RIGHT_FILL = tuple(sum(_RIGHT[:n]) for n in range(5))


def dots(value: float, top: float, rows: int) -> int:
    """How many dots high a value stands; anything above zero shows at least one, no value none."""
    if math.isnan(value):
        return -1
    if value <= 0 or top <= 0:
        return 0
    return max(1, min(rows * 4, round(value / top * rows * 4)))


def area(
    values: Sequence[float],
    width: int,
    rows: int,
    top: float,
    edge: Style,
    body: Style,
    limit: float | None = None,
    limit_style: Style | None = None,
    marks: Sequence[int] = (),
    mark_style: Style | None = None,
) -> list[Line]:
    """A filled graph of ``rows`` lines and ``width`` cells.

    Args:
        values: Two per cell, oldest first, NaN for none; missing ones at the left are left blank.
        top: The value at the upper edge.
        edge, body: Styles of the cells the curve runs through, and of those below it.
        limit: A value to draw a dashed line at, where the curve leaves room.
        marks: Cells (from the left) to draw a vertical line in, above the curve.
    """
    wanted = width * 2
    shown = list(values[-wanted:])
    shown = [math.nan] * (wanted - len(shown)) + shown
    heights = [dots(value, top, rows) for value in shown]
    limit_row = (
        rows - 1 - min(rows - 1, int(limit / top * rows)) if limit and top > 0 and limit <= top * 1.001 else -1
    )
    marked = set(marks)
    lines: list[Line] = []
    for row in range(rows):
        floor = (rows - 1 - row) * 4
        pieces: list[tuple[str, Style | None]] = []
        for cell in range(width):
            left, right = heights[2 * cell], heights[2 * cell + 1]
            pieces.append(_cell(left, right, floor, edge, body))
            if pieces[-1][0] == " ":
                if cell in marked and mark_style is not None:
                    pieces[-1] = (glyphs.EVENT_LINE, mark_style)
                elif row == limit_row and (left >= 0 or right >= 0):
                    pieces[-1] = (glyphs.LIMIT, limit_style)
        lines.append(_join(pieces))
    return lines


def _cell(left: int, right: int, floor: int, edge: Style, body: Style) -> tuple[str, Style | None]:
    if left < 0 and right < 0:
        return " ", None
    high = max(left, right)
    if high <= 0:
        # A baseline, so that idle reads as idle and not as unknown.
        return (
            (chr(glyphs.BRAILLE + _LEFT[0] * (left >= 0) + _RIGHT[0] * (right >= 0)), body)
            if floor == 0
            else (" ", None)
        )
    low = max(0, min(4, left - floor)) if left > 0 else (1 if left == 0 and floor == 0 else 0)
    other = max(0, min(4, right - floor)) if right > 0 else (1 if right == 0 and floor == 0 else 0)
    code = _LEFT_FILL[low] + _RIGHT_FILL[other]
    if not code:
        return " ", None
    return chr(glyphs.BRAILLE + code), edge if high <= floor + 4 else body


def _join(pieces: Sequence[tuple[str, Style | None]]) -> Line:
    """Neighbouring cells of one style become one segment."""
    line: Line = []
    text, style = "", None
    for symbol, its in pieces:
        if its is not style and text:
            line.append(Segment(text, style))
            text = ""
        text += symbol
        style = its
    if text:
        line.append(Segment(text, style))
    return line


def spark(values: Sequence[float], width: int, top: float, style: Style, idle: Style | None = None) -> Line:
    """A one-line graph."""
    return area(values, width, 1, top, style, idle or style)[0]


def bar(share: float, width: int, style: Style, rest: Style) -> Line:
    """A thin bar, ``share`` of it filled."""
    filled = max(0, min(width, round(share * width)))
    if share > 0.02 and filled == 0:
        filled = 1
    line: Line = []
    if filled:
        line.append(Segment(glyphs.BAR * filled, style))
    if filled < width:
        line.append(Segment(glyphs.BAR_REST * (width - filled), rest))
    return line
