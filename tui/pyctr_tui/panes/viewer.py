"""A text to read: a file, or how two of them differ. Bytes that are no text are shown in hex."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, overload

from rich.segment import Segment

from pyctr_tui import glyphs
from pyctr_tui.figures import exact_size
from pyctr_tui.safe_text import safe_log
from pyctr_tui.widgets.draw import Line, cells, fit, gap
from pyctr_tui.widgets.pane import Pane

if TYPE_CHECKING:
    from textual import events

HEX = 16
"""Bytes in a line of hex."""


class ViewerPane(Pane):
    """Shows lines. They are made harmless as they are painted, so that a large file costs what is in sight."""

    def __init__(self, id: str = "viewer") -> None:
        super().__init__(id=id)
        self.heading = ""
        self.note = ""
        self.error = ""
        self.lines: Sequence[str] = ()
        self.is_difference = False
        self.numbered = True
        self.top = self.left = 0
        self.waiting = False

    # -- what is shown ------------------------------------------------------------------------------------------

    def show_waiting(self, heading: str, error: str = "") -> None:
        """Say that it is being read, or why it can't be."""
        self.heading, self.error, self.waiting, self.note = heading, error, not error, ""
        self.lines, self.top, self.left = (), 0, 0
        self.repaint()

    def show_bytes(self, heading: str, data: bytes, whole: bool) -> None:
        """Show a file: as text, or in hex if it is none."""
        self.show_waiting(heading)
        self.waiting, self.is_difference = False, False
        self.note = exact_size(len(data)) if whole else f"its first {exact_size(len(data))}"
        self.numbered = is_text(data)
        if self.numbered:
            text = data.decode("utf-8", "surrogateescape")
            lines = text.split("\n")
            self.lines = lines[:-1] if lines and not lines[-1] else lines
        else:
            self.lines = _Hex(data)
        self.repaint()

    def show_difference(self, heading: str, lines: Sequence[str]) -> None:
        """Show a unified diff."""
        self.show_waiting(heading)
        self.waiting, self.numbered, self.is_difference = False, False, True
        self.note = "" if lines else "the same"
        self.lines = lines
        self.repaint()

    def show_lines(self, lines: Sequence[str], note: str = "") -> None:
        """Show plain lines."""
        self.show_waiting(self.heading)
        self.waiting, self.numbered, self.is_difference = False, False, False
        self.note, self.lines = note, lines
        self.repaint()

    # -- moving -------------------------------------------------------------------------------------------------

    @property
    def page(self) -> int:
        """Lines in sight."""
        return max(1, self.inner_size[1])

    def move(self, by: int) -> None:
        """Scroll by lines."""
        self.top = max(0, min(self.top + by, len(self.lines) - self.page))
        self.repaint()

    def shift(self, by: int) -> None:
        """Show columns further right (or left)."""
        self.left = max(0, self.left + by)
        self.repaint()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Three lines on."""
        event.stop()
        self.move(3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Three lines back."""
        event.stop()
        self.move(-3)

    # -- painting -----------------------------------------------------------------------------------------------

    def title(self) -> Line:
        """What it is."""
        return [Segment(self.heading, self.palette.strong if self.has_focus else self.palette.dim)]

    def subtitle(self) -> Line:
        """How much of it there is, and where this is."""
        if not self.lines:
            return []
        last = min(self.top + self.page, len(self.lines))
        note = f"{self.note} {glyphs.DOT} " if self.note else ""
        return [Segment(f"{note}line {self.top + 1}{glyphs.DASH}{last} of {len(self.lines):,}", self.palette.dim)]

    def thumb(self, height: int) -> tuple[int, int] | None:
        """Where the lines in sight stand among all."""
        total = len(self.lines)
        if total <= height:
            return None
        return self.top * height // total, min(height - 1, (self.top + height) * height // total)

    def paint(self, width: int, height: int) -> list[Line]:
        """The lines in sight."""
        palette = self.palette
        if self.error:
            return [[gap(1), Segment(self.error, palette.bad)]]
        if not self.lines:
            text = (
                f"reading {glyphs.ELLIPSIS}" if self.waiting else self.note if self.is_difference else "it is empty"
            )
            return [[gap(1), Segment(text, palette.dim)]]
        digits = len(str(len(self.lines))) + 1 if self.numbered else 0
        shown = range(self.top, min(self.top + height, len(self.lines)))
        return [self._line(number, digits, width) for number in shown]

    def _line(self, number: int, digits: int, width: int) -> Line:
        palette = self.palette
        text = safe_log(self.lines[number])[self.left :]
        style = palette.text
        if self.is_difference:
            first = self.lines[number][:1]
            style = {"+": palette.good, "-": palette.bad, "@": palette.accent}.get(first, palette.text)
        line: Line = [cells(str(number + 1), digits, palette.faint, right=True)] if digits else []
        return [*line, gap(1), Segment(fit(text, max(width - digits - 2, 1)), style)]


def is_text(data: bytes) -> bool:
    """Whether most people would call it a text: no NUL, and nearly all of it UTF-8."""
    start = data[:8192]
    if b"\0" in start:
        return False
    odd = sum("\udc80" <= character <= "\udcff" for character in start.decode("utf-8", "surrogateescape"))
    return odd * 20 <= len(start)


class _Hex(Sequence[str]):
    """Bytes as lines of hex, made as they are asked for."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __len__(self) -> int:
        return (len(self._data) + HEX - 1) // HEX

    @overload
    def __getitem__(self, number: int) -> str: ...

    @overload
    def __getitem__(self, number: slice) -> Sequence[str]: ...

    def __getitem__(self, number: int | slice) -> str | Sequence[str]:
        """One line, or several."""
        if isinstance(number, slice):
            return [self[at] for at in range(*number.indices(len(self)))]
        piece = self._data[number * HEX : (number + 1) * HEX]
        if not piece:
            raise IndexError(number)
        shown = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in piece)
        left, right = piece[:8].hex(" "), piece[8:].hex(" ")
        return f"{number * HEX:08x}  {left:<23}  {right:<23}  {shown}"
