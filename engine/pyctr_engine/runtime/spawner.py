"""The spawner: a small process that clones monitors, so that nothing heavy is ever forked for a container.

It is started by the first engine that needs it (``python -I -S``), inherits its listening socket, holds no facts,
and may die at any time. Callers are served by its first child (`starters`). Import budget: the standard library's
light half; no asyncio, no dataclasses.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import resource
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import Any, NoReturn

from pyctr_engine.linux import namespaces
from pyctr_engine.runtime import init, monitor, passing, recorder
from pyctr_engine.runtime.rehearsal import rehearse
from pyctr_engine.runtime.starters import LEAVE, Starters

_PAUSE = 0.05
"""Seconds before another takes the place of starters that were killed."""
_LONGEST_PAUSE = 2.0
_PATIENCE = 1000
"""Milliseconds for a reserve to undo what it made."""
_ONE_FD = socket.CMSG_LEN(4)
_MAX_FDS = 1 << 16
"""More than the spawner ever has open: one for each of its children. (closerange is one call: close_range(2).)"""


def main(
    listener_fd: int, run_dir: str, idle_seconds: str, state_dir: str, cgroup_parent: str, network: str = ""
) -> None:
    """Serve until idle for that long; ``listener_fd`` is a bound, listening UNIX stream socket.

    ``network`` is a network namespace in which bridges are, where that is not ours.
    """
    listener = socket.socket(fileno=listener_fd)
    listener.setblocking(False)
    os.closerange(3, listener_fd)  # what a caller left open is not ours: others wait for its end
    os.closerange(listener_fd + 1, _MAX_FDS)
    _detach()
    identity = f"{os.getpid()} {namespaces.start_time(os.getpid())}"
    with open(f"{run_dir}/spawner.pid", "w") as file:
        file.write(identity)
    gc.collect()
    gc.freeze()  # what is imported now is shared with every monitor; keep the collector from touching it
    note = f"{run_dir}/spawner.reserve"

    def start_containers(channel: socket.socket) -> None:
        Starters(listener, channel, cgroup_parent, note, network).serve()

    def record(channel: socket.socket) -> None:
        recorder.main(channel, state_dir, run_dir, cgroup_parent)

    spawner = Spawner(listener, float(idle_seconds) * 1000, start_containers, record)
    rehearse()
    gc.collect()
    gc.freeze()
    with contextlib.suppress(KeyboardInterrupt):  # SIGTERM
        spawner.serve()
    reserved = _read(note)
    if _read(f"{run_dir}/spawner.pid") == identity:  # else another has our place already: the directory was wiped
        for name in ("spawner.sock", "spawner.pid"):  # from here on callers start another
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{run_dir}/{name}")
    spawner.leave()
    listener.close()
    if reserved and _read(note) == reserved:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(note)
    _sweep(state_dir, run_dir)


class Spawner:
    """Clones: the process that starts containers, the one that records them, monitors as the first wants them."""

    def __init__(
        self,
        listener: socket.socket,
        patience: float,
        starters: Callable[[socket.socket], None],
        record: Callable[[socket.socket], None],
    ) -> None:
        self.listener = listener
        self.patience = patience
        self.become_starters = starters
        self.leaving = False
        self.interruptible = False
        self.children: dict[int, int] = {}  # pidfd: pid
        self.poller = select.poll()
        self.become_recorder = record
        self._clone_starters()
        self._clone_recorder()
        signal.signal(signal.SIGTERM, self._on_terminate)

    def serve(self) -> None:
        """Return after ``patience`` ms in which nobody wanted anything, with no monitor at work.

        Raises KeyboardInterrupt on SIGTERM, but never while something is half done: the starters wait for an answer.
        """
        while True:
            self.interruptible = True
            if self.leaving:
                raise KeyboardInterrupt
            ready = [fd for fd, _ in self.poller.poll(self.patience)]
            self.interruptible = False
            self._handle(ready)
            if not ready and len(self.children) <= 3:  # starters, recorder, a monitor in reserve
                return

    def leave(self) -> None:
        """Let the starters serve whoever connected just before we went out of sight; they end then."""
        self.leaving = True
        with contextlib.suppress(OSError):  # they were killed
            self.channel.send(LEAVE)
        while self.starters in self.children:
            self._handle([fd for fd, _ in self.poller.poll()])
        self.poller.unregister(self.channel)
        self.recorders_end.close()  # it goes now, or when no container is left
        for fd, _ in self.poller.poll(_PATIENCE) if self.children else ():  # the reserve, which goes with them
            self._reap(fd)

    def _on_terminate(self, *_: object) -> None:
        """SIGTERM's handler here and in what is cloned: a monitor passes it on, whoever is none yet ends."""
        if not monitor.pass_on(signal.SIGTERM):
            self.leaving = True
            if self.interruptible:
                self.interruptible = False
                raise KeyboardInterrupt

    def _handle(self, ready: list[int]) -> None:
        channel = self.channel.fileno()
        if channel in ready:
            self._serve_starters()
        for fd in ready:
            if fd != channel:
                self._reap(fd)

    def _clone_starters(self) -> None:
        self.channel, theirs = passing.pair()
        pid, pidfd = namespaces.clone3(0)
        if pid == 0:
            self._become(self.become_starters, theirs, sorted([self.listener.fileno(), theirs.fileno()]))
        theirs.close()
        self._watch(pid, pidfd)
        self.starters = pidfd
        self.poller.register(self.channel, select.POLLIN)

    def _clone_recorder(self) -> None:
        self.recorders_end, theirs = passing.pair()
        pid, pidfd = namespaces.clone3(0)
        if pid == 0:
            self._become(self.become_recorder, theirs, [theirs.fileno()])
        theirs.close()
        self._watch(pid, pidfd)
        self.recorder = pidfd

    def _serve_starters(self) -> None:
        """Clone a monitor, for its end of a socket; answer with its pid, or an errno below 0.

        By clone3, because a fork of Python's touches memory that can be shared; and with as little else as can be:
        each page that is written here is one that every monitor has to itself.
        """
        try:
            message, ancillary, _, _ = self.channel.recvmsg(1, _ONE_FD, socket.MSG_CMSG_CLOEXEC)
        except ConnectionResetError:  # they were killed with our answer unread
            return
        if not message:  # they were killed
            return
        answer = -errno.EMFILE  # what keeps a descriptor from coming along
        if ancillary:
            fd = int.from_bytes(ancillary[0][2], sys.byteorder)
            try:
                answer, pidfd = namespaces.clone3(0)
            except OSError as error:
                answer = -(error.errno or errno.EAGAIN)
            else:
                if answer == 0:
                    self._become(monitor.main, fd, [fd])
                self._watch(answer, pidfd)
            os.close(fd)
        with contextlib.suppress(OSError):
            self.channel.send(b"%d" % answer)

    def _watch(self, pid: int, pidfd: int) -> None:
        self.children[pidfd] = pid
        self.poller.register(pidfd, select.POLLIN)

    def _become(self, main: Callable[[Any], None], argument: object, kept: list[int]) -> NoReturn:
        status = 1
        try:
            self.interruptible = True
            first = 3
            for fd in kept:
                os.closerange(first, fd)
                first = fd + 1
            os.closerange(first, _MAX_FDS)
            main(argument)
            status = 0
        except BaseException:  # noqa: BLE001 - the last frame of this process: report, then go
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(status)

    def _reap(self, pidfd: int) -> None:
        self.poller.unregister(pidfd)
        os.close(pidfd)
        os.waitpid(self.children.pop(pidfd), 0)
        if pidfd == self.starters and not self.leaving:
            self.poller.unregister(self.channel)
            self.channel.close()
            self._again(self._clone_starters)
        if pidfd == self.recorder and not self.leaving:
            self.recorders_end.close()
            self._again(self._clone_recorder)

    def _again(self, clone: Callable[[], None]) -> None:
        """Clone what was killed, after a pause: whatever did that must not keep us busy. Raises OSError at last."""
        pause = _PAUSE
        while True:
            time.sleep(pause)
            try:
                clone()
            except OSError:  # no more processes; without either we are of no use, and a caller finds another
                pause *= 2
                if pause > _LONGEST_PAUSE:
                    raise
            else:
                return


