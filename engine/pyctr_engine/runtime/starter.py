"""The starter: a monitor's first child, which does all of a start and then ends.

It waits, ready, before anybody asks (the spawner keeps one monitor with its starter in reserve), takes one caller's
request, brings the container up as the monitor's own child, answers, and hands over what the monitor has to look
after. So the monitor itself runs little code, and most of its memory stays shared with all others.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import select
import socket
import struct
import sys
import time
from typing import Any, NoReturn

from pyctr_engine import events
from pyctr_engine.cgroups import control as control_groups
from pyctr_engine.errors import EngineError
from pyctr_engine.linux import memory, namespaces
from pyctr_engine.runtime import birth, protocol, statefile
from pyctr_engine.runtime.handover import Descriptors, Handover
from pyctr_engine.runtime.protocol import Failure, Preparation, StartRequest

_SETTLE_MS = 30
"""What a container is not waited for is done when it has lived this long; many live shorter."""
_REQUEST_SECONDS = 60.0
_SOON_SECONDS = 0.005


def main(listener: socket.socket, lifeline: int, taken: int, monitor: socket.socket) -> NoReturn:
    """Run in a child of the monitor at the other end of ``monitor``; see `accept` for the other arguments."""
    status = 1
    try:
        memory.unshare()  # while nobody waits: a start would take a thousand page faults
        connection = accept(listener, lifeline)
        if connection is not None:
            listener.close()
            starter = Starter(connection, monitor, taken)
            try:
                starter.run()
            finally:
                starter.make_room()
        status = 0
    except BaseException:  # noqa: BLE001 - the last frame of this process: report, then go
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(status)


def accept(listener: socket.socket, lifeline: int) -> socket.socket | None:
    """The next caller of our own user; ``None`` once the spawner has gone, which ``lifeline``'s other end tells."""
    poller = select.poll()
    poller.register(listener, select.POLLIN)
    poller.register(lifeline, 0)
    while True:
        ready = dict(poller.poll())
        if listener.fileno() not in ready:
            return None
        try:
            connection, _ = listener.accept()
        except OSError:  # somebody else took it, or the caller has gone
            continue
        _, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        if uid == os.geteuid():
            return connection
        connection.close()


