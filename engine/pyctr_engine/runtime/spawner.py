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
import struct
import sys
from typing import NoReturn

from pyctr_engine.linux import namespaces
from pyctr_engine.runtime import monitor


def main(listener_fd: int, run_dir: str, idle_seconds: str, state_dir: str) -> None:
    """Serve until idle for that long; ``listener_fd`` is a bound, listening UNIX stream socket."""
    listener = socket.socket(fileno=listener_fd)
    patience = float(idle_seconds) * 1000
    _detach()
    with open(f"{run_dir}/spawner.pid", "w") as file:
        file.write(f"{os.getpid()} {namespaces.start_time(os.getpid())}")
    gc.collect()
    gc.freeze()  # what is imported now is shared with every monitor; keep the collector from touching it
    ended = _wake_on_child_exit()
    procs = _own_procs()
    children = 0
    poller = select.poll()
    poller.register(listener, select.POLLIN)
    poller.register(ended, select.POLLIN)
    while True:
        ready = [fd for fd, _ in poller.poll(patience)]
        if ended in ready:
            os.read(ended, 4096)
            children -= _reap()
            if len(ready) == 1:
                continue
        if ready:
            children += _serve(listener) + _rouse(procs)
        elif children <= 0:
            _leave(listener, run_dir)
            _sweep(state_dir, run_dir)


def _detach() -> None:
    os.setsid()
    os.chdir("/")
    os.umask(0o022)
    namespaces.set_name("pyctr-spawner")
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)


def _wake_on_child_exit() -> int:
    """A descriptor that is readable when a monitor has ended."""
    reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    return reading


def _reap() -> int:
    count = 0
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return count
        if pid == 0:
            return count
        count += 1


def _serve(listener: socket.socket) -> int:
    """Take one request; how many monitors it forked."""
    try:
        connection, _ = listener.accept()
    except OSError:
        return 0
    _, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    if uid != os.geteuid():
        connection.close()
        return 0
    pid = os.fork()
    if pid:
        connection.close()
        return 1
    # The request is read in the child, so that a slow or silent caller holds up nobody else.
    listener.close()
    status = 1
    try:
        monitor.main(connection)
        status = 0
    except BaseException:  # noqa: BLE001 - the last frame of this process: report, then go
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(status)
    return 0


def _own_procs() -> str:
    """``cgroup.procs`` of the v1 cgroup this process is in; empty on a host without v1 hierarchies (pure v2)."""
    try:
        with open("/proc/self/cgroup") as file:
            path = next(
                fields[2] for line in file if "memory" in (fields := line.strip().split(":", 2))[1].split(",")
            )
        with open("/proc/self/mountinfo") as file:
            point = next(
                line.split()[4] for line in file if " - cgroup " in line and "memory" in line.split(" - ")[1]
            )
    except (OSError, StopIteration):
        return ""
    return f"{point}{path.rstrip('/')}/cgroup.procs"


def _rouse(procs: str) -> int:
    """Take the kernel's lock for moving processes between cgroups, by a move to where we are, in a child.

    After some idle time taking it waits 6 to 15 ms (RCU), for a while after that it is free: so the wait begins now,
    while the engine still makes the container. How many children it forked.
    """
    if not procs:
        return 0
    if os.fork():
        return 1
    with contextlib.suppress(OSError), open(procs, "w") as file:
        file.write("0")
    os._exit(0)


def _sweep(state_dir: str, run_dir: str) -> NoReturn:
    """Become what removes a network that nobody uses any more: that needs the database, which is not ours."""
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); from pyctr_engine.containers.remove import sweep_idle;"
        "sweep_idle(*sys.argv[2:4])"
    )
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    os.execv(sys.executable, [sys.executable, "-I", "-S", "-c", program, root, state_dir, run_dir])


def _leave(listener: socket.socket, run_dir: str) -> None:
    """Remove the socket first, then serve whoever connected in between, so that no request is lost."""
    for name in ("spawner.sock", "spawner.pid"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{run_dir}/{name}")
    listener.setblocking(False)
    while _serve(listener):
        pass
