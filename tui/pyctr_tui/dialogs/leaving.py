"""Leaving while something is still being done: wait for it, cancel it, or end it with the program."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from rich.segment import Segment

from pyctr_tui import glyphs
from pyctr_tui.dialogs.dialog import Dialog
from pyctr_tui.figures import count
from pyctr_tui.widgets.draw import Line, cells, fill, gap
from pyctr_tui.widgets.pane import Pane

if TYPE_CHECKING:
    from textual import events

    from pyctr_tui.jobs import Job

Leaving = Literal["wait", "cancel", "leave"]

WAYS: tuple[tuple[str, Leaving, str], ...] = (
    ("w", "wait", "leave as soon as they are done"),
    ("c", "cancel", "cancel what can be cancelled, then leave"),
    ("l", "leave", "leave now: they run in this program and end with it"),
)
"""Key, answer, what it means."""
SHOWN = 6
"""Jobs that are named."""


class _LeavingPane(Pane):
    def __init__(self, jobs: Sequence[Job]) -> None:
        super().__init__()
        self.jobs = list(jobs)
        self.at = 0

    def title(self) -> Line:
        return [Segment(f"{count(len(self.jobs), 'job')} still running", self.palette.warn)]

    def subtitle(self) -> Line:
        return [Segment("Esc stays", self.palette.dim)]

    def lines(self) -> int:
        """How many lines it takes."""
        return min(len(self.jobs), SHOWN + 1) + len(WAYS) + 4

    def paint(self, width: int, height: int) -> list[Line]:
        palette = self.palette
        lines: list[Line] = [[]]
        for job in self.jobs[:SHOWN]:
            figures = f" {glyphs.DOT} {job.figures()}" if job.figures() else ""
            stays = "" if job.cancellable else f" {glyphs.DOT} can't be cancelled"
            lines.append([
                gap(2),
                Segment(f"{glyphs.RESTARTING} ", palette.accent),
                cells(f"{job.title}{figures}{stays}", max(width - 6, 1), palette.text),
            ])  # fmt: skip
        if len(self.jobs) > SHOWN:
            more = f"{glyphs.ELLIPSIS} and {len(self.jobs) - SHOWN} more"
            lines.append([gap(4), cells(more, max(width - 6, 1), palette.dim)])
        lines.append([])
        for at, (key, _, text) in enumerate(WAYS):
            chosen = palette.selected + palette.bold if at == self.at else palette.text
            lines.append(fill([gap(2), Segment(f" {key} ", palette.accent), Segment(f" {text} ", chosen)], width))
        return [*lines, [], [gap(2), cells("Containers go on, whatever you choose.", max(width - 4, 1), palette.dim)]]


class LeavingDialog(Dialog[Leaving]):
    """Returns how to leave, or ``None`` to stay."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._pane = _LeavingPane(jobs)
        super().__init__(self._pane)

    def wanted_size(self, width: int, height: int) -> tuple[int, int]:
        """The jobs and the ways."""
        return min(64, width - 4), min(self._pane.lines() + 2, height - 2)

    def job_changed(self, job: Job) -> None:
        """One went on, or is over: when all are, there is nothing to ask any more."""
        self._pane.jobs = [one for one in self._pane.jobs if one.state == "running"]
        if self._pane.jobs:
            self._pane.repaint()
        else:
            self.dismiss("wait")

    def key(self, event: events.Key) -> None:
        """A way, or Esc."""
        pane = self._pane
        for key, answer, _ in WAYS:
            if event.key == key:
                self.dismiss(answer)
                return
        if event.key in ("up", "k", "shift+tab"):
            pane.at = (pane.at - 1) % len(WAYS)
        elif event.key in ("down", "j", "tab"):
            pane.at = (pane.at + 1) % len(WAYS)
        elif event.key == "enter":
            self.dismiss(WAYS[pane.at][1])
        elif event.key in ("escape", "q", "ctrl+c"):
            self.dismiss(None)
        pane.repaint()
