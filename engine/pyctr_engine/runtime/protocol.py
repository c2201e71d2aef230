"""What engine, spawner, monitor and init say to each other.

::

    engine ──connect──▶ starter            one stream socket per start
           ──"H"──▶                        optional: which id would be started soonest?
           ◀──── OFFER ───────────────     that of a monitor in reserve, 64 hex digits, or nothing
           ──"S" + memfd(StartRequest)──▶
           ◀──── STARTED | FAILED ──────   the start is over
           ◀═══ STDOUT STDERR … EXIT ═══   only when the request says ``attach``
           ════ STDIN EOF RESIZE ══════▶

    engine ──connect──▶ monitor.sock       any number of connections
           ──── EXEC | ATTACH ──────────▶
           ◀──── STARTED | FAILED ──────   then the same stream as above
           ──── WAIT ───────────────────▶
           ◀──── EXIT ──────────────────   when it ends
           ──── SIGNAL | UPDATE | LIST ─▶
           ◀──── STARTED ───────────────   {"sent": …}, {}, {"sessions": […]}
           ──── LOOK ───────────────────▶  from the recorder: something was killed for want of memory
           ──── HOLD ───────────────────▶  {"held": …}: while this connection lasts, it is not started again
           ◀──── STARTED ───────────────

A frame is one type byte, a big-endian 32-bit length, and that many bytes. STARTED, FAILED, EXEC, ATTACH, SIGNAL,
UPDATE, RESIZE and EXIT carry JSON.

Named tuples, not dataclasses: this is imported by the spawner, and ``dataclasses`` alone costs 20 ms of a cold start.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

from pyctr_engine.linux import namespaces

HELLO, START = b"H", b"S"
EXEC, ATTACH, SIGNAL, WAIT = b"E", b"A", b"K", b"W"
UPDATE, LIST, HOLD, LOOK = b"U", b"L", b"H", b"O"
OFFER, STARTED, FAILED = b"!", b"+", b"-"
STDIN, EOF, RESIZE = b"i", b"f", b"r"
STDOUT, STDERR, EXIT = b"o", b"e", b"x"

HEADER = struct.Struct(">cI")
MAX_FRAME = 1 << 20
OWN_PROFILE = "pyctr-default"
"""The engine's AppArmor profile."""

OWN_NAMESPACES = (
    namespaces.CLONE_NEWUSER
    | namespaces.CLONE_NEWNS
    | namespaces.CLONE_NEWPID
    | namespaces.CLONE_NEWNET
    | namespaces.CLONE_NEWUTS
    | namespaces.CLONE_NEWIPC
)
"""Those of a container that shares none; its cgroup namespace init makes itself, when it is in its cgroups."""


def frame(kind: bytes, payload: bytes = b"") -> bytes:
    """One frame, ready to send."""
    return HEADER.pack(kind, len(payload)) + payload


def frame_json(kind: bytes, value: object) -> bytes:
    """One frame with a JSON payload."""
    return frame(kind, json.dumps(value, separators=(",", ":")).encode())


@contextlib.contextmanager
def short_path(directory: str) -> Iterator[str]:
    """A short name for a directory, however long its path is: a UNIX socket's address holds 107 bytes."""
    fd = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{fd}"
    finally:
        os.close(fd)


def listen(run_dir: str) -> socket.socket:
    """A monitor's socket in its container's run directory, in place of one that may be there."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(f"{run_dir}/monitor.sock")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o077)
    try:
        with short_path(run_dir) as directory:
            listener.bind(f"{directory}/monitor.sock")
    except OSError:
        listener.close()
        raise
    finally:
        os.umask(before)
    listener.listen(64)
    listener.setblocking(False)
    return listener


class FrameReader:
    """Cuts a byte stream into frames."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[tuple[bytes, bytes]]:
        """The frames that ``data`` completes. Raises ValueError on one that is too long."""
        if self._rest:
            data = self._rest + data
        position = 0
        frames = []
        while len(data) - position >= HEADER.size:
            kind, length = HEADER.unpack_from(data, position)
            if length > MAX_FRAME:
                raise ValueError(f"a frame of {length} bytes")
            end = position + HEADER.size + length
            if len(data) < end:
                break
            frames.append((kind, data[position + HEADER.size : end]))
            position = end
        self._rest = data[position:] if position else data
        return frames


class Bind(NamedTuple):
    """A file, directory or tree of the host, mounted at ``target`` inside.

    ``idmap``: map its ids as the container's, where its file system can; ``recursive``: with the mounts below it;
    ``devices``: device nodes in it can be opened. ``strict``: refused when its ids can't be mapped. ``propagation``:
    as in `pyctr_engine.model.spec.Mount`.
    """

    source: str
    target: str
    read_only: bool = False
    idmap: bool = True
    recursive: bool = True
    devices: bool = True
    strict: bool = False
    propagation: str = ""


class Tmpfs(NamedTuple):
    """A tmpfs at ``target``; ``size`` 0 is the kernel's default."""

    target: str
    size: int = 0
    mode: int = 0o1777
    read_only: bool = False
    executable: bool = False


class Cgroup(NamedTuple):
    """Where the container and its monitor live; see `pyctr_engine.cgroups.layout.CgroupPlan` for the fields."""

    mode: str
    parents: list[Any]
    directories: list[str]
    settings: list[list[str]]
    defaults: list[list[str]]
    attach: list[str]
    clone_into: str
    monitor_directories: list[str]
    monitor_attach: list[str]
    unified: str
    oom: str
    either: list[list[list[str]]]


