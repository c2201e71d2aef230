"""A terminal's cells as lines of segments: styles mapped, every character harmless and as wide as its cells."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from rich.color import Color
from rich.segment import Segment
from rich.style import Style

from pyctr_tui.safe_text import REPLACEMENT, safe
from pyctr_tui.widgets.draw import Line, width_of

if TYPE_CHECKING:
    from bittty.style import Color as CellColor
    from bittty.style import Style as CellStyle

Row = Sequence[tuple["CellStyle", str]]
CURSOR = Style(reverse=True)


def draw_row(row: Row, width: int, is_reversed: bool = False) -> Line:
    """The first ``width`` cells of a line, neighbours of one style joined."""
    line: Line = []
    run: list[str] = []
    current: CellStyle | None = None
    for x, (style, text) in enumerate(row[:width]):
        if style is not current and style != current:
            if run:
                line.append(Segment("".join(run), _style(current, is_reversed)))
                run = []
            current = style
        if text == "":
            continue
        if len(text) == 1 and " " <= text <= "~":
            run.append(text)
            continue
        cells = 2 if x + 1 < len(row) and row[x + 1][1] == "" else 1
        run.append(harmless(text, cells) if x + cells <= width else " ")
    if run:
        line.append(Segment("".join(run), _style(current, is_reversed)))
    return line


def lay_over(line: Line, start: int, end: int, style: Style) -> Line:
    """The line with ``style`` laid over cells ``start`` to ``end`` (excluded); blanks are added up to there."""
    out: Line = []
    at = 0
    for text, own, _ in line:
        for character in _pieces(text):
            wide = width_of(character)
            inside = at < end and at + wide > start
            out.append(Segment(character, own + style if inside and own is not None else style if inside else own))
            at += wide
    if at < end:
        if start > at:
            out.append(Segment(" " * (start - at)))
            at = start
        out.append(Segment(" " * (end - at), style))
    return list(Segment.simplify(out))


def _pieces(text: str) -> list[str]:
    """Characters with the marks that stand on them."""
    pieces: list[str] = []
    for character in text:
        if pieces and width_of(character) == 0:
            pieces[-1] += character
        else:
            pieces.append(character)
    return pieces


@lru_cache(maxsize=8192)
def harmless(text: str, cells: int) -> str:
    """One cell's text, or two cells', as what takes exactly that room on the user's own terminal."""
    clean = safe(text)
    if width_of(clean) == cells:
        return clean
    first = clean[:1]
    if first and width_of(first) == cells:
        return first
    if width_of(first) < cells and first.strip():
        return (first if width_of(first) == 1 else REPLACEMENT) + " " * (cells - 1)
    return " " * cells if not clean.strip() else REPLACEMENT + " " * (cells - 1)


@lru_cache(maxsize=4096)
def _style(style: CellStyle, is_reversed: bool) -> Style:
    reverse = bool(style.reverse) != is_reversed
    return Style(
        color=_colour(style.fg),
        bgcolor=_colour(style.bg),
        bold=style.bold or None,
        dim=style.dim or None,
        italic=style.italic or None,
        underline=style.underline or None,
        strike=style.strike or None,
        overline=style.overline or None,
        reverse=reverse or None,
        conceal=style.conceal or None,
    )


def _colour(colour: CellColor | None) -> Color | None:
    """The colour as rich has it; the default is the pane's own. The driver brings it to the terminal's depth."""
    if colour is None or colour.mode == "default" or colour.value is None:
        return None
    if isinstance(colour.value, tuple):
        return Color.from_rgb(*colour.value)
    return Color.from_ansi(colour.value & 0xFF)
