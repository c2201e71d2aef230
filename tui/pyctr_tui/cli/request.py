"""What ``run`` and ``create`` take, and the request that it makes."""

from __future__ import annotations

from pyctr_engine.errors import InvalidValue
from pyctr_engine.model import security_options
from pyctr_engine.model.spec import ContainerRequest, HealthCheck, Namespaces, Resources, Security
from pyctr_engine.record import replace
from pyctr_tui.cli import limits, mounts, values
from pyctr_tui.cli.environment import environment
from pyctr_tui.cli.options import Option, Parsed, UsageError

LIMITS = (
    Option("-m, --memory", "Limit of memory", "SIZE"),
    Option("--memory-swap", "Limit of memory and swap together; -1 for none", "SIZE"),
    Option("--memory-reservation", "Memory kept for it under pressure", "SIZE"),
    Option("--memory-high", "Memory above which it is slowed down, not killed; cgroup v2", "SIZE"),
    Option("--memory-swappiness", "0 (swap as the last resort) to 100, -1 for the host's; cgroup v1", "NUMBER"),
    Option("--oom-group", "When memory runs out for one process, kill all; cgroup v2"),
    Option("--oom-kill-disable", "When memory runs out, wait instead of being killed; cgroup v1"),
    Option("--cpus", "How many CPUs' worth of time", "NUMBER"),
    Option("--cpu-quota", "Microseconds of CPU time in each period", "NUMBER"),
    Option("--cpu-period", "Length of such a period, 100000 is usual", "NUMBER"),
    Option("--cpu-burst", "Microseconds of unused quota that may be saved up", "NUMBER"),
    Option("-c, --cpu-shares", "Relative weight, 1024 is usual", "NUMBER"),
    Option("--cpuset-cpus", "CPUs it may run on", "0-1,3"),
    Option("--cpuset-mems", "Memory nodes it may use", "0-1"),
    Option("--blkio-weight", "Share of busy disks, 10 to 1000; heeded by disks scheduled by bfq", "NUMBER"),
    Option("--blkio-weight-device", "The same for one disk", "/dev/X:NUMBER", many=True),
    Option("--device-read-bps", "Most bytes read from a disk, a second", "/dev/X:SIZE", many=True),
    Option("--device-write-bps", "Most bytes written to a disk, a second", "/dev/X:SIZE", many=True),
    Option("--device-read-iops", "Most reads from a disk, a second", "/dev/X:NUMBER", many=True),
    Option("--device-write-iops", "Most writes to a disk, a second", "/dev/X:NUMBER", many=True),
    Option("--pids-limit", "How many processes and threads; -1 for no limit", "NUMBER"),
    Option("--hugetlb", "How much of huge pages of a size", "2MB=SIZE", many=True),
)
"""What ``update`` takes too; see `limits`."""

