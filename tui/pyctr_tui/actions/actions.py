"""What all actions share: whom they mean, asking before harm, and running as jobs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pyctr_engine.errors import EngineError
from pyctr_tui.figures import count
from pyctr_tui.safe_text import safe_error

if TYPE_CHECKING:
    from pyctr_tui.dialogs.confirm import Choice, Chosen, ConfirmDialog, Lines
    from pyctr_tui.dialogs.form import Answers, Field
    from pyctr_tui.jobs import Job
    from pyctr_tui.screens.home import HomeScreen
    from pyctr_tui.view import ContainerView, ImageView

NO_CONTAINER = "this is an image: select a container first"


class Actions:
    """Methods ``action_…`` are what the keymap's commands name."""

    def __init__(self, home: HomeScreen) -> None:
        self._home = home
        self._jobs = home.application.jobs

    # -- whom they mean -----------------------------------------------------------------------------------------

    def _targets(self) -> list[ContainerView]:
        """The marked containers, or the selected one, or the selected stack's; none where an image is shown."""
        store, containers = self._home.store, self._home.containers
        if self._home.selection.shows_image:
            self._home.notify_line(NO_CONTAINER, "warn")
            return []
        if store.marks:
            return [one for one in store.containers if one.id in store.marks]
        if containers.container is not None:
            return [containers.container]
        if (stack := containers.stack) is not None:
            return [one for one in store.containers if one.stack == stack.key.removeprefix("stack:")]
        self._home.notify_line("select a container first")
        return []

    def _one(self) -> ContainerView | None:
        container = self._home.containers.container
        if self._home.selection.shows_image:
            self._home.notify_line(NO_CONTAINER, "warn")
            return None
        if container is None:
            self._home.notify_line("select one container first")
        return container

    def _images(self) -> list[ImageView]:
        """The marked images, or the selected one."""
        home = self._home
        marked = [image for image in home.store.images if image.id in home.store.image_marks]
        if marked:
            return marked
        if home.images.selected is not None:
            return [home.images.selected]
        home.notify_line("select an image first")
        return []

    def _one_image(self) -> ImageView | None:
        image = self._home.images.selected
        if image is None:
            self._home.notify_line("select an image first · :pull fetches one")
        return image

    # -- doing --------------------------------------------------------------------------------------------------

    def _each(
        self,
        targets: Sequence[ContainerView],
        doing: str,
        done: str,
        verb: str,
        call: Callable[[str], object],
        again: bool = False,
    ) -> None:
        """Call for each target in one job; the last error is told when all have had their turn.

        ``verb`` is the command line's, options included: ``rm -f``. ``again``: see `Jobs.run`.
        """
        if not targets:
            return
        self._every(
            [(target.id, target.name) for target in targets], doing, several(targets), done, verb, call, again
        )

    def _every(
        self,
        targets: Sequence[tuple[str, str]],
        doing: str,
        what: str,
        done: str,
        verb: str,
        call: Callable[[str], object],
        again: bool = False,
        images: bool = False,
    ) -> None:
        """The same for anything: references to call with, and names to tell."""

        def work(job: Job) -> str | None:
            from pyctr_engine.errors import Cancelled

            trouble: list[EngineError] = []
            went = 0
            for ref, _ in targets:
                if job.cancel.is_set():
                    raise Cancelled("cancelled")
                try:
                    call(ref)
                    went += 1
                except EngineError as error:
                    trouble.append(error)
            if trouble and len(targets) > 1:
                last = trouble[-1]
                raise EngineError(f"{went} of {len(targets)} {done}; {last.message}", last.hint)
            if trouble:
                raise trouble[0]
            return None

        names = " ".join(name for _, name in targets)
        self._jobs.run(
            f"{doing} {what}",
            work,
            f"{what} {done}",
            f"{verb} {names}",
            cancellable=len(targets) > 1,
            again=again,
            images=images,
        )

    # -- asking -------------------------------------------------------------------------------------------------

    def _confirm(
        self,
        title: str,
        lines: Sequence[str] | Lines,
        word: str,
        then: Callable[[], object],
        choices: Sequence[Choice] = (),
        cli: str | Callable[[Chosen], str] = "",
    ) -> ConfirmDialog:
        """Ask, and do ``then`` after a yes. What was chosen with it, the dialog that is returned knows."""
        from pyctr_tui.dialogs.confirm import ConfirmDialog

        def answered(yes: bool | None) -> None:
            if yes:
                then()

        dialog = ConfirmDialog(title, lines, word, choices, cli)
        self._home.app.push_screen(dialog, answered)
        return dialog

    def _form(
        self,
        heading: str,
        fields: Sequence[Field],
        word: str,
        then: Callable[[Answers], object],
        cli: Callable[[Answers], str],
        check: Callable[[Answers], str] = lambda answers: "",
        notes: Sequence[str] = (),
        remark: Callable[[Answers], str] = lambda answers: "",
    ) -> None:
        """Ask for what an action has to know, and do ``then`` with it."""
        from pyctr_tui.dialogs.form import FormDialog

        def answered(answers: Answers | None) -> None:
            if answers is not None:
                then(answers)

        self._home.app.push_screen(FormDialog(heading, fields, word, notes, check, cli, remark), answered)


def several(targets: Sequence[ContainerView]) -> str:
    """One's name, or how many there are."""
    return targets[0].name if len(targets) == 1 else count(len(targets), "container")


def refusal(call: Callable[[], object]) -> str:
    """The sentence of the error that ``call`` raises, for a form's check; empty when it is fine."""
    try:
        call()
    except EngineError as error:
        return safe_error(error)
    return ""


def optional(option: str, value: str) -> tuple[str, ...]:
    """An option of a command line with its value; nothing without one."""
    return (option, value) if value else ()
