"""The whole event log: what happened, from any terminal, live and as far back as it is kept."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.segment import Segment

from pyctr_engine.record import dataclass
from pyctr_tui import glyphs
from pyctr_tui.dialogs.form import Answers, Field, FormDialog
from pyctr_tui.pages.page import Page
from pyctr_tui.panes.listing import ListPane
from pyctr_tui.query import Subject
from pyctr_tui.safe_text import safe
from pyctr_tui.view import EventView, event_view
from pyctr_tui.widgets.draw import Line, cells, gap, width_of

if TYPE_CHECKING:
    from pyctr_engine.model.event import Event
    from pyctr_tui.details import Answer
    from pyctr_tui.screens.home import HomeScreen

BACK = 86400.0 * 400
"""Seconds: as far back as anything is kept."""
MOST = 100_000
"""Events in memory, the newest."""


@dataclass(frozen=True, slots=True)
class Day:
    """A line between two days."""

    name: str


class EventLogPane(ListPane["EventView | Day"]):
    """Events, the newest first, a rule between days."""

    def __init__(self) -> None:
        super().__init__(id="eventlog")
        self.reading = True
        self.names_width = 12

    def key(self, item: EventView | Day) -> str:
        """Its time and what it says: two of one microsecond are one."""
        return item.name if isinstance(item, Day) else f"{item.time}{item.action}{item.id}"

    def show_events(self, found: Sequence[EventView]) -> None:
        """Show these, the newest first."""
        self.names_width = min(30, max((width_of(event.name) for event in found[:2000]), default=8) + 2)
        self.show(found)

    def go_to(self, when: float) -> None:
        """The cursor on what happened last before a time."""
        found = (at for at, item in enumerate(self.items) if isinstance(item, EventView) and item.time < when)
        self.move_to(next(found, len(self.items) - 1))

    def between(self, items: Sequence[EventView | Day]) -> Sequence[EventView | Day]:
        """A rule above the first event of each day."""
        ruled: list[EventView | Day] = []
        midnight = math.inf
        for event in items:
            assert isinstance(event, EventView)
            if event.time < midnight:
                at = time.localtime(event.time)
                midnight = time.mktime((*at[:3], 0, 0, 0, 0, 0, -1))
                ruled.append(Day(time.strftime("%A, %d %B %Y", at)))
            ruled.append(event)
        return ruled

    def seen_by_filter(self, item: EventView | Day) -> Subject:
        """What an event's line shows."""
        assert isinstance(item, EventView)
        return Subject(f"{item.type}\n{item.action}\n{item.name}\n{item.text}".lower())

    def title(self) -> Line:
        """How many there are."""
        return [Segment(f"Events {glyphs.DOT} {len(self.whole):,}", self.palette.strong)]

    def header(self, width: int) -> Line:
        """Column titles."""
        dim = self.palette.dim
        return [cells(" TIME", 13, dim), cells(" TYPE", 11, dim), gap(2), cells("NAME", self.names_width, dim),
                cells("WHAT", max(width - self.names_width - 26, 4), dim)]  # fmt: skip

    def draw(self, item: EventView | Day, width: int) -> Line:
        """One event, or a day's rule."""
        palette = self.palette
        if isinstance(item, Day):
            rule = glyphs.BAR_REST * max(width - width_of(item.name) - 4, 0)
            return [gap(1), Segment(item.name, palette.accent), gap(1), Segment(rule, palette.frame)]
        clock = time.strftime("%H:%M:%S", time.localtime(item.time)) + f".{int(item.time % 1 * 1000):03d}"
        tone, bad = getattr(palette, item.tone), item.tone == "bad"
        return [
            cells(f" {clock[:-4]}", 9, palette.text),
            cells(clock[-4:], 4, palette.faint),
            cells(f" {item.type}", 11, palette.dim),
            Segment(f"{item.symbol} ", tone),
            cells(item.name, self.names_width - 1, palette.strong),
            gap(1),
            cells(item.text, max(width - self.names_width - 26, 4), palette.bad if bad else palette.text),
        ]

    def empty(self, width: int) -> list[Line]:
        """Loading, or nothing."""
        text = f"reading {glyphs.ELLIPSIS}" if self.reading else "nothing has happened yet"
        return [[gap(1), Segment(text, self.palette.dim)]]


