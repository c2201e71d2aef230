"""The outer half of a start: cgroups, namespaces, id maps, mounts, network, until init has become the program.

Runs in a child of the monitor (`starter`), which ends soon after; the container's first process is cloned as the
monitor's own child. What needs no more than a `Preparation` is begun before the whole request is there.
"""

from __future__ import annotations

import contextlib
import json
import marshal
import os
import socket
import stat
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from pyctr_engine.cgroups import control as control_groups
from pyctr_engine.errors import EngineError
from pyctr_engine.linux import namespaces, rtnetlink
from pyctr_engine.linux import pidfd as pidfds
from pyctr_engine.runtime import handover, init, passing, trees
from pyctr_engine.runtime.handover import Streams
from pyctr_engine.runtime.protocol import Failure, Preparation, StartRequest


class BirthError(Exception):
    """A start that failed; nothing of it is left but directories."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(f"{failure.step}: {failure.reason}")
        self.failure = failure


class Newborn(NamedTuple):
    """A started program: its process, its streams, and the trace (step, begin, end; monotonic seconds)."""

    pid: int
    pidfd: int
    streams: Streams
    trace: list[tuple[str, float, float]]
    plain_binds: list[str]


class Birth:
    """One start: `begin`, then `finish`. When one of them raises BirthError, what was made in the kernel is gone."""

    def __init__(self, preparation: Preparation, monitor: socket.socket) -> None:
        self.preparation = preparation
        self.monitor = monitor
        self.steps = init.Steps()
        self.pid = 0
        self.pidfd = -1
        self.plain_binds: list[str] = []
        self.helpers: list[int] = []

    def begin(self) -> None:
        """Cgroups and namespaces; init waits then for its request."""
        with self._undoing():
            self._begin()

    def finish(self, request: StartRequest, memfd: int, meanwhile: Callable[[], None]) -> Newborn:
        """All the rest; ``memfd`` holds the request. ``meanwhile`` is called as init makes the root file system."""
        with self._undoing():
            return self._finish(request, memfd, meanwhile)

    def abort(self) -> None:
        """Undo: kill init (its namespaces go with it; the monitor reaps it), remove the cgroups."""
        if self.pid > 0:
            with contextlib.suppress(ProcessLookupError):
                pidfds.send_signal(self.pidfd, 9)
            os.close(self.pidfd)
            self.pid = 0
        control_groups.remove(self.preparation.cgroup.directories)

    @contextlib.contextmanager
    def _undoing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            path = error.filename if isinstance(error.filename, str) else os.fsdecode(error.filename or b"")
            failure = Failure(self.steps.current, error.strerror or str(error), error.errno or 0, path, 125)
            self.abort()
            raise BirthError(failure) from error
        except EngineError as error:
            self.abort()
            raise BirthError(Failure(self.steps.current, error.message, 0, "", 125)) from error
        except BirthError:
            self.abort()
            raise
        except Exception as error:  # a fault of ours: whatever it is, nothing may be left behind, nobody left waiting
            self.abort()
            reason = f"{type(error).__name__}: {error}"
            raise BirthError(Failure(self.steps.current, reason, 0, "", 125)) from error

    def _begin(self) -> None:
        steps, cgroup = self.steps, self.preparation.cgroup
        steps.begin("cgroup directories")
        control_groups.prepare(cgroup.parents, cgroup.directories, cgroup.settings, cgroup.defaults)
        steps.begin("standard streams")
        self.ours, self.theirs = open_streams(self.preparation.tty, self.preparation.stdin)
        self.control, child_control = passing.pair()
        steps.begin("namespaces")
        self._clone(child_control)
        child_control.close()
        self._join_cgroups()
        steps.begin("wait for the request")

    def _finish(self, request: StartRequest, memfd: int, meanwhile: Callable[[], None]) -> Newborn:
        steps = self.steps
        steps.begin("id maps")
        passing.tell(self.control, init.REQUEST, [memfd])
        give_streams(self.theirs, root_id(request))
        for fd in {*self.theirs}:
            os.close(fd)
        userns = self._map_ids(request)
        steps.begin("open mounts")
        self._send_trees(request, userns)
        steps.begin("network interface")
        self._move_interface(request)
        passing.tell(self.control, init.NET)
        steps.begin("monitor socket")
        meanwhile()
        steps.begin("cgroups")
        self._await_cgroups()
        passing.tell(self.control, init.CGROUP)
        steps.begin("init")
        streams = self._await_exec()
        steps.begin("")
        return Newborn(self.pid, self.pidfd, streams, steps.done, self.plain_binds)

    def _clone(self, child_control: socket.socket) -> None:
        asked = self.preparation
        flags = namespaces.CLONE_NEWNS | namespaces.CLONE_NEWPID | namespaces.CLONE_NEWUTS | namespaces.CLONE_NEWIPC
        if asked.userns:
            flags |= namespaces.CLONE_NEWUSER
        if asked.net == "private":
            flags |= namespaces.CLONE_NEWNET

        def child() -> None:
            init.main(child_control, self.theirs)

        cgroup_fd = -1
        if asked.cgroup.clone_into:
            cgroup_fd = os.open(asked.cgroup.clone_into, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            if asked.join is not None:
                beside = clone_beside(asked.join.pid, asked.join.start_time, flags, child, cgroup_fd)
                self.pid, self.pidfd, helper = beside
                self.helpers.append(helper)
                return
            self.pid, self.pidfd = namespaces.clone3(flags | namespaces.CLONE_PARENT, cgroup_fd)
            if self.pid == 0:
                child()
        finally:
            if cgroup_fd >= 0:
                os.close(cgroup_fd)

    def _join_cgroups(self) -> None:
        """Let the monitor, which only waits, move init into its v1 cgroups, beside everything else.

        The first move after some idle time waits 6 to 15 ms for the kernel (RCU): by far the longest step of a start.
        """
        if self.preparation.cgroup.attach:
            handover.ask_to_join(self.monitor, self.preparation.cgroup.attach, self.pid)

    def _await_cgroups(self) -> None:
        if self.preparation.cgroup.attach:
            failure = handover.joined(self.monitor)
            if failure:
                raise BirthError(Failure(self.steps.current, failure, 0, "", 125))

    def _map_ids(self, request: StartRequest) -> int:
        """Write the maps; the user namespace as a descriptor, -1 when it is the host's."""
        if self.preparation.userns:
            text = "".join(f"{inside} {outside} {count}\n" for inside, outside, count in request.ids).encode()
            for which in ("uid_map", "gid_map"):
                map = os.open(f"/proc/{self.pid}/{which}", os.O_WRONLY | os.O_CLOEXEC)
                os.write(map, text)
                os.close(map)
        if request.ids:
            return os.open(f"/proc/{self.pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
        return -1

    def _send_trees(self, request: StartRequest, userns: int) -> None:
        fds = [trees.open_store(request.layers, userns), trees.open_store(request.state_dir, userns)]
        targets: list[tuple[str, bool]] = []
        for bind in request.binds:
            self.steps.subject = bind.source
            for tree in trees.open_bind(bind, userns):
                fds.append(tree.fd)
                targets.append((tree.target, tree.is_directory))
                if userns >= 0 and bind.idmap and not tree.mapped:
                    self.plain_binds.append(tree.target)
        self.steps.subject = ""
        passing.tell(self.control, init.GO + json.dumps(targets).encode(), fds)
        for fd in fds:
            os.close(fd)
        if userns >= 0:
            os.close(userns)

    def _move_interface(self, request: StartRequest) -> None:
        network = request.network
        if network is None:
            return
        netns = os.open(f"/proc/{self.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            with rtnetlink.Socket() as netlink:
                bridge = rtnetlink.link_index(network.bridge)
                hardware = rtnetlink.hardware_address(network.address)
                netlink.create_veth(
                    network.interface, "eth0", bridge, netns, hardware=hardware, hairpin=bool(network.ports)
                )
        finally:
            os.close(netns)

    def _await_exec(self) -> Streams:
        """Read what init reports until its end of the socket is closed by exec."""
        ours, executed, last = self.ours, False, ("", 0.0, 0.0)
        while True:
            message, fds = passing.receive(self.control)
            kind, payload = message[:1], message[1:]
            if kind == init.TTY:
                ours = Streams(fds[0], fds[0], -1)
            elif kind == init.STEPS:
                executed = True
                self.steps.done += [(name, begin, end) for name, begin, end in marshal.loads(payload)]  # noqa: S302
                last = self.steps.done.pop()
            elif kind == init.FAILED:
                raise BirthError(Failure(*json.loads(payload)))
            elif not message:
                break
        if not executed:
            raise BirthError(Failure(self.steps.current, "init ended without a word", 0, "", 125))
        self.steps.done.append((last[0], last[1], time.monotonic()))
        self.control.close()
        return ours


def clone_beside(
    pid: int, started: int, flags: int, child: Callable[[], None], cgroup_fd: int = -1
) -> tuple[int, int, int]:
    """Clone ``child`` as a sibling of this process, in the user and network namespaces of process ``pid``.

    A helper joins them, so that this process itself never leaves its own. It is a sibling too, for CLONE_PARENT
    makes siblings only. Returns the new process, its pidfd, and the helper, both for the monitor to reap.
    """
    target = pidfds.open_pidfd(pid)
    if not namespaces.is_running(pid, started):
        raise OSError(3, "the container whose network is shared has ended")
    reading, writing = os.pipe2(os.O_CLOEXEC)
    helper, _ = namespaces.clone3(namespaces.CLONE_PARENT)
    if helper == 0:
        code = born = 0
        try:
            namespaces.prctl(namespaces.PR_SET_DUMPABLE, 0)
            same_user = os.stat(f"/proc/{pid}/ns/user").st_ino == os.stat("/proc/self/ns/user").st_ino
            namespaces.setns(target, namespaces.CLONE_NEWNET | (0 if same_user else namespaces.CLONE_NEWUSER))
            born, _ = namespaces.clone3(flags | namespaces.CLONE_PARENT, cgroup_fd)
            if born == 0:
                child()
        except OSError as error:
            code = error.errno or 1
        os.write(writing, b"%d %d" % (code, born))
        os._exit(0)
    os.close(writing)
    os.close(target)
    answer = os.read(reading, 16)  # not to its end: the new process has the pipe too, until it execs
    os.close(reading)
    if not answer:
        raise OSError(3, "the namespaces that are shared could not be joined", "namespaces")
    code, born = (int(word) for word in answer.split())
    if code:
        raise OSError(code, os.strerror(code), "namespaces")
    return born, pidfds.open_pidfd(born), helper


def open_streams(tty: bool, stdin_open: bool) -> tuple[Streams, tuple[int, int, int]]:
    """Pipes (or /dev/null for a closed input): our ends, and the program's."""
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
    return Streams(into, out, err), (stdin, stdout, stderr)


def give_streams(theirs: tuple[int, int, int], owner: int) -> None:
    """Give the program's ends to ``owner``, the host's id of root inside.

    Root inside can then give them to the program's user: else ``echo > /dev/stdout`` is refused.
    """
    for fd in {*theirs}:
        if stat.S_ISFIFO(os.fstat(fd).st_mode):
            os.fchown(fd, owner, owner)


def root_id(request: StartRequest) -> int:
    """The host's id of the container's root."""
    return next((outside for inside, outside, _ in request.ids if inside == 0), 0)
