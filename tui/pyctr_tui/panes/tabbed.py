"""The right-hand pane's tabs: each is a pane of its own, and carries the row of tabs in its frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.segment import Segment

from pyctr_tui import glyphs
from pyctr_tui.widgets.draw import Line
from pyctr_tui.widgets.pane import Pane

if TYPE_CHECKING:
    from textual import events

    from pyctr_tui.palette import Palette

NAMES = {
    "containers": "1 Containers",
    "images": "2 Images",
    "layers": "3 Layers",
    "graphs": "4 Graphs",
    "logs": "5 Logs",
    "diff": "6 Diff",
    "info": "7 Info",
    "ps": "8 Ps",
    "term": "9 Term",
}
TABS = ("graphs", "logs", "diff", "info", "ps", "term")


def tab_title(palette: Palette, active: str, focused: bool) -> Line:
    """The row of tabs for a frame's upper edge."""
    line: Line = []
    for tab in TABS:
        if line:
            line.append(Segment(f" {glyphs.PIPE} ", palette.frame))
        if tab == active:
            line.append(Segment(NAMES[tab], palette.strong + palette.bold if focused else palette.text))
        else:
            line.append(Segment(NAMES[tab], palette.dim))
    return line


def tab_at(x: int) -> str | None:
    """The tab under column ``x`` of a frame's upper edge."""
    at = 3
    for tab in TABS:
        if at <= x < at + len(NAMES[tab]):
            return tab
        at += len(NAMES[tab]) + 3
    return None


class TabPane(Pane):
    """A pane that is one of the tabs. ``tab`` is its name."""

    tab = ""
    scope = "tab"

    def title(self) -> Line:
        """The tabs."""
        return tab_title(self.palette, self.tab, self.has_focus)

    def on_click(self, event: events.Click) -> None:
        """A click on a tab's name shows it."""
        if self.framed and event.y == 0 and (tab := tab_at(event.x)):
            self.screen.action_pane(tab)  # type: ignore[attr-defined]


class TabBar(Pane, can_focus=False):
    """The row of all panes' names on a small terminal."""

    def __init__(self) -> None:
        super().__init__(framed=False, id="tabs")
        self.active = "containers"
        self._spans: list[tuple[int, int, str]] = []

    def show_active(self, name: str) -> None:
        """Mark the pane that is shown."""
        self.active = name
        self.repaint()

    def paint(self, width: int, height: int) -> list[Line]:
        """All names; on very narrow terminals the numbers only, but for the active one."""
        palette = self.palette
        total = sum(len(name) for name in NAMES.values())
        full = total + len(NAMES) + 1 <= width
        wide = total + 2 * len(NAMES) <= width
        line: Line = []
        self._spans = []
        at, before = 0, ""
        for name, label in NAMES.items():
            text = label if full or name == self.active else label[:1]
            lit = self.active in (name, before)
            line.append(Segment(" ", palette.tab if lit else None))
            line.append(Segment(text, palette.tab if name == self.active else palette.dim))
            at += 1 + len(text)
            self._spans.append((at - 1 - len(text), at + 1, name))
            if wide:
                line.append(Segment(" ", palette.tab if name == self.active else None))
                at += 1
                name = ""  # its right-hand blank is drawn
            before = name
        if before == self.active:
            line.append(Segment(" ", palette.tab))
        return [line]

    def on_click(self, event: events.Click) -> None:
        """Show the pane that was clicked."""
        for start, end, name in self._spans:
            if start <= event.x < end:
                self.screen.action_pane(name)  # type: ignore[attr-defined]
