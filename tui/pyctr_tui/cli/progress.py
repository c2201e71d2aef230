"""How far long work has come: a line that changes on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import time
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

from pyctr_tui.cli import text

if TYPE_CHECKING:
    from pyctr_engine.model.progress import Progress

INTERVAL = 0.1
"""Seconds between two drawings of the same line."""


class ProgressLine:
    """A sink for `Progress`, and a context manager that leaves the line clean.

    On a terminal, what goes on is one line, redrawn, and what is finished stays above it. Elsewhere each subject
    gets a line when it is finished, or when what is done with it changes.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._terminal = stream.isatty()
        self._said: dict[str, str] = {}
        self._began: dict[str, float] = {}
        self._drawn = 0.0
        self._dirty = False

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._clear()
        self._stream.flush()

    def __call__(self, progress: Progress) -> None:
        """Show one step."""
        now = time.monotonic()
        if self._said.get(progress.subject) != progress.text:
            self._began[progress.subject] = now
        if progress.finished:
            self._say(progress)
        elif not self._terminal:
            if self._said.get(progress.subject) != progress.text:
                self._say(progress)
        elif now - self._drawn >= INTERVAL or not self._dirty:
            self._draw(progress, now)
        self._said[progress.subject] = progress.text

    def _say(self, progress: Progress) -> None:
        self._clear()
        show = text.harmless if self._terminal else str
        self._stream.write(f"{show(progress.subject)}  {show(progress.text)}\n")
        self._stream.flush()

    def _draw(self, progress: Progress, now: float) -> None:
        self._clear()
        line = text.harmless(f"{progress.subject}  {progress.text}{self._amount(progress, now)}")
        self._stream.write(line[: self._columns() - 1])
        self._stream.flush()
        self._dirty, self._drawn = True, now

    def _amount(self, progress: Progress, now: float) -> str:
        """Bytes done, of how many, and how many a second."""
        if not progress.done:
            return ""
        seconds = now - self._began[progress.subject]
        rate = f"  {text.size(progress.done / seconds)}/s" if seconds > INTERVAL else ""
        total = f" / {text.size(progress.total)}" if progress.total else ""
        return f"  {text.size(progress.done)}{total}{rate}"

    def _clear(self) -> None:
        if self._dirty:
            self._stream.write("\r\x1b[K")
            self._dirty = False

    def _columns(self) -> int:
        try:
            return os.get_terminal_size(self._stream.fileno()).columns
        except OSError:
            return 80
