"""What an ordinary user needs of the host, and exactly what an administrator has to install or set where it lacks.

Sources: subuid(5), newuidmap(1), passt(1), user_namespaces(7), systemd.resource-control(5), loginctl(1).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Literal

from pyctr_engine.cgroups import layout, place, systemd
from pyctr_engine.cgroups.layout import Layout
from pyctr_engine.errors import Unsupported
from pyctr_engine.host import control_groups, files
from pyctr_engine.house import ids, obstacles, uplink
from pyctr_engine.model.host import Finding
from pyctr_engine.paths import Paths, current_house, user_id

_USUAL_IDS = 65536
DELEGATION = (
    "as root: `mkdir -p /etc/systemd/system/user@.service.d && printf '[Service]\\nDelegate=cpu cpuset io memory"
    " pids\\n' > /etc/systemd/system/user@.service.d/delegate.conf && systemctl daemon-reload`, then log in anew"
)


def check(paths: Paths, outcomes: Mapping[str, tuple[str, str]]) -> list[Finding]:
    """All about an ordinary user; works in the house and where there can be none."""
    uid = user_id()
    name = ids.user_name(uid)
    return [
        namespaces(obstacles.found()),
        programs(ids.program("newuidmap"), ids.program("newgidmap")),
        own_ids(name, *(ids.subordinate(path, uid, name) for path in ("/etc/subuid", "/etc/subgid"))),
        network(paths),
        tunnel(os.access("/dev/net/tun", os.R_OK | os.W_OK), os.path.exists("/dev/net/tun")),
        ports(files.read("/proc/sys/net/ipv4/ip_unprivileged_port_start")),
        ping(files.read("/proc/sys/net/ipv4/ping_group_range")),
        *limits(paths),
        lingering(os.path.isdir("/run/systemd/system"), name, os.path.exists(f"/var/lib/systemd/linger/{name}")),
    ]


def namespaces(obstacle: obstacles.Obstacle | None) -> Finding:
    """Whether the user may have namespaces."""
    if obstacle is None:
        detail = "are let to ordinary users"
        if current_house() is not None:
            detail = f"this user's holds {sum(ids.available()[-1])} ids, 0 is the user"
        return Finding("ok", "user namespaces", detail)
    level: Literal["warn", "fail"] = "warn" if current_house() is not None else "fail"  # then it works all the same
    return Finding(level, "user namespaces", obstacle.what, f"no container can start: {obstacle.remedy}")


def programs(newuidmap: str, newgidmap: str) -> Finding:
    """Whether the two set-user-id programs are there: not ours, the distribution's."""
    if newuidmap and newgidmap:
        return Finding("ok", "newuidmap", "newuidmap and newgidmap are installed")
    return Finding(
        "fail", "newuidmap", "not installed", "no container can start: as root, `apt-get install uidmap passt`"
    )


def own_ids(name: str, users: list[ids.Range], groups: list[ids.Range]) -> Finding:
    """Whether the user was given ids, and enough."""
    if not users or not groups:
        missing = " and ".join(path for path, of in (("/etc/subuid", users), ("/etc/subgid", groups)) if not of)
        return Finding("fail", "ids", f"none for {name} in {missing}", f"no container can start: {ids.remedy(name)}")
    count = min(sum(size for _, size in users), sum(size for _, size in groups))
    detail = f"{count} for {name} in /etc/subuid and /etc/subgid, shared by all of the user's containers"
    if count < _USUAL_IDS - 1:
        return Finding(
            "warn", "ids", detail, f"images with higher ids, such as nobody (65534), won't work: {ids.remedy(name)}"
        )
    return Finding("ok", "ids", detail)


def network(paths: Paths) -> Finding:
    """What leads containers out, and published ports in."""
    there, state = uplink.installed(), uplink.read(paths.house)
    if state is not None and state.problem:
        return Finding(
            "fail", "network", state.problem, f"only --network none and host work; {paths.house.log} may say more"
        )
    if there == "pasta":
        return Finding("ok", "network", "pasta leads out and in, with the callers' addresses")
    if there:
        cost = "no ports can be published: as root, `apt-get install passt`"
        return Finding("warn", "network", "slirp4netns leads out only", cost)
    return Finding(
        "fail", "network", "neither pasta nor slirp4netns is installed", f"no network, no ports: {uplink.INSTALL}"
    )


