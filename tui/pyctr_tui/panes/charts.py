"""The graphs of a container, several, a stack or the machine: a line of figures above, the curve below.

Several containers' figures are their sums, or each is a line of its own. A graph's upper edge is its limit when there
is one worth drawing to, else the next round figure. What the figures say is `figures_of`.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.segment import Segment
from rich.style import Style

from pyctr_engine.record import dataclass
from pyctr_tui import glyphs
from pyctr_tui.figures import nice_bytes, nice_top, percent, size
from pyctr_tui.panes.events import told
from pyctr_tui.store import HOST, Basis
from pyctr_tui.totals import join_of, joined, total, worst
from pyctr_tui.widgets.braille import spark
from pyctr_tui.widgets.draw import Line, cells, fill, gap, length, spread
from pyctr_tui.widgets.plot import Marks, bands, curves

if TYPE_CHECKING:
    from pyctr_tui.palette import Hue, Palette
    from pyctr_tui.store import Store
    from pyctr_tui.view import EventView

COLUMNS = 160
"""Columns that are looked at for a line without a graph beside it."""
LABEL = 10
"""Cells of a graph's name."""
SPANS = (1, 2, 3, 5, 7, 10, 15, 30, 60, 120, 300, 600, 900)
"""Seconds a column may stand for when it is set by hand."""
MARKED = (
    "oom", "start", "restart", "die", "commit", "pause", "unpause", "update", "checkpoint", "restore",
    "health_status", "health_status: healthy", "health_status: unhealthy",
)  # fmt: skip
"""Events that are marked on the graphs."""
HELD_BACK = 5.0
"""Percent of its periods a container was held back in, from which on the curve says so."""
GUTTER = 6
"""Cells of the scale at the left, where it is shown."""
LANES_FROM = 11
"""Rows from which the three pressures have lanes of their own, at least three rows each."""
OF: Mapping[Basis, str] = {"cpu": "", "limit": "%lim", "host": "%host"}
"""What the figures of lines are shares of; the list's column says the same."""
MOST_LINES = 9
LINE_HUES: tuple[Hue, ...] = ("cpu", "io", "memory", "net", "pids")
"""The colours of lines, as far apart as they can be."""
LIMITS = {"cpu": "cpu_limit", "memory": "memory_limit", "pids": "pids_limit"}


@dataclass(frozen=True, slots=True)
class Subject:
    """What is looked at: a container, several, a stack with the ids of its containers, or the machine."""

    name: str
    ids: tuple[str, ...]

    @property
    def is_host(self) -> bool:
        """Whether it is the machine."""
        return self.ids == (HOST,)

    @property
    def is_one(self) -> bool:
        """Whether it is one container."""
        return len(self.ids) == 1 and not self.is_host


HOST_SUBJECT = Subject("host", (HOST,))


