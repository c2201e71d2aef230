"""The monitor: looks after one container from its start to its end, whoever comes or goes.

It owns the first process's pidfd, the standard streams, the log, the exec sessions and ``state.json``, and serves
``monitor.sock`` (see `protocol`). One thread, one epoll. When it has nothing left to look after, it ends.

What takes much code is done by children that end soon, the start by `starter`, execs by `exec`: they clone the
program as the monitor's own child and hand it over. So the monitor waits for nobody, and touches little memory.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import struct
import time

from pyctr_engine import events
from pyctr_engine.cgroups import control as control_groups
from pyctr_engine.errors import EngineError
from pyctr_engine.linux import pidfd as pidfds
from pyctr_engine.runtime import exec as execs
from pyctr_engine.runtime import handover, logs, passing, protocol, starter, statefile
from pyctr_engine.runtime.handover import Descriptors, Handover
from pyctr_engine.runtime.loop import Loop
from pyctr_engine.runtime.program import Client, Program

_FLUSH_SECONDS = 5.0


def main(listener: socket.socket, lifeline: int, taken: int, ours: socket.socket, theirs: socket.socket) -> None:
    """Wait for a start and look after what comes of it. Runs in a clone of the spawner, before anybody asks.

    See `starter.accept` for the first three; ``ours`` and ``theirs`` are the ends for the monitor and its starter.
    """
    os.setsid()
    _set_name(b"pyctr-monitor")
    child = os.fork()
    if child == 0:
        ours.close()
        starter.main(listener, lifeline, taken, theirs)
    theirs.close()
    listener.close()
    os.close(lifeline)
    os.close(taken)
    received = _serve(ours)
    ours.close()
    if received is None:
        _reap_all(child)
        return
    Monitor(*received, starter=child).run()


def _serve(starter: socket.socket) -> tuple[Handover, Descriptors, list[int]] | None:
    """Do what the starter asks for until it hands over; ``None`` when it ends without."""
    while True:
        message, fds = passing.receive(starter)
        if not message:
            return None
        if not handover.is_request_to_join(message):
            return handover.decode(message, fds)
        handover.join(starter, message)


def on_terminate(*_: object) -> None:
    """SIGTERM's handler, also in the spawner, where it is set: a monitor passes it on, everybody else goes."""
    if _monitor is None:
        os._exit(128 + signal.SIGTERM)
    _monitor.signal(signal.SIGTERM)


def _set_name(name: bytes) -> None:
    fd = os.open("/proc/self/comm", os.O_WRONLY)
    os.write(fd, name)
    os.close(fd)


