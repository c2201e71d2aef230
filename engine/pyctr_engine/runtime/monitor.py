"""The monitor: looks after one container from its start to its end, whoever comes or goes.

It owns the first process's pidfd, the standard streams, the log, the exec sessions and ``state.json``, and serves
``monitor.sock`` (see `protocol`). One thread, one epoll. When it has nothing left to look after, it ends.

What takes much code is done elsewhere: a start by the starters' process (`starter`), which hands over what it made;
execs by children that end soon (`exec`). So the monitor waits for nobody, and most of its memory stays shared with
others.
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
from collections.abc import Callable

from pyctr_engine import events
from pyctr_engine.cgroups import control as control_groups
from pyctr_engine.errors import EngineError
from pyctr_engine.linux import namespaces
from pyctr_engine.linux import pidfd as pidfds
from pyctr_engine.runtime import exec as execs
from pyctr_engine.runtime import init, logs, orders, passing, protocol, statefile
from pyctr_engine.runtime.loop import Loop
from pyctr_engine.runtime.orders import Descriptors, Handover
from pyctr_engine.runtime.program import Client, Program

_FLUSH_SECONDS = 5.0
_SETTLE_SECONDS = 0.03
"""What a container is not waited for is done when it has lived this long; many live shorter."""


def main(fd: int) -> None:
    """Wait for a start and look after what comes of it. Runs in a clone of the spawner, before anybody asks.

    ``fd`` is a socket that leads to a starter; see `orders`.
    """
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, fd)
    os.setsid()
    _set_name(b"pyctr-monitor")
    monitor = _wait(channel)
    channel.close()
    if monitor is not None:
        monitor.run()


def _set_name(name: bytes) -> None:
    """By a file, because a call by ctypes would touch memory that can be shared. Source: proc_pid_comm(5)."""
    fd = os.open("/proc/self/comm", os.O_WRONLY | os.O_CLOEXEC)
    os.write(fd, name)
    os.close(fd)


def _wait(channel: socket.socket) -> Monitor | None:
    """Do what a starter orders until it hands over; ``None`` when nothing came of it."""
    directories, parents = list[str](), list[str]()
    pid, pidfd = 0, -1
    while True:
        message, fds = passing.receive(channel)
        if message[:1] == orders.HANDOVER:
            return Monitor(pidfd, *orders.handover(message, fds))
        if message[:1] == orders.CLONE:
            order = orders.clone_order(message)
            directories, parents = order.directories, order.parents
            pid, pidfd = _give_birth(order, fds, channel)
            if pid:
                _join(order.procs, pid, channel)
        elif message[:1] == orders.JOIN:
            procs, directories = orders.loads(message)
            _join(procs, pid, channel)
        else:
            break
    if pid:
        with contextlib.suppress(ProcessLookupError):
            pidfds.send_signal(pidfd, signal.SIGKILL)
        os.waitpid(pid, 0)
    control_groups.remove(directories)
    control_groups.remove_shared(parents)
    return None


def _give_birth(order: orders.CloneOrder, fds: list[int], channel: socket.socket) -> tuple[int, int]:
    """Clone init and say so; its process and pidfd, (0, -1) when there is none."""
    control, cgroup = fds[0], fds[1] if len(fds) > 1 else -1

    def child() -> None:
        init.main(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, control))

    try:
        if order.join:
            pid, pidfd = clone_beside(order.join[0], order.join[1], order.flags, child, cgroup)
        else:
            pid, pidfd = namespaces.clone3(order.flags, cgroup)
            if pid == 0:
                child()
    except OSError as error:
        where = error.filename if isinstance(error.filename, str) else ""
        failure = protocol.Failure("namespaces", error.strerror or str(error), error.errno or 0, where, 125)
        orders.answer(channel, orders.REFUSED, tuple(failure))
        return 0, -1
    finally:
        for fd in fds:
            os.close(fd)
    orders.answer(channel, orders.BORN, pid, (pidfd,))
    return pid, pidfd


def _join(procs: list[str], pid: int, channel: socket.socket) -> None:
    """Move init into v1 cgroups.

    The first move after some idle time waits 6 to 15 ms for the kernel (RCU), by far the longest step of a start:
    the starter goes on meanwhile.
    """
    try:
        control_groups.attach(procs, pid)
    except EngineError as error:
        orders.answer(channel, orders.REFUSED, tuple(protocol.Failure("cgroups", error.message, 0, "", 125)))
    else:
        orders.answer(channel, orders.JOINED, None)


def clone_beside(
    pid: int, started: int, flags: int, child: Callable[[], None], cgroup_fd: int = -1
) -> tuple[int, int]:
    """Clone ``child`` as this process's own child, in the user and network namespaces of process ``pid``.

    A helper joins them and clones with CLONE_PARENT; this process itself never leaves its namespaces.
    """
    target = pidfds.open_pidfd(pid)
    if not namespaces.is_running(pid, started):
        raise OSError(3, "the container whose network is shared has ended")
    reading, writing = os.pipe2(os.O_CLOEXEC)
    helper = os.fork()
    if helper == 0:
        code = 1
        try:
            namespaces.prctl(namespaces.PR_SET_DUMPABLE, 0)
            same_user = os.stat(f"/proc/{pid}/ns/user").st_ino == os.stat("/proc/self/ns/user").st_ino
            namespaces.setns(target, namespaces.CLONE_NEWNET | (0 if same_user else namespaces.CLONE_NEWUSER))
            born, _ = namespaces.clone3(flags | namespaces.CLONE_PARENT, cgroup_fd)
            if born == 0:
                child()
            os.write(writing, b"%d" % born)
            code = 0
        except OSError as error:
            code = error.errno or 1
        os._exit(code)
    os.close(writing)
    os.close(target)
    answer = os.read(reading, 16)  # not to its end: the new process has the pipe too, until it execs
    os.close(reading)
    _, status = os.waitpid(helper, 0)
    if not answer:
        code = namespaces.exit_code(status)
        raise OSError(code, os.strerror(code), "namespaces")
    return int(answer), pidfds.open_pidfd(int(answer))


def pass_on(number: int) -> bool:
    """Pass a signal on to the container that this process looks after; False when it is no monitor (yet)."""
    if _monitor is None:
        return False
    _monitor.signal(number)
    return True


def on_hangup(*_: object) -> None:
    """SIGHUP's handler, set in the spawner too: nobody but a monitor takes notice."""
    if _monitor is not None:
        _monitor.listen_anew()


