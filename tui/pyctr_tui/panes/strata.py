"""The explorer's lists: layers, wasted paths, and the tree of files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.segment import Segment

from pyctr_engine.record import replace
from pyctr_tui import glyphs
from pyctr_tui.explorer.look import Stratum, Waste, Wasted
from pyctr_tui.explorer.tree import Row
from pyctr_tui.figures import exact_size, size
from pyctr_tui.panes.details import KINDS, TYPES
from pyctr_tui.panes.listing import ListPane
from pyctr_tui.widgets.braille import bar
from pyctr_tui.widgets.draw import Line, cells, fit, gap, length, spread

if TYPE_CHECKING:
    from rich.style import Style

MARKS = {**{kind: (symbol, tone) for kind, (symbol, tone, _) in KINDS.items()}, "c": (glyphs.DOT, "warn")}
"""Of a changed path; ``c`` is a directory with changes below it."""


class StrataPane(ListPane[Stratum]):
    """The layers, topmost first."""

    def __init__(self) -> None:
        super().__init__(id="strata")
        self.subject = ""
        self.error = ""

    def key(self, item: Stratum) -> str:
        """Its number."""
        return str(item.number)

    def show_strata(self, strata: Sequence[Stratum]) -> None:
        """Show these."""
        self.error = ""
        self.show(strata)

    def show_live(self, size: int, files: int) -> None:
        """Tell how much the container's own changes are by now."""
        fresh = [replace(one, size=size, files=files) if one.live else one for one in self.items]
        if fresh != list(self.items):
            self.show(fresh)

    def title(self) -> Line:
        """Whose layers these are."""
        return [Segment(f"Layers of {self.subject}", self.palette.strong if self.has_focus else self.palette.dim)]

    def header(self, width: int) -> Line:
        """Column titles."""
        dim = self.palette.dim
        return [gap(4), cells("SIZE", 6, dim, right=True), cells("FILES", 7, dim, right=True), gap(2),
                cells("MADE BY", max(width - 19, 4), dim)]  # fmt: skip

    def draw(self, item: Stratum, width: int) -> Line:
        """One layer."""
        palette = self.palette
        tone = palette.warn if item.live else palette.edge["memory"]
        number = glyphs.RUNNING if item.live else str(item.number)
        figure = (
            glyphs.ELLIPSIS if item.size is None else size(item.size) if item.number == 1 else f"+{size(item.size)}"
        )
        files = f"{item.files:,}" if item.files else glyphs.DASH
        text = item.made_by or glyphs.DASH
        if item.shared_with:
            text += f"  {glyphs.DOT} also in {', '.join(item.shared_with)}"
        return [
            cells(number, 3, palette.warn if item.live else palette.dim, right=True),
            gap(1),
            cells(figure, 6, tone, right=True),
            cells(files, 7, palette.dim, right=True),
            gap(2),
            cells(text, max(width - 20, 4), palette.warn if item.live else palette.text),
        ]

    def empty(self, width: int) -> list[Line]:
        """Loading, or why not."""
        if self.error:
            return [[gap(1), Segment(self.error, self.palette.bad)]]
        return [[gap(1), Segment(f"reading {glyphs.ELLIPSIS}", self.palette.faint)]]


class WastePane(ListPane[Wasted]):
    """Paths that several layers hold, the most bytes first; efficiency above."""

    def __init__(self) -> None:
        super().__init__(id="waste")
        self.about: Waste | None = None
        self.error = ""

    def key(self, item: Wasted) -> str:
        """The path."""
        return item.raw

    def show_waste(self, about: Waste | None, error: str = "") -> None:
        """Show where this one wastes; ``None`` while that is not known."""
        self.about, self.error = about, error
        self.show(about.paths if about is not None else ())

    def title(self) -> Line:
        """What it is about."""
        return [Segment("Wasted", self.palette.strong if self.has_focus else self.palette.dim)]

    def header(self, width: int) -> Line:
        """The score, as a bar and in figures."""
        palette, about = self.palette, self.about
        if about is None:
            return []
        tone = palette.good if about.score >= 0.9 else palette.warn
        figure = [Segment(f" {about.score:.1%} ", tone), Segment("efficient ", palette.dim)]
        wasted = [Segment(exact_size(about.wasted), palette.strong), Segment(" wasted ", palette.dim)]
        room = width - length([*figure, *wasted]) - 2
        return spread([gap(1), *bar(about.score, max(4, min(12, room)), tone, palette.frame), *figure], wasted, width)

    def draw(self, item: Wasted, width: int) -> Line:
        """One path."""
        palette = self.palette
        return [
            cells(size(item.bytes), 7, palette.edge["memory"], right=True),
            cells(f"{item.count}×", 4, palette.dim, right=True),
            gap(2),
            cells(item.path, max(width - 14, 4), palette.text),
        ]

    def empty(self, width: int) -> list[Line]:
        """Nothing is wasted, which is good; or it isn't known, or why it can't be."""
        if self.error:
            return [[gap(1), Segment(self.error, self.palette.bad)]]
        text = "no path is held by two layers" if self.about is not None else f"reading {glyphs.ELLIPSIS}"
        return [[gap(1), Segment(text, self.palette.dim)]]


