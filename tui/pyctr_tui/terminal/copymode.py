"""Looking back in a terminal: what scrolled away and the screen as it was, with vi's keys, search and selection.

It looks at a picture taken when it began: what the program writes meanwhile moves nothing.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Literal

from pyctr_tui.terminal.emulator import Emulator, Row, row_text

Outcome = Literal["", "leave", "copy", "search"]


class CopyMode:
    """A cursor over lines. Columns are cells.

    Attributes:
        rows: All lines, oldest first.
        top: The first line in sight.
        height: How many are.
        x, y: The cursor; ``y`` counts from the first line of all.
        anchor: Where the selection began, ``None`` without one; ``by_lines`` selects whole lines.
        needle: What was searched for last.
        said: What came of the last key, where the cursor doesn't show it.
    """

    def __init__(self, emulator: Emulator, height: int) -> None:
        live = [list(row) for row in emulator.rows()]
        self.rows: list[Row] = [*emulator.history, *live]
        self.height = max(height, 1)
        cursor = emulator.cursor
        self.x, self.y = cursor.x, len(emulator.history) + cursor.y
        self.top = max(0, len(self.rows) - self.height)
        self.anchor: tuple[int, int] | None = None
        self.by_lines = False
        self.needle = ""
        self.said = ""
        self._backwards = True
        self._clamp()

    # -- keys ---------------------------------------------------------------------------------------------------

    def key(self, key: str, character: str | None) -> Outcome:
        """Take a key; what is to happen."""
        self.said = ""
        name = character if character and character.isprintable() and character != " " else key
        half, page = max(self.height // 2, 1), max(self.height - 2, 1)
        steps = {
            "j": (0, 1), "down": (0, 1), "k": (0, -1), "up": (0, -1), "h": (-1, 0), "left": (-1, 0), "l": (1, 0),
            "right": (1, 0), "ctrl+d": (0, half), "ctrl+u": (0, -half), "ctrl+f": (0, page), "pagedown": (0, page),
            "ctrl+b": (0, -page), "pageup": (0, -page), "J": (0, 5), "K": (0, -5),
        }  # fmt: skip
        if name in steps:
            self.x, self.y = self.x + steps[name][0], self.y + steps[name][1]
        elif name in ("g", "home", "G", "end"):
            self.y = 0 if name in ("g", "home") else len(self.rows) - 1
        elif name in ("0", "$", "^"):
            text = self.line(self.y)
            self.x = 0 if name == "0" else len(text) - len(text.lstrip()) if name == "^" else max(len(text) - 1, 0)
        elif name in ("w", "e", "b"):
            self._word(-1 if name == "b" else 1)
        elif name in ("H", "M", "L"):
            self.y = self.top + {"H": 0, "M": self.height // 2, "L": self.height - 1}[name]
        else:
            return self._command(name)
        self._clamp()
        return ""

    def _command(self, name: str) -> Outcome:
        if name in ("v", "space", "V"):
            self.by_lines = name == "V"
            self.anchor = None if self.anchor is not None and name == "v" else (self.x, self.y)
        elif name in ("y", "enter"):
            if self.anchor is None:
                self.by_lines, self.anchor = True, (0, self.y)
            return "copy"
        elif name == "escape" and self.anchor is not None:
            self.anchor = None
        elif name in ("escape", "q", "ctrl+c", "i"):
            return "leave"
        elif name in ("/", "?"):
            self._backwards = name == "?"
            return "search"
        elif name in ("n", "N"):
            self.search(self.needle, self._backwards != (name == "N"))
        return ""

    # -- searching ----------------------------------------------------------------------------------------------

    def search(self, needle: str, backwards: bool | None = None) -> bool:
        """Go to the next place with this text, case ignored unless it has capitals; around the end."""
        self.needle = needle
        if not needle:
            return False
        backwards = self._backwards if backwards is None else backwards
        count, fold = len(self.rows), needle == needle.lower()
        for step in range(count + 1):
            y = (self.y - step if backwards else self.y + step) % count
            text, columns = self._text(y)
            text = text.lower() if fold else text
            here = bisect_left(columns, self.x)
            if step == 0:
                at = (
                    text.rfind(needle, 0, max(here + len(needle) - 1, 0))
                    if backwards
                    else text.find(needle, here + 1)
                )
            else:
                at = text.rfind(needle) if backwards else text.find(needle)
            if at >= 0:
                self.x, self.y = columns[at], y
                self._clamp()
                return True
        self.said = f"not found: {needle}"
        return False

    def _text(self, y: int) -> tuple[str, list[int]]:
        """A line's text, and the column of each character of it."""
        text, columns = [], []
        for column, (_, piece) in enumerate(self.rows[y]):
            text.append(piece)
            columns += [column] * len(piece)
        return "".join(text), columns

    # -- what is selected ---------------------------------------------------------------------------------------

    def line(self, y: int) -> str:
        """A line as text in which every character stands at its column: a wide one is followed by a NUL."""
        return "".join([text[:1] or "\0" for _, text in self.rows[y]]).rstrip(" ")

    def span(self, y: int) -> tuple[int, int] | None:
        """The selected cells of a line, the end excluded; ``None`` when there are none."""
        if self.anchor is None:
            return None
        first, last = sorted(((self.anchor[1], self.anchor[0]), (self.y, self.x)))
        if not first[0] <= y <= last[0]:
            return None
        width = len(self.rows[y])
        if self.by_lines:
            return 0, width
        return first[1] if y == first[0] else 0, last[1] + 1 if y == last[0] else width

    def selected(self) -> str:
        """The selected text, lines joined where they end."""
        lines = []
        for y in range(len(self.rows)):
            span = self.span(y)
            if span is not None:
                lines.append(row_text(self.rows[y][span[0] : span[1]]))
        return "\n".join(lines)

    # -- moving -------------------------------------------------------------------------------------------------

    def scroll(self, by: int) -> None:
        """Move by lines (the mouse's wheel)."""
        self.y += by
        self._clamp()

    @property
    def at_end(self) -> bool:
        """Whether the last line is in sight."""
        return self.top >= len(self.rows) - self.height

    def resize(self, height: int) -> None:
        """So many lines are in sight."""
        self.height = max(height, 1)
        self._clamp()

    def _word(self, by: int) -> None:
        text, x = self.line(self.y), self.x + by
        while 0 <= x < len(text) and not (text[x].isalnum() and (x == 0 or not text[x - 1].isalnum())):
            x += by
        if 0 <= x < len(text):
            self.x = x
        elif 0 <= self.y + by < len(self.rows):
            self.y += by
            following = self.line(self.y)
            self.x = len(following) - len(following.lstrip()) if by > 0 else max(len(following) - 1, 0)

    def _clamp(self) -> None:
        self.y = max(0, min(self.y, len(self.rows) - 1))
        self.x = max(0, min(self.x, max(len(self.rows[self.y]) - 1, 0)))
        if self.y < self.top:
            self.top = self.y
        elif self.y >= self.top + self.height:
            self.top = self.y - self.height + 1
        self.top = max(0, min(self.top, max(len(self.rows) - self.height, 0)))
