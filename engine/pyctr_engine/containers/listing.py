"""Containers as they are now: specs from the database, states from their monitors."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pyctr_engine.containers import status, store
from pyctr_engine.containers.context import Context
from pyctr_engine.model.spec import ContainerSpec, Port
from pyctr_engine.model.status import Container, State

if TYPE_CHECKING:
    import sqlite3


def all_containers(context: Context) -> list[Container]:
    """All containers, newest first; those whose monitors died are swept first."""
    with context.lock:
        specs = store.all_specs(context.database)
    views, sweep = [], False
    for spec in specs:
        state = status.read_state(context.paths, spec.id)
        found = _view(context, spec, state)
        views.append(found)
        sweep = sweep or _needs_sweep(context, found, state)
    if sweep:
        from pyctr_engine.containers import remove

        remove.recover(context)
        with context.lock:
            specs = store.all_specs(context.database)
        views = [view(context, spec) for spec in specs]
    return views


def one(context: Context, ref: str) -> Container:
    """One container, swept first if its monitor died."""
    spec = find(context, ref)
    state = status.read_state(context.paths, spec.id)
    found = _view(context, spec, state)
    if _needs_sweep(context, found, state):
        from pyctr_engine.containers import remove

        remove.recover(context)
        found = view(context, find(context, found.id))
    return found


def find(context: Context, ref: str) -> ContainerSpec:
    """A container's spec by name, id or prefix."""
    with context.lock:
        return store.find(context.database, ref)


def view(context: Context, spec: ContainerSpec) -> Container:
    """A container of which the spec is at hand, as it is now."""
    return _view(context, spec, status.read_state(context.paths, spec.id))


def _view(context: Context, spec: ContainerSpec, state: status.Seen) -> Container:
    found = status.status_of(state)
    if found.state is State.CREATED and os.path.isdir(context.paths.going(spec.id)):
        found = status.DEAD
    if found.state is State.RUNNING and is_frozen(context, spec.id):
        found = status.status_of(state, frozen=True)
    ports: tuple[Port, ...] = ()
    if spec.request.ports:
        with context.lock:
            ports = published_ports(context.database.connection, spec.id) if found.state.is_alive else ()
    return Container(spec, found, ports)


def published_ports(connection: sqlite3.Connection, id: str) -> tuple[Port, ...]:
    """The ports a running container has, with those that the host chose."""
    rows = connection.execute(
        "SELECT container_port, host_port, host_ip, protocol FROM published_ports WHERE container = ? ORDER BY 1, 2",
        (id,),
    )
    return tuple(Port(*row) for row in rows)


def is_frozen(context: Context, id: str) -> bool:
    """Whether a container's cgroup is frozen."""
    version, directory = context.cgroups.directory("unified", context.cgroup_parent, id)
    name, frozen = ("cgroup.freeze", "1") if version == 2 else ("freezer.state", "FROZEN")
    if version != 2:
        _, directory = context.cgroups.directory("freezer", context.cgroup_parent, id)
    try:
        with open(f"{directory}/{name}") as file:
            return file.read().strip() == frozen
    except OSError:
        return False


def _needs_sweep(context: Context, container: Container, state: status.Seen) -> bool:
    """Whether its monitor died without recording the end, or it should have been removed at its end."""
    if not state:
        return not os.path.isdir(f"{context.paths.container(container.id)}/upper")
    if status.monitor_lives(state):
        return False
    if State(state["state"]).is_alive:
        return True
    gone = not os.path.exists(f"{context.paths.run_container(container.id)}/monitor.sock")
    return gone and container.spec.request.auto_remove and state["state"] == State.EXITED
