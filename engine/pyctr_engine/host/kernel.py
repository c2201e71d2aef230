"""The kernel: its version, system calls, user namespaces, idmapped mounts, overlayfs, seccomp; and our rights."""

from __future__ import annotations

import os
from collections.abc import Mapping

from pyctr_engine.host import files
from pyctr_engine.model.host import Finding
from pyctr_engine.paths import Paths, in_house, user_id

Outcomes = Mapping[str, tuple[str, str]]

_LEAST = (5, 12)  # idmapped mounts
_SINCE = {
    "clone3": "5.3",
    "pidfd_open": "5.3",
    "close_range": "5.9",
    "openat2": "5.6",
    "open_tree": "5.2",
    "move_mount": "5.2",
    "mount_setattr": "5.12",
}
_CAPABILITIES = {21: "SYS_ADMIN", 12: "NET_ADMIN", 7: "SETUID", 6: "SETGID", 0: "CHOWN", 1: "DAC_OVERRIDE"}


def check(paths: Paths, outcomes: Outcomes) -> list[Finding]:
    """All about the kernel; ``outcomes`` are the probe's."""
    return [
        version(os.uname().release),
        privileges(files.read("/proc/self/status")),
        system_calls(outcomes),
        user_namespaces(outcomes),
        idmapped(paths.state, outcomes),
        overlay(outcomes),
        seccomp(files.read("/proc/sys/kernel/seccomp/actions_avail"), _has_library("libseccomp.so.2")),
    ]


def check_for_user(paths: Paths, outcomes: Outcomes) -> list[Finding]:
    """The part of it that concerns an ordinary user, who idmaps nothing; outside of a house mounts can't be tried."""
    found = [
        version(os.uname().release),
        Finding("ok", "privileges", f"an ordinary user (id {user_id()}): containers have no more rights than that"),
        system_calls(outcomes),
    ]
    if in_house():
        found.append(overlay(outcomes))
    library = _has_library("libseccomp.so.2")
    return [*found, seccomp(files.read("/proc/sys/kernel/seccomp/actions_avail"), library)]


def version(release: str) -> Finding:
    """Whether the kernel is new enough."""
    numbers = tuple(int(part) if part.isdigit() else 0 for part in release.split("-")[0].split(".")[:2])
    if numbers < _LEAST:
        return Finding(
            "fail", "kernel", f"Linux {release}", "containers need Linux 5.12 or newer: upgrade the kernel"
        )
    if numbers < (5, 19):
        return Finding(
            "warn", "kernel", f"Linux {release}", "layers can't be idmapped under an overlay before 5.19: upgrade"
        )
    return Finding("ok", "kernel", f"Linux {release}")


def privileges(status: str) -> Finding:
    """Whether root may do what containers need."""
    held = next((int(line.split()[1], 16) for line in status.split("\n") if line.startswith("CapEff:")), 0)
    missing = [name for bit, name in _CAPABILITIES.items() if not held >> bit & 1]
    if missing:
        return Finding(
            "fail",
            "privileges",
            f"root without CAP_{', CAP_'.join(missing)}",
            "no container can start: if this is a container itself, give it these capabilities",
        )
    return Finding("ok", "privileges", "root, with all the capabilities needed")


def system_calls(outcomes: Outcomes) -> Finding:
    """Whether the newer system calls are there, and not hidden by a seccomp filter."""
    tried = [name for name in _SINCE if name in outcomes]
    missing = [f"{name} (Linux {_SINCE[name]})" for name in tried if outcomes[name][0] != "ok"]
    if missing:
        return Finding(
            "fail",
            "system calls",
            f"missing: {', '.join(missing)}",
            "no container can start: upgrade the kernel, or lift the seccomp filter that this runs under",
        )
    if not tried:
        return Finding("warn", "system calls", "could not be tried", "start a container to see")
    return Finding("ok", "system calls", "clone3, pidfds, openat2 and the new mount API")


def user_namespaces(outcomes: Outcomes) -> Finding:
    """Whether user namespaces can be made, by us."""
    result, detail = outcomes.get("userns", ("failed", "could not be tried"))
    if result == "ok":
        most = files.read("/proc/sys/user/max_user_namespaces")
        return Finding("ok", "user namespaces", f"can be made (at most {most})" if most else "can be made")
    cost = "containers run only with --userns=host, where root inside is root outside: "
    switched_off = {
        "/proc/sys/kernel/unprivileged_userns_clone": "kernel.unprivileged_userns_clone=1",
        "/proc/sys/user/max_user_namespaces": "user.max_user_namespaces=15000",
    }
    for path, setting in switched_off.items():
        if files.read(path) == "0":
            return Finding("fail", "user namespaces", f"switched off ({detail})", f"{cost}`sysctl {setting}`")
    return Finding("fail", "user namespaces", f"refused: {detail}", f"{cost}use a kernel with CONFIG_USER_NS=y")


def idmapped(state: str, outcomes: Outcomes) -> Finding:
    """Whether the state directory's file system can be idmapped."""
    result, detail = outcomes.get("idmap", ("failed", "could not be tried"))
    kind = file_system(state, files.read("/proc/self/mountinfo"))
    if result == "ok":
        return Finding("ok", "idmapped mounts", f"work on {state} ({kind})")
    if result in ("EPERM", "EACCES"):
        return Finding(
            "fail", "idmapped mounts", f"not permitted on {state} ({kind}): {detail}", "needs root: run with sudo"
        )
    return Finding(
        "fail",
        "idmapped mounts",
        f"don't work on {state} ({kind}): {detail}",
        "containers can't have ids of their own there: put the state directory (--state-dir) on ext4, xfs or btrfs",
    )


def overlay(outcomes: Outcomes) -> Finding:
    """Whether an overlay can be mounted as a start does."""
    result, detail = outcomes.get("overlay", ("failed", "could not be tried"))
    if result == "ok":
        over = "" if in_house() else ", over idmapped layers"
        return Finding("ok", "overlayfs", f"mounts in a user namespace{over}")
    if result == "ENODEV":
        return Finding("fail", "overlayfs", "not in this kernel", "no image can be run: `modprobe overlay`")
    if result in ("EPERM", "EACCES") and os.geteuid():
        return Finding("fail", "overlayfs", f"not permitted: {detail}", "needs root: run with sudo")
    return Finding(
        "fail",
        "overlayfs",
        f"does not mount in a user namespace over the state directory's file system: {detail}",
        "no image can be run: Linux 5.19 or newer is needed, and a state directory on ext4, xfs or btrfs",
    )


def seccomp(actions: str, library: bool) -> Finding:
    """Whether system calls can be filtered."""
    if "errno" not in actions.split():
        return Finding(
            "warn",
            "seccomp",
            "not in this kernel",
            "every system call is open to containers: CONFIG_SECCOMP_FILTER=y",
        )
    if not library:
        return Finding(
            "fail", "seccomp", "libseccomp is missing", "the filter can't be made: `apt-get install libseccomp2`"
        )
    return Finding("ok", "seccomp", "filters in the kernel, libseccomp to make them")


def file_system(path: str, mountinfo: str) -> str:
    """The type of the file system that holds ``path``, from the text of the mount table."""
    path = os.path.realpath(path)
    best, kind = "", "unknown"
    for line in mountinfo.split("\n"):
        before, _, after = line.partition(" - ")
        fields = before.split()
        if len(fields) < 5:
            continue
        point = fields[4].replace("\\040", " ")
        if (path == point or path.startswith(point.rstrip("/") + "/")) and len(point) >= len(best):
            best, kind = point, after.split()[0]
    return kind


def _has_library(name: str) -> bool:
    import ctypes

    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True
