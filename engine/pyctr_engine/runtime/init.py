"""Init: the container's first process, from its birth in new namespaces to the exec of the image's program.

What the starter (`birth`) and init say to each other, on one SEQPACKET socket pair::

    starter                                          init
                                                     closes what it inherited; waits
      REQUEST + fds: it, standard streams ────────▶  reads it
      id maps written; trees opened and idmapped
      GO + fds: layers, data, binds… ─────────────▶  root file system, /dev, binds
      veth moved into the network namespace
      NET ────────────────────────────────────────▶  addresses, routes
             ◀──────────────────────────── TTY + fd  (only with a terminal) the master of its pty
      cgroups joined
      CGROUP ─────────────────────────────────────▶  cgroup namespace, masks, user, capabilities, filter
             ◀───────────────────────── STEPS JSON   the trace
             ◀──────────────────────────────── EOF   exec succeeded (the socket is close-on-exec)
             ◀──────────────────────── FAILED JSON   anything else
"""

from __future__ import annotations

import base64
import contextlib
import errno
import json
import marshal
import os
import resource
import signal
import socket
import stat
import sys
import time
from typing import NamedTuple, NoReturn

from pyctr_engine.linux import capabilities, namespaces, pty, rtnetlink, seccomp
from pyctr_engine.linux import mount as m
from pyctr_engine.runtime import passing, reaper, rootfs, users
from pyctr_engine.runtime.protocol import OWN_PROFILE, Failure, StartRequest

REQUEST, GO, NET, CGROUP, TTY, STEPS, FAILED = b"r", b"g", b"n", b"c", b"t", b"s", b"-"
IS_UP = b"u"
"""After NET: the network namespace is that of an earlier run, and as it should be."""


IGNORED = (signal.SIGPIPE, signal.SIGXFSZ)
"""What the spawner and its descendants ignore, as any Python program; all others have their defaults, or handlers."""

open_files = resource.getrlimit(resource.RLIMIT_NOFILE)
"""How many files a program may open, soft and hard, unless it was asked otherwise; see the spawner."""


_PROC_ROOT_INODE = 1


class Handed(NamedTuple):
    """What the monitor hands over: detached trees, and which bind each of them is."""

    layers: int
    data: int
    binds: list[tuple[int, str, bool]]


class Steps:
    """Times the steps of a start, and knows which one is under way when something fails."""

    __slots__ = ("current", "done", "started", "subject")

    def __init__(self) -> None:
        self.current = ""
        self.subject: str | rootfs.Operation = ""
        self.started = 0.0
        self.done: list[tuple[str, float, float]] = []

    @property
    def path(self) -> str:
        """What the step under way is about."""
        return self.subject if isinstance(self.subject, str) else self.subject.describe()

    def begin(self, name: str, subject: str | rootfs.Operation = "") -> None:
        """End the step before, begin this one."""
        now = time.monotonic()
        if self.current:
            self.done.append((self.current, self.started, now))
        self.current, self.subject, self.started = name, subject, now


def main(control: socket.socket) -> NoReturn:
    """Run in the child of `clone3`; never returns. Ends with 126 or 127 when there is no exec."""
    steps = Steps()
    code = 126
    try:
        _start(control, steps)
    except OSError as error:
        path = error.filename if isinstance(error.filename, str) else os.fsdecode(error.filename or b"")
        code = 127 if steps.current == "exec" and error.errno in (errno.ENOENT, errno.ENOTDIR) else 126
        failure = Failure(steps.current, error.strerror or str(error), error.errno or 0, steps.path or path, code)
        _report(control, failure)
    except users.UserError as error:
        _report(control, Failure(steps.current, str(error), 0, "", code))
    except BaseException as error:  # noqa: BLE001 - the last frame of this process: report, then go
        _report(control, Failure(steps.current, f"{type(error).__name__}: {error}", 0, steps.path, code))
    os._exit(code)


def _report(control: socket.socket, failure: Failure) -> None:
    control.send(FAILED + json.dumps(failure).encode())


