"""What is done with terminals: opening, leaving, ending, copying, recording, playing."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

from pyctr_engine.errors import EngineError
from pyctr_tui.actions.actions import Actions
from pyctr_tui.dialogs.form import Answers, Field, FormDialog
from pyctr_tui.figures import count
from pyctr_tui.safe_text import safe, safe_error
from pyctr_tui.terminal import asciicast

if TYPE_CHECKING:
    from pyctr_tui.terminal.tabs import Tab
    from pyctr_tui.view import ContainerView

SHOWN_LINES = 8
"""Lines of a text that is about to be pasted that the question shows."""


class TerminalActions(Actions):
    """Keys of the lists, and what follows Ctrl+]."""

    # -- from the lists -----------------------------------------------------------------------------------------

    def action_exec(self) -> None:
        """Type into the selected container's session, or into a new shell."""
        container = self._able()
        if container is not None:
            self._home.action_pane("term")
            self._home.term.enter(container)

    def action_terminal(self) -> None:
        """The terminal pane: typed into where a session runs; where none does, it says how to open one."""
        self._home.action_pane("term")
        container = self._home.containers.container
        if container is not None and container.state.can_exec:
            self._home.term.enter(container, fresh=False)

    def action_exec_full(self) -> None:
        """A shell in the selected container, over the whole screen."""
        container = self._able()
        if container is not None:
            self._full_screen(container, None)

    def action_exec_command(self) -> None:
        """Ask for a command, and run it in a terminal in the pane."""
        container = self._able()
        if container is None:
            return
        fields = (
            Field("command", "command", "", "a program and its arguments, as in a shell", needed=True),
            Field("user", "user", "", "the container's own"),
            Field("cwd", "directory", "", "the container's own"),
        )

        def check(answers: Answers) -> str:
            try:
                return "" if shlex.split(answers["command"]) else "command is needed"
            except ValueError as error:
                return f"command: {str(error).lower()}"

        def cli(answers: Answers) -> str:
            user = f"-u {answers['user']} " if answers["user"] else ""
            where = f"-w {answers['cwd']} " if answers["cwd"] else ""
            return f"exec -it {user}{where}{container.name} {answers['command']}"

        def answered(answers: Answers | None) -> None:
            if answers is not None:
                home = self._home
                home.action_pane("term")
                home.term.show_subject(container.id)
                home.term.tabs.open(container, shlex.split(answers["command"]), answers["user"], answers["cwd"])
                home.term.set_mode("typing")

        self._home.app.push_screen(FormDialog(f"Run in {container.name}", fields, "runs", (), check, cli), answered)

    def action_replay(self) -> None:
        """Ask for a recording, the newest one first, and play it."""
        where = asciicast.folder(os.environ)
        try:
            found = sorted((name for name in os.listdir(where) if name.endswith(".cast")), key=lambda n: n[-20:])
        except OSError:
            found = []
        newest = os.path.join(where, found[-1]) if found else ""
        fields = (Field("path", "recording", newest, "path of an asciicast v2 file", needed=True),)

        def answered(answers: Answers | None) -> None:
            if answers is not None:
                self._play(answers["path"])

        form = FormDialog("Play a recording", fields, "plays", cli=lambda answers: f"replay {answers['path']}")
        self._home.app.push_screen(form, answered)

    def _play(self, path: str) -> None:
        from pyctr_tui.dialogs.replay import ReplayDialog

        self._jobs.run(
            f"reading {safe(path)}",
            lambda job: asciicast.read(path),
            "Space pauses, + and - change the speed",
            f"replay {safe(path)}",
            then=lambda found: self._home.app.push_screen(ReplayDialog(*found)),
        )

    def _able(self) -> ContainerView | None:
        container = self._one()
        if container is not None and not container.state.can_exec:
            word = "is paused · p lets it go on" if container.is_up else "is not running · s starts it"
            self._home.notify_line(f"{container.name} {word}", "warn")
            return None
        return container

    def _full_screen(self, container: ContainerView, tab: Tab | None) -> None:
        from pyctr_tui.terminal.handover import shell

        term = self._home.term
        if tab is not None:
            tab.leave()
        said, tone, left = shell(self._home.application, container, tab.id if tab is not None else "")
        if said:
            self._home.notify_line(said, tone)
        if tab is not None and not left:
            term.tabs.forget(tab)
            term.set_mode("")
        elif tab is not None:
            term.tabs.choose(tab)
            term.set_mode("typing")
        term.look()

    # -- after Ctrl+] -------------------------------------------------------------------------------------------

    def prefixed(self, key: str, character: str | None) -> None:
        """Ctrl+] and then this key."""
        term = self._home.term
        tab = term.current
        name = character if character and character.isprintable() and character != " " else key
        if name == "o":
            self._home.action_pane("containers")
            return
        if name in ("z", "E", "[", "pageup", "x", "y", "R") or tab is None:
            term.set_mode("typing" if tab is not None and tab.is_alive else "")
        if name == "z":
            self._home.action_zoom()
        elif name == "R":
            self.action_replay()
        elif name == "e":
            term.set_mode("typing")
            self.action_exec_command()
        elif tab is not None:
            self._with_session(tab, name)

    def _with_session(self, tab: Tab, name: str) -> None:
        term, container = self._home.term, self._home.term.container
        if name in ("[", "pageup"):
            term.look_back(-(term.tabs.size[1] // 2) if name == "pageup" else 0)
            return
        if name == "d":
            tab.leave()
            self._home.action_pane("containers")
            self._home.notify_line(f"left {tab.label} in {tab.where} · it runs on, e comes back")
            return
        term.set_mode("typing")
        if name in ("]", "ctrl+right_square_bracket"):
            tab.send(b"\x1d")
        elif name in ("n", "p"):
            term.tabs.step(tab.container, 1 if name == "n" else -1)
        elif name.isdigit() and name != "0":
            tabs = term.tabs.of(tab.container)
            if int(name) <= len(tabs):
                term.tabs.choose(tabs[int(name) - 1])
        elif name == "c" and container is not None:
            term.tabs.open(container)
        elif name == "x":
            self._end(tab)
        elif name == "r":
            self._record(tab)
        elif name == "y":
            self._take_clipboard(tab)
        elif name == "E" and container is not None and tab.id:
            self._full_screen(container, tab)
        elif name not in ("escape", "E"):
            self._home.notify_line("after Ctrl+]: o leaves, d detaches, c opens another, ] sends it", "warn")

    def _end(self, tab: Tab) -> None:
        if not tab.is_alive or not tab.id:
            self._home.term.tabs.forget(tab)
            return
        lines = [f"{tab.label} in {tab.where}", "", "It is told to hang up (SIGHUP), and killed if it doesn't."]
        if tab.viewers > 1:
            lines.append(f"{count(tab.viewers - 1, 'other terminal')} watches it." if tab.viewers == 2 else
                         f"{tab.viewers - 1} other terminals watch it.")  # fmt: skip
        lines.append("The container goes on.")
        engine = self._home.application.engine
        self._confirm(
            "End this session?",
            lines,
            "end it",
            lambda: self._jobs.run(
                f"ending {tab.label} in {tab.where}",
                lambda job: engine.end_session(tab.container, tab.id),
                f"{tab.label} in {tab.where} has ended",
                then=lambda _: self._home.term.tabs.forget(tab),
            ),
        )

    def _record(self, tab: Tab) -> None:
        if tab.recorder is not None:
            tab.stop_recording()
            return
        where = asciicast.folder(os.environ)
        path = asciicast.fresh_path(where, tab.where, self._home.application.clock())
        emulator = tab.emulator
        try:
            tab.recorder = asciicast.Recorder(path, *emulator.size, f"{tab.label} in {tab.where}", emulator.ansi())
        except EngineError as error:
            self._home.notify_line(safe_error(error), "bad")
            return
        self._home.notify_line(f"recording what is shown (not what is typed) to {safe(path)}", "text")
        self._home.term.repaint()

    # -- text ---------------------------------------------------------------------------------------------------

    def copy(self, text: str) -> None:
        """Copy to the terminal's clipboard (OSC 52): the user asked for it."""
        self._home.app.copy_to_clipboard(text)
        lines = text.count("\n") + 1
        self._home.notify_line(
            f"copied {count(lines, 'line') if lines > 1 else count(len(text), 'character')}", "good"
        )

    def _take_clipboard(self, tab: Tab) -> None:
        """What the program wanted to copy, copied by the user's own act, after a look at it."""
        text = tab.emulator.clipboard
        if not text:
            self._home.notify_line("its program has copied nothing", "warn")
            return
        lines = [*_shown(text), "", "The program in the container wants this in your clipboard."]
        self._confirm("Copy this?", lines, "copy", lambda: self.copy(text))

    def paste(self, tab: Tab, text: str) -> None:
        """Paste; several lines are asked about where the program can't tell them from typed ones."""
        if ("\n" not in text.strip("\n") and "\r" not in text) or tab.emulator.modes.bracketed_paste:
            tab.paste(text)
            return
        many = count(text.count("\n") + 1, "line")
        lines = [
            *_shown(text),
            "",
            f"{many}: each is executed as if it were typed, for the program asked for no mark.",
        ]
        self._confirm("Paste this?", lines, "paste", lambda: tab.paste(text))


def _shown(text: str) -> list[str]:
    lines = text.splitlines()
    shown = [safe(line)[:200] for line in lines[:SHOWN_LINES]]
    return shown if len(lines) <= SHOWN_LINES else [*shown, f"… and {len(lines) - SHOWN_LINES} more lines"]
