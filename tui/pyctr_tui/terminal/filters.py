"""The net under everything drawn: whatever a widget forgot to make harmless is made so here, line by line."""

from __future__ import annotations

from functools import lru_cache

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter

from pyctr_tui.glyphs import ASCII
from pyctr_tui.safe_text import safe
from pyctr_tui.widgets.draw import fit, width_of


@lru_cache(maxsize=8192)
def _harmless(text: str) -> str:
    """The text without control, bidi and zero-width characters, in the cells it was measured to take."""
    clean = safe(text)
    return clean if clean == text else fit(clean, cell_len(text))  # a control takes none: so it was measured


class HarmlessFilter(LineFilter):
    """Makes every segment harmless and drops control segments; nothing passes that moves the cursor."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Textual calls this for each line it draws."""
        if all(segment.text.isascii() and segment.text.isprintable() and not segment.control for segment in segments):
            return segments
        return [Segment(_harmless(text), style) for text, style, control in segments if not control]


@lru_cache(maxsize=8192)
def _plain(text: str) -> str:
    out = []
    for character in text.translate(ASCII):
        out.append(character if character.isascii() else "?" * width_of(character))
    return "".join(out)


class AsciiFilter(LineFilter):
    """One ASCII character for each cell."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Textual calls this for each line it draws."""
        return [
            segment if segment.text.isascii() else Segment(_plain(segment.text), segment.style)
            for segment in segments
        ]


@lru_cache(maxsize=1024)
def _colourless(style: Style) -> Style:
    return Style(bold=style.bold, dim=style.dim, underline=style.underline, reverse=style.reverse)


class ColourlessFilter(LineFilter):
    """``NO_COLOR``: weight, underline and reverse video stay, all colours go."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Textual calls this for each line it draws."""
        return [
            segment if segment.style is None else Segment(segment.text, _colourless(segment.style))
            for segment in segments
        ]
