"""The outer half of a start: cgroups, namespaces, id maps, mounts, network, until init has become the program.

What is done in the container's own namespaces is `init`'s; what clones init is the monitor (`orders`). Nothing here
waits for them: whoever drives a `Birth` watches its two sockets and calls it when one is readable.
"""

from __future__ import annotations

import json
import marshal
import os
import resource
import select
import socket
import stat
import time

from pyctr_engine.cgroups import control as control_groups
from pyctr_engine.cgroups import devices
from pyctr_engine.errors import EngineError, StartError
from pyctr_engine.linux import namespaces, rtnetlink
from pyctr_engine.runtime import init, orders, passing, rootfs, trees
from pyctr_engine.runtime.orders import Kept, Streams
from pyctr_engine.runtime.protocol import Failure, Preparation, StartRequest


class BirthError(Exception):
    """A start that failed."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.describe())
        self.failure = failure


class Birth:
    """One start: `begin`, and `proceed` once there are a request and a process; then init is on its own.

    Every method raises BirthError, OSError or EngineError; the monitor undoes all when its socket is closed.
    """

    def __init__(self, preparation: Preparation, monitor: socket.socket) -> None:
        self.preparation = preparation
        self.monitor = monitor
        self.control, self.inits_end = passing.pair()
        self.steps = init.Steps()
        self.pid = 0
        self.pidfd = -1
        self.joining = 0
        self.executed = False
        self.streams = Streams(-1, -1, -1)
        self.kept: Kept | None = None
        self.plain_binds: list[str] = []
        self.joins = [(join.flags, join.pid, join.start_time) for join in preparation.joins]

    def begin(self) -> None:
        """Make the cgroups, and have init cloned; it waits then for its request."""
        asked, cgroup = self.preparation, self.preparation.cgroup
        parents = [path for path, _ in reversed(cgroup.parents)]
        order = orders.CloneOrder(asked.new, self.joins, cgroup.attach, cgroup.directories, parents, asked.clocks)
        directory = -1
        try:
            self.steps.begin("cgroup directories")
            control_groups.prepare(
                cgroup.parents, cgroup.directories, cgroup.settings, cgroup.defaults, cgroup.either
            )
            self.steps.begin("namespaces")
            if cgroup.clone_into:
                directory = os.open(cgroup.clone_into, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            order.send(self.monitor, self.inits_end.fileno(), directory)
            self.joining = 1
        except OSError:
            control_groups.remove(cgroup.directories)
            raise
        finally:
            self.inits_end.close()
            if directory >= 0:
                os.close(directory)

    def begin_again(self, joins: list[tuple[int, int, int]]) -> None:
        """Have init cloned in the namespaces and cgroups of its earlier run, which the monitor keeps.

        ``joins``: flags, process and its start time of those whose namespaces it shares, but for user and network.
        """
        cgroup = self.preparation.cgroup
        self.joins = joins
        flags = self.preparation.new & ~(namespaces.CLONE_NEWUSER | namespaces.CLONE_NEWNET)
        self.steps.begin("namespaces")
        directory = (
            os.open(cgroup.clone_into, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC) if cgroup.clone_into else -1
        )
        try:
            orders.CloneOrder(flags, joins, cgroup.attach, [], [], self.preparation.clocks).send(
                self.monitor, self.inits_end.fileno(), directory
            )
            self.joining = 1
        finally:
            self.inits_end.close()
            if directory >= 0:
                os.close(directory)

    def hear_monitor(self) -> None:
        """Take the monitor's next answer: init is born, or it has joined its cgroups."""
        message, fds = passing.receive(self.monitor)
        if message[:1] == orders.BORN:
            self.pid = orders.loads(message)
            (self.pidfd,) = fds
            self.steps.begin("wait for the request")
        elif message[:1] == orders.JOINED:
            self.joining -= 1
        elif message[:1] == orders.REFUSED:
            raise BirthError(Failure(*orders.loads(message)))
        else:
            raise BirthError(Failure(self.steps.current, "its monitor was killed", 0, "", 125))

    def is_alive(self) -> bool:
        """Whether init, if it is born, has not ended."""
        poller = select.poll()
        if self.pidfd >= 0:
            poller.register(self.pidfd, select.POLLIN)
        return not poller.poll(0)

    def adapt(self, wanted: Preparation) -> None:
        """Make what was begun without limits what is wanted: more cgroups, perhaps."""
        mine, cgroup = self.preparation.cgroup, wanted.cgroup
        self.preparation = wanted
        if cgroup.parents != mine.parents:
            self.steps.begin("cgroup directories")
            more = [path for path in cgroup.directories if path not in mine.directories]
            control_groups.prepare(cgroup.parents, more)
        if (cgroup.settings, cgroup.defaults) != (mine.settings, mine.defaults) or cgroup.either:
            self.steps.begin("limits")
            try:
                control_groups.limit(cgroup.settings, cgroup.defaults, cgroup.either)
            except EngineError:
                control_groups.remove([path for path in cgroup.directories if path not in mine.directories])
                raise
        procs = [path for path in cgroup.attach if path not in mine.attach]
        if procs:
            orders.send_join(self.monitor, procs, cgroup.directories)
            self.joining += 1

    def proceed(self, request: StartRequest, memfd: int, again: bool = False) -> None:
        """Give init all it needs but its cgroups; ``memfd`` holds the request.

        ``again``: its namespaces are those of an earlier run, maps and interface and all.
        """
        steps = self.steps
        if request.device_rules is not None and not again:
            steps.begin("device rules")
            devices.guard(request.cgroup.unified, request.device_rules)
        if request.oom_score_adj is not None:
            steps.begin("oom score", f"/proc/{self.pid}/oom_score_adj")
            write_oom_score(self.pid, request.oom_score_adj)
        if request.rlimits:
            steps.begin("ulimits")
            raise_limits(self.pid, request.rlimits)
        steps.begin("standard streams")
        self.streams, theirs = open_streams(request.tty, request.stdin)
        try:
            give_streams(theirs, *root_ids(request))
            passing.tell(self.control, init.REQUEST, [memfd, *theirs])
        finally:
            for fd in {*theirs}:
                os.close(fd)
        steps.begin("id maps")
        userns = self._map_ids(request, again)
        steps.begin("open mounts")
        self._send_trees(request, userns)
        if again:
            passing.tell(self.control, init.NET + init.IS_UP)
            return
        steps.begin("network interface")
        try:
            self._move_interface(request)
        except FileNotFoundError as error:
            while error.filename == f"/proc/{self.pid}/ns/net" and not self.hear_init():
                pass  # it is ending, and has said why
            raise
        if request.restart[0] != "no":
            self.kept = orders.keep_namespaces(self.pid, request.net)  # once the program has ended it is too late
        passing.tell(self.control, init.NET)

    def let_go(self) -> None:
        """Let init enter its cgroup namespace and become the program: it has joined its cgroups."""
        self.steps.begin("init")
        passing.tell(self.control, init.CGROUP)

    def hear_init(self) -> bool:
        """Take init's next message; whether it has become the program: its end of the socket is closed by exec."""
        message, fds = passing.receive(self.control)
        kind, payload = message[:1], message[1:]
        if kind == init.TTY:
            self.streams = Streams(fds[0], fds[0], -1)
        elif kind == init.STEPS:
            self.executed = True
            self.steps.begin("")
            self.steps.done += marshal.loads(payload)  # noqa: S302
        elif kind == init.FAILED:
            raise BirthError(Failure(*json.loads(payload)))
        elif not message:
            if not self.executed:
                raise BirthError(Failure(self.steps.current, "init ended without a word", 0, "", 125))
            name, began, _ = self.steps.done.pop()
            self.steps.done.append((name, began, time.monotonic()))
            return True
        return False

    def forget(self) -> None:
        """Close what it holds: it was handed over, or nothing comes of it."""
        self.streams.close()  # else a program would not see the end of its input
        self.streams = Streams(-1, -1, -1)
        for fd in {self.pidfd, *(self.kept or ())} - {-1}:
            os.close(fd)
        self.pidfd, self.kept = -1, None

    def undo(self) -> None:
        """What its monitor does when nothing comes of it, should that have been killed; init ends with either."""
        self.control.close()
        self.forget()
        control_groups.remove(self.preparation.cgroup.directories, timeout=0.1)

    def _map_ids(self, request: StartRequest, again: bool) -> int:
        """Write the maps; the user namespace as a descriptor, -1 when files need no other ids than they have."""
        if self.preparation.new & namespaces.CLONE_NEWUSER and not again:
            for which, extents in (("uid_map", request.ids), ("gid_map", request.gids or request.ids)):
                text = "".join(f"{inside} {outside} {count}\n" for inside, outside, count in extents).encode()
                map = os.open(f"/proc/{self.pid}/{which}", os.O_WRONLY | os.O_CLOEXEC)
                try:
                    os.write(map, text)
                finally:
                    os.close(map)
        if any(inside != outside for inside, outside, _ in request.ids):
            return os.open(f"/proc/{self.pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
        return -1

    def _send_trees(self, request: StartRequest, userns: int) -> None:
        fds: list[int] = []
        targets: list[tuple[str, bool]] = []
        try:
            fds.append(trees.open_store(request.layers, userns))
            fds.append(trees.open_store(request.state_dir, userns))
            for bind in request.binds:
                self.steps.subject = bind.source
                for tree in trees.open_bind(bind, userns):
                    fds.append(tree.fd)
                    targets.append((tree.target, tree.is_directory))
                    if userns >= 0 and bind.idmap and not tree.mapped:
                        self.plain_binds.append(tree.target)
            sources = [node.source for node in request.devices]
            self.steps.subject = ", ".join(sources)
            fds += trees.open_devices(sources, request.ids, request.gids or request.ids)
            targets += [(node.target, False) for node in request.devices]
            if request.shm == "join":
                self.steps.subject = "/dev/shm"
                fds.append(trees.open_of_process(self._sharer(), "/dev/shm"))
                targets.append(("/dev/shm", True))
            self.steps.subject = ""
            passing.tell(self.control, init.GO + json.dumps(targets).encode(), fds)
        finally:
            for fd in fds:
                os.close(fd)
            if userns >= 0:
                os.close(userns)

    def _sharer(self) -> int:
        """A process of the container whose IPC namespace is shared."""
        return next(pid for flags, pid, _ in self.joins if flags & namespaces.CLONE_NEWIPC)

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


def open_streams(tty: bool, stdin_open: bool) -> tuple[Streams, tuple[int, int, int]]:
    """Pipes (or /dev/null for a closed input): our ends, and the program's."""
    if tty:
        null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        return Streams(-1, -1, -1), (null, null, null)
    into = -1
    if stdin_open:
        stdin, into = os.pipe2(os.O_CLOEXEC)
    else:
        tree = rootfs.open_device("null")  # by the host's own mount of it its mode could be changed
        try:
            stdin = os.open(f"/proc/self/fd/{tree}", os.O_RDONLY | os.O_CLOEXEC)
        finally:
            os.close(tree)
    out, stdout = os.pipe2(os.O_CLOEXEC)
    err, stderr = os.pipe2(os.O_CLOEXEC)
    return Streams(into, out, err), (stdin, stdout, stderr)


def give_streams(theirs: tuple[int, int, int], owner: int, group: int) -> None:
    """Give the program's ends to ``owner`` and ``group``, the host's ids of root inside.

    Root inside can then give them to the program's user: else ``echo > /dev/stdout`` is refused.
    """
    for fd in {*theirs}:
        if stat.S_ISFIFO(os.fstat(fd).st_mode):
            os.fchown(fd, owner, group)


def root_ids(request: StartRequest) -> tuple[int, int]:
    """The host's ids of the container's root: user and group."""
    return trees.outside(0, request.ids), trees.outside(0, request.gids or request.ids)


def write_oom_score(pid: int | str, value: int) -> None:
    """Set a process's ``oom_score_adj``; lowering it needs CAP_SYS_RESOURCE. Source: proc_pid_oom_score_adj(5)."""
    fd = os.open(f"/proc/{pid}/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, b"%d" % value)
    finally:
        os.close(fd)


def raise_limits(pid: int, limits: list[list[int]]) -> None:
    """Raise the hard limits of a process (0 is this one) to those asked for: (resource, soft, hard), -1 is unlimited.

    Raising one needs CAP_SYS_RESOURCE in the host's user namespace, so init can't; it sets what is asked for, below.
    Raises StartError. Source: prlimit(2).
    """
    for which, _, hard in limits:
        soft, most = resource.prlimit(pid, which)
        if most < 0 or 0 <= hard <= most:
            continue
        try:
            resource.prlimit(pid, which, (soft, hard))
        except PermissionError as error:
            raise StartError(_cannot_raise(which, most, hard)) from error


def _cannot_raise(which: int, most: int, hard: int) -> str:
    name = next(
        key.removeprefix("RLIMIT_").lower()
        for key, value in vars(resource).items()
        if key.startswith("RLIMIT_") and value == which and key != "RLIMIT_OFILE"
    )
    reason = "this needs CAP_SYS_RESOURCE on the host"
    if which == resource.RLIMIT_NOFILE:
        with open("/proc/sys/fs/nr_open") as file:
            highest = int(file.read())
        if not 0 <= hard <= highest:
            reason = f"the kernel allows {highest} at most (the sysctl fs.nr_open)"
    return f"can't raise the hard limit of {name} from {most} to {hard if hard >= 0 else 'unlimited'}: {reason}"
