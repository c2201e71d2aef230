"""What is done to whole stacks, from wherever they are in sight."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from pyctr_engine.errors import EngineError, NotFound
from pyctr_tui.actions.actions import Actions
from pyctr_tui.actions.loss import Loss
from pyctr_tui.safe_text import safe, safe_error

if TYPE_CHECKING:
    from pyctr_engine.engine import Engine
    from pyctr_engine.model.stack import Action
    from pyctr_tui.details import Answer
    from pyctr_tui.jobs import Job
    from pyctr_tui.view import ContainerView


class StackActions(Actions):
    """On the stacks that are named. Names and paths are as the engine takes them."""

    def up(self, path: str, name: str) -> None:
        """Make a stack be as its file says."""
        engine = self._home.application.engine
        shown = safe(name or path)

        def work(job: Job) -> str:
            stack = engine.load_stack(path, name)
            engine.up(stack, progress=job.report, cancel=job.cancel)
            return f"{stack.name} is up"

        named = f" -p {safe(name)}" if name else ""
        self._jobs.run(f"bringing up {shown}", work, "up", f"up{named} {safe(path)}", cancellable=True, images=True)

    def plan_up(self, path: str, name: str) -> None:
        """The same, after looking at what it would do; ``name`` is the stack's own when it is empty."""
        self._plan_up(lambda: (path, name))

    def plan_up_again(self, shown: str) -> None:
        """The same, of a stack that has been brought up before; ``shown`` is its name made harmless."""
        engine = self._home.application.engine

        def find() -> tuple[str, str]:
            if known := file_of(engine, shown):
                return known
            raise NotFound(f"the file of {shown} is not known", "bring it up from its file, among the stacks")

        self._plan_up(find)

    def _plan_up(self, find: Callable[[], tuple[str, str]]) -> None:
        home = self._home
        engine = home.application.engine

        def read() -> tuple[str, str, list[Action], str]:
            try:
                path, name = find()
                stack = engine.load_stack(path, name)
                return path, stack.name, [action for action in engine.plan(stack) if action.kind != "keep"], ""
            except EngineError as error:
                return "", "", [], safe_error(error)

        def then(answer: Answer) -> None:
            path, found, changes, error = answer.value or ("", "", (), answer.error)
            if error:
                home.notify_line(error, "bad", 12.0)
            elif changes:
                self.up_asking(path, found, changes)
            else:
                home.notify_line(f"{safe(found)} is as its file says", "good")

        home.application.details.call("plan of up", read, then)

    def up_asking(self, path: str, name: str, changes: Sequence[Action]) -> None:
        """The same, after asking when something that there is is replaced or goes."""
        if not replaces(changes):
            self.up(path, name)
            return
        cli = f"up -p {safe(name)} {safe(path)}"
        self._confirm(f"Bring up {safe(name)}?", told(changes), "bring up", lambda: self.up(path, name), cli=cli)

    def down(self, names: Sequence[str]) -> None:
        """Stop and remove stacks, after saying what goes."""
        from pyctr_tui.dialogs.confirm import Choice

        store, engine = self._home.store, self._home.application.engine
        shown = [safe(name) for name in names]
        loss = Loss(self._home, [one for one in store.containers if one.stack in shown], down=True)
        what = f"stack {shown[0]}" if len(names) == 1 else f"{len(names)} stacks"

        def cli(chosen: Mapping[str, str]) -> str:
            volumes = " -v" if chosen["all its volumes"] == "go" else ""
            return "; pyctr-tui ".join(f"down{volumes} -p {name}" for name in shown)

        def then() -> None:
            volumes = dialog.chosen["all its volumes"] == "go"

            def work(job: Job) -> None:
                for name in names:
                    engine.down(name, volumes, progress=job.report, cancel=job.cancel)

            store.marks.clear()
            one = shown[0] if len(names) == 1 else what
            done = f"{one} is down" if len(names) == 1 else f"{one} are down"
            self._jobs.run(f"taking down {one}", work, done, cli(dialog.chosen), cancellable=True)

        choice = Choice("v", "all its volumes", ("stay", "go"))
        dialog = self._confirm(f"Take down {what}?", loss.lines, "take down", then, (choice,), cli)
        loss.ask(dialog)

    def start_stop(self, name: str, members: Sequence[ContainerView]) -> None:
        """Stop those that run; start all when none does."""
        engine = self._home.application.engine
        running = [one for one in members if one.is_up]
        if running:
            self._every(_named(running), "stopping", safe(name), "stopped", "stop", engine.stop, again=True)
        else:
            self._every(_named(members), "starting", safe(name), "started", "start", engine.start, again=True)

    def restart(self, name: str, members: Sequence[ContainerView]) -> None:
        """Stop and start all of them."""
        restart = self._home.application.engine.restart
        self._every(_named(members), "restarting", safe(name), "restarted", "restart", restart, again=True)

    def pull(self, path: str, name: str) -> None:
        """Pull a stack's images."""
        engine = self._home.application.engine
        shown = safe(name)

        def work(job: Job) -> None:
            engine.pull_stack(engine.load_stack(path, name), job.report, job.cancel)

        self._jobs.run(
            f"pulling the images of {shown}", work, f"the images of {shown} are here",
            f"pull {safe(path)}" if path.endswith((".yaml", ".yml")) else "", cancellable=True, images=True,
        )  # fmt: skip


def replaces(changes: Sequence[Action]) -> bool:
    """Whether something that there is is replaced or goes."""
    return any(action.kind not in ("create", "start") for action in changes)


def told(changes: Sequence[Action]) -> list[str]:
    """What is said of changes before they are made."""
    lines = [f"{action.kind} {safe(action.container)}: {safe(action.reason)}" for action in changes]
    if replaces(changes):
        lines += ["", "What is recreated or removed loses the files it changed; named volumes stay."]
    return lines


def file_of(engine: Engine, shown: str) -> tuple[str, str] | None:
    """The file and the name of a stack that has been brought up; ``shown`` is its name made harmless."""
    found = (stack for stack in engine.stacks() if safe(stack.name) == shown and stack.path)
    return next(((stack.path, stack.name) for stack in found), None)


def _named(members: Sequence[ContainerView]) -> list[tuple[str, str]]:
    return [(one.id, one.name) for one in members]
