"""What ``run`` and ``create`` take, and the request that it makes."""

from __future__ import annotations

from pyctr_engine.model.spec import ContainerRequest, HealthCheck, Resources, Security
from pyctr_tui.cli import mounts, values
from pyctr_tui.cli.environment import environment
from pyctr_tui.cli.options import Option, Parsed, UsageError

LIMITS = (
    Option("-m, --memory", "Limit of memory", "SIZE"),
    Option("--memory-swap", "Limit of memory and swap together; -1 for none", "SIZE"),
    Option("--memory-reservation", "Memory kept for it under pressure", "SIZE"),
    Option("--cpus", "How many CPUs' worth of time", "NUMBER"),
    Option("-c, --cpu-shares", "Relative weight, 1024 is usual", "NUMBER"),
    Option("--cpuset-cpus", "CPUs it may run on", "0-1,3"),
    Option("--pids-limit", "How many processes and threads; -1 for no limit", "NUMBER"),
)
"""What ``update`` takes too."""

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
    Option("--network, --net", "bridge, none, host, or container:NAME", "NETWORK"),
    Option("--network-alias", "One more name on its network", "NAME", many=True),
    Option("-p, --publish", "Publish a port", "[[IP:]HOST:]PORT[/udp]", many=True),
    Option("--add-host", "One more line in its /etc/hosts", "NAME:ADDRESS", many=True),
    Option("--device", "Show it a device", "/dev/X[:/dev/Y][:rwm]", many=True),
    Option("--privileged", "No user namespace, all capabilities and devices, no filter"),
    Option("--cap-add", "Add a capability", "NAME", many=True),
    Option("--cap-drop", "Drop a capability", "NAME", many=True),
    Option("--security-opt", "no-new-privileges, seccomp=unconfined", "OPTION", many=True),
    Option("--userns", "host: no user namespace of its own", "MODE"),
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
        resources=_resources(parsed),
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


def _resources(parsed: Parsed) -> Resources:
    def size(key: str) -> int | None:
        return values.size(parsed.value(key), f"--{key}") or None if key in parsed else None

    cpus = values.number(parsed.value("cpus", "0"), "--cpus")
    shares = values.integer(parsed.value("cpu-shares", "0"), "--cpu-shares")
    pids = values.integer(parsed.value("pids-limit", "0"), "--pids-limit")
    return Resources(
        memory=size("memory"),
        memory_swap=values.swap_size(parsed.value("memory-swap")) or None if "memory-swap" in parsed else None,
        memory_reservation=size("memory-reservation"),
        cpus=cpus or None,
        cpu_shares=shares or None,
        cpuset=parsed.value("cpuset-cpus"),
        pids=pids if pids > 0 else None,
    )


def _security(parsed: Parsed) -> Security:
    no_new_privileges, seccomp = False, "default"
    for text in parsed.values("security-opt"):
        name, _, value = text.replace(":", "=", 1).partition("=")
        if name == "no-new-privileges" and value in ("", "true", "false"):
            no_new_privileges = value != "false"
        elif name == "seccomp" and value in ("unconfined", "default", "builtin"):
            seccomp = "unconfined" if value == "unconfined" else "default"
        elif (name, value) not in (("apparmor", "unconfined"), ("label", "disable")):
            raise UsageError(f"--security-opt: {text!r} is unknown", "options: no-new-privileges, seccomp=unconfined")
    userns = parsed.value("userns")
    if userns not in ("", "auto", "host", "private"):
        raise UsageError(f"--userns: {userns!r} is unknown", "modes: auto, host")
    return Security(
        privileged=parsed.flag("privileged"),
        userns="host" if userns == "host" else "auto",
        cap_add=tuple(map(_capability, parsed.values("cap-add"))),
        cap_drop=tuple(map(_capability, parsed.values("cap-drop"))),
        no_new_privileges=no_new_privileges,
        seccomp=seccomp,
        read_only=parsed.flag("read-only"),
    )


def _capability(name: str) -> str:
    return name.upper().removeprefix("CAP_")
