"""`system check`: the store, the database, the directories and what the kernel holds for us, against each other."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from functools import partial

from pyctr_engine.containers import create, leases, mend, status, store, stub
from pyctr_engine.containers.context import Context
from pyctr_engine.errors import EngineError
from pyctr_engine.model.host import Finding
from pyctr_engine.model.spec import ContainerSpec
from pyctr_engine.model.tidy import Problem, Repair
from pyctr_engine.paths import GOING
from pyctr_engine.snapshots import stack

_REPAIR = "`pyctr-tui system check --repair` removes it"

_MOMENT = 0.2
"""Seconds."""

Specs = dict[str, ContainerSpec]


def check(context: Context) -> list[Finding]:
    """Examine everything, a line for each thing that is well; changes nothing."""
    found = []
    for subject, fine, problems in parts(context):
        found += [problem.finding for problem in problems] or [Finding("ok", subject, fine)]
    return found


def parts(context: Context) -> Iterator[tuple[str, str, list[Problem]]]:
    """(what is looked at, what is said when all is well, what is not) of each part, in turn."""
    with context.lock:
        rows = context.database.connection.execute("PRAGMA integrity_check").fetchall()
    specs = _specs(context)
    damage = [
        Problem(Finding("fail", "database", row[0], "restore it from a backup")) for row in rows if row[0] != "ok"
    ]
    yield "database", f"{len(specs)} containers recorded", damage
    yield "mounts", "none of ours is visible on the host", _mounts(context)
    images = context.images.problems()
    yield "image store", f"{len(context.images.list()) if not images else 0} images, all blobs and layers", images
    yield "container files", "each belongs to a container, each container has its own", _files(context, specs)
    yield "checkpoints", "each is whole", _broken_stacks(context, specs)
    yield "control groups", "each belongs to a container", _cgroups(context)
    yield "monitors", "every running container has one", _monitors(context, specs)
    yield "network", "as the running containers need it", _network(context, specs)
    yield "volumes", "each is recorded, each has its files", _volumes(context, specs)
    yield "leases", "each belongs to a container, and no two overlap", leases.problems(context)


def _problem(
    subject: str, detail: str, cost: str, mender: Callable[[], Repair] | None = None, warn: bool = False
) -> Problem:
    return Problem(Finding("warn" if warn else "fail", subject, detail, cost), mender)


def _files(context: Context, specs: Specs) -> list[Problem]:
    found = []
    with context.nobody_creating() as alone:
        recorded = _specs(context) if alone else specs
        half_made = [spec for spec in recorded.values() if alone and not create.is_whole(context, spec.id)]
        strays = _strays(context, context.paths.containers) if alone else []
        strays += stub.leftovers(context.paths) if alone else []
    for spec in half_made:
        if not status.is_alive(context.paths, spec.id):
            detail = f"{spec.name} is half made, or half removed"
            found.append(_problem("container files", detail, _REPAIR, partial(mend.sweep, context)))
    for path in strays:
        if os.path.basename(path).startswith(GOING):
            if not _is_locked(path):
                detail = f"{path} is what an interrupted removal left"
                found.append(_problem("container files", detail, _REPAIR, partial(mend.remove, path), warn=True))
            continue
        cost = f"{_REPAIR}; what its container wrote is kept"
        detail = f"{path} belongs to no container"
        found.append(_problem("container files", detail, cost, partial(mend.stray, context, path)))
    for path in _strays(context, context.paths.run_containers):
        detail = f"{path} belongs to no container"
        found.append(_problem("container files", detail, _REPAIR, partial(mend.remove, path)))
    return found


def _broken_stacks(context: Context, specs: Specs) -> list[Problem]:
    """Every checkpoint has its directories."""
    found = []
    for id in sorted(specs):
        directory = context.paths.container(id)
        if not os.path.isdir(directory):
            continue  # being made, or being removed
        try:
            paths = [f"{directory}/{name}" for name in sorted(stack.read(directory).referenced())]
            details = [f"{path} is missing" for path in paths if not os.path.isdir(path)]
        except EngineError as error:
            details = [error.message]
        cost = f"{specs[id].name} can't be started or committed: remove it"
        found += [_problem("checkpoints", detail, cost) for detail in details]
    return found


def _specs(context: Context) -> Specs:
    with context.lock:
        return {spec.id: spec for spec in store.all_specs(context.database)}


def _strays(context: Context, directory: str) -> list[str]:
    """Paths in a directory of containers that belong to none: containers come and go while we look.

    A container's record comes before its directories, and goes after them.
    """
    names = _names(directory)
    paths = [f"{directory}/{name}" for name in sorted(names - set(_specs(context)))]
    return [path for path in paths if os.path.isdir(path)]


def _names(directory: str) -> set[str]:
    try:
        return set(os.listdir(directory))
    except FileNotFoundError:
        return set()


def _is_locked(path: str) -> bool:
    """Whether somebody is just removing it."""
    import fcntl

    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return True
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def _cgroups(context: Context) -> list[Problem]:
    strays = mend.stray_cgroups(context)
    if strays:  # a reserve that is taken, or made, is announced a moment later
        time.sleep(_MOMENT)
        strays &= mend.stray_cgroups(context)
    return [
        _problem(
            "control groups",
            f"the cgroup of {id[:12]} belongs to no container",
            "`pyctr-tui system check --repair` kills what runs in it",
            partial(mend.cgroup, context, id),
        )
        for id in sorted(strays)
    ]


def _monitors(context: Context, specs: Specs) -> list[Problem]:
    found = []
    for spec in specs.values():
        state = status.read_state(context.paths, spec.id)
        if state and state["state"] in ("running", "paused", "restarting") and not status.monitor_lives(state):
            detail = f"{spec.name} is recorded as running, but its monitor is gone"
            cost = "`pyctr-tui ps` sweeps what dead monitors left"
            found.append(_problem("monitors", detail, cost, partial(mend.sweep, context)))
    return found


def _mounts(context: Context) -> list[Problem]:
    """Nothing of an engine's is ever mounted where others see it."""
    found = []
    ours = (context.paths.containers + "/", context.paths.layers + "/", context.paths.run_containers + "/")
    with open("/proc/self/mountinfo", errors="surrogateescape") as file:
        points = [line.split()[4] for line in file]
    for point in points:
        if point.startswith(ours):
            detail = f"something is mounted on {point}"
            found.append(_problem("mounts", detail, "`umount` it", partial(mend.umount, point)))
    return found