def _run_unpublishing(request: int) -> None:
    from pyctr_engine.linux import nftables

    network = protocol.StartRequest.decode(os.pread(request, os.fstat(request).st_size, 0)).network
    for commands in network.unpublish if network else ():
        with contextlib.suppress(EngineError):  # another container's by now, or the table is gone
            nftables.run(commands)


_monitor: Monitor | None = None


class Monitor:
    """One container's monitor."""

    def __init__(self, pidfd: int, given: Handover, fds: Descriptors, ports: list[int]) -> None:
        self.given = given
        self.state = given.state
        self.held_ports = ports
        self.request = fds.request
        self.loop = Loop()
        self.pidfd = pidfd
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, fds.listener)
        self.sessions: dict[int, Program] = {}
        self.launches: dict[execs.Launch, Client] = {}
        self.waiters: list[Client] = []
        self.clients: set[Client] = set()
        self.reaps = False
        self.settled = False
        self.log = logs.LogWriter(given.state_dir, given.log_bytes, given.log_files)
        self.main = Program(self.loop, given.state["pid"], pidfd, fds.streams, given.tty, self._main_ended, self.log)
        self._greet(fds.connection)

    # -- the life of a container --------------------------------------------------------------------------------

    def run(self) -> None:
        """Serve until it has ended, record how."""
        global _monitor
        _monitor = self
        self.loop.add(self.listener.fileno(), select.EPOLLIN, self._accept)
        if self.loop.run_for(_SETTLE_SECONDS):
            self._settle()
            self.loop.run()
        self._finish()

    def _greet(self, fd: int) -> None:
        """The caller has its answer already; with ``attach``, its connection becomes the first client."""
        if self.given.attach:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, fd)
            connection.setblocking(False)
            client = Client(self.loop, connection, self._on_frame, self._on_gone)
            self.clients.add(client)
            self.main.attach(client, owns_input=True)
        else:
            os.close(fd)
        self.main.begin()

    def listen_anew(self) -> None:
        """Make socket and state file again: somebody wiped the run directory."""
        if self.state["state"] == "exited":
            return
        directory = self.given.run_dir
        with contextlib.suppress(OSError):
            os.makedirs(directory, 0o700, exist_ok=True)
            listener = protocol.listen(directory)
            self.loop.remove(self.listener.fileno())
            self.listener.close()
            self.listener = listener
            self.loop.add(listener.fileno(), select.EPOLLIN, self._accept)
            statefile.write(self.state, directory)

    def _settle(self) -> None:
        """What need not be waited for: the monitor's own cgroup, and what outlives a reboot of one that is to go."""
        if self.given.reap:  # most of these (--rm) have ended by now, and nobody has to clean up after them
            statefile.write_trace(self.given.trace, self.given.state_dir)
            statefile.write(self.state, self.given.state_dir)
        for directory in self.given.monitor_directories:
            with contextlib.suppress(OSError):
                os.mkdir(directory, 0o755)
        with contextlib.suppress(EngineError):  # without it only a lost run directory is harder to rebuild
            control_groups.attach(self.given.monitor_attach, 0)
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
        given = self.given
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
        if self.settled:
            self._leave_cgroup()
        if self.reaps:
            os.execv(self.given.reap[0], self.given.reap)

    def _unpublish(self) -> None:
        """Lead the published ports nowhere again, then let go of them: their next owner must get its own traffic.

        In a child, because libnftables would stay in this process's memory; a container's restart needs no engine.
        """
        if not self.held_ports:
            return
        child = os.fork()
        if child == 0:
            try:
                _run_unpublishing(self.request)
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        for held in self.held_ports:
            os.close(held)

    def _leave_cgroup(self) -> None:
        given = self.given
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
        """Signal its first process; False when that has ended, or the signal is none."""
        try:
            pidfds.send_signal(self.pidfd, number)
        except OSError:  # EBADF: it has been reaped
            return False
        return True

    def _exec(self, client: Client, payload: bytes) -> None:
        try:
            launch = execs.begin(payload, self.request, self.pidfd)
        except OSError as error:  # no more processes, or descriptors: that is no reason to end the container
            failure = protocol.Failure("exec", error.strerror or str(error), error.errno or 0, "", 126)
            client.send(protocol.frame_json(protocol.FAILED, failure._asdict()))
            client.close_when_sent()
            return
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
        program.attach(client, owns_input=True)
        program.begin()
        if client not in self.clients:  # it went while its program was made
            program.detach(client)

    def _session_ended(self, program: Program) -> None:
        self.sessions.pop(program.pid, None)
        program.tell_end()