class EventLogPage(Page):
    """One list; what is read at first and what happens then."""

    cli = "events"

    def __init__(self, home: HomeScreen) -> None:
        super().__init__(home)
        self.list = EventLogPane()
        self.panes = (self.list,)
        self._past: list[EventView] = []
        self._raw: dict[str, Event] = {}
        self._newest = 0.0

    def opened(self) -> None:
        """Read all there is; what happens later comes with the store."""
        engine, now = self.application.engine, self.store.clock()

        def read() -> list[Event]:
            return list(engine.events(since=now - BACK, follow=False))[-MOST:]

        self.application.details.call("eventlog", read, self._read)

    def _read(self, answer: Answer) -> None:
        self.list.reading = False
        if answer.error:
            self.home.notify_line(answer.error, "bad", 12.0)
            return
        self._past = [event_view(event) for event in answer.value]
        self._raw = {f"{event.time}{event.action}{event.id}": event for event in answer.value}
        self._newest = self._past[-1].time if self._past else 0.0
        self._update()
        if (moment := self.home.moment) is not None:
            self.list.go_to(moment + 1)

    def refreshed(self) -> None:
        """Take what happened meanwhile."""
        fresh = [event for event in self.store.events if event.time > self._newest]
        if fresh and not self.list.reading:
            self._past += fresh
            del self._past[:-MOST]
            self._newest = fresh[-1].time
            self._update()

    def _update(self) -> None:
        follows = self.list.cursor <= 1
        self.list.show_events(self._past[::-1])
        if follows and self.list.items:
            self.list.move_to(1)

    # -- keys ---------------------------------------------------------------------------------------------------

    def action_open(self) -> None:
        """Go to what it happened to, if that is still there."""
        event = self.list.selected
        if not isinstance(event, EventView):
            return
        if self.home.lists.reveal(f"stack:{event.name}" if event.type == "stack" else event.id):
            self.home.action_pane("containers")
        elif event.type == "image" and self.home.images.select(event.id):
            self.home.action_pane("images")
        else:
            self.home.notify_line(f"{event.name} is gone", "warn")

    def action_moment(self) -> None:
        """The graphs of the container, with the cursor at the moment when it happened."""
        event = self.list.selected
        if not isinstance(event, EventView):
            return
        id = event.container or event.id
        if id not in self.store.by_id:
            self.home.notify_line(f"{event.name} is no container that is still here", "warn")
            return
        self.home.action_pane("containers")
        self.home.lists.reveal(id)
        self.home.go_to_moment(event.time)

    def action_raw_event(self) -> None:
        """Everything that was recorded about it."""
        event = self.list.selected
        if not isinstance(event, EventView):
            return
        raw = self._raw.get(self.list.key(event))
        attributes = raw.attributes if raw is not None else {}
        notes = [
            f"time    {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(event.time))}",
            f"type    {event.type}",
            f"action  {event.action}",
            f"id      {event.id}",
            *(f"{safe(name):<7} {safe(value)}" for name, value in attributes.items()),
        ]
        self.home.app.push_screen(FormDialog(event.name, (), "closes", notes))

    def action_export_events(self) -> None:
        """Write what is shown to a file."""
        field = Field("path", "file", "events.txt", "where it goes", needed=True)
        events = [event for event in self.list.items if isinstance(event, EventView)]

        def answered(found: Answers | None) -> None:
            if found is None:
                return
            lines = [
                f"{time.strftime('%Y-%m-%dT%H:%M:%S%z', time.localtime(event.time))} {event.type} {event.action} "
                f"{event.name} {event.text}\n"
                for event in reversed(events)
            ]
            try:
                with open(os.path.expanduser(found["path"]), "x", encoding="utf-8") as file:
                    file.writelines(lines)
            except OSError as error:
                reason = (error.strerror or "error").lower()
                self.home.notify_line(f"can't write {safe(found['path'])}: {reason}", "bad", 12.0)
            else:
                self.home.notify_line(f"{len(lines)} events written to {safe(found['path'])}", "good")

        self.home.app.push_screen(FormDialog("Export events", (field,), "writes"), answered)
