"""A menu: a few things to do with what is selected, each on its own key or by the cursor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from rich.segment import Segment

from pyctr_engine.record import dataclass
from pyctr_tui.dialogs.dialog import Dialog
from pyctr_tui.keymap import key_name
from pyctr_tui.widgets.draw import Line, cells, fit, gap, width_of
from pyctr_tui.widgets.pane import Pane

if TYPE_CHECKING:
    from textual import events


@dataclass(frozen=True, slots=True)
class Item:
    """Something to choose: ``key`` as Textual names it chooses it at once; empty for none."""

    name: str
    note: str
    key: str
    call: Callable[[], object]


class _MenuPane(Pane):
    def __init__(self, heading: str, items: Sequence[Item]) -> None:
        super().__init__()
        self.heading = heading
        self.items = items
        self.cursor = self.top = 0

    def move(self, by: int) -> None:
        self.cursor = max(0, min(self.cursor + by, len(self.items) - 1))
        self.repaint()

    def title(self) -> Line:
        return [Segment(self.heading, self.palette.strong)]

    def subtitle(self) -> Line:
        return [Segment("Enter does it · Esc closes", self.palette.dim)]

    def thumb(self, height: int) -> tuple[int, int] | None:
        total = len(self.items)
        if total <= height:
            return None
        return self.top * height // total, min(height - 1, (self.top + height) * height // total)

    def highlight(self) -> tuple[int, object] | None:
        return (self.cursor - self.top, self.palette.selected) if self.items else None

    def paint(self, width: int, height: int) -> list[Line]:
        palette = self.palette
        self.top = max(min(self.top, self.cursor), self.cursor - height + 1, 0)
        names = min(max((width_of(item.name) for item in self.items), default=8), max(width // 3, 8))
        keys = max((width_of(key_name(item.key)) + 2 for item in self.items if item.key), default=1)
        return [
            [
                gap(1),
                cells(key_name(item.key), keys, palette.accent),
                cells(item.name, names, palette.strong),
                gap(2),
                Segment(fit(item.note, max(width - names - keys - 4, 1)), palette.dim),
            ]
            for item in self.items[self.top : self.top + height]
        ]


class MenuDialog(Dialog[Callable[[], object]]):
    """Returns what to call, or ``None``."""

    def __init__(self, heading: str, items: Sequence[Item]) -> None:
        self._pane = _MenuPane(heading, items)
        super().__init__(self._pane)

    def wanted_size(self, width: int, height: int) -> tuple[int, int]:
        """As high as there are items."""
        return min(84, width - 2), min(len(self._pane.items) + 2, height - 2)

    def key(self, event: events.Key) -> None:
        """An item's own key, or the moving keys."""
        pane = self._pane
        moves = {"down": 1, "j": 1, "up": -1, "k": -1, "tab": 1, "shift+tab": -1, "pagedown": 10, "pageup": -10}
        own = next((item for item in pane.items if item.key and item.key in (event.key, event.character)), None)
        if event.key in ("escape", "ctrl+c"):
            self.dismiss(None)
        elif event.key in ("enter", "space"):
            self.dismiss(pane.items[pane.cursor].call if pane.items else None)
        elif own is not None:
            self.dismiss(own.call)
        elif event.key in moves:
            pane.move(moves[event.key])
        elif event.key == "q":
            self.dismiss(None)

    def on_click(self, event: events.Click) -> None:
        """A click on a line chooses it."""
        pane = self._pane
        at = event.screen_y - pane.region.y - 1 + pane.top
        if not pane.region.contains(event.screen_x, event.screen_y):
            super().on_click(event)
        elif 0 <= at < len(pane.items) and event.screen_y - pane.region.y >= 1:
            self.dismiss(pane.items[at].call)
