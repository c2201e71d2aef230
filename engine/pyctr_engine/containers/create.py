"""Creating a container: a request resolved, its leases taken, its directories made. Nothing runs yet."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from pyctr_engine import reserve
from pyctr_engine.containers import confinement, idranges, imaging, names, resolve, sharing, store, stub
from pyctr_engine.containers.context import Context
from pyctr_engine.errors import Conflict, EngineError, InvalidValue, from_os_error
from pyctr_engine.model.spec import ContainerRequest, ContainerSpec, IdExtent, Mount
from pyctr_engine.paths import GOING
from pyctr_engine.record import replace
from pyctr_engine.snapshots.overlay import Snapshot

if TYPE_CHECKING:
    from pyctr_engine.containers.imaging import ProgressSink
    from pyctr_engine.images.store import Image


"""Prefix of the directory of a container that is removed already."""


def create(
    context: Context,
    request: ContainerRequest,
    choose_id: Callable[[], str] = str,
    image: Image | None = None,
    progress: ProgressSink | None = None,
) -> ContainerSpec:
    """Create a container, its image pulled if need be. Raises EngineError; nothing is left behind then.

    The record comes first, the upper directory last: what has the one without the other is half made (`is_whole`).
    ``choose_id`` is asked for its id when that is needed; empty is any. ``image`` is what `imaging.obtain` gave, if
    that was asked before.
    """
    request = confinement.configured(context, request)
    resolve.check(request)
    resolve.check_limits(context, request.resources)
    image = image or imaging.obtain(context, request, progress)
    with context.creating():
        id = choose_id() or os.urandom(32).hex()
        with context.images.using(request.image, image) as image, context.lock:
            request = _with_mounts(context, request, image)
            spec = _record(context, request, image, id)
        try:
            _make_directories(context, spec)
        except BaseException as error:
            reserve.make_room(context.paths.state)
            remove_directories(context, id)
            with context.lock:
                forget(context, spec)
            reserve.keep(context.paths.state)
            if isinstance(error, OSError):
                raise from_os_error(error, "make the container's directories") from error
            raise
    context.event("container", "create", id, spec.name, image=request.image)
    return spec


def forget(context: Context, spec: ContainerSpec) -> None:
    """Give back everything that a container leased, and its record. The caller holds the lock.

    Host ids that others share with it, whose user namespace may live on, are one of theirs then.
    """
    with context.database.transaction() as connection:
        store.delete(connection, spec.id)
        heir = store.sharer_of_ids(connection, spec)
        if heir:
            idranges.hand_on(connection, spec.id, heir)
        else:
            idranges.release(connection, spec.id)
        if spec.address:
            context.networks.release(spec.id)


def is_whole(context: Context, id: str) -> bool:
    """Whether a container's directories are complete: neither half made nor half removed."""
    from pyctr_engine.snapshots import stack

    directory = context.paths.container(id)
    try:
        return os.path.isdir(f"{directory}/{stack.read(directory).upper}")
    except EngineError:
        return True  # whole, but damaged: `system check` tells


def remove_directories(context: Context, id: str) -> None:
    """Remove a container's durable and run directories; out of sight at once, so that no half of one is seen."""
    from pyctr_engine.linux.tree import remove_tree

    try:
        remove_tree(context.paths.run_container(id))
        with contextlib.suppress(FileNotFoundError):
            os.rename(context.paths.container(id), context.paths.going(id))
        purge(context)
    except OSError as error:
        raise from_os_error(error, "remove the container's files") from error


def purge(context: Context) -> None:
    """Delete the files of removed containers, those of interrupted removals too. Raises OSError."""
    from pyctr_engine.linux.tree import remove_tree

    try:
        names = os.listdir(context.paths.containers)
    except FileNotFoundError:
        return
    for name in names:
        if name.startswith(GOING):
            remove_tree(f"{context.paths.containers}/{name}")


def _with_mounts(context: Context, request: ContainerRequest, image: Image) -> ContainerRequest:
    """The request with its mounts resolved: anonymous volumes have names, bind sources exist."""
    needed = sum(1 for mount in request.mounts if mount.type == "volume" and not mount.source)
    fresh = [os.urandom(32).hex() for _ in range(needed + len(image.config.volumes))]
    mounts = resolve.mounts(request, image.config.volumes, fresh)
    for mount in mounts:
        if mount.type != "bind" or os.path.lexists(mount.source):
            continue
        if mount.create:
            try:
                os.makedirs(mount.source, 0o755)
            except OSError as error:
                raise from_os_error(error, f"make the host directory {mount.source}") from error
        else:
            raise InvalidValue(
                f"cannot bind {mount.source}: no such file or directory", "make it first, or mend the path"
            )
    return replace(request, mounts=mounts)


