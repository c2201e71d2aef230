"""The monitor's half of a start: cgroups, namespaces, id maps, mounts, network, until init has become the program."""

from __future__ import annotations

import _thread
import array
import contextlib
import json
import os
import socket
import time
from collections.abc import Callable
from typing import NamedTuple

from pyctr_engine.cgroups import control as control_groups
from pyctr_engine.errors import EngineError
from pyctr_engine.linux import namespaces, rtnetlink
from pyctr_engine.linux import pidfd as pidfds
from pyctr_engine.runtime import init, trees
from pyctr_engine.runtime.protocol import Failure, StartRequest

_FDS_PER_MESSAGE = 200  # the kernel takes 253


class BirthError(Exception):
    """A start that failed; nothing of it is left but directories."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(f"{failure.step}: {failure.reason}")
        self.failure = failure


class Streams(NamedTuple):
    """The monitor's ends of the program's standard streams; with a terminal, its master is ``out`` and ``into``."""

    into: int
    out: int
    err: int


class Newborn(NamedTuple):
    """A started program: its process, its streams, and the trace (step, begin, end; monotonic seconds)."""

    pid: int
    pidfd: int
    streams: Streams
    trace: list[tuple[str, float, float]]
    plain_binds: list[str]


class Birth:
    """One start. `run` does all; on failure what was made in the kernel is gone when it raises."""

    def __init__(self, request: StartRequest) -> None:
        self.request = request
        self.steps = init.Steps()
        self.pid = 0
        self.pidfd = -1
        self.plain_binds: list[str] = []

    def run(self) -> Newborn:
        """Start; raises BirthError."""
        try:
            return self._run()
        except OSError as error:
            path = error.filename if isinstance(error.filename, str) else os.fsdecode(error.filename or b"")
            failure = Failure(self.steps.current, error.strerror or str(error), error.errno or 0, path, 125)
            self._abort()
            raise BirthError(failure) from error
        except EngineError as error:
            self._abort()
            raise BirthError(Failure(self.steps.current, error.message, 0, "", 125)) from error
        except BirthError:
            self._abort()
            raise
        except Exception as error:  # a fault of ours: whatever it is, nothing may be left behind, nobody left waiting
            self._abort()
            reason = f"{type(error).__name__}: {error}"
            raise BirthError(Failure(self.steps.current, reason, 0, "", 125)) from error

    def _run(self) -> Newborn:
        request, steps = self.request, self.steps
        steps.begin("cgroup directories")
        cgroup = request.cgroup
        control_groups.prepare(cgroup.parents, cgroup.directories, cgroup.settings, cgroup.defaults)
        steps.begin("standard streams")
        ours, theirs = open_streams(request.tty, request.stdin, root_id(request))
        control, child_control = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        steps.begin("namespaces")
        self._clone(child_control, theirs)
        child_control.close()
        for fd in {*theirs}:
            os.close(fd)
        joined = Joining(cgroup.attach, self.pid)
        steps.begin("id maps")
        userns = self._map_ids()
        steps.begin("open mounts")
        self._send_trees(control, userns)
        steps.begin("network interface")
        self._move_interface()
        _tell(control, init.NET)
        steps.begin("cgroups")
        joined.wait()
        _tell(control, init.CGROUP)
        steps.begin("init")
        streams = self._await_exec(control, ours)
        steps.begin("")
        return Newborn(self.pid, self.pidfd, streams, steps.done, self.plain_binds)

    def _clone(self, child_control: socket.socket, theirs: tuple[int, int, int]) -> None:
        request = self.request
        flags = namespaces.CLONE_NEWNS | namespaces.CLONE_NEWPID | namespaces.CLONE_NEWUTS | namespaces.CLONE_NEWIPC
        if request.ids and request.join is None:
            flags |= namespaces.CLONE_NEWUSER
        if request.net == "private":
            flags |= namespaces.CLONE_NEWNET

        def child() -> None:
            init.main(request, child_control, theirs)

        cgroup_fd = -1
        if request.cgroup.clone_into:
            cgroup_fd = os.open(request.cgroup.clone_into, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            if request.join is not None:
                self.pid, self.pidfd = clone_beside(
                    request.join.pid, request.join.start_time, flags, child, cgroup_fd
                )
                return
            self.pid, self.pidfd = namespaces.clone3(flags, cgroup_fd)
            if self.pid == 0:
                child()
        finally:
            if cgroup_fd >= 0:
                os.close(cgroup_fd)

    def _map_ids(self) -> int:
        """Write the maps; the user namespace as a descriptor, -1 when it is the host's."""
        if self.request.ids and self.request.join is None:
            text = "".join(f"{inside} {outside} {count}\n" for inside, outside, count in self.request.ids)
            for which in ("uid_map", "gid_map"):
                with open(f"/proc/{self.pid}/{which}", "wb", buffering=0) as file:
                    file.write(text.encode())
        if self.request.ids:
            return os.open(f"/proc/{self.pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
        return -1

    def _send_trees(self, control: socket.socket, userns: int) -> None:
        request = self.request
        fds = [trees.open_store(request.layers, userns), trees.open_store(request.state_dir, userns)]
        targets: list[tuple[str, bool]] = []
        for bind in request.binds:
            self.steps.path = bind.source
            for tree in trees.open_bind(bind, userns):
                fds.append(tree.fd)
                targets.append((tree.target, tree.is_directory))
                if userns >= 0 and bind.idmap and not tree.mapped:
                    self.plain_binds.append(tree.target)
        self.steps.path = ""
        while len(fds) > _FDS_PER_MESSAGE:
            _send_fds(control, b"+", fds[:_FDS_PER_MESSAGE])
            del fds[:_FDS_PER_MESSAGE]
        _send_fds(control, init.GO + json.dumps(targets).encode(), fds)
        if userns >= 0:
            os.close(userns)

    def _move_interface(self) -> None:
        network = self.request.network
        if network is None:
            return
        netns = os.open(f"/proc/{self.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            with rtnetlink.Socket() as netlink:
                bridge = netlink.link_index(network.bridge)
                hardware = rtnetlink.hardware_address(network.address)
                netlink.create_veth(
                    network.interface, "eth0", bridge, netns, hardware=hardware, hairpin=bool(network.ports)
                )
        finally:
            os.close(netns)

    def _await_exec(self, control: socket.socket, ours: Streams) -> Streams:
        """Read what init reports until its end of the socket is closed by exec."""
        executed, last = False, ("", 0.0, 0.0)
        while True:
            message, ancillary = hear(control)
            kind, payload = message[:1], message[1:]
            if kind == init.TTY:
                master = array.array("i", ancillary[0][2])[0]
                ours = Streams(master, master, -1)
            elif kind == init.STEPS:
                executed = True
                self.steps.done += [(name, begin, end) for name, begin, end in json.loads(payload)]
                last = self.steps.done.pop()
            elif kind == init.FAILED:
                raise BirthError(Failure(*json.loads(payload)))
            elif not message:
                break
        if executed:
            self.steps.done.append((last[0], last[1], time.monotonic()))
        control.close()
        if not executed:
            raise BirthError(Failure(self.steps.current, "init ended without a word", 0, "", 125))
        return ours

    def _abort(self) -> None:
        """Undo: kill and reap init (its namespaces go with it), remove the cgroups."""
        if self.pid > 0:
            with contextlib.suppress(ProcessLookupError):
                pidfds.send_signal(self.pidfd, 9)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self.pid, 0)
            os.close(self.pidfd)
        control_groups.remove(self.request.cgroup.directories)


def _tell(control: socket.socket, message: bytes) -> None:
    """Send to init; that it has gone meanwhile is told, with the reason, by what it sent before."""
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        control.send(message)


def hear(control: socket.socket) -> tuple[bytes, list[tuple[int, int, bytes]]]:
    """The next message with its ancillary data; empty at the end.

    A peer that ends with our messages unread makes the next call fail with ECONNRESET, once, although what it
    sent before is still there to be read. Source: unix(7).
    """
    while True:
        with contextlib.suppress(ConnectionResetError):
            message, ancillary, _, _ = control.recvmsg(1 << 16, socket.CMSG_SPACE(4), socket.MSG_CMSG_CLOEXEC)
            return message, ancillary


class Joining:
    """Moves a process into v1 cgroups in a thread of its own, beside the mounts.

    The first move after some idle time waits 6 to 15 ms for the kernel (RCU): by far the longest step of a start.
    """

    def __init__(self, procs: list[str], pid: int) -> None:
        self._error: EngineError | None = None
        self._done = _thread.allocate_lock()
        self._done.acquire()
        _thread.start_new_thread(self._join, (procs, pid))

    def _join(self, procs: list[str], pid: int) -> None:
        try:
            control_groups.attach(procs, pid)
        except EngineError as error:
            self._error = error
        finally:
            self._done.release()

    def wait(self) -> None:
        """Wait until it is done; raises what went wrong."""
        with self._done:
            if self._error is not None:
                raise self._error


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


def open_streams(tty: bool, stdin_open: bool, owner: int) -> tuple[Streams, tuple[int, int, int]]:
    """Pipes (or /dev/null for a closed input): our ends, and the program's.

    The program's ends are given to ``owner``, the host's id of root inside, who can then give them to the program's
    user: else ``echo > /dev/stdout`` is refused.
    """
    if tty:
        null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        return Streams(-1, -1, -1), (null, null, null)
    into = -1
    if stdin_open:
        stdin, into = os.pipe2(os.O_CLOEXEC)
    else:
        stdin = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    out, stdout = os.pipe2(os.O_CLOEXEC)
    err, stderr = os.pipe2(os.O_CLOEXEC)
    for fd in (stdin, stdout, stderr) if stdin_open else (stdout, stderr):
        os.fchown(fd, owner, owner)
    return Streams(into, out, err), (stdin, stdout, stderr)


def root_id(request: StartRequest) -> int:
    """The host's id of the container's root."""
    return next((outside for inside, outside, _ in request.ids if inside == 0), 0)


def _send_fds(control: socket.socket, message: bytes, fds: list[int]) -> None:
    control.sendmsg([message], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))])
    for fd in fds:
        os.close(fd)
