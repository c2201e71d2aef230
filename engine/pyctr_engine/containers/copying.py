"""``cp``: files between a container and the host, as a tar between two processes, neither of which trusts the other.

The container's end is a child (`copier`) that sees nothing but the container: it joins a running one's user and mount
namespaces, or mounts a stopped one's file system, with its volumes, in a mount namespace of its own. Symlinks inside
lead nowhere else, whatever is done to them meanwhile (CVE-2018-15664), and no code or file of names inside is read
(CVE-2019-14271). The host's end makes nothing but below the destination.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import IO, TYPE_CHECKING, Any, cast

from pyctr_engine.containers import remove, status, stub
from pyctr_engine.containers.context import Context
from pyctr_engine.errors import (
    Cancelled,
    Conflict,
    EngineError,
    InvalidValue,
    NotFound,
    StoreError,
    from_os_error,
    told_as,
)
from pyctr_engine.model.progress import Progress
from pyctr_engine.model.status import State
from pyctr_engine.runtime import protocol
from pyctr_engine.snapshots import stack

if TYPE_CHECKING:
    from pyctr_engine.model.spec import ContainerSpec
    from pyctr_engine.model.status import Container

ProgressSink = Callable[[Progress], None]
_HOLD_SECONDS = 5.0
_TRIES = 20
_PROGRAM = "import sys; sys.path.insert(0, sys.argv.pop(1)); from pyctr_engine.containers.copier import main; main()"
_PACKAGES = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class _Told:
    """A stream of bytes that tells how many have gone through it."""

    def __init__(self, stream: IO[bytes], subject: str, progress: ProgressSink) -> None:
        self._stream, self._subject, self._progress = stream, subject, progress
        self._gone = 0

    def _count(self, size: int) -> None:
        self._gone += size
        self._progress(Progress(self._subject, "copying", self._gone))

    def read(self, size: int = -1) -> bytes:
        """As the stream's."""
        data = self._stream.read(size)
        self._count(len(data))
        return data

    def write(self, data: bytes) -> int:
        """As the stream's."""
        self._count(len(data))
        return self._stream.write(data)


def _told(stream: IO[bytes], subject: str, progress: ProgressSink | None) -> IO[bytes]:
    return stream if progress is None else cast("IO[bytes]", _Told(stream, subject, progress))


class _Ended(EngineError):
    """The container ended before anything was copied."""


def _until_it_stays(context: Context, container: Container, copy: Callable[[Container], None]) -> None:
    """Copy; one that ends just when its namespaces are joined is looked at again: it may be started again."""
    from pyctr_engine.containers import listing

    for _ in range(_TRIES):
        try:
            copy(container)
        except _Ended:
            container = listing.view(context, container.spec)
        else:
            return
    raise Conflict(f"container {container.name} ends and is started again too often", "stop it first")


def copy_out(
    context: Context,
    container: Container,
    source: str,
    destination: str,
    follow: bool = False,
    owners: bool = False,
    progress: ProgressSink | None = None,
) -> None:
    """Copy what is at ``source`` inside to ``destination`` on the host; ``-`` is a tar on standard output.

    docker's rules: into a directory that is there, else under the new name; ``source/.`` means what is in it.

    Args:
        follow: Copy what a symlink at ``source`` leads to, not the link.
        owners: Keep owners as inside; else they are the caller's.
        progress: Is told how many bytes have gone; what it raises ends the copy, and what was copied stays.

    Raises:
        NotFound, InvalidValue, NotPermitted, NoSpace, EngineError.
    """
    _until_it_stays(
        context, container, lambda now: _copy_out(context, now, source, destination, follow, owners, progress)
    )


