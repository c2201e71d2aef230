"""Pane 1: containers grouped by stack, with what each uses in columns that come as the width allows."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from rich.segment import Segment

from pyctr_engine.model.status import State
from pyctr_engine.record import dataclass
from pyctr_tui import glyphs
from pyctr_tui.figures import percent, size
from pyctr_tui.grouping import COLUMNS, ContainerRow, Row, StackRow, rows
from pyctr_tui.panes.listing import ListPane
from pyctr_tui.query import CONTAINER_FIELDS, CONTAINER_FIGURES, of_container, parse
from pyctr_tui.widgets.braille import bar, spark
from pyctr_tui.widgets.draw import Line, cells, gap, width_of
from pyctr_tui.widgets.lit import lit

if TYPE_CHECKING:
    from rich.style import Style
    from textual import events

    from pyctr_tui.samples import Sample
    from pyctr_tui.store import Store
    from pyctr_tui.view import ContainerView

SPARK_SECONDS = 60
CPU_OF = {"cpu": "CPU", "limit": "%LIM", "host": "%HOST"}
"""The column's title: what 100% is."""
SPARK_LEAST = 0.15
"""CPUs that fill a spark at least: idle ripples stay low."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Widths; 0 hides a column. Each holds one blank at its right but the last shown."""

    name: int
    image: int = 0
    state: int = 0
    spark: int = 0
    cpu: int = 0
    memory: int = 0
    bar: int = 0
    net: int = 0
    ports: int = 0


def columns(width: int, longest_name: int, longest_image: int, chosen: Collection[str] = ()) -> Columns:
    """What fits of the chosen ones (of all without a choice) beside the mark, the symbol and their blanks."""
    wanted = chosen or COLUMNS
    state, cpu, memory = 8 * ("state" in wanted), 5 * ("cpu" in wanted), 6 * ("memory" in wanted)
    free = width - 3 - state - cpu - memory - 1
    name = max(10, min(longest_name + 1, 26))
    free -= name
    image = spark_width = bar_width = net = ports = 0
    if "image" in wanted and free >= 12:
        image = max(11, min(longest_image + 1, 22, free))
        free -= image
    if "graph" in wanted and free >= 10:
        spark_width = 10
        free -= 10
    if "bar" in wanted and free >= 8:
        bar_width = 8
        free -= 8
    if "network" in wanted and free >= 13:
        net = 13
        free -= 13
    if "ports" in wanted and free >= 12:
        ports = min(free, 26)
        free -= ports
    if spark_width and free > 2:
        extra = min(free, 5)
        spark_width += extra
        free -= extra
    if image and free > 0:  # two blanks before the state
        image += 1
        free -= 1
    return Columns(name + max(free, 0), image, state, spark_width, cpu, memory, bar_width, net, ports)


