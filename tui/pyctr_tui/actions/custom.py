"""Commands of the user's own, for the selected object: in the background, over the whole screen, or to read."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import selectors
import signal
import subprocess
from collections.abc import Callable
from typing import TYPE_CHECKING

from pyctr_engine.errors import Cancelled, Conflict, EngineError, NotFound
from pyctr_engine.model.spec import ExecRequest
from pyctr_engine.record import dataclass
from pyctr_tui.actions.actions import Actions
from pyctr_tui.dialogs.menu import Item, MenuDialog
from pyctr_tui.jobs import ELSEWHERE
from pyctr_tui.quoting import fill
from pyctr_tui.safe_text import safe, safe_log
from pyctr_tui.settings.table import CustomCommand, Object

if TYPE_CHECKING:
    from pyctr_tui.jobs import Job

KEPT = 1 << 20
"""Bytes of a command's output that are kept to read; of one in the background only the end matters."""
TAIL = 4096


@dataclass(frozen=True, slots=True)
class Selected:
    """The object a command is for: what goes into the template, and the container to run in."""

    kind: Object
    name: str
    values: dict[str, str]
    container: str = ""


@dataclasses.dataclass(slots=True)
class Output:
    """What a command printed: the beginning to read, and the end to tell."""

    start: bytes = b""
    end: bytes = b""
    whole: bool = True

    def add(self, data: bytes) -> None:
        """Take a piece."""
        room = KEPT - len(self.start)
        self.start += data[:room]
        self.whole = self.whole and len(data) <= room
        self.end = (self.end + data)[-TAIL:]

    def last_line(self) -> str:
        """The last line that says something, made harmless."""
        lines = self.end.decode("utf-8", "replace").splitlines()
        return next((line for raw in reversed(lines) if (line := safe_log(raw).strip())), "")


class CustomActions(Actions):
    """On whatever is selected."""

    def action_custom(self) -> None:
        """A menu of the user's commands for it."""
        selected = self.selected()
        if selected is None:
            self._home.notify_line("select a container, an image, a stack or a volume first")
            return
        commands: tuple[CustomCommand, ...] = self._home.application.settings.value("commands").get(selected.kind, ())
        if not commands:
            key = self._home.application.keymap.key_of("view settings")
            article = "an" if selected.kind == "image" else "a"
            said = f"no commands of your own for {article} {selected.kind} yet"
            self._home.notify_line(f"{said} · {key} opens the settings, `commands: {selected.kind}:` is the place")
            return
        items = []
        for number, command in enumerate(commands, start=1):
            where = "in it · " if command.runs == "container" else ""
            shown = {"background": "", "terminal": "full screen · ", "pager": "to read · "}[command.shows]
            note = safe(f"{where}{shown}{command.template}")
            call = self._call(command, selected)
            items.append(Item(safe(command.name), note, str(number) if number <= 9 else "", call))
        self._home.app.push_screen(MenuDialog(f"For {selected.name}", items), self._chosen)

    def _call(self, command: CustomCommand, selected: Selected) -> Callable[[], None]:
        return lambda: self.run(command, selected)

    @staticmethod
    def _chosen(call: Callable[[], object] | None) -> None:
        if call is not None:
            call()

    def selected(self) -> Selected | None:
        """What is selected, of what the user can have commands for."""
        home = self._home
        if home.page is not None:
            ref, kind = home.page.custom_object()
            return (
                Selected(kind, safe(ref), {"name": ref, "id": ref, "stack": ref if kind == "stack" else ""})
                if ref
                else None
            )
        if home.selection.shows_image and (image := home.selection.image) is not None:
            return Selected("image", image.label, {"name": image.label, "id": image.id, "image": image.label})
        if (stack := home.containers.stack) is not None:
            name = stack.key.removeprefix("stack:")
            return Selected("stack", name, {"name": name, "id": name, "stack": name})
        container = home.containers.container
        if container is None:
            return None
        values = {"name": container.name, "id": container.id, "image": container.image, "stack": container.stack}
        return Selected("container", container.name, values, container.id)

    # -- running ------------------------------------------------------------------------------------------------

    def run(self, command: CustomCommand, selected: Selected) -> None:
        """Run one for an object."""
        line = fill(command.template, selected.values)
        name = safe(command.name)
        if command.shows == "terminal":
            self._in_terminal(command, selected, line, name)
            return
        output = Output()

        def work(job: Job) -> str:
            if command.runs == "container":
                code = in_container(self, selected.container, line, output, job)
            else:
                code = on_host(line, output, job)
            last = output.last_line()
            if code != 0 and command.shows == "background":
                raise EngineError(f"{name}: exit code {code}" + (f": {last}" if last else ""))
            if command.shows == "pager":
                return f"{name}: exit code {code}" if code else f"{name} ended"
            return f"{name}: {last}" if last else f"{name} ended"

        def then(_: object) -> None:
            from pyctr_tui.dialogs.output import OutputDialog

            heading = f"{name} · {selected.name}"
            self._home.app.push_screen(OutputDialog(heading, output.start, output.whole))

        self._jobs.run(
            f"{name} {selected.name}",
            work,
            cli=self._shown(command, selected, line),
            then=then if command.shows == "pager" else None,
            cancellable=True,
        )

    def _in_terminal(self, command: CustomCommand, selected: Selected, line: str, name: str) -> None:
        home = self._home
        if command.runs == "container":
            from pyctr_tui.terminal.handover import run

            container = home.store.by_id.get(selected.container)
            if container is None:
                home.notify_line(f"{selected.name} is gone", "warn")
                return
            said, tone = run(home.application, container, ("sh", "-c", line))
        else:
            from pyctr_tui.terminal import host

            said, tone = host.run(home.application, ("/bin/sh", "-c", line), name, pause=True)
        self._jobs.note(self._shown(command, selected, line), said)
        home.notify_line(said, tone)

    @staticmethod
    def _shown(command: CustomCommand, selected: Selected, line: str) -> str:
        """The command line for the log of jobs."""
        import shlex

        if command.runs == "container":
            return safe(f"exec {selected.name} sh -c {shlex.quote(line)}")
        return safe(ELSEWHERE + line)


