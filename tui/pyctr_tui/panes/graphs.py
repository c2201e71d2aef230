"""Tab 4: the graphs of what is selected, or of the machine, now and back as far as anything was recorded."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.segment import Segment

from pyctr_tui import glyphs
from pyctr_tui.figures import age
from pyctr_tui.palette import Hue
from pyctr_tui.panes.charts import COLUMNS, GUTTER, HOST_SUBJECT, SPANS, Charts, Subject
from pyctr_tui.panes.ended import ended, fate, post_mortem
from pyctr_tui.panes.tabbed import TabPane
from pyctr_tui.panes.timeline import lane, moment, symbol, ticks, told_short
from pyctr_tui.samples import KEPT, METRICS
from pyctr_tui.widgets.draw import Line, beside, column, gap, length, spread
from pyctr_tui.widgets.pane import Pane

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from textual import events

    from pyctr_tui.store import Store
    from pyctr_tui.view import ContainerView, WhyView

NOBODY = Subject("", ())
PAIRS: tuple[tuple[Hue, Hue], ...] = (("cpu", "memory"), ("io", "net"), ("pids", "pressure"))
ROOM, LITTLE = 16, 8
"""Rows that the last graphs of what has ended should have; and the fewest, for which facts are cut."""
LARGE = 32
"""Containers from which on their totals take so long to make that it is done in pieces."""
SLICE = 0.008
"""Seconds of a piece, and until the next one."""
BETWEEN = 3
"""Blank cells between two graphs side by side."""


class GraphsPane(TabPane):
    """Six graphs, as many at full size as there is room for.

    Attributes:
        zoom: Seconds a column was set to by hand; ``None`` follows how much past there is.
        end: The last second in sight; ``None`` follows the present.
        cursor: The second whose figures are shown; ``None`` shows those of the right end. ``cursor_moved`` is told.
        of_host: Whether the machine is looked at, in place of what is selected.
        overlay: Whether several containers are lines of their own; ``None`` for those marked one by one only.
    """

    tab = "graphs"

    def __init__(self, store: Store) -> None:
        super().__init__(id="graphs")
        self.store = store
        self.selected = NOBODY
        self.why: WhyView | None = None
        self.zoom: int | None = None
        self.wanted = 0
        self.end: int | None = None
        self.cursor_moved: Callable[[int | None], object] = lambda second: None
        self._cursor: int | None = None
        self.of_host = False
        self.overlay: bool | None = None
        self._gathering = False
        self._wanted_cursor = 0

    # -- what is looked at --------------------------------------------------------------------------------------

    @property
    def subject(self) -> Subject:
        """What is shown: what is selected, or the machine, when that was asked for or nothing is selected."""
        return HOST_SUBJECT if self.of_host or not self.selected.ids else self.selected

    def show_subject(self, subject: Subject) -> None:
        """Look at something else, now."""
        if self.selected.ids and subject.ids != self.selected.ids:
            self.of_host = False
            self.end = self.cursor = self.overlay = None
        self.selected = subject
        self.repaint()

    def repaint(self) -> None:
        """Paint, now; of a large stack a few figures at a time first, so that keys have their turn between them."""
        if len(self.subject.ids) <= LARGE or self.is_overlaid or not self.shown or not self.is_mounted:
            super().repaint()
        elif not self._gathering:
            self._gathering = True
            charts = self._charts(*self.inner_size)
            self.call_later(self._gather, charts, iter(METRICS), max(COLUMNS, 2 * self._graph_width()))

    def _gather(self, charts: Charts, metrics: Iterator[str], columns: int) -> None:
        """Have totals made that painting will ask for again."""
        if charts.subject != self.subject:  # something else is looked at by now
            self._gathering = False
            self.repaint()
            return
        until = time.monotonic() + SLICE
        for metric in metrics:
            charts.series(metric, columns)
            if time.monotonic() > until:
                self.set_timer(SLICE, lambda: self._gather(charts, metrics, columns))
                return
        self._gathering = False
        super().repaint()

    def show_why(self, why: WhyView | None) -> None:
        """Take in why a container has ended."""
        self.why = why
        self.repaint()

    @property
    def is_overlaid(self) -> bool:
        """Whether each container is a line of its own."""
        return self.overlay if self.overlay is not None else self.subject.name.endswith(" marked")

    # -- time ---------------------------------------------------------------------------------------------------

    @property
    def cursor(self) -> int | None:
        """The second under the cursor, if there is one."""
        return self._cursor

    @cursor.setter
    def cursor(self, second: int | None) -> None:
        if second != self._cursor:
            self._cursor = second
            self.cursor_moved(second)

    def stretch(self, by: int) -> None:
        """Show more of the past (+1), up to all there is, or less (-1)."""
        now, width = self.step(self._graph_width()), self._graph_width()
        known = self.store.clock() - self.store.first_second(self.subject.ids)
        enough = next((span for span in SPANS if span * width * 2 >= known), SPANS[-1])
        wider = [span for span in SPANS if (now < span <= enough if by > 0 else span < now)]
        if wider:
            self.zoom = wider[0] if by > 0 else wider[-1]
        self.repaint()

    def step(self, width: int) -> int:
        """Seconds a column stands for: as few as still show the past there is, a quarter of an hour at most."""
        if self.zoom is not None:
            return self.zoom
        if self.wanted:
            return next((span for span in SPANS if span * width * 2 >= self.wanted), SPANS[-1])
        return span_step(self.store, self.subject, width)

    def _graph_width(self) -> int:
        width, height = self.inner_size
        inner = width - 2
        if self._is_grid(width, height):
            inner = (inner - BETWEEN) // 2
        return max(8, inner - self._gutter(width, height))

    @staticmethod
    def _is_grid(width: int, height: int) -> bool:
        return width >= 84 and height >= 24

    def _gutter(self, width: int, height: int) -> int:
        """Cells of the scale at the left: where the pane has the screen to itself."""
        zoomed = bool(getattr(self.screen, "zoomed", False))
        return GUTTER if (zoomed and width >= 60) or (width >= 116 and height >= 30) else 0

    def _now(self) -> int:
        return int(self.store.clock())

    def _bounds(self) -> tuple[int, int]:
        """The first second that can be the last in sight, and now."""
        width = self._graph_width()
        first = self.store.first_second(self.subject.ids)
        return min(first + self.step(width) * width, self._now()), self._now()

    def look_at(self, end: int) -> None:
        """Have the right end show a second, as far as there is a past to show; now is followed."""
        low, now = self._bounds()
        end = max(end, low)
        self.end = None if end >= now else end
        self.repaint()

    def shift(self, cells: int) -> None:
        """Scroll by cells: back (negative) or forward."""
        per_cell = self.step(self._graph_width()) * 2
        self.look_at((self._now() if self.end is None else self.end) + cells * per_cell)

    def known_more(self) -> None:
        """More of the past has become known: the cursor may now go to where it was wanted."""
        if self.cursor is not None and self._wanted_cursor < self.cursor:
            self.put_cursor(self._wanted_cursor)
        self.repaint()

    def put_cursor(self, second: int) -> None:
        """Put the cursor on a second, or the first one that is known, and have it in sight."""
        self._wanted_cursor = second
        width = self._graph_width()
        per_cell = self.step(width) * 2
        second = min(max(second, self.store.first_second(self.subject.ids)), self._now())
        self.cursor = second
        end = self._now() if self.end is None else self.end
        if second // per_cell > end // per_cell:
            self.look_at(second)
        elif second // per_cell <= end // per_cell - width:
            self.look_at(second + (width - 1) * per_cell)
        self.repaint()

    # -- keys ---------------------------------------------------------------------------------------------------

    def action_scroll_time(self, half_panes: str) -> None:
        """Scroll by half a pane."""
        self.shift(int(half_panes) * max(1, self._graph_width() // 2))

    def action_page(self, pages: str) -> None:
        """Page up is back in time."""
        self.shift(round(float(pages) * self._graph_width()))

    def action_first(self) -> None:
        """To the beginning of what is known."""
        self.look_at(0)

    def action_last(self) -> None:
        """Back to now."""
        self.end = self.cursor = None
        self.repaint()

    def action_cursor(self, by: str) -> None:
        """Move the cursor by cells; the first move puts it at the right end."""
        if self.cursor is None:
            self.put_cursor(self._now() if self.end is None else self.end)
        else:
            self.put_cursor(self.cursor + int(by) * self.step(self._graph_width()) * 2)

    def action_event(self, by: str) -> None:
        """The next older event (-1), or the next newer one."""
        charts = self._charts(0, 0)
        here = self.cursor if self.cursor is not None else (self.end or self._now()) + 1
        times = [int(event.time) for event in charts.events()]
        per_cell = self.step(self._graph_width()) * 2
        cell = here // per_cell
        if int(by) < 0:
            found = next((when for when in reversed(times) if when // per_cell < cell), None)
        else:
            found = next((when for when in times if when // per_cell > cell), None)
        if found is not None and found >= self.store.first_second(self.subject.ids):
            self.put_cursor(found)
        else:
            self.screen.notify_line("no older event is known" if int(by) < 0 else "no newer event")  # type: ignore[attr-defined]

    def action_overlay(self) -> None:
        """Each container a line of its own, or their sum."""
        if len(self.subject.ids) < 2:
            self.screen.notify_line("mark several containers with Space, or select a stack")  # type: ignore[attr-defined]
            return
        self.overlay = not self.is_overlaid
        self.repaint()

    def action_back(self) -> None:
        """Take the cursor away; then back to now; then to what is selected; then as anywhere."""
        if self.cursor is not None:
            self.cursor = None
        elif self.end is not None:
            self.end = None
        elif self.of_host:
            self.of_host = False
        else:
            self.screen.action_back()  # type: ignore[attr-defined]
        self.repaint()

    # -- mouse --------------------------------------------------------------------------------------------------

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """The cursor goes where the mouse is pressed."""
        if event.button == 1 and self._second_at(event.x, event.y) is not None:
            self.capture_mouse()
            self._point(event.x, event.y)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """And follows it."""
        if self.app.mouse_captured is self:
            self._point(event.x, event.y)

    def on_mouse_up(self, event: events.MouseUp) -> None:
        """Until it is let go."""
        self.release_mouse()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """The wheel scrolls back in time."""
        event.stop()
        self.shift(-4)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """And forward."""
        event.stop()
        self.shift(4)

    def _point(self, x: int, y: int) -> None:
        second = self._second_at(x, y)
        if second is not None:
            self.put_cursor(second)

    def _second_at(self, x: int, y: int) -> int | None:
        """The moment under a cell of the pane; ``None`` beside the graphs."""
        width, height = self.inner_size
        frame = int(self.framed)
        if self._has_ended() or not 0 <= y - frame < height:
            return None
        graph, gutter = self._graph_width(), self._gutter(width, height)
        cell = x - frame - 1 - gutter
        if self._is_grid(width, height) and cell >= graph:
            cell -= graph + BETWEEN + gutter
        if not 0 <= cell < graph:
            return None
        per_cell = self.step(graph) * 2
        end = self._now() if self.end is None else self.end
        return min((end // per_cell - (graph - 1 - cell)) * per_cell + per_cell - 1, self._now())

    # -- painting -----------------------------------------------------------------------------------------------

    def subtitle(self) -> Line:
        """The cursor's moment; else whose, how much of the past, and that it isn't now when it isn't."""
        palette, dot = self.palette, f" {glyphs.DOT} "
        graph = self._graph_width()
        if self._has_ended():
            return [Segment(self.subject.name, palette.dim)]
        if self.cursor is not None:
            when, leave = moment(self._charts(*self.inner_size), graph), Segment(f"{dot}Esc leaves it", palette.dim)
            return [*when, leave] if length(when) + len(leave.text) <= self.inner_size[0] - 4 else when
        span = age(self.step(graph) * graph * 2)
        line: Line = [Segment(f"{self.subject.name}{dot}{span}", palette.dim)]
        if self.end is not None:
            ago = age(self.store.clock() - self.end)
            line.append(Segment(f"{dot}not live: {ago} ago{dot}G back to now", palette.warn))
            return line
        if self.subject.is_host:
            line.append(Segment(f"{dot}kept while this program runs{dot}0 leaves it", palette.dim))
            return line
        keys = f"{dot}[ ] past{dot}+ - span{dot}z zoom" if self.has_focus else f"{dot}+ - span{dot}z zoom"
        line.append(Segment(keys, palette.dim))
        return line

    def _has_ended(self) -> bool:
        one = self._one()
        return one is not None and one.has_ended

    def _one(self) -> ContainerView | None:
        return self.store.by_id.get(self.subject.ids[0]) if self.subject.is_one else None

    def _charts(self, width: int, height: int) -> Charts:
        return Charts(
            self.store, self.palette, self.subject, self.step(self._graph_width()), self.end, self.cursor,
            self.is_overlaid, self._gutter(width, height),
        )  # fmt: skip

    def paint(self, width: int, height: int) -> list[Line]:
        """The graphs, or why there are none."""
        one, inner = self._one(), width - 2
        if one is not None and self._has_ended():
            now = self.store.clock()
            head = ended(self.palette, self.why, one, inner, now)
            told = head
            for most in (None, 2, 1):
                told = [*head, *post_mortem(self.palette, self.why, one, inner, most)]
                if len(told) <= height - (ROOM if most is None else LITTLE):
                    break
            return [[gap(1), *line] for line in [*told, *self._last_of(one, inner, height - len(told) - 1)]]
        charts = self._charts(width, height)
        grid = self._is_grid(width, height)
        foot = self._foot(charts, inner, grid, with_ticks=bool(charts.gutter))
        room = height - len(foot)
        body = self._grid(charts, inner, room) if grid else self._stacked(charts, inner, room)
        return [[gap(1), *line] for line in [*body, *foot]]

    def _foot(self, charts: Charts, width: int, grid: bool, with_ticks: bool) -> list[Line]:
        """The lane of what happened, the ticks; without a frame also what would stand in its edge."""
        graph = self._graph_width()
        live = self.end is None
        lead = [gap(charts.gutter)]
        lines: list[Line] = []
        if grid:
            rest = gap(width - 2 * ((width - BETWEEN) // 2))
            left, right = lane(charts, graph, live, told=False), lane(charts, graph, live)
            lines.append([*lead, *left, rest, *lead, *right])
            if with_ticks:
                tick = ticks(charts, graph)
                lines.append([*lead, *tick, rest, *lead, *tick])
        else:
            lines.append([*lead, *lane(charts, graph, live)])
            if with_ticks:
                lines.append([*lead, *ticks(charts, graph)])
        if not self.framed:
            lines.append(self.subtitle())
        return lines

    def _grid(self, charts: Charts, width: int, height: int) -> list[Line]:
        """Two columns of three."""
        each = (width - BETWEEN) // 2
        heights = [height // 3 + (1 if row < height % 3 else 0) for row in range(3)]
        lines: list[Line] = []
        for (left, right), rows in zip(PAIRS, heights, strict=True):
            lines += beside(
                column(charts.block(left, each, rows - 2), each, rows),
                column(charts.block(right, each, rows - 2), each, rows),
                width - 2 * each,
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
        lines += [*charts.block("memory", width, tall), *blank]
        if small:
            lines += [*charts.block("io", width, small), *blank, *charts.block("net", width, small), *blank]
        lines += [charts.one_line("pids", width), charts.one_line("pressure", width)]
        return column(lines, width, height)

    def _last_of(self, one: ContainerView, width: int, height: int) -> list[Line]:
        """How it went before it ended, as far as it was seen."""
        ring = self.store.rings.get(one.id)
        if ring is None or not len(ring) or height < LITTLE - 1:
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


def span_step(store: Store, subject: Subject, width: int) -> int:
    """Seconds a column stands for so that the past there is fills ``width`` cells."""
    past = max((len(store.rings[id]) for id in subject.ids if id in store.rings), default=0)
    return max(1, min(past, KEPT) // (width * 2))


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
            lines += [[gap(1), Segment(f"{one.symbol()} {one.name} ", palette.text), Segment(fate(one), palette.dim)]]
            if one.error:
                lines.append([gap(1), Segment(one.error, palette.bad)])
            return lines
        two = width >= 50
        each = (width - 5) // 2 if two else width - 2
        charts = Charts(self.store, palette, self.subject, span_step(self.store, self.subject, each))
        rows = height - 3
        left = column(charts.block("cpu", each, rows), each, rows + 1)
        right = charts.block("memory", each, rows)
        block = beside(left, column(right, each, rows + 1), 3) if two else left
        lines += [[gap(1), *line] for line in block]
        happened = charts.happened(each)
        said: Line = []
        if happened:
            event = happened[-1][1]
            said = [Segment(f"{symbol(event)} {told_short(event)} ", getattr(palette, event.tone))]
        lines.append(spread([gap(1), *self._whose(one, charts)], said, width))
        return lines

    def _whose(self, one: ContainerView | None, charts: Charts) -> Line:
        palette = self.palette
        name = Segment(self.subject.name, palette.strong)
        pids = charts.value("pids")
        count = f"{pids:.0f} pids" if pids == pids else ""
        if one is None:
            return [name, Segment(f"  {len(self.subject.ids)} containers {glyphs.DOT} {count}", palette.dim)]
        word = one.word(self.store.clock())
        dot = glyphs.DOT
        return [name, Segment(f"  {one.image} {dot} up {word} {dot} {count}", palette.dim)]
