"""One job, whole: its command line, what came of it, and how far each of its subjects is."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from rich.segment import Segment

from pyctr_tui import glyphs
from pyctr_tui.dialogs.dialog import Dialog
from pyctr_tui.figures import age, exact_size, percent, size
from pyctr_tui.safe_text import safe
from pyctr_tui.terminal.driver import arrange_again
from pyctr_tui.widgets.braille import bar
from pyctr_tui.widgets.draw import Line, cells, fill, gap, width_of
from pyctr_tui.widgets.pane import Pane

if TYPE_CHECKING:
    from textual import events

    from pyctr_engine.model.progress import Progress
    from pyctr_tui.jobs import Job

LABEL = 10
TONES = {"running": "accent", "done": "good", "failed": "bad", "cancelled": "warn"}
SYMBOLS = {"running": glyphs.RESTARTING, "done": glyphs.MARK, "failed": glyphs.FAILED, "cancelled": glyphs.EXITED}


class _JobPane(Pane):
    def __init__(self, job: Job, clock: Callable[[], float]) -> None:
        super().__init__()
        self.job = job
        self.clock = clock
        self.top = 0
        self.rows = 0

    def title(self) -> Line:
        return [Segment(self.job.title, self.palette.strong)]

    def subtitle(self) -> Line:
        keys = ["y copies"] if self.job.cli else []
        if self.job.state == "running":
            keys += ["d cancels"] if self.job.cancellable else []
        elif self.job.again is not None:
            keys.append("r runs it again")
        return [Segment(" · ".join([*keys, "Esc"]), self.palette.dim)]

    def thumb(self, height: int) -> tuple[int, int] | None:
        if self.rows <= height:
            return None
        return self.top * height // self.rows, (self.top + height) * height // self.rows - 1

    def paint(self, width: int, height: int) -> list[Line]:
        lines = self.lines(width)
        self.rows = len(lines)
        self.top = max(0, min(self.top, self.rows - height))
        return lines[self.top : self.top + height]

    def lines(self, width: int) -> list[Line]:
        """All of it."""
        job, palette = self.job, self.palette
        tone = getattr(palette, TONES[job.state])
        room = max(width - LABEL - 2, 8)
        lines: list[Line] = [[]]
        lines += self._block("state", f"{SYMBOLS[job.state]} {job.state}", room, tone)
        if job.cli:
            lines += self._block("command", job.command, room, palette.text)
        lines += self._block("began", self._times(), room, palette.text)
        if job.said:
            lines += self._block("result", job.said, room, tone if job.state == "failed" else palette.text)
        if job.state == "running" and job.figures():
            lines += self._block("so far", job.figures(), room, palette.strong)
        if job.done and job.state != "running":
            lines += self._block("bytes", exact_size(job.done), room, palette.text)
        if job.progress:
            lines.append([])
            lines += [self._step(step, width) for step in job.progress.values()]
        return lines

    def _times(self) -> str:
        job = self.job
        began = time.strftime("%H:%M:%S", time.localtime(job.began))
        took = (job.ended or self.clock()) - job.began
        if job.state == "running":
            return f"{began} · for {age(took)} now"
        return f"{began} · took {took:.1f} s" if took < 60 else f"{began} · took {age(took)}"

    def _block(self, label: str, text: str, room: int, style: object) -> list[Line]:
        pieces = textwrap.wrap(text, room, break_on_hyphens=False) or [""]
        lines: list[Line] = []
        for at, piece in enumerate(pieces):
            lines.append([cells(f" {label if not at else ''}", LABEL, self.palette.dim), Segment(piece, style)])  # type: ignore[arg-type]
        return lines

    def _step(self, step: Progress, width: int) -> Line:
        palette = self.palette
        names = min(30, max(width_of(safe(name)) for name in self.job.progress) + 1)
        line: Line = [gap(1), cells(safe(step.subject), names, palette.text)]
        if step.total:
            share = 1.0 if step.finished else min(step.done / step.total, 1.0)
            line += bar(share, 14, palette.dim if step.finished else palette.accent, palette.frame)
            figure = size(step.total) if step.finished else f"{percent(share * 100)} of {size(step.total)}"
            line.append(cells(figure, 13, palette.dim if step.finished else palette.text, right=True))
        tone = palette.dim if step.finished else palette.text
        return fill([*line, gap(1), Segment(safe(step.text), tone)], width)


class JobDialog(Dialog[None]):
    """Shows a job, and goes on showing how far it is. ``copy`` is given its command line."""

    def __init__(
        self, job: Job, clock: Callable[[], float], copy: Callable[[str], object], cancel: Callable[[Job], object]
    ) -> None:
        self._pane = _JobPane(job, clock)
        self._copy = copy
        self._cancel = cancel
        super().__init__(self._pane)

    def on_mount(self) -> None:
        """Count the seconds of one that runs."""
        super().on_mount()
        self.set_interval(1.0, self._pane.repaint)

    def wanted_size(self, width: int, height: int) -> tuple[int, int]:
        """As tall as what there is to say."""
        wide = min(92, width - 4)
        return wide, min(max(len(self._pane.lines(wide - 2)) + 3, 8), height - 2)

    def job_changed(self, job: Job) -> None:
        """It went on, or is over."""
        if job is self._pane.job:
            arrange_again(self)
            self._pane.repaint()

    def key(self, event: events.Key) -> None:
        """Scroll, copy, cancel, again, close."""
        job, pane = self._pane.job, self._pane
        steps = {"down": 1, "j": 1, "up": -1, "k": -1, "pagedown": 10, "pageup": -10, "g": -(1 << 20), "G": 1 << 20}
        if event.key in steps:
            pane.top = max(0, pane.top + steps[event.key])
            pane.repaint()
        elif event.key == "y" and job.cli:
            self._copy(job.command)
        elif event.key in ("d", "delete", "ctrl+x") and job.state == "running":
            self._cancel(job)
        elif event.key == "r" and job.state != "running" and job.again is not None:
            job.again()
            self.dismiss(None)
        elif event.key in ("escape", "q", "enter", "ctrl+c"):
            self.dismiss(None)