OPTIONS = (
    Option("-i, --interactive", "Keep standard input open"),
    Option("-t, --tty", "Give it a terminal"),
    Option("--name", "Its name; a random one otherwise", "NAME"),
    Option("--rm", "Remove it when it ends"),
    Option("-e, --env", "Set a variable; without a value, pass ours on", "KEY[=VALUE]", many=True),
    Option("--env-file", "Read variables from a file", "FILE", many=True),
    Option("-v, --volume", "Mount a host path or a volume", "[SOURCE:]TARGET[:ro]", many=True),
    Option("--mount", "The same, longer: type=bind|volume|tmpfs,source=…,target=…", "MOUNT", many=True),
    Option("--tmpfs", "Mount a file system in memory", "TARGET[:size=…]", many=True),
    Option("-w, --workdir", "Working directory inside", "DIR"),
    Option("-u, --user", "User and group inside", "USER[:GROUP]"),
    Option("-h, --hostname", "Its host name", "NAME"),
    Option("--entrypoint", "Replace the image's entry point", "PROGRAM"),
    *LIMITS,
    Option("--network, --net", "bridge, none, host (its ids are the host's then), or container:NAME", "NETWORK"),
    Option("--network-alias", "One more name on its network", "NAME", many=True),
    Option("-p, --publish", "Publish a port", "[[IP:]HOST:]PORT[/udp]", many=True),
    Option("--add-host", "One more line in its /etc/hosts", "NAME:ADDRESS", many=True),
    Option("--device", "Show it a device, or a directory of them", "/dev/X[:/dev/Y][:rwm]", many=True),
    Option("--device-cgroup-rule", "Devices that may be opened too: c 188:* rwm", "RULE", many=True),
    Option("--privileged", "No user namespace, all capabilities and devices, no filter"),
    Option("--cap-add", "Add a capability", "NAME", many=True),
    Option("--cap-drop", "Drop a capability", "NAME", many=True),
    Option("--security-opt", "no-new-privileges, profile=hardened, seccomp=FILE|unconfined, …", "OPTION", many=True),
    Option("--userns", "auto (the default), host, keep-id, container:NAME, or UID:GID:SIZE", "MODE"),
    Option("--pid", "Processes: private (the default), host (its ids are the host's then), container:NAME", "MODE"),
    Option("--ipc", "System V IPC and /dev/shm: private (the default), none, host, container:NAME", "MODE"),
    Option("--uts", "Host name: private (the default), host, container:NAME", "MODE"),
    Option("--cgroupns", "What is seen of the control groups: private (the default), host", "MODE"),
    Option("--timens", "Clocks: host (the default), or private[,boottime=SECONDS][,monotonic=SECONDS]", "MODE"),
    Option("--group-add", "One more group, by name or id", "GROUP", many=True),
    Option("--oom-score-adj", "-1000 (never killed for want of memory) to 1000 (killed first)", "NUMBER"),
    Option("--umask", "File mode bits that are taken away, 0022", "OCTAL"),
    Option("--domainname", "Its NIS domain name", "NAME"),
    Option("--read-only", "Mount its root file system read-only"),
    Option("--restart", "no, on-failure[:retries], always, unless-stopped", "POLICY"),
    Option("--health-cmd", "A line for a shell that says by its exit code whether it is healthy", "LINE"),
    Option("--health-interval", "Time between two checks, 30s", "DURATION"),
    Option("--health-timeout", "How long one may take, 30s", "DURATION"),
    Option("--health-retries", "So many in a row must fail to make it unhealthy, 3", "NUMBER"),
    Option("--health-start-period", "Time after the start in which failures don't count", "DURATION"),
    Option("--health-start-interval", "Time between two checks in that time, 5s", "DURATION"),
    Option("--no-healthcheck", "Don't check, whatever the image says"),
    Option("--log-driver", "json-file (the default), or none: keep nothing that it writes", "DRIVER"),
    Option("--log-opt", "max-size=10m, max-file=3, rate-limit=LINES (a second)", "KEY=VALUE", many=True),
    Option("--init", "Run a small init as its first process"),
    Option("-l, --label", "Set a label", "KEY=VALUE", many=True),
    Option("--stop-signal", "Signal that stops it", "SIGNAL"),
    Option("--stop-timeout", "Seconds before SIGKILL", "SECONDS"),
    Option("--shm-size", "Size of /dev/shm", "SIZE"),
    Option("--ulimit", "Limit of a resource", "NAME=SOFT[:HARD]", many=True),
    Option("--sysctl", "Set a kernel parameter of its namespaces", "KEY=VALUE", many=True),
    Option("--pull", "Pull the image: missing (the default), always, never", "POLICY"),
    Option("--platform", "Platform that the image must be for, e.g. linux/arm64", "PLATFORM"),
    Option("-q, --quiet", "Show nothing of a pull"),
)  # fmt: skip


