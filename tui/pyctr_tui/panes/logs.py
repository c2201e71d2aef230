"""Tab 5: a container's log, followed or scrolled through; and the strip of a stack's newest lines."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from rich.cells import chop_cells
from rich.segment import Segment

from pyctr_tui import glyphs
from pyctr_tui.logs.file import Entry, Parsed, parse
from pyctr_tui.panes.tabbed import TabPane
from pyctr_tui.widgets.draw import Line, cells, gap, spread, width_of
from pyctr_tui.widgets.pane import Pane

if TYPE_CHECKING:
    from textual import events

    from pyctr_tui.logs.reader import Batch, LogReader, Merged
    from pyctr_tui.palette import Palette

KEPT = 5000
"""Lines kept in memory; more are in the file."""
MARGIN = 200
"""Lines from the edge of what is kept at which more are fetched."""
LEVEL = re.compile(
    r"\b(FATAL|CRITICAL|PANIC|ERROR|ERR|WARNING|WARN|INFO|NOTICE|DEBUG|TRACE)\b|\[(error|warn|crit|emerg)\]"
)
_BAD = frozenset({"FATAL", "CRITICAL", "PANIC", "ERROR", "ERR", "error", "crit", "emerg"})
_WARN = frozenset({"WARNING", "WARN", "warn"})


def styled(text: str, palette: Palette) -> Line:
    """A line with its level in colour: what goes wrong stands out, chatter steps back."""
    found = LEVEL.search(text, 0, 120)
    if found is None:
        return [Segment(text, palette.text)]
    word = found.group(1) or found.group(2)
    if word in _BAD or word in _WARN:
        tone = palette.bad if word in _BAD else palette.warn
        start, end = found.span()
        return [
            Segment(text[:start], palette.text),
            Segment(text[start:end], tone),
            Segment(text[end:], palette.text),
        ]
    return [Segment(text, palette.dim)]


def clock(seconds: float) -> str:
    """A line's time."""
    return time.strftime("%H:%M:%S", time.localtime(seconds)) if seconds else " " * 8


