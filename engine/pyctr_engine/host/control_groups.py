"""Control groups: which layout, which controllers, and what the unified tree adds."""

from __future__ import annotations

import os
from collections.abc import Mapping

from pyctr_engine.cgroups import layout, systemd
from pyctr_engine.cgroups.layout import Layout
from pyctr_engine.cgroups.systemd import Home
from pyctr_engine.errors import InvalidValue, Unsupported
from pyctr_engine.host import files
from pyctr_engine.model.host import Finding
from pyctr_engine.paths import Paths

COSTS = {
    "cpu": "limits of CPU (cpus, cpu_shares) are refused",
    "memory": "limits of memory are refused, and no memory is shown",
    "pids": "limits of processes are refused, and a fork bomb stops the host",
    "io": "limits of block I/O are refused, and none is shown",
    "cpuset": "binding to CPUs (cpuset) is refused",
}


def check(paths: Paths, outcomes: Mapping[str, tuple[str, str]]) -> list[Finding]:
    """All about control groups."""
    try:
        here = layout.detect()
        place = systemd.home(paths.cgroup_name)
    except (InvalidValue, Unsupported) as error:
        return [Finding("fail", "control groups", error.message, f"no container can start: {error.hint}")]
    given = here.within(place.parent)
    lives = delegation(place) if place.is_delegated else writable(here)
    return [mode(here), lives, *controllers(given), kill(here, os.uname().release), pressure()]


def mode(here: Layout) -> Finding:
    """Which of the three layouts."""
    described = {
        "v2": "v2",
        "hybrid": "hybrid: controllers on v1, a unified tree beside them",
        "v1": "v1 only",
    }[here.mode]
    if here.mode == "v1":
        return Finding(
            "warn",
            "control groups",
            described,
            "no pressure figures, slower stops: boot with systemd.unified_cgroup_hierarchy=1",
        )
    return Finding("ok", "control groups", described)


def writable(here: Layout) -> Finding:
    """Whether cgroups can be made."""
    closed = [base for base in here.bases() if not os.access(base, os.W_OK)]
    if not closed:
        return Finding("ok", "cgroup access", "writable")
    cost = "no container can start: mount them read-write"
    return Finding("fail", "cgroup access", f"not writable: {', '.join(closed)}", cost)


def delegation(place: Home) -> Finding:
    """Whether systemd can be asked for the scope that containers live in."""
    above = os.path.dirname(os.path.dirname(place.scope))  # the user's manager, or all that systemd has
    if os.path.isdir(f"{place.unified}/{above}") and (place.manager == "user" or os.geteuid() == 0):
        return Finding("ok", "cgroup access", f"in {place.scope}, which systemd hands down")
    if place.manager == "user":
        return Finding(
            "fail",
            "cgroup access",
            "no systemd of this user runs",
            "no container can start: log in by ssh or `machinectl shell`, or `loginctl enable-linger`",
        )
    return Finding("fail", "cgroup access", "systemd's own", "no container can start: run as root")


def controllers(here: Layout) -> list[Finding]:
    """Which controllers are there, and a finding for each that isn't."""
    there = here.controllers()
    found = [Finding("ok", "controllers", ", ".join(there))] if there else []
    for name, cost in COSTS.items():
        if name not in there:
            hint = "boot with cgroup_enable=memory" if name == "memory" else "enable it in the kernel, or mount it"
            found.append(Finding("warn", f"{name} controller", "missing", f"{cost}: {hint}"))
    return found


def kill(here: Layout, release: str) -> Finding:
    """Whether a whole container can be killed at once."""
    numbers = tuple(int(part) if part.isdigit() else 0 for part in release.split("-")[0].split(".")[:2])
    if here.unified and numbers >= (5, 14):
        return Finding("ok", "cgroup.kill", "a container is killed in one step")
    freezer = bool(here.unified) or "freezer" in here.v1
    how = "with the freezer" if freezer else "one process after the other"
    cost = "slower, otherwise the same" if freezer else "pausing is refused, and a fork bomb is hard to stop"
    return Finding("warn", "cgroup.kill", f"missing: containers are killed {how}", f"{cost}: Linux 5.14 has it on v2")


def pressure() -> Finding:
    """Whether the kernel measures stalls. Reading fails where it is compiled in but switched off."""
    if files.read("/proc/pressure/cpu"):
        return Finding("ok", "pressure", "stalls are measured (PSI)")
    return Finding("warn", "pressure", "not measured", "no pressure graphs: boot with psi=1")
