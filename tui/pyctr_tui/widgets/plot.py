"""Graphs of several series in braille: stacked bands told apart by texture, or lines over each other.

Bands are solid, then chequered, then striped from the bottom up, so that they are read without colours too; the
topmost dots are bright. See `braille` for how columns and cells go together.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache

from rich.segment import Segment
from rich.style import Style

from pyctr_engine.record import dataclass, field
from pyctr_tui import glyphs
from pyctr_tui.widgets.braille import dots
from pyctr_tui.widgets.draw import Line

_BITS = ((0x40, 0x04, 0x02, 0x01), (0x80, 0x20, 0x10, 0x08))
"""A cell's dots from the bottom up, left and right."""
_BLANK, _EDGE, _BODY = range(3)
SOLID, CHEQUERED, STRIPED = range(3)


@dataclass(frozen=True, slots=True)
class Marks:
    """What is drawn over the curves.

    Attributes:
        limit: A value to each column, drawn as a dashed line where the curve leaves room; 0 for none.
        events: Styles of vertical lines above the curve, by cell.
        cursor: The cell of the cursor's line, which goes through the curve too; -1 for none.
        hot: Cells whose edge is drawn as harm.
    """

    limit: Sequence[float] = ()
    events: Mapping[int, Style] = field(default_factory=dict)
    cursor: int = -1
    hot: Collection[int] = ()


NONE = Marks()


def bands(
    series: Sequence[Sequence[float]],
    width: int,
    rows: int,
    top: float,
    edge: Style,
    body: Style,
    harm: Style,
    cursor: Style,
    marks: Marks = NONE,
    textures: Sequence[int] = (SOLID, CHEQUERED, STRIPED),
) -> list[Line]:
    """``rows`` lines of ``width`` cells; each band stands on the one before.

    Args:
        series: Two values per cell, oldest first, NaN for none; missing ones at the left are left blank.
        top: The value at the upper edge.
        edge, body, harm, cursor: Styles of the topmost cells, those below, harm, and the cursor's line.
    """
    heights = _heights(series, width * 2, rows, top)
    stacks = [
        _stack(heights[at], heights[at + 1], rows, tuple(textures[: len(series)])) for at in range(0, width * 2, 2)
    ]
    known = [heights[at][-1] >= 0 or heights[at + 1][-1] >= 0 for at in range(0, width * 2, 2)]
    inks = [[_ink(kind, cell, edge, body, harm, marks) for kind in (_BLANK, _EDGE, _BODY)] for cell in range(width)]
    return _lines(stacks, inks, known, width, rows, top, harm, cursor, marks)


def _ink(kind: int, cell: int, edge: Style, body: Style, harm: Style, marks: Marks) -> Style | None:
    if kind == _BLANK:
        return None
    if kind == _EDGE:
        return harm if cell in marks.hot else edge
    return body


