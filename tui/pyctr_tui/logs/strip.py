"""The ends of several containers' logs, merged, for the strip that stands below the lists."""

from __future__ import annotations

from pyctr_engine.record import dataclass
from pyctr_tui.logs.file import Parsed, parse
from pyctr_tui.logs.merge import Logs, Place
from pyctr_tui.logs.news import Gathered, Merged, Rate, Source
from pyctr_tui.safe_text import safe_error
from pyctr_tui.trouble import told

LINES = 40
BLOCK = 16 << 10
"""Bytes that are read of a log at once: a strip shows few lines."""


class Strip:
    """What the strip shows of some containers, whose opened ``logs`` it takes over."""

    def __init__(self, sources: tuple[Source, ...] = (), logs: Logs | None = None) -> None:
        self._sources = sources
        self._logs = logs or Logs(())
        self._end: Place = ()
        self._until: float | None = None
        self._found: _Found | None = None
        self._rate = Rate()

    def read(self, until: float | None = None) -> Merged | None:
        """The last lines; ``None`` while there is nothing new. What keeps them from being read is told once.

        ``until``: those before a time, in seconds since the epoch.
        """
        try:
            return self._read(until)
        except OSError as error:
            self.close()
            self._sources, self._logs = (), Logs(())
            return Merged((("", Parsed(0.0, "", safe_error(told(error)))),), 0.0)

    def again(self) -> None:
        """What was read last has not been shown: let it be news once more."""
        self._end = ()

    def close(self) -> None:
        """Let go of the files."""
        self._logs.close()

    def _read(self, until: float | None) -> Merged | None:
        if not self._sources:
            return None
        if until != self._until:
            self._until, self._end, self._found = until, (), None
        self._logs.refresh()
        end = self._logs.end if until is None else self._place_of(until)
        if end == self._end and not self._rate.is_flowing:
            return None
        grown = self._logs.between(self._end, end) if self._end else 0
        gathered = Gathered(end, back=True)
        for step in self._logs.backwards(end):
            gathered.add(step)
            if len(gathered.lines) >= LINES:
                break
        self._end = end
        mean = max(1, gathered.size / max(1, len(gathered.lines)))
        lines = tuple((self._sources[one.source][1], parse(one.raw)) for one in reversed(gathered.lines))
        return Merged(lines, self._rate.count(grown / mean), until)

    def _place_of(self, until: float) -> Place:
        """Where what was printed at a time begins; looked for again only where that may have moved: at an end."""
        ends, known = self._logs.end, self._found
        if known is not None and known.restarts == self._logs.restarts:
            moved = (at >= then != now for at, then, now in zip(known.place, known.ends, ends, strict=True))
            if not any(moved):
                return known.place
        found = self._found = _Found(self._logs.find_time(until), ends, self._logs.restarts)
        return found.place


@dataclass(frozen=True, slots=True)
class _Found:
    """A place, and how the logs were when it was found."""

    place: Place
    ends: Place
    restarts: int
