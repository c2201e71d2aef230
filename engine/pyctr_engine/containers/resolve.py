"""A request and an image make a spec: docker's rules for what comes from which."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pyctr_engine.cgroups import cpuset
from pyctr_engine.containers import confinement, seccomp, sharing
from pyctr_engine.errors import InvalidValue
from pyctr_engine.linux.capabilities import NAMES as CAPABILITIES
from pyctr_engine.model.spec import ContainerRequest, HealthCheck, Mount, Resources, Security
from pyctr_engine.record import replace

if TYPE_CHECKING:
    from pyctr_engine.containers.context import Context
    from pyctr_engine.model.oci import ImageConfig

_SYSCTL = re.compile(r"(net\.[a-z0-9_./-]+|kernel\.(msg|sem|shm)[a-z_]*|fs\.mqueue\.[a-z_]+)")
LIMITS = "PYCTR_LIMITS"
"""``optional``: where no control groups are delegated to a user, containers run without the limits they ask for."""
MAX_PIDS = 4 << 20
MIN_LOG = 64 << 10
MAX_LOG_FILES = 9
MIN_MEMORY = 6 << 20
"""docker's least memory limit: with less, not even an exec succeeds."""


def argv(request: ContainerRequest, config: ImageConfig) -> tuple[str, ...]:
    """Entrypoint and command; an own entrypoint drops the image's command. InvalidValue when both are empty."""
    entrypoint = request.entrypoint if request.entrypoint is not None else config.entrypoint
    command = request.command
    if command is None:
        command = config.cmd if request.entrypoint is None else ()
    both = (*entrypoint, *command)
    if not both:
        raise InvalidValue(
            f"no command given, and the image {request.image} has none",
            f"name one: `pyctr-tui run {request.image} COMMAND`",
        )
    return both


def environment(request: ContainerRequest, config: ImageConfig) -> tuple[str, ...]:
    """The image's variables, overridden by the request's; TERM with a terminal."""
    values: dict[str, str] = {}
    if request.tty:
        values["TERM"] = "xterm"
    for item in (*config.env, *request.env):
        name, separator, value = item.partition("=")
        if separator:
            values[name] = value
    return tuple(f"{name}={value}" for name, value in values.items())


def mounts(request: ContainerRequest, image_volumes: Sequence[str], anonymous: Sequence[str]) -> tuple[Mount, ...]:
    """The request's mounts, and an anonymous volume for each of the image's VOLUMEs that nothing covers.

    ``anonymous`` are as many fresh volume names. Raises InvalidValue.
    """
    found: dict[str, Mount] = {}
    fresh = iter(anonymous)
    for mount in request.mounts:
        target = os.path.normpath(mount.target)
        if not mount.target.startswith("/") or target in ("/", "//"):
            raise InvalidValue(
                f"cannot mount at {mount.target!r}: not an absolute path below /", "give a path such as /data"
            )
        if mount.type == "bind" and not mount.source.startswith("/"):
            raise InvalidValue(f"cannot bind {mount.source!r}: not an absolute path", "begin it with / or ./")
        if target in found:
            raise InvalidValue(f"{target} is mounted twice", "give each target once")
        source = mount.source or (next(fresh) if mount.type == "volume" else "")
        found[target] = replace(mount, source=source, target=target)
    for volume in image_volumes:
        target = os.path.normpath(volume)
        if target not in found and target.startswith("/") and target != "/":
            found[target] = Mount("volume", next(fresh), target)
    return tuple(found.values())