class Starter:
    """One start."""

    def __init__(self, connection: socket.socket, monitor: socket.socket, taken: int) -> None:
        self.connection = connection
        self.monitor = monitor
        self.taken = taken
        self.monitor_pid = os.getppid()
        self.held_ports: list[socket.socket] = []

    def run(self) -> None:
        """Start what is asked for; returns when there is nothing left to do for it."""
        began = time.monotonic()
        unborn = born = None
        try:
            kind, memfd = self._receive()
            if kind == protocol.PREPARE:
                unborn = birth.Birth(Preparation.decode(_read(memfd)), self.monitor)
                unborn.begin()
                os.close(memfd)
                kind, memfd = self._receive()
            if kind != protocol.START:  # whoever asked has gone, or thought better of it
                if unborn is not None:
                    unborn.abort()
                return
        except birth.BirthError as error:
            self._say_failed(error.failure)
            return
        self.request = StartRequest.decode(_read(memfd))
        try:
            if unborn is None:
                unborn = birth.Birth(self.request.preparation(), self.monitor)
                unborn.begin()
            born = unborn.finish(self.request, memfd, self._hold_what_is_served)
        except birth.BirthError as error:
            self._refuse(error.failure)
            return
        self._started(unborn, born, memfd, began)

    def make_room(self) -> None:
        """Let the spawner make the next reserve; not at once, for a start has better use for the processors."""
        if self.taken >= 0:
            os.write(self.taken, b".")
            os.close(self.taken)
            self.taken = -1

    def _receive(self) -> tuple[bytes, int]:
        """The caller's next message and its descriptor; ``(b"", -1)`` when none comes."""
        if not select.select([self.connection], [], [], _SOON_SECONDS)[0]:
            self.make_room()  # a slow or silent caller must not hold up others
        self.connection.settimeout(_REQUEST_SECONDS)  # callers connect before they know what they will ask for
        try:
            message, ancillary, _, _ = self.connection.recvmsg(1, socket.CMSG_SPACE(4), socket.MSG_CMSG_CLOEXEC)
        except (TimeoutError, ConnectionResetError):
            return b"", -1
        self.connection.settimeout(None)
        if not ancillary:
            return b"", -1
        (fd,) = struct.unpack("i", ancillary[0][2][:4])
        return message, int(fd)

    def _hold_what_is_served(self) -> None:
        """The monitor's socket and the published ports."""
        self.listener = self._listen()
        self._hold_ports()
        self.make_room()

    def _listen(self) -> socket.socket:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{self.request.run_dir}/monitor.sock")
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        os.umask(0o077)
        with protocol.short_path(self.request.run_dir) as directory:
            listener.bind(f"{directory}/monitor.sock")
        os.umask(0o022)
        listener.listen(64)
        listener.setblocking(False)
        return listener

    def _hold_ports(self) -> None:
        """Bind the published ports, so that no other program takes them and a taken one is an error now."""
        for kind, host_ip, port in self.request.network.ports if self.request.network else []:
            held = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM)
            try:
                _bind(held, (host_ip or "0.0.0.0", port))
            except OSError as error:
                where = f"{host_ip or '0.0.0.0'}:{port}/{kind}"
                raise birth.BirthError(
                    Failure("publish port", error.strerror or str(error), error.errno or 0, where, 125)
                ) from error
            self.held_ports.append(held)

    def _refuse(self, failure: Failure) -> None:
        """The start failed: say so, in the state file and to the caller, and leave nothing."""
        state = {**self._state(), "state": "exited", "pid": 0, "exit_code": failure.code}
        statefile.write({**state, "error": failure.describe()}, self.request.state_dir, self.request.run_dir)
        with contextlib.suppress(OSError):
            os.unlink(f"{self.request.run_dir}/monitor.sock")
        self._say_failed(failure)

    def _say_failed(self, failure: Failure) -> None:
        with contextlib.suppress(OSError):
            self.connection.sendall(protocol.frame_json(protocol.FAILED, failure._asdict()))

    def _state(self) -> dict[str, Any]:
        return {
            "id": self.request.id,
            "state": "created",
            "monitor_pid": self.monitor_pid,
            "monitor_start": namespaces.start_time(self.monitor_pid),
        }

    def _started(self, unborn: birth.Birth, born: birth.Newborn, memfd: int, began: float) -> None:
        """Record it, answer, hand over; then what need not be waited for."""
        request = self.request
        state = self._state()
        state.update(
            state="running",
            pid=born.pid,
            pid_start=namespaces.start_time(born.pid),
            started_at=time.time(),
            start_ms=round((time.monotonic() - began) * 1000, 3),
            interface=request.network.interface if request.network else "",
            plain_binds=born.plain_binds,
        )
        # One that goes at its end (--rm) needs no copy that outlives a reboot, unless it lives for a while.
        statefile.write(state, *([] if request.reap else [request.state_dir]), request.run_dir)
        with contextlib.suppress(OSError):  # whoever asked may have gone: that is no reason to end it
            self.connection.sendall(protocol.frame_json(protocol.STARTED, {"pid": born.pid}))
        events.append(request.events_dir, "container", "start", request.id, request.name)
        try:
            self._handover(state, unborn.helpers).send(
                self.monitor,
                Descriptors(self.connection.fileno(), memfd, self.listener.fileno(), born.pidfd, born.streams),
                [held.fileno() for held in self.held_ports],
            )
        except OSError:  # without its monitor a container ends
            unborn.abort()
            return
        for held in (self.connection, self.listener, *self.held_ports):
            held.close()
        born.streams.close()  # else a program would not see the end of its input
        self._settle(born, state, began)

    def _handover(self, state: dict[str, Any], helpers: list[int]) -> Handover:
        request = self.request
        return Handover(
            id=request.id,
            name=request.name,
            run_dir=request.run_dir,
            state_dir=request.state_dir,
            events_dir=request.events_dir,
            state=state,
            helpers=helpers,
            tty=request.tty,
            attach=request.attach,
            log_bytes=request.log_bytes,
            log_files=request.log_files,
            directories=request.cgroup.directories,
            oom=request.cgroup.oom,
            monitor_directories=request.cgroup.monitor_directories,
            monitor_attach=request.cgroup.monitor_attach,
            unpublish=request.network.unpublish if request.network else [],
            reap=request.reap,
        )

    def _settle(self, born: birth.Newborn, state: dict[str, Any], began: float) -> None:
        """What need not be waited for: the trace, and the monitor's own cgroup."""
        request = self.request
        if not request.reap:
            self._keep_trace(born, began)
        poller = select.poll()
        poller.register(born.pidfd, select.POLLIN)
        if poller.poll(_SETTLE_MS):
            return
        if request.reap:  # most of these (--rm) have ended by now, and nobody has to clean up after them
            self._keep_trace(born, began)
            statefile.write(state, request.state_dir)
        for directory in request.cgroup.monitor_directories:
            with contextlib.suppress(OSError):
                os.makedirs(directory, 0o755, exist_ok=True)
        with contextlib.suppress(EngineError):  # without it only a lost run directory is harder to rebuild
            control_groups.attach(request.cgroup.monitor_attach, self.monitor_pid)

    def _keep_trace(self, born: birth.Newborn, began: float) -> None:
        trace = [[name, round((a - began) * 1000, 3), round((b - began) * 1000, 3)] for name, a, b in born.trace]
        with contextlib.suppress(OSError), open(f"{self.request.state_dir}/start-trace.json", "w") as file:
            json.dump(trace, file)


def _read(memfd: int) -> bytes:
    return os.pread(memfd, os.fstat(memfd).st_size, 0)


def _bind(held: socket.socket, where: tuple[str, int]) -> None:
    """Bind; what is left of a server's closed connections (TIME_WAIT) is no reason to refuse, a listener is."""
    try:
        held.bind(where)
    except OSError as error:
        if error.errno != errno.EADDRINUSE or held.type == socket.SOCK_DGRAM:
            raise
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(where)
