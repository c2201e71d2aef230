"""Talking to a running container's monitor: attach, exec, wait."""

from __future__ import annotations

from pyctr_engine.containers import remove, resolve, status
from pyctr_engine.containers.context import Context
from pyctr_engine.containers.session import StreamSession
from pyctr_engine.errors import Conflict, InvalidValue, StartError
from pyctr_engine.linux import capabilities, namespaces
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
        session.expect_started(request.argv[0])
    except StartError as error:
        state = status.read_state(context.paths, container.id)
        if namespaces.is_ending(int(state.get("pid", 0)), int(state.get("pid_start", 0))):
            raise _not_running(container) from error
        raise
    return session


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
    session = remove.monitor(context, container.spec) if container.state.is_alive else None
    if session is None:
        raise _not_running(container)
    return session


def _not_running(container: Container) -> Conflict:
    return Conflict(f"container {container.name} is not running", f"start it: `pyctr-tui start {container.name}`")
