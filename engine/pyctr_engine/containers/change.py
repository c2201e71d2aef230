"""Changing a container that is there: its name, its limits, its restart policy."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from pyctr_engine.cgroups import change as limits
from pyctr_engine.cgroups import control
from pyctr_engine.containers import hosts, names, remove, resolve, sharing, start, status, store
from pyctr_engine.containers.context import Context
from pyctr_engine.errors import Conflict, EngineError, InvalidValue, StartError
from pyctr_engine.model.spec import ContainerSpec, Resources, RestartPolicy
from pyctr_engine.record import replace
from pyctr_engine.runtime import protocol

ResourceChange = Resources | Callable[[Resources], Resources]
"""New limits, or what makes them of the old ones: two who change different limits at once must both be heard."""


def rename(context: Context, spec: ContainerSpec, name: str) -> None:
    """Give it another name, which peers see at once. Raises InvalidValue, Conflict."""
    names.check(name)
    with context.container_lock(spec.id), context.lock, context.database.transaction() as connection:
        spec = store.find(context.database, spec.id)
        if name == spec.name:
            raise InvalidValue(f"the container is named {name} already", "give another name")
        taken = connection.execute("SELECT id FROM containers WHERE name = ?", (name,)).fetchone()
        if taken:
            raise Conflict(
                f"the name {name} is taken by container {taken[0][:12]}",
                f"take another, or free it: `pyctr-tui rename {name} OTHER`",
            )
        renamed = replace(spec, name=name, request=replace(spec.request, name=name))
        store.update(connection, renamed)
        for other in store.all_specs(context.database, spec.id):
            if spec.name in sharing.others(other.request).values():  # it shares what is ours, by our name
                store.update(connection, replace(other, request=sharing.renamed(other.request, spec.name, name)))
    tell(context, renamed, {"name": name})
    hosts.announce(context, renamed)
    context.event("container", "rename", spec.id, name, oldName=spec.name)


def update(
    context: Context, spec: ContainerSpec, change: ResourceChange | None, restart: RestartPolicy | None
) -> ContainerSpec:
    """Change limits and restart policy; a running container's at once, all of them or none.

    Raises:
        InvalidValue, Unsupported: a value that can't be.
        StartError, NotPermitted: the kernel refused one; all are as they were.
        Conflict: it is ending just now.
    """
    with context.container_lock(spec.id):
        with context.lock:
            spec = store.find(context.database, spec.id)
        before = spec.request.resources
        after = before if change is None else change(before) if callable(change) else change
        request = replace(spec.request, resources=after, restart=restart or spec.request.restart)
        resolve.check(request)
        resolve.check_limits(context, after)
        changed = replace(spec, request=request)
        alive = status.is_alive(context.paths, spec.id)
        with contextlib.ExitStack() as undo:
            if change is not None and alive:
                _apply(context, spec, before, after)
                undo.callback(_take_back, context, spec, after, before)
            changes: dict[str, Any] = {}
            if change is not None:
                changes["limits"] = start.limits_in_history(after)
            if restart is not None:
                changes["restart"] = [restart.name, restart.max_retries]
            if alive:
                tell(context, changed, changes)
            with context.lock, context.database.transaction() as connection:
                store.update(connection, changed)
            undo.pop_all()
    context.event("container", "update", spec.id, spec.name)
    return changed


def _take_back(context: Context, spec: ContainerSpec, now: Resources, before: Resources) -> None:
    with contextlib.suppress(EngineError):
        _apply(context, spec, now, before)


def _apply(context: Context, spec: ContainerSpec, before: Resources, after: Resources) -> None:
    """Write the new limits into the cgroups of a running container; the old ones again if one is refused."""
    control.prepare(context.cgroups.plan(context.cgroup_parent, spec.id, after).parents, ())
    limits.change(*context.cgroups.changes(context.cgroup_parent, spec.id, before, after))


def tell(context: Context, spec: ContainerSpec, changes: dict[str, Any]) -> None:
    """Tell a running container's monitor what has changed; without one there is nobody to tell."""
    session = remove.monitor(context, spec) if changes else None
    if session is None:
        return
    try:
        session.request(protocol.UPDATE, changes)
        if remove.wait_readable(session, remove.ANSWER_SECONDS):
            session.expect_started(spec.name)
    except StartError as error:
        raise Conflict(f"container {spec.name} is ending just now", "try again when it has ended") from error
    finally:
        session.close()
