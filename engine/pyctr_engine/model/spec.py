"""What a container is asked to be: requests, and the spec that a request and an image make together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pyctr_engine.record import dataclass, field

MountType = Literal["bind", "volume", "tmpfs"]
Protocol = Literal["tcp", "udp"]
RestartName = Literal["no", "on-failure", "always", "unless-stopped"]


@dataclass(frozen=True, slots=True)
class Mount:
    """Something mounted into a container.

    Attributes:
        type: bind (a host path), volume (a named volume) or tmpfs.
        source: An absolute host path, or a volume's name; empty for tmpfs and for an anonymous volume.
        target: An absolute path inside.
        read_only: Whether writes are refused.
        size: For tmpfs: bytes, 0 for the kernel's default.
        mode: For tmpfs: permission bits.
        executable: For tmpfs: whether programs in it can be run; docker's default is that they can't.
        create: For bind: make a missing source a directory, as docker's ``-v`` does.
    """

    type: MountType
    source: str
    target: str
    read_only: bool = False
    size: int = 0
    mode: int = 0o1777
    create: bool = False
    executable: bool = False


@dataclass(frozen=True, slots=True)
class Device:
    """A device node of the host shown inside at ``target``; permissions is a subset of ``rwm``."""

    source: str
    target: str
    permissions: str = "rwm"


@dataclass(frozen=True, slots=True)
class Port:
    """A published port. ``host_port`` 0 asks for any free one; ``host_ip`` "" means every address."""

    container_port: int
    host_port: int = 0
    host_ip: str = ""
    protocol: Protocol = "tcp"


@dataclass(frozen=True, slots=True)
class Resources:
    """Limits. ``None`` is no limit.

    Attributes:
        memory: Bytes.
        memory_swap: Bytes of memory and swap together, docker's meaning; -1 is unlimited swap.
        memory_reservation: Bytes kept for it under pressure, if possible.
        cpus: CPUs' worth of time, e.g. 1.5.
        cpu_shares: Docker's relative weight, 2 to 262144, 1024 is usual.
        cpuset: CPUs it may run on, e.g. ``0-1,3``; empty for all.
        pids: Processes and threads.
    """

    memory: int | None = None
    memory_swap: int | None = None
    memory_reservation: int | None = None
    cpus: float | None = None
    cpu_shares: int | None = None
    cpuset: str = ""
    pids: int | None = None


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """When a container that ended is started again. ``max_retries`` 0 means without limit."""

    name: RestartName = "no"
    max_retries: int = 0


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """A program run in the container now and then, whose exit code says how it is.

    In a request a field that is empty or ``None`` takes the image's value, then docker's; in a spec all are set.

    Attributes:
        test: ``("CMD", program, argument…)``, ``("CMD-SHELL", line)``, ``("NONE",)`` for no checks at all.
        interval: Seconds between two probes, and before the first.
        timeout: Seconds that one may take.
        retries: So many in a row must fail to make it unhealthy.
        start_period: Seconds after the start within which failures don't count.
        start_interval: The interval within the start period, until the first success.
    """

    test: tuple[str, ...] = ()
    interval: float | None = None
    timeout: float | None = None
    retries: int | None = None
    start_period: float | None = None
    start_interval: float | None = None


@dataclass(frozen=True, slots=True)
class Logging:
    """How much of what it writes is kept.

    Attributes:
        max_size: Bytes of one file; 0 keeps nothing.
        max_files: Files, the one being written among them.
        rate: Lines a second that are kept at most, 0 for all; how many are dropped is noted in the log.
    """

    max_size: int = 10 << 20
    max_files: int = 3
    rate: int = 0


@dataclass(frozen=True, slots=True)
class Security:
    """What holds a container in, where it differs from the default.

    Attributes:
        privileged: No user namespace, all capabilities, no filter, all devices.
        userns: ``auto`` (an id range of its own) or ``host``.
        cap_add: Capabilities without the CAP_ prefix, or ALL.
        cap_drop: The same.
        no_new_privileges: Set no_new_privs.
        seccomp: ``default`` or ``unconfined``.
        read_only: Mount the root file system read-only.
    """

    privileged: bool = False
    userns: str = "auto"
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    no_new_privileges: bool = False
    seccomp: str = "default"
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class ContainerRequest:
    """What a user asks for; ``None`` (or empty) takes the image's value.

    Attributes:
        image: A reference or an image id (or a unique prefix of one).
        command: Replaces the image's CMD.
        entrypoint: Replaces the image's ENTRYPOINT (and then its CMD is dropped, as in docker); () clears it.
        name: The container's name; a random one is found when empty.
        env: ``KEY=value`` pairs; later ones win over the image's.
        network: ``bridge`` (the default network), ``none``, ``host``, or ``container:<name or id>``.
        aliases: Extra names on the network.
        shm_size: Bytes of /dev/shm.
        ulimits: name → (soft, hard).
        stop_grace: Seconds between the stop signal and SIGKILL.
        stack, service, number: Which stack's service this is, and which replica (from 1).
        config_hash: Digest of the service definition it was made from; a differing one means recreate.
        auto_remove: Remove it when it ends (``--rm``).
        pull: When its image is pulled: ``missing``, ``always`` or ``never``.
        platform: ``os/architecture[/variant]`` that the image must be for; empty for any that is there, and for this
            machine's when it is pulled.
        health: How its health is checked, where it differs from the image's.
        logging: How much of what it writes is kept.
    """

    image: str
    command: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    name: str = ""
    env: tuple[str, ...] = ()
    working_dir: str = ""
    user: str = ""
    hostname: str = ""
    tty: bool = False
    stdin_open: bool = False
    mounts: tuple[Mount, ...] = ()
    devices: tuple[Device, ...] = ()
    ports: tuple[Port, ...] = ()
    network: str = "bridge"
    aliases: tuple[str, ...] = ()
    extra_hosts: tuple[tuple[str, str], ...] = ()
    resources: Resources = Resources()
    security: Security = Security()
    restart: RestartPolicy = RestartPolicy()
    labels: Mapping[str, str] = field(default_factory=dict)
    stop_signal: str = ""
    stop_grace: float = 10.0
    shm_size: int = 64 << 20
    ulimits: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    sysctls: Mapping[str, str] = field(default_factory=dict)
    init: bool = False
    stack: str = ""
    service: str = ""
    number: int = 0
    config_hash: str = ""
    auto_remove: bool = False
    pull: str = "missing"
    platform: str = ""
    health: HealthCheck = HealthCheck()
    logging: Logging = Logging()


@dataclass(frozen=True, slots=True)
class IdExtent:
    """``count`` ids from ``container`` inside are those from ``host`` outside."""

    container: int
    host: int
    count: int


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """A request resolved against an image: all that a start needs, kept in the database.

    Attributes:
        id: 64 hex digits.
        image: The reference as the user gave it; ``image_id`` is ``sha256:…`` of the image's config.
        argv: Entrypoint and command together, never empty.
        chain: Links (below ``layers/``) of the image's layers, topmost first.
        ids: The user namespace's map; empty means the host's user namespace.
        address: Leased IPv4 address with prefix length on its network (``10.0.0.2/16``); empty without one.
        created: Seconds since the epoch.
        health: How its health is checked; ``None`` for not at all.
    """

    id: str
    name: str
    image: str
    image_id: str
    argv: tuple[str, ...]
    request: ContainerRequest
    env: tuple[str, ...]
    working_dir: str
    user: str
    hostname: str
    stop_signal: str
    mounts: tuple[Mount, ...]
    labels: Mapping[str, str]
    chain: tuple[str, ...]
    ids: tuple[IdExtent, ...]
    address: str
    created: float
    health: HealthCheck | None = None


@dataclass(frozen=True, slots=True)
class ExecRequest:
    """A further program to run in a running container."""

    argv: tuple[str, ...]
    env: tuple[str, ...] = ()
    working_dir: str = ""
    user: str = ""
    tty: bool = False
    stdin: bool = False
    privileged: bool = False


@dataclass(frozen=True, slots=True)
class CommitRequest:
    """How a container's changes become an image.

    Attributes:
        name: The new image's reference; empty for an image known by its id only.
        changes: docker's ``--change`` instructions (``CMD ["x"]``, ``ENV A=b`` …).
        pause: Freeze the container meanwhile.
        exclude: What to leave out: paths (and all below them) with ``*``, ``?``, ``[…]`` and ``**`` across
            directories; without a slash it is a name at any depth.
        include: The same, of what alone to take; empty for everything.
        squash: Make one layer of all, the image's too.
    """

    name: str = ""
    author: str = ""
    message: str = ""
    changes: tuple[str, ...] = ()
    pause: bool = True
    exclude: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    squash: bool = False
