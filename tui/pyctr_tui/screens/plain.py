"""Copy mode: the text of a pane and nothing else, the mouse left to the terminal, whose own selection works on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.segment import Segment
from textual.app import ComposeResult
from textual.screen import ModalScreen

from pyctr_tui.terminal.driver import set_mouse
from pyctr_tui.widgets.draw import Line, fit
from pyctr_tui.widgets.pane import Pane

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual import events

    from pyctr_tui.application import Application

HINT = "select with the mouse, as in any terminal · j k scroll · Esc goes back"


class _PlainPane(Pane):
    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__(framed=False, id="plain")
        self.lines = lines
        self.top = 0

    def move(self, by: int) -> None:
        """Scroll."""
        self.top = max(0, min(self.top + by, len(self.lines) - self.size.height + 1))
        self.repaint()

    def paint(self, width: int, height: int) -> list[Line]:
        shown = self.lines[self.top : self.top + height - 1]
        lines: list[Line] = [[Segment(line, self.palette.text)] for line in shown]
        lines += [[] for _ in range(height - 1 - len(lines))]
        return [*lines, [Segment(fit(HINT, width), self.palette.dim)]]


class PlainScreen(ModalScreen[None], inherit_bindings=False):
    """Takes the mouse from us while it is shown, and gives it back, whatever ends it."""

    CSS = "PlainScreen { overflow: hidden hidden; }"
    ALLOW_SELECT = False

    def __init__(self, application: Application, lines: Sequence[str]) -> None:
        super().__init__()
        self._application = application
        self.pane = _PlainPane(lines)

    def compose(self) -> ComposeResult:
        """The text."""
        yield self.pane

    def on_mount(self) -> None:
        """The mouse is the terminal's."""
        self.pane.focus()
        set_mouse(self._application, False)

    def on_unmount(self) -> None:
        """The mouse is ours again, if it was."""
        set_mouse(self._application, self._application.settings.value("mouse"))

    async def on_key(self, event: events.Key) -> None:
        """Scroll, or go back."""
        event.stop()
        event.prevent_default()
        page = max(self.size.height - 2, 1)
        steps = {"down": 1, "j": 1, "up": -1, "k": -1, "pagedown": page, "pageup": -page, "g": -9999, "G": 9999}
        if event.key in steps:
            self.pane.move(steps[event.key])
        elif self._application.suspends(event.key, event.character):
            pass
        elif event.key in ("escape", "q", "ctrl+c", "enter"):
            self.dismiss(None)
