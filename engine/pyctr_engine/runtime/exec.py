"""Further programs in a running container: ``exec``.

A helper, forked by the monitor, becomes non-dumpable (so that nothing inside can look into it), joins the
container's cgroups and then, through the pidfd in one call, its namespaces, and clones the program with CLONE_PARENT:
it is the monitor's own child, and is handed over. The order matters: after joining the user namespace, the cgroup
files can't be written any more. The monitor waits for none of this.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import signal
import socket
from typing import NamedTuple, NoReturn

from pyctr_engine.cgroups import control as control_groups
from pyctr_engine.errors import EngineError
from pyctr_engine.linux import capabilities, namespaces, pty
from pyctr_engine.linux import pidfd as pidfds
from pyctr_engine.runtime import birth, init, passing, users
from pyctr_engine.runtime.orders import Streams
from pyctr_engine.runtime.protocol import Failure, StartRequest

_ALL = (
    namespaces.CLONE_NEWNS
    | namespaces.CLONE_NEWPID
    | namespaces.CLONE_NEWNET
    | namespaces.CLONE_NEWUTS
    | namespaces.CLONE_NEWIPC
)
"""What the helper joins. The cgroup namespace is the program's to join: from within it nobody can be cloned into a
cgroup from outside of it, where the hierarchy is mounted with ``nsdelegate``, as systemd does (cgroup-v2.rst)."""
_TTY, _FAILED = init.TTY, init.FAILED
_BORN, _GO = b"b", b"g"
_PIPE_BYTES = 1 << 20
LOST = "its helper was killed: out of memory, perhaps"
"""Then there may be a child whom nobody knows: it ends, for nobody tells it to go on, and wants to be reaped."""
THE_CONTAINERS = -1
"""As capabilities: those that the container itself was given."""


class ExecCommand(NamedTuple):
    """What to run; empty values are the container's own."""

    argv: list[str]
    env: list[str]
    cwd: str
    user: str
    tty: bool
    stdin: bool
    privileged: bool
    capabilities: int


class Executed(NamedTuple):
    """A further program that runs."""

    pid: int
    pidfd: int
    streams: Streams
    tty: bool


class Launch:
    """An exec under way: its helper, the channel on which that answers, and the program once it is born.

    The program waits to be told to go on until the monitor knows of it: one whose helper was killed before goes too.
    """

    __slots__ = ("channel", "helper", "pid", "pidfd")

    def __init__(self, channel: socket.socket, helper: int) -> None:
        self.channel = channel
        self.helper = helper
        self.pid, self.pidfd = 0, -1

    def hear(self) -> Executed | Failure | None:
        """Take what the helper says next: what became of it, or ``None`` when there is more to come."""
        message, fds = passing.receive(self.channel)
        if message[:1] == _BORN and len(fds) == 1:
            self.pid, self.pidfd = int(message[1:]), fds[0]
            return None
        if not message or message[:1] in (_FAILED, _BORN):
            for fd in fds:
                os.close(fd)
            self._reap()
            if message[:1] == _FAILED:
                return Failure(*json.loads(message[1:]))
            return Failure("exec", os.strerror(errno.EMFILE) if message else LOST, 0, "", 126)
        tty, opened = json.loads(message)
        if len(fds) != sum(opened):  # we have too many open
            for fd in fds:
                os.close(fd)
            self._reap()
            return Failure("exec", os.strerror(errno.EMFILE), errno.EMFILE, "", 126)
        return Executed(self.pid, self.pidfd, Streams(*[fds.pop(0) if there else -1 for there in opened]), tty)

    def end(self) -> Executed | Failure:
        """Wait for what becomes of it."""
        while (heard := self.hear()) is None:
            pass
        self.close()
        return heard

    def close(self) -> None:
        """Let go of channel and helper, which has said all."""
        self.channel.close()
        os.waitpid(self.helper, 0)

    def _reap(self) -> None:
        """End a program of which nothing came."""
        if self.pid:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            os.close(self.pidfd)


def begin(payload: bytes, request: int, container: int) -> Launch:
    """Begin to run the `ExecCommand` that ``payload`` is, as JSON.

    ``request`` is a descriptor of the container's `StartRequest`, ``container`` the pidfd of its first process.
    The channel is readable when the helper has something to say; see `Launch.hear`.
    """
    ours, theirs = passing.pair()
    helper = os.fork()
    if helper == 0:
        _helper(payload, request, container, theirs)
    theirs.close()
    return Launch(ours, helper)


def _helper(payload: bytes, request_fd: int, container: int, channel: socket.socket) -> NoReturn:
    """In a child of the monitor: do all, answer, end."""
    namespaces.close_all_but({request_fd, container, channel.fileno()})
    steps = init.Steps()
    steps.begin("exec")
    try:
        command = ExecCommand(**json.loads(payload))
        request = StartRequest.decode(os.pread(request_fd, os.fstat(request_fd).st_size, 0))
        _launch(command, request, container, channel, steps)
    except EngineError as error:
        _refuse(channel, Failure(steps.current, error.message, 0, "", 126))
    except OSError as error:
        path = error.filename if isinstance(error.filename, str) else ""
        _refuse(channel, Failure(steps.current, error.strerror or str(error), error.errno or 0, path, 126))
    except BaseException as error:  # noqa: BLE001 - the last frame of this process: report, then go
        _refuse(channel, Failure(steps.current, f"{type(error).__name__}: {error}", 0, "", 126))
    os._exit(0)


def _refuse(channel: socket.socket, failure: Failure) -> None:
    """Tell the monitor why there is no program; one that was born is the monitor's to reap."""
    passing.tell(channel, _FAILED + json.dumps(failure).encode())