def _reap_all(child: int) -> None:
    """Collect a starter that gave up, and what it made and ended."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(child, 0)
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


_monitor: Monitor | None = None


class Monitor:
    """One container's monitor."""

    def __init__(self, given: Handover, fds: Descriptors, ports: list[int], starter: int) -> None:
        self.given = given
        self.state = given.state
        self.held_ports = ports
        self.request = fds.request
        self.loop = Loop()
        self.starter = starter
        self.pidfd = fds.pidfd
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, fds.listener)
        self.sessions: dict[int, Program] = {}
        self.launches: dict[execs.Launch, Client] = {}
        self.waiters: list[Client] = []
        self.clients: set[Client] = set()
        self.reaps = False
        self.log = logs.LogWriter(given.state_dir, given.log_bytes, given.log_files)
        self.main = Program(
            self.loop, given.state["pid"], fds.pidfd, fds.streams, given.tty, self._main_ended, self.log
        )
        self._greet(fds.connection)

    # -- the life of a container --------------------------------------------------------------------------------

    def run(self) -> None:
        """Serve until it has ended, record how."""
        global _monitor
        _monitor = self
        for helper in self.given.helpers:
            os.waitpid(helper, 0)
        self.loop.add(self.listener.fileno(), select.EPOLLIN, self._accept)
        self._watch_starter()
        self.loop.run()
        self._finish()

    def _greet(self, fd: int) -> None:
        """The caller has its answer already; with ``attach``, its connection becomes the first client."""
        if self.given.attach:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, fd)
            connection.setblocking(False)
            client = Client(self.loop, connection, self._on_frame, self._on_gone)
            self.clients.add(client)
            self.main.attach(client)
        else:
            os.close(fd)
        self.main.begin()

    def _watch_starter(self) -> None:
        pidfd = pidfds.open_pidfd(self.starter)

        def ended(_: int) -> None:
            self.loop.remove(pidfd)
            os.close(pidfd)
            self._reap_starter()

        self.loop.add(pidfd, select.EPOLLIN, ended)

    def _reap_starter(self) -> None:
        if self.starter:
            os.waitpid(self.starter, 0)
            self.starter = 0

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
        given = self.given
        self._reap_starter()  # it goes when the container does, and may just be writing its last words
        # The live copy last: who reads of the end there may count on nothing more being written.
        # One that goes at its end (--rm) needs no copy that outlives a reboot.
        statefile.write(self.state, *([] if given.reap else [given.state_dir]), given.run_dir)
        attributes = {"exitCode": str(program.code)}
        if self.state["oom_killed"]:
            events.append(given.events_dir, "container", "oom", given.id, given.name)
        events.append(given.events_dir, "container", "die", given.id, given.name, attributes)
        self.reaps = bool(given.reap) and not (given.attach and program.clients)
        for launch in list(self.launches):
            self._launched(launch)
        for session in list(self.sessions.values()):
            session.wait_for_end()
        program.tell_end()
        for waiter in self.waiters:
            waiter.send(protocol.frame_json(protocol.EXIT, {"code": program.code}))
            waiter.close_when_sent()
        self.loop.stop()

    def _oom_killed(self) -> bool:
        """Whether the kernel killed something in it for want of memory."""
        return control_groups.oom_kills(self.given.oom) > 0

    def _finish(self) -> None:
        """Leave nothing: cgroups, socket, log; then end, or become what removes the container."""
        self.listener.close()
        self._unpublish()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{self.given.run_dir}/monitor.sock")
        control_groups.remove(self.given.directories)
        deadline = time.monotonic() + _FLUSH_SECONDS
        while any(client.pending for client in self.clients) and time.monotonic() < deadline:
            self.loop.turn(0.1)
        for client in list(self.clients):
            client.close()
        self._leave_cgroup()
        if self.reaps:
            os.execv(self.given.reap[0], self.given.reap)

    def _unpublish(self) -> None:
        """Lead the published ports nowhere again, then let go of them: their next owner must get its own traffic.

        In a child, because libnftables would stay in this process's memory; a container's restart needs no engine.
        """
        if not self.given.unpublish:
            return
        child = os.fork()
        if child == 0:
            from pyctr_engine.linux import nftables

            for commands in self.given.unpublish:
                with contextlib.suppress(EngineError):  # another container's by now, or the table is gone
                    nftables.run(commands)
            os._exit(0)
        os.waitpid(child, 0)
        for held in self.held_ports:
            os.close(held)

    def _leave_cgroup(self) -> None:
        given = self.given
        if not any(os.path.isdir(directory) for directory in given.monitor_directories):
            return  # it lived too short to be given one
        for path in given.monitor_attach:
            root = path.split("/monitors/")[0].rsplit("/", 1)[0]
            with contextlib.suppress(EngineError):
                control_groups.attach([f"{root}/cgroup.procs"], 0)
        for directory in reversed(given.monitor_directories):
            with contextlib.suppress(OSError):
                os.rmdir(directory)

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
            self._exec(client, payload)
        elif kind == protocol.ATTACH:
            client.send(protocol.frame_json(protocol.STARTED, {"pid": self.main.pid}))
            self.main.attach(client)
        elif kind == protocol.SIGNAL:
            sent = self.signal(json.loads(payload)["signal"])
            client.send(protocol.frame_json(protocol.STARTED, {"sent": sent}))
        elif kind == protocol.WAIT:
            self.waiters.append(client)
        else:
            client.close()

    def signal(self, number: int) -> bool:
        """Signal its first process; False when that has ended."""
        try:
            pidfds.send_signal(self.pidfd, number)
        except ProcessLookupError:
            return False
        return True

    def _exec(self, client: Client, payload: bytes) -> None:
        launch = execs.begin(payload, self.request, self.pidfd)
        self.launches[launch] = client
        self.loop.add(launch.channel.fileno(), select.EPOLLIN, lambda _: self._launched(launch))

    def _launched(self, launch: execs.Launch) -> None:
        """An exec's helper has something to say: the program it started, or why it could not."""
        client = self.launches.pop(launch)
        self.loop.remove(launch.channel.fileno())
        executed = execs.end(launch)
        if isinstance(executed, protocol.Failure):
            client.send(protocol.frame_json(protocol.FAILED, executed._asdict()))
            client.close_when_sent()
            return
        program = Program(
            self.loop, executed.pid, executed.pidfd, executed.streams, executed.tty, self._session_ended, None
        )
        self.sessions[executed.pid] = program
        client.send(protocol.frame_json(protocol.STARTED, {"pid": executed.pid}))
        program.attach(client)
        program.begin()

    def _session_ended(self, program: Program) -> None:
        self.sessions.pop(program.pid, None)
        program.tell_end()
