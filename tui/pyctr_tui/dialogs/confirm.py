"""Asking before something is destroyed: says what goes; No is the default."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.segment import Segment

from pyctr_tui import glyphs
from pyctr_tui.dialogs.dialog import Dialog
from pyctr_tui.widgets.draw import Line, cells, gap, width_of
from pyctr_tui.widgets.pane import Pane

if TYPE_CHECKING:
    from textual import events


class _ConfirmPane(Pane):
    def __init__(self, question: str, lines: Sequence[str], word: str) -> None:
        super().__init__()
        self.question = question
        self.lines = list(lines)
        self.word = word
        self.yes = False
        self.buttons: list[tuple[int, int, bool]] = []
        self.buttons_line = 0

    def title(self) -> Line:
        return [Segment(self.question, self.palette.bad)]

    def paint(self, width: int, height: int) -> list[Line]:
        palette = self.palette
        room = height - 4
        shown = self.lines
        if len(shown) > room > 0:
            # What is lost is said last: keep the end, and as many of the names as fit.
            tail = shown[shown.index("") :] if "" in shown else []
            names = max(0, room - len(tail) - 1)
            more = f"{glyphs.ELLIPSIS} and {len(shown) - len(tail) - names} more"
            shown = [*shown[:names], more, *tail][-room:]
        lines: list[Line] = [[]]
        lines += [[gap(2), cells(text, max(width - 4, 1), palette.text)] for text in shown]
        lines += [[] for _ in range(height - len(lines) - 2)]
        yes = f" {self.word} (y) "
        no = " no (n) "
        chosen = palette.selected + palette.bold
        lines.append([
            gap(2),
            Segment(no, chosen if not self.yes else palette.dim),
            gap(2),
            Segment(yes, chosen + palette.bad if self.yes else palette.bad),
        ])  # fmt: skip
        self.buttons = [(2, 2 + len(no), False), (4 + len(no), 4 + len(no) + len(yes), True)]
        self.buttons_line = height - 2
        return [*lines, []]


class ConfirmDialog(Dialog[bool]):
    """Returns whether the user said yes."""

    def __init__(self, question: str, lines: Sequence[str], word: str) -> None:
        self._pane = _ConfirmPane(question, lines, word)
        super().__init__(self._pane)

    def wanted_size(self, width: int, height: int) -> tuple[int, int]:
        """As wide as its longest line, as tall as its lines."""
        pane = self._pane
        longest = max((width_of(line) for line in (*pane.lines, pane.question + "    ")), default=20)
        return max(36, min(longest + 6, width - 4)), min(len(pane.lines) + 6, max(8, height - 4))

    def key(self, event: events.Key) -> None:
        """y and n, or a choice and Enter."""
        if event.key in ("y", "Y"):
            self.dismiss(True)
        elif event.key in ("n", "N", "escape", "q", "ctrl+c"):
            self.dismiss(False)
        elif event.key in ("left", "right", "tab", "shift+tab", "h", "l"):
            self._pane.yes = not self._pane.yes
            self._pane.repaint()
        elif event.key == "enter":
            self.dismiss(self._pane.yes)

    def on_click(self, event: events.Click) -> None:
        """A click on an answer gives it."""
        region = self._pane.region
        if event.screen_y == region.y + 1 + self._pane.buttons_line:
            at = event.screen_x - region.x - 1
            for start, end, yes in self._pane.buttons:
                if start <= at < end:
                    self.dismiss(yes)
                    return
        super().on_click(event)