def _launch(
    command: ExecCommand, request: StartRequest, container: int, channel: socket.socket, steps: init.Steps
) -> None:
    """Join the container, clone the program, and tell the monitor once it is executed."""
    ours, theirs = birth.open_streams(command.tty, command.stdin)
    for fd in {ours.into, ours.out} - {-1} if command.stdin else ():  # a pipeline: move much at a time
        with contextlib.suppress(OSError):
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    birth.give_streams(theirs, *birth.root_ids(request))
    control, child_control = passing.pair()
    if request.oom_score_adj is not None:
        birth.write_oom_score("self", request.oom_score_adj)
    if request.rlimits:
        steps.begin("ulimits")
        birth.raise_limits(0, request.rlimits)
    init.stay_unseen()
    init.import_nothing_more()
    steps.begin("cgroups")
    cgroup_fd = -1
    if request.cgroup.clone_into:
        cgroup_fd = os.open(request.cgroup.clone_into, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    control_groups.attach(request.cgroup.attach, 0)
    steps.begin("namespaces")
    cgroup_namespace = -1
    if request.cgroupns:
        cgroup_namespace = _cgroup_namespace(container)
    namespaces.setns(container, _ALL | _own(request))
    # In there others may signal it, and the handlers that it has are a monitor's.
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    pid, pidfd = namespaces.clone3(namespaces.CLONE_PARENT, cgroup_fd)
    if pid == 0:
        try:
            namespaces.close_all_but({child_control.fileno(), cgroup_namespace, *theirs} - {-1})
            if passing.receive(child_control)[0] == _GO:
                _child(command, request, cgroup_namespace, child_control, theirs, steps)
        finally:
            os._exit(126)
    child_control.close()
    for fd in {*theirs}:
        os.close(fd)
    passing.tell(channel, _BORN + b"%d" % pid, [pidfd])
    passing.tell(control, _GO)
    answer = _await_exec(control, ours)
    if isinstance(answer, Failure):
        _refuse(channel, answer)
        return
    opened = [fd for fd in answer if fd >= 0]
    passing.tell(channel, json.dumps([command.tty, [fd >= 0 for fd in answer]]).encode(), opened)


def _cgroup_namespace(container: int) -> int:
    """Opened out here: an init of ours lets nobody inside look at it. ProcessLookupError when it is ending."""
    try:
        return os.open(f"/proc/{pidfds.pid_of(container)}/ns/cgroup", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH)) from error


def _own(request: StartRequest) -> int:
    """The namespaces that not every container has for itself."""
    user = namespaces.CLONE_NEWUSER if request.ids else 0
    return user | (namespaces.CLONE_NEWTIME if request.clocks else 0)


def _await_exec(control: socket.socket, ours: Streams) -> Streams | Failure:
    """Nothing but an end of file is success: the socket is close-on-exec."""
    while True:
        message, fds = passing.receive(control)
        if message[:1] == _TTY:
            ours = Streams(fds[0], fds[0], -1)
        elif message[:1] == _FAILED:
            return Failure(*json.loads(message[1:]))
        elif not message:
            return ours


def _child(
    command: ExecCommand,
    request: StartRequest,
    cgroup_namespace: int,
    control: socket.socket,
    stdio: tuple[int, int, int],
    steps: init.Steps,
) -> NoReturn:
    code = 126
    try:
        if request.cgroupns:
            steps.begin("cgroup namespace")
            namespaces.setns(cgroup_namespace, namespaces.CLONE_NEWCGROUP)
            os.close(cgroup_namespace)
        os.setsid()
        os.umask(request.umask)
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        init.reset_signals()
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        steps.begin("become root inside")
        os.setgroups([])
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)
        init.leave_keys()
        if command.tty:
            steps.begin("terminal")
            stdio = _open_terminal(control)
        for target, fd in enumerate(stdio):
            os.dup2(fd, target, inheritable=True)
        init.name_null()
        if command.tty:
            pty.make_controlling(0)
        _become(command, request, steps)
    except OSError as error:
        path = steps.path or (error.filename if isinstance(error.filename, str) else "")
        code = 127 if steps.current == "exec" and error.errno in (2, 20) else 126
        failure = Failure(steps.current, error.strerror or str(error), error.errno or 0, path, code)
        control.send(_FAILED + json.dumps(failure).encode())
    except BaseException as error:  # noqa: BLE001 - the last frame of this process: report, then go
        control.send(_FAILED + json.dumps(Failure(steps.current, str(error), 0, "", code)).encode())
    os._exit(code)


def _open_terminal(control: socket.socket) -> tuple[int, int, int]:
    master, slave = pty.open_pair("/dev/pts/ptmx")
    passing.send(control, _TTY, [master])
    os.close(master)
    return slave, slave, slave


def _become(command: ExecCommand, request: StartRequest, steps: init.Steps) -> NoReturn:
    steps.begin("user")
    user = users.resolve(command.user or request.user, request.ids, request.gids, request.groups)
    init.own_streams(user)
    steps.begin("limits")
    init.set_limits(request)
    steps.begin("working directory", command.cwd or request.cwd)
    init.enter_directory(command.cwd or request.cwd, user, make=False)
    env = users.environment([*request.env, *command.env], user)
    steps.begin("exec", command.argv[0])
    program = users.find_program(command.argv[0], env)
    steps.begin("capabilities")
    keep = request.capabilities if command.capabilities == THE_CONTAINERS else command.capabilities
    profile = "" if command.privileged else request.seccomp
    capabilities.drop_bounding(keep, capabilities.last_capability())
    init.drop_privileges(keep, profile, request.no_new_privs, user, command.privileged)
    steps.begin("exec", command.argv[0])
    if request.apparmor and not command.privileged:
        init.set_apparmor(request.apparmor)
    namespaces.close_on_exec_from(3)
    os.execve(program, command.argv, env)
