"""The log of jobs: what was done and is being done, each with the command line that does the same."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.segment import Segment

from pyctr_tui import glyphs
from pyctr_tui.dialogs.job import SYMBOLS, TONES, JobDialog
from pyctr_tui.jobs import Job
from pyctr_tui.pages.page import Page
from pyctr_tui.panes.listing import ListPane
from pyctr_tui.safe_text import safe
from pyctr_tui.widgets.braille import bar
from pyctr_tui.widgets.draw import Line, cells, fill, gap, width_of

if TYPE_CHECKING:
    from pyctr_tui.jobs import Jobs
    from pyctr_tui.palette import Palette
    from pyctr_tui.screens.home import HomeScreen


class JobsPane(ListPane[Job]):
    """Jobs, the newest first."""

    has_header = False

    def __init__(self, jobs: Jobs) -> None:
        super().__init__(id="jobs")
        self.jobs = jobs

    def key(self, item: Job) -> str:
        """What makes it the same job."""
        return str(id(item))

    def update_rows(self) -> None:
        """Show what there is now."""
        self.show(tuple(reversed(self.jobs.all)))

    def title(self) -> Line:
        """How many there are."""
        return [Segment(f"Jobs {glyphs.DOT} {len(self.whole)}", self.palette.strong)]

    def empty(self, width: int) -> list[Line]:
        """Nothing yet."""
        return [
            [gap(1), Segment("nothing has been done yet; what keys do is kept here as commands", self.palette.dim)]
        ]

    def draw(self, item: Job, width: int) -> Line:
        """When, the command line, and what came of it."""
        palette = self.palette
        when = time.strftime("%H:%M:%S", time.localtime(item.began))
        tone = getattr(palette, TONES[item.state])
        command = item.command or item.title
        room = max(10, (width - 13) * 55 // 100)
        line = [
            Segment(f" {when} ", palette.faint),
            Segment(f"{SYMBOLS[item.state]} ", tone),
            cells(command, room, palette.text),
            gap(1),
        ]
        if item.state != "running":
            return [
                *line,
                cells(item.said, max(width - room - 14, 4), tone if item.state == "failed" else palette.dim),
            ]
        return fill([*line, *progress_line(item, palette, max(width - room - 14, 4))], width)


def progress_line(job: Job, palette: Palette, width: int) -> Line:
    """A job's progress over all its subjects: a bar where the whole is known, and how fast it goes; else the step."""
    step, figures = job.newest, job.figures()
    if step is None:
        return [Segment(glyphs.ELLIPSIS, palette.dim)]
    share = job.share
    if share is None or not job.done:
        return [Segment(f"{safe(step.subject)} {figures}", palette.dim)]
    room = max(4, min(20, width - width_of(figures) - 2))
    line = [*bar(share, room, palette.accent, palette.frame), Segment(f" {figures}", palette.text)]
    return [*line, Segment(f" {safe(step.text)}" if figures != safe(step.text) else "", palette.dim)]


class JobsPage(Page):
    """One list."""

    cli = "events"

    def __init__(self, home: HomeScreen) -> None:
        super().__init__(home)
        self.list = JobsPane(home.application.jobs)
        self.panes = (self.list,)

    def opened(self) -> None:
        """Show what there is."""
        self.list.update_rows()

    def job_changed(self, job: Job) -> None:
        """Show it."""
        self.list.update_rows()

    def action_cancel_job(self) -> None:
        """Cancel the selected job, if it runs and can be."""
        job = self.list.selected
        if job is not None:
            self.home.notify_line(self.application.jobs.cancel(job), "warn")

    def action_open(self) -> None:
        """Show the selected job whole."""
        job = self.list.selected
        if job is not None:
            dialog = JobDialog(job, self.application.clock, self.home.copy_text, self._cancel)
            self.home.app.push_screen(dialog)

    def _cancel(self, job: Job) -> None:
        self.home.notify_line(self.application.jobs.cancel(job), "warn")

    def action_job_again(self) -> None:
        """Do the same as the selected job once more."""
        job = self.list.selected
        if job is None or job.state == "running":
            self.home.notify_line("it is still running" if job is not None else "nothing has been done yet", "warn")
        elif job.again is None:
            self.home.notify_line("it is not done again without asking: do it where it was done", "warn")
        else:
            job.again()
            self.list.move_to(0)

    def action_copy(self) -> None:
        """Copy the selected job's command line."""
        job = self.list.selected
        if job is not None and job.cli:
            self.home.copy_text(job.command)