def _network(context: Context, specs: Specs) -> list[Problem]:
    """Running containers have their interface, the bridge and its rules."""
    running = [spec for spec in specs.values() if spec.address]
    states = {spec.id: status.status_of(status.read_state(context.paths, spec.id)) for spec in running}
    running = [spec for spec in running if states[spec.id].state.is_alive and states[spec.id].interface]
    if not running:
        return []
    from pyctr_engine.network import bridge, firewall

    with context.lock:
        network = context.networks.default()
    found = []
    if not bridge.exists(network) or not firewall.is_intact(network):
        detail = f"bridge {network.bridge} or its firewall rules are not there, and {running[0].name} runs on it"
        cost = "`pyctr-tui system check --repair` makes them again"
        found.append(_problem("network", detail, cost, partial(mend.network, context)))
    for spec in running:
        if not os.path.isdir(f"/sys/class/net/{states[spec.id].interface}") and status.is_alive(
            context.paths, spec.id
        ):
            detail = f"the interface of {spec.name} is gone"
            found.append(_problem("network", detail, f"`pyctr-tui restart {spec.name}` makes a new one"))
    return found


def _volumes(context: Context, specs: Specs) -> list[Problem]:
    found = []
    with context.lock:
        recorded = [volume.name for volume in context.volumes.list()]
        strays = context.volumes.strays()
        leftovers = context.volumes.leftovers()
    for name in recorded:
        if os.path.isdir(context.volumes.path(name)):
            continue
        users = [spec.name for spec in specs.values() if any(_mounts_volume(spec, name))]
        cost = f"{users[0]} can't be started" if users else "`pyctr-tui system check --repair` forgets it"
        detail = f"the files of volume {name} are gone"
        found.append(_problem("volumes", detail, cost, partial(mend.lost_volume, context, name, users)))
    for name in strays:
        detail = f"the directory of volume {name} is there, but no record of it"
        cost = "`pyctr-tui system check --repair` records it"
        found.append(_problem("volumes", detail, cost, partial(mend.record_volume, context, name)))
    for spec in specs.values():
        for mount in spec.mounts:
            if mount.type == "volume" and mount.source not in recorded and mount.source not in strays:
                if not create.is_whole(context, spec.id):
                    continue  # it is just being made
                detail = f"volume {mount.source} of container {spec.name} is gone"
                cost = f"{spec.name} can't be started"
                names = [spec.name]
                found.append(
                    _problem("volumes", detail, cost, partial(mend.lost_volume, context, mount.source, names))
                )
    with context.nobody_creating() as alone:
        if leftovers and alone:
            detail = f"{len(leftovers)} directories of volumes that are gone, or were never finished"
            found.append(_problem("volumes", detail, _REPAIR, partial(mend.purge_volumes, context), warn=True))
    return found


def _mounts_volume(spec: ContainerSpec, name: str) -> Iterator[bool]:
    return (mount.type == "volume" and mount.source == name for mount in spec.mounts)
