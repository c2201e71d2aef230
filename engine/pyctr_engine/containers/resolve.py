"""A request and an image make a spec: docker's rules for what comes from which."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pyctr_engine.errors import InvalidValue
from pyctr_engine.linux.capabilities import NAMES as CAPABILITIES
from pyctr_engine.model.spec import ContainerRequest, Mount
from pyctr_engine.record import replace

if TYPE_CHECKING:
    from pyctr_engine.model.oci import ImageConfig

_SYSCTL = re.compile(r"(net\.[a-z0-9_./-]+|kernel\.(msg|sem|shm)[a-z_]*|fs\.mqueue\.[a-z_]+)")
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
    if resources.memory is not None and resources.memory < MIN_MEMORY:
        raise InvalidValue(f"a memory limit of {resources.memory} bytes is too small", "6m is the least")
    if resources.cpus is not None and not 0.01 <= resources.cpus <= (os.cpu_count() or 1):
        raise InvalidValue(
            f"cannot give {resources.cpus:g} CPUs: this host has {os.cpu_count()}", f"0.01 to {os.cpu_count()}"
        )
    if resources.pids is not None and resources.pids < -1:
        raise InvalidValue(f"a limit of {resources.pids} processes can't be", "1 or more, -1 for none")
    for name in (*request.security.cap_add, *request.security.cap_drop):
        if name.upper().removeprefix("CAP_") not in (*CAPABILITIES, "ALL"):
            raise InvalidValue(f"no such capability: {name}", "see capabilities(7); ALL means every one")
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
    if uses_host_ids(request):
        default = default - {"MKNOD"}  # in the host's user namespace a node that is made can also be opened
    drop = {name.upper().removeprefix("CAP_") for name in request.security.cap_drop}
    kept = frozenset(CAPABILITIES) if "ALL" in add else default
    kept = frozenset() if "ALL" in drop else kept - drop
    return kept | (add - {"ALL"}) if "ALL" not in add else kept


def uses_host_ids(request: ContainerRequest) -> bool:
    """Whether it stays in the host's user namespace: asked for, or implied by what it shares or may do."""
    return request.security.userns == "host" or request.security.privileged or request.network == "host"
