"""Tabs 6 to 8: what a container changed, everything about it, and its processes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from rich.segment import Segment

from pyctr_engine.record import dataclass
from pyctr_tui import glyphs
from pyctr_tui.figures import age, count, exact_size, size
from pyctr_tui.panes.listing import ListPane, Orders
from pyctr_tui.panes.tabbed import tab_at, tab_title
from pyctr_tui.safe_text import safe
from pyctr_tui.widgets.draw import Line, cells, fit_tail, gap, length, width_of

if TYPE_CHECKING:
    from rich.style import Style
    from textual import events

    from pyctr_tui.palette import Palette
    from pyctr_tui.store import Store
    from pyctr_tui.view import ChangeView, ProcessView

Item = TypeVar("Item")
KINDS = {"A": ("+", "good", "added"), "C": ("~", "warn", "changed"), "D": ("-", "bad", "deleted")}
TYPES = {"file": "", "directory": "/", "symlink": "@", "device": "%", "fifo": "|", "socket": "="}
DEEPEST = 12
"""Levels of an inspected object that are shown."""


class TabList(ListPane[Item]):
    """A list that is one of the tabs."""

    tab = ""

    def __init__(self, store: Store) -> None:
        super().__init__(id=self.tab)
        self.store = store
        self.subject = ""
        self.error = ""
        self.waiting = True
        self.scope = self.tab

    def show_subject(self, name: str) -> None:
        """Look at something else: empty until the answer comes."""
        if name != self.subject:
            self.subject, self.error, self.waiting = name, "", bool(name)
            self.cursor = self.top = 0
            self.show(())

    def show_error(self, message: str) -> None:
        """Say why there is nothing."""
        self.error, self.waiting = message, False
        self.show(())

    def title(self) -> Line:
        """The tabs."""
        return tab_title(self.palette, self.tab, self.has_focus)

    def empty(self, width: int) -> list[Line]:
        """Loading, an error, or nothing."""
        if self.error:
            return [[gap(1), Segment(self.error, self.palette.bad)]]
        text = "reading …" if self.waiting else self.nothing() if self.subject else "select a container"
        return [[gap(1), Segment(text, self.palette.dim)]]

    def nothing(self) -> str:
        """What to say when the answer is empty."""
        return "nothing"

    def on_click(self, event: events.Click) -> None:
        """A click on a tab's name shows it, one on a line selects."""
        if self.framed and event.y == 0:
            if tab := tab_at(event.x):
                self.screen.action_pane(tab)  # type: ignore[attr-defined]
            return
        super().on_click(event)


def draw_change(change: ChangeView, width: int, palette: Palette, left_out: bool = False) -> Line:
    """A changed path with its kind and size, as the diff and the commit dialog show it."""
    symbol, tone, _ = KINDS.get(change.kind, ("?", "dim", ""))
    path = change.path + TYPES.get(change.file_type, "")
    figure = size(change.size) if change.size else glyphs.DASH
    style = palette.faint if left_out else palette.dim if change.file_type == "directory" else palette.text
    return [
        gap(1),
        Segment(f"{symbol} ", palette.faint if left_out else getattr(palette, tone)),
        Segment(fit_tail(path, max(4, width - 12)), style),
        cells(figure, 7, palette.faint if left_out or not change.size else palette.edge["memory"], right=True),
        gap(2),
    ]


class DiffPane(TabList["ChangeView"]):
    """What a commit would take."""

    tab = "diff"
    orders: ClassVar[Orders] = {"path": None, "size": lambda change: -change.size,
              "kind": lambda change: change.kind}  # fmt: skip

    def key(self, item: ChangeView) -> str:
        """The path."""
        return item.raw

    def nothing(self) -> str:
        """No change."""
        return "it has changed nothing"

    def show_changes(self, changes: Sequence[ChangeView]) -> None:
        """Show these."""
        self.error, self.waiting = "", False
        self.show(changes)

    def header(self, width: int) -> Line:
        """How much it is."""
        if not self.items:
            return []
        total = sum(change.size for change in self.items)
        kinds = [
            f"{amount} {word}"
            for kind, (_, _, word) in KINDS.items()
            if (amount := sum(change.kind == kind for change in self.items))
        ]
        head = Segment(f" {exact_size(total)}", self.palette.strong)
        order = f" {glyphs.DOT} by {self.order}" if self.order != "path" else ""
        text = f" in {count(len(self.items), 'path')} {glyphs.DOT} {', '.join(kinds)}{order}"
        return [head, Segment(text, self.palette.dim)]

    def subtitle(self) -> Line:
        """Whose."""
        return [Segment(f"{self.subject} {glyphs.DOT} C commits", self.palette.dim)] if self.subject else []

    def draw(self, item: ChangeView, width: int) -> Line:
        """One path."""
        return draw_change(item, width, self.palette)


