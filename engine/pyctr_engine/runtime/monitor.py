"""The monitor: looks after one container from its start to its end, whoever comes or goes.

It owns the first process's pidfd, the standard streams, the log, the exec sessions and ``state.json``, and serves
``monitor.sock`` (see `protocol`). One thread, one epoll. When it has nothing left to look after, it ends.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import select
import signal
import socket
import struct
import sys
import time
from typing import Any

from pyctr_engine import events
from pyctr_engine.cgroups import control as control_groups
from pyctr_engine.errors import EngineError
from pyctr_engine.linux import namespaces
from pyctr_engine.linux import pidfd as pidfds
from pyctr_engine.runtime import birth, logs, protocol
from pyctr_engine.runtime.exec import ExecCommand, launch
from pyctr_engine.runtime.loop import Loop
from pyctr_engine.runtime.program import Client, Program
from pyctr_engine.runtime.protocol import Failure, StartRequest

_FLUSH_SECONDS = 5.0
_SETTLE_SECONDS = 0.03
"""What a container is not waited for is done when it has lived this long; many live shorter."""
_REQUEST_SECONDS = 60.0


def main(connection: socket.socket) -> None:
    """Take the start request from ``connection``, and look after what comes of it. Runs in a fork of the spawner."""
    signal.set_wakeup_fd(-1)
    os.setsid()
    namespaces.set_name("pyctr-monitor")
    namespaces.prctl(namespaces.PR_SET_CHILD_SUBREAPER, 1)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    request = _receive(connection)
    if request is not None:
        Monitor(request, connection).run()


def _receive(connection: socket.socket) -> StartRequest | None:
    connection.settimeout(_REQUEST_SECONDS)  # callers connect before they know what they will ask for
    try:
        message, ancillary, _, _ = connection.recvmsg(16, socket.CMSG_SPACE(4), socket.MSG_CMSG_CLOEXEC)
    except (TimeoutError, ConnectionResetError):
        return None
    if message[:1] != b"S" or not ancillary:
        return None
    connection.settimeout(None)
    (fd,) = struct.unpack("i", ancillary[0][2][:4])
    with open(fd, "rb") as file:
        file.seek(0)
        return StartRequest.decode(file.read())


class Monitor:
    """One container's monitor."""

    def __init__(self, request: StartRequest, connection: socket.socket) -> None:
        self.request = request
        self.connection = connection
        self.loop = Loop()
        self.state: dict[str, Any] = {
            "id": request.id,
            "state": "created",
            "monitor_pid": os.getpid(),
            "monitor_start": namespaces.start_time(os.getpid()),
        }
        self.held_ports: list[socket.socket] = []
        self.sessions: dict[int, Program] = {}
        self.waiters: list[Client] = []
        self.clients: set[Client] = set()
        self.settled = False
        self.reaps = False

    # -- the life of a container --------------------------------------------------------------------------------

    def run(self) -> None:
        """Start it, serve until it has ended, record how."""
        began = time.monotonic()
        try:
            self.listener = self._listen()
            self._hold_ports()
            born = birth.Birth(self.request).run()
        except birth.BirthError as error:
            self._refuse(error.failure)
            return
        except OSError as error:
            self._refuse(Failure("prepare", error.strerror or str(error), error.errno or 0, str(error.filename), 125))
            return
        self.pidfd = born.pidfd
        self.log = logs.LogWriter(self.request.state_dir, self.request.log_bytes, self.request.log_files)
        self.main = Program(
            self.loop, born.pid, born.pidfd, born.streams, self.request.tty, self._main_ended, self.log
        )
        self._note_started(born, time.monotonic() - began)
        self._greet(born)
        events.append(self.request.events_dir, "container", "start", self.request.id, self.request.name)
        signal.signal(signal.SIGTERM, lambda *_: self._signal(signal.SIGTERM))
        self.loop.add(self.listener.fileno(), select.EPOLLIN, self._accept)
        if not self.request.reap:
            self._keep_trace(born, began)
        if self.loop.run_for(_SETTLE_SECONDS):
            if self.request.reap:  # most of these (--rm) have ended by now, and nobody has to clean up after them
                self._keep_trace(born, began)
                self._write_state(self.request.state_dir)
            self._settle()
            self.loop.run()
        self._finish()

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
        with contextlib.suppress(OSError):
            self.state.update(state="exited", pid=0, exit_code=failure.code, error=describe(failure))
            self._write_state(self.request.state_dir, self.request.run_dir)
            os.unlink(f"{self.request.run_dir}/monitor.sock")
        with contextlib.suppress(OSError):
            self.connection.sendall(protocol.frame_json(protocol.FAILED, failure._asdict()))

    def _note_started(self, born: birth.Newborn, seconds: float) -> None:
        self.state.update(
            state="running",
            pid=born.pid,
            pid_start=namespaces.start_time(born.pid),
            started_at=time.time(),
            start_ms=round(seconds * 1000, 3),
            interface=self.request.network.interface if self.request.network else "",
            plain_binds=born.plain_binds,
        )
        self._write_state(*([] if self.request.reap else [self.request.state_dir]), self.request.run_dir)

    def _greet(self, born: birth.Newborn) -> None:
        """Answer the start request; with ``attach``, its connection becomes the first client."""
        self.connection.setblocking(False)
        client = Client(self.loop, self.connection, self._on_frame, self._on_gone)
        self.clients.add(client)
        client.send(protocol.frame_json(protocol.STARTED, {"pid": born.pid}))
        if self.request.attach:
            self.main.attach(client)
        else:
            client.close_when_sent()
        self.main.begin()

    def _keep_trace(self, born: birth.Newborn, began: float) -> None:
        trace = [[name, round((a - began) * 1000, 3), round((b - began) * 1000, 3)] for name, a, b in born.trace]
        with contextlib.suppress(OSError), open(f"{self.request.state_dir}/start-trace.json", "w") as file:
            json.dump(trace, file)

    def _settle(self) -> None:
        """What need not be waited for: the monitor's own cgroup."""
        for directory in self.request.cgroup.monitor_directories:
            with contextlib.suppress(OSError):
                os.makedirs(directory, 0o755, exist_ok=True)
        with contextlib.suppress(EngineError):  # without it only a lost run directory is harder to rebuild
            control_groups.attach(self.request.cgroup.monitor_attach, 0)
        self.settled = True

    def _main_ended(self, program: Program) -> None:
        """The first process has ended, and with it its pid namespace: record it, tell everybody."""
        self.log.close()  # first: whoever sees the end may count on the whole log
        self.state.update(
            state="exited",
            pid=0,
            exit_code=program.code,
            finished_at=time.time(),
            oom_killed=self._oom_killed(),
        )
        # The live copy last: who reads of the end there may count on nothing more being written.
        # One that goes at its end (--rm) needs no copy that outlives a reboot.
        self._write_state(*([] if self.request.reap else [self.request.state_dir]), self.request.run_dir)
        attributes = {"exitCode": str(program.code)}
        if self.state["oom_killed"]:
            events.append(self.request.events_dir, "container", "oom", self.request.id, self.request.name)
        events.append(self.request.events_dir, "container", "die", self.request.id, self.request.name, attributes)
        self.reaps = bool(self.request.reap) and not (self.request.attach and program.clients)
        for session in list(self.sessions.values()):
            session.wait_for_end()
        program.tell_end()
        for waiter in self.waiters:
            waiter.send(protocol.frame_json(protocol.EXIT, {"code": program.code}))
            waiter.close_when_sent()
        self.loop.stop()

    def _oom_killed(self) -> bool:
        """Whether the kernel killed something in it for want of memory."""
        return control_groups.oom_kills(self.request.cgroup.oom) > 0

    def _finish(self) -> None:
        """Leave nothing: cgroups, socket, log; then end, or become what removes the container."""
        self.listener.close()
        self._unpublish()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{self.request.run_dir}/monitor.sock")
        control_groups.remove(self.request.cgroup.directories)
        deadline = time.monotonic() + _FLUSH_SECONDS
        while any(client.pending for client in self.clients) and time.monotonic() < deadline:
            self.loop.turn(0.1)
        for client in list(self.clients):
            client.close()
        if self.settled:
            self._leave_cgroup()
        if self.reaps:
            os.execv(self.request.reap[0], self.request.reap)

    def _unpublish(self) -> None:
        """Lead the published ports nowhere again, then let go of them: their next owner must get its own traffic.

        In a child, because libnftables would stay in this process's memory; a container's restart needs no engine.
        """
        if not (self.request.network and self.request.network.unpublish):
            return
        child = os.fork()
        if child == 0:
            from pyctr_engine.linux import nftables

            for commands in self.request.network.unpublish:
                with contextlib.suppress(EngineError):  # another container's by now, or the table is gone
                    nftables.run(commands)
            os._exit(0)
        os.waitpid(child, 0)
        for held in self.held_ports:
            held.close()

    def _leave_cgroup(self) -> None:
        for path in self.request.cgroup.monitor_attach:
            root = path.split("/monitors/")[0].rsplit("/", 1)[0]
            with contextlib.suppress(EngineError):
                control_groups.attach([f"{root}/cgroup.procs"], 0)
        for directory in reversed(self.request.cgroup.monitor_directories):
            with contextlib.suppress(OSError):
                os.rmdir(directory)

    def _write_state(self, *directories: str) -> None:
        """Write ``state.json`` as a whole, atomically.

        There is the live one in the run directory, and a copy in the state directory that outlives a reboot; both
        are ours alone.
        """
        text = json.dumps(self.state)
        for directory in directories:
            path = f"{directory}/state.json"
            with contextlib.suppress(OSError):  # a full disk must not end a container
                with open(path + ".new", "w") as file:
                    file.write(text)
                os.rename(path + ".new", path)

    # -- what callers ask ---------------------------------------------------------------------------------------

    def _accept(self, _: int) -> None:
        try:
            connection, _address = self.listener.accept()
        except OSError:
            return
        _, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        if uid != os.geteuid():
            connection.close()
            return
        connection.setblocking(False)
        self.clients.add(Client(self.loop, connection, self._on_frame, self._on_gone))

    def _on_gone(self, client: Client) -> None:
        self.clients.discard(client)
        if client in self.waiters:
            self.waiters.remove(client)

    def _on_frame(self, client: Client, kind: bytes, payload: bytes) -> None:
        if client.program is not None:
            client.program.on_frame(client, kind, payload)
        elif kind == protocol.EXEC:
            self._exec(client, json.loads(payload))
        elif kind == protocol.ATTACH:
            client.send(protocol.frame_json(protocol.STARTED, {"pid": self.main.pid}))
            self.main.attach(client)
        elif kind == protocol.SIGNAL:
            sent = self._signal(json.loads(payload)["signal"])
            client.send(protocol.frame_json(protocol.STARTED, {"sent": sent}))
        elif kind == protocol.WAIT:
            self.waiters.append(client)
        else:
            client.close()

    def _signal(self, number: int) -> bool:
        try:
            pidfds.send_signal(self.pidfd, number)
        except ProcessLookupError:
            return False
        return True

    def _exec(self, client: Client, asked: dict[str, Any]) -> None:
        command = ExecCommand(**asked)
        try:
            executed = launch(command, self.request, self.pidfd)
        except birth.BirthError as error:
            client.send(protocol.frame_json(protocol.FAILED, error.failure._asdict()))
            client.close_when_sent()
            return
        except OSError as error:
            failure = Failure("exec", error.strerror or str(error), error.errno or 0, command.argv[0], 126)
            client.send(protocol.frame_json(protocol.FAILED, failure._asdict()))
            client.close_when_sent()
            return
        program = Program(
            self.loop, executed.pid, executed.pidfd, executed.streams, command.tty, self._session_ended, None
        )
        self.sessions[executed.pid] = program
        client.send(protocol.frame_json(protocol.STARTED, {"pid": executed.pid}))
        program.attach(client)
        program.begin()

    def _session_ended(self, program: Program) -> None:
        self.sessions.pop(program.pid, None)
        program.tell_end()


def _bind(held: socket.socket, where: tuple[str, int]) -> None:
    """Bind; what is left of a server's closed connections (TIME_WAIT) is no reason to refuse, a listener is."""
    try:
        held.bind(where)
    except OSError as error:
        if error.errno != errno.EADDRINUSE or held.type == socket.SOCK_DGRAM:
            raise
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(where)


def describe(failure: Failure) -> str:
    """A failure as one line."""
    where = f" ({failure.path})" if failure.path else ""
    return f"{failure.step}: {failure.reason}{where}"


if __name__ == "__main__":
    sys.exit("the monitor is forked by the spawner")