class Network(NamedTuple):
    """One interface on a bridge."""

    bridge: str
    interface: str
    address: str
    gateway: str
    ports: list[list[Any]]
    """Host ports that the monitor holds: [protocol, host ip, host port]."""
    unpublish: list[str]
    """nft commands, one string per port, that undo the publishing at the end."""
    namespace: str = ""
    """The network namespace that the bridge is in, as a path; empty where that is the monitor's."""


class Join(NamedTuple):
    """Another container, and which of its namespaces are shared (``CLONE_NEW…`` flags)."""

    flags: int
    id: str
    pid: int
    start_time: int


class Preparation(NamedTuple):
    """What a start begins with: namespaces and cgroups. One without limits is made in reserve, for the next caller.

    ``new``: the namespaces that are made (``CLONE_NEW…`` flags); what is neither made nor joined is the host's.
    ``clocks``: see `orders.CloneOrder`.
    """

    new: int
    joins: list[Join]
    cgroup: Cgroup
    clocks: list[int]

    def serves(self, other: Preparation) -> bool:
        """Whether what was made for this one will do for the other, once its limits are written."""
        return (self.new, self.joins, self.clocks) == (other.new, other.joins, other.clocks)


class DeviceNode(NamedTuple):
    """A device of the host, and where it is shown inside."""

    source: str
    target: str


class StartRequest(NamedTuple):
    """All that a start needs. Paths are absolute and the host's unless said otherwise.

    Attributes:
        ids: The user namespace's map, (inside, outside, count); empty keeps the host's user namespace.
        gids: The same of groups, where it differs; else empty.
        new, joins: See `Preparation`.
        lowers: The overlay's lower directories, topmost first, relative to ``layers``/l.
        uppers: Directories below ``state_dir``: the one written to, then the frozen ones of its checkpoints.
        groups: Further groups, by name or id.
        devices: Device nodes shown inside; ``device_rules`` says which may be opened, (``c`` ``b`` or ``a``, major,
            minor, letters of ``rwm``), ``None`` for all.
        capabilities: Bit mask that is kept.
        seccomp: The filter program, base64; empty for none.
        network: ``None`` with ``net`` saying which: ``private`` (loopback only), ``host`` or ``join``.
        log: How much of the log is kept: bytes a file, files, lines a second (see `logs.Rotation`).
        restart: The restart policy's name, and how often at most (0: as often as it takes).
        health: A health check's fields (see `health.Check`), or ``None``.
        limits: What the history notes of the limits: CPUs, bytes of memory, processes; 0 for none.
        masked, protected: Paths inside that are hidden, or read-only.
        shm: ``own``, ``none`` or ``join``: what /dev/shm is; ``cgroupns``: whether it has a cgroup namespace.
        apparmor: The profile to be under; empty for none.
        reap: A command line to become at the end (``--rm``) when no attached caller is there to remove it; or empty.
    """

    id: str
    name: str
    run_dir: str
    state_dir: str
    events_dir: str
    layers: str
    lowers: list[str]
    uppers: list[str]
    argv: list[str]
    env: list[str]
    cwd: str
    user: str
    hostname: str
    domainname: str
    tty: bool
    stdin: bool
    ids: list[list[int]]
    gids: list[list[int]]
    groups: list[str]
    new: int
    joins: list[Join]
    net: str
    network: Network | None
    cgroup: Cgroup
    binds: list[Bind]
    tmpfs: list[Tmpfs]
    devices: list[DeviceNode]
    device_rules: list[list[Any]] | None
    capabilities: int
    seccomp: str
    no_new_privs: bool
    apparmor: str
    privileged: bool
    read_only: bool
    masked: list[str]
    protected: list[str]
    cgroupns: bool
    clocks: list[int]
    umask: int
    oom_score_adj: int | None
    init: bool
    shm: str
    shm_size: int
    rlimits: list[list[int]]
    sysctls: list[list[str]]
    log: list[int]
    restart: list[Any]
    health: list[Any] | None
    limits: list[float]
    reap: list[str]
    attach: bool

    def encode(self) -> bytes:
        """As JSON."""
        value = self._asdict()
        for key in ("network", "cgroup"):
            value[key] = value[key] and value[key]._asdict()
        return json.dumps(value, separators=(",", ":")).encode()

    @classmethod
    def decode(cls, data: bytes) -> StartRequest:
        """Read back what `encode` wrote."""
        value = json.loads(data)
        value["binds"] = [Bind(*item) for item in value["binds"]]
        value["tmpfs"] = [Tmpfs(*item) for item in value["tmpfs"]]
        value["cgroup"] = Cgroup(**value["cgroup"])
        value["network"] = value["network"] and Network(**value["network"])
        value["joins"] = [Join(*item) for item in value["joins"]]
        value["devices"] = [DeviceNode(*item) for item in value["devices"]]
        return cls(**value)

    def preparation(self) -> Preparation:
        """The part of it that a start begins with."""
        return Preparation(self.new, self.joins, self.cgroup, self.clocks)


class Failure(NamedTuple):
    """Why a start or an exec failed: which step, on what, with which errno; ``code`` is docker's exit code."""

    step: str
    reason: str
    errno: int
    path: str
    code: int

    def describe(self) -> str:
        """As one line."""
        return f"{self.step}: {self.reason}" + (f" ({self.path})" if self.path else "")
