"""A made-up engine whose containers have terminals: sessions that outlive their viewers, as the monitor's do."""

from __future__ import annotations

import os
import threading
from typing import Any

from pyctr_engine.errors import NotFound
from pyctr_engine.model.past import Session as Listed
from tests.tui.fake import START, FakeEngine


class Shell:
    """A program with a terminal. It echoes; ``exit N`` ends it."""

    def __init__(self, argv: tuple[str, ...]) -> None:
        self.id = os.urandom(6).hex()
        self.argv = argv
        self.written = b""
        self.sizes: list[tuple[int, int]] = []
        self.typed = b""
        self.code: int | None = None
        self.viewers: list[View] = []
        self.lock = threading.RLock()
        self.echoes = True

    def write(self, data: bytes) -> None:
        """The program writes."""
        with self.lock:
            self.written = (self.written + data)[-(256 << 10) :]
            for view in self.viewers:
                view.put("stdout", data)

    def type(self, data: bytes) -> None:
        with self.lock:
            self.typed += data
            if self.echoes:
                self.write(data.replace(b"\r", b"\r\n$ "))
            if self.typed.endswith(b"exit 3\r"):
                self.end(3)

    def end(self, code: int) -> None:
        with self.lock:
            self.code = code
            for view in self.viewers:
                view.put("exit", b"%d" % code)


class View:
    """One viewer's end, as `pyctr_engine.engine.Session`."""

    def __init__(self, shell: Shell, replay: bool) -> None:
        self.shell = shell
        self.id = shell.id
        self.replayed = len(shell.written) if replay else 0
        self._frames: list[tuple[str, bytes]] = []
        self._reading, self._writing = os.pipe()
        self._closed = False
        with shell.lock:
            if replay and shell.written:
                self.put("stdout", shell.written)
            shell.viewers.append(self)

    def put(self, kind: str, data: bytes) -> None:
        if not self._closed:
            self._frames.append((kind, data))
            os.write(self._writing, b"x")

    def fileno(self) -> int:
        return self._reading

    def read(self) -> tuple[str, bytes]:
        os.read(self._reading, 1)
        return self._frames.pop(0)

    def write(self, data: bytes) -> None:
        self.shell.type(data)

    def resize(self, rows: int, columns: int) -> None:
        self.shell.sizes.append((rows, columns))

    def close(self) -> None:
        with self.shell.lock:
            if not self._closed:
                self._closed = True
                if self in self.shell.viewers:
                    self.shell.viewers.remove(self)
                os.close(self._reading)
                os.close(self._writing)


class ShellEngine(FakeEngine):
    """With exec sessions by container's name in ``shells``."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.shells: dict[str, list[Shell]] = {}

    def exec(self, ref: str, request: Any) -> Any:
        name = self._find(ref).name
        self._note("exec", name, request.argv)
        shell = Shell(request.argv)
        self.shells.setdefault(name, []).append(shell)
        view = View(shell, replay=False)
        shell.write(b"$ ")
        return view

    def sessions(self, ref: str) -> list[Any]:
        self._note("sessions", self._find(ref).name)
        return [
            Listed(
                id=shell.id, argv=shell.argv, tty=True, pid=1, started=START, ended=0.0, exit_code=shell.code,
                viewers=len(shell.viewers),
            )
            for shell in self.shells.get(self._find(ref).name, [])
        ]  # fmt: skip

    def reattach(self, ref: str, session: str) -> tuple[Any, bool]:
        name = self._find(ref).name
        self._note("reattach", name, session)
        for shell in self.shells.get(name, []):
            if shell.id == session and shell.code is None:
                return View(shell, replay=True), True
        raise NotFound(f"container {name} has no session {session} that runs", "")

    def end_session(self, ref: str, session: str) -> None:
        name = self._find(ref).name
        self._note("end_session", name, session)
        next(shell for shell in self.shells[name] if shell.id == session).end(129)