def _detach() -> None:
    os.setsid()
    os.chdir("/")
    os.umask(0o022)
    namespaces.set_name("pyctr-spawner")
    _be_as_the_first_process()
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_IGN if number in init.IGNORED else signal.SIG_DFL)
    signal.signal(signal.SIGHUP, monitor.on_hangup)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _be_as_the_first_process() -> None:
    """Take PID 1's limits, priority and CPUs: containers must not feel who happened to start the spawner.

    Else one call under ``ulimit -n 40``, ``nice`` or ``taskset`` would bind all containers after it. What may not
    be raised again stays. We ourselves may have as many files open as can be (one for each container, and each
    published port): programs get theirs back by `init.set_limits`.
    """
    for which in {value for name, value in vars(resource).items() if name.startswith("RLIMIT_")}:
        soft, hard = resource.getrlimit(which)
        may = hard
        with contextlib.suppress(PermissionError):
            soft, hard = resource.prlimit(1, which)
        lower = may if soft < 0 else soft if may < 0 else min(soft, may)
        for limits in ((soft, hard), (lower, may)):
            with contextlib.suppress(OSError, ValueError):  # a hard limit is raised with CAP_SYS_RESOURCE only
                resource.setrlimit(which, limits)
                break
    init.open_files = soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.sched_getscheduler(1), os.sched_getparam(1))
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, os.getpriority(os.PRIO_PROCESS, 1))
    with contextlib.suppress(OSError):
        os.sched_setaffinity(0, os.sched_getaffinity(1))
    with (
        contextlib.suppress(OSError),
        open("/proc/1/oom_score_adj") as first,
        open("/proc/self/oom_score_adj", "w") as ours,
    ):
        ours.write(first.read())


def _read(path: str) -> str:
    try:
        with open(path) as file:
            return file.read()
    except FileNotFoundError:
        return ""


def _sweep(state_dir: str, run_dir: str) -> NoReturn:
    """Become what removes a network that nobody uses any more: that needs the database, which is not ours."""
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); from pyctr_engine.containers.remove import sweep_idle;"
        "sweep_idle(*sys.argv[2:4])"
    )
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    os.execv(sys.executable, [sys.executable, "-I", "-S", "-c", program, root, state_dir, run_dir])
