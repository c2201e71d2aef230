"""The spawner: a small process that forks monitors, so that nothing heavy is ever forked or imported on a start.

It is started by the first engine that needs it (``python -I -S``), inherits its listening socket, holds no facts,
and may die at any time. Import budget: the standard library's light half; no asyncio, no dataclasses.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import socket
import sys
import time
from typing import NoReturn

from pyctr_engine.linux import namespaces
from pyctr_engine.runtime import monitor, passing
from pyctr_engine.runtime.init import IGNORED

_PAUSE = 0.05
"""Seconds before another takes the place of a reserve that was killed."""


def main(listener_fd: int, run_dir: str, idle_seconds: str, state_dir: str) -> None:
    """Serve until idle for that long; ``listener_fd`` is a bound, listening UNIX stream socket."""
    listener = socket.socket(fileno=listener_fd)
    listener.setblocking(False)
    _detach()
    with open(f"{run_dir}/spawner.pid", "w") as file:
        file.write(f"{os.getpid()} {namespaces.start_time(os.getpid())}")
    gc.collect()
    gc.freeze()  # what is imported now is shared with every monitor; keep the collector from touching it
    spawner = Spawner(listener, float(idle_seconds) * 1000)
    spawner.serve()
    for name in ("spawner.sock", "spawner.pid"):  # from here on callers start another
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{run_dir}/{name}")
    spawner.drain()
    _sweep(state_dir, run_dir)


class Spawner:
    """Keeps one monitor in reserve that waits for a caller; clones the next when it is taken."""

    def __init__(self, listener: socket.socket, patience: float) -> None:
        self.listener = listener
        self.patience = patience
        self.taken, self.take = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self.lifeline, self.alive = os.pipe2(os.O_CLOEXEC)
        self.monitors: dict[int, int] = {}  # pidfd: pid, the reserve's among them
        self.reserve = -1
        self.poller = select.poll()
        self.poller.register(self.taken, select.POLLIN)

    def serve(self) -> None:
        """Return after ``patience`` ms without a caller and without a monitor at work."""
        self._clone()
        while True:
            ready = [fd for fd, _ in self.poller.poll(self.patience)]
            if self.taken in ready:  # first: a reserve that was taken may have ended already
                os.read(self.taken, 1)
                self._clone()
            elif ready:
                for pidfd in ready:
                    self._reap(pidfd)
            elif set(self.monitors) <= {self.reserve}:
                break

    def drain(self) -> None:
        """Serve whoever connected just before we went out of sight; the last reserve goes as it sees that we went."""
        while select.select([self.listener], [], [], 0)[0] and select.select([self.taken], [], [], 1)[0]:
            os.read(self.taken, 1)
            self._clone()

    def _clone(self) -> None:
        """Make the next reserve. By clone3, because a fork of Python's would touch memory that can be shared."""
        ours, theirs = passing.pair()
        pid, pidfd = namespaces.clone3(0)
        if pid == 0:
            self._become_monitor(ours, theirs)
        ours.close()
        theirs.close()
        self.monitors[pidfd] = pid
        self.reserve = pidfd
        self.poller.register(pidfd, select.POLLIN)

    def _become_monitor(self, ours: socket.socket, theirs: socket.socket) -> NoReturn:
        status = 1
        try:
            kept = {self.listener.fileno(), self.lifeline, self.take, ours.fileno(), theirs.fileno()}
            namespaces.close_all_but(kept)
            monitor.main(self.listener, self.lifeline, self.take, ours, theirs)
            status = 0
        except BaseException:  # noqa: BLE001 - the last frame of this process: report, then go
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(status)

    def _reap(self, pidfd: int) -> None:
        self.poller.unregister(pidfd)
        os.close(pidfd)
        os.waitpid(self.monitors.pop(pidfd), 0)
        if pidfd == self.reserve:  # killed as it waited: whatever did that must not keep us busy
            time.sleep(_PAUSE)
            self._clone()


def _detach() -> None:
    os.setsid()
    os.chdir("/")
    os.umask(0o022)
    namespaces.set_name("pyctr-spawner")
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_IGN if number in IGNORED else signal.SIG_DFL)
    signal.signal(signal.SIGTERM, monitor.on_terminate)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _sweep(state_dir: str, run_dir: str) -> NoReturn:
    """Become what removes a network that nobody uses any more: that needs the database, which is not ours."""
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); from pyctr_engine.containers.remove import sweep_idle;"
        "sweep_idle(*sys.argv[2:4])"
    )
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    os.execv(sys.executable, [sys.executable, "-I", "-S", "-c", program, root, state_dir, run_dir])
