"""Tab 4: the selected container's (or stack's) graphs, and the peek under the lists of a small terminal."""

from __future__ import annotations

import time
from textwrap import wrap
from typing import TYPE_CHECKING

from rich.segment import Segment

from pyctr_tui import glyphs
from pyctr_tui.figures import age
from pyctr_tui.palette import Hue
from pyctr_tui.panes.charts import SPANS, Charts, Subject
from pyctr_tui.panes.tabbed import TabPane
from pyctr_tui.samples import KEPT
from pyctr_tui.widgets.draw import Line, beside, column, fill, fit, gap, length, spread, width_of
from pyctr_tui.widgets.pane import Pane

if TYPE_CHECKING:
    from pyctr_tui.store import Store
    from pyctr_tui.view import ContainerView, EventView, WhyView

NOBODY = Subject("", ())
MARKED = ("oom", "start", "restart", "die", "commit", "pause", "unpause")


class GraphsPane(TabPane):
    """Six graphs, as many at full size as there is room for."""

    tab = "graphs"

    def __init__(self, store: Store) -> None:
        super().__init__(id="graphs")
        self.store = store
        self.subject = NOBODY
        self.why: WhyView | None = None
        self.zoom: int | None = None
        """Seconds a column was set to by hand; ``None`` follows how much past there is."""

    def show_subject(self, subject: Subject) -> None:
        """Look at something else."""
        self.subject = subject
        self.repaint()

    def show_why(self, why: WhyView | None) -> None:
        """Take in why a container has ended."""
        self.why = why
        self.repaint()

    def stretch(self, by: int) -> None:
        """Show more of the past (+1) or less (-1)."""
        now = self.step(self._graph_width())
        wider = [span for span in SPANS if (span > now if by > 0 else span < now)]
        if wider:
            self.zoom = wider[0] if by > 0 else wider[-1]
        self.repaint()

    def step(self, width: int) -> int:
        """Seconds a column stands for: as few as still show all the past there is."""
        if self.zoom is not None:
            return self.zoom
        return span_step(self.store, self.subject, width)

    def _graph_width(self) -> int:
        width, height = self.inner_size
        return max(8, (width - 5) // 2 if self._is_grid(width, height) else width - 2)

    @staticmethod
    def _is_grid(width: int, height: int) -> bool:
        return width >= 84 and height >= 24

    def subtitle(self) -> Line:
        """Whose, and how much of the past."""
        if not self.subject.ids:
            return []
        span = age(self.step(self._graph_width()) * self._graph_width() * 2)
        text = f"{self.subject.name} {glyphs.DOT} {span} {glyphs.DOT} + - span {glyphs.DOT} z zoom"
        return [Segment(text, self.palette.dim)]

    def paint(self, width: int, height: int) -> list[Line]:
        """The graphs, or why there are none."""
        if not self.subject.ids:
            return [[], [gap(2), Segment("select a container to see what it uses", self.palette.dim)]]
        one = self.store.by_id.get(self.subject.ids[0]) if self.subject.is_one else None
        inner, graph = width - 2, self._graph_width()
        charts = Charts(self.store, self.palette, self.subject, self.step(graph))
        if one is not None and not one.is_up:
            told = [*self._ended(one, inner), *self._why(one, inner)]
            return [[gap(1), *line] for line in [*told, *self._last_of(one, inner, height - len(told) - 1)]]
        grid = self._is_grid(width, height)
        body = self._grid(charts, inner, height - 1) if grid else self._stacked(charts, inner, height - 1)
        body.append(self._axis(charts, graph, inner))
        return [[gap(1), *line] for line in body]

    def _grid(self, charts: Charts, width: int, height: int) -> list[Line]:
        """Two columns of three."""
        each = (width - 3) // 2
        heights = [height // 3 + (1 if row < height % 3 else 0) for row in range(3)]
        lines: list[Line] = []
        pairs: tuple[tuple[Hue, Hue], ...] = (("cpu", "memory"), ("io", "net"), ("pids", "pressure"))
        for (left, right), rows in zip(pairs, heights, strict=True):
            marks = charts.cells_of_oom(each)
            lines += beside(
                column(charts.block(left, each, rows - 2), each, rows),
                column(charts.block(right, each, rows - 2, marks if right == "memory" else ()), each, rows),
                3,
            )
        return lines

    def _stacked(self, charts: Charts, width: int, height: int) -> list[Line]:
        """cpu and memory tall, io and net short, pids and pressure a line each; what doesn't fit goes last first."""
        room = height - 2
        if room < 8:
            rows = max(1, (height - 2) // 2)
            return column([*charts.block("cpu", width, rows), *charts.block("memory", width, rows)], width, height)
        gaps = 1 if room >= 24 else 0
        small = max(1, min(5, room * 12 // 100)) if room >= 14 else 0
        fixed = 2 + (2 * (small + 1) if small else 0) + gaps * (4 if small else 2)
        tall = max(1, (room - fixed) // 2)
        extra = max(0, room - fixed - 2 * tall)
        blank: list[Line] = [[]] * gaps
        lines = [*charts.block("cpu", width, tall + extra), *blank]
        lines += [*charts.block("memory", width, tall, charts.cells_of_oom(width)), *blank]
        if small:
            lines += [*charts.block("io", width, small), *blank, *charts.block("net", width, small), *blank]
        lines += [charts.one_line("pids", width), charts.one_line("pressure", width)]
        return column(lines, width, height)

    def _axis(self, charts: Charts, graph: int, width: int) -> Line:
        """From when to now, with the last thing that happened in between."""
        palette = self.palette
        begin = time.strftime("%H:%M", time.localtime(charts.end - charts.step * graph * 2))
        left: Line = [Segment(begin + " ", palette.dim)]
        right: Line = [Segment(f" now {glyphs.CLOSED}", palette.dim)]
        room = width - length(left) - length(right)
        happened = charts.happened(graph, MARKED)
        if not happened or room < 30:
            return [*left, Segment(glyphs.LIMIT * max(room, 0), palette.frame), *right]
        cell, event = happened[-1]
        tone = getattr(palette, event.tone)
        label = fit(told_short(event), min(room - 2, width_of(told_short(event))))
        at = max(0, min(round(cell * room / max(graph, 1)), room - width_of(label) - 1))
        rest = room - at - width_of(label) - 1
        return [
            *left,
            Segment(glyphs.LIMIT * at, palette.frame),
            Segment(label + " ", tone),
            Segment(glyphs.LIMIT * max(rest, 0), palette.frame),
            *right,
        ]

    def _last_of(self, one: ContainerView, width: int, height: int) -> list[Line]:
        """How it went before it ended, as far as it was seen."""
        ring = self.store.rings.get(one.id)
        if ring is None or not len(ring) or height < 8:
            return []
        end = ring.start + len(ring) - 1
        charts = Charts(self.store, self.palette, self.subject, self.step(width), end)
        when = time.strftime("%H:%M:%S", time.localtime(end))
        lines: list[Line] = [[], [Segment(f"before it ended, to {when}", self.palette.dim)]]
        rows = min(8, (height - 5) // 2)
        hues: tuple[Hue, ...] = ("cpu", "memory")
        for hue in hues:
            label = [Segment(hue, self.palette.edge[hue])]
            lines += [label, *charts.graph(hue, width, rows)]
        return lines

    def _why(self, one: ContainerView, width: int) -> list[Line]:
        """What the post-mortem adds: facts, who ran, the last lines."""
        why, palette = self.why, self.palette
        if why is None or why.id != one.id:
            return []
        lines: list[Line] = [[], *([Segment(detail, palette.text)] for detail in why.details)]
        if why.processes:
            lines += [[], [Segment("ran near its end", palette.dim)]]
            for cpu, memory, command in why.processes:
                figures = f"{cpu:>8}  {memory:>8}  "
                lines.append([Segment(figures, palette.dim), Segment(fit(command, width - 20), palette.text)])
        if why.lines:
            lines += [[], [Segment("its last lines", palette.dim)]]
            lines += [[Segment(fit(line, width), palette.text)] for line in why.lines]
        return [fill(line, width) for line in lines]

    def _ended(self, one: ContainerView, width: int) -> list[Line]:
        """Why there is nothing to draw, and what to do."""
        palette = self.palette
        tone = palette.bad if one.failed else palette.dim
        now = self.store.clock()
        known = self.why is not None and self.why.id == one.id
        fate = [] if known else [gap(1), Segment(_fate(one), palette.text)]
        lines: list[Line] = [[], [Segment(f"{one.symbol()} {one.name}", tone), *fate]]
        if known:
            assert self.why is not None
            lines += [[Segment(line, palette.strong)] for line in wrap(self.why.verdict, max(20, width))]
        if one.finished_at:
            when = time.strftime("%H:%M:%S", time.localtime(one.finished_at))
            ran = f"{glyphs.DOT} ran {age(one.finished_at - one.started_at)}" if one.started_at else ""
            lines.append([Segment(f"at {when}, {age(now - one.finished_at)} ago {ran}", palette.dim)])
        if one.error:
            lines.append([Segment(one.error, palette.bad)])
        lines += [[], [Segment("command  ", palette.dim), Segment(one.command, palette.text)]]
        lines += [[], [Segment("s", palette.accent), Segment(" starts it   ", palette.dim)]]
        lines[-1] += [Segment("5", palette.accent), Segment(" its last words   ", palette.dim)]
        lines[-1] += [Segment("C", palette.accent), Segment(" keeps what it changed", palette.dim)]
        return [fill(line, width) for line in lines]


def told_short(event: EventView) -> str:
    """An event for a graph's axis: ``▲ OOM index-1 13:58``."""
    when = time.strftime("%H:%M", time.localtime(event.time))
    word = "OOM" if event.action == "oom" else event.action
    return f"{glyphs.WARNING if event.tone == 'bad' else event.symbol} {word} {event.name} {when}"


def span_step(store: Store, subject: Subject, width: int) -> int:
    """Seconds a column stands for so that the past there is fills ``width`` cells."""
    past = max((len(store.rings[id]) for id in subject.ids if id in store.rings), default=0)
    return max(1, min(past, KEPT) // (width * 2))


def _fate(one: ContainerView) -> str:
    """How it ended, in words."""
    if one.oom:
        return "was killed by the kernel: out of memory"
    if one.exit_code is None:
        return "was never started"
    if one.exit_code > 128:
        return f"ended with exit code {one.exit_code} (signal {one.exit_code - 128})"
    return f"ended with exit code {one.exit_code}"


class PeekPane(Pane, can_focus=False):
    """Six lines under the list of a small terminal: cpu and memory of what is selected."""

    def __init__(self, store: Store) -> None:
        super().__init__(framed=False, id="peek")
        self.store = store
        self.subject = NOBODY

    def show_subject(self, subject: Subject) -> None:
        """Look at something else."""
        self.subject = subject
        self.repaint()

    def paint(self, width: int, height: int) -> list[Line]:
        """A rule, two graphs side by side, and a line that says whose."""
        palette = self.palette
        lines: list[Line] = [[Segment(glyphs.BAR_REST * width, palette.frame)]]
        one = self.store.by_id.get(self.subject.ids[0]) if self.subject.is_one else None
        if not self.subject.ids:
            return lines
        if one is not None and not one.is_up:
            lines += [
                [gap(1), Segment(f"{one.symbol()} {one.name} ", palette.text), Segment(_fate(one), palette.dim)]
            ]
            if one.error:
                lines.append([gap(1), Segment(one.error, palette.bad)])
            return lines
        two = width >= 50
        each = (width - 5) // 2 if two else width - 2
        charts = Charts(self.store, palette, self.subject, span_step(self.store, self.subject, each))
        rows = height - 3
        left = column(charts.block("cpu", each, rows), each, rows + 1)
        right = charts.block("memory", each, rows, charts.cells_of_oom(each))
        block = beside(left, column(right, each, rows + 1), 3) if two else left
        lines += [[gap(1), *line] for line in block]
        happened = charts.happened(each, MARKED)
        said: Line = []
        if happened:
            event = happened[-1][1]
            said = [Segment(told_short(event) + " ", getattr(palette, event.tone))]
        lines.append(spread([gap(1), *self._whose(one, charts)], said, width))
        return lines

    def _whose(self, one: ContainerView | None, charts: Charts) -> Line:
        palette = self.palette
        name = Segment(self.subject.name, palette.strong)
        pids = charts.now("pids")
        count = f"{pids:.0f} pids" if pids == pids else ""
        if one is None:
            return [name, Segment(f"  {len(self.subject.ids)} containers {glyphs.DOT} {count}", palette.dim)]
        word = one.word(self.store.clock())
        dot = glyphs.DOT
        return [name, Segment(f"  {one.image} {dot} up {word} {dot} {count}", palette.dim)]
