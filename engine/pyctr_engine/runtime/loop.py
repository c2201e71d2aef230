"""A small event loop: descriptors and times, what to call when they are ready or due, nothing else."""

from __future__ import annotations

import select
import sys
import time
from collections.abc import Callable

Callback = Callable[[int], None]


class Timer:
    """Something to be called at a time; `Loop.cancel` forgets it."""

    __slots__ = ("callback", "due")

    def __init__(self, due: float, callback: Callable[[], None]) -> None:
        self.due = due
        self.callback = callback


class Loop:
    """epoll with a callback per descriptor, and a few timers. Times are monotonic: nobody can set that clock."""

    __slots__ = ("_callbacks", "_epoll", "_removed", "_running", "_timers")

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._callbacks: dict[int, Callback] = {}
        self._timers: list[Timer] = []
        self._removed: set[int] = set()
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
            self._removed.add(fd)

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Call ``callback()`` once, in so many seconds."""
        timer = Timer(time.monotonic() + seconds, callback)
        self._timers.append(timer)
        return timer

    def cancel(self, timer: Timer | None) -> None:
        """Forget a timer; one that is none, or was called already, is no error."""
        if timer in self._timers:
            self._timers.remove(timer)

    def close(self) -> None:
        """Forget all descriptors."""
        self._epoll.close()
        self._callbacks.clear()

    def run(self) -> None:
        """Serve until `stop`."""
        while self._running:
            self.turn(-1)

    @property
    def is_running(self) -> bool:
        """Whether it was not stopped."""
        return self._running

    def stop(self) -> None:
        """Make `run` return after this turn, for good."""
        self._running = False

    def turn(self, timeout: float) -> bool:
        """Wait once (seconds; -1 for ever) and call what is ready and what is due; whether anything was.

        What a callback raises is told on standard error and ends nothing: the others' work goes on.
        """
        if self._timers:
            left = max(0.0, min(timer.due for timer in self._timers) - time.monotonic())
            timeout = left if timeout < 0 else min(timeout, left)
        ready = self._epoll.poll(timeout)
        self._removed.clear()
        for fd, events in ready:
            callback = self._callbacks.get(fd)
            # An earlier callback of this turn may have removed it, and its number may be another's by now.
            if callback is not None and fd not in self._removed:
                try:
                    callback(events)
                except Exception:  # noqa: BLE001
                    sys.excepthook(*sys.exc_info())
        return self._call_due() or bool(ready)

    def _call_due(self) -> bool:
        if not self._timers:
            return False
        now = time.monotonic()
        due = [timer for timer in self._timers if timer.due <= now]
        for timer in due:
            if timer in self._timers:  # an earlier one may have cancelled it
                self._timers.remove(timer)
                try:
                    timer.callback()
                except Exception:  # noqa: BLE001
                    sys.excepthook(*sys.exc_info())
        return bool(due)
