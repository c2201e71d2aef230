"""What a container is asked to be: requests, and the spec that a request and an image make together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pyctr_engine.record import dataclass, field

MountType = Literal["bind", "volume", "tmpfs"]
PROPAGATIONS = ("private", "rprivate", "slave", "rslave", "shared", "rshared")
"""What becomes of later mounts below a bind: nothing, the host's appear inside, each side's appear on the other.

With an ``r`` that holds for the mounts below it too. Source: mount_namespaces(7).
"""
Protocol = Literal["tcp", "udp"]
RestartName = Literal["no", "on-failure", "always", "unless-stopped"]
DeviceLimits = tuple[tuple[str, int], ...]
"""(path of a block device of the host, what holds for it)."""


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
        propagation: For bind: one of `PROPAGATIONS`; empty is ``rprivate``.
    """

    type: MountType
    source: str
    target: str
    read_only: bool = False
    size: int = 0
    mode: int = 0o1777
    create: bool = False
    executable: bool = False
    propagation: str = ""


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
        cpu_quota, cpu_period: Microseconds of CPU time in each period of so many microseconds: ``cpus`` in two words.
        cpu_burst: Microseconds of unused quota that may be saved up and used at once.
        cpuset_mems: Memory nodes it may use, e.g. ``0``; empty for all.
        memory_high: Bytes above which it is slowed down and reclaimed from, never killed; cgroup v2 only.
        memory_swappiness: 0 (swap as the last resort) to 100; cgroup v1 only.
        oom_group: When one of its processes is killed for want of memory, all are; cgroup v2 only.
        oom_kill_disable: Who goes over the limit waits instead of being killed; cgroup v1 only.
        blkio_weight: Its share of busy disks, 10 to 1000, 100 is usual; disks scheduled by bfq or io.cost heed it.
        blkio_weight_device: The same for single disks: (path of the device, weight).
        device_read_bps, device_write_bps: (path of the device, bytes per second).
        device_read_iops, device_write_iops: (path of the device, operations per second).
        hugetlb: (page size, bytes of pages of that size), e.g. ``("2MB", 64 << 20)``.
    """

    memory: int | None = None
    memory_swap: int | None = None
    memory_reservation: int | None = None
    cpus: float | None = None
    cpu_shares: int | None = None
    cpuset: str = ""
    pids: int | None = None
    cpu_quota: int | None = None
    cpu_period: int | None = None
    cpu_burst: int | None = None
    cpuset_mems: str = ""
    memory_high: int | None = None
    memory_swappiness: int | None = None
    oom_group: bool = False
    oom_kill_disable: bool = False
    blkio_weight: int | None = None
    blkio_weight_device: DeviceLimits = ()
    device_read_bps: DeviceLimits = ()
    device_write_bps: DeviceLimits = ()
    device_read_iops: DeviceLimits = ()
    device_write_iops: DeviceLimits = ()
    hugetlb: tuple[tuple[str, int], ...] = ()

    @property
    def cpu_limit(self) -> float | None:
        """CPUs' worth of time that it may have, however that was said; ``None`` without limit."""
        if self.cpus is not None or self.cpu_quota is None:
            return self.cpus
        return self.cpu_quota / (self.cpu_period or 100_000)


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
class DeviceRule:
    """Device nodes that may be opened: ``c``, ``b`` or ``a`` (both); numbers, -1 for any; letters of ``rwm``."""

    kind: str
    major: int
    minor: int
    access: str


@dataclass(frozen=True, slots=True)
class Namespaces:
    """Which kernel namespaces are shared, and with whom: ``private``, ``host``, or ``container:<name or id>``.

    Attributes:
        pid: Processes.
        ipc: System V IPC, message queues and /dev/shm; also ``none``: private, without /dev/shm.
        uts: Host name and domain name; ``private`` or ``host`` or another container's.
        cgroup: What /sys/fs/cgroup and /proc/self/cgroup show: ``private`` or ``host``.
        time: ``host``, or ``private`` with the offsets below.
        boottime, monotonic: Seconds added to these clocks in a private time namespace.
    """

    pid: str = "private"
    ipc: str = "private"
    uts: str = "private"
    cgroup: str = "private"
    time: str = "host"
    boottime: int = 0
    monotonic: int = 0


@dataclass(frozen=True, slots=True)
class Security:
    """What holds a container in, where it differs from the default.

    Attributes:
        privileged: No user namespace, all capabilities, no filter, all devices.
        userns: ``auto`` (an id range of its own), ``host``, ``keep-id`` (``auto``, and it runs as the caller),
            ``container:<name or id>``, or ``uid:gid:size`` (the first host ids, and how many).
        cap_add: Capabilities without the CAP_ prefix, or ALL.
        cap_drop: The same.
        no_new_privileges: Set no_new_privs; ``None`` is what the configuration says.
        seccomp: ``default``, ``unconfined``, or a profile's JSON text.
        apparmor: The AppArmor profile; empty for the default one where the host has AppArmor, or ``unconfined``.
        profile: ``default`` or ``hardened`` (see `resolve.hardened`); empty is what the configuration says.
        read_only: Mount the root file system read-only.
        mask: Further paths to hide.
        unmask: Paths, hidden or read-only by default, that are neither; ``ALL`` for every one.
        umask: Of the program; ``None`` for 0022.
        oom_score_adj: Added to the kernel's score when it looks for something to kill, -1000 to 1000.
        device_rules: Devices that may be opened beside those that every container has.
    """

    privileged: bool = False
    userns: str = "auto"
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    no_new_privileges: bool | None = None
    seccomp: str = "default"
    read_only: bool = False
    apparmor: str = ""
    profile: str = ""
    mask: tuple[str, ...] = ()
    unmask: tuple[str, ...] = ()
    umask: int | None = None
    oom_score_adj: int | None = None
    device_rules: tuple[DeviceRule, ...] = ()


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
        namespaces: Which namespaces it shares, but for the network and the user namespace.
        domainname: The NIS domain name of its UTS namespace.
        group_add: Further groups of the program, by name or id.
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
    namespaces: Namespaces = Namespaces()
    domainname: str = ""
    group_add: tuple[str, ...] = ()


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
        gids: The same of groups, where they are mapped otherwise than users; else empty.
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
    gids: tuple[IdExtent, ...] = ()


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
