"""The pane: a widget that is painted as lines of cells and sends only the cells that changed.

Each pane paints itself whole into a list of strips, which costs a few microseconds a line; those which differ
from the last painting are refreshed, from the first differing segment to the last. Frame, title, scroll thumb
and background are the pane's own: no CSS border, no child widgets, one style lookup.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.segment import Segment
from textual.geometry import Region, Size
from textual.reactive import Reactive
from textual.strip import Strip
from textual.widget import Widget

from pyctr_tui import glyphs
from pyctr_tui.widgets.draw import Line, fill, gap, length, width_of

if TYPE_CHECKING:
    from textual import events

    from pyctr_tui.palette import Palette


LEAST_WIDTH = 8
"""In fewer columns nothing can be said: a pane is blank there, so that no painting need think of it."""


class Pane(Widget, can_focus=True):
    """Something that paints lines. Subclasses give `paint`, and `title` when they are framed.

    Attributes:
        framed: Whether a frame with the title is drawn around; a bare pane has all its cells to itself.
        shown: Whether the layout placed it; a pane that isn't shown isn't painted.
    """

    DEFAULT_CSS = "Pane { width: 1fr; height: 1fr; }"
    ALLOW_SELECT = False
    scope = "pane"
    """Which keys it answers to; see `pyctr_tui.keymap`."""

    virtual_size = Reactive(Size(0, 0))
    """As every widget's, but nobody has to be laid out anew for it: at the start that drew the whole screen twice."""

    def __init__(self, *, framed: bool = True, id: str | None = None) -> None:
        super().__init__(id=id, markup=False)
        self.framed = framed
        self.shown = True
        self._strips: list[Strip] = []

    # -- what subclasses say ------------------------------------------------------------------------------------

    def paint(self, width: int, height: int) -> list[Line]:
        """The inside, ``height`` lines of ``width`` cells (short ones are filled up)."""
        raise NotImplementedError

    def title(self) -> Line:
        """What stands in the upper edge of the frame."""
        return []

    def subtitle(self) -> Line:
        """What stands in the lower edge of the frame, at the right."""
        return []

    def upper_edge(self) -> Line:
        """All that stands in the upper edge."""
        return self.title()

    def lower_edge(self) -> Line:
        """All that stands in the lower edge."""
        return self.subtitle()

    def thumb(self, height: int) -> tuple[int, int] | None:
        """First and last inner line the scroll thumb covers; ``None`` when all is in sight."""
        return None

    def highlight(self) -> tuple[int, object] | None:
        """An inner line and the style to lay under it: the selection."""
        return None

    # -- painting -----------------------------------------------------------------------------------------------

    @property
    def palette(self) -> Palette:
        """The styles of the theme in use."""
        return self.app.palette  # type: ignore[attr-defined,no-any-return]

    @property
    def inner_size(self) -> tuple[int, int]:
        """Columns and lines inside the frame."""
        width, height = self.size
        return (max(width - 2, 0), max(height - 2, 0)) if self.framed else (width, height)

    def render_line(self, y: int) -> Strip:
        """One line of the last painting."""
        if not self._strips:
            self._strips = self._paint_all()
        if y < len(self._strips):
            return self._strips[y]
        return Strip.blank(self.size.width, self.palette.base)

    def repaint(self) -> None:
        """Paint, and refresh what differs from the last painting."""
        if not self.shown or not self.is_mounted or not self.size:
            self._strips = []
            return
        new, old = self._paint_all(), self._strips
        if len(new) != len(old):
            self._strips = new
            self.refresh()
            return
        self._strips = new
        for y, (before, after) in enumerate(zip(old, new, strict=True)):
            if before is not after:
                span = _difference(list(before), list(after))
                if span:
                    self.refresh(Region(span[0], y, span[1] - span[0], 1))

    def text_lines(self) -> list[str]:
        """What is painted, as plain text without the frame, blank cells at the ends left out."""
        strips = self._paint_all()
        texts = [strip.text for strip in (strips[1:-1] if self.framed else strips)]
        return [(text[1:-1] if self.framed else text).rstrip() for text in texts]

    def _paint_all(self) -> list[Strip]:
        width, height = self.size
        if not width or not height:
            return []
        inner_width, inner_height = self.inner_size
        roomy = inner_width >= LEAST_WIDTH and inner_height > 0
        body = self.paint(inner_width, inner_height)[:inner_height] if roomy else []
        lines = [fill(line, inner_width) for line in body]
        lines += [[gap(inner_width)] for _ in range(inner_height - len(lines))]
        marked = self.highlight() if roomy else None
        if marked is not None and 0 <= marked[0] < len(lines):
            style = marked[1]
            lines[marked[0]] = list(Segment.apply_style(lines[marked[0]], None, style))  # type: ignore[arg-type]
        if self.framed and width >= 2 and height >= 2:
            lines = self._frame(lines, width)
        base = self.palette.base
        return [Strip(Segment.apply_style(line, base), width) for line in lines]

    def _frame(self, lines: list[Line], width: int) -> list[Line]:
        palette = self.palette
        edge = palette.accent if self.has_focus else palette.frame
        side = Segment(glyphs.PIPE, edge)
        thumb = self.thumb(len(lines)) if width - 2 >= LEAST_WIDTH else None
        framed = [_edge("╭", "╮", self.upper_edge(), width, edge, left=True)]
        for y, line in enumerate(lines):
            right = Segment(glyphs.THUMB, palette.dim) if thumb and thumb[0] <= y <= thumb[1] else side
            framed.append([side, *line, right])
        framed.append(_edge("╰", "╯", self.lower_edge(), width, edge, left=False))
        return framed

    # -- events -------------------------------------------------------------------------------------------------

    def on_resize(self, event: events.Resize) -> None:
        """Paint anew at the new size."""
        self._strips = []
        self.repaint()

    def watch_has_focus(self, focused: bool) -> None:
        """Show in the frame and in the selection where the focus is."""
        super().watch_has_focus(focused)
        self.repaint()


def _edge(first: str, last: str, label: Line, width: int, style: object, left: bool) -> Line:
    """The upper or lower edge of a frame with its label set in."""
    if not label or width < 8:
        return [Segment(first + "─" * (width - 2) + last, style)]  # type: ignore[arg-type]
    if length(label) > width - 6:
        label = fill(label, width - 6)
    rest = "─" * (width - 5 - length(label))
    near, far = ("─", rest) if left else (rest, "─")
    return [
        Segment(first + near + " ", style),  # type: ignore[arg-type]
        *label,
        Segment(" " + far + last, style),  # type: ignore[arg-type]
    ]


def _difference(before: list[Segment], after: list[Segment]) -> tuple[int, int] | None:
    """The columns in which two lines of the same width differ; ``None`` when they are the same."""
    start, first = 0, 0
    shorter = min(len(before), len(after))
    while first < shorter and before[first] == after[first]:
        start += width_of(after[first].text)
        first += 1
    if first == len(before) == len(after):
        return None
    end, last = sum(width_of(segment.text) for segment in after), 1
    while last <= shorter - first and before[-last] == after[-last]:
        end -= width_of(after[-last].text)
        last += 1
    return (start, max(end, start + 1))
