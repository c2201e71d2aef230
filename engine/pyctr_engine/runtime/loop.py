"""A small event loop: descriptors, what to call when they are ready, nothing else."""

from __future__ import annotations

import select
import time
from collections.abc import Callable

Callback = Callable[[int], None]


class Loop:
    """epoll with a callback per descriptor."""

    __slots__ = ("_callbacks", "_epoll", "_running")

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._callbacks: dict[int, Callback] = {}
        self._running = True

    def add(self, fd: int, events: int, callback: Callback) -> None:
        """Call ``callback(events)`` whenever ``fd`` is ready."""
        self._epoll.register(fd, events)
        self._callbacks[fd] = callback

    def change(self, fd: int, events: int) -> None:
        """Wait for other events from now on; errors and hang-ups are always told."""
        self._epoll.modify(fd, events)

    def remove(self, fd: int) -> None:
        """Forget ``fd``, before it is closed."""
        if self._callbacks.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def close(self) -> None:
        """Forget all descriptors."""
        self._epoll.close()
        self._callbacks.clear()

    def run(self) -> None:
        """Serve until `stop`."""
        while self._running:
            self.turn(-1)

    def run_for(self, seconds: float) -> bool:
        """Serve for that long, or until `stop`; whether it was not stopped."""
        deadline = time.monotonic() + seconds
        while self._running and (left := deadline - time.monotonic()) > 0:
            self.turn(left)
        return self._running

    @property
    def is_running(self) -> bool:
        """Whether it was not stopped."""
        return self._running

    def stop(self) -> None:
        """Make `run` return after this turn, for good."""
        self._running = False

    def turn(self, timeout: float) -> bool:
        """Wait once (seconds; -1 for ever) and call what is ready; whether anything was."""
        ready = self._epoll.poll(timeout)
        for fd, events in ready:
            callback = self._callbacks.get(fd)
            if callback is not None:  # an earlier callback of this turn may have removed it
                callback(events)
        return bool(ready)