def _copy_out(
    context: Context,
    container: Container,
    source: str,
    destination: str,
    follow: bool,
    owners: bool,
    progress: ProgressSink | None,
) -> None:
    options = {"do": "get", "path": source, "follow": follow}
    if destination == "-":
        with _child(context, container, options, stdin=subprocess.DEVNULL, stdout=1):
            pass
    else:
        import tarfile

        from pyctr_engine.containers import copier

        with _child(context, container, options, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            place = copier.Place(os.path.abspath(destination), destination.endswith(("/", "/.")), _contents(source))
            try:
                copier.unpack(_told(child.stdout, source, progress), place, owners=owners, strict=True)
            except copier.Refused as error:
                raise InvalidValue(f"cannot copy to {destination}: {error}", "give another destination") from error
            except OSError as error:
                raise from_os_error(error, f"copy to {destination}") from error
            except tarfile.TarError as error:  # it was cut short: the child says why
                raise StoreError(f"cannot copy to {destination}: the copying process ended early: {error}") from error
            child.stdout.read()  # a tar's padding


def copy_in(
    context: Context,
    container: Container,
    source: str,
    destination: str,
    follow: bool = False,
    owners: bool = False,
    progress: ProgressSink | None = None,
) -> None:
    """Copy what is at ``source`` on the host to ``destination`` inside; ``-`` is a tar on standard input.

    The same rules; without ``owners`` the copies are root's inside. Raises as `copy_out`.
    """
    _until_it_stays(
        context, container, lambda now: _copy_in(context, now, source, destination, follow, owners, progress)
    )


def _copy_in(
    context: Context,
    container: Container,
    source: str,
    destination: str,
    follow: bool,
    owners: bool,
    progress: ProgressSink | None,
) -> None:
    options = {
        "do": "put",
        "path": destination,
        "owners": owners,
        "contents": _contents(source),
        "tar": source == "-",
    }
    if source == "-":
        with _child(context, container, options, stdin=0, stdout=subprocess.DEVNULL):
            pass
        return
    from pyctr_engine.containers import copier

    if not os.path.lexists(source):
        raise NotFound(f"there is no {source} here", "CONTAINER:PATH is a path inside, anything else one of the host")
    with _child(context, container, options, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as child:
        assert child.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # the child says why
            try:
                copier.pack(_told(child.stdin, source, progress), source, follow)
            except OSError as error:
                if isinstance(error, BrokenPipeError):
                    raise
                child.kill()
                raise from_os_error(error, f"read {source}") from error
            child.stdin.close()


def _contents(source: str) -> bool:
    """``directory/.`` means what is in it."""
    return source == "." or source.endswith("/.")


@contextlib.contextmanager
def _child(
    context: Context, container: Container, options: dict[str, Any], stdin: int, stdout: int
) -> Iterator[subprocess.Popen[bytes]]:
    """The confined child; its failure is raised afterwards, for it tells more than what that led to here."""
    with contextlib.ExitStack() as held:
        options |= _where(context, container, held, write=options["do"] == "put")
        with told_as("start the copying process"):
            child = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _PROGRAM, _PACKAGES, json.dumps(options)],
                stdin=stdin,
                stdout=stdout,
                stderr=subprocess.PIPE,
                cwd="/",
                env={},
            )
        held.enter_context(child)
        failed: BaseException | None = None
        try:
            yield child
        except EngineError as error:
            failed = error
        if isinstance(failed, Cancelled):
            child.kill()
        for stream in (child.stdin, child.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        assert child.stderr is not None
        trouble = child.stderr.read()
        if child.wait() and not isinstance(failed, Cancelled):
            _raise(container, options["path"], trouble, failed)
        if failed is not None:
            raise failed


def _where(context: Context, container: Container, held: contextlib.ExitStack, write: bool) -> dict[str, Any]:
    """How the child gets at the container's files; one that doesn't run is kept from being started meanwhile."""
    spec = container.spec
    if container.state is State.RESTARTING and _hold(context, spec, held):
        return _stopped(context, spec, write)
    if not status.status_of(status.read_state(context.paths, spec.id)).state.is_alive:
        held.enter_context(context.container_lock(spec.id))
        if not status.status_of(status.read_state(context.paths, spec.id)).state.is_alive:
            return _stopped(context, spec, write)
    state = status.read_state(context.paths, spec.id)
    return {"pid": int(state.get("pid", 0)), "started": int(state.get("pid_start", 0)), "userns": bool(spec.ids)}


def _hold(context: Context, spec: ContainerSpec, held: contextlib.ExitStack) -> bool:
    """Keep a container that restarts from being started while ``held`` lasts; False when it just has been."""
    deadline = time.monotonic() + _HOLD_SECONDS
    while status.status_of(status.read_state(context.paths, spec.id)).state is State.RESTARTING:
        session = remove.monitor(context, spec)
        if session is None:
            return False
        session.request(protocol.HOLD, {})
        if session.expect_started(spec.name).get("held"):
            held.callback(session.close)
            return True
        session.close()  # it is being started this moment
        if time.monotonic() > deadline:
            raise Conflict(f"container {spec.name} is being started", "try again in a moment")
        time.sleep(0.02)
    return False


def _stopped(context: Context, spec: ContainerSpec, write: bool) -> dict[str, Any]:
    """How the files of one that does not run are mounted."""
    if write and spec.request.security.read_only:
        raise InvalidValue(
            f"container {spec.name} has a read-only root file system",
            "copy to one of its volumes while it runs",
        )
    for mount in spec.mounts:
        if mount.type == "bind" and not os.path.lexists(mount.source):
            raise NotFound(f"the host has no {mount.source}, which {spec.name} binds", "make it first")
    own = stack.read(context.paths.container(spec.id))
    volumes = context.paths.volumes
    return {
        "layers": context.paths.layers,
        "data": context.paths.container(spec.id),
        "uppers": [own.upper, *own.deltas],
        "links": [*spec.chain, "../data/stub" if spec.mounts else os.path.basename(stub.link(spec))],
        "binds": [
            (f"{volumes}/{m.source}/_data" if m.type == "volume" else m.source, m.target, m.read_only)
            for m in spec.mounts
            if m.type in ("volume", "bind")
        ],
        "write": write,
    }


def _raise(container: Container, path: str, trouble: bytes, failed: BaseException | None) -> None:
    lines = trouble.decode(errors="replace").strip().splitlines()
    try:
        report = json.loads(lines[-1])
    except (ValueError, IndexError):
        raise failed or StoreError(f"the copying process failed: {lines[-1] if lines else 'no message'}") from None
    where = f"{container.name}:{report['path'] or path}"
    if report["kind"] == "ended":
        raise _Ended(f"container {container.name} has ended")
    if report["kind"] == "missing":
        raise NotFound(f"there is no {where}", f"`pyctr-tui exec {container.name} ls` shows what there is")
    if report["kind"] == "refused":
        raise InvalidValue(f"cannot copy to {where}: {report['error']}", "give another path")
    error = OSError(report["errno"], report["error"])
    if isinstance(error, BrokenPipeError) and failed is not None:
        raise failed
    raise from_os_error(error, f"copy {where}")
