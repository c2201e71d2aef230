"""What a monitor writes to the state directory while its container lives, done in a thread, in its order.

A disk may stall for minutes (an NFS server that is gone, a frozen file system, a queue full of somebody else's
writes): names, health checks, execs and signals must not wait for it. So the monitor's own thread never writes there;
it hands over what is to be written, and reads the container's output no further while too much waits.

The thread is made by the first job: a container that neither lives long nor says anything needs none. Two eventfds,
no locks: appending to and popping from a deque are atomic.
"""

from __future__ import annotations

import _thread
import contextlib
import os
import select
import sys
from collections import deque
from collections.abc import Callable

from pyctr_engine.runtime.loop import Loop

HIGH_WATER = 1 << 20
"""Bytes waiting to be written above which the container's output is read no further, until half of them are."""

_STACK_BYTES = 256 << 10


class Disk:
    """A queue of jobs and the thread that does them. All methods are for the monitor's own thread."""

    __slots__ = ("_done", "_eager", "_jobs", "_loop", "_relief", "_taken", "_wake", "on_relief")

    def __init__(self, loop: Loop, on_relief: Callable[[], None]) -> None:
        self._loop = loop
        self._jobs: deque[tuple[Callable[[], None], int]] = deque()
        self._taken = self._done = 0  # bytes: the first is written by the monitor's thread, the second by the other
        self._wake = self._relief = -1
        self._eager = False  # whether the monitor waits for room
        self.on_relief = on_relief

    def submit(self, job: Callable[[], None], size: int = 0) -> None:
        """Have ``job()`` done; ``size`` is what it holds of memory until then, bytes."""
        if self._wake < 0 and not self._begin():
            job()  # no thread to be had now: then it is done here
            return
        self._taken += size
        self._jobs.append((job, size))
        os.eventfd_write(self._wake, 1)

    @property
    def is_full(self) -> bool:
        """Whether too much waits; then ``on_relief`` is called once there is room."""
        self._eager = self._taken - self._done > HIGH_WATER
        return self._eager

    def finish(self, job: Callable[[], None], timeout: float) -> bool:
        """Have ``job()`` done after all that was submitted, and wait for it; False after so many seconds.

        Without a thread so far it is done here.
        """
        if self._wake < 0:
            job()
            return True
        try:
            finished = os.eventfd(0, os.EFD_CLOEXEC)
        except OSError:  # too many files are open
            self.submit(job)
            return False

        def last() -> None:
            try:
                job()
            finally:
                os.eventfd_write(finished, 1)

        self.submit(last)
        poller = select.poll()
        poller.register(finished, select.POLLIN)
        if not poller.poll(timeout * 1000):
            return False  # it stays open: the thread may still write to it
        os.close(finished)
        return True

    def _begin(self) -> bool:
        """Make the thread; whether it could be made."""
        made = list[int]()
        try:
            made.append(os.eventfd(0, os.EFD_CLOEXEC))
            made.append(os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK))
            self._wake, self._relief = made
            _thread.stack_size(_STACK_BYTES)
            self._loop.add(self._relief, select.EPOLLIN, self._relieved)
            _thread.start_new_thread(self._serve, ())  # last: what follows a failure must not close its descriptors
        except (OSError, RuntimeError):  # no more files, or no more threads
            self._wake = self._relief = -1
            for fd in made:  # closing takes it out of the loop's epoll too
                os.close(fd)
            return False
        return True

    def _relieved(self, _: int) -> None:
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._relief)
        self.on_relief()

    # -- the thread ---------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        while True:
            os.eventfd_read(self._wake)
            while self._jobs:
                job, size = self._jobs.popleft()
                try:
                    job()
                except Exception:  # noqa: BLE001 - a fault of ours in one record must not lose all that follow
                    sys.excepthook(*sys.exc_info())
                self._done += size
                if self._eager and self._taken - self._done < HIGH_WATER // 2:
                    self._eager = False
                    os.eventfd_write(self._relief, 1)