class Charts:
    """The graphs of one subject, ``step`` seconds a column, the last holding second ``end``.

    Attributes:
        moment: The second the figures are of; ``None`` for now.
        overlay: Whether each container is a line of its own.
        gutter: Cells of the scale at the left of each graph.
    """

    def __init__(
        self,
        store: Store,
        palette: Palette,
        subject: Subject,
        step: int,
        end: int | None = None,
        cursor: int | None = None,
        overlay: bool = False,
        gutter: int = 0,
    ) -> None:
        self.palette = palette
        self.subject = subject
        self.step = step
        self.end = int(store.clock()) if end is None else end
        self.cursor = cursor
        self.moment = cursor if cursor is not None else end
        self.overlay = overlay and len(subject.ids) > 1
        self.gutter = gutter
        self.store = store
        self.host = store.host
        # Two columns make a cell: the last bucket's cell has to be a whole one for the picture to stand still.
        self._last = self.end // (2 * step) * (2 * step) + 2 * step - 1
        self._series: dict[tuple[str, str, int], list[float]] = {}
        self._parts: dict[tuple[str, int], list[list[float]]] = {}
        self._happened: dict[int, list[tuple[int, EventView]]] = {}
        self._columns = COLUMNS

    # -- series -------------------------------------------------------------------------------------------------

    def of(self, id: str, metric: str, columns: int) -> list[float]:
        """One container's past; NaN where nothing is known."""
        known = self._series.get((id, metric, columns))
        if known is None:
            known = self._series[id, metric, columns] = self.store.series(id, metric, self.step, columns, self._last)
        return known

    def series(self, metric: str, columns: int, ids: Sequence[str] | None = None) -> list[float]:
        """A metric's past, summed over the subject's containers; of shares of time the worst."""
        ids = self.subject.ids if ids is None else ids
        if len(ids) <= 1:
            return self.of(ids[0], metric, columns) if ids else [math.nan] * columns
        return self.store.totals.read(tuple(ids), metric, self.step, columns, self._last)

    def value(self, metric: str, id: str | None = None) -> float:
        """A metric at the moment the figures are of, summed (of shares of time the worst); NaN when unknown."""
        ids = self.subject.ids if id is None else (id,)
        values = [self._value(one, metric) for one in ids]
        return join_of(metric)(values)

    def _value(self, id: str, metric: str) -> float:
        if self.moment is not None:
            second = self.moment // self.step * self.step + self.step - 1
            return self.store.series(id, metric, self.step, 1, second)[0]
        if id == HOST:
            return self.host.used.get(metric, math.nan) if self.host else math.nan
        sample = self.store.samples.get(id)
        found = getattr(sample, metric) if sample is not None else None
        return math.nan if found is None else float(found)

    def limit(self, metric: str) -> float | None:
        """The limit at that moment, summed; ``None`` when one of those that run has none."""
        if self.subject.is_host:
            host = self.host
            known = {"cpu_limit": host.cpus, "memory_limit": host.memory_total} if host else {}
            return known.get(metric)
        used = [id for id in self.subject.ids if self._value(id, "memory") == self._value(id, "memory")]
        limits = [self._value(id, metric) for id in used]
        return sum(limits) if limits and all(limit > 0 for limit in limits) else None

    @property
    def known(self) -> bool:
        """Whether there are figures of that moment."""
        return self.value("memory") == self.value("memory")

    # -- what the series are drawn as ---------------------------------------------------------------------------

    def parts(self, hue: Hue, columns: int) -> list[list[float]]:
        """The bands of a graph, from the bottom up."""
        known = self._parts.get((hue, columns))
        if known is None:
            known = self._parts[hue, columns] = self._bands_of(hue, columns)
        return known

    def _bands_of(self, hue: Hue, columns: int) -> list[list[float]]:
        read = self.series
        if self.subject.is_host and hue in ("cpu", "memory", "pids"):
            own = read(hue, columns, [id for id in self.store.by_id if id in self.store.rings])
            return _split(read(hue, columns), own)
        if hue == "memory":
            return _split(read("memory", columns), read("anon", columns), read("file", columns))
        if hue == "io":
            return [read("read", columns), read("write", columns)]
        if hue == "net":
            return [read("rx", columns), read("tx", columns)]
        if hue == "pressure":
            some, full = (
                joined([read(f"{kind}_{of}", columns) for of in PRESSURES], worst) for kind in ("psi", "full")
            )
            return _split(some, full)
        return [read(hue, columns)]

    def lines(self, hue: Hue, columns: int) -> list[list[float]]:
        """One series for each container, as far as there is room to tell them apart."""
        names = {"io": ("read", "write"), "net": ("rx", "tx"), "pressure": tuple(f"psi_{of}" for of in PRESSURES)}
        join = worst if hue == "pressure" else total
        found = []
        for id in self.drawn:
            each = [self.of(id, name, columns) for name in names.get(hue, (hue,))]
            found.append(each[0] if len(each) == 1 else joined(each, join))
        return found

    @property
    def drawn(self) -> tuple[str, ...]:
        """The containers that are lines of their own: those of which something is known, in the list's order."""
        return tuple(id for id in self.subject.ids if id in self.store.rings)[:MOST_LINES]

    def line_styles(self) -> list[Style]:
        """The styles of the lines, in their order."""
        return [self.palette.edge[hue] for hue in LINE_HUES]

    def top_of(self, hue: Hue, columns: int) -> tuple[float, list[float]]:
        """The value at a graph's upper edge, and the limit at each column (empty for none worth drawing)."""
        if self.overlay:
            highest = max((v for line in self.lines(hue, columns) for v in line if v == v), default=0.0)
            return round_top(hue, highest), []
        totals = [total(values) for values in zip(*self.parts(hue, columns), strict=True)]
        highest = max((value for value in totals if value == value), default=0.0)
        if hue in ("cpu", "memory"):
            limits = self._limits(hue, columns)
            most = max((value for value in limits if value == value), default=0.0)
            if most > 0 and highest > most * 0.45:
                return max(most, highest) * 1.08, limits
        return round_top(hue, highest), []

    def _limits(self, hue: str, columns: int) -> list[float]:
        if self.subject.is_host:
            return [self.limit(LIMITS[hue]) or 0.0] * columns
        return [value if value == value else 0.0 for value in self.series(LIMITS[hue], columns)]

    # -- the past's events --------------------------------------------------------------------------------------

    def happened(self, width: int, kinds: Collection[str] = MARKED) -> list[tuple[int, EventView]]:
        """Events of the subject and of its stack's other containers, with the cell they fall into, oldest first.

        What happens to one container of a stack shows in the others' curves.
        """
        if width in self._happened and kinds is MARKED:
            return self._happened[width]
        per_cell = self.step * 2
        last = self._last // per_cell
        found = []
        for event in self.events(kinds):
            cell = width - 1 - (last - int(event.time) // per_cell)
            if 0 <= cell < width:
                found.append((cell, event))
        if kinds is MARKED:
            self._happened[width] = found
        return found

    def events(self, kinds: Collection[str] = MARKED) -> list[EventView]:
        """All events that are known of these, oldest first."""
        store, by_id = self.store, self.store.by_id
        if self.subject.is_host:
            family = set(by_id)
            kinds = {"oom"} & set(kinds)
        else:
            stacks = {by_id[id].stack for id in self.subject.ids if id in by_id} - {""}
            family = {*self.subject.ids, *(one.id for one in by_id.values() if one.stack in stacks)}
        recent = [event for event in store.events if (event.container or event.id) in family]
        seen = set(recent)
        older = [event for id in family for event in store.past_events.get(id, ()) if event not in seen]
        whole = sorted(older + recent, key=lambda event: event.time)
        return [event for event in told(whole) if event.action in kinds][::-1]

    def marks(self, hue: Hue, width: int, columns: int, limits: Sequence[float]) -> Marks:
        """What is drawn over a graph: limit, events, the cursor."""
        palette = self.palette
        styles: dict[int, Style] = {}
        for cell, event in self.happened(width):
            harm = event.tone == "bad"
            own = self.subject.is_host or (event.container or event.id) in self.subject.ids
            if harm or own:  # red is for harm to what is looked at
                styles[cell] = palette.bad if harm and own else styles.get(cell, palette.frame)
        hot: set[int] = set()
        if hue == "cpu" and not self.subject.is_host:
            throttled = self.series("throttled", columns)
            hot = {at // 2 for at, share in enumerate(throttled) if share >= HELD_BACK}
        return Marks(limits, styles, self.cell_of_cursor(width), hot)

    def cell_of_cursor(self, width: int) -> int:
        """The cursor's cell; -1 when it is out of sight, or not there."""
        if self.cursor is None:
            return -1
        cell = width - 1 - (self._last // (self.step * 2) - self.cursor // (self.step * 2))
        return cell if 0 <= cell < width else -1

    # -- blocks -------------------------------------------------------------------------------------------------

    def head(self, hue: Hue, width: int) -> Line:
        """The figures above a graph."""
        from pyctr_tui.panes.figures_of import legend, texts_of

        palette = self.palette
        name = f"cpu {OF[self.store.basis]}" if self.overlay and hue == "cpu" else hue
        label = cells(name, LABEL if width >= 40 else len(name) + 2, palette.edge[hue])
        if not self.known:
            return [label, Segment(glyphs.DASH, palette.faint)]
        if self.overlay:
            return fill([label, *legend(self, hue, self.line_styles())], width)
        texts, rights = texts_of(self, hue)
        for right in (*rights, []):
            for text in texts:
                if length(text) + length(right) + len(label.text) + 2 * bool(right) <= width:
                    return spread([label, *text], right, width)
        return fill([label, *texts[-1]], width)

    def block(self, hue: Hue, width: int, rows: int) -> list[Line]:
        """Figures and ``rows`` lines of graph."""
        self._columns = (width - self.gutter) * 2
        return [self.head(hue, width), *self.graph(hue, width, rows)]

    def graph(self, hue: Hue, width: int, rows: int) -> list[Line]:
        """The curve alone, behind its scale where there is a gutter."""
        palette, inner = self.palette, width - self.gutter
        columns = inner * 2
        if hue == "pressure" and self.gutter and rows >= LANES_FROM and not self.overlay:
            return self._lanes(inner, columns, rows)
        top, limits = self.top_of(hue, columns)
        marks = self.marks(hue, inner, columns, limits)
        if self.overlay:
            lines = curves(self.lines(hue, columns), self.line_styles(), inner, rows, top, palette.strong, marks)
        else:
            edge, body = palette.edge[hue], palette.body[hue]
            parts = self.parts(hue, columns)
            lines = bands(parts, inner, rows, top, edge, body, palette.bad, palette.strong, marks)
        if not self.gutter:
            return lines
        return [[cells(text, self.gutter, palette.faint), *line] for text, line in zip(
            self._scale(hue, top, limits, rows), lines, strict=True
        )]  # fmt: skip

    def _lanes(self, width: int, columns: int, rows: int) -> list[Line]:
        """Pressure with room: each of the three in a lane of its own, on one scale."""
        palette = self.palette
        top, _ = self.top_of("pressure", columns)
        marks = self.marks("pressure", width, columns, ())
        lines: list[Line] = []
        for number, of in enumerate(PRESSURES):
            high = (rows - 2) // 3 + (number < (rows - 2) % 3)
            parts = _split(self.series(f"psi_{of}", columns), self.series(f"full_{of}", columns))
            edge, body = palette.edge["pressure"], palette.body["pressure"]
            drawn = bands(parts, width, high, top, edge, body, palette.bad, palette.strong, marks)
            texts = ["mem" if of == "memory" else of, *[""] * (high - 2), "0%"]
            texts[1] = scale_text("pressure", top) if high > 2 else texts[1]
            lines += [
                [cells(f"{text:>{self.gutter - 1}}", self.gutter, palette.dim if not at else palette.faint), *line]
                for at, (text, line) in enumerate(zip(texts, drawn, strict=True))
            ]
            if number < len(PRESSURES) - 1:
                lines.append([])
        return lines

    def _scale(self, hue: Hue, top: float, limits: Sequence[float], rows: int) -> list[str]:
        """What stands at the left of each line: the limit or the scale's top, half of it, and 0, right-aligned."""
        texts = [""] * rows
        width = self.gutter - 1
        known = [value for value in limits if value > 0]
        most = known[-1] if known else top
        for value, least in ((0.0, 2), (most / 2, 5), (most, 1)):
            if rows >= least:
                texts[rows - 1 - min(rows - 1, int(value / top * rows))] = scale_text(hue, value).rjust(width)
        return texts

    def one_line(self, hue: Hue, width: int) -> Line:
        """Figures at the left, a one-line graph at the right."""
        graph = max(8, min(width // 3, 40))
        totals = [total(values) for values in zip(*self.parts(hue, graph * 2), strict=True)]
        top, _ = self.top_of(hue, graph * 2)
        palette = self.palette
        head = fill(self.head(hue, width - graph - 1), width - graph - 1)
        return [*head, gap(1), *spark(totals, graph, top, palette.edge[hue], palette.body[hue])]

    def top_text(self, hue: Hue) -> Line:
        """What the upper edge of the graph means, where no limit and no scale says so."""
        top, limits = self.top_of(hue, self._columns)
        if limits or self.gutter:
            return []
        return [Segment(f"top {scale_text(hue, top)}", self.palette.faint)]


PRESSURES = ("cpu", "memory", "io")


def round_top(hue: Hue, highest: float) -> float:
    """The round figure a graph reaches up to when no limit is drawn."""
    if hue == "cpu":
        return nice_top(highest * 1.05, 0.05)
    if hue == "memory":
        return nice_bytes(highest * 1.05, 4 << 20)
    if hue in ("pids", "pressure"):
        return nice_top(highest * 1.05, 8.0 if hue == "pids" else 10.0)
    return nice_bytes(highest * 1.05, 4096)


def scale_text(hue: Hue, value: float) -> str:
    """A value on a graph's scale."""
    if hue == "cpu":
        return percent(value * 100)
    if hue == "pressure":
        return percent(value)
    return f"{value:.0f}" if hue == "pids" else size(value)


def _split(total: Sequence[float], *parts: Sequence[float]) -> list[list[float]]:
    """Parts of a total as bands that never reach above it, and what is left of it as the last one.

    Columns hold the highest of their seconds, which needn't be the same second's for all parts.
    """
    out: list[list[float]] = [[] for _ in range(len(parts) + 1)]
    for column, whole in enumerate(total):
        rest = whole
        for band, part in enumerate(parts):
            value = part[column]
            taken = min(value, rest) if value == value and rest == rest else math.nan if rest != rest else 0.0
            out[band].append(taken)
            rest = rest - taken if taken == taken else rest
        out[-1].append(rest)
    return out


def closest(events: Sequence[tuple[int, EventView]], cell: int) -> tuple[int, EventView] | None:
    """The event nearest to a cell; of those as near, the last one."""
    return min(reversed(events), key=lambda found: abs(found[0] - cell), default=None)