def request(parsed: Parsed) -> ContainerRequest:
    """The container that the options and arguments ask for. Raises UsageError."""
    image, *command = parsed.arguments
    if parsed.value("pull", "missing") not in ("missing", "always", "never"):
        raise UsageError(f"--pull: {parsed.value('pull')!r} is unknown", "policies: missing, always, never")
    if parsed.flag("rm") and parsed.value("restart", "no") != "no":
        raise UsageError("--rm and --restart exclude each other", "leave one of them out")
    return ContainerRequest(
        image=image,
        command=tuple(command) if command else None,
        entrypoint=_entrypoint(parsed),
        name=parsed.value("name"),
        env=environment(parsed.values("env-file"), parsed.values("env")),
        working_dir=parsed.value("workdir"),
        user=parsed.value("user"),
        hostname=parsed.value("hostname"),
        tty=parsed.flag("tty"),
        stdin_open=parsed.flag("interactive"),
        mounts=(
            *map(mounts.volume, parsed.values("volume")),
            *map(mounts.mount, parsed.values("mount")),
            *map(mounts.tmpfs, parsed.values("tmpfs")),
        ),
        devices=tuple(map(values.device, parsed.values("device"))),
        ports=tuple(port for text in parsed.values("publish") for port in values.ports(text)),
        network=_network(parsed.value("net", "bridge")),
        aliases=tuple(parsed.values("network-alias")),
        extra_hosts=tuple(map(values.extra_host, parsed.values("add-host"))),
        resources=limits.changed(parsed, Resources()),
        security=_security(parsed),
        restart=values.restart(parsed.value("restart")),
        labels=dict(values.pair(text, "--label") for text in parsed.values("label")),
        stop_signal=parsed.value("stop-signal"),
        stop_grace=values.number(parsed.value("stop-timeout", "10"), "--stop-timeout"),
        shm_size=values.size(parsed.value("shm-size", "64m"), "--shm-size"),
        ulimits=dict(map(values.ulimit, parsed.values("ulimit"))),
        sysctls=dict(values.pair(text, "--sysctl") for text in parsed.values("sysctl")),
        init=parsed.flag("init"),
        auto_remove=parsed.flag("rm"),
        pull=parsed.value("pull", "missing"),
        platform=parsed.value("platform"),
        health=_health(parsed),
        namespaces=_namespaces(parsed),
        domainname=parsed.value("domainname"),
        group_add=tuple(parsed.values("group-add")),
        logging=values.logging(
            parsed.value("log-driver"), dict(values.pair(text, "--log-opt") for text in parsed.values("log-opt"))
        ),
    )


def _health(parsed: Parsed) -> HealthCheck:
    """What differs from the image's check."""
    if parsed.flag("no-healthcheck"):
        if "health-cmd" in parsed:
            raise UsageError("--no-healthcheck and --health-cmd exclude each other", "leave one of them out")
        return HealthCheck(("NONE",))

    def seconds(key: str) -> float | None:
        return values.seconds(parsed.value(key), f"--{key}") if key in parsed else None

    line = parsed.value("health-cmd")
    return HealthCheck(
        test=("CMD-SHELL", line) if line else (),
        interval=seconds("health-interval"),
        timeout=seconds("health-timeout"),
        retries=values.integer(parsed.value("health-retries"), "--health-retries")
        if "health-retries" in parsed
        else None,
        start_period=seconds("health-start-period"),
        start_interval=seconds("health-start-interval"),
    )


def _entrypoint(parsed: Parsed) -> tuple[str, ...] | None:
    """One program, as in docker; an empty one clears the image's."""
    if "entrypoint" not in parsed:
        return None
    program = parsed.value("entrypoint")
    return (program,) if program else ()


def _network(name: str) -> str:
    if name in ("", "default"):
        return "bridge"
    if name in ("bridge", "none", "host") or name.startswith("container:"):
        return name
    raise UsageError(f"--network: there is no network {name}", "networks: bridge, none, host, container:NAME")


def _namespaces(parsed: Parsed) -> Namespaces:
    time, offsets = values.time_namespace(parsed.value("timens", "host"))
    return Namespaces(
        pid=parsed.value("pid") or "private",
        ipc=parsed.value("ipc") or "private",
        uts=parsed.value("uts") or "private",
        cgroup=parsed.value("cgroupns") or "private",
        time=time,
        **offsets,
    )


def _security(parsed: Parsed) -> Security:
    security = Security()
    for text in parsed.values("security-opt"):
        try:
            security = security_options.apply(security, text, ".")
        except InvalidValue as error:
            raise UsageError(f"--security-opt: {error.message}", error.hint) from error
    userns = parsed.value("userns")
    umask = parsed.value("umask")
    return replace(
        security,
        privileged=parsed.flag("privileged"),
        userns="auto" if userns in ("", "private") else userns,
        umask=values.octal(umask, "--umask") if umask else None,
        oom_score_adj=values.integer(parsed.value("oom-score-adj"), "--oom-score-adj")
        if "oom-score-adj" in parsed
        else None,
        device_rules=tuple(map(values.device_rule, parsed.values("device-cgroup-rule"))),
        cap_add=tuple(map(_capability, parsed.values("cap-add"))),
        cap_drop=tuple(map(_capability, parsed.values("cap-drop"))),
        read_only=parsed.flag("read-only"),
    )


def _capability(name: str) -> str:
    return name.upper().removeprefix("CAP_")
