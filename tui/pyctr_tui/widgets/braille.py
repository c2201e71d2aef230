"""Graphs in braille: two columns and four rows of dots to a cell, a bright edge over a dim body.

The newest value stands at the right. Columns are buckets of whole seconds counted from the epoch, two to a cell,
so that the picture moves by whole cells and stays the same between two moves, but for its last cell.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

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
    stacks = [_stack(heights[at], heights[at + 1], rows) for at in range(0, wanted, 2)]
    limit_row = -1
    if limit and 0 < limit <= top * 1.001:
        limit_row = rows - 1 - min(rows - 1, int(limit / top * rows))
    styles = {BLANK: None, EDGE: edge, BODY: body, LIMIT: limit_style, MARK: mark_style}
    marked = set(marks) if mark_style is not None else set()
    lines: list[Line] = []
    for row in range(rows):
        line: Line = []
        text, kind = "", BLANK
        for cell, stack in enumerate(stacks):
            symbol, its = stack[row]
            if its == BLANK:
                if cell in marked:
                    symbol, its = glyphs.EVENT_LINE, MARK
                elif row == limit_row and max(heights[2 * cell], heights[2 * cell + 1]) >= 0:
                    symbol, its = glyphs.LIMIT, LIMIT
            if its != kind:
                if text:
                    line.append(Segment(text, styles[kind]))
                text, kind = "", its
            text += symbol
        line.append(Segment(text, styles[kind]))
        lines.append(line)
    return lines


BLANK, EDGE, BODY, LIMIT, MARK = range(5)


@lru_cache(maxsize=16384)
def _stack(left: int, right: int, rows: int) -> tuple[tuple[str, int], ...]:
    """One cell's column from the top row to the bottom: symbols, and whether each is edge or body.

    ``left`` and ``right`` are heights in dots; 0 draws a baseline, so that idle reads as idle, -1 nothing.
    """
    cells: list[tuple[str, int]] = []
    high = max(left, right)
    for row in range(rows):
        floor = (rows - 1 - row) * 4
        code = _LEFT_FILL[_dots_in(left, floor)] + _RIGHT_FILL[_dots_in(right, floor)]
        if not code:
            cells.append((" ", BLANK))
        else:
            cells.append((chr(glyphs.BRAILLE + code), EDGE if 0 < high <= floor + 4 else BODY))
    return tuple(cells)


def _dots_in(height: int, floor: int) -> int:
    """Dots of a column in the cell whose lowest one is at ``floor``."""
    if height == 0:
        return 1 if floor == 0 else 0
    return max(0, min(4, height - floor))


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
