"""Recording what a terminal shows, as asciicast v2: a header, then an event a line, ``[seconds, "o", text]``."""

from __future__ import annotations

import codecs
import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from pyctr_engine.errors import InvalidValue, told_as

if TYPE_CHECKING:
    from pyctr_engine.engine import Session


@contextlib.contextmanager
def recording(path: str, tty: bool) -> Iterator[Callable[[Session], Session]]:
    """What makes a session write down in ``path`` what it shows; without a path it stays as it is.

    To be entered before the program is started. Raises InvalidValue where there is no terminal to record,
    NotPermitted and the like for a file that can't be made.
    """
    if not path:
        yield lambda session: session
        return
    if not tty:
        raise InvalidValue("only what has a terminal can be recorded", "add -t")
    with told_as(f"record to {path}"):
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        yield lambda session: Recording(session, fd)
    finally:
        os.close(fd)


class Recording:
    """A session that writes down what passes through it. What can't be written any more ends the recording only."""

    def __init__(self, session: Session, fd: int) -> None:
        self._session = session
        self._fd = fd
        self._began = time.monotonic()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        rows, columns = 24, 80
        with contextlib.suppress(OSError):
            columns, rows = os.get_terminal_size(0)
        self._write({"version": 2, "width": columns, "height": rows, "timestamp": int(time.time())})

    @property
    def id(self) -> str:
        """The session's."""
        return self._session.id

    @property
    def has_buffered(self) -> bool:
        """The session's."""
        return self._session.has_buffered

    def fileno(self) -> int:
        """The session's."""
        return self._session.fileno()

    def read(self) -> tuple[str, bytes]:
        """The next piece, written down."""
        kind, data = self._session.read()
        if kind in ("stdout", "stderr"):
            shown = self._decoder.decode(data)
            if shown:
                self._event("o", shown)
        return kind, data

    def write(self, data: bytes) -> None:
        """Pass input on; what is typed is not recorded: it may be a password."""
        self._session.write(data)

    def close_stdin(self) -> None:
        """Pass it on."""
        self._session.close_stdin()

    def resize(self, rows: int, columns: int) -> None:
        """Pass it on, written down."""
        self._event("r", f"{columns}x{rows}")
        self._session.resize(rows, columns)

    def wait(self) -> int:
        """Read to its end; its exit code."""
        while True:
            kind, data = self.read()
            if kind == "exit":
                return int(data)
            if kind == "closed":
                return 137

    def close(self) -> None:
        """Let go of the session; it goes on."""
        self._session.close()

    def _event(self, kind: str, data: str) -> None:
        self._write([round(time.monotonic() - self._began, 6), kind, data])

    def _write(self, value: object) -> None:
        if self._fd < 0:
            return
        data = memoryview(json.dumps(value).encode() + b"\n")
        try:
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError as error:
            self._fd = -1
            os.write(2, f"pyctr-tui: the recording ends here: {error.strerror}\r\n".encode())
