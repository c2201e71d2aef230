"""Pausing: a container's cgroup is frozen, nothing in it runs until it is thawed."""

from __future__ import annotations

from pyctr_engine.cgroups import control
from pyctr_engine.containers.context import Context
from pyctr_engine.errors import Conflict
from pyctr_engine.model.status import Container, State


def pause(context: Context, container: Container) -> None:
    """Freeze all its processes. Raises Conflict when it does not run."""
    if container.state is not State.RUNNING:
        raise Conflict(
            f"container {container.name} is {container.state}, not running", "only a running one can be paused"
        )
    plan = context.cgroups.plan(context.cgroup_parent, container.id, container.spec.request.resources)
    control.freeze(plan.unified, plan.directories)
    context.event("container", "pause", container.id, container.name)


def unpause(context: Context, container: Container) -> None:
    """Let them go on. Raises Conflict when it is not paused."""
    if container.state is not State.PAUSED:
        raise Conflict(f"container {container.name} is not paused", f"it is {container.state}")
    plan = context.cgroups.plan(context.cgroup_parent, container.id, container.spec.request.resources)
    control.thaw(plan.unified, plan.directories)
    context.event("container", "unpause", container.id, container.name)