def tunnel(usable: bool, there: bool) -> Finding:
    """The device that pasta and slirp4netns work by."""
    if usable:
        return Finding("ok", "/dev/net/tun", "can be opened")
    remedy = "`chmod 666 /dev/net/tun`, as udev does elsewhere" if there else "`modprobe tun`"
    why = "can't be opened by this user" if there else "is not there"
    return Finding("fail", "/dev/net/tun", why, f"only --network none and host work: as root, {remedy}")


def ports(first: str) -> Finding:
    """From which number on the user may publish ports."""
    if obstacles.pasta_is_blind():
        cost = f"published ports are not led in: as root, {obstacles.SIGHT}"
        return Finding("warn", "ports", "pasta's AppArmor profile hides from it which to lead in", cost)
    lowest = int(first) if first.isdigit() else 1024
    if lowest <= 1:
        return Finding("ok", "ports", "any may be published")
    if lowest <= 80:
        return Finding("ok", "ports", f"may be published from {lowest} on")
    cost = f"those below are refused: as root, `sysctl net.ipv4.ip_unprivileged_port_start=80` (now {lowest})"
    return Finding("ok", "ports", f"may be published from {lowest} on", cost)


def ping(allowed: str) -> Finding:
    """Whether pasta may send echo requests for containers, as groups of the kernel's range may. icmp(7)."""
    first, last = (int(word) for word in (allowed.split() or ("1", "0")))
    if first <= last:
        return Finding("ok", "ping", f"leads out, of users of the groups {first} to {last}")
    cost = "ping from containers gets no answer: as root, `sysctl net.ipv4.ping_group_range='0 2147483647'`"
    return Finding("warn", "ping", "is let to no user of this host", cost)


def limits(paths: Paths) -> list[Finding]:
    """Whether limits can be kept: something must be delegated to the user."""
    try:
        found = layout.detect()
        mine = place.here(systemd.home(paths.cgroup_name).parent)
    except Unsupported as error:
        return [Finding("warn", "control groups", error.message, "no limits, and nothing can be paused")]
    if mine.mode != "none":
        return delegated(mine, found)
    lost = "limits are refused, nothing can be paused, figures come from /proc"
    if found.mode != "v2":
        remedy = "boot with systemd.unified_cgroup_hierarchy=1: only cgroup v2 can be delegated to users"
        return [Finding("warn", "control groups", f"{found.mode}, none delegated to this user", f"{lost}: {remedy}")]
    return [Finding("warn", "control groups", "v2, none delegated to this user", f"{lost}: {DELEGATION}")]


def delegated(mine: Layout, found: Layout) -> list[Finding]:
    """Which of the host's controllers (``found``) the user has, and what those cost that were kept back."""
    given = mine.controllers()
    detail = f"delegated to this user: {', '.join(given) or 'no limits'}"
    absent = [finding for finding in control_groups.controllers(found) if finding.level != "ok"]
    kept = [name for name in control_groups.COSTS if name in found.controllers() and name not in given]
    if not kept:
        return [Finding("ok", "control groups", detail), *absent]
    lost = "; ".join(control_groups.COSTS[name] for name in kept)
    finding = Finding("warn", "control groups", f"{detail}, not {', '.join(kept)}", f"{lost}: {DELEGATION}")
    return [finding, *absent]


def lingering(systemd: bool, name: str, lingers: bool) -> Finding:
    """Whether containers outlive the user's last logout, and come back at a boot."""
    if not systemd:
        return Finding("ok", "lingering", "no systemd here: containers go on after a logout")
    if lingers:
        return Finding("ok", "lingering", f"on for {name}: containers go on after a logout")
    cost = f"they may end at the last logout, and come back at a login only: `loginctl enable-linger {name}`"
    return Finding("warn", "lingering", f"off for {name}", cost)