def _record(context: Context, request: ContainerRequest, image: Image, id: str) -> ContainerSpec:
    """Take the leases and write the record, all or nothing."""
    if request.network not in ("bridge", "none", "host") and "net" not in sharing.others(request):
        raise InvalidValue(
            f"no such network: {request.network}", "bridge, none, host, or container:NAME (one network for now)"
        )
    network = context.networks.default() if request.network == "bridge" else None
    with context.database.transaction() as connection:
        partner = sharing.partner(context, request)  # in the transaction: its ids are not given back meanwhile
        name = request.name and names.check(request.name)
        if not name:
            name = names.choose({row[0] for row in connection.execute("SELECT name FROM containers")})
        ids: tuple[IdExtent, ...] = ()
        gids: tuple[IdExtent, ...] = ()
        fixed = sharing.fixed_range(request.security.userns)
        if partner is not None:
            ids, gids = partner.ids, partner.gids
        elif fixed is not None:
            ids, gids = idranges.lease_fixed(connection, id, *fixed)
        elif not sharing.uses_host_ids(request):
            ids = idranges.lease(connection, id, image.extra_ids)
        address = context.networks.lease(network, id, connection) if network is not None else ""
        config = image.config
        spec = ContainerSpec(
            id=id,
            name=name,
            image=request.image,
            image_id=image.id,
            argv=resolve.argv(request, config),
            request=replace(request, name=name),
            env=resolve.environment(request, config),
            working_dir=request.working_dir or config.working_dir or "/",
            user=request.user or (_caller() if request.security.userns == "keep-id" else config.user),
            hostname=request.hostname or (os.uname().nodename if request.namespaces.uts == "host" else id[:12]),
            stop_signal=request.stop_signal or config.stop_signal or "SIGTERM",
            mounts=request.mounts,
            labels={**config.labels, **request.labels},
            chain=image.chain,
            ids=ids,
            gids=gids,
            address=address,
            created=time.time(),
            health=resolve.health(request, config),
        )
        store.insert(connection, spec)
    return spec


def _caller() -> str:
    """The user and group on whose behalf this is done: behind sudo, those who called it. Source: sudo(8)."""
    return f"{os.environ.get('SUDO_UID') or os.getuid()}:{os.environ.get('SUDO_GID') or os.getgid()}"


def _make_directories(context: Context, spec: ContainerSpec) -> None:
    directory = context.paths.container(spec.id)
    os.makedirs(directory, 0o700)
    stub.prepare(context.paths, spec)
    _fill_new_volumes(context, spec)
    Snapshot(directory).prepare([f"{context.paths.layers}/{link}" for link in spec.chain])


def _fill_new_volumes(context: Context, spec: ContainerSpec) -> None:
    """Make named volumes; one that is new takes what the image has at its place, as docker does."""
    for mount in spec.mounts:
        if mount.type != "volume":
            continue
        staged = context.volumes.stage(mount.source)
        if staged:
            from pyctr_engine.containers.copyup import fill

            try:
                fill(context.paths, spec, mount.target, staged)
            except BaseException:
                context.volumes.discard(staged)
                raise
        with context.lock:
            context.volumes.publish(mount.source, staged, spec.request.stack)


def check_unused(context: Context, volume: str) -> None:
    """Raises Conflict when a container mounts the volume."""
    for spec in store.all_specs(context.database):
        if any(mount.type == "volume" and mount.source == volume for mount in spec.mounts):
            raise Conflict(
                f"volume {volume} is in use by container {spec.name}", f"remove it first: `pyctr-tui rm {spec.name}`"
            )


def volume_mounts(spec: ContainerSpec) -> list[Mount]:
    """The anonymous volumes of a container: those whose name is 64 hex digits."""
    return [
        mount
        for mount in spec.mounts
        if mount.type == "volume" and len(mount.source) == 64 and not set(mount.source) - set("0123456789abcdef")
    ]
