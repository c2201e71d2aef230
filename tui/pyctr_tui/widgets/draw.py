"""Lines of cells: fitting text to a width, and joining pieces into a line.

A line is a list of rich segments whose cells add up to the width it was made for. Widths are counted in cells
(wide characters take two); text that came from outside has been through `safe_text` before.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style

from pyctr_tui.glyphs import ELLIPSIS

Line = list[Segment]


def width_of(text: str) -> int:
    """Cells that ``text`` takes."""
    return len(text) if text.isascii() else cell_len(text)


def fit(text: str, width: int, right: bool = False) -> str:
    """``text`` in exactly ``width`` cells: padded, or cut with an ellipsis."""
    if width <= 0:
        return ""
    length = width_of(text)
    if length > width:
        return set_cell_size(text, width - 1) + ELLIPSIS
    if length == width:
        return text
    return " " * (width - length) + text if right else text + " " * (width - length)


def fit_tail(text: str, width: int) -> str:
    """As `fit`, keeping the end: for paths and for what is being typed."""
    if width_of(text) <= width:
        return fit(text, width)
    while text and width_of(text) > width - 1:
        text = text[1:]
    return fit(ELLIPSIS + text, width)


def cells(text: str, width: int, style: Style | None, right: bool = False) -> Segment:
    """A segment of exactly ``width`` cells."""
    return Segment(fit(text, width, right), style)


def gap(width: int, style: Style | None = None) -> Segment:
    """Blank cells."""
    return Segment(" " * max(width, 0), style)


def length(line: Sequence[Segment]) -> int:
    """Cells of a line."""
    return sum(width_of(segment.text) for segment in line)


def cut(line: Line, width: int) -> Line:
    """The line in at most ``width`` cells, with an ellipsis where it was cut."""
    taken = 0
    for index, segment in enumerate(line):
        step = width_of(segment.text)
        if taken + step > width:
            return [*line[:index], cells(segment.text, width - taken, segment.style)]
        taken += step
    return line


def fill(line: Line, width: int) -> Line:
    """The line in exactly ``width`` cells: padded, or cut with an ellipsis."""
    line = cut(line, width)
    taken = length(line)
    return [*line, gap(width - taken)] if taken < width else line


def spread(left: Line, right: Line, width: int) -> Line:
    """``left`` at the left, ``right`` at the right; where both don't fit, ``right`` is cut away first."""
    free = width - length(left)
    needed = length(right)
    if needed and free >= needed + 1:
        return [*left, gap(free - needed), *right]
    if free > 6 and right:
        return [*left, gap(1), *fill(right, free - 1)]
    return fill(left, width)


def column(lines: Sequence[Line], width: int, height: int) -> list[Line]:
    """Exactly ``height`` lines of ``width`` cells."""
    block = [fill(list(line), width) for line in lines[:height]]
    return block + [[gap(width)] for _ in range(height - len(block))]


def beside(left: Sequence[Line], right: Sequence[Line], between: int) -> list[Line]:
    """Two blocks of the same height side by side, ``between`` blank cells apart."""
    return [[*a, gap(between), *b] for a, b in zip(left, right, strict=True)]
