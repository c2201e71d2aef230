"""Health checks: a program run in the container now and then, whose exit code says how it is.

docker's rules: the first probe comes an interval after the start (``start_interval`` within the start period); one
that succeeds makes it healthy; so many in a row that fail make it unhealthy, but those within the start period that
come before any success don't count. A probe that takes longer than the timeout is killed and has failed.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from pyctr_engine.linux import namespaces
from pyctr_engine.linux import pidfd as pidfds
from pyctr_engine.runtime import exec as execs
from pyctr_engine.runtime.loop import Loop, Timer
from pyctr_engine.runtime.protocol import Failure

KEPT_RESULTS = 5
MAX_OUTPUT = 4096
STARTING, HEALTHY, UNHEALTHY = "starting", "healthy", "unhealthy"


class Check(NamedTuple):
    """What to run, and when; times in seconds."""

    argv: list[str]
    interval: float
    timeout: float
    retries: int
    start_period: float
    start_interval: float


class Health:
    """One container's health, from its start to its end.

    ``launch`` begins a probe in the container; ``can_probe`` says whether one makes sense now (not while it is
    paused); ``on_result`` is told after each, with whether the status has changed; ``on_lost`` when the helper that
    was to begin one was killed.
    """

    def __init__(
        self,
        loop: Loop,
        check: Check,
        launch: Callable[[list[str]], execs.Launch],
        can_probe: Callable[[], bool],
        on_result: Callable[[bool], None],
        on_lost: Callable[[], None],
    ) -> None:
        self._on_lost = on_lost
        self._loop = loop
        self._check = check
        self._launch = launch
        self._can_probe = can_probe
        self._on_result = on_result
        self._began = time.monotonic()
        self._probe: Probe | None = None
        self.status = STARTING
        self.streak = 0
        self.results: list[dict[str, Any]] = []
        self._timer: Timer | None = None
        self._wait()

    @property
    def _in_start_period(self) -> bool:
        return self.status == STARTING and time.monotonic() - self._began < self._check.start_period

    def _wait(self) -> None:
        pause = self._check.start_interval if self._in_start_period else self._check.interval
        self._timer = self._loop.call_later(pause, self._begin_probe)

    def _begin_probe(self) -> None:
        if not self._can_probe():
            self._wait()
            return
        started = time.time()
        try:
            launch = self._launch(self._check.argv)
        except OSError as error:  # no more processes, or descriptors
            self._take(started, -1, f"cannot be run: {error.strerror}")
            return
        self._probe = Probe(
            self._loop, launch, self._check.timeout, lambda code, out: self._take(started, code, out), self._on_lost
        )

    @property
    def pids(self) -> set[int]:
        """Those of a probe that runs, or begins."""
        return self._probe.pids if self._probe is not None else set()

    def _take(self, started: float, code: int, output: str) -> None:
        self._probe = None
        before = self.status
        if code != 0 and not self._can_probe():  # paused in its midst: that says nothing
            self._wait()
            return
        if code == 0:
            self.status, self.streak = HEALTHY, 0
        elif not self._in_start_period:
            self.streak += 1
            if self.streak >= self._check.retries:
                self.status = UNHEALTHY
        self.results.append({"start": started, "end": time.time(), "exit_code": code, "output": output})
        del self.results[:-KEPT_RESULTS]
        self._wait()
        self._on_result(self.status != before)

    def stop(self) -> None:
        """Its container has ended: begin no more."""
        self._loop.cancel(self._timer)
        if self._probe is not None:
            self._probe.abandon()
            self._probe = None


class Probe:
    """One run of the check: its helper, its process, what it prints (the first 4 KiB), and its time."""

    def __init__(
        self,
        loop: Loop,
        launch: execs.Launch,
        timeout: float,
        on_end: Callable[[int, str], None],
        on_lost: Callable[[], None],
    ) -> None:
        self._on_lost = on_lost
        self._loop = loop
        self._launch: execs.Launch | None = launch
        self._on_end = on_end
        self._timeout = timeout
        self._timer = loop.call_later(timeout, self._give_up)
        self._late = False
        self._pid, self._pidfd = 0, -1
        self._open: set[int] = set()
        self._output = b""
        loop.add(launch.channel.fileno(), select.EPOLLIN, self._launched)

    @property
    def pids(self) -> set[int]:
        """The helper and the program, those that there are."""
        launch = self._launch
        return ({launch.helper, launch.pid} if launch is not None else {self._pid}) - {0}

    def _launched(self, _: int) -> None:
        assert self._launch is not None
        launch = self._launch
        executed = launch.hear()
        if executed is None:
            return
        self._launch = None
        self._loop.remove(launch.channel.fileno())
        launch.close()
        if isinstance(executed, Failure):
            if executed.reason == execs.LOST:
                self._on_lost()
            self._finish(-1 if self._late else executed.code, executed.describe())
            return
        self._pid, self._pidfd = executed.pid, executed.pidfd
        for fd in {executed.streams.out, executed.streams.err} - {-1}:
            os.set_blocking(fd, False)
            self._open.add(fd)
            self._loop.add(fd, select.EPOLLIN, lambda _, fd=fd: self._read(fd))  # type: ignore[misc]
        self._loop.add(self._pidfd, select.EPOLLIN, lambda _: self._ended())
        if self._late:
            pidfds.send_signal(self._pidfd, signal.SIGKILL)

    def _read(self, fd: int) -> None:
        try:
            data = os.read(fd, MAX_OUTPUT)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if len(self._output) < MAX_OUTPUT:
            self._output += data[: MAX_OUTPUT - len(self._output)]
        if not data:
            self._close(fd)

    def _close(self, fd: int) -> None:
        self._loop.remove(fd)
        self._open.discard(fd)
        os.close(fd)

    def _give_up(self) -> None:
        self._late = True
        if self._launch is not None:
            os.kill(self._launch.helper, signal.SIGKILL)  # our own child, not yet waited for
        elif self._pidfd >= 0:
            pidfds.send_signal(self._pidfd, signal.SIGKILL)

    def _ended(self) -> None:
        pid, status = os.waitpid(self._pid, os.WNOHANG)
        if not pid:
            return
        for fd in list(self._open):
            self._read(fd)
        if self._late:
            self._finish(-1, f"it took longer than {self._timeout:g} s, and was killed")
        else:
            self._finish(namespaces.exit_code(status), self._output.decode("utf-8", "replace"))

    def _finish(self, code: int, output: str) -> None:
        self._release()
        self._on_end(code, output)

    def _release(self) -> None:
        self._loop.cancel(self._timer)
        for fd in list(self._open):
            self._close(fd)
        if self._pidfd >= 0:
            self._loop.remove(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1

    def abandon(self) -> None:
        """Its container has ended, and it with it: reap it, tell nobody."""
        if self._launch is not None:
            self._loop.remove(self._launch.channel.fileno())
            executed = self._launch.end()
            self._launch = None
            if isinstance(executed, Failure):
                self._release()
                return
            executed.streams.close()
            self._pid, self._pidfd = executed.pid, executed.pidfd
            os.waitpid(self._pid, 0)
            os.close(self._pidfd)
            self._pidfd = -1
        elif self._pidfd >= 0:
            os.waitpid(self._pid, 0)
        self._release()