def _start(control: socket.socket, steps: Steps) -> None:
    steps.begin("wait for the request")
    # What the monitor has open is not ours to hold: its callers would never see it end.
    namespaces.close_all_but({control.fileno()})
    import_nothing_more()
    stay_unseen()
    namespaces.prctl(namespaces.PR_SET_PDEATHSIG, signal.SIGKILL)
    os.setsid()
    reset_signals()
    request, stdio = _receive_request(control)
    steps.begin("bounding set")
    capabilities.drop_bounding(request.capabilities, capabilities.last_capability())
    steps.begin("wait for mounts")
    handed = _receive_trees(control)
    steps.begin("become root inside")
    os.setgroups([])
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    leave_keys()
    os.umask(0o022)  # of what is made here; the program's comes last
    kernel = rootfs.open_kernel_trees(request)
    devices = [rootfs.open_device(name) for name in rootfs.DEVICES]
    steps.begin("root file system")
    rootfs.enter_root(request, handed.layers, handed.data)
    for operation in rootfs.operations(request, kernel, devices, handed.binds):
        steps.begin("mount", operation)
        operation.execute()
    if request.tty:
        steps.begin("terminal")
        stdio = _open_terminal(control)
    steps.begin("wait for network")
    message, _ = _expect(control, NET)
    steps.begin("network")
    if message != NET + IS_UP:
        _set_up_network(request)
    steps.begin("wait for cgroups")
    _expect(control, CGROUP)
    if request.cgroupns:
        steps.begin("cgroup namespace")
        namespaces.unshare(namespaces.CLONE_NEWCGROUP)
    if request.new & namespaces.CLONE_NEWUTS:
        steps.begin("host name")
        namespaces.sethostname(request.hostname)
        if request.domainname:
            namespaces.setdomainname(request.domainname)
    for name, value in request.sysctls:
        steps.begin("sysctl", name)
        _write_sysctl(name, value)
    for operation in rootfs.closing_operations(request):
        steps.begin("protect", operation)
        operation.execute()
    steps.begin("standard streams")
    for target, fd in enumerate(stdio):
        os.dup2(fd, target, inheritable=True)
    name_null()
    if request.tty:
        pty.make_controlling(0)
    become_user_and_exec(request, control, steps)


def stay_unseen() -> None:
    """Until there is an exec, for good with ``init: true``: nobody inside may look into this process, or trace it."""
    namespaces.prctl(namespaces.PR_SET_DUMPABLE, 0)
    namespaces.replace_arguments(b"init")


def leave_keys() -> None:
    """A session keyring of its own: the inherited one is that of whoever started the spawner, keys and all."""
    with contextlib.suppress(OSError):  # a kernel without keys
        namespaces.join_new_session_keyring()


def import_nothing_more() -> None:
    """From here on every import fails: inside the container it would run the image's code (CVE-2019-14271)."""
    sys.meta_path.clear()
    sys.path.clear()


def _receive_request(control: socket.socket) -> tuple[StartRequest, tuple[int, int, int]]:
    _, (memfd, *stdio) = _expect(control, REQUEST)
    data = os.pread(memfd, os.fstat(memfd).st_size, 0)
    os.close(memfd)
    return StartRequest.decode(data), (stdio[0], stdio[1], stdio[2])


def _receive_trees(control: socket.socket) -> Handed:
    """The GO message: JSON [[target, is_directory]…] after the layers' and the data tree."""
    message, fds = _expect(control, GO)
    targets = json.loads(message[1:])
    binds = [(fd, target, is_dir) for fd, (target, is_dir) in zip(fds[2:], targets, strict=True)]
    return Handed(fds[0], fds[1], binds)


def _expect(control: socket.socket, kind: bytes) -> tuple[bytes, list[int]]:
    message, fds = passing.receive(control)
    if message[:1] != kind:
        os._exit(126)  # the starter has gone, or given up
    return message, fds


def _open_terminal(control: socket.socket) -> tuple[int, int, int]:
    """A pty of the container's own devpts; its master goes to the monitor, its slave becomes /dev/console too."""
    master, slave = pty.open_pair("/dev/pts/ptmx")
    passing.send(control, TTY, [master])
    rootfs.make_file("/dev/console")
    m.mount(f"/dev/pts/{pty.number(master)}", "/dev/console", "", m.MS_BIND)
    os.close(master)
    return slave, slave, slave


def _set_up_network(request: StartRequest) -> None:
    if request.net != "private":
        return
    with rtnetlink.Socket() as netlink:
        if request.network is None:
            netlink.set_loopback_up()
        else:
            netlink.set_up_member(rtnetlink.link_index("eth0"), request.network.address, request.network.gateway)


def _write_sysctl(name: str, value: str) -> None:
    _write_proc("sys/" + name.replace(".", "/"), value)


def set_apparmor(profile: str) -> None:
    """Be under an AppArmor profile from the next exec on. Source: the kernel's admin-guide/LSM/apparmor.rst."""
    _write_proc("self/attr/apparmor/exec", f"exec {profile}")


def enter_apparmor(profile: str) -> None:
    """Be under an AppArmor profile from now on; it must allow what is still to be done here.

    A change of profile at the exec makes the kernel forget that we are to end with the monitor. Source:
    apparmor_bprm_committing_creds in the kernel's security/apparmor/lsm.c.
    """
    _write_proc("self/attr/apparmor/current", f"changeprofile {profile}")


