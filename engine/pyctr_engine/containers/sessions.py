"""Talking to a running container's monitor: attach, exec, wait."""

from __future__ import annotations

import contextlib
import os
import select
import signal

from pyctr_engine.containers import remove, resolve, status
from pyctr_engine.containers.context import Context
from pyctr_engine.containers.session import StreamSession
from pyctr_engine.errors import Conflict, InvalidValue, NotFound, StartError
from pyctr_engine.linux import capabilities, namespaces
from pyctr_engine.model.past import Session
from pyctr_engine.model.spec import ExecRequest
from pyctr_engine.model.status import Container, State
from pyctr_engine.runtime import protocol
from pyctr_engine.runtime.exec import ExecCommand


def attach(context: Context, container: Container) -> StreamSession:
    """Attach to its first process's streams. Raises Conflict when it does not run."""
    session = _connect(context, container)
    session.request(protocol.ATTACH, {})
    session.expect_started(container.name)
    return session


def exec(context: Context, container: Container, request: ExecRequest) -> StreamSession:
    """Run a further program in it. Raises Conflict, CommandError, StartError."""
    if not request.argv:
        raise InvalidValue("no command given", f"name one: `pyctr-tui exec {container.name} COMMAND`")
    resolve.working_directory(request.working_dir)
    session = _connect(context, container)
    kept = resolve.capabilities(container.spec.request, capabilities.DEFAULT)
    mask = capabilities.mask(frozenset(capabilities.NAMES) if request.privileged else kept)
    term = ["TERM=xterm"] if request.tty and not any(item.startswith("TERM=") for item in request.env) else []
    command = ExecCommand(
        argv=list(request.argv),
        env=[*term, *request.env],
        cwd=request.working_dir,
        user=request.user,
        tty=request.tty,
        stdin=request.stdin,
        privileged=request.privileged,
        capabilities=mask,
    )
    session.request(protocol.EXEC, command._asdict())
    try:
        session.id = str(session.expect_started(request.argv[0]).get("id", ""))
    except StartError as error:
        state = status.read_state(context.paths, container.id)
        if namespaces.is_ending(int(state.get("pid", 0)), int(state.get("pid_start", 0))):
            raise _not_running(container) from error
        raise
    return session


def reattach(context: Context, container: Container, id: str) -> tuple[StreamSession, bool]:
    """Attach to a further program by its session's id or a prefix of it; with whether it has a terminal.

    What it wrote last comes first. Raises NotFound, InvalidValue, Conflict.
    """
    running = [session for session in listed(context, container) if session.exit_code is None]
    found = [session for session in running if session.id.startswith(id)]
    if not found or not id:
        raise _no_session(container, id)
    if len(found) > 1:
        raise InvalidValue(f"{id} is the beginning of several sessions' ids", "give more of it")
    connection = _connect(context, container)
    connection.request(protocol.ATTACH, {"session": found[0].id})
    answer = connection.expect_started(f"session {found[0].id}")
    connection.id, connection.replayed = found[0].id, int(answer.get("replay", 0))
    return connection, found[0].tty


def end(context: Context, container: Container, id: str, grace: float = 2.0) -> None:
    """End a further program: SIGHUP, as when its terminal is closed, and SIGKILL after ``grace`` seconds.

    Raises NotFound when no such session runs, Conflict.
    """
    for number in (signal.SIGHUP, signal.SIGKILL):
        found = next((one for one in listed(context, container) if one.id == id and one.exit_code is None), None)
        if found is None:
            if number == signal.SIGHUP:
                raise _no_session(container, id)
            return
        try:
            pidfd = os.pidfd_open(found.pid)
        except ProcessLookupError:
            continue
        try:
            # It may have ended between the two, and its number be another's: only its monitor knows.
            if any(one.id == id and one.exit_code is None for one in listed(context, container)):
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(pidfd, number)
                select.select([pidfd], [], [], grace)
        finally:
            os.close(pidfd)


def listed(context: Context, container: Container) -> list[Session]:
    """Its further programs: those that run, and the last few that have ended. Raises Conflict."""
    connection = _connect(context, container)
    try:
        connection.request(protocol.LIST, {})
        answer = connection.expect_started(container.name)
    finally:
        connection.close()
    return [
        Session(
            id=one["id"],
            argv=tuple(one["argv"]),
            tty=one["tty"],
            pid=one["pid"],
            started=one["started"],
            ended=one["ended"],
            exit_code=one["code"],
            viewers=one["viewers"],
        )
        for one in answer["sessions"]
    ]


def wait(context: Context, container: Container) -> int:
    """Block until it has ended; its exit code. A container that never ran counts as ended with 0."""
    session = remove.monitor(context, container.spec)
    code = 0
    if session is not None:
        try:
            session.request(protocol.WAIT, {})
            code = session.wait()
        finally:
            session.close()
    # Its monitor may have gone without a word to us: at the end, when all is recorded.
    recorded = status.status_of(status.read_state(context.paths, container.id)).exit_code
    return code if recorded is None else recorded


def _connect(context: Context, container: Container) -> StreamSession:
    if container.state is State.PAUSED:
        raise Conflict(f"container {container.name} is paused", f"let it go on: `pyctr-tui unpause {container.name}`")
    if container.state is State.RESTARTING:
        raise Conflict(
            f"container {container.name} is restarting just now",
            f"`pyctr-tui inspect --why {container.name}` says why it ended; `pyctr-tui stop` ends it for good",
        )
    session = remove.monitor(context, container.spec) if container.state.is_alive else None
    if session is None:
        raise _not_running(container)
    return session


def _no_session(container: Container, id: str) -> NotFound:
    return NotFound(
        f"container {container.name} has no session {id} that runs",
        f"`pyctr-tui exec --list {container.name}` lists them",
    )


def _not_running(container: Container) -> Conflict:
    return Conflict(f"container {container.name} is not running", f"start it: `pyctr-tui start {container.name}`")
