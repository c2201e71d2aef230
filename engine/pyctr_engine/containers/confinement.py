"""What holds a container in, as plain values for its start: hidden paths, devices, AppArmor. Sources: REFERENCE in
engine/SECURITY.md; docker's and podman's published defaults, for comparison."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pyctr_engine.errors import InvalidValue, Unsupported
from pyctr_engine.model.spec import ContainerRequest, ContainerSpec, Device, DeviceRule, Security
from pyctr_engine.paths import is_rootless
from pyctr_engine.record import replace

if TYPE_CHECKING:
    from pyctr_engine.containers.context import Context

MASKED = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
    "/sys/fs/selinux",
)
_PROCESSORS = "/sys/devices/system/cpu"
READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
EVERY = "ALL"

HARDENED = frozenset("CHOWN DAC_OVERRIDE FOWNER FSETID KILL NET_BIND_SERVICE SETGID SETPCAP SETUID".split())
"""The capabilities of the profile ``hardened``: docker's without those for device nodes, raw sockets, the audit log,
file capabilities and chroot."""
HARDENED_PIDS = 2048

_USUAL_DEVICES = (
    DeviceRule("a", -1, -1, "m"),  # a node that is made still has to be opened
    *(DeviceRule("c", 1, minor, "rwm") for minor in (3, 5, 7, 8, 9)),  # null zero full random urandom
    *(DeviceRule("c", 5, minor, "rwm") for minor in (0, 1, 2)),  # tty console ptmx
    *(DeviceRule("c", major, -1, "rwm") for major in range(136, 144)),  # terminals
)
_OWN_DEVICES = frozenset("null zero full random urandom tty console ptmx".split())


def configured(context: Context, request: ContainerRequest) -> ContainerRequest:
    """A request with what the configuration says where it says nothing itself, and its profile's limits.

    The usual limit of processes is set only where this host can keep one: nobody has asked for it.
    """
    from pyctr_engine.containers import settings

    says = settings.read()
    security = request.security
    profile = security.profile or ("default" if security.privileged else says.profile)
    if profile not in ("default", "hardened"):
        raise InvalidValue(f"there is no security profile {profile!r}", "default, hardened")
    if profile == "hardened" and security.privileged:
        raise InvalidValue("--privileged and the profile hardened exclude each other", "leave out one of the two")
    no_new = security.no_new_privileges
    if no_new is None and (says.no_new_privileges or profile == "hardened"):
        no_new = True
    resources = request.resources
    if profile == "hardened" and resources.pids is None:
        resources = replace(resources, pids=HARDENED_PIDS)
    if resources.pids is None and says.pids_limit > 0 and _counts_processes(context):
        resources = replace(resources, pids=says.pids_limit)
    return replace(
        request,
        resources=resources,
        security=replace(security, profile=profile.replace("default", ""), no_new_privileges=no_new),
    )


def _counts_processes(context: Context) -> bool:
    try:
        return bool(context.cgroups.home("pids")[0])
    except Unsupported:
        return False


def hidden_paths(security: Security) -> tuple[list[str], list[str]]:
    """The paths that are hidden, and those that are read-only."""
    for path in (*security.mask, *security.unmask):
        if not path.startswith("/") and path != EVERY:
            raise InvalidValue(f"{path!r} is not an absolute path", "begin it with /")
    if security.privileged or EVERY in security.unmask:
        return list(security.mask), []
    open_again = {os.path.normpath(path) for path in security.unmask}
    masked = [path for path in (*MASKED, *_throttles()) if path not in open_again]
    return [*masked, *security.mask], [path for path in READ_ONLY if path not in open_again]


def _throttles() -> list[str]:
    """How hot each processor is, where it tells: docker hides that too."""
    found = [
        f"{_PROCESSORS}/{name}/thermal_throttle" for name in sorted(os.listdir(_PROCESSORS)) if name[:3] == "cpu"
    ]
    return [path for path in found if os.path.isdir(path)]


def devices(request: ContainerRequest) -> list[Device]:
    """The devices that are shown inside, directories of them one by one; with ``privileged`` all of the host's.

    Raises InvalidValue.
    """
    found: dict[str, Device] = {}
    for device in request.devices:
        for one in _below(device):
            found[one.target] = one
    if request.security.privileged:
        for path in host_devices():
            found.setdefault(path, Device(path, path))
    return list(found.values())


def _below(device: Device) -> list[Device]:
    source = os.path.realpath(device.source)
    if not os.path.isdir(source):
        return [device]
    found = []
    for directory, _, names in os.walk(source):
        for name in names:
            path = f"{directory}/{name}"
            if _is_device(path):
                inside = device.target.rstrip("/") + path[len(source.rstrip("/")) :]
                found.append(Device(path, inside, device.permissions))
    if not found:
        raise InvalidValue(f"there are no devices in {device.source}", "name a device, or a directory that has some")
    return sorted(found, key=lambda one: one.target)


def host_devices() -> list[str]:
    """Every device node directly in /dev that a container doesn't have anyway."""
    return sorted(
        entry.path for entry in os.scandir("/dev") if entry.name not in _OWN_DEVICES and _is_device(entry.path)
    )


def _is_device(path: str) -> bool:
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return False
    return stat.S_ISCHR(mode) or stat.S_ISBLK(mode)


def device_rules(spec: ContainerSpec, shown: Sequence[Device]) -> list[DeviceRule] | None:
    """Which devices may be opened; ``None`` for no such rules.

    In a user namespace no node can be made, so what is shown is what there is: rules are for those who stay in the
    host's, and for devices that may be read or written only.
    """
    security = spec.request.security
    if is_rootless():
        return None  # an ordinary user opens what the user may open, and can attach no such rules
    if security.privileged or (spec.ids and all({"r", "w"} <= set(device.permissions) for device in shown)):
        return None
    bound = [Device(mount.source, mount.target) for mount in spec.mounts if spec.ids and mount.type == "bind"]
    rules = [rule for device in (*shown, *bound) if (rule := _rule(device)) is not None]
    return [*_USUAL_DEVICES, *rules, *security.device_rules]


def _rule(device: Device) -> DeviceRule | None:
    """The rule that lets a device be opened as it was asked for; ``None`` for what is none."""
    try:
        found = os.stat(device.source)
    except OSError:
        return None  # the start says what is wrong with it
    if not (stat.S_ISCHR(found.st_mode) or stat.S_ISBLK(found.st_mode)):
        return None
    kind = "c" if stat.S_ISCHR(found.st_mode) else "b"
    return DeviceRule(kind, os.major(found.st_rdev), os.minor(found.st_rdev), device.permissions)
