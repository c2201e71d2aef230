"""What keys do to containers and images. Engine calls run in threads; what came of them is one line at the bottom."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pyctr_engine.errors import EngineError
from pyctr_engine.model.status import State
from pyctr_tui.figures import count, exact_size
from pyctr_tui.grouping import SORTS
from pyctr_tui.safe_text import safe

if TYPE_CHECKING:
    from pyctr_tui.screens.home import HomeScreen
    from pyctr_tui.view import ContainerView


class Actions:
    """The actions of the home screen that reach beyond a pane."""

    def __init__(self, home: HomeScreen) -> None:
        self._home = home

    # -- running ------------------------------------------------------------------------------------------------

    def run(self, doing: str, done: str, work: Callable[[], object], images: bool = False) -> None:
        """Do ``work`` in a thread, saying what is being done, and then that it is done or why not."""
        home = self._home
        home.notify_line(f"{doing} …", "dim", seconds=0)

        def body() -> None:
            try:
                work()
            except EngineError as error:
                hint = f" · {error.hint}" if error.hint else ""
                home.application.from_thread(home.notify_line, safe(error.message + hint), "bad", 12.0)
            else:
                home.application.from_thread(home.notify_line, done, "good")
            home.application.feed.refresh(images=images)

        threading.Thread(target=body, name="action", daemon=True).start()

    def _targets(self) -> list[ContainerView]:
        """The marked containers, or the selected one, or the selected stack's."""
        store, containers = self._home.store, self._home.containers
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
        if container is None:
            self._home.notify_line("select one container first")
        return container

    def _each(self, targets: Sequence[ContainerView], doing: str, done: str, call: Callable[[str], object]) -> None:
        if not targets:
            return
        what = targets[0].name if len(targets) == 1 else count(len(targets), "container")

        def work() -> None:
            trouble: EngineError | None = None
            for target in targets:
                try:
                    call(target.id)
                except EngineError as error:
                    trouble = error
            if trouble is not None:
                raise trouble

        self.run(f"{doing} {what}", f"{what} {done}", work)

    def _confirm(self, title: str, lines: Sequence[str], word: str, then: Callable[[], None]) -> None:
        from pyctr_tui.dialogs.confirm import ConfirmDialog

        def answered(yes: bool | None) -> None:
            if yes:
                then()

        self._home.app.push_screen(ConfirmDialog(title, lines, word), answered)

    # -- containers ---------------------------------------------------------------------------------------------

    def start_stop(self) -> None:
        """Stop what runs; start what doesn't, when none of the targets runs."""
        targets, engine = self._targets(), self._home.application.engine
        running = [target for target in targets if target.is_up]
        if running:
            self._each(running, "stopping", "stopped", engine.stop)
        else:
            self._each(targets, "starting", "started", engine.start)

    def restart(self) -> None:
        """Stop and start."""
        self._each(self._targets(), "restarting", "restarted", self._home.application.engine.restart)

    def pause(self) -> None:
        """Freeze what runs; when all targets are frozen, let them go on."""
        engine = self._home.application.engine
        targets = [target for target in self._targets() if target.is_up]
        moving = [target for target in targets if target.state is State.RUNNING]
        if moving:
            self._each(moving, "pausing", "paused", engine.pause)
        elif targets:
            self._each(targets, "resuming", "goes on", engine.unpause)
        else:
            self._home.notify_line("it is not running · s starts it", "warn")

    def kill(self) -> None:
        """SIGKILL, after asking."""
        targets = [target for target in self._targets() if target.is_up]
        if not targets:
            self._home.notify_line("it is not running", "warn")
            return
        lines = [f"{target.name}  {target.image}" for target in targets]
        lines += ["", "Its processes end at once (SIGKILL), without a chance to save anything.", "Its files stay."]
        kill = self._home.application.engine.kill
        self._confirm(
            f"Kill {_several(targets)}?", lines, "kill", lambda: self._each(targets, "killing", "killed", kill)
        )

    def remove(self) -> None:
        """Remove, after saying what goes."""
        targets = self._targets()
        if not targets:
            return
        running = [target for target in targets if target.is_up]
        lines = [f"{target.symbol()} {target.name}  {target.image}" for target in targets]
        lines.append("")
        if running:
            lines.append(f"{_several(running)} still runs and is killed first." if len(running) == 1 else
                         f"{len(running)} of them still run and are killed first.")  # fmt: skip
        selection = self._home.selection
        if len(targets) == 1 and selection.changes is not None and selection.changes_of == targets[0].id:
            size = sum(change.size for change in selection.changes)
            lines.append(
                f"Gone for good: {exact_size(size)} in {count(len(selection.changes), 'changed path')}, its log."
            )
        else:
            lines.append("Gone for good: the files they changed and their logs.")
        lines.append("Images and named volumes stay.")
        engine, store = self._home.application.engine, self._home.store

        def then() -> None:
            store.marks.clear()
            self._each(targets, "removing", "removed", lambda ref: engine.remove(ref, force=True))

        self._confirm(f"Remove {_several(targets)}?", lines, "remove", then)

    def remove_image(self) -> None:
        """Remove an image, after saying what goes."""
        image = self._home.images.selected
        if image is None:
            return
        lines = [*(image.names or (image.label,)), "", f"{exact_size(image.size)} in {count(image.layers, 'layer')}"]
        if image.used_by:
            users = [self._home.store.by_id[id].name for id in image.used_by if id in self._home.store.by_id]
            lines.append(f"{count(len(image.used_by), 'container')} made from it: {', '.join(users[:6])}")
            lines.append("The engine refuses while they exist.")
        engine = self._home.application.engine
        work = lambda: engine.remove_image(image.id)  # noqa: E731
        self._confirm(
            f"Remove image {image.label}?",
            lines,
            "remove",
            lambda: self.run(f"removing {image.label}", f"{image.label} removed", work, images=True),
        )

    def down(self) -> None:
        """Stop and remove a stack, after saying what goes."""
        containers, store = self._home.containers, self._home.store
        stack = containers.container.stack if containers.container else ""
        if containers.stack is not None:
            stack = containers.stack.key.removeprefix("stack:")
        if not stack:
            self._home.notify_line("select a stack, or a container of one", "warn")
            return
        members = [one for one in store.containers if one.stack == stack]
        lines = [f"{one.symbol()} {one.name}  {one.image}" for one in members]
        lines += ["", "They are stopped and removed with the files they changed and their logs.",
                  "Images and named volumes stay."]  # fmt: skip
        engine = self._home.application.engine
        self._confirm(
            f"Take down stack {stack}?",
            lines,
            "take down",
            lambda: self.run(f"taking down {stack}", f"{stack} is down", lambda: engine.down(stack)),
        )

    def commit(self) -> None:
        """Open the commit dialog for the selected container."""
        container = self._one()
        if container is None:
            return
        from pyctr_tui.dialogs.commit import CommitDialog

        def committed(image_id: str | None) -> None:
            if image_id:
                self._home.selection.changes_of = ""
                self.show_image(image_id)

        self._home.app.push_screen(CommitDialog(self._home.application, container), committed)

    def show_image(self, image_id: str, patience: int = 40) -> None:
        """Select an image that is about to appear."""
        home = self._home
        if home.images.select(image_id):
            home.action_pane("images")
        elif patience:
            home.application.feed.refresh(images=True)
            home.set_timer(0.05, lambda: self.show_image(image_id, patience - 1))

    def exec(self) -> None:
        """A shell in the selected container, over the whole screen."""
        container = self._one()
        if container is None:
            return
        if not container.state.can_exec:
            self._home.notify_line(f"{container.name} is not running · s starts it", "warn")
            return
        from pyctr_tui.terminal.handover import shell

        said, tone = shell(self._home.application, container)
        if said:
            self._home.notify_line(said, tone)

    # -- views --------------------------------------------------------------------------------------------------

    def show_logs(self) -> None:
        """The log of the selected container."""
        self._home.action_pane("logs")

    def show_diff(self) -> None:
        """What it changed."""
        self._home.action_pane("diff")

    def show_layers(self) -> None:
        """Its layers."""
        self._home.action_pane("layers")

    def inspect(self) -> None:
        """Everything about it."""
        self._home.action_pane("info")

    # -- the list -----------------------------------------------------------------------------------------------

    def mark(self) -> None:
        """Mark or unmark, and go on to the next; on a stack's row all of it."""
        home = self._home
        container, stack = home.containers.container, home.containers.stack
        if container is not None:
            home.store.marks ^= {container.id}
        elif stack is not None:
            name = stack.key.removeprefix("stack:")
            members = {one.id for one in home.store.containers if one.stack == name}
            home.store.marks = (
                home.store.marks - members if members <= home.store.marks else home.store.marks | members
            )
        home.containers.move(1)
        home.containers.repaint()

    def sort(self) -> None:
        """Sort by the next column."""
        store = self._home.store
        store.sort = SORTS[(SORTS.index(store.sort) + 1) % len(SORTS)]
        self._home.containers.update_rows()

    def running(self) -> None:
        """All containers, or the running ones."""
        self._home.store.running_only = not self._home.store.running_only
        self._home.containers.update_rows()

    def fold(self, is_open: bool) -> None:
        """Expand or collapse the selected stack."""
        containers, store = self._home.containers, self._home.store
        row = containers.stack
        name = row.key.removeprefix("stack:") if row else containers.container.stack if containers.container else None
        if name is None:
            return
        store.closed = store.closed - {name} if is_open else store.closed | {name}
        containers.update_rows()
        containers.select(f"stack:{name}") if not is_open else None
        self._home.rearrange()

    def collapse(self) -> None:
        """Collapse the stack the cursor is in."""
        self.fold(False)

    def expand(self) -> None:
        """Expand it."""
        self.fold(True)

    # -- the screen ---------------------------------------------------------------------------------------------

    def copy(self) -> None:
        """Copy the selected thing's name to the terminal's clipboard."""
        home = self._home
        names: dict[str, Callable[[], str]] = {
            "logs": home.logs.line_in_sight,
            "images": lambda: home.images.selected.label if home.images.selected else "",
            "diff": lambda: home.diff.selected.path if home.diff.selected else "",
            "info": lambda: home.info.selected.value if home.info.selected else "",
            "ps": lambda: str(home.ps.selected.pid) if home.ps.selected else "",
        }
        text = names[home.focus_name]() if home.focus_name in names else ""
        if not text and home.containers.container is not None:
            text = home.containers.container.name
        if text:
            home.app.copy_to_clipboard(text)
            home.notify_line(f"copied: {text}", "good")

    def refresh(self) -> None:
        """Read everything again."""
        self._home.application.feed.refresh(images=True)
        self._home.repaint_all()

    def theme(self) -> None:
        """The next theme."""
        self._home.notify_line(f"theme {self._home.application.next_theme()}")

    def palette(self) -> None:
        """All actions by name."""
        from pyctr_tui.dialogs.command_palette import CommandPalette

        self._home.app.push_screen(CommandPalette(self._home), self._chosen)

    def _chosen(self, chosen: Callable[[], object] | None) -> None:
        if chosen is not None:
            chosen()

    def help(self) -> None:
        """The keys of where you are."""
        from pyctr_tui.dialogs.help import HelpDialog

        self._home.app.push_screen(HelpDialog(self._home.application.keymap, self._home.focus_name))

    def suspend(self) -> None:
        """Back to the shell, as Ctrl+Z does anywhere."""
        self._home.app.action_suspend_process()

    def quit(self) -> None:
        """Leave; containers go on."""
        self._home.application.leave()


def _several(targets: Sequence[ContainerView]) -> str:
    return targets[0].name if len(targets) == 1 else count(len(targets), "container")
