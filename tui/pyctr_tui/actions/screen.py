"""What keys do to the screen: copy, palette, help, theme, leaving."""

from __future__ import annotations

from collections.abc import Callable

from pyctr_tui.actions.actions import Actions
from pyctr_tui.figures import count
from pyctr_tui.store import BASES


class ScreenActions(Actions):
    """On the program itself."""

    def action_copy(self) -> None:
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
        if not text and home.selection.shows_image and home.selection.image is not None:
            text = home.selection.image.label
        if not text and home.containers.container is not None:
            text = home.containers.container.name
        if text:
            home.copy_text(text)

    def action_refresh(self) -> None:
        """Read everything again."""
        self._home.application.feed.refresh(images=True)
        self._home.repaint_all()

    def action_theme(self) -> None:
        """The next theme."""
        self._home.notify_line(f"theme {self._home.application.next_theme()}")

    def action_host(self) -> None:
        """The machine's graphs in place of what is selected, or back."""
        home = self._home
        home.graphs.of_host = not (home.graphs.of_host and home.graphs.shown)
        home.graphs.end = home.graphs.cursor = None
        if home.graphs.shown:
            home.graphs.repaint()
        else:
            home.action_pane("graphs")

    def action_basis(self) -> None:
        """What 100% of cpu is: one CPU, the container's limit, all the host's."""
        home, store = self._home, self._home.store
        store.basis = BASES[(BASES.index(store.basis) + 1) % len(BASES)]
        told = {
            "cpu": "100% of cpu is one CPU",
            "limit": "100% of cpu is the container's limit; one without a limit is shown as a share of the host",
            "host": f"100% of cpu is all {store.host.cpus if store.host else ''} CPUs of the host",
        }
        home.repaint_all()
        home.notify_line(told[store.basis])

    def action_palette(self) -> None:
        """All actions by name."""
        from pyctr_tui.dialogs.command_palette import CommandPalette

        self._home.app.push_screen(CommandPalette(self._home), self._chosen)

    def _chosen(self, chosen: Callable[[], object] | None) -> None:
        if chosen is not None:
            chosen()

    def action_help(self) -> None:
        """The keys of where you are."""
        from pyctr_tui.dialogs.help import HelpDialog

        self._home.app.push_screen(HelpDialog(self._home.application.keymap, self._home.focus_name))

    def action_suspend(self) -> None:
        """Back to the shell, as Ctrl+Z does anywhere."""
        self._home.app.action_suspend_process()

    def action_quit(self) -> None:
        """Leave; containers go on. What is still being done here is asked about."""
        running = list(self._jobs.running)
        if not running:
            self._home.application.leave()
            return
        from pyctr_tui.dialogs.leaving import LeavingDialog

        self._home.app.push_screen(LeavingDialog(running), self._leave)

    def _leave(self, way: str | None) -> None:
        running = list(self._jobs.running)
        self._home.leaving = way in ("wait", "cancel")
        if way == "cancel":
            for job in running:
                if job.cancellable:
                    job.cancel.set()
        if way == "leave" or (self._home.leaving and not running):
            self._home.application.leave()
        elif self._home.leaving:
            self._home.notify_line(f"leaving when {count(len(running), 'job')} ended · q asks again", "warn", 0)

    def action_cancel_newest(self) -> None:
        """Cancel the newest running job that can be."""
        running = list(self._jobs.running)
        job = next((job for job in running if job.cancellable), running[0] if running else None)
        self._home.notify_line("nothing is being done" if job is None else self._jobs.cancel(job), "warn")
