"""Checkpoints of containers' file systems. What they are on disk, and what one costs, `snapshots` knows.

A running container stands still while one is taken, and goes on. To go back, it has to be stopped: a mounted overlay
can't be given other layers.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyctr_engine.containers import create, freeze, listing, remove, start
from pyctr_engine.containers.context import Context
from pyctr_engine.errors import Conflict, EngineError, from_os_error
from pyctr_engine.model.checkpoint import Checkpoint, Since
from pyctr_engine.model.spec import ContainerRequest, ContainerSpec
from pyctr_engine.model.status import Container, State
from pyctr_engine.record import replace
from pyctr_engine.snapshots import checkpoints
from pyctr_engine.snapshots.overlay import Snapshot

if TYPE_CHECKING:
    from pyctr_engine.snapshots.stack import Point


_SHOWN = 8
"""Paths that are named."""


@dataclass(frozen=True, slots=True)
class Restored:
    """A container that went back; ``restarted`` when it had been running and runs again."""

    container: Container
    restarted: bool


def take(context: Context, spec: ContainerSpec, name: str = "", message: str = "") -> Checkpoint:
    """A checkpoint of a container, whatever its state; named by the first free number without ``name``.

    Raises:
        InvalidValue, Conflict: a name that can't be or is taken; a container that is just restarting.
        NoSpace, EngineError: none was taken.
    """
    with context.container_lock(spec.id):
        container = listing.view(context, spec)
        if container.state is State.RESTARTING:
            raise Conflict(f"container {spec.name} is restarting just now", "try again when it runs, or stop it")
        snapshot = _snapshot(context, spec)
        name = name or checkpoints.free_name(snapshot.stack)
        try:
            still = freeze.standing_still(context, container) if container.state.is_alive else None
            point = checkpoints.take(snapshot, name, message, still)
        except OSError as error:
            raise from_os_error(error, f"take a checkpoint of {spec.name}") from error
    context.event("container", "checkpoint", spec.id, spec.name, checkpoint=name)
    return _told(point, name)


def all_of(context: Context, spec: ContainerSpec) -> list[Checkpoint]:
    """A container's checkpoints, oldest first."""
    stack = _snapshot(context, spec).stack
    return [_told(point, stack.current) for point in stack.points]


def since(context: Context, spec: ContainerSpec, name: str) -> Since:
    """What has changed since a checkpoint. Raises NotFound, EngineError."""
    from pyctr_engine.containers.explore import Explorer

    counts = {"A": 0, "C": 0, "D": 0}
    size = 0
    paths: list[str] = []
    for difference in Explorer(context).compare(f"{spec.id}@{name}", spec.id):
        counts[difference.kind] += 1
        size += difference.after.size if difference.after is not None else 0
        if len(paths) < _SHOWN:
            paths.append(difference.path)
    return Since(counts["A"], counts["C"], counts["D"], size, tuple(paths))


def restore(context: Context, spec: ContainerSpec, name: str, timeout: float | None = None) -> Restored:
    """Take a container's file system back to a checkpoint; a running one is stopped, and started again.

    What it wrote since, and no checkpoint holds, is lost.

    Raises:
        NotFound: no such checkpoint; the container was left alone.
        StartError, CommandError, Conflict: it went back, but could not be started again.
    """
    _snapshot(context, spec).stack.point(name)
    alive = listing.view(context, spec).state.is_alive
    if alive:
        if spec.request.auto_remove:
            raise Conflict(
                f"container {spec.name} is removed when it stops (--rm)",
                f"`pyctr-tui checkpoint branch {spec.name} {name} NEW` makes another one of it",
            )
        remove.stop(context, spec, spec.request.stop_grace if timeout is None else timeout)
    with context.container_lock(spec.id):
        if listing.view(context, spec).state.is_alive:
            raise Conflict(f"container {spec.name} was started again meanwhile", "stop it, and try again")
        try:
            checkpoints.go_back(_snapshot(context, spec), name)
        except OSError as error:
            raise from_os_error(error, f"go back to checkpoint {name}") from error
    context.event("container", "restore", spec.id, spec.name, checkpoint=name)
    if alive:
        start.start(context, spec, attach=False).close()
    return Restored(listing.one(context, spec.id), alive)


def branch(context: Context, spec: ContainerSpec, name: str, new_name: str) -> ContainerSpec:
    """A new container, not started, like another was at a checkpoint: its files, and all it was asked to be.

    Named volumes and what is bound are the same; anonymous volumes are its own. It belongs to no stack.

    Raises:
        NotFound, Conflict, NoSpace, EngineError: nothing was made.
    """
    snapshot = _snapshot(context, spec)
    snapshot.stack.point(name)
    made = create.create(context, _request(context, spec, new_name))
    try:
        with context.container_lock(spec.id):
            checkpoints.carry(snapshot, name, _snapshot(context, made))
    except BaseException as error:
        remove.remove(context, made, force=True, volumes=True)
        if isinstance(error, OSError):
            raise from_os_error(error, f"branch from checkpoint {name}") from error
        raise
    return made


def forget(context: Context, spec: ContainerSpec, name: str) -> None:
    """Remove a checkpoint. The container's present state, and other checkpoints, stay as they are."""
    with context.container_lock(spec.id):
        try:
            checkpoints.forget(_snapshot(context, spec), name)
        except OSError as error:
            raise from_os_error(error, f"remove checkpoint {name}") from error


def _request(context: Context, spec: ContainerSpec, name: str) -> ContainerRequest:
    """What the other container was asked to be, under another name."""
    asked = spec.request
    image = spec.image
    try:
        if context.images.resolve(image).id != spec.image_id:
            image = spec.image_id
    except EngineError:
        image = spec.image_id
    anonymous = {mount.target for mount in create.volume_mounts(spec)}
    return replace(
        asked,
        image=image,
        name=name,
        mounts=tuple(replace(mount, source="") if mount.target in anonymous else mount for mount in asked.mounts),
        labels={key: value for key, value in asked.labels.items() if not key.startswith("com.docker.compose.")},
        stack="",
        service="",
        number=0,
        config_hash="",
        auto_remove=False,
    )


def _snapshot(context: Context, spec: ContainerSpec) -> Snapshot:
    return Snapshot(os.path.join(context.paths.containers, spec.id))


def _told(point: Point, current: str) -> Checkpoint:
    return Checkpoint(point.name, point.created, point.message, point.size, point.parent, point.name == current)
