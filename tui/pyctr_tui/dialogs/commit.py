"""The commit dialog: what would be kept and how it grows, under which name, and the progress of keeping it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from pyctr_engine.errors import Cancelled
from pyctr_tui.actions.images import about_name
from pyctr_tui.dialogs.commit_form import CommitForm
from pyctr_tui.dialogs.commit_pane import CommitPane
from pyctr_tui.dialogs.dialog import Dialog
from pyctr_tui.safe_text import safe_error
from pyctr_tui.terminal.driver import arrange_again
from pyctr_tui.widgets.line_edit import LineEdit

if TYPE_CHECKING:
    from textual import events

    from pyctr_engine.errors import EngineError
    from pyctr_tui.application import Application
    from pyctr_tui.details import Answer
    from pyctr_tui.jobs import Job
    from pyctr_tui.view import ContainerView

EVERY = 2.0
"""Seconds between two countings of what has changed."""
EFFORT = 20
"""Counting may take one part in so many of the time."""


class CommitDialog(Dialog[str]):
    """Returns the new image's id, or ``None``: it was left, and the commit, if it had begun, goes on as a job."""

    def __init__(self, application: Application, container: ContainerView) -> None:
        base, _, _ = container.image.rpartition(":") if ":" in container.image else (container.image, "", "")
        form = CommitForm(LineEdit(f"{container.service or container.label or base}:new"))
        self._pane = CommitPane(container, form)
        self._application = application
        self._due = 0.0
        super().__init__(self._pane)
        selection = application.home.selection
        if selection.changes is not None and selection.changes_of == container.id:
            self._pane.show_changes(selection.changes)

    def wanted_size(self, width: int, height: int) -> tuple[int, int]:
        """Most of the screen, never more than can be read."""
        pane = self._pane
        files = len(pane.changes or ()) + pane.head + 5
        return min(96, width - 4), min(max(files, 20), 36, height - 2)

    def on_mount(self) -> None:
        """Count now, and again and again."""
        super().on_mount()
        self._count()
        self._check()
        self.set_interval(0.5, self._count)

    # -- what the engine says -------------------------------------------------------------------------------------

    def _count(self) -> None:
        """Ask what has changed, when it is time."""
        if time.monotonic() >= self._due and not self._pane.busy:
            self._due = time.monotonic() + 60.0
            self._application.details.ask("changes", self._pane.container.id)

    def answered(self, answer: Answer) -> None:
        """The changes have been counted."""
        pane = self._pane
        if answer.kind != "changes" or answer.ref != pane.container.id:
            return
        self._due = time.monotonic() + max(EVERY, EFFORT * answer.seconds)
        if answer.error:
            pane.error = answer.error
            pane.show_changes(())
        elif pane.changes != answer.value:
            before = len(pane.changes or ())
            pane.show_changes(answer.value)
            self._check()
            if before != len(answer.value):
                arrange_again(self)
        pane.repaint()

    def _check(self) -> None:
        """Have what is typed checked, and what it leaves out; the answer to what was typed last counts."""
        pane, engine = self._pane, self._application.engine
        request, paths = pane.form.request(), tuple(change.raw for change in pane.changes or ())
        pane.remark = about_name(self._application.home.store, request.name)

        def checked(answer: Answer) -> None:
            pane.wrong = answer.error
            if not answer.error:
                pane.left_out = answer.value
            pane.repaint()

        self._application.details.call("check-commit", lambda: engine.check_commit(request, paths), checked)

    # -- keys ---------------------------------------------------------------------------------------------------

    def key(self, event: events.Key) -> None:
        """Fields, list, commit."""
        pane = self._pane
        if event.key in ("escape", "ctrl+c"):
            self.dismiss(None)
            return
        if pane.busy:
            if event.key in ("ctrl+x", "delete") and pane.job is not None:
                self._application.home.notify_line(self._application.jobs.cancel(pane.job), "warn")
            return
        if event.key in ("tab", "shift+tab") or (event.key in ("down", "up") and pane.at != "files"):
            pane.go(1 if event.key in ("tab", "down") else -1)
            arrange_again(self)
        elif event.key == "enter":
            self._commit()
        elif pane.at == "files":
            self._list_key(event.key)
        elif pane.at == "pause":
            if event.key in ("space", "left", "right"):
                pane.form.pause = not pane.form.pause
        elif pane.edit is not None and pane.edit.key(event.key, event.character):
            self._typed()
        pane.repaint()

    def on_paste(self, event: events.Paste) -> None:
        """Paste into the field."""
        if self._pane.edit is not None and not self._pane.busy:
            self._pane.edit.insert(event.text)
            self._typed()
            self._pane.repaint()

    def _typed(self) -> None:
        pane = self._pane
        pane.error = ""
        if pane.at.startswith("change"):
            before = len(pane.form.changes)
            if pane.form.changes[-1].value.strip():
                pane.form.settle()
            if len(pane.form.changes) != before:
                arrange_again(self)
        self._check()

    def _list_key(self, key: str) -> None:
        pane = self._pane
        if not pane.changes:
            return
        steps = {"down": 1, "j": 1, "up": -1, "k": -1, "pagedown": pane.room, "pageup": -pane.room, "g": -(1 << 30),
                 "G": 1 << 30, "home": -(1 << 30), "end": 1 << 30}  # fmt: skip
        if key in ("space", "d", "x"):
            raw = pane.changes[pane.cursor].raw
            if not pane.form.picked(raw) or raw in pane.form.excluded:
                pane.form.excluded ^= {raw}
            pane.cursor = min(pane.cursor + 1, len(pane.changes) - 1)
            self._check()
        elif key in steps:
            if key in ("up", "k") and pane.cursor == 0:
                pane.go(-1)
            pane.cursor = max(0, min(pane.cursor + steps[key], len(pane.changes) - 1))

    # -- the work -----------------------------------------------------------------------------------------------

    def _commit(self) -> None:
        """Commit as a job; errors are shown here while the dialog is open."""
        pane, application = self._pane, self._application
        request, ref, engine = pane.form.request(), pane.container.id, application.engine
        if not request.name:
            pane.error, pane.at = "give the new image a name, as in shop:fixed", "name"
            return
        if pane.wrong:
            pane.error = pane.wrong
            return
        pane.error = ""

        def work(job: Job) -> Any:
            return engine.commit(ref, request, job.report)

        pane.job = application.jobs.run(
            f"committing {pane.container.name} as {request.name}",
            work,
            f"{pane.container.name} committed as {request.name}",
            pane.form.line(pane.container.name),
            self._done,
            self._failed,
            cancellable=True,
            images=True,
            expected=pane.total,
        )

    def job_changed(self, job: Job) -> None:
        """It went on."""
        if job is self._pane.job:
            self._pane.repaint()

    def _failed(self, error: EngineError) -> None:
        self._pane.error = "cancelled; nothing was made" if isinstance(error, Cancelled) else safe_error(error)
        self._pane.job = None
        self._due = 0.0
        self._pane.repaint()

    def _done(self, image: Any) -> None:
        if self.is_attached and self.is_current:
            self.dismiss(image.id)
        else:
            self._application.home.show_image(image.id, go=False)
