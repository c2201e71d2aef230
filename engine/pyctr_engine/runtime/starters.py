"""The process that starts containers: warm, for it forks nothing, and shared by all callers of one spawner.

A process that forks shares its memory anew each time, and pays for it page by page afterwards (2 to 3 µs each). So
the spawner, which clones monitors, does nothing else, and this one, which works, has them cloned there.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import struct
from collections.abc import Callable

from pyctr_engine.linux import namespaces
from pyctr_engine.runtime import passing
from pyctr_engine.runtime.loop import Loop
from pyctr_engine.runtime.starter import Reserve, Starter


class Starters:
    """Serves callers, a `Starter` each, and keeps one monitor in reserve for the next.

    ``spawner`` is asked for a monitor by any message, and answers with its pid and our end of the socket to it.
    """

    def __init__(self, listener: socket.socket, spawner: socket.socket) -> None:
        self.listener = listener
        self.spawner = spawner
        self.loop = Loop()
        self.reserve: Reserve | None = None
        self.active: set[Starter] = set()

    def serve(self) -> None:
        """Return when the spawner has gone, or wants to, and everybody who connected before is served."""
        namespaces.set_name("pyctr-starter")
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for our forks: the kernel reaps them
        self.loop.add(self.listener.fileno(), select.EPOLLIN, self._on_caller)
        # It says nothing unasked: what can be read is its end.
        self.loop.add(self.spawner.fileno(), select.EPOLLIN, lambda _: self.loop.stop())
        self._replenish()
        self.loop.run()
        self.loop.remove(self.spawner.fileno())
        while self.loop.turn(1.0 if self.active else 0.0):
            pass

    def _on_caller(self, _: int) -> None:
        try:
            connection, _address = self.listener.accept()
        except OSError:  # the caller has gone
            return
        _, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        if uid != os.geteuid():
            connection.close()
            return
        starter = Starter(self.loop, connection, self._take, self._replenish)
        starter.ended = self._forget(starter)
        self.active.add(starter)

    def _forget(self, starter: Starter) -> Callable[[], None]:
        return lambda: self.active.discard(starter)

    def _take(self) -> Reserve:
        """The reserve; its successor is made when the processors have nothing better to do. Raises OSError."""
        self._replenish()
        taken, self.reserve = self.reserve, None
        if taken is None:
            raise OSError(3, "the spawner has gone")
        return taken

    def _replenish(self) -> None:
        """Have a monitor in reserve."""
        if self.reserve is not None:
            return
        passing.tell(self.spawner, b"?")
        message, fds = passing.receive(self.spawner)
        if message:
            self.reserve = Reserve(int(message), socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, fds[0]))
