"""Tab 5: the logs of a container, or of several in the order of time, followed or scrolled through."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, NamedTuple

from rich.segment import Segment

from pyctr_tui import glyphs
from pyctr_tui.logs.file import parse, time_of
from pyctr_tui.logs.level import record_of
from pyctr_tui.logs.news import KEPT, advanced, retreated
from pyctr_tui.logs.query import Query, required_literal
from pyctr_tui.panes.events import told
from pyctr_tui.panes.log_lines import (
    clipped,
    clock,
    date,
    lit,
    names_column,
    record,
    rule,
    styled,
    without,
    wrapped,
)
from pyctr_tui.panes.tabbed import TabPane
from pyctr_tui.widgets.draw import Line, cut, gap, length, spread

if TYPE_CHECKING:
    from rich.style import Style
    from textual import events

    from pyctr_tui.logs.merge import Entry, Place
    from pyctr_tui.logs.news import Batch, Source
    from pyctr_tui.logs.reader import LogReader
    from pyctr_tui.store import Store

KEPT_BYTES = 8 << 20
"""Bytes kept in memory where lines are very long; else `KEPT` lines. More are in the files."""
MARGIN = 200
"""Lines from the edge of what is kept at which more are fetched."""
TOLD = frozenset({"oom", "start", "restart", "die", "commit", "pause", "unpause", "update", "checkpoint", "restore"})
"""Events that are drawn between the lines; health too, when it changes."""


class Rule(NamedTuple):
    """Something that happened while lines were printed: an event, or a mark that the user set."""

    time: float
    symbol: str
    text: str
    tone: str


class LogsPane(TabPane):
    """Shows a window of the logs; the reader moves the window.

    Attributes:
        sources: Whose logs: ids and names.
        whole_stack: Whether a container's whole stack is read instead of its own log.
        lines: What is kept of them, in the order of time.
        bottom: Index of the last line in sight, in ``lines``.
        following: Whether new lines scroll the pane.
        needle: What is searched for; matches are shown everywhere.
        only: Which lines are shown; ``only_text`` is how it was typed.
        moment: When what is in sight was printed, if it was asked for by its time; else 0.
        busy: How much a long look has seen, from 0 to 1; ``None`` when there is none.
    """

    tab = "logs"

    def __init__(self, reader: LogReader, store: Store) -> None:
        super().__init__(id="logs")
        self.reader = reader
        self.store = store
        self.name_shown = ""
        self.sources: tuple[Source, ...] = ()
        self.whole_stack = False
        self.lines: list[Entry] = []
        self.bottom = -1
        self.following = True
        self.at_start = self.at_end = True
        self.wrap = False
        self.timestamps = True
        self.as_printed = False
        self.needle = ""
        self.only, self.only_text = Query(), ""
        self.moment = 0.0
        self.found: tuple[int, int] | None = None
        self.shifted = 0
        self.rate = 0.0
        self.message = ""
        self.busy: float | None = None
        self._marks: set[tuple[str, int, bytes]] = set()
        self._rules: list[Rule] = []
        self._rules_key: object = None
        self._top: Place = ()
        self._end: Place = ()
        self._first_shown = 0
        self._hidden_above = self._searched_from_end = False
        self._fetching = self._gave_up = False

    # -- what is shown ------------------------------------------------------------------------------------------

    def watch_logs(self, sources: tuple[Source, ...], name: str) -> None:
        """Show other containers' logs, from their ends."""
        self.name_shown = name
        if sources == self.sources:
            return
        self.sources = sources
        self.lines, self.bottom, self.following, self.found = [], -1, True, None
        self.moment = 0.0
        self.shifted, self.rate, self.message = 0, 0.0, ""
        self._fetching, self._gave_up, self.busy = False, False, None
        self._top = self._end = ()
        self.reader.watch(sources, self.only)
        self.repaint()

    def take(self, batch: Batch) -> None:
        """Take lines from the reader."""
        if batch.sources != self.sources or batch.serial != self.reader.serial:
            return  # what it answers is no longer asked
        if not batch.live or batch.how == "busy":
            self.busy = batch.busy
        if batch.how == "found":
            self._searched_from_end = False
        if batch.error or batch.how == "found":
            self.message = batch.error
        if batch.how == "none":
            self._fetching = False
            self.following = self.following and not batch.over
            self._gave_up = self._gave_up or batch.over
            if self._searched_from_end and not batch.over:
                self.follow()
            self.message = batch.error or f"no further line with “{self.needle}”"
        elif batch.how == "prepend":
            self._prepend(batch)
        elif batch.how == "append":
            self._append(batch)
        elif batch.how != "busy":
            self._replace(batch)
        if self.following:
            self.bottom = len(self.lines) - 1
        self._fetch()
        self.repaint()

    def _replace(self, batch: Batch) -> None:
        self._fetching = batch.busy is not None
        self.lines = list(batch.lines)
        self._top, self._end = batch.top, batch.bottom
        self.at_start, self.at_end = batch.at_start, batch.at_end
        self.bottom = len(self.lines) - 1
        if batch.how == "found":
            self.found = batch.found
            self.following = False
            index = self._index_found()
            if index is None and self.moment:
                self.message = f"nothing was printed after {clock(self.moment)}"
            if index is not None:
                self.bottom = min(self.bottom, max(index + self._room() // 2, self._room() - 1))
        elif self.following:
            self.rate = batch.rate
        elif batch.at_start:
            self.bottom = min(self._room(), len(self.lines)) - 1

    def _prepend(self, batch: Batch) -> None:
        self._fetching = batch.busy is not None
        if batch.bottom != self._top:
            return  # what was asked for is no longer what is missing
        self.lines[:0] = batch.lines
        self._top, self.at_start = batch.top, batch.at_start
        self.bottom += len(batch.lines)
        surplus = self._surplus(max(self.bottom + self._margin(), KEPT), from_end=True)
        if surplus > 0 and not self.following:
            self._end = retreated(self._end, self.lines[: -surplus - 1 : -1])
            del self.lines[-surplus:]
            self.at_end = False

    def _append(self, batch: Batch) -> None:
        if not self.following:
            self._fetching = batch.busy is not None
        if batch.top != self._end:
            return
        self.lines += batch.lines
        self.bottom = max(self.bottom, min(self._room(), len(self.lines)) - 1)
        self._end, self.at_end = batch.bottom, batch.at_end
        self.rate = batch.rate
        surplus = self._surplus(KEPT)
        if not self.following:
            surplus = min(surplus, max(0, self.bottom - 2 * self._margin()))
        if surplus > 0:
            self._top = advanced(self._top, self.lines[:surplus])
            del self.lines[:surplus]
            self.bottom -= surplus
            self.at_start = False

    def _margin(self) -> int:
        """Lines beyond what is in sight that are wanted; few where they are rare, or long."""
        size = sum(len(line.raw) for line in self.lines)
        return 2 * self._room() if self.only or size > KEPT_BYTES // 2 else MARGIN

    def _surplus(self, most: int, from_end: bool = False) -> int:
        """How many lines, at the beginning or the end, are too many to keep: by their number or by their bytes."""
        surplus = max(len(self.lines) - most, 0)
        size = sum(len(line.raw) for line in self.lines)
        while size > KEPT_BYTES and len(self.lines) - surplus > 4 * self._room():
            size -= len(self.lines[-surplus - 1 if from_end else surplus].raw)
            surplus += 1
        return surplus

    # -- moving -------------------------------------------------------------------------------------------------

    def _room(self) -> int:
        return max(1, self.inner_size[1] - 1)

    def scroll_lines(self, by: int) -> None:
        """Scroll by lines; scrolling back stops following, reaching the end takes it up again."""
        self._gave_up = False
        if not self.lines:
            self._fetch()
            return
        if self.moment:  # it is left
            self.found, self.moment = None, 0.0
        wanted = self.bottom + by
        least = min(self._room(), len(self.lines)) - 1
        if by < 0 and self.bottom <= least:  # the first lines: wrapped ones, marks and events may hide them yet
            least = max(self.bottom - 1, 0) if self._hidden_above else self.bottom
        self.bottom = max(least, min(wanted, len(self.lines) - 1))
        if by < 0 and self.following:
            self._stay()
        if by > 0 and wanted >= len(self.lines) - 1 and self.at_end and not self.following:
            self.follow()
        self._fetch()
        self.repaint()

    def _fetch(self) -> None:
        """Have the reader bring more when an edge of what is kept comes near."""
        if self._fetching or self._gave_up or self.following or self.busy is not None or not self._top:
            return
        margin = self._margin()
        if self.bottom - self._room() < margin and not self.at_start:
            self._fetching = True
            self.reader.older(self._top)
        elif self.bottom > len(self.lines) - margin and not self.at_end:
            self._fetching = True
            self.reader.newer(self._end)

    def _stay(self) -> None:
        self.following = False
        self.reader.stay()

    def follow(self) -> None:
        """Show the end, and keep showing it."""
        self.following, self._searched_from_end, self.message = True, False, ""
        self.found, self.moment = None, 0.0
        self.reader.follow()

    def toggle_follow(self) -> None:
        """Follow, or stay."""
        if self.following:
            self._stay()
            self.repaint()
        else:
            self.follow()

    def to_start(self) -> None:
        """Show the first lines there are."""
        self._stay()
        self.found, self.moment = None, 0.0
        self.reader.first()

    def shift(self, by: int) -> None:
        """Show columns further right (or left)."""
        self.shifted = max(0, self.shifted + by)
        self.repaint()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Three lines on."""
        event.stop()
        self.scroll_lines(3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Three lines back."""
        event.stop()
        self.scroll_lines(-3)

    # -- looking for something ----------------------------------------------------------------------------------

    def search(self, needle: str, backwards: bool = True, again: bool = False) -> None:
        """Look for ``needle`` before what is in sight; ``again`` starts at the match."""
        self.needle = needle
        self.message, self.moment = "", 0.0
        if not needle or not self._top:
            self.found = None
            self.repaint()
            return
        index = self._index_in_sight() if again else None
        if index is None:
            index = min(self.bottom, len(self.lines) - 1) + 1
        elif not backwards:
            index += 1
        self._searched_from_end = self.following
        self.following = False
        self.busy = 0.0
        self.reader.find(needle, advanced(self._top, self.lines[:index]), backwards)

    def show_only(self, query: Query, wanted: str) -> None:
        """Show only the lines that are wanted, or all again: from the end when following, else where it stands."""
        if query == self.only:
            return
        self.only, self.only_text = query, wanted
        self.message, self._gave_up = "", False
        self.busy = 0.0 if query else None
        self.reader.filter(query, None if self.following else self._entry_in_sight())
        self.repaint()

    def give_up(self) -> None:
        """Stop looking."""
        self.busy, self._gave_up = None, True
        self.reader.give_up()

    def seek(self, moment: float) -> None:
        """Show what was printed at a moment, in seconds since the epoch."""
        self.moment = moment
        self.following = False
        self.message = ""
        self.reader.seek(moment)

    def moment_in_sight(self) -> float:
        """When the match, or the last line in sight, was printed; 0 when that isn't known."""
        entry = self._entry_in_sight()
        return time_of(entry.raw) if entry else 0.0

    def line_in_sight(self) -> str:
        """The text of the match, or of the last line in sight."""
        entry = self._entry_in_sight()
        return parse(entry.raw).text if entry else ""

    def _index_in_sight(self) -> int | None:
        """Index of what was found, unless it was scrolled away from."""
        index = self._index_found()
        return index if index is not None and self._first_shown <= index <= self.bottom else None

    def _index_found(self) -> int | None:
        if self.found is None:
            return None
        return next((n for n, line in enumerate(self.lines) if (line.source, line.at) == self.found), None)

    def _entry_in_sight(self) -> Entry | None:
        index = self._index_in_sight()
        if index is None:
            index = min(self.bottom, len(self.lines) - 1)
        return self.lines[index] if index >= 0 else None

    # -- marks and events ---------------------------------------------------------------------------------------

    def toggle_mark(self) -> bool | None:
        """Draw a line after what is in sight, or take it away; whether there is one now, ``None`` without lines."""
        entry = self._entry_in_sight()
        if entry is None:
            return None
        mark = (self.sources[entry.source][0], entry.at, entry.raw)
        self._marks ^= {mark}
        self.repaint()
        return mark in self._marks

    def to_rule(self, by: int) -> bool:
        """Go to the next older (-1) or newer mark or event; whether there is one."""
        here = float("inf") if self.following else self.moment or self.moment_in_sight()
        ids = {id for id, _ in self.sources}
        times = [one.time for one in self.rules()] + [time_of(raw) for id, _, raw in self._marks if id in ids]
        ahead = [time for time in times if (time < here if by < 0 else time > here)]
        if not ahead:
            return False
        self.seek(max(ahead) if by < 0 else min(ahead))
        return True

    def rules(self) -> list[Rule]:
        """What happened to these containers, oldest first."""
        events, past = self.store.events, self.store.past_events
        ids = [id for id, _ in self.sources]
        key = (self.sources, len(events), events[-1] if events else None, tuple(id in past for id in ids))
        if key == self._rules_key:
            return self._rules
        known = {event: None for id in ids for event in past.get(id, ())}
        known |= {event: None for event in events if (event.container or event.id) in ids}
        several = len(ids) > 1
        found = [
            Rule(event.time, event.symbol, f"{event.name} {event.text}" if several else event.text, event.tone)
            for event in told(sorted(known, key=lambda event: event.time))
            if event.action in TOLD or event.action.startswith("health_status")
        ]
        self._rules, self._rules_key = sorted(found), key
        return self._rules

    def _rules_after(self, index: int, width: int, drawn: set[Rule]) -> list[Line]:
        """What happened between a line and the one after it, and where a day begins; drawn."""
        rules = self.rules()
        since = time_of(self.lines[index].raw) if index >= 0 else 0.0
        until = time_of(self.lines[index + 1].raw) if index + 1 < len(self.lines) else float("inf")
        if (index >= 0 and not since) or (index + 1 == len(self.lines) and not self.at_end):
            return []
        happened = [
            one for one in rules[bisect_left(rules, (since,)) : bisect_left(rules, (until,))] if one not in drawn
        ]
        drawn.update(happened)
        if index < 0:
            happened = happened[-1:]  # its last start; all that was before is on the page of events
        lines = [self._rule(one, width) for one in happened[-self._room() // 2 :]]
        if 0 <= index < len(self.lines) - 1 and until and (day := date(until)) != date(since):
            lines.append(rule(glyphs.DOT, day, self.palette.dim, width, self.palette))
        return lines

    def _mark_after(self, index: int, width: int) -> list[Line]:
        entry = self.lines[index]
        if (self.sources[entry.source][0], entry.at, entry.raw) not in self._marks:
            return []
        return [self._rule(Rule(time_of(entry.raw), glyphs.NAMED, "marked", "accent"), width)]

    def _rule(self, one: Rule, width: int) -> Line:
        tone: Style = getattr(self.palette, one.tone)
        return rule(one.symbol, f"{one.text} {glyphs.DOT} {clock(one.time)}", tone, width, self.palette)

    # -- painting -----------------------------------------------------------------------------------------------

    def subtitle(self) -> Line:
        """Whose logs."""
        return [Segment(self.name_shown, self.palette.dim)] if self.name_shown else []

    def paint(self, width: int, height: int) -> list[Line]:
        """Lines from the last in sight upwards, then the state of following."""
        room = max(height - 1, 0)
        shown: list[Line] = []
        index = min(self.bottom, len(self.lines) - 1)
        names = names_column([name for _, name in self.sources], self.palette) if len(self.sources) > 1 else []
        drawn: set[Rule] = set()
        limit, needles = (width * room if self.wrap else self.shifted + width), self._needles()
        while index >= 0 and len(shown) < room:
            block = self._draw(self.lines[index], width, names, limit, needles)
            shown[:0] = [*block, *self._mark_after(index, width), *self._rules_after(index, width, drawn)]
            index -= 1
        if index < 0 and self.at_start and self.lines:
            shown[:0] = self._rules_after(-1, width, drawn)
        self._first_shown = index + 1
        self._hidden_above = index >= 0 or len(shown) > room
        shown = shown[-room:] if room else []
        if not self.lines:
            shown = [[gap(1), Segment(self._nothing(), self.palette.dim)]]
        shown += [[gap(width)] for _ in range(room - len(shown))]
        return [*shown, self._status(width)]

    def _nothing(self) -> str:
        if self.message:
            return self.message
        if self.busy is not None:
            return f"looking through the log {glyphs.DOT} {self.busy:.0%}"
        if self.only:
            return f"no line is wanted by & {self.only_text}"
        return "nothing printed yet" if self.sources else "select a container to read its log"

    def _draw(
        self, entry: Entry, width: int, names: list[Segment], limit: int, needles: tuple[str, ...]
    ) -> list[Line]:
        """A line, of which no more than ``limit`` characters can come into sight."""
        palette = self.palette
        parsed = parse(entry.raw)
        head: Line = [gap(1)]
        if self.timestamps:
            style = palette.accent if (entry.source, entry.at) == self.found else palette.faint
            head.append(Segment(clock(parsed.time) + " ", style))
        if names:
            head.append(names[entry.source])
        room = width - length(head) - 1
        if room < 4:
            return [head]
        structured = None if self.as_printed else record_of(parsed.text)
        line = styled(parsed.text, palette) if structured is None else record(structured, palette)
        line = lit(clipped(line, limit), needles, palette)
        if not self.wrap:
            return [[*head, *cut(without(line, self.shifted) if self.shifted else line, room)]]
        first, *others = wrapped(line, room)
        return [[*head, *first], *([gap(width - room - 1), *other] for other in others)]

    def _needles(self) -> tuple[str, ...]:
        """Texts that are shown in the match colour."""
        wanted = "" if self.only.leave_out else required_literal(self.only.pattern)
        return (self.needle, wanted if len(wanted) > 2 or wanted == self.only.pattern else "")

    def _status(self, width: int) -> Line:
        palette = self.palette
        dot = f" {glyphs.DOT} "
        if self.following:
            left: Line = [Segment(" following", palette.good)]
            if self.rate >= 0.5:
                left.append(Segment(f"{dot}{self.rate:,.0f} lines/s", palette.dim))
        else:
            state = f" at {clock(self.moment)}" if self.moment else " staying"
            left = [Segment(state, palette.warn)]
            if not self.message:
                left.append(Segment(f"{dot}G follows", palette.dim))
        if self.busy is not None:
            left.append(Segment(f"{dot}looking {self.busy:.0%}, Esc stops", palette.accent))
        elif self.message and self.lines:
            left.append(Segment(dot + self.message, palette.warn))
        elif self.needle:
            left.append(Segment(f"{dot}/{self.needle}", palette.accent))
        if self.only:
            left.append(Segment(f"{dot}& {self.only_text}", palette.accent))
        if self.shifted:
            left.append(Segment(f"{dot}from column {self.shifted + 1}", palette.dim))
        keys = f"/ search   & only   f follow   w {'cut' if self.wrap else 'wrap'} "
        return spread(left, [Segment(keys, palette.dim)], width)
