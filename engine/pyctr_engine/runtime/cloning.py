"""What a monitor does on a starter's orders (see `orders`): clone init as its own child, move it into its cgroups."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
from collections.abc import Callable

from pyctr_engine.cgroups import control as control_groups
from pyctr_engine.errors import EngineError
from pyctr_engine.linux import namespaces
from pyctr_engine.linux import pidfd as pidfds
from pyctr_engine.runtime import init, orders, passing, protocol
from pyctr_engine.runtime.orders import Descriptors, Handover, Kept


def obey(channel: socket.socket) -> tuple[int, Handover, Descriptors, list[int]] | None:
    """Do what a starter orders until it hands over: init's pidfd, and what `orders.handover` gives.

    ``None`` when nothing came of it; then init has ended, and its cgroups are gone.
    """
    directories, parents = list[str](), list[str]()
    pid, pidfd = 0, -1
    while True:
        message, fds = passing.receive(channel)
        if message[:1] == orders.HANDOVER:
            return (pidfd, *orders.handover(message, fds))
        if message[:1] == orders.CLONE:
            order = orders.clone_order(message)
            directories, parents = order.directories, order.parents
            pid, pidfd = give_birth(order, fds, channel)
            if pid:
                join(order.procs, pid, channel)
        elif message[:1] == orders.JOIN:
            procs, directories = orders.loads(message)
            join(procs, pid, channel)
        else:
            break
    if pid:
        with contextlib.suppress(ProcessLookupError):
            pidfds.send_signal(pidfd, signal.SIGKILL)
        os.waitpid(pid, 0)
    control_groups.remove(directories)
    control_groups.remove_shared(parents)
    return None


def give_birth(
    order: orders.CloneOrder, fds: list[int], channel: socket.socket, kept: Kept | None = None
) -> tuple[int, int]:
    """Clone init and say so; its process and pidfd, (0, -1) when there is none.

    ``kept``: the namespaces of an earlier run, in which it is cloned.
    """
    if not fds:
        reason = os.strerror(errno.EMFILE)  # what keeps descriptors from coming along
        orders.answer(channel, orders.REFUSED, tuple(protocol.Failure("namespaces", reason, errno.EMFILE, "", 125)))
        return 0, -1
    control, cgroup = fds[0], fds[1] if len(fds) > 1 else -1

    def child() -> None:
        init.main(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, control))

    try:
        if kept is not None:
            pid, pidfd = _clone_inside(lambda: _enter(kept, order), order.flags, child, cgroup)
        elif order.joins or order.clocks:
            pid, pidfd = _clone_inside(lambda: _enter(None, order), order.flags, child, cgroup)
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


def join(procs: list[str], pid: int, channel: socket.socket) -> None:
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


def _share(joins: list[tuple[int, int, int]]) -> None:
    """Join namespaces of other containers; a user namespace is joined once, and not where it is ours already."""
    for flags, pid, started in joins:
        target = pidfds.open_pidfd(pid)
        if not namespaces.is_running(pid, started):
            raise OSError(errno.ESRCH, "")
        for kind, flag in namespaces.KINDS.items():
            if flags & flag and os.stat(f"/proc/{pid}/ns/{kind}").st_ino == os.stat(f"/proc/self/ns/{kind}").st_ino:
                flags &= ~flag
        if flags:
            namespaces.setns(target, flags)
        os.close(target)


def _enter(kept: Kept | None, order: orders.CloneOrder) -> None:
    """Enter what init is to be born in: clocks of its own, what an earlier run left, and what is others'.

    The user namespace comes last of each: in it the rest is not allowed any more.
    """
    if order.clocks:
        namespaces.unshare(namespaces.CLONE_NEWTIME)
        with open("/proc/self/timens_offsets", "w") as file:
            file.write("boottime {} 0\nmonotonic {} 0\n".format(*order.clocks))
    if kept is not None and kept.net >= 0:
        namespaces.setns(kept.net, namespaces.CLONE_NEWNET)
    if kept is not None and kept.user >= 0:
        namespaces.setns(kept.user, namespaces.CLONE_NEWUSER)
    _share(order.joins)


def _clone_inside(
    enter: Callable[[], None], flags: int, child: Callable[[], None], cgroup_fd: int
) -> tuple[int, int]:
    """Clone ``child`` as this process's own child, in the namespaces that ``enter`` joins.

    A helper joins them and clones with CLONE_PARENT; this process itself never leaves its namespaces.
    """
    reading, writing = os.pipe2(os.O_CLOEXEC)
    try:
        helper = os.fork()
    except OSError:
        os.close(reading)
        os.close(writing)
        raise
    if helper == 0:
        code = 1
        try:
            namespaces.prctl(namespaces.PR_SET_DUMPABLE, 0)
            enter()
            born, _ = namespaces.clone3(flags | namespaces.CLONE_PARENT, cgroup_fd)
            if born == 0:
                child()
            os.write(writing, b"%d" % born)
            code = 0
        except OSError as error:
            code = error.errno or 1
        os._exit(code)
    os.close(writing)
    answer = os.read(reading, 16)  # not to its end: the new process has the pipe too, until it execs
    os.close(reading)
    _, status = os.waitpid(helper, 0)
    if not answer:
        code = namespaces.exit_code(status)
        reason = "a container whose namespaces are shared has ended" if code == errno.ESRCH else os.strerror(code)
        raise OSError(code, reason, "namespaces")
    return int(answer), pidfds.open_pidfd(int(answer))
