"""The thread that reads logs for the log pane and for the strip.

It looks for new bytes ten times a second. What came in between is read in one block; when that is more than a
block, the middle is skipped (it is in the file, scrolling back finds it), so that a flood costs no more than a
trickle. It reads on only when the interface has taken what was read before; what nobody takes for seconds, because
another program has the terminal, is dropped and read again later. A long look through a log is done in
steps, between which it goes on following and answers what is asked meanwhile.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal

from pyctr_engine.errors import EngineError
from pyctr_engine.record import replace
from pyctr_tui.logs import strip
from pyctr_tui.logs.file import BLOCK
from pyctr_tui.logs.log import Log
from pyctr_tui.logs.matching import Matcher, TooSlow, Unwanted
from pyctr_tui.logs.merge import Entry, Keep, Logs, Passed, Place
from pyctr_tui.logs.news import KEPT, Batch, Gathered, Merged, Rate, Source, advanced
from pyctr_tui.logs.query import Query, text_query
from pyctr_tui.logs.strip import Strip
from pyctr_tui.safe_text import safe_error
from pyctr_tui.trouble import told

if TYPE_CHECKING:
    from pyctr_engine.engine import Engine

TICK = 0.1
UNTAKEN = 5.0
"""Seconds after which news that nobody takes are dropped."""
STEP = 0.05
"""Seconds for which a long look goes on before anything else is looked at."""
TELL = 0.25
"""Seconds between two reports of it."""
FLOOD = 256 << 10
FLOOD_MATCHED = 2 << 20
"""More bytes than this in a moment are looked through in steps, with a filter."""
MOST = 1000
"""Lines read at once."""
ENOUGH = 100
"""Lines after which it is enough, when to find them takes long."""
MOST_BYTES = 512 << 10
GIVEN_UP = "given up"

When = Literal["now", "instead", "later"]
"""When a job is done: at once, instead of the long look that is going on, or after it."""


class LogReader:
    """Follows logs for the pane and for the strip; ``deliver`` is called from the thread."""

    def __init__(self, engine: Engine, deliver: Callable[[Batch | Merged], None]) -> None:
        self._engine = engine
        self._deliver = deliver
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._taken = threading.Event()
        self._taken.set()
        self._jobs: deque[tuple[When, Callable[[], None]]] = deque()
        self._started = self._stopped = False
        self._asked = self._done = 0
        self._wanted = self._serving = 0
        self._sources: tuple[Source, ...] = ()
        self._logs = Logs(())
        self._restarts = 0
        self._keep: Matcher | None = None
        self._needle: Matcher | None = None
        self._walk: Iterator[None] | None = None
        self._paused: Iterator[None] | None = None
        self._caught: tuple[Gathered, Place] | None = None
        self._following = self._behind = False
        self._settled = True
        self._at: Place = ()
        self._rate = Rate()
        self._strip = Strip()
        self._strip_until: float | None = None

    # -- for the interface --------------------------------------------------------------------------------------

    def watch(self, sources: Sequence[Source], query: Query) -> None:
        """Read these containers' logs, from their ends; of none nothing is read."""
        self._do("instead", lambda: self._open(tuple(sources), query))

    def watch_strip(self, sources: Sequence[Source]) -> None:
        """Read the ends of these containers' logs for the strip."""
        self._do("now", lambda: self._open_strip(tuple(sources)))

    def strip_until(self, when: float | None) -> None:
        """Read for the strip what was printed before a time (seconds since the epoch); ``None``: what is printed."""
        self._strip_until = when
        self._wake.set()

    def filter(self, query: Query, around: Entry | None) -> None:
        """Read only lines that are wanted: around a line, or from the ends."""
        self._do("instead", lambda: self._filter(query, around))

    def older(self, place: Place) -> None:
        """Read lines before a place."""
        self._do("later", lambda: self._more(place, "prepend"))

    def newer(self, place: Place) -> None:
        """Read lines from a place on."""
        self._do("later", lambda: self._more(place, "append"))

    def first(self) -> None:
        """Read the first lines."""
        self._do("instead", self._first)

    def follow(self) -> None:
        """Read the end, and what will come."""
        self._do("instead", self._tail)

    def stay(self) -> None:
        """Don't read what will come."""
        self._do("now", self._stay)

    def find(self, needle: str, place: Place, backwards: bool) -> None:
        """Look for a line with a text in it, before a place or from it on."""
        self._do("instead", lambda: self._find(needle, place, backwards))

    def seek(self, when: float) -> None:
        """Read around the first line printed at a time (seconds since the epoch) or later."""
        self._do("instead", lambda: self._seek(when))

    def give_up(self) -> None:
        """Stop the long look that is going on."""
        self._do("instead", self._give_up)

    def taken(self) -> None:
        """The last delivery has been shown: read on."""
        self._taken.set()

    @property
    def serial(self) -> int:
        """Number of the last request that took the place of all before: what answers an older one is stale."""
        return self._wanted

    @property
    def is_idle(self) -> bool:
        """Whether all that was asked for has been delivered and taken."""
        return self._done == self._asked and self._walk is None and self._taken.is_set()

    def stop(self) -> None:
        """Read no more."""
        self._stopped = True
        self._wanted += 1
        self._taken.set()
        self._wake.set()

    def _do(self, when: When, job: Callable[[], None]) -> None:
        self._asked += 1
        self._wanted += when == "instead"
        self._jobs.append((when, job))
        with self._lock:
            if not self._started:
                self._started = True
                threading.Thread(target=self._run, name="logs", daemon=True).start()
        self._wake.set()

    # -- the thread ---------------------------------------------------------------------------------------------

    def _run(self) -> None:
        looked = 0.0
        waiting: deque[Callable[[], None]] = deque()
        while not self._stopped:
            if self._walk is None and not waiting:
                self._wake.wait(TICK)
                self._wake.clear()
            self._take_jobs(waiting)
            self._guarded(self._step)
            if (now := time.monotonic()) - looked >= TICK * 3 / 4:
                looked = now
                if self._following and self._settled:
                    self._guarded(self._look)
                self._look_strip()
        self._logs.close()
        self._strip.close()
        self._query_with(Query())
        self._drop_needle()

    def _take_jobs(self, waiting: deque[Callable[[], None]]) -> None:
        """Do what is to be done at once, and what waited for the end of a long look, if it has come."""
        while self._jobs:
            when, job = self._jobs.popleft()
            if when == "later":
                waiting.append(job)
                continue
            if when == "instead":
                self._done += len(waiting)
                waiting.clear()
                self._walk = self._paused = None
                self._serving += 1
            self._guarded(job)
            self._done += 1
        while waiting and self._walk is None:
            self._guarded(waiting.popleft())
            self._done += 1

    def _guarded(self, job: Callable[[], None]) -> None:
        """Do something for which lines may be matched."""
        try:
            job()
        except Unwanted:
            self._walk = self._paused = None
        except TooSlow as error:
            self._fail(str(error))
        except Exception as error:  # noqa: BLE001 - told; were the thread to die of it, no log would be read any more
            self._fail(safe_error(told(error)))

    def _fail(self, said: str) -> None:
        self._walk, self._paused, self._following = None, None, False
        self._put(Batch(self._sources, "none", error=said, over=True))

    def _put(self, batch: Batch | Merged) -> bool:
        """Deliver when the last was taken. News that nobody takes for long are dropped (False), and read again."""
        if not self._taken.wait(UNTAKEN) and (isinstance(batch, Merged) or batch.live):
            self._behind = self._behind or isinstance(batch, Batch)
            return False
        self._taken.clear()
        if not self._stopped:
            self._deliver(batch if isinstance(batch, Merged) else replace(batch, serial=self._serving))
        return True

    # -- a long look --------------------------------------------------------------------------------------------

    def _go(self, walk: Iterator[None]) -> None:
        self._walk = walk
        self._step()

    def _step(self) -> None:
        """Go on with the long look for a while."""
        until = time.monotonic() + STEP
        while self._walk is not None and time.monotonic() < until:
            try:
                next(self._walk)
            except StopIteration:
                self._walk, self._paused = self._paused, None

    def _is_wanted(self) -> bool:
        return self._wanted == self._serving

    def _query_with(self, query: Query) -> None:
        if self._keep is not None:
            if self._keep.query == query:
                return
            self._keep.close()
        self._keep = Matcher(query, self._is_wanted) if query else None

    def _drop_needle(self) -> None:
        needle, self._needle = self._needle, None
        if needle is not None:
            needle.close()

    def _open(self, sources: tuple[Source, ...], query: Query) -> None:
        self._logs.close()
        self._sources = sources
        self._logs, error = self._opened(sources)
        self._restarts = self._logs.restarts
        self._query_with(query)
        if not sources or error:
            self._following = False
            self._put(Batch(sources, "replace", at_start=True, at_end=True, error=error))
        else:
            self._tail()

    def _opened(self, sources: tuple[Source, ...], block: int = BLOCK) -> tuple[Logs, str]:
        """Open the logs; if none of them can be had, why."""
        logs, said = [], []
        for id, _ in sources:
            try:
                path = self._engine.log_file(id)
            except EngineError as error:
                path = ""  # an empty one in its place: the container is gone
                said.append(safe_error(error))
            logs.append(Log(path))
        return Logs(logs, block), said[0] if said and len(said) == len(sources) else ""

    def _filter(self, query: Query, around: Entry | None) -> None:
        self._query_with(query)
        if around is None:
            self._tail()
        else:
            self._stay()
            if self._is_as_it_was():
                self._go(self._around(self._logs.place_of(around), anything=True))

    def _more(self, place: Place, how: Literal["prepend", "append"]) -> None:
        if self._is_as_it_was():
            self._go(self._fetch(place, how))

    def _is_as_it_was(self) -> bool:
        """Look at the files again; when places have lost their meaning, begin anew at the end."""
        self._logs.refresh()
        if self._logs.restarts == self._restarts:
            return True
        self._restarts = self._logs.restarts
        self._tail()
        return False

    def _first(self) -> None:
        self._stay()
        self._logs.refresh()
        self._go(self._fetch(self._logs.start, "append", fresh=True))

    def _tail(self) -> None:
        self._logs.refresh()
        self._restarts = self._logs.restarts
        self._behind = False
        self._drop_needle()
        self._at = self._logs.end
        self._following, self._settled, self._caught = True, False, None
        self._rate = Rate()
        self._go(self._fetch(self._at, "prepend", fresh=True))

    def _stay(self) -> None:
        self._following = False

    def _give_up(self) -> None:
        if not self._settled:
            self._settled = True
            if self._caught is not None:  # what is shown stays, with what was found so far below it
                gathered, top = self._caught
                lines = tuple(reversed(gathered.lines))
                self._put(Batch(self._sources, "append", lines, top, self._at, at_end=True, live=True))
            else:
                self._put(Batch(self._sources, "replace", (), self._at, self._at, at_end=True, live=True))
        self._put(Batch(self._sources, "none", error=GIVEN_UP))

    def _fetch(self, place: Place, how: Literal["prepend", "append"], fresh: bool = False) -> Iterator[None]:
        """Deliver lines before a place, or from it on: at once, or in pieces while it takes long.

        ``fresh``: the first piece replaces all that was delivered before.
        """
        back = how == "prepend"
        steps = (self._logs.backwards if back else self._logs.forwards)(place, self._keep)
        gathered = Gathered(place, back)
        told, ended, sent = time.monotonic(), True, 0
        for step in steps:
            gathered.add(step)
            if isinstance(step, Entry):
                count = sent + len(gathered.lines)
                if count >= MOST or (gathered.size >= MOST_BYTES and count >= ENOUGH):
                    ended = False
                    break
                continue
            yield
            if time.monotonic() - told > TELL:
                if sent + len(gathered.lines) >= ENOUGH:
                    ended = False
                    break
                told = time.monotonic()
                sent += len(gathered.lines)
                busy = self._part(place, gathered.edge, back)
                self._settled = True
                self._put(gathered.batch(self._sources, "replace" if fresh else how, False, busy))
                fresh = False
        self._settled = True
        self._put(gathered.batch(self._sources, "replace" if fresh else how, ended, None, self._following))

    def _part(self, start: Place, now: Place, back: bool) -> float:
        """How much of the way has been looked through."""
        whole = self._logs.between(self._logs.start, start) if back else self._logs.between(start, self._logs.end)
        done = self._logs.between(now, start) if back else self._logs.between(start, now)
        return min(done / max(whole, 1), 1.0)

    def _find(self, needle: str, place: Place, backwards: bool) -> None:
        self._stay()
        if not self._is_as_it_was():
            return
        query = text_query(needle)
        if self._needle is None or self._needle.query != query:
            self._drop_needle()
            self._needle = Matcher(query, self._is_wanted)
        self._go(self._search(place, backwards, _both(self._keep, self._needle)))

    def _search(self, place: Place, back: bool, keep: Keep) -> Iterator[None]:
        steps = (self._logs.backwards if back else self._logs.forwards)(place, keep)
        gathered = Gathered(place, back)
        told = time.monotonic()
        for step in steps:
            if isinstance(step, Entry):
                yield from self._around(self._logs.place_of(step), step)
                return
            gathered.add(step)
            yield
            if time.monotonic() - told > TELL:
                told = time.monotonic()
                self._put(Batch(self._sources, "busy", busy=self._part(place, gathered.edge, back)))
        self._put(Batch(self._sources, "none"))

    def _seek(self, when: float) -> None:
        self._stay()
        self._logs.refresh()
        self._go(self._around(self._logs.find_time(when), anything=True))

    def _around(self, place: Place, found: Entry | None = None, anything: bool = False) -> Iterator[None]:
        """Deliver lines on both sides of a place, as many as are found soon; the first behind it is what is shown.

        ``anything``: also when there is none behind it.
        """
        sides = []
        for back in (False, True):
            until = time.monotonic() + TELL
            gathered, ended = Gathered(place, back), True
            for step in (self._logs.backwards if back else self._logs.forwards)(place, self._keep):
                gathered.add(step)
                if isinstance(step, Passed):
                    yield
                if len(gathered.lines) >= MOST // 2 or gathered.size > MOST_BYTES or time.monotonic() > until:
                    ended = False
                    break
            sides.append((gathered, ended))
        (after, at_end), (before, at_start) = sides
        shown = found or next(iter(after.lines), None)
        if shown is None and not anything:
            self._put(Batch(self._sources, "none"))
            return
        lines = (*reversed(before.lines), *after.lines)
        where = (shown.source, shown.at) if shown else None
        self._put(Batch(self._sources, "found", lines, before.edge, after.edge, at_start, at_end, found=where))

    # -- following ----------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Deliver what has come."""
        if self._behind:
            self._tail()
        if not self._is_as_it_was() or not self._settled:
            return
        end = self._logs.end
        grown = self._logs.between(self._at, end)
        if not grown:
            if self._rate.is_flowing:
                rate = self._rate.count(0)
                self._put(Batch(self._sources, "append", (), self._at, self._at, at_end=True, rate=rate, live=True))
            return
        if self._keep is None and grown > FLOOD:
            self._skip_to(end, grown)
            return
        if grown > FLOOD_MATCHED:
            self._paused = self._walk
            self._go(self._catch_up(end))
            return
        gathered = Gathered(self._at, back=False)
        for step in self._logs.forwards(self._at, self._keep):
            gathered.add(step)
        start, self._at = self._at, gathered.edge
        lines = gathered.lines[-KEPT:]
        rate = self._rate.count(len(gathered.lines))
        if len(lines) == len(gathered.lines):
            self._put(
                Batch(self._sources, "append", tuple(lines), start, self._at, at_end=True, rate=rate, live=True)
            )
        else:
            top = advanced(start, gathered.lines[:-KEPT])
            self._put(Batch(self._sources, "replace", tuple(lines), top, self._at, at_end=True, rate=rate, live=True))

    def _skip_to(self, end: Place, grown: int) -> None:
        """Deliver the newest lines only: too much has come."""
        self._walk = None
        gathered = Gathered(end, back=True)
        for step in self._logs.backwards(end):
            gathered.add(step)
            if len(gathered.lines) >= MOST or gathered.size > FLOOD:
                break
        self._at = end
        mean = max(1, gathered.size / max(1, len(gathered.lines)))
        rate = self._rate.count(grown / mean)
        lines = tuple(reversed(gathered.lines))
        self._put(Batch(self._sources, "replace", lines, gathered.edge, end, at_end=True, rate=rate, live=True))

    def _catch_up(self, end: Place) -> Iterator[None]:
        """Deliver the newest of the wanted lines that have come; when they are few, all of them.

        A look through what was there before goes on afterwards, unless that is no longer next to what is shown.
        """
        start, self._at, self._settled = self._at, end, False
        gathered = Gathered(end, back=True)
        self._caught = gathered, start
        missing = {source for source, at in enumerate(start) if at < end[source]}
        how: Literal["append", "replace"] = "append"
        busy = False
        whole, told = self._logs.between(start, end), time.monotonic()
        for step in self._logs.backwards(end, self._keep):
            if step.at >= start[step.source]:
                gathered.add(step)
            if step.at <= start[step.source]:
                missing.discard(step.source)
            if not missing:
                break
            if len(gathered.lines) >= MOST or gathered.size > FLOOD:
                how, busy, self._paused = "replace", busy or self._paused is not None, None
                break
            if isinstance(step, Entry):
                continue
            yield
            if not self._following:
                break
            if time.monotonic() - told > TELL:
                told, busy = time.monotonic(), True
                part = self._logs.between(gathered.edge, end) / whole
                self._put(Batch(self._sources, "busy", busy=part, live=True))
        self._settled = True
        if self._following:
            lines, top = tuple(reversed(gathered.lines)), gathered.edge if how == "replace" else start
            rate = self._rate.count(len(lines) * whole / self._logs.between(top, end))
            self._put(Batch(self._sources, how, lines, top, end, at_end=True, rate=rate, live=True))
        if busy:
            self._put(Batch(self._sources, "busy", live=True))

    # -- the strip ----------------------------------------------------------------------------------------------

    def _open_strip(self, sources: tuple[Source, ...]) -> None:
        self._strip.close()
        self._strip = Strip(sources, self._opened(sources, strip.BLOCK)[0])
        if sources:
            self._look_strip()
        else:
            self._put(Merged((), 0.0))

    def _look_strip(self) -> None:
        news = self._strip.read(self._strip_until)
        if news is not None and not self._put(news):
            self._strip.again()


def _both(keep: Keep | None, needle: Keep) -> Keep:
    """Lines that are wanted by both."""
    if keep is None:
        return needle
    first = keep

    def both(block: bytes, head: Callable[[], bytes]) -> list[tuple[int, int]]:
        found = needle(block, head)
        if not found:
            return found
        kept = set(first(block, head))
        return [span for span in found if span in kept]

    return both
