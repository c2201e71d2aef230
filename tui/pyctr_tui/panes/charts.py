"""What the graphs say about a container (or a stack): a line of figures above, the curve below.

A stack's figures are the sums of its members'. 100% of cpu is one CPU, as everywhere else in the program; a graph's
upper edge is its limit when there is one worth drawing to, else the next round figure.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.segment import Segment

from pyctr_tui import glyphs
from pyctr_tui.figures import cpus, nice_bytes, nice_top, percent, size
from pyctr_tui.panes.events import told
from pyctr_tui.widgets.braille import area, spark
from pyctr_tui.widgets.draw import Line, cells, fill, gap, length, spread

if TYPE_CHECKING:
    from pyctr_tui.palette import Hue, Palette
    from pyctr_tui.samples import Sample
    from pyctr_tui.store import Store
    from pyctr_tui.view import EventView

LABEL = 10
"""Cells of a graph's name."""
SPANS = (1, 2, 3, 5, 7, 10, 15, 30)
"""Seconds a column may stand for when it is set by hand."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is looked at: a container, or a stack with the ids of its containers."""

    name: str
    ids: tuple[str, ...]

    @property
    def is_one(self) -> bool:
        """Whether it is one container."""
        return len(self.ids) == 1


class Charts:
    """The graphs of one subject at one moment, ``step`` seconds a column."""

    def __init__(self, store: Store, palette: Palette, subject: Subject, step: int, end: int | None = None) -> None:
        self.palette = palette
        self.subject = subject
        self.step = step
        self.end = int(store.clock()) if end is None else end
        self.samples = [store.samples[id] for id in subject.ids if id in store.samples]
        self._rings = [store.rings[id] for id in subject.ids if id in store.rings]
        self._host = store.host
        self._series: dict[tuple[str, int], list[float]] = {}
        self._columns = 160
        self._store = store

    # -- series -------------------------------------------------------------------------------------------------

    def series(self, metric: str, columns: int) -> list[float]:
        """A metric's past, summed over the subject's containers; NaN where nothing is known."""
        if not self._rings:
            return []
        known = self._series.get((metric, columns))
        if known is None:
            known = self._series[metric, columns] = self._read(metric, columns)
        return known

    def _read(self, metric: str, columns: int) -> list[float]:
        # Two columns make a cell: the last bucket's cell has to be a whole one for the picture to stand still.
        end = self.end // (2 * self.step) * (2 * self.step) + 2 * self.step - 1
        each = [ring.buckets(metric, self.step, columns, end) for ring in self._rings]
        if len(each) == 1:
            return each[0]
        return [_sum(values) for values in zip(*each, strict=True)]

    def now(self, metric: str) -> float:
        """A metric now, summed."""
        return _sum([getattr(sample, metric) for sample in self.samples])

    def limit(self, metric: str) -> float | None:
        """The limit, summed; ``None`` when one of them has none."""
        limits = [getattr(sample, metric) for sample in self.samples]
        return sum(limits) if limits and all(limit is not None for limit in limits) else None

    # -- the past's events --------------------------------------------------------------------------------------

    def happened(self, width: int, kinds: Collection[str]) -> list[tuple[int, EventView]]:
        """Events of the subject and of its stack's other containers, with the cell they fall into, oldest first.

        What happens to one container of a stack shows in the others' curves.
        """
        by_id = self._store.by_id
        stacks = {by_id[id].stack for id in self.subject.ids if id in by_id} - {""}
        family = {*self.subject.ids, *(one.id for one in by_id.values() if one.stack in stacks)}
        per_cell = self.step * 2
        last = self.end // per_cell
        found = []
        for event in told(self._store.events):
            cell = width - 1 - (last - int(event.time) // per_cell)
            if event.action in kinds and event.id in family and 0 <= cell < width:
                found.append((cell, event))
        return found[::-1]

    def cells_of_oom(self, width: int) -> list[int]:
        """Where the kernel killed something."""
        return [cell for cell, _ in self.happened(width, ("oom",))]

    # -- blocks -------------------------------------------------------------------------------------------------

    def head(self, hue: Hue, width: int) -> Line:
        """The figures above a graph."""
        palette = self.palette
        label = cells(hue, LABEL if width >= 40 else len(hue) + 2, palette.edge[hue])
        if not self.samples:
            return [label, Segment(glyphs.DASH, palette.faint)]
        texts, rights = getattr(self, f"_{hue}_text")()
        for right in (*rights, []):
            for text in texts:
                if length(text) + length(right) + len(label.text) + 1 <= width:
                    return spread([label, *text], right, width)
        return fill([label, *texts[-1]], width)

    def block(self, hue: Hue, width: int, rows: int, marks: Sequence[int] = ()) -> list[Line]:
        """Figures and ``rows`` lines of graph."""
        self._columns = width * 2
        return [self.head(hue, width), *self.graph(hue, width, rows, marks)]

    def graph(self, hue: Hue, width: int, rows: int, marks: Sequence[int] = ()) -> list[Line]:
        """The curve alone."""
        values = self._values(hue, width * 2)
        top, limit = self._scale(hue, values)
        palette = self.palette
        return area(
            values, width, rows, top, palette.edge[hue], palette.body[hue], limit, palette.bad, marks, palette.bad
        )

    def one_line(self, hue: Hue, width: int) -> Line:
        """Figures at the left, a one-line graph at the right."""
        graph = max(8, min(width // 3, 40))
        values = self._values(hue, graph * 2)
        top, _ = self._scale(hue, values)
        palette = self.palette
        head = fill(self.head(hue, width - graph - 1), width - graph - 1)
        return [*head, gap(1), *spark(values, graph, top, palette.edge[hue], palette.body[hue])]

    def _values(self, hue: Hue, columns: int) -> list[float]:
        if hue in ("cpu", "memory", "pids"):
            return self.series(hue, columns)
        names = {"io": ("read", "write"), "net": ("rx", "tx"), "pressure": ("psi_cpu", "psi_memory", "psi_io")}[hue]
        parts = [self.series(name, columns) for name in names]
        if hue == "pressure":
            return [max((v for v in values if v == v), default=math.nan) for values in zip(*parts, strict=True)]
        return [_sum(values) for values in zip(*parts, strict=True)]

    def _scale(self, hue: Hue, values: Sequence[float]) -> tuple[float, float | None]:
        """The value at the upper edge, and the limit to draw."""
        highest = max((value for value in values if value == value), default=0.0)
        if hue == "cpu":
            limit = self.limit("cpu_limit")
            if limit is not None and highest > limit * 0.45:
                return max(limit, highest) * 1.08, limit
            return nice_top(highest * 1.05, 0.05), None
        if hue == "memory":
            limit = self.limit("memory_limit")
            if limit is not None and highest > limit * 0.45:
                return max(limit, highest) * 1.08, limit
            return nice_bytes(highest * 1.05, 4 << 20), None
        if hue == "pids":
            return nice_top(highest * 1.05, 8.0), None
        if hue == "pressure":
            return nice_top(highest * 1.05, 10.0), None
        return nice_bytes(highest * 1.05, 4096), None

    # -- figures ------------------------------------------------------------------------------------------------

    # Each gives ways to say it, the fullest first; `head` takes the first that fits.

    def _cpu_text(self) -> tuple[list[Line], list[Line]]:
        palette = self.palette
        limit = self.limit("cpu_limit")
        used = self.now("cpu")
        host = f" of {self._host.cpus} CPUs" if self._host else ""
        share = Segment(percent(used * 100), palette.strong)
        texts: list[Line] = [[share]]
        if limit is not None:
            texts.insert(0, [share, Segment(f" {glyphs.DOT} {cpus(used)} of {cpus(limit)} CPUs", palette.text)])
            texts.insert(1, [share, Segment(f" limit {limit * 100:.0f}%", palette.text)])
        else:
            texts.insert(0, [share, Segment(f" {glyphs.DOT} {cpus(used)}{host}", palette.dim)])
        throttled = max((sample.throttled for sample in self.samples), default=0.0)
        if throttled >= 0.05:
            return texts, [[Segment(f"throttled {percent(throttled)}", palette.bad)]]
        return texts, [self._top("cpu")]

    def _top(self, hue: Hue) -> Line:
        """What the upper edge of the graph means, where no limit says so."""
        values = self._values(hue, self._columns)
        top, limit = self._scale(hue, values)
        if limit is not None or not any(value > 0 for value in values):
            return []
        figure = percent(top * 100) if hue == "cpu" else size(top)
        return [Segment(f"top {figure}", self.palette.faint)]

    def _memory_text(self) -> tuple[list[Line], list[Line]]:
        palette = self.palette
        used, limit = self.now("memory"), self.limit("memory_limit")
        full = limit is not None and used > 0.85 * limit
        text: Line = [Segment(size(used), palette.bad if full else palette.strong)]
        if limit is not None:
            text.append(Segment(f" of {size(limit)}", palette.text))
        anon, file, kernel = (size(self.now(part)) for part in ("anon", "file", "kernel"))
        dot = glyphs.DOT
        parts = (
            f"anon {anon} {dot} file {file} {dot} kernel {kernel}",
            f"anon {anon} {dot} file {file}",
            f"anon {anon}",
        )
        return [text], [[Segment(part, palette.dim)] for part in parts]

    def _io_text(self) -> tuple[list[Line], list[Line]]:
        return [self._pair("r", self.now("read"), "w", self.now("write"))], [self._top("io")]

    def _net_text(self) -> tuple[list[Line], list[Line]]:
        return [self._pair(glyphs.DOWN, self.now("rx"), glyphs.UP, self.now("tx"))], [self._top("net")]

    def _pair(self, first: str, one: float, second: str, two: float) -> Line:
        palette = self.palette
        return [
            Segment(f"{first} {_rate(one)}", palette.strong if one >= 1 else palette.dim),
            Segment(f" {glyphs.DOT} ", palette.dim),
            Segment(f"{second} {_rate(two)}", palette.strong if two >= 1 else palette.dim),
        ]

    def _pids_text(self) -> tuple[list[Line], list[Line]]:
        palette = self.palette
        limit = self.limit("pids_limit")
        text = [Segment(f"{self.now('pids'):.0f}", palette.strong)]
        if limit is not None:
            text.append(Segment(f" of {limit:.0f}", palette.text))
        return [text], []

    def _pressure_text(self) -> tuple[list[Line], list[Line]]:
        palette = self.palette
        line: Line = []
        for name, metric in (("cpu", "psi_cpu"), ("mem", "psi_memory"), ("io", "psi_io")):
            value = max((v for s in self.samples if not math.isnan(v := _metric(s, metric))), default=math.nan)
            if line:
                line.append(Segment(f" {glyphs.DOT} ", palette.dim))
            shown = glyphs.DASH if math.isnan(value) else f"{value:.1f}"
            line.append(Segment(f"{name} {shown}", palette.strong if value >= 0.05 else palette.dim))
        return [line], [[Segment("% waiting, 10 s", palette.faint)]]


def _metric(sample: Sample, name: str) -> float:
    return float(getattr(sample, name))


def _rate(value: float) -> str:
    return f"{size(value)}/s" if value >= 1 else "0"


def _sum(values: Sequence[float]) -> float:
    known = [value for value in values if value == value]
    return sum(known) if known else math.nan
