"""A container's last start as a waterfall: each step with its begin and length, and what it was for."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from rich.segment import Segment

from pyctr_engine.record import dataclass
from pyctr_tui import glyphs
from pyctr_tui.pages.page import Page
from pyctr_tui.panes.listing import ListPane
from pyctr_tui.safe_text import safe
from pyctr_tui.widgets.draw import Line, cells, gap, width_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyctr_tui.details import Answer
    from pyctr_tui.screens.home import HomeScreen

NEIGHBOURS = 12
"""Other containers of the same image that a start is compared with."""
LONG = 0.2
"""Share of the whole from which on a step is long."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step; ``begin`` and ``end`` in milliseconds, ``usual`` how long it takes others, or ``None``."""

    number: int
    name: str
    begin: float
    end: float
    usual: float | None = None

    @property
    def length(self) -> float:
        """Milliseconds."""
        return self.end - self.begin


class TracePane(ListPane[Step]):
    """The steps in their order."""

    def __init__(self) -> None:
        super().__init__(id="trace")
        self.subject = ""
        self.note = ""
        self.total = 0.0

    def key(self, item: Step) -> str:
        """Its number."""
        return str(item.number)

    def show_steps(self, steps: tuple[Step, ...], note: str) -> None:
        """Show these, or why there are none."""
        self.note = note
        self.total = max((step.end for step in steps), default=0.0)
        self.show(steps)

    def title(self) -> Line:
        """Whose start, and how long it took."""
        line = [Segment(f"Start of {self.subject}" if self.subject else "Start", self.palette.strong)]
        if self.items:
            line.append(Segment(f" {glyphs.DOT} {self.total:.1f} ms", self.palette.accent))
        return line

    def _columns(self, width: int) -> tuple[int, int]:
        """Cells of the name, and of the waterfall."""
        name = min(30, max((width_of(step.name) for step in self.items), default=8) + 2, max(width // 3, 10))
        return name, max(width - name - 30, 8)

    def header(self, width: int) -> Line:
        """Column titles, and the time's scale over the waterfall."""
        dim = self.palette.dim
        name, fall = self._columns(width)
        middle = f"{self.total / 2:.1f}"
        end = f"{self.total:.1f} ms"
        scale = "0" + middle.center(max(fall - len(end) - 2, 1)) + end
        return [cells(" STEP", name, dim), cells("MS", 8, dim, right=True), cells("USUAL", 8, dim, right=True),
                cells("AT", 8, dim, right=True), gap(2), cells(scale, fall, self.palette.faint)]  # fmt: skip

    def draw(self, item: Step, width: int) -> Line:
        """One step: figures and its bar."""
        palette = self.palette
        name, fall = self._columns(width)
        tone = palette.warn if self.total and item.length >= LONG * self.total else palette.edge["cpu"]
        scale = fall / self.total if self.total else 0.0
        start = min(int(item.begin * scale), fall - 1)
        long = max(1, min(round(item.length * scale), fall - start))
        usual = "" if item.usual is None else f"{item.usual:.2f}"
        return [
            gap(1),
            cells(item.name, name - 1, palette.text),
            cells(f"{item.length:.2f}", 8, palette.strong if item.length >= 0.5 else palette.dim, right=True),
            cells(usual, 8, palette.faint, right=True),
            cells(f"{item.begin:.1f}", 8, palette.dim, right=True),
            gap(2),
            Segment(" " * start),
            Segment(glyphs.BAR * long, tone),
            Segment(" " * (fall - start - long)),
        ]

    def empty(self, width: int) -> list[Line]:
        """Why there is nothing."""
        return [[gap(1), Segment(self.note or f"reading {glyphs.ELLIPSIS}", self.palette.dim)]]


class TracePage(Page):
    """Of the container that is selected on home."""

    cli = "inspect"

    def __init__(self, home: HomeScreen) -> None:
        super().__init__(home)
        self.list = TracePane()
        self.panes = (self.list,)

    def opened(self) -> None:
        """Read the trace, and those of others of the same image."""
        container = self.home.selection.container
        if container is None:
            self.home.leave_page()
            self.home.notify_line("select a container first", "warn")
            return
        self.list.subject = container.name
        self.list.show_steps((), "")
        others = [
            one.id for one in self.store.containers if one.image_id == container.image_id and one.id != container.id
        ]
        engine = self.application.engine

        def read() -> tuple[Step, ...]:
            usual = _usual([engine.start_trace(id) for id in others[:NEIGHBOURS]])
            steps = enumerate(engine.start_trace(container.id))
            return tuple(Step(at, safe(name), begin, end, usual.get(name)) for at, (name, begin, end) in steps)

        self.application.details.call("trace", read, self._read, container.id)

    def _read(self, answer: Answer) -> None:
        one = self.store.by_id.get(answer.ref)
        note = answer.error
        if not answer.value and not note:
            note = "it was never started" if one is None or not one.started_at else "its trace is gone"
            if one is not None and one.error:
                note = f"its start failed: {one.error}"
        self.list.show_steps(answer.value or (), note)


def _usual(traces: list[tuple[tuple[str, float, float], ...]]) -> Mapping[str, float]:
    """The median length of each step, by name."""
    lengths: dict[str, list[float]] = {}
    for trace in traces:
        for name, begin, end in trace:
            lengths.setdefault(name, []).append(end - begin)
    return {name: statistics.median(values) for name, values in lengths.items()}
