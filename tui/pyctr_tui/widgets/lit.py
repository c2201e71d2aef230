"""Lighting what was looked for in a line that is painted already."""

from __future__ import annotations

from collections.abc import Sequence

from rich.segment import Segment
from rich.style import Style

from pyctr_tui.widgets.draw import Line

UNDERLINED = Style(underline=True)
"""Stays when the cursor's line covers the colour behind it."""


def lit(line: Line, words: Sequence[str], style: Style) -> Line:
    """The line with every place of the words (in lower case) in a style; its cells stay the same."""
    out: Line = []
    for segment in line:
        out += _segment(segment, words, style)
    return out


def _segment(segment: Segment, words: Sequence[str], style: Style) -> Line:
    text, low = segment.text, segment.text.lower()
    if len(low) != len(text) or not any(word in low for word in words):
        return [segment]  # lower case of another length would light the wrong cells
    marked = [False] * len(text)
    for word in words:
        at = low.find(word)
        while at >= 0:
            marked[at : at + len(word)] = [True] * len(word)
            at = low.find(word, at + len(word))
    out: Line = []
    start = 0
    own = segment.style or Style()
    for end in range(1, len(text) + 1):
        if end == len(text) or marked[end] != marked[start]:
            out.append(Segment(text[start:end], own + style + UNDERLINED if marked[start] else segment.style))
            start = end
    return out
