"""The client's side of a program's standard streams: what `attach`, `exec` and an attached `run` return."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable
from typing import Any

from pyctr_engine.errors import CommandError, EngineError, StartError
from pyctr_engine.runtime import protocol

_HINTS = {
    28: "free some space: `pyctr-tui images` and `pyctr-tui ps -a` show what there is to remove",
    98: "another program uses this port: `ss -ltnp` shows which; publish another one",
    99: "this address is not one of the host's",
    19: "`pyctr-tui doctor` examines the network",
    1: "`pyctr-tui doctor` examines the host",
}
_STEP_HINTS = {"ulimits": "ask for no more than the host allows: `ulimit -H -a` shows what that is"}


_CHUNK = 256 << 10


class Unanswered(StartError):
    """Whoever was to start it went without a word; what was begun is undone."""


class StreamSession:
    """One connection to a monitor, cut into frames. Reading and writing may happen in two threads.

    ``id`` names an exec's session in its monitor; empty for a container's first program. The first ``replayed`` bytes
    that it gives were written before it was attached to.
    ``plain_binds`` are those of a start: see `ContainerStatus`.
    ``on_exit`` is called once, before the end is told: an attached ``--rm`` container is removed by its caller.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._reader = protocol.FrameReader()
        self._frames: list[tuple[bytes, bytes]] = []
        self._sending = threading.Lock()
        self.on_exit: Callable[[], None] | None = None
        self.id = ""
        self.replayed = 0
        self.plain_binds: tuple[str, ...] = ()

    def fileno(self) -> int:
        """Readable when `read` may have something; see `has_buffered` for what is already here."""
        return self._socket.fileno()

    @property
    def has_buffered(self) -> bool:
        """Whether `read` will return without waiting."""
        return bool(self._frames)

    def read(self) -> tuple[str, bytes]:
        """Block for the next piece: ``("stdout"|"stderr", data)``, ``("exit", b"<code>")`` or ``("closed", b"")``."""
        while True:
            kind, payload = self._next()
            if kind == protocol.STDOUT:
                return "stdout", payload
            if kind == protocol.STDERR:
                return "stderr", payload
            if kind == protocol.EXIT:
                if self.on_exit is not None:
                    self.on_exit()
                return "exit", b"%d" % json.loads(payload)["code"]
            if not kind:
                return "closed", b""

    def expect_started(self, what: str) -> dict[str, Any]:
        """Wait for STARTED. Raises CommandError or StartError as the monitor says, Unanswered at the end."""
        kind, payload = self._next()
        if kind == protocol.STARTED:
            answer: dict[str, Any] = json.loads(payload)
            return answer
        self.close()
        if kind == protocol.FAILED:
            raise failure_error(what, protocol.Failure(**json.loads(payload)))
        raise Unanswered(
            f"cannot start {what}: its monitor ended without a word", "`pyctr-tui doctor` examines the host"
        )

    def write(self, data: bytes) -> None:
        """Send to its standard input."""
        for start in range(0, len(data), _CHUNK):
            self._send(protocol.frame(protocol.STDIN, data[start : start + _CHUNK]))

    def close_stdin(self) -> None:
        """End its standard input."""
        self._send(protocol.frame(protocol.EOF))

    def resize(self, rows: int, columns: int) -> None:
        """Set its terminal's size."""
        self._send(protocol.frame_json(protocol.RESIZE, {"rows": rows, "columns": columns}))

    def wait(self) -> int:
        """Throw away what it prints until it ends; its exit code, 137 when its monitor went first."""
        while True:
            kind, payload = self.read()
            if kind == "exit":
                return int(payload)
            if kind == "closed":
                return 137

    def request(self, kind: bytes, value: object) -> None:
        """Ask the monitor for something."""
        self._send(protocol.frame_json(kind, value))

    def close(self) -> None:
        """Let go of it; it goes on. Whoever waits in another thread to read or write stops waiting."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _send(self, data: bytes) -> None:
        with self._sending, contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._socket.sendall(data)  # that it has ended is told by `read`

    def _next(self) -> tuple[bytes, bytes]:
        while not self._frames:
            try:
                data = self._socket.recv(_CHUNK)
            except ConnectionResetError:
                data = b""
            if not data:
                return b"", b""
            self._frames = self._reader.feed(data)
        return self._frames.pop(0)


def failure_error(what: str, failure: protocol.Failure) -> EngineError:
    """A monitor's failure as an error: a missing program is a CommandError, all else names its step."""
    if failure.step in ("exec", "user", "working directory") and failure.code in (126, 127):
        reason = failure.reason if failure.step == "user" else f"{failure.reason}: {failure.path}"
        hint = "`pyctr-tui run IMAGE ls /bin` shows what an image has" if failure.code == 127 else ""
        return CommandError(f"cannot run {what}: {reason[:1].lower()}{reason[1:]}", hint, failure.code)
    where = f" ({failure.path})" if failure.path else ""
    reason = failure.reason[:1].lower() + failure.reason[1:]
    hint = _HINTS.get(failure.errno) or _STEP_HINTS.get(failure.step, "`pyctr-tui doctor` examines the host")
    return StartError(f"cannot start {what}: {failure.step}: {reason}{where}", hint)