def curves(
    series: Sequence[Sequence[float]],
    styles: Sequence[Style],
    width: int,
    rows: int,
    top: float,
    cursor: Style,
    marks: Marks = NONE,
) -> list[Line]:
    """Lines over each other, of each its edge only; where two meet, the first is on top.

    At its newest value each carries its number, so that they are told apart without colours.
    """
    wanted = width * 2
    codes = [[0] * width for _ in range(rows)]
    owners = [[-1] * width for _ in range(rows)]
    labels: dict[tuple[int, int], str] = {}
    for number in range(len(series) - 1, -1, -1):
        heights = [dots(value, top, rows) for value in _last(series[number], wanted)]
        before = -1
        for column, height in enumerate(heights):
            if height < 0:
                before = -1
                continue
            at = max(height, 1) - 1
            low = at if before < 0 else min(at, before + 1 if before < at else at)
            high = at if before < 0 else max(at, before - 1 if before > at else at)
            for dot in range(low, high + 1):
                row = rows - 1 - dot // 4
                codes[row][column // 2] |= _BITS[column % 2][dot % 4]
                owners[row][column // 2] = number
            before = at
        newest = next((c for c in range(wanted - 1, -1, -1) if heights[c] >= 0), None)
        if newest is not None and newest >= wanted - 4:
            labels[rows - 1 - (max(heights[newest], 1) - 1) // 4, newest // 2] = str(number + 1)
            owners[rows - 1 - (max(heights[newest], 1) - 1) // 4][newest // 2] = number
    lines: list[Line] = []
    for row in range(rows):
        line = _Runs()
        for cell in range(width):
            owner = owners[row][cell]
            if cell == marks.cursor:
                line.put(chr(glyphs.BRAILLE + codes[row][cell]) if codes[row][cell] else glyphs.EVENT_LINE, cursor)
            elif owner >= 0:
                symbol = labels.get((row, cell), chr(glyphs.BRAILLE + codes[row][cell]))
                line.put(symbol, styles[owner % len(styles)])
            elif cell in marks.events:
                line.put(glyphs.EVENT_LINE, marks.events[cell])
            else:
                line.put(" ", None)
        lines.append(line.ended())
    return lines


class _Runs:
    """Joins cells of one style into segments."""

    __slots__ = ("_line", "_style", "_text")

    def __init__(self) -> None:
        self._line: Line = []
        self._text: list[str] = []
        self._style: Style | None = None

    def put(self, symbol: str, style: Style | None) -> None:
        if style is not self._style:
            if self._text:
                self._line.append(Segment("".join(self._text), self._style))
                self._text = []
            self._style = style
        self._text.append(symbol)

    def ended(self) -> Line:
        self._line.append(Segment("".join(self._text), self._style))
        return self._line


def _lines(
    stacks: Sequence[tuple[tuple[str, int], ...]],
    inks: Sequence[Sequence[Style | None]],
    known: Sequence[bool],
    width: int,
    rows: int,
    top: float,
    harm: Style,
    cursor: Style,
    marks: Marks,
) -> list[Line]:
    limits = _limit_rows(marks.limit, width, rows, top)
    lines: list[Line] = []
    for row in range(rows):
        line = _Runs()
        for cell in range(width):
            symbol, kind = stacks[cell][row]
            style = inks[cell][kind]
            if kind == _BLANK:
                if cell == marks.cursor:
                    symbol, style = glyphs.EVENT_LINE, cursor
                elif cell in marks.events:
                    symbol, style = glyphs.EVENT_LINE, marks.events[cell]
                elif limits[cell] == row and known[cell]:
                    symbol, style = glyphs.LIMIT, harm
            elif cell == marks.cursor:
                style = cursor
            line.put(symbol, style)
        lines.append(line.ended())
    return lines


def _limit_rows(limit: Sequence[float], width: int, rows: int, top: float) -> list[int]:
    """The row of each cell's limit; -1 where there is none in sight."""
    if not limit:
        return [-1] * width
    values = _last(limit, width * 2)
    found = []
    for at in range(0, width * 2, 2):
        right, left = values[at + 1], values[at]
        value = right if right == right else left
        in_sight = value == value and 0 < value <= top * 1.001
        found.append(rows - 1 - min(rows - 1, int(value / top * rows)) if in_sight else -1)
    return found


def _last(values: Sequence[float], wanted: int) -> list[float]:
    shown = list(values[-wanted:])
    return [math.nan] * (wanted - len(shown)) + shown


def _heights(series: Sequence[Sequence[float]], wanted: int, rows: int, top: float) -> list[tuple[int, ...]]:
    """Of each column the height of each band's upper edge in dots; -1 where nothing is known."""
    each = [_last(values, wanted) for values in series]
    out = []
    for parts in zip(*each, strict=True):
        total, column, seen = 0.0, [], False
        for value in parts:
            if value == value:
                seen = True
                total += value
            column.append(dots(total, top, rows) if seen else -1)
        out.append(tuple(column))
    return out


@lru_cache(maxsize=16384)
def _stack(
    left: tuple[int, ...], right: tuple[int, ...], rows: int, textures: tuple[int, ...]
) -> tuple[tuple[str, int], ...]:
    """One cell's column from the top row to the bottom: symbols, and whether each is edge or body.

    A height of 0 draws a baseline, so that idle reads as idle; -1 draws nothing.
    """
    cells = []
    high = max(left[-1], right[-1])
    for row in range(rows):
        floor = (rows - 1 - row) * 4
        code = sum(
            _BITS[side][dot]
            for side, heights in enumerate((left, right))
            for dot in range(4)
            if _is_lit(heights, floor + dot, side, textures)
        )
        if not code:
            cells.append((" ", _BLANK))
        else:
            cells.append((chr(glyphs.BRAILLE + code), _EDGE if 0 < high <= floor + 4 else _BODY))
    return tuple(cells)


def _is_lit(heights: tuple[int, ...], dot: int, side: int, textures: tuple[int, ...]) -> bool:
    total = heights[-1]
    if dot >= total:
        return dot == 0 and total == 0
    if dot == total - 1:
        return True
    band = next(number for number, height in enumerate(heights) if dot < height)
    texture = textures[band]
    return (
        texture == SOLID or (texture == CHEQUERED and (dot + side) % 2 == 0) or (texture == STRIPED and dot % 2 == 0)
    )