class LogsPane(TabPane):
    """Shows a window of the file; the reader moves the window.

    Attributes:
        bottom: Index of the last line in sight, in the lines that are kept.
        following: Whether new lines scroll the pane.
        needle: What is searched for; matches are shown everywhere.
        moment: When what is in sight was printed, if it was asked for by its time; else 0.
    """

    tab = "logs"

    def __init__(self, reader: LogReader) -> None:
        super().__init__(id="logs")
        self.reader = reader
        self.name_shown = ""
        self.ref = ""
        self.lines: list[Entry] = []
        self.bottom = -1
        self.following = True
        self.at_end = True
        self.wrap = False
        self.timestamps = True
        self.needle = ""
        self.moment = 0.0
        self.found = -1
        self.shifted = 0
        self.rate = 0.0
        self.message = ""
        self._fetching = False

    # -- what is shown ------------------------------------------------------------------------------------------

    def watch_log(self, ref: str, name: str) -> None:
        """Show another container's log, from its end."""
        self.name_shown = name
        if ref == self.ref:
            return
        self.ref = ref
        self.lines, self.bottom, self.following, self.found = [], -1, True, -1
        self.moment = 0.0
        self.shifted, self.rate, self.message = 0, 0.0, ""
        self._fetching = False
        self.reader.watch(ref)
        self.repaint()

    def take(self, batch: Batch) -> None:
        """Take lines from the reader."""
        if batch.ref != self.ref:
            return
        self._fetching = False
        self.message = batch.error
        if batch.how == "prepend":
            self._prepend(batch)
        elif batch.how == "append":
            self.lines += batch.lines
            self.at_end = batch.at_end
            self._trim_top()
        elif batch.how == "found":
            self._show_found(batch)
        else:
            self.lines = list(batch.lines)
            self.at_end = batch.at_end
            self.bottom = len(self.lines) - 1
        if self.following:
            self.bottom = len(self.lines) - 1
            self.rate = batch.rate
        self.repaint()

    def _prepend(self, batch: Batch) -> None:
        if self.lines and batch.lines and batch.lines[-1].end > self.lines[0].offset:
            return
        self.lines[:0] = batch.lines
        self.bottom += len(batch.lines)
        if len(self.lines) > KEPT:
            cut = max(self.bottom + MARGIN, KEPT)
            if cut < len(self.lines):
                del self.lines[cut:]
                self.at_end = False

    def _trim_top(self) -> None:
        surplus = len(self.lines) - KEPT
        if surplus > 0:
            if not self.following:
                surplus = min(surplus, max(0, self.bottom - 2 * MARGIN))
            del self.lines[:surplus]
            self.bottom -= surplus

    def _show_found(self, batch: Batch) -> None:
        if batch.found < 0:
            asked = f"no further line with “{self.needle}”"
            self.message = f"nothing was printed after {clock(self.moment)}" if self.moment else asked
            return
        self.lines = list(batch.lines)
        self.at_end = batch.at_end
        self.found = batch.found
        self.following = False
        index = next((i for i, line in enumerate(self.lines) if line.offset == batch.found), len(self.lines) - 1)
        self.bottom = min(len(self.lines) - 1, index + max(1, self._room() // 2))

    # -- moving -------------------------------------------------------------------------------------------------

    def _room(self) -> int:
        return max(1, self.inner_size[1] - 1)

    def scroll_lines(self, by: int) -> None:
        """Scroll by lines; scrolling back stops following, reaching the end takes it up again."""
        if not self.lines:
            return
        if self.moment:  # it is left
            self.found, self.moment = -1, 0.0
        wanted = self.bottom + by
        least = min(self._room(), len(self.lines)) - 1
        self.bottom = max(least, min(wanted, len(self.lines) - 1))
        if by < 0 and self.following:
            self.following = False
            self.reader.stay()
        if by > 0 and wanted >= len(self.lines) - 1 and self.at_end and not self.following:
            self.follow()
        self._fetch()
        self.repaint()

    def _fetch(self) -> None:
        """Have the reader bring more when an edge of what is kept comes near."""
        if self._fetching or not self.lines or self.following:
            return
        if self.bottom - self._room() < MARGIN and self.lines[0].offset > 0:
            self._fetching = True
            self.reader.older(self.lines[0].offset)
        elif self.bottom > len(self.lines) - MARGIN and not self.at_end:
            self._fetching = True
            self.reader.newer(self.lines[-1].end)

    def follow(self) -> None:
        """Show the end, and keep showing it."""
        self.following = True
        self.found, self.moment = -1, 0.0
        self.reader.follow()

    def toggle_follow(self) -> None:
        """Follow, or stay."""
        if self.following:
            self.following = False
            self.reader.stay()
            self.repaint()
        else:
            self.follow()

    def to_start(self) -> None:
        """Show the first lines of the file."""
        self.following = False
        self.reader.stay()
        self.lines, self.bottom, self.at_end = [], self._room() - 1, False
        self.reader.newer(0)

    def shift(self, by: int) -> None:
        """Show columns further right (or left)."""
        self.shifted = max(0, self.shifted + by)
        self.repaint()

    def search(self, needle: str, backwards: bool = True, again: bool = False) -> None:
        """Look for ``needle`` before what is in sight; ``again`` starts at the match."""
        self.needle = needle
        self.message, self.moment = "", 0.0
        if not needle:
            self.found = -1
            self.repaint()
            return
        if again and self.found >= 0:
            offset = self.found if backwards else self.found + 1
            if not backwards:
                here = next((line for line in self.lines if line.offset == self.found), None)
                offset = here.end if here else self.found + 1
        else:
            offset = self.lines[self.bottom].end if 0 <= self.bottom < len(self.lines) else 0
        self.reader.find(needle, offset, backwards)

    def seek(self, moment: float) -> None:
        """Show what was printed at a moment, in seconds since the epoch."""
        self.moment = moment
        self.following = False
        self.message = ""
        self.reader.seek(moment)

    def moment_in_sight(self) -> float:
        """When the match, or the last line in sight, was printed; 0 when that isn't known."""
        entry = self._entry_in_sight()
        return parse(entry.raw).time if entry else 0.0

    def line_in_sight(self) -> str:
        """The text of the match, or of the last line in sight."""
        entry = self._entry_in_sight()
        return parse(entry.raw).text if entry else ""

    def _entry_in_sight(self) -> Entry | None:
        found = next((line for line in self.lines if line.offset == self.found), None)
        if found is None and 0 <= self.bottom < len(self.lines):
            return self.lines[self.bottom]
        return found

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Three lines on."""
        event.stop()
        self.scroll_lines(3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Three lines back."""
        event.stop()
        self.scroll_lines(-3)

    # -- painting -----------------------------------------------------------------------------------------------

    def subtitle(self) -> Line:
        """Whose log."""
        return [Segment(self.name_shown, self.palette.dim)] if self.name_shown else []

    def paint(self, width: int, height: int) -> list[Line]:
        """Lines from the last in sight upwards, then the state of following."""
        room = max(height - 1, 0)
        shown: list[Line] = []
        index = min(self.bottom, len(self.lines) - 1)
        while index >= 0 and len(shown) < room:
            block = self._draw(self.lines[index], width)
            shown[:0] = block
            index -= 1
        shown = shown[-room:] if room else []
        if not self.lines:
            text = self.message or ("nothing printed yet" if self.ref else "select a container to read its log")
            shown = [[gap(1), Segment(text, self.palette.dim)]]
        shown += [[gap(width)] for _ in range(room - len(shown))]
        return [*shown, self._status(width)]

    def _draw(self, entry: Entry, width: int) -> list[Line]:
        palette = self.palette
        parsed = parse(entry.raw)
        head: Line = [gap(1)]
        if self.timestamps:
            style = palette.accent if entry.offset == self.found else palette.faint
            head.append(Segment(clock(parsed.time) + " ", style))
        room = width - sum(width_of(part.text) for part in head) - 1
        if room < 4:
            return [head]
        if not self.wrap:
            text = parsed.text[self.shifted :] if self.shifted else parsed.text
            return [[*head, *_cut(self._matched(styled(text, palette)), room)]]
        pieces = chop_cells(parsed.text, room) or [""]
        lines: list[Line] = []
        for number, piece in enumerate(pieces):
            lead = head if number == 0 else [gap(width - room - 1)]
            lines.append(
                [*lead, *self._matched(styled(piece, palette) if number == 0 else [Segment(piece, palette.text)])]
            )
        return lines

    def _matched(self, line: Line) -> Line:
        """Matches of the needle laid in the match colour."""
        if not self.needle:
            return line
        wanted = self.needle.lower()
        out: Line = []
        for segment in line:
            text, low, at = segment.text, segment.text.lower(), 0
            if len(low) != len(text):
                out.append(segment)
                continue
            while (found := low.find(wanted, at)) >= 0:
                out.append(Segment(text[at:found], segment.style))
                style = self.palette.match if segment.style is None else segment.style + self.palette.match
                out.append(Segment(text[found : found + len(wanted)], style))
                at = found + len(wanted)
            out.append(Segment(text[at:], segment.style))
        return out

    def _status(self, width: int) -> Line:
        palette = self.palette
        dot = f" {glyphs.DOT} "
        if self.following:
            left: Line = [Segment(" following", palette.good)]
            if self.rate >= 0.5:
                left.append(Segment(f"{dot}{self.rate:,.0f} lines/s", palette.dim))
        else:
            state = f" at {clock(self.moment)}" if self.moment else " staying"
            left = [Segment(state, palette.warn), Segment(f"{dot}G follows", palette.dim)]
        if self.message and self.lines:
            left.append(Segment(dot + self.message, palette.warn))
        elif self.needle:
            left.append(Segment(f"{dot}/{self.needle}", palette.accent))
        if self.shifted:
            left.append(Segment(f"{dot}from column {self.shifted + 1}", palette.dim))
        keys = f"/ search   f follow   w {'cut' if self.wrap else 'wrap'}   T times "
        return spread(left, [Segment(keys, palette.dim)], width)


def _cut(line: Line, width: int) -> Line:
    """The line in at most ``width`` cells, with an ellipsis where it was cut."""
    taken = 0
    for index, segment in enumerate(line):
        step = width_of(segment.text)
        if taken + step > width:
            return [*line[:index], cells(segment.text, width - taken, segment.style)]
        taken += step
    return line


class LogStrip(Pane, can_focus=False):
    """The newest lines of a stack's containers, merged by time; shown where there is room."""

    def __init__(self) -> None:
        super().__init__(id="strip")
        self.about = ""
        self.count = 0
        self._lines: tuple[tuple[str, Parsed], ...] = ()
        self._rate = 0.0

    def show_subject(self, about: str, count: int) -> None:
        """Say whose lines these are."""
        if (about, count) != (self.about, self.count):
            self.about, self.count = about, count
            self.repaint()

    def take(self, merged: Merged) -> None:
        """Show these lines."""
        self._lines, self._rate = merged.lines, merged.rate
        self.repaint()

    def title(self) -> Line:
        """Whose lines these are."""
        return [Segment(f"5 Logs of {self.about}" if self.about else "5 Logs", self.palette.dim)]

    def paint(self, width: int, height: int) -> list[Line]:
        """The last lines that fit."""
        palette = self.palette
        room = max(height - 1, 0)
        shown = self._lines[-room:] if room else ()
        names = sorted({label for label, _ in self._lines})
        tones = (palette.edge["cpu"], palette.edge["memory"], palette.edge["pids"], palette.edge["net"])
        name_width = min(16, max((width_of(name) for name in names), default=0)) + 1
        lines: list[Line] = []
        for label, parsed in shown:
            head = [
                Segment(f" {clock(parsed.time)} ", palette.faint),
                cells(label, name_width, tones[names.index(label) % len(tones)]),
            ]
            lines.append([*head, *_cut(styled(parsed.text, palette), width - name_width - 11)])
        if not shown:
            lines.append([gap(1), Segment("nothing printed yet", palette.dim)])
        lines += [[gap(width)] for _ in range(room - len(lines))]
        left: Line = [Segment(" following", palette.good)]
        many = f" {glyphs.DOT} {self._rate:,.0f} lines/s {glyphs.DOT} {self.count} container{'s' * (self.count != 1)}"
        left.append(Segment(many, palette.dim))
        return [*lines, spread(left, [Segment("5 opens ", palette.dim)], width)]
