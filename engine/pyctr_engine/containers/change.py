"""Changing a container that is there: its name, its limits, its restart policy."""

from __future__ import annotations

import contextlib
from typing import Any

from pyctr_engine.cgroups import control
from pyctr_engine.containers import hosts, names, remove, resolve, start, store
from pyctr_engine.containers.context import Context
from pyctr_engine.errors import Conflict, EngineError, InvalidValue
from pyctr_engine.model.spec import ContainerSpec, Resources, RestartPolicy
from pyctr_engine.model.status import Container
from pyctr_engine.record import replace
from pyctr_engine.runtime import protocol


def rename(context: Context, spec: ContainerSpec, name: str) -> None:
    """Give it another name, which peers see at once. Raises InvalidValue, Conflict."""
    names.check(name)
    if name == spec.name:
        raise InvalidValue(f"the container is named {name} already", "give another name")
    renamed = replace(spec, name=name, request=replace(spec.request, name=name))
    with context.container_lock(spec.id), context.lock, context.database.transaction() as connection:
        taken = connection.execute("SELECT id FROM containers WHERE name = ?", (name,)).fetchone()
        if taken:
            raise Conflict(
                f"the name {name} is taken by container {taken[0][:12]}",
                f"take another, or free it: `pyctr-tui rename {name} OTHER`",
            )
        store.update(connection, renamed)
    tell(context, renamed, {"name": name})
    hosts.announce(context, renamed)
    context.event("container", "rename", spec.id, name, oldName=spec.name)


def update(
    context: Context, container: Container, resources: Resources | None, restart: RestartPolicy | None
) -> ContainerSpec:
    """Change limits and restart policy; a running container's at once, all of them or none.

    Raises:
        InvalidValue, Unsupported: a value that can't be.
        StartError, NotPermitted: the kernel refused one; all are as they were.
    """
    spec = container.spec
    asked = spec.request
    changed = replace(
        spec, request=replace(asked, resources=resources or asked.resources, restart=restart or asked.restart)
    )
    resolve.check(changed.request)
    with context.container_lock(spec.id):
        if resources is not None and container.state.is_alive:
            _apply(context, spec, asked.resources, resources)
        try:
            with context.lock, context.database.transaction() as connection:
                store.update(connection, changed)
        except BaseException:
            if resources is not None and container.state.is_alive:
                with contextlib.suppress(EngineError):
                    _apply(context, spec, resources, asked.resources)
            raise
        changes: dict[str, Any] = {}
        if resources is not None:
            changes["limits"] = start.limits_in_history(resources)
        if restart is not None:
            changes["restart"] = [restart.name, restart.max_retries]
        tell(context, changed, changes)
    context.event("container", "update", spec.id, spec.name)
    return changed


def _apply(context: Context, spec: ContainerSpec, before: Resources, after: Resources) -> None:
    """Write the new limits into the cgroups of a running container; the old ones again if one is refused."""
    control.prepare(context.cgroups.plan(context.cgroup_parent, spec.id, after).parents, ())
    control.change(*context.cgroups.changes(context.cgroup_parent, spec.id, before, after))


def tell(context: Context, spec: ContainerSpec, changes: dict[str, Any]) -> None:
    """Tell a running container's monitor what has changed; without one there is nobody to tell."""
    session = remove.monitor(context, spec) if changes else None
    if session is None:
        return
    try:
        session.request(protocol.UPDATE, changes)
        if remove.wait_readable(session, remove.ANSWER_SECONDS):
            session.expect_started(spec.name)
    finally:
        session.close()
