"""What a starter asks of its monitor, and what it leaves it to look after once the container's program runs."""

from __future__ import annotations

import marshal
import os
import socket
from typing import Any, NamedTuple

from pyctr_engine.cgroups import control as control_groups
from pyctr_engine.errors import EngineError
from pyctr_engine.runtime import passing

_JOIN, _DONE = b"join", b"done"


class Streams(NamedTuple):
    """The monitor's ends of a program's standard streams, -1 for none; a terminal's master is two of them."""

    into: int
    out: int
    err: int

    def close(self) -> None:
        """Close what is open."""
        for fd in {*self} - {-1}:
            os.close(fd)


class Descriptors(NamedTuple):
    """What goes along, beside the ports that are held."""

    connection: int
    request: int
    listener: int
    pidfd: int
    streams: Streams


class Handover(NamedTuple):
    """What a starter leaves its monitor to look after; the `Descriptors` go with it.

    Attributes:
        state: The contents of ``state.json`` so far.
        helpers: Children of the monitor that have served their purpose, for it to reap.
        attach: Whether the connection on which the start was asked for stays, as the first client.
        directories, oom: The container's cgroups, and the file that counts its OOM kills.
        monitor_directories, monitor_attach: The monitor's own.
        unpublish, reap: See `Network` and `StartRequest`.
    """

    id: str
    name: str
    run_dir: str
    state_dir: str
    events_dir: str
    state: dict[str, Any]
    helpers: list[int]
    tty: bool
    attach: bool
    log_bytes: int
    log_files: int
    directories: list[str]
    oom: str
    monitor_directories: list[str]
    monitor_attach: list[str]
    unpublish: list[str]
    reap: list[str]

    def send(self, channel: socket.socket, fds: Descriptors, ports: list[int]) -> None:
        """Hand it to the monitor at the other end. Raises OSError when that has gone."""
        *single, streams = fds
        opened = [fd for fd in streams if fd >= 0]
        message: Any = (tuple(self), [fd >= 0 for fd in streams])
        passing.send(channel, marshal.dumps(message), [*single, *opened, *ports])


def decode(message: bytes, fds: list[int]) -> tuple[Handover, Descriptors, list[int]]:
    """Read what `Handover.send` sent: with its descriptors and held ports."""
    fields, opened = marshal.loads(message)  # noqa: S302 - our own child's, and light: json would touch more memory
    connection, request, listener, pidfd = fds[:4]
    rest = fds[4:]
    streams = Streams(*[rest.pop(0) if there else -1 for there in opened])
    return Handover(*fields), Descriptors(connection, request, listener, pidfd, streams), rest


def ask_to_join(monitor: socket.socket, procs: list[str], pid: int) -> None:
    """Ask the monitor to move a process into cgroups, by their ``cgroup.procs``; `joined` tells when it has."""
    passing.send(monitor, b"\0".join([_JOIN, b"%d" % pid, *(path.encode() for path in procs)]))


def is_request_to_join(message: bytes) -> bool:
    """Whether it is that, not a handover."""
    return message.startswith(_JOIN + b"\0")


def join(starter: socket.socket, message: bytes) -> None:
    """In the monitor: do it and answer."""
    _, pid, *procs = message.decode().split("\0")
    try:
        control_groups.attach(procs, int(pid))
    except EngineError as error:
        passing.tell(starter, error.message.encode())
    else:
        passing.tell(starter, _DONE)


def joined(monitor: socket.socket) -> str:
    """Wait for the answer: what went wrong, empty when nothing did."""
    answer, _ = passing.receive(monitor)
    return "" if answer == _DONE else answer.decode() or "the monitor was killed"
