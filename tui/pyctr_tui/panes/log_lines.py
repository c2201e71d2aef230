"""How lines of logs are drawn: what goes wrong stands out, chatter steps back."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.segment import Segment

from pyctr_tui import glyphs
from pyctr_tui.logs.level import Level, Record, level_of
from pyctr_tui.safe_text import safe_log
from pyctr_tui.widgets.draw import Line, cells, width_of

if TYPE_CHECKING:
    from rich.style import Style

    from pyctr_tui.palette import Palette

LONGEST_NAME = 16


def clock(seconds: float) -> str:
    """A line's time."""
    return time.strftime("%H:%M:%S", time.localtime(seconds)) if seconds else " " * 8


def date(seconds: float) -> str:
    """A line's day; empty when it isn't known."""
    return time.strftime("%A, %Y-%m-%d", time.localtime(seconds)) if seconds else ""


def styled(text: str, palette: Palette) -> Line:
    """A line with its level in colour."""
    level, start, end = level_of(text)
    if not level:
        return [Segment(text, palette.text)]
    if level < Level.WARN:
        return [Segment(text, palette.dim)]
    return [
        Segment(text[:start], palette.text),
        Segment(text[start:end], _tone(level, palette)),
        Segment(text[end:], palette.text),
    ]


def record(read: Record, palette: Palette) -> Line:
    """A line of a structured log: its level in colour, its message, the rest dimmer."""
    message = palette.dim if Level.NONE < read.level < Level.WARN else palette.text
    styles = {
        "level": _tone(read.level, palette),
        "message": message,
        "key": palette.faint,
        "value": palette.dim,
    }
    return [Segment(safe_log(text), styles[kind]) for kind, text in read.pieces]  # what JSON escapes comes out here


def _tone(level: Level, palette: Palette) -> Style:
    if level >= Level.ERROR:
        return palette.bad
    return palette.warn if level is Level.WARN else palette.dim


def rule(symbol: str, text: str, tone: Style, width: int, palette: Palette) -> Line:
    """A line across the pane: what happened then."""
    label = f" {symbol} {text} "
    room = max(width - width_of(label) - 4, 0)
    return [
        Segment(f" {glyphs.BAR_REST * 2}", palette.frame),
        cells(label, min(width_of(label), max(width - 4, 0)), tone),
        Segment(glyphs.BAR_REST * room, palette.frame),
    ]


def lit(line: Line, needles: Sequence[str], palette: Palette) -> Line:
    """The line with each of some texts, in any case of letters, laid in the match colour."""
    wanted = [needle for needle in needles if needle]
    if not wanted:
        return line
    matches = re.compile("|".join(re.escape(needle) for needle in wanted), re.IGNORECASE)
    out: Line = []
    for segment in line:
        at = 0
        for found in matches.finditer(segment.text):
            out.append(Segment(segment.text[at : found.start()], segment.style))
            style = palette.match if segment.style is None else segment.style + palette.match
            out.append(Segment(found.group(), style))
            at = found.end()
        out.append(Segment(segment.text[at:], segment.style) if at else segment)
    return out


def clipped(line: Line, count: int) -> Line:
    """The line's first characters, and one more where there are more."""
    for index, segment in enumerate(line):
        if len(segment.text) > count:
            return [*line[:index], Segment(segment.text[: count + 1], segment.style)]
        count -= len(segment.text)
    return line


def without(line: Line, count: int) -> Line:
    """The line without its first characters."""
    for index, segment in enumerate(line):
        if count < len(segment.text):
            return [Segment(segment.text[count:], segment.style), *line[index + 1 :]]
        count -= len(segment.text)
    return []


def wrapped(line: Line, width: int) -> list[Line]:
    """The line broken into as many as it takes."""
    lines: list[Line] = [[]]
    room = width
    for segment in line:
        rest = segment
        while rest.text:
            if (step := width_of(rest.text)) <= room:
                lines[-1].append(rest)
                room -= step
                break
            taken, rest = rest.split_cells(room)
            if width_of(taken.text) > room or not taken.text:  # half a wide character
                taken = Segment("", segment.style)
            lines[-1].append(taken)
            lines.append([])
            room = width
    return lines


def names_column(names: Sequence[str], palette: Palette) -> list[Segment]:
    """The names of several containers in one width, each in a colour of its own."""
    width = min(LONGEST_NAME, max((width_of(name) for name in names), default=0)) + 1
    tones = (palette.edge["cpu"], palette.edge["memory"], palette.edge["pids"], palette.edge["net"])
    return [cells(name, width, tones[number % len(tones)]) for number, name in enumerate(names)]