class ContainersPane(ListPane[Row]):
    """The list of containers."""

    scope = "containers"

    def __init__(self, store: Store) -> None:
        super().__init__(id="containers")
        self.store = store
        self._columns = Columns(12)
        self._now = 0.0

    def key(self, item: Row) -> str:
        """A stack's name or a container's id."""
        return item.key

    def update_rows(self) -> None:
        """Show what the store holds now."""
        store = self.store
        fresh = rows(
            store.containers,
            store.samples,
            store.query,
            store.sort,
            store.running_only,
            store.closed,
            store.reverse,
            store.clock(),
        )
        first = not self.items and fresh
        if first and self.cursor == 0 and len(fresh) > 1 and isinstance(fresh[0], StackRow) and fresh[0].open:
            self.cursor = 1
        self.show(fresh)

    def known(self) -> dict[str, list[str]]:
        """A container's fields, and the values there are."""
        subjects = [of_container(one, None, 0.0) for one in self.store.containers]
        return {
            name: sorted({value for subject in subjects for value in subject.values[name] if value})
            for name in CONTAINER_FIELDS
        }

    @property
    def figures(self) -> tuple[str, ...]:
        """A container's figures."""
        return CONTAINER_FIGURES

    def filter_by(self, text: str) -> None:
        """Show only containers that pass, each below its stack."""
        self.store.query = parse(text)
        self.update_rows()

    def filter_label(self) -> Line:
        """The title says it."""
        return []

    @property
    def container(self) -> ContainerView | None:
        """The selected container; ``None`` on a stack's row."""
        row = self.selected
        return row.container if isinstance(row, ContainerRow) else None

    @property
    def stack(self) -> StackRow | None:
        """The selected stack's row; ``None`` on a container."""
        row = self.selected
        return row if isinstance(row, StackRow) else None

    # -- painting -----------------------------------------------------------------------------------------------

    def title(self) -> Line:
        """How many of how many are shown, and the filter."""
        palette, store = self.palette, self.store
        shown = sum(isinstance(row, ContainerRow) for row in self.items)
        hidden = sum(row.total for row in self.items if isinstance(row, StackRow) and not row.open)
        total = len(store.containers)
        count = f"{shown + hidden} of {total}" if shown + hidden != total else str(total)
        label = Segment(f"1 Containers {glyphs.DOT} {count}", palette.strong if self.has_focus else palette.dim)
        line = [label]
        if store.query.text:
            line.append(Segment(f" {glyphs.DOT} /{store.query.text}", palette.accent))
        if store.running_only:
            line.append(Segment(f" {glyphs.DOT} running", palette.accent))
        if store.marks:
            line.append(Segment(f" {glyphs.DOT} {len(store.marks)} marked", palette.warn))
        return line

    def subtitle(self) -> Line:
        """How it is sorted."""
        arrow = glyphs.UP if self.store.reverse else glyphs.OPEN
        return [Segment(f"by stack {arrow} {self.store.sort}", self.palette.dim)]

    def paint(self, width: int, height: int) -> list[Line]:
        """Fit the columns to what is shown, then paint the list."""
        shown = [row.container for row in self.items if isinstance(row, ContainerRow)]
        self._columns = columns(
            width,
            max((width_of(container.label) for container in shown), default=8),
            max((width_of(container.image) for container in shown), default=8),
            self.store.columns,
        )
        self._now = self.store.clock()
        return super().paint(width, height)

    def header(self, width: int) -> Line:
        """Column titles."""
        c, dim = self._columns, self.palette.dim
        line = [gap(3), cells("NAME", c.name, dim)]
        if c.image:
            line.append(cells("IMAGE", c.image, dim))
        line.append(cells("STATE", c.state, dim))
        if c.spark:
            line.append(cells("CPU 60s", c.spark, dim))
        line += [cells(CPU_OF[self.store.basis], c.cpu, dim, right=True), cells("MEM", c.memory, dim, right=True)]
        if c.bar:
            line.append(gap(c.bar))
        if c.net:
            line += [gap(1), cells("NET", c.net - 1, dim)]
        if c.ports:
            line += [gap(1), cells("PORTS", c.ports - 1, dim)]
        return line

    def column_at(self, x: int) -> str:
        """What the column at an inner cell is sorted by; empty where it isn't."""
        c, at = self._columns, 3
        widths = (("name", c.name), ("image", c.image), ("state", c.state), ("cpu", c.spark), ("cpu", c.cpu),
                  ("memory", c.memory), ("memory", c.bar), ("network", c.net), ("ports", c.ports))  # fmt: skip
        for name, width in widths:
            if at <= x < at + width:
                return name
            at += width
        return ""

    def on_click(self, event: events.Click) -> None:
        """A click on a column's title sorts by it, the next one turns the order round."""
        if event.y != int(self.framed):
            super().on_click(event)
        elif name := self.column_at(event.x - self.framed):
            self.store.reverse = name == self.store.sort and not self.store.reverse
            self.store.sort = name
            self.update_rows()

    def empty(self, width: int) -> list[Line]:
        """Loading, nothing yet, or nothing that passes the filter."""
        palette, store = self.palette, self.store
        if not store.loaded:
            return [[gap(3), Segment("reading …", palette.faint)]]
        if store.containers:
            return [[gap(3), Segment("no container passes the filter · Esc clears it", palette.dim)]]
        return [
            [gap(3), Segment("no containers yet", palette.text)],
            [],
            [gap(3), Segment("pyctr-tui up stacks/hello.yaml", palette.accent)],
            [gap(3), Segment("pyctr-tui run -it pyctr/base sh", palette.accent)],
        ]

    def draw(self, item: Row, width: int) -> Line:
        """One row."""
        if isinstance(item, StackRow):
            return self._draw_stack(item)
        line, words = self._draw_container(item), self.store.query.words
        return lit(line, words, self.palette.match) if words else line

    def _draw_stack(self, row: StackRow) -> Line:
        palette, c = self.palette, self._columns
        count = f"{row.up}/{row.total}"
        room = c.name + c.image + c.state + c.spark
        name_width = min(width_of(row.name), room - len(count) - 3)
        line = [
            gap(1),
            Segment(f"{glyphs.OPEN if row.open else glyphs.CLOSED} ", palette.dim),
            cells(row.name, name_width, palette.strong + palette.bold),
            gap(2),
            Segment(count, palette.dim if row.up == row.total else palette.warn),
            gap(room - name_width - 2 - len(count)),
        ]
        used = row.up > 0
        line.append(cells(percent(self._share(row.cpu) * 100) if used else "", c.cpu, palette.dim, right=True))
        line.append(cells(size(row.memory) if used else "", c.memory, palette.dim, right=True))
        return line

    def _draw_container(self, row: ContainerRow) -> Line:
        palette, c = self.palette, self._columns
        container, sample = row.container, row.sample
        ended = not container.is_up
        marked = container.id in self.store.marks
        name = palette.dim if ended and not container.failed else palette.strong if container.is_up else palette.text
        symbol, word = self._tones(container)
        line: Line = [
            Segment(glyphs.MARK if marked else " ", palette.warn),
            Segment(container.symbol() + " ", symbol),
            cells(container.label, c.name - 1, palette.warn if marked else name),
            gap(1),
        ]
        if c.image:
            line += [cells(container.image, c.image - 1, palette.dim), gap(1)]
        line.append(cells(container.word(self._now), c.state, word))
        if c.spark:
            line += self._spark(container, c.spark - 1)
            line.append(gap(1))
        line += self._figures(container, sample)
        return line

    def _tones(self, container: ContainerView) -> tuple[Style, Style]:
        """The styles of the symbol and of the word."""
        palette = self.palette
        if container.failed:
            return palette.bad, palette.bad
        if container.is_unwell:
            return palette.bad, palette.bad
        if container.state in (State.PAUSED, State.RESTARTING):
            return palette.warn, palette.warn
        return (palette.good if container.is_up else palette.dim), palette.dim

    def _spark(self, container: ContainerView, width: int) -> Line:
        ring = self.store.rings.get(container.id)
        if ring is None or not container.is_up or not len(ring):
            return [gap(width)]
        step = max(1, SPARK_SECONDS // (width * 2))
        values = ring.buckets("cpu", step, width * 2, ring.start + len(ring) - 1)
        top = max(SPARK_LEAST, *(value for value in values if value == value), 0.0)
        return spark(values, width, top, self.palette.edge["cpu"], self.palette.body["cpu"])

    def _figures(self, container: ContainerView, sample: Sample | None) -> Line:
        palette, c = self.palette, self._columns
        if sample is None or not container.is_up:
            dash = glyphs.DASH if not container.is_up else ""
            line = [cells(dash, c.cpu, palette.faint, right=True), cells(dash, c.memory, palette.faint, right=True)]
            rest = c.bar + c.net
        else:
            busy = sample.cpu_limit is not None and sample.cpu > 0.8 * sample.cpu_limit
            cpu = (
                palette.warn
                if busy or sample.throttled > 1
                else palette.strong
                if sample.cpu >= 0.01
                else palette.dim
            )
            full = sample.memory / sample.memory_limit if sample.memory_limit else None
            memory = palette.bad if full is not None and full > 0.85 else palette.text
            line = [
                cells(percent(self._share(sample.cpu, sample.cpu_limit) * 100), c.cpu, cpu, right=True),
                cells(size(sample.memory), c.memory, memory, right=True),
            ]
            rest = 0
            if c.bar:
                share = full if full is not None else self._of_host(sample.memory)
                style = palette.bad if full is not None and full > 0.85 else palette.edge["memory"]
                line += [gap(1), *bar(share, c.bar - 2, style, palette.frame), gap(1)]
            if c.net:
                line += [gap(1), cells(_net(sample), c.net - 1, palette.dim)]
        if rest:
            line.append(gap(rest))
        if c.ports:
            line += [gap(1), cells(container.ports if container.is_up else "", c.ports - 1, palette.dim)]
        return line

    def _share(self, cpu: float, limit: float | None = None) -> float:
        """What part of 100% a number of CPUs is: of one, of the limit, or of the host's."""
        basis, host = self.store.basis, self.store.host
        if basis == "limit" and limit:
            return cpu / limit
        if basis != "cpu" and host and host.cpus:
            return cpu / host.cpus
        return cpu

    def _of_host(self, memory: float) -> float:
        host = self.store.host
        return memory / host.memory_total if host and host.memory_total else 0.0


def _net(sample: Sample) -> str:
    if sample.rx < 1 and sample.tx < 1:
        return ""
    return f"{glyphs.UP}{size(sample.tx):>4} {glyphs.DOWN}{size(sample.rx):>4}"