def check(request: ContainerRequest) -> None:
    """Refuse what can't be, with one sentence each. Raises InvalidValue."""
    resources = request.resources
    working_directory(request.working_dir)
    if request.stop_signal:
        signal_number(request.stop_signal)
    _check_life(request)
    if resources.memory is not None and resources.memory < MIN_MEMORY:
        raise InvalidValue(f"a memory limit of {resources.memory} bytes is too small", "6m is the least")
    if resources.cpus is not None and not 0.01 <= resources.cpus <= (os.cpu_count() or 1):
        raise InvalidValue(
            f"cannot give {resources.cpus:g} CPUs: this host has {os.cpu_count()}", f"0.01 to {os.cpu_count()}"
        )
    if resources.cpuset_mems:
        nodes = cpuset.nodes()
        missing = cpuset.parse(resources.cpuset_mems, "memory nodes") - nodes
        if missing:
            raise InvalidValue(
                f"there is no memory node {min(missing)} here",
                f"this host has {', '.join(map(str, sorted(nodes)))}",
            )
    if resources.cpuset:
        wanted, there = cpuset.parse(resources.cpuset), range(os.cpu_count() or 1)
        if not wanted.issubset(there):
            raise InvalidValue(
                f"there is no CPU {min(wanted.difference(there))} here", f"this host has 0-{len(there) - 1}"
            )
    if resources.pids is not None and resources.pids > MAX_PIDS:
        raise InvalidValue(f"a limit of {resources.pids} processes can't be", f"{MAX_PIDS} is the most")
    if resources.pids is not None and resources.pids < -1:
        raise InvalidValue(f"a limit of {resources.pids} processes can't be", "1 or more, -1 for none")
    for name in (*request.security.cap_add, *request.security.cap_drop):
        if name.upper().removeprefix("CAP_") not in (*CAPABILITIES, "ALL"):
            raise InvalidValue(f"no such capability: {name}", "see capabilities(7); ALL means every one")
    sharing.check(request)
    confinement.hidden_paths(request.security)
    confinement.devices(request)
    _check_security(request.security)
    for name in request.sysctls:
        if not _SYSCTL.fullmatch(name) or ".." in name:
            raise InvalidValue(
                f"the sysctl {name} is not a namespaced one", "net.*, kernel.msg* sem* shm*, fs.mqueue.*"
            )
    if request.ports and request.network != "bridge":
        raise InvalidValue(
            f"ports can't be published with --network {request.network}",
            "use --network bridge, or leave the ports out",
        )
    for device in request.devices:
        if not os.path.exists(device.source):
            raise InvalidValue(f"no such device: {device.source}", "`ls -l /dev` lists the host's")


def _check_security(security: Security) -> None:
    if security.seccomp not in (seccomp.DEFAULT, seccomp.UNCONFINED):
        seccomp.build(security.seccomp, frozenset(CAPABILITIES))
    score = security.oom_score_adj
    if score is not None and not -1000 <= score <= 1000:
        raise InvalidValue(f"an OOM score of {score} can't be", "-1000 (never killed) to 1000 (killed first)")
    if security.umask is not None and not 0 <= security.umask <= 0o777:
        raise InvalidValue(f"a umask of {security.umask:o} can't be", "000 to 777, in octal")
    for rule in security.device_rules:
        if rule.kind not in ("a", "b", "c") or not rule.access or set(rule.access) - set("rwm"):
            raise InvalidValue("a device rule is not well formed", "for example: c 188:* rwm")


def kept_limits(context: Context, asked: Resources) -> Resources:
    """The limits that are to be kept: those asked for, unless there is nothing to keep them by and `LIMITS` says so.

    Without it, who asks for limits where there are no control groups is refused (`cgroups.layout`).
    """
    if context.cgroups.mode == "none" and os.environ.get(LIMITS) == "optional":
        return Resources()
    return asked


def check_limits(context: Context, resources: Resources) -> None:
    """Refuse limits that this host's cgroups can't keep, before a start has to. Raises InvalidValue, Unsupported."""
    kept = kept_limits(context, resources)
    if kept != Resources():
        context.cgroups.plan(context.cgroup_parent, "", kept)


_NO_CHECK = ("NONE",)
_LEAST_SECONDS = 0.001


