"""A session of the engine seen from the interface's thread: nothing here makes that wait.

::

    monitor ──▶ reading thread ──▶ bounded queue ──▶ `take`       the queue full: the socket is read no further,
    monitor ◀── writing thread ◀── queue ◀── `send`, `resize`     and then the program stops, which is as it should be
"""

from __future__ import annotations

import contextlib
import os
import queue
import select
import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from pyctr_engine.errors import EngineError

if TYPE_CHECKING:
    from pyctr_engine.engine import Session

PIECE = 512
"""Bytes that an emulator is fed at a time, between two looks at the clock: a millisecond or two of lines."""
WAITING_BYTES = 256 << 10
"""With so much read and not yet drawn, no more is read."""


class Connection:
    """Carries bytes between a session and an emulator.

    Attributes:
        ended: ``None`` while it lasts; then whether the program ended (its exit code), or the line was lost (``-1``).
            To be looked at when `take` has nothing more.
    """

    def __init__(self, session: Session, woken: Callable[[], object]) -> None:
        self.session = session
        self.ended: int | None = None
        self._woken = woken
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self._room = threading.Condition()
        self._closing = False
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._sending: queue.SimpleQueue[bytes | tuple[int, int] | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, name="terminal reads", daemon=True)
        self._writer = threading.Thread(target=self._write, name="terminal writes", daemon=True)
        self._reader.start()
        self._writer.start()

    # -- the interface's side -----------------------------------------------------------------------------------

    @property
    def waiting(self) -> int:
        """Bytes that wait to be taken."""
        return self._size

    def take(self, most: int) -> bytes:
        """The next piece of output, of at most so many bytes; empty when there is none."""
        with self._room:
            if not self._pieces:
                return b""
            piece = self._pieces.popleft()
            if len(piece) > most:
                self._pieces.appendleft(piece[most:])
                piece = piece[:most]
            self._size -= len(piece)
            self._room.notify()
            return piece

    def take_all(self) -> bytes:
        """All output that waits."""
        with self._room:
            data = b"".join(self._pieces)
            self._pieces.clear()
            self._size = 0
            self._room.notify()
            return data

    def send(self, data: bytes) -> None:
        """Send input, soon."""
        self._sending.put(data)

    def resize(self, columns: int, rows: int) -> None:
        """Set its size, soon."""
        self._sending.put((rows, columns))

    def nudge(self, columns: int, rows: int) -> None:
        """Have a full-screen program draw everything anew: it does so when its size changes, not when it doesn't."""
        self._sending.put((max(rows - 1, 1), columns))
        self._sending.put((rows, columns))

    def close(self) -> None:
        """Let go; the program goes on."""
        with self._room:
            if self._closing:
                return
            self._closing = True
            self._room.notify()
            with contextlib.suppress(OSError):
                os.eventfd_write(self._wake, 1)
        self._sending.put(None)

    # -- the threads --------------------------------------------------------------------------------------------

    def _read(self) -> None:
        code = -1
        try:
            code = self._read_all()
        except (OSError, EngineError, ValueError):  # a line that is lost is told as such
            code = -1
        self.ended = code
        self._sending.put(None)
        with self._room:
            self._closing = True
            os.close(self._wake)
            self._wake = -1
        with contextlib.suppress(OSError, EngineError):
            self.session.close()
        self._woken()

    def _read_all(self) -> int:
        session = self.session
        poll = select.poll()
        poll.register(session.fileno(), select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        while not self._closing:
            if not getattr(session, "has_buffered", False):
                ready = {fd for fd, _ in poll.poll()}
                if self._wake in ready:
                    return -1
            kind, data = session.read()
            if kind == "exit":
                return int(data or b"0")
            if kind == "closed":
                return -1
            if data:
                self._put(data)
        return -1

    def _put(self, data: bytes) -> None:
        with self._room:
            self._room.wait_for(lambda: self._size < WAITING_BYTES or self._closing)
            was_empty = not self._pieces
            self._pieces.append(data)
            self._size += len(data)
        if was_empty:
            self._woken()

    def _write(self) -> None:
        while (item := self._sending.get()) is not None:
            try:
                if isinstance(item, bytes):
                    self.session.write(item)
                else:
                    self.session.resize(*item)
            except (OSError, EngineError):
                return  # the reading thread hears of it and says so
