"""A pane with a list in it: cursor, scrolling, marks, mouse."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from rich.segment import Segment
from textual.message import Message

from pyctr_tui import glyphs
from pyctr_tui.query import Query, Subject, of_anything, parse
from pyctr_tui.widgets.draw import Line, length, width_of
from pyctr_tui.widgets.lit import lit
from pyctr_tui.widgets.pane import Pane

if TYPE_CHECKING:
    from textual import events

Item = TypeVar("Item")
Orders = Mapping[str, Callable[[Any], Any] | None]
"""Columns' titles in lower case, and what of an item to compare; ``None`` for the order they come in."""


class ListPane(Pane, Generic[Item]):
    """Shows one item a line. The cursor keeps to its item (by key) when the list changes around it.

    Attributes:
        whole: All there is to list; ``items`` are those of it that pass ``filtering``, with what stands between them.
        passing: How many pass.
        order: What it is sorted by, one of `orders`; ``turned`` the other way round.
        cursor: Index of the selected item; 0 when the list is empty.
        top: Index of the first item in sight.
    """

    class Moved(Message):
        """The cursor stands on another item."""

        def __init__(self, pane: ListPane[object]) -> None:
            self.pane = pane
            super().__init__()

    class Opened(Message):
        """An item was chosen (Enter, or a second click)."""

        def __init__(self, pane: ListPane[object]) -> None:
            self.pane = pane
            super().__init__()

    scope = "list"
    has_header = True
    orders: ClassVar[Orders] = {}
    """What the list can be sorted by; the first is how it begins."""

    def __init__(self, *, framed: bool = True, id: str | None = None) -> None:
        super().__init__(framed=framed, id=id)
        self.whole: Sequence[Item] = ()
        self.items: Sequence[Item] = ()
        self.passing = 0
        self.filtering: Query = parse("")
        self.order = next(iter(self.orders), "")
        self.turned = False
        self.cursor = 0
        self.top = 0

    # -- what subclasses say ------------------------------------------------------------------------------------

    def key(self, item: Item) -> str:
        """What makes an item the same one after a change."""
        raise NotImplementedError

    def header(self, width: int) -> Line:
        """The column titles."""
        return []

    def draw(self, item: Item, width: int) -> Line:
        """One item."""
        raise NotImplementedError

    def empty(self, width: int) -> list[Line]:
        """What to say when there is nothing to list."""
        return []

    def between(self, items: Sequence[Item]) -> Sequence[Item]:
        """The items that pass, with lines of no item's own put between them: headings."""
        return items

    def seen_by_filter(self, item: Item) -> Subject:
        """What a filter looks at of an item."""
        return of_anything(item)

    def known(self) -> Mapping[str, Sequence[str]]:
        """The fields a filter of this list knows, with their values there are."""
        return {}

    @property
    def figures(self) -> Sequence[str]:
        """The figures a filter of this list compares."""
        return ()

    def filter_by(self, text: str) -> None:
        """Show only what passes a filter; an empty one shows all."""
        self.filtering = parse(text, tuple(self.known()), self.figures)
        self.show(self.whole)

    def sort_by(self, order: str, turned: bool = False) -> None:
        """Sort by one of `orders`; the cursor stays on its item."""
        self.order, self.turned = order, turned
        self.show(self.whole)

    def sort_by_next(self) -> None:
        """Sort by the next of `orders`."""
        names = list(self.orders)
        self.sort_by(names[(names.index(self.order) + 1) % len(names)])

    # -- the list -----------------------------------------------------------------------------------------------

    @property
    def selected(self) -> Item | None:
        """The item under the cursor."""
        return self.items[self.cursor] if 0 <= self.cursor < len(self.items) else None

    def show(self, items: Sequence[Item]) -> None:
        """Show these items, the cursor on the same one as before if it is still there."""
        before = self.selected
        key = None if before is None else self.key(before)
        self.whole = items
        if self.filtering.tests:
            items = [item for item in items if self.filtering.passes(self.seen_by_filter(item))]
        if (compared := self.orders.get(self.order)) is not None:
            items = sorted(items, key=compared, reverse=self.turned)
        elif self.turned:
            items = items[::-1]
        self.passing = len(items)
        self.items = items = self.between(items)
        if key is not None:
            here = self.cursor
            if not (here < len(items) and self.key(items[here]) == key):
                found = next((index for index, item in enumerate(items) if self.key(item) == key), None)
                self.cursor = min(here, max(len(items) - 1, 0)) if found is None else found
        after = self.selected
        self._keep_in_sight()
        self.repaint()
        if (None if after is None else self.key(after)) != key:
            self.post_message(self.Moved(self))  # type: ignore[arg-type]

    def select(self, key: str) -> bool:
        """Put the cursor on the item with ``key``; whether there is one."""
        for index, item in enumerate(self.items):
            if self.key(item) == key:
                self.move_to(index)
                return True
        return False

    def move_to(self, index: int) -> None:
        """Put the cursor on an index, or the nearest there is."""
        index = max(0, min(index, len(self.items) - 1))
        if index != self.cursor:
            self.cursor = index
            self._keep_in_sight()
            self.repaint()
            self.post_message(self.Moved(self))  # type: ignore[arg-type]

    def move(self, by: int) -> None:
        """Move the cursor by lines."""
        self.move_to(self.cursor + by)

    @property
    def page(self) -> int:
        """How many items are in sight."""
        return max(1, self.inner_size[1] - self.has_header)

    def _keep_in_sight(self) -> None:
        room = self.page
        self.top = max(0, min(self.top, max(0, len(self.items) - room)))
        if self.cursor < self.top:
            self.top = self.cursor
        elif self.cursor >= self.top + room:
            self.top = self.cursor - room + 1
        if self.top == 1 and self.cursor < room:
            self.top = 0

    # -- painting -----------------------------------------------------------------------------------------------

    def paint(self, width: int, height: int) -> list[Line]:
        """Header and the items in sight."""
        self._keep_in_sight()
        lines: list[Line] = [self._titles(width)] if self.has_header else []
        if not self.items and self.whole and self.filtering.tests:
            return [*lines, [Segment("   nothing passes · Esc clears the filter", self.palette.dim)]]
        if not self.items:
            return lines + self.empty(width)
        drawn = [self.draw(item, width) for item in self.items[self.top : self.top + self.page]]
        words = self.filtering.words
        lines += [lit(line, words, self.palette.match) for line in drawn] if words else drawn
        return lines

    def _titles(self, width: int) -> Line:
        """The header, with an arrow at what the list is sorted by, if that isn't as it began."""
        line = self.header(width)
        if not self.order or (not self.turned and self.order == next(iter(self.orders))):
            return line
        arrow = glyphs.UP if self.turned else glyphs.OPEN
        for at, (text, style, _) in enumerate(line):
            title = text.strip()
            if title.lower() == self.order:
                room = text.removesuffix(title) if text[:1] == " " else text.removeprefix(title)
                if room:  # beside the title, on the side where the column has room
                    text = f"{room[1:]}{arrow}{title}" if text[:1] == " " else f"{title}{arrow}{room[1:]}"
                    line[at] = Segment(text, style)
        return line

    def _title_at(self, x: int) -> str:
        """The column title at a cell of the header, in lower case."""
        for text, _, _ in self.header(self.inner_size[0]):
            if (x := x - width_of(text)) < 0:
                return text.strip().lower()
        return ""

    def filter_label(self) -> Line:
        """How many pass, and the filter; nothing without one."""
        if not self.filtering.text:
            return []
        return [
            Segment(f" {glyphs.DOT} {self.passing:,} shown", self.palette.dim),
            Segment(f" {glyphs.DOT} /{self.filtering.text}", self.palette.accent),
        ]

    def upper_edge(self) -> Line:
        """The title, and the filter where there is room for both."""
        title, label = self.title(), self.filter_label()
        return [*title, *label] if length(title) + length(label) <= self.size.width - 6 else title

    def lower_edge(self) -> Line:
        """The filter, where the title has no room for it."""
        label = self.filter_label()
        if label and length(self.title()) + length(label) > self.size.width - 6:
            return label
        return self.subtitle()

    def highlight(self) -> tuple[int, object] | None:
        """The cursor's line."""
        if not self.items:
            return None
        style = self.palette.selected if self.has_focus else self.palette.selected_away
        return self.cursor - self.top + self.has_header, style

    def thumb(self, height: int) -> tuple[int, int] | None:
        """Where the items in sight stand among all."""
        total = len(self.items)
        if total <= self.page:
            return None
        start = self.has_header + self.top * self.page // total
        return start, start + max(0, self.page * self.page // total - 1)

    # -- mouse --------------------------------------------------------------------------------------------------

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Three lines on."""
        event.stop()
        self.move(3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Three lines back."""
        event.stop()
        self.move(-3)

    def on_click(self, event: events.Click) -> None:
        """Select; a double click opens. One on a column's title sorts by it, the next one the other way round."""
        if self.has_header and event.y == int(self.framed):
            title = self._title_at(event.x - self.framed)
            if title in self.orders:
                self.sort_by(title, title == self.order and not self.turned)
            return
        index = self.top + event.y - self.framed - self.has_header
        if event.y - self.framed < self.has_header or not 0 <= index < len(self.items):
            return
        self.move_to(index)
        if event.chain == 2:
            self.post_message(self.Opened(self))  # type: ignore[arg-type]
