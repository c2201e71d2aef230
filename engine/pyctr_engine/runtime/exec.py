"""Further programs in a running container: ``exec``.

A helper of the monitor joins the container's cgroups, becomes non-dumpable (so that nothing inside can look into it),
joins the namespaces through the pidfd in one call, and clones the program with CLONE_PARENT: it is the monitor's own
child. The order matters: after joining the user namespace, the cgroup files can't be written any more.
"""

from __future__ import annotations

import array
import contextlib
import json
import os
import socket
from typing import NamedTuple, NoReturn

from pyctr_engine.cgroups import control as control_groups
from pyctr_engine.errors import EngineError
from pyctr_engine.linux import namespaces, pty
from pyctr_engine.linux import pidfd as pidfds
from pyctr_engine.runtime import birth, init, users
from pyctr_engine.runtime.protocol import Failure, StartRequest

_ALL = (
    namespaces.CLONE_NEWNS
    | namespaces.CLONE_NEWPID
    | namespaces.CLONE_NEWNET
    | namespaces.CLONE_NEWUTS
    | namespaces.CLONE_NEWIPC
    | namespaces.CLONE_NEWCGROUP
)
_TTY, _FAILED = init.TTY, init.FAILED


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
    streams: birth.Streams


def launch(command: ExecCommand, request: StartRequest, container: int) -> Executed:
    """Run ``command`` in the container whose first process is the pidfd ``container``. Raises BirthError."""
    ours, theirs = birth.open_streams(command.tty, command.stdin, birth.root_id(request))
    control, child_control = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    reading, writing = os.pipe2(os.O_CLOEXEC)
    helper = os.fork()
    if helper == 0:
        _helper(command, request, container, child_control, theirs, writing)
    child_control.close()
    os.close(writing)
    for fd in {*theirs}:
        os.close(fd)
    answer = os.read(reading, 16)  # not to its end: the new process has the pipe too, until it execs
    os.close(reading)
    os.waitpid(helper, 0)
    pid = int(answer or 0)
    try:
        ours = _await_exec(control, ours)
    except birth.BirthError:
        if pid:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
        for fd in {*ours} - {-1}:
            os.close(fd)
        raise
    return Executed(pid, pidfds.open_pidfd(pid), ours)


def _await_exec(control: socket.socket, ours: birth.Streams) -> birth.Streams:
    """Nothing but an end of file is success: the socket is close-on-exec."""
    with control:
        while True:
            message, ancillary = birth.hear(control)
            if message[:1] == _TTY:
                master = array.array("i", ancillary[0][2])[0]
                ours = birth.Streams(master, master, -1)
            elif message[:1] == _FAILED:
                raise birth.BirthError(Failure(*json.loads(message[1:])))
            elif not message:
                return ours


def _helper(
    command: ExecCommand,
    request: StartRequest,
    container: int,
    control: socket.socket,
    stdio: tuple[int, int, int],
    writing: int,
) -> NoReturn:
    steps = init.Steps()
    try:
        namespaces.prctl(namespaces.PR_SET_DUMPABLE, 0)
        namespaces.close_all_but({container, control.fileno(), writing, *stdio})
        init.import_nothing_more()
        steps.begin("cgroups")
        cgroup_fd = -1
        if request.cgroup.clone_into:
            cgroup_fd = os.open(request.cgroup.clone_into, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        control_groups.attach(request.cgroup.attach, 0)
        steps.begin("namespaces")
        namespaces.setns(container, _ALL | (namespaces.CLONE_NEWUSER if request.ids else 0))
        pid, _ = namespaces.clone3(namespaces.CLONE_PARENT, cgroup_fd)
        if pid == 0:
            _child(command, request, control, stdio, steps)
        os.write(writing, b"%d" % pid)
        os._exit(0)
    except (OSError, EngineError) as error:
        number = (error.errno or 0) if isinstance(error, OSError) else 0
        control.send(_FAILED + json.dumps(Failure(steps.current, str(error), number, "", 126)).encode())
        os._exit(1)


def _child(
    command: ExecCommand,
    request: StartRequest,
    control: socket.socket,
    stdio: tuple[int, int, int],
    steps: init.Steps,
) -> NoReturn:
    code = 126
    try:
        os.setsid()
        os.umask(0o022)
        steps.begin("become root inside")
        os.setgroups([])
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)
        if command.tty:
            steps.begin("terminal")
            stdio = _open_terminal(control)
        for target, fd in enumerate(stdio):
            os.dup2(fd, target, inheritable=True)
        if command.tty:
            pty.make_controlling(0)
        _become(command, request, steps)
    except OSError as error:
        path = error.filename if isinstance(error.filename, str) else ""
        code = 127 if steps.current == "exec" and error.errno in (2, 20) else 126
        failure = Failure(steps.current, error.strerror or str(error), error.errno or 0, path, code)
        control.send(_FAILED + json.dumps(failure).encode())
    except BaseException as error:  # noqa: BLE001 - the last frame of this process: report, then go
        control.send(_FAILED + json.dumps(Failure(steps.current, str(error), 0, "", code)).encode())
    os._exit(code)


def _open_terminal(control: socket.socket) -> tuple[int, int, int]:
    master, slave = pty.open_pair("/dev/pts/ptmx")
    control.sendmsg([_TTY], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [master]))])
    os.close(master)
    return slave, slave, slave


def _become(command: ExecCommand, request: StartRequest, steps: init.Steps) -> NoReturn:
    steps.begin("user")
    user = users.resolve(command.user or request.user)
    init.own_streams(user)
    steps.begin("working directory", command.cwd or request.cwd)
    init.enter_directory(command.cwd or request.cwd, user)
    env = users.environment([*request.env, *command.env], user)
    steps.begin("exec", command.argv[0])
    program = users.find_program(command.argv[0], env)
    steps.begin("capabilities")
    profile = "" if command.privileged else request.seccomp
    init.drop_privileges(command.capabilities, profile, request.no_new_privs, user, command.privileged)
    steps.begin("exec", command.argv[0])
    init.reset_signals()
    namespaces.close_on_exec_from(3)
    os.execve(program, command.argv, env)
