"""The strip of a stack's newest lines, merged by time; shown where there is room."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.segment import Segment

from pyctr_tui import glyphs
from pyctr_tui.figures import count
from pyctr_tui.panes.log_lines import clock, names_column, styled
from pyctr_tui.widgets.draw import Line, cut, gap, length, spread
from pyctr_tui.widgets.pane import Pane

if TYPE_CHECKING:
    from pyctr_tui.logs.file import Parsed
    from pyctr_tui.logs.news import Merged


class LogStrip(Pane, can_focus=False):
    """The newest lines of a stack's containers, or those up to a moment."""

    def __init__(self) -> None:
        super().__init__(id="strip")
        self.about = ""
        self.count = 0
        self._lines: tuple[tuple[str, Parsed], ...] = ()
        self._rate = 0.0
        self._until: float | None = None

    def show_subject(self, about: str, count: int) -> None:
        """Say whose lines these are."""
        if (about, count) != (self.about, self.count):
            self.about, self.count = about, count
            self.repaint()

    def take(self, merged: Merged) -> None:
        """Show these lines."""
        self._lines, self._rate, self._until = merged.lines, merged.rate, merged.until
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
        column = dict(zip(names, names_column(names, palette), strict=True))
        lines: list[Line] = []
        for label, parsed in shown:
            head = [Segment(f" {clock(parsed.time)} ", palette.faint), column[label]]
            lines.append([*head, *cut(styled(parsed.text, palette), width - length(head) - 1)])
        if not shown:
            text = "nothing printed yet" if self._until is None else "nothing printed until then"
            lines.append([gap(1), Segment(text, palette.dim)])
        lines += [[gap(width)] for _ in range(room - len(lines))]
        if self._until is None:
            left: Line = [Segment(" following", palette.good)]
            many = f" {glyphs.DOT} {self._rate:,.0f} lines/s"
        else:
            left, many = [Segment(f" until {clock(self._until - 1)}", palette.accent)], ""
        left.append(Segment(f"{many} {glyphs.DOT} {count(self.count, 'container')}", palette.dim))
        return [*lines, spread(left, [Segment("5 opens ", palette.dim)], width)]
