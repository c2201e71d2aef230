"""What keys do to containers and their stacks."""

from __future__ import annotations

from collections.abc import Mapping

from pyctr_engine.model.status import State
from pyctr_tui.actions.actions import Actions, several
from pyctr_tui.actions.loss import VOLUMES, Loss
from pyctr_tui.actions.stacks import StackActions

SIGNALS = {
    "KILL": "Its processes end at once (SIGKILL), without a chance to save anything.",
    "TERM": "It is asked to end (SIGTERM); most programs save what they have first.",
    "INT": "As if Ctrl+C were pressed in it (SIGINT).",
    "HUP": "Many programs read their configuration again on SIGHUP; others end.",
    "QUIT": "It is asked to end (SIGQUIT), by some programs with a dump of what they did.",
    "USR1": "What SIGUSR1 means is the program's own business; who doesn't know it ends.",
    "USR2": "What SIGUSR2 means is the program's own business; who doesn't know it ends.",
    "STOP": "Its first process stands still (SIGSTOP) until it is sent CONT.",
    "CONT": "Its first process goes on (SIGCONT) if it stood still.",
}
"""Signals to choose from, and what they do."""


class ContainerActions(Actions):
    """On the marked containers, the selected one, or the selected stack's."""

    def action_start_stop(self) -> None:
        """Stop what runs; start what doesn't, when none of the targets runs."""
        targets, engine = self._targets(), self._home.application.engine
        running = [target for target in targets if target.is_up]
        if running:
            self._each(running, "stopping", "stopped", "stop", engine.stop, again=True)
        else:
            self._each(targets, "starting", "started", "start", engine.start, again=True)

    def action_restart(self) -> None:
        """Stop and start."""
        restart = self._home.application.engine.restart
        self._each(self._targets(), "restarting", "restarted", "restart", restart, again=True)

    def action_pause(self) -> None:
        """Freeze what runs; when all targets are frozen, let them go on."""
        engine = self._home.application.engine
        found = self._targets()
        targets = [target for target in found if target.is_up]
        moving = [target for target in targets if target.state is State.RUNNING]
        if moving:
            self._each(moving, "pausing", "paused", "pause", engine.pause, again=True)
        elif targets:
            self._each(targets, "resuming", "goes on", "unpause", engine.unpause, again=True)
        elif found:
            self._home.notify_line("it is not running · s starts it", "warn")

    def action_limits(self) -> None:
        """Change the selected container's limits."""
        container = self._one()
        if container is None:
            return
        from pyctr_tui.dialogs.limits import LimitsDialog

        self._home.app.push_screen(LimitsDialog(self._home.application, container))

    def action_kill(self) -> None:
        """A signal, SIGKILL unless another is chosen, after asking."""
        found = self._targets()
        targets = [target for target in found if target.is_up]
        if not targets:
            if found:
                self._home.notify_line("it is not running", "warn")
            return
        from pyctr_tui.dialogs.confirm import Choice

        names = [f"{target.name}  {target.image}" for target in targets]
        engine = self._home.application.engine

        def lines(chosen: Mapping[str, str]) -> list[str]:
            return [*names, "", SIGNALS[chosen["signal"]], "Its files stay."]

        def cli(chosen: Mapping[str, str]) -> str:
            return " ".join((verb(chosen["signal"]), *(target.name for target in targets)))

        def verb(signal: str) -> str:
            return "kill" if signal == "KILL" else f"kill -s {signal}"

        def then() -> None:
            signal = dialog.chosen["signal"]
            done = "killed" if signal == "KILL" else f"was sent SIG{signal}"
            doing = "killing" if signal == "KILL" else f"sending SIG{signal} to"
            self._each(targets, doing, done, verb(signal), lambda ref: engine.kill(ref, signal))

        choice = Choice("s", "signal", tuple(SIGNALS))
        dialog = self._confirm(f"Kill {several(targets)}?", lines, "kill", then, (choice,), cli)

    def action_remove(self) -> None:
        """Remove, after saying what goes, and how much comes back."""
        targets = self._targets()
        if not targets:
            return
        loss = Loss(self._home, targets)
        engine, store = self._home.application.engine, self._home.store

        def cli(chosen: Mapping[str, str]) -> str:
            return " ".join((verb(chosen), *(target.name for target in targets)))

        def verb(chosen: Mapping[str, str]) -> str:
            return "rm -fv" if chosen["unnamed volumes"] == "go" else "rm -f"

        def then() -> None:
            volumes = dialog.chosen["unnamed volumes"] == "go"
            store.marks.clear()
            self._each(
                targets, "removing", "removed", verb(dialog.chosen), lambda ref: engine.remove(ref, True, volumes)
            )

        dialog = self._confirm(f"Remove {several(targets)}?", loss.lines, "remove", then, (VOLUMES,), cli)
        loss.ask(dialog)

    def action_up(self) -> None:
        """Make the selected stack, or the selected container's, be as its file says, after asking."""
        targets = self._targets()
        stacks = {target.stack for target in targets}
        if not targets:
            return
        if len(stacks) != 1 or "" in stacks:
            one = "select a stack, or a container of one"
            self._home.notify_line(one if len(stacks) == 1 else "one stack at a time is brought up", "warn")
            return
        StackActions(self._home).plan_up_again(stacks.pop())

    def action_down(self) -> None:
        """Stop and remove stacks (of the marked containers, or the selected one), after saying what goes."""
        targets = self._targets()
        stacks = list(dict.fromkeys(target.stack for target in targets if target.stack))
        if not targets:
            return
        if not stacks:
            self._home.notify_line("select a stack, or a container of one", "warn")
            return
        StackActions(self._home).down(stacks)

    def action_commit(self) -> None:
        """Open the commit dialog for the selected container."""
        container = self._one()
        if container is None:
            return
        from pyctr_tui.dialogs.commit import CommitDialog

        def committed(image_id: str | None) -> None:
            if image_id:
                self._home.selection.changes_of = ""
                self._home.show_image(image_id)

        self._home.app.push_screen(CommitDialog(self._home.application, container), committed)

    def action_show_logs(self) -> None:
        """The log of the selected container."""
        self._home.action_pane("logs")

    def action_show_diff(self) -> None:
        """What it changed."""
        self._home.action_pane("diff")

    def action_show_layers(self) -> None:
        """Its layers."""
        self._home.action_pane("layers")

    def action_inspect(self) -> None:
        """Everything about it."""
        self._home.action_pane("info")