def on_host(line: str, output: Output, job: Job) -> int:
    """Run a command line by the host's shell, in its own session; its exit code. Raises Cancelled, EngineError."""
    try:
        process = subprocess.Popen(
            ("/bin/sh", "-c", line),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise EngineError(f"/bin/sh can't be run: {(error.strerror or 'error').lower()}") from error
    assert process.stdout is not None
    with process.stdout as pipe, selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while True:
            if job.cancel.is_set():
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGTERM)
                try:
                    process.wait(2.0)
                except subprocess.TimeoutExpired:
                    _kill(process.pid)
                    process.wait()
                raise Cancelled("cancelled")
            if selector.select(0.1):
                data = os.read(pipe.fileno(), 65_536)
                if not data:
                    break
                output.add(data)
            elif process.poll() is not None:
                break  # what it left running in the background keeps the pipe; we don't wait for that
    while True:
        try:
            return process.wait(0.1)
        except subprocess.TimeoutExpired:
            if job.cancel.is_set():
                _kill(process.pid)


def _kill(group: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def in_container(actions: Actions, container: str, line: str, output: Output, job: Job) -> int:
    """Run a command line by the container's shell; its exit code. Raises Cancelled and EngineError."""
    engine = actions._home.application.engine
    session = engine.exec(container, ExecRequest(("sh", "-c", line)))
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(session.fileno(), selectors.EVENT_READ)
            while True:
                if job.cancel.is_set():
                    with contextlib.suppress(NotFound, Conflict):  # it has ended by itself
                        engine.end_session(container, session.id)
                    raise Cancelled("cancelled")
                if not getattr(session, "has_buffered", False) and not selector.select(0.1):
                    continue
                stream, data = session.read()
                if stream == "exit":
                    return int(data or b"0")
                if stream == "closed":
                    raise EngineError("the line to the command was lost: its monitor has gone")
                output.add(data)
    except OSError as error:
        raise EngineError(f"the line to the command was lost: {(error.strerror or 'error').lower()}") from error
    finally:
        with contextlib.suppress(EngineError, OSError):
            session.close()