def health(request: ContainerRequest, config: ImageConfig) -> HealthCheck | None:
    """The request's check, filled up by the image's and then by docker's figures; ``None`` for no checks.

    Raises InvalidValue.
    """
    asked = request.health
    image = config.config_extra.get("Healthcheck")
    images: dict[str, Any] = image if isinstance(image, dict) else {}
    test = asked.test or tuple(str(word) for word in images.get("Test") or ())
    if not test or test == _NO_CHECK:
        return None
    if test[0] not in ("CMD", "CMD-SHELL") or len(test) < 2:
        raise InvalidValue(
            f"a health check can't begin with {test[0]!r}", "CMD and a program, or CMD-SHELL and a line"
        )

    def seconds(own: float | None, name: str, usual: float) -> float:
        value = float(images.get(name) or 0) / 1e9 if own is None else own
        if value and value < _LEAST_SECONDS:
            raise InvalidValue(f"{value:g} seconds are too short for a health check", "1ms is the least")
        return value or usual

    retries = int(images.get("Retries") or 0) if asked.retries is None else asked.retries
    if retries < 0:
        raise InvalidValue(f"a health check can't have {retries} retries", "1 or more; 0 takes the usual 3")
    return HealthCheck(
        test=test,
        interval=seconds(asked.interval, "Interval", 30.0),
        timeout=seconds(asked.timeout, "Timeout", 30.0),
        retries=retries or 3,
        start_period=seconds(asked.start_period, "StartPeriod", 0.0),
        start_interval=seconds(asked.start_interval, "StartInterval", 5.0),
    )


def _check_life(request: ContainerRequest) -> None:
    """Restarts and logs."""
    restart, logging = request.restart, request.logging
    if request.auto_remove and restart.name != "no":
        raise InvalidValue(
            "a container that is removed at its end (--rm) can't be restarted", "leave out --rm, or --restart"
        )
    if restart.max_retries < 0 or (restart.max_retries and restart.name != "on-failure"):
        raise InvalidValue(
            f"restart {restart.name} can't have {restart.max_retries} retries", "only on-failure:N counts them"
        )
    if logging.max_size and logging.max_size < MIN_LOG:
        raise InvalidValue(f"a log of {logging.max_size} bytes is too small", "64k is the least")
    if not 1 <= logging.max_files <= MAX_LOG_FILES:
        raise InvalidValue(f"a log can't have {logging.max_files} files", f"1 to {MAX_LOG_FILES}")
    if logging.rate < 0:
        raise InvalidValue(f"a log can't take {logging.rate} lines a second", "1 or more; 0 takes all")


def signal_number(text: str) -> int:
    """``TERM``, ``SIGTERM`` or ``15``. Raises InvalidValue."""
    name = text.upper().removeprefix("SIG")
    if name.isdigit() and 0 < int(name) < signal.NSIG:
        return int(name)
    try:
        return int(signal.Signals[f"SIG{name}"])
    except KeyError:
        raise InvalidValue(
            f"no such signal: {text}", "a name such as TERM, or a number; `kill -l` lists them"
        ) from None


def working_directory(path: str) -> None:
    """Raises InvalidValue for a path that isn't absolute: relative to what?"""
    if path and not path.startswith("/"):
        raise InvalidValue(f"the working directory {path!r} is not an absolute path", "begin it with /")


def capabilities(request: ContainerRequest, default: frozenset[str]) -> frozenset[str]:
    """The capabilities that the container keeps: drops first where ALL is dropped, then adds, as docker does."""
    if request.security.privileged:
        return frozenset(CAPABILITIES)
    add = {name.upper().removeprefix("CAP_") for name in request.security.cap_add}
    if request.security.profile == "hardened":
        default = confinement.HARDENED
    drop = {name.upper().removeprefix("CAP_") for name in request.security.cap_drop}
    kept = frozenset(CAPABILITIES) if "ALL" in add else default
    kept = frozenset() if "ALL" in drop else kept - drop
    return kept | (add - {"ALL"}) if "ALL" not in add else kept
