"""Editing a stack's file, from wherever the stack is in sight."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pyctr_tui.actions.actions import Actions
from pyctr_tui.actions.stacks import file_of
from pyctr_tui.dialogs.form import Answers, Field, FormDialog

if TYPE_CHECKING:
    from pyctr_tui.details import Answer


class EditingActions(Actions):
    """On the selected stack, or that of the selected container."""

    def action_edit_stack(self) -> None:
        """Open its file in the editor; ask for one where none is known."""
        home = self._home
        containers = home.containers
        name = containers.container.stack if containers.container else ""
        if containers.stack is not None:
            name = containers.stack.key.removeprefix("stack:")
        engine = home.application.engine

        home.application.details.call("stack path", lambda: file_of(engine, name) if name else None, self._found)

    def _found(self, answer: Answer) -> None:
        from pyctr_tui.screens.editor import edit

        application = self._home.application
        if answer.error:
            self._home.notify_line(answer.error, "bad", 12.0)
        elif answer.value is not None:
            edit(application, *answer.value)
        else:
            fields = (Field("path", "file", "compose.yaml", "a stack file, made if it is not there", needed=True),)
            form = FormDialog("Edit a stack file", fields, "opens it")
            self._home.app.push_screen(form, lambda found: self._chosen(found))

    def _chosen(self, found: Answers | None) -> None:
        from pyctr_tui.screens.editor import edit

        if found is not None:
            edit(self._home.application, os.path.expanduser(found["path"]))
