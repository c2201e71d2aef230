"""The strip of events: what happened, from any terminal, newest first."""

from __future__ import annotations

import time
from itertools import islice
from typing import TYPE_CHECKING

from rich.segment import Segment

from pyctr_tui.panes.log_lines import clock
from pyctr_tui.widgets.draw import Line, cells, gap, width_of
from pyctr_tui.widgets.pane import Pane

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pyctr_tui.store import Store
    from pyctr_tui.view import EventView

QUIET = frozenset({"exec_create", "exec_start", "exec_die", "attach", "resize", "network_connect"})
FOLLOWED = {"die": ("oom",), "kill": ("die",), "stop": ("die",), "create": ("start",), "restart": ("start",)}
"""Events that say nothing new a moment around these."""
MOMENT = 2.0


class EventsPane(Pane, can_focus=False):
    """Shown where the terminal is wide and tall."""

    def __init__(self, store: Store) -> None:
        super().__init__(id="events")
        self.store = store
        self.until: float | None = None

    def show_until(self, until: float | None) -> None:
        """Show those before a time, in seconds since the epoch; ``None``: the newest."""
        self.until = until
        self.repaint()

    def title(self) -> Line:
        """Its name, and until when."""
        dim = self.palette.dim
        if self.until is None:
            return [Segment("Events", dim)]
        return [Segment("Events until ", dim), Segment(clock(self.until - 1), self.palette.accent)]

    def paint(self, width: int, height: int) -> list[Line]:
        """As many as fit, newest first."""
        known = (event for event in told(self.store.events) if self.until is None or event.time < self.until)
        shown = list(islice(known, height))
        name = min(24, max((width_of(event.name) for event in shown), default=8) + 2)
        return [self._line(event, width, name) for event in shown]

    def _line(self, event: EventView, width: int, name: int) -> Line:
        palette = self.palette
        when = time.strftime("%H:%M:%S", time.localtime(event.time))
        return [
            Segment(f" {when}  ", palette.faint),
            Segment(f"{event.symbol} ", getattr(palette, event.tone)),
            cells(event.name, name - 1, palette.text),
            gap(1),
            cells(event.text, max(width - name - 14, 4), palette.dim),
        ]


def told(events: Sequence[EventView]) -> Iterator[EventView]:
    """Events worth a line, newest first: of those that tell one story the most telling one."""
    recent = list(events)
    for index in range(len(recent) - 1, -1, -1):
        event = recent[index]
        if event.action in QUIET:
            continue
        around = recent[max(0, index - 6) : index + 7]
        better = FOLLOWED.get(event.action, ())
        if any(o.id == event.id and o.action in better and abs(o.time - event.time) < MOMENT for o in around):
            continue
        yield event
