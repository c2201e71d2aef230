"""How far many things at once have come: a row for each on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import time
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

from pyctr_tui.cli import text

if TYPE_CHECKING:
    from pyctr_engine.model.progress import Progress

INTERVAL = 0.1
"""Seconds between two drawings."""

_SMOOTHING = 0.3
"""How much a new reading counts for the rate that is shown."""


class _Row:
    """One subject: what is done with it, and how fast."""

    def __init__(self, step: Progress, now: float) -> None:
        self.step = step
        self.rate = 0.0
        self._since = now
        self._done = step.done

    def update(self, step: Progress, now: float) -> None:
        """Take a further step."""
        if step.text != self.step.text or step.done < self._done:
            self.rate, self._since, self._done = 0.0, now, step.done
        elif now - self._since >= INTERVAL:
            rate = (step.done - self._done) / (now - self._since)
            self.rate = rate if not self.rate else _SMOOTHING * rate + (1 - _SMOOTHING) * self.rate
            self._since, self._done = now, step.done
        self.step = step

    def line(self) -> str:
        """``0123456789ab  downloading  12MB / 70MB  35MB/s  2s left``."""
        step = self.step
        words = [step.subject, step.text]
        if step.done and not step.finished:
            words.append(text.size(step.done) + (f" / {text.size(step.total)}" if step.total else ""))
            if self.rate > 0:
                words.append(f"{text.size(self.rate)}/s")
                if step.total > step.done:
                    words.append(f"{left(step.total - step.done, self.rate)} left")
        return text.harmless("  ".join(words))


def left(size: int, rate: float) -> str:
    """How long ``size`` bytes take, e.g. ``45s``, ``3m05s``."""
    seconds = round(size / rate)
    if seconds < 60:
        return f"{max(seconds, 1)}s"
    minutes, seconds = divmod(seconds, 60)
    return f"{minutes}m{seconds:02d}s" if minutes < 60 else f"{minutes // 60}h{minutes % 60:02d}m"


class ProgressRows:
    """A sink for `Progress`, and a context manager that leaves whole lines behind."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._terminal = stream.isatty()
        self._rows: dict[str, _Row] = {}
        self._drawn_rows = 0
        self._drawn = 0.0

    def __enter__(self) -> ProgressRows:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if self._rows and self._terminal:
            self._draw(time.monotonic(), everything=True)
        self._stream.flush()

    def __call__(self, step: Progress) -> None:
        """Show one step."""
        now = time.monotonic()
        row = self._rows.get(step.subject)
        if not self._terminal:
            if row is None or row.step.text != step.text:
                self._stream.write(f"{step.subject}  {step.text}\n")
                self._stream.flush()
            self._rows[step.subject] = _Row(step, now)
            return
        if row is None:
            self._rows[step.subject] = _Row(step, now)
        else:
            row.update(step, now)
        if step.finished or now - self._drawn >= INTERVAL:  # what is finished may be the last that is heard
            self._draw(now)

    def _draw(self, now: float, *, everything: bool = False) -> None:
        """Write the rows again where they were; at the end all of them, before that as many as there is room for."""
        columns, lines = self._size()
        shown = list(self._rows.values())
        if not everything and len(shown) >= lines:
            active = [row for row in shown if not row.step.finished]
            shown = (active or shown)[: lines - 1]
        out = [f"\x1b[{self._drawn_rows}A"] if self._drawn_rows else []
        out += [f"\r\x1b[K{row.line()[: columns - 1]}\n" for row in shown]
        if len(shown) < self._drawn_rows:
            out.append("\x1b[J")
        self._stream.write("".join(out))
        self._stream.flush()
        self._drawn_rows, self._drawn = len(shown), now

    def _size(self) -> tuple[int, int]:
        try:
            columns, lines = os.get_terminal_size(self._stream.fileno())
        except OSError:
            return 80, 24
        return max(columns, 20), max(lines, 3)
