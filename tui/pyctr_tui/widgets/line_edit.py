"""One line being typed: value, cursor and the keys that change them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.segment import Segment
from rich.style import Style

from pyctr_tui.safe_text import safe
from pyctr_tui.widgets.draw import Line, fit, width_of

if TYPE_CHECKING:
    from pyctr_tui.palette import Palette

MAX_LENGTH = 1000


class LineEdit:
    """A value with a cursor in it. Knows no widget: panes paint it and hand it keys."""

    def __init__(self, value: str = "", placeholder: str = "") -> None:
        self.value = value
        self.cursor = len(value)
        self.placeholder = placeholder

    def insert(self, text: str) -> None:
        """Type or paste; only what is harmless in one line gets in."""
        text = safe(text.replace("\n", " ").replace("\r", " ").replace("\t", " "))
        text = text[: max(0, MAX_LENGTH - len(self.value))]
        self.value = self.value[: self.cursor] + text + self.value[self.cursor :]
        self.cursor += len(text)

    def key(self, name: str, character: str | None) -> bool:
        """Take a key; whether it was one for editing."""
        at, value = self.cursor, self.value
        if name in ("left", "ctrl+b"):
            self.cursor = max(0, at - 1)
        elif name in ("right", "ctrl+f"):
            self.cursor = min(len(value), at + 1)
        elif name in ("home", "ctrl+a"):
            self.cursor = 0
        elif name in ("end", "ctrl+e"):
            self.cursor = len(value)
        elif name in ("backspace", "ctrl+h"):
            if at:
                self.value, self.cursor = value[: at - 1] + value[at:], at - 1
        elif name in ("delete", "ctrl+d"):
            self.value = value[:at] + value[at + 1 :]
        elif name == "ctrl+u":
            self.value, self.cursor = value[at:], 0
        elif name == "ctrl+k":
            self.value = value[:at]
        elif name in ("ctrl+w", "alt+backspace"):
            before = value[: self._word_before()]
            self.value, self.cursor = before + value[at:], len(before)
        elif name == "alt+d":
            self.value = value[:at] + value[self._word_after() :]
        elif name in ("ctrl+left", "alt+b"):
            self.cursor = self._word_before()
        elif name in ("ctrl+right", "alt+f"):
            self.cursor = self._word_after()
        elif character is not None and character.isprintable():
            self.insert(character)
        else:
            return False
        return True

    def _word_before(self) -> int:
        """Where the word before the cursor begins."""
        return self.value[: self.cursor].rstrip().rfind(" ") + 1

    def _word_after(self) -> int:
        """Where the word after the cursor ends."""
        rest = self.value[self.cursor :]
        end = rest.find(" ", len(rest) - len(rest.lstrip()))
        return len(self.value) if end < 0 else self.cursor + end

    def paint(self, width: int, palette: Palette, focused: bool = True) -> Line:
        """The value with its cursor in ``width`` cells, the cursor always in sight."""
        if not self.value and not focused:
            return [Segment(fit(self.placeholder, width), palette.faint)]
        start = 0
        while width_of(self.value[start : self.cursor]) > max(width - 2, 0) and start < self.cursor:
            start += 1
        before, after = self.value[start : self.cursor], self.value[self.cursor + 1 :]
        under = self.value[self.cursor : self.cursor + 1] or " "
        if not focused:
            return [Segment(fit(self.value, width), palette.text)]
        line = [Segment(before, palette.strong), Segment(under, Style(reverse=True))]
        room = width - width_of(before) - width_of(under)
        if not self.value:
            return [*line, Segment(fit(self.placeholder, room), palette.faint)]
        return [*line, Segment(fit(after, room), palette.strong)] if room > 0 else line
