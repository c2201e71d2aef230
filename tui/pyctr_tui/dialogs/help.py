"""The keys of where you are, made from the keymap."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.segment import Segment

from pyctr_tui.dialogs.dialog import Dialog
from pyctr_tui.keymap import EVERYWHERE, Command, Keymap, key_name
from pyctr_tui.widgets.draw import Line, beside, cells, column, gap
from pyctr_tui.widgets.line_edit import LineEdit
from pyctr_tui.widgets.pane import Pane

if TYPE_CHECKING:
    from textual import events

KEYS = 13
"""Cells of the column of keys."""


class _HelpPane(Pane):
    def __init__(self, keymap: Keymap, where: str) -> None:
        super().__init__()
        self.where = where
        commands = keymap.keyed(where)
        self.here = [command for command in commands if command.scopes != EVERYWHERE]
        self.everywhere = [command for command in commands if command.scopes == EVERYWHERE]
        self.top = 0
        self.rows = 0
        self.needle = LineEdit()

    def title(self) -> Line:
        return [Segment(f"Keys in {self.where}", self.palette.strong)]

    def subtitle(self) -> Line:
        if self.needle.value:
            return [
                Segment(f"/{self.needle.value}", self.palette.accent),
                Segment(" · Esc shows all", self.palette.dim),
            ]
        return [Segment("type to search · Esc closes", self.palette.dim)]

    def thumb(self, height: int) -> tuple[int, int] | None:
        if self.rows <= height:
            return None
        return self.top * height // self.rows, (self.top + height) * height // self.rows - 1

    def paint(self, width: int, height: int) -> list[Line]:
        each = (width - 2) // 2
        left = self._block(f"in {self.where}", self.here, each if width >= 90 else width)
        right = self._block("everywhere", self.everywhere, each if width >= 90 else width)
        if width >= 90:
            rows = max(len(left), len(right))
            lines = beside(column(left, each, rows), column(right, each, rows), 2)
        else:
            lines = [*left, [], *right]
        self.rows = len(lines)
        self.top = max(0, min(self.top, self.rows - height))
        return lines[self.top : self.top + height]

    def _block(self, name: str, commands: list[Command], width: int) -> list[Line]:
        palette = self.palette
        lines: list[Line] = [[gap(1), Segment(name, palette.dim)]]
        needle = self.needle.value.lower()
        for command in commands:
            told = f"{command.label} {command.help} {' '.join(map(key_name, command.keys))}".lower()
            if needle not in told:
                continue
            keys = " ".join(key_name(key) for key in command.keys[:2])
            lines.append([
                gap(1),
                cells(keys, KEYS, palette.accent),
                cells(command.help, max(width - KEYS - 2, 4), palette.text),
            ])  # fmt: skip
        return lines


class HelpDialog(Dialog[None]):
    """Shows the keys; what is typed narrows them, arrows and pages scroll."""

    def __init__(self, keymap: Keymap, where: str) -> None:
        self._pane = _HelpPane(keymap, where)
        super().__init__(self._pane)

    def wanted_size(self, width: int, height: int) -> tuple[int, int]:
        """Two columns where there is room."""
        pane = self._pane
        if width >= 100:
            return min(132, width - 4), min(max(len(pane.here), len(pane.everywhere)) + 3, height - 2)
        return min(76, width - 2), height - 2

    def key(self, event: events.Key) -> None:
        """Scroll, or close."""
        steps = {
            "down": 1,
            "up": -1,
            "pagedown": 10,
            "pageup": -10,
            "home": -999,
            "end": 999,
        }
        if event.key in steps:
            self._pane.top = max(0, self._pane.top + steps[event.key])
            self._pane.repaint()
        elif event.key == "escape" and self._pane.needle.value:
            self._pane.needle = LineEdit()
            self._pane.repaint()
        elif event.key in ("escape", "question_mark", "enter", "ctrl+c"):
            self.dismiss(None)
        elif self._pane.needle.key(event.key, event.character):
            self._pane.top = 0
            self._pane.repaint()
