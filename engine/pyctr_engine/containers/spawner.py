"""The client of the spawner: finds it, starts it when there is none, hands it start requests."""

from __future__ import annotations

import array
import contextlib
import fcntl
import os
import socket
import sys

from pyctr_engine.cgroups.systemd import Home, home
from pyctr_engine.errors import StoreError, from_os_error, told_as
from pyctr_engine.linux import namespaces
from pyctr_engine.paths import HOUSE_VARIABLE, Paths, current_house
from pyctr_engine.runtime.protocol import HEADER, HELLO, OFFER, START, StartRequest, short_path

IDLE_SECONDS = "60"
"""The spawner leaves after this long without a request once no monitor of its own is left."""

_PROGRAM = (
    "import sys; sys.path.insert(0, sys.argv[1]); import os; gate = int(sys.argv[2]); child = os.fork()\n"
    "if child: os.write(gate, b'%d\\n' % child); os._exit(0)\n"
    "from pyctr_engine.runtime import spawner\n"
    "if os.read(gate, 1): spawner.main(int(sys.argv[3]), *sys.argv[4:9])"
)
"""It tells its pid through the gate, and waits there until it is where its children belong."""


def ask_for_id(connection: socket.socket) -> None:
    """Ask which id would be started soonest: see `offered_id`. Quiet when nobody listens any more."""
    with contextlib.suppress(OSError):
        connection.sendall(HELLO)


def offered_id(connection: socket.socket) -> str:
    """The answer: the id of a container that is half made already; empty when there is none."""
    data = b""
    with contextlib.suppress(OSError):
        while len(data) < HEADER.size:
            data += (piece := connection.recv(HEADER.size - len(data)))
            if not piece:
                return ""
        kind, length = HEADER.unpack(data)
        if kind == OFFER and length:  # else it has failed, and has parted: the request will go to another
            return connection.recv(length, socket.MSG_WAITALL).decode()
    return ""


def request_start(paths: Paths, request: StartRequest, connection: socket.socket | None = None) -> socket.socket:
    """Send a start request; the connection on which its monitor's starter will answer.

    ``connection`` may have been made before: its starter waits by now, or has given up waiting.
    """
    if connection is not None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            return _send(connection, START, request.encode())
        connection.close()
    connection = connect(paths)
    try:
        return _send(connection, START, request.encode())
    except OSError as error:
        connection.close()
        raise from_os_error(error, "reach the spawner") from error


def _send(connection: socket.socket, kind: bytes, data: bytes) -> socket.socket:
    memfd = os.memfd_create("pyctr-start", os.MFD_CLOEXEC)
    try:
        os.write(memfd, data)
        connection.sendmsg([kind], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [memfd]))])
    finally:
        os.close(memfd)
    return connection


def connect(paths: Paths) -> socket.socket:
    """A connection to the spawner, which is started if there is none.

    The socket is made and listened on here and inherited by the new process, so that a request can be sent at once:
    it waits in the queue while the spawner imports what it needs.
    """
    connection = _try_connect(paths)
    if connection is not None:
        return connection
    try:
        os.makedirs(paths.run, 0o700, exist_ok=True)
        lock = os.open(f"{paths.run}/spawner.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise from_os_error(error, "use the run directory") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        connection = _try_connect(paths)
        if connection is None:
            _launch(paths)
            connection = _try_connect(paths)
    finally:
        os.close(lock)
    if connection is None:
        raise StoreError("the spawner could not be started", f"see {paths.run}/spawner.log")
    return connection


def reserved_id(paths: Paths) -> str:
    """The id of the container that the spawner has half made for the next caller; empty when it has none."""
    try:
        with open(f"{paths.run}/spawner.reserve") as file:
            return file.read()
    except OSError:
        return ""


def stop(paths: Paths) -> None:
    """End an idle spawner (containers and their monitors go on)."""
    with contextlib.suppress(OSError, ValueError):
        with open(f"{paths.run}/spawner.pid") as file:
            pid, started = (int(word) for word in file.read().split())
        if namespaces.is_running(pid, started):
            os.kill(pid, 15)


def _try_connect(paths: Paths) -> socket.socket | None:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with short_path(paths.run) as directory:
            connection.connect(f"{directory}/spawner.sock")
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        return None
    except OSError as error:
        connection.close()
        raise from_os_error(error, "reach the spawner") from error
    return connection


def _launch(paths: Paths) -> None:
    place = home(paths.cgroup_name)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(paths.spawner_socket)
    ours, gate = socket.socketpair()
    with ours, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        with gate, short_path(paths.run) as directory:
            listener.bind(f"{directory}/spawner.sock")
            os.chmod(paths.spawner_socket, 0o600)
            listener.listen(256)
            _spawn(paths, place.parent, listener, gate)
        if place.is_delegated:
            try:
                _bring_home(place, ours)
            except BaseException:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(paths.spawner_socket)
                raise
        with contextlib.suppress(BrokenPipeError):  # it was killed: who connects finds out
            ours.send(b".")


def _spawn(paths: Paths, cgroup_parent: str, listener: socket.socket, gate: socket.socket) -> None:
    """Start it; it goes on as an orphan, and waits at the gate."""
    idle = os.environ.get("PYCTR_SPAWNER_IDLE", IDLE_SECONDS)
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    listener.set_inheritable(True)
    gate.set_inheritable(True)
    numbers = str(gate.fileno()), str(listener.fileno())
    house = current_house()
    where = paths.run, idle, paths.state, cgroup_parent, house.network if house else ""
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
    if house:
        environment[HOUSE_VARIABLE] = os.environ[HOUSE_VARIABLE]
    log = (os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with told_as("start the spawner"):
        pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-I", "-S", "-c", _PROGRAM, root, *numbers, *where],
            environment,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0),
                (os.POSIX_SPAWN_OPEN, 2, f"{paths.run}/spawner.log", *log),
            ],
        )
    _intermediate.append(pid)


def _bring_home(place: Home, gate: socket.socket) -> None:
    """Have systemd give the spawner its place: its children are born where it is."""
    from pyctr_engine.cgroups.systemd import enter

    told = b""
    while not told.endswith(b"\n"):
        told += (piece := gate.recv(32))
        if not piece:
            raise StoreError(
                "the spawner could not be started", "its log, spawner.log in the run directory, says why"
            )
    enter(place, int(told))


_intermediate: list[int] = []


def reap_intermediate() -> None:
    """Collect the short-lived parent of a spawner that this process started."""
    for pid in list(_intermediate):
        with contextlib.suppress(ChildProcessError):
            if os.waitpid(pid, os.WNOHANG)[0] == 0:
                continue
        _intermediate.remove(pid)