def _write_proc(path: str, value: str) -> None:
    """Write to a file of /proc, made sure that it is one: not what an image put in its place (CVE-2025-52881)."""
    proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if os.fstat(proc).st_ino != _PROC_ROOT_INODE:
            raise OSError(errno.EINVAL, "not the root of a proc file system", "/proc")
        fd = m.open_in_one_mount(proc, path, os.O_WRONLY)
    finally:
        os.close(proc)
    try:
        os.write(fd, value.encode())
    finally:
        os.close(fd)


def become_user_and_exec(request: StartRequest, control: socket.socket, steps: Steps) -> NoReturn:
    """The last steps: limits, user, capabilities, filter, exec."""
    steps.begin("user", request.user)
    user = users.resolve(request.user, request.ids, request.gids, request.groups)
    own_streams(user)
    steps.begin("limits")
    set_limits(request)
    steps.begin("working directory", request.cwd)
    enter_directory(request.cwd, user)
    env = users.environment(request.env, user)
    steps.begin("exec", request.argv[0])
    program = users.find_program(request.argv[0], env)
    argv = reaper.wrap(request.argv, program) if request.init else None
    steps.begin("capabilities")
    drop_privileges(request.capabilities, request.seccomp, request.no_new_privs, user, request.privileged)
    namespaces.prctl(namespaces.PR_SET_PDEATHSIG, signal.SIGKILL)
    if request.apparmor:
        steps.begin("AppArmor profile", request.apparmor)
        (enter_apparmor if request.apparmor == OWN_PROFILE else set_apparmor)(request.apparmor)
    os.umask(request.umask)
    steps.begin("exec", request.argv[0])
    control.send(STEPS + marshal.dumps([*steps.done, ("exec", steps.started, 0.0)]))
    namespaces.close_on_exec_from(3)
    if argv is not None:
        reaper.run(argv, env)
    os.execve(program, request.argv, env)


def set_limits(request: StartRequest) -> None:
    """Those that were asked for; of open files, of which the spawner has more for itself, else the usual one."""
    limits = {resource.RLIMIT_NOFILE: open_files, **{which: (soft, hard) for which, soft, hard in request.rlimits}}
    for which, limit in limits.items():
        resource.setrlimit(which, limit)


def name_null() -> None:
    """A closed input is the null device: have it by the container's own, so that it is known as /dev/null inside."""
    null = os.fstat(0).st_rdev
    if null != os.makedev(1, 3):
        return
    with contextlib.suppress(OSError):  # something else was mounted over /dev
        fd = os.open("/dev/null", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        if os.fstat(fd).st_rdev == null:
            os.set_blocking(fd, True)
            os.dup2(fd, 0, inheritable=True)
        os.close(fd)


def own_streams(user: users.User) -> None:
    """Give pipes and the terminal to the program's user, so that it can open them again by /dev/stdout."""
    for fd in (0, 1, 2):
        mode = os.fstat(fd).st_mode
        if stat.S_ISFIFO(mode):
            os.fchown(fd, user.uid, user.gid)
        elif os.isatty(fd):
            os.fchown(fd, user.uid, -1)


def enter_directory(path: str, user: users.User, make: bool = True) -> None:
    """Enter the working directory, which is made if need be; what is entered must lie inside the root."""
    if make and not os.path.lexists(path):
        os.makedirs(path, 0o755, exist_ok=True)
        os.chown(path, user.uid, user.gid)
    os.chdir(path)
    if not os.getcwd().startswith("/"):  # "(unreachable)…": CVE-2024-21626
        raise OSError(errno.EACCES, "the working directory is outside the root", path)


def drop_privileges(keep: int, filter: str, no_new_privs: bool, user: users.User, privileged: bool) -> None:
    """Ids, capability sets and the filter, in the order in which each is still allowed."""
    if no_new_privs:
        namespaces.prctl(namespaces.PR_SET_NO_NEW_PRIVS, 1)
    if filter and not no_new_privs:
        seccomp.install(base64.b64decode(filter))  # while CAP_SYS_ADMIN is still there
    os.setgroups(user.groups)
    os.setresgid(user.gid, user.gid, user.gid)
    namespaces.prctl(namespaces.PR_SET_KEEPCAPS, 1)
    os.setresuid(user.uid, user.uid, user.uid)
    namespaces.prctl(namespaces.PR_SET_KEEPCAPS, 0)
    kept = keep & capabilities.permitted() if user.uid == 0 else 0  # a host may lack some itself
    capabilities.set_capabilities(kept, kept)
    if filter and no_new_privs:
        seccomp.install(base64.b64decode(filter))


def reset_signals() -> None:
    """Default dispositions, as a fresh program expects them; exec resets what has a handler."""
    for number in IGNORED:
        signal.signal(number, signal.SIG_DFL)