class ProcessesPane(TabList["ProcessView"]):
    """The processes of a container as the host sees them."""

    tab = "ps"
    orders: ClassVar[Orders] = {
        "pid": None,
        "cpu": lambda process: -process.cpu_seconds,
        "rss": lambda process: -process.rss,
        "age": lambda process: process.started_at,
        "user": lambda process: process.user,
        "command": lambda process: process.command,
    }

    def key(self, item: ProcessView) -> str:
        """The host's pid."""
        return str(item.pid)

    def nothing(self) -> str:
        """No process."""
        return "it is not running"

    def show_processes(self, processes: Sequence[ProcessView]) -> None:
        """Show these."""
        self.error, self.waiting = "", False
        self.show(processes)

    def _columns(self, item: ProcessView | None, width: int) -> list[tuple[str, int, bool, Style]]:
        """Text, width, right-aligned or not, and style of each column there is room for; titles without an item."""
        palette = self.palette
        dim = palette.dim
        if item is None:
            pid = ppid = user = state = old = used = rss = ""
            tones = (dim,) * 4
        else:
            pid, ppid, user, state = str(item.pid), str(item.ppid), item.user, item.state[:1]
            old = age(self.store.clock() - item.started_at) if item.started_at else glyphs.DASH
            seconds = item.cpu_seconds
            used = f"{seconds:.1f}s" if seconds < 600 else f"{seconds / 60:.0f}m"
            rss = size(item.rss)
            busy = palette.strong if seconds >= 1 else dim
            tones = (palette.text, palette.good if state == "R" else dim, busy, palette.text)
        columns = [(pid or "PID", 8, True, tones[0])]
        if width >= 90:
            columns.append((ppid or "PPID", 8, True, dim))
        columns += [("", 2, False, dim), (user or "USER", 9, False, dim), (state or "S", 2, False, tones[1])]
        if width >= 72:
            columns.append((old or "AGE", 4, True, dim))
        return [*columns, (used or "CPU", 7, True, tones[2]), (rss or "RSS", 6, True, tones[3]), ("", 2, False, dim)]

    def header(self, width: int) -> Line:
        """Column titles."""
        line = [cells(text, wide, style, right) for text, wide, right, style in self._columns(None, width)]
        return [*line, cells("COMMAND", max(width - length(line) - 1, 7), self.palette.dim)]

    def subtitle(self) -> Line:
        """Whose."""
        if not self.subject:
            return []
        many = "1 process" if len(self.items) == 1 else f"{len(self.items)} processes"
        return [Segment(f"{self.subject} {glyphs.DOT} {many}", self.palette.dim)]

    def draw(self, item: ProcessView, width: int) -> Line:
        """One process."""
        line = [cells(text, wide, style, right) for text, wide, right, style in self._columns(item, width)]
        return [*line, cells(item.command, max(width - length(line) - 1, 4), self.palette.text)]


@dataclass(frozen=True, slots=True)
class InfoLine:
    """One line of an inspected object. ``number`` makes it unique."""

    number: int
    depth: int
    key: str
    value: str


class InfoPane(TabList[InfoLine]):
    """Everything the engine knows about a container or an image, as an outline."""

    tab = "info"
    has_header = False

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.shifted = 0

    def key(self, item: InfoLine) -> str:
        """Its place."""
        return str(item.number)

    def show_object(self, value: Mapping[str, Any]) -> None:
        """Show this."""
        self.error, self.waiting = "", False
        self.show(outline(value))

    def shift(self, by: int) -> None:
        """Show columns further right (or left)."""
        self.shifted = max(0, self.shifted + by)
        self.repaint()

    def subtitle(self) -> Line:
        """Of what."""
        return [Segment(self.subject, self.palette.dim)] if self.subject else []

    def draw(self, item: InfoLine, width: int) -> Line:
        """A key and its value."""
        palette = self.palette
        lead = 1 + 2 * item.depth
        value = item.value[self.shifted :]
        if not item.value:
            style = palette.accent if item.depth == 0 else palette.text
            return [gap(lead), cells(item.key, max(width - lead, 1), style)]
        key_width = max(20 - 2 * item.depth, width_of(item.key) + 2) if item.key else 0
        tone = palette.dim if item.value in ("null", "false", "0", "{}", "[]", '""', "—") else palette.strong
        return [
            gap(lead),
            cells(item.key, min(key_width, max(width - lead - 4, 1)), palette.dim),
            cells(value, max(width - lead - key_width, 1), tone),
        ]


def outline(value: Mapping[str, Any]) -> list[InfoLine]:
    """An object as indented keys and values, in its own order."""
    lines: list[InfoLine] = []

    def add(key: str, item: object, depth: int) -> None:
        if isinstance(item, Mapping) and item and depth < DEEPEST:
            lines.append(InfoLine(len(lines), depth, key, ""))
            for name, inner in item.items():
                add(safe(str(name)), inner, depth + 1)
        elif isinstance(item, (list, tuple)) and item and depth < DEEPEST:
            lines.append(InfoLine(len(lines), depth, key, ""))
            for inner in item:
                add(glyphs.DOT, inner, depth + 1)
        else:
            lines.append(InfoLine(len(lines), depth, key, _scalar(item)))

    for name, item in value.items():
        add(safe(str(name)), item, 0)
    return lines


def _scalar(item: object) -> str:
    if item is None or item == "":
        return "—"
    if isinstance(item, bool):
        return "true" if item else "false"
    if isinstance(item, (dict, list, tuple)):
        return "—" if not item else "…"
    return safe(str(item))
