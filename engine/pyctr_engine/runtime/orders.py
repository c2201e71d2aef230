"""What a starter has its monitor do, and what it leaves it to look after once the container's program runs.

One SEQPACKET socket pair::

    starter                                  monitor
      CLONE + control, cgroup ────────────▶   clones init, its own child
             ◀──────────── BORN + pidfd | REFUSED
                                              moves it into its v1 cgroups
             ◀─────────────── JOINED | REFUSED
      JOIN ───────────────────────────────▶   moves it into more of them
             ◀─────────────── JOINED | REFUSED
      Handover + descriptors ─────────────▶   serves from here on
      (or nothing more: the end) ─────────▶   kills init, removes the cgroups, ends

The values are marshalled: both are of one program, and json would touch more memory that a monitor shares.
"""

from __future__ import annotations

import marshal
import os
import socket
from typing import Any, NamedTuple

from pyctr_engine.runtime import passing

CLONE, BORN, JOIN, JOINED, REFUSED, HANDOVER, AGAIN = b"c", b"b", b"m", b"j", b"r", b"h", b"a"


class Streams(NamedTuple):
    """The monitor's ends of a program's standard streams, -1 for none; a terminal's master is two of them."""

    into: int
    out: int
    err: int

    def close(self) -> None:
        """Close what is open."""
        for fd in {*self} - {-1}:
            os.close(fd)


class CloneOrder(NamedTuple):
    """How init is cloned.

    Attributes:
        flags: Its new namespaces.
        joins: Containers whose namespaces it shares: which (flags), a process, its start time.
        procs: ``cgroup.procs`` that it is moved into afterwards.
        directories: The container's cgroups, to be removed should nothing come of it.
        parents: Those they lie in, which go too when they are empty then; innermost first.
        clocks: Offsets of boottime and monotonic in a time namespace of its own, seconds; empty for the host's.
    """

    flags: int
    joins: list[tuple[int, int, int]]
    procs: list[str]
    directories: list[str]
    parents: list[str]
    clocks: list[int]

    def send(self, channel: socket.socket, control: int, cgroup: int) -> None:
        """``control`` is init's end of its socket, ``cgroup`` the directory it is born in, or -1."""
        passing.send(channel, CLONE + _dumps(tuple(self)), [control, *([cgroup] if cgroup >= 0 else [])])


class Kept(NamedTuple):
    """The namespaces that a restart goes back into: user and network, -1 for the host's."""

    user: int
    net: int


class Descriptors(NamedTuple):
    """What goes along with a handover, beside the ports that are held."""

    connection: int
    request: int
    listener: int
    kept: Kept | None
    streams: Streams


class Handover(NamedTuple):
    """What a monitor needs to know.

    Attributes:
        state: The contents of ``state.json`` so far.
        trace: The start's steps (name, begin and end in milliseconds), if they are still to be written.
        log, restart, health: See `StartRequest`.
        attach: Whether the connection on which the start was asked for stays, as the first client.
        unified, directories, oom: The container's cgroups, and the file that counts its OOM kills.
        monitor_directories, monitor_attach: The monitor's own.
        sweeps: Whether what the program leaves must be killed: its pid namespace does not end with it.
        reap: See `StartRequest`. What grows with it (ports, environment) is read from the request: a message is
            bounded.
    """

    id: str
    name: str
    run_dir: str
    state_dir: str
    events_dir: str
    state: dict[str, Any]
    trace: list[list[Any]]
    tty: bool
    attach: bool
    log: list[int]
    restart: list[Any]
    health: list[Any] | None
    unified: str
    directories: list[str]
    oom: str
    monitor_directories: list[str]
    monitor_attach: list[str]
    sweeps: bool
    reap: list[str]

    def send(self, channel: socket.socket, fds: Descriptors, ports: list[int]) -> None:
        """Hand it to the monitor at the other end. Raises OSError when that has gone."""
        *single, kept, streams = fds
        optional = (*(kept or (-1, -1)), *streams)
        opened = [fd for fd in optional if fd >= 0]
        message = (tuple(self), kept is not None, [fd >= 0 for fd in optional])
        passing.send(channel, HANDOVER + _dumps(message), [*single, *opened, *ports])


def keep_namespaces(pid: int, net: str = "") -> Kept:
    """Open a running container's user and network namespaces, -1 for those that are the host's. Raises OSError.

    ``net`` is the request's: who works in another network than its spawner can't tell the host's by its own.
    """
    found = []
    for kind in ("user", "net"):
        fd = os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC)
        is_hosts = kind == "net" and net == "host"
        if is_hosts or os.fstat(fd).st_ino == os.stat(f"/proc/self/ns/{kind}").st_ino:
            os.close(fd)
            fd = -1
        found.append(fd)
    return Kept(*found)


def send_join(channel: socket.socket, procs: list[str], directories: list[str]) -> None:
    """Have init moved into more cgroups; ``directories`` are those to be removed should nothing come of it."""
    passing.send(channel, JOIN + _dumps((procs, directories)))


def clone_order(message: bytes) -> CloneOrder:
    """Read what `CloneOrder.send` sent."""
    return CloneOrder(*loads(message))


def handover(message: bytes, fds: list[int]) -> tuple[Handover, Descriptors, list[int]]:
    """Read what `Handover.send` sent: with its descriptors and held ports."""
    fields, keeps, opened = loads(message)
    connection, request, listener = fds[:3]
    rest = fds[3:]
    user, net, *streams = [rest.pop(0) if there else -1 for there in opened]
    return (
        Handover(*fields),
        Descriptors(connection, request, listener, Kept(user, net) if keeps else None, Streams(*streams)),
        rest,
    )


class Again(NamedTuple):
    """A program that runs again: its process, what could not be idmapped, the start's steps (see `Handover`)."""

    pid: int
    plain_binds: list[str]
    trace: list[list[Any]]


def send_again(channel: socket.socket, again: Again, streams: Streams) -> None:
    """In a restart's helper: the program runs again; hand over its streams."""
    passing.tell(
        channel,
        AGAIN + _dumps((tuple(again), [fd >= 0 for fd in streams])),
        [fd for fd in streams if fd >= 0],
    )


def again(message: bytes, fds: list[int]) -> tuple[Again, Streams]:
    """Read what `send_again` sent. Raises ValueError when descriptors did not come along (EMFILE)."""
    fields, opened = loads(message)
    if len(fds) != sum(opened):
        for fd in fds:
            os.close(fd)
        raise ValueError("descriptors are missing")
    return Again(*fields), Streams(*[fds.pop(0) if there else -1 for there in opened])


def answer(channel: socket.socket, kind: bytes, value: object, fds: tuple[int, ...] = ()) -> None:
    """In the monitor: answer a starter, which may have gone."""
    passing.tell(channel, kind + _dumps(value), fds)


def loads(message: bytes) -> Any:
    """The value of a message, after its kind."""
    return marshal.loads(message[1:])  # noqa: S302 - both ends are ours


def _dumps(value: Any) -> bytes:
    return marshal.dumps(value)