class TreePane(ListPane[Row]):
    """The files. ``heading`` says of what, ``note`` how many changes, ``growing`` whether growth has a column."""

    def __init__(self) -> None:
        super().__init__(id="tree")
        self.heading = ""
        self.note = ""
        self.error = ""
        self.waiting = True
        self.growing = False
        self.told: dict[str, str] = {}
        self.sort = "name"

    def key(self, item: Row) -> str:
        """The path."""
        return item.node.path

    def show_rows(self, found: Sequence[Row], heading: str, note: str) -> None:
        """Show these."""
        self.heading, self.note, self.error, self.waiting = heading, note, "", False
        self.show(found)

    def show_waiting(self, heading: str, error: str = "") -> None:
        """Say that it is being read, or why it can't be."""
        self.heading, self.note, self.error, self.waiting = heading, "", error, not error
        self.show(())

    def title(self) -> Line:
        """Of what, and how many."""
        palette = self.palette
        style = palette.strong if self.has_focus else palette.dim
        line = [Segment(self.heading or "Files", style)]
        return [*line, Segment(f" {glyphs.DOT} {self.note}", palette.dim)] if self.note else line

    def header(self, width: int) -> Line:
        """Column titles."""
        dim = self.palette.dim
        line = [cells(" PATH", max(width - 15 - 9 * self.growing, 6), dim), cells("LAYER", 6, dim, right=True)]
        if self.growing:
            line.append(cells("GROWTH", 9, dim, right=True))
        return [*line, cells("SIZE", 7, dim, right=True), gap(2)]

    def draw(self, item: Row, width: int) -> Line:
        """One path: how it changed, its place in the tree, its layer, its size."""
        palette, node = self.palette, item.node
        symbol, tone = MARKS.get(node.kind, (" ", "dim"))
        fold = (glyphs.OPEN if item.is_open else glyphs.CLOSED) if node.holds else " "
        room = max(width - 15 - 9 * self.growing, 6)
        name = node.name + TYPES.get(node.type, "")
        if node.target:
            name += f" → {node.target}"
        if (how := self.told.get(node.path)) and node.kind == "C":
            name += f"  {how}"
        lead = min(2 * item.depth, max(room - 14, 0))
        style = palette.faint if node.kind == "D" else palette.text if node.type == "directory" else palette.strong
        line: Line = [
            gap(1),
            Segment(f"{symbol} ", getattr(palette, tone)),
            gap(lead),
            Segment(f"{fold} ", palette.dim),
            Segment(fit(name, room - lead - 5), style),
            cells(str(node.layer) if node.layer else "", 6, palette.dim, right=True),
        ]
        if self.growing:
            line.append(self._growth(node.growth))
        figure = size(node.size) if node.size else glyphs.DASH
        return [*line, cells(figure, 7, palette.edge["memory"] if node.size else palette.faint, right=True), gap(2)]

    def _growth(self, by: int) -> Segment:
        palette = self.palette
        if not by:
            return cells("", 9, palette.faint, right=True)
        style: Style = palette.warn if by > 0 else palette.good
        return cells(f"{'+' if by > 0 else '-'}{size(abs(by))}", 9, style, right=True)

    def empty(self, width: int) -> list[Line]:
        """Loading, an error, or nothing."""
        if self.error:
            return [[gap(1), Segment(self.error, self.palette.bad)]]
        text = f"reading {glyphs.ELLIPSIS}" if self.waiting else "nothing here"
        return [[gap(1), Segment(text, self.palette.dim)]]
