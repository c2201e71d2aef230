"""Pausing: a container's cgroup is frozen, nothing in it runs until it is thawed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from pyctr_engine.cgroups import control
from pyctr_engine.containers.context import Context
from pyctr_engine.errors import Conflict, EngineError, Unsupported, told_as
from pyctr_engine.model.status import Container, State


def pause(context: Context, container: Container) -> None:
    """Freeze all its processes. Raises Conflict when it does not run."""
    if container.state is not State.RUNNING:
        raise Conflict(
            f"container {container.name} is {container.state}, not running", "only a running one can be paused"
        )
    if context.cgroups.mode == "none":
        raise Unsupported(
            f"container {container.name} can't be paused: no control groups are delegated to this user",
            "ask the administrator (`pyctr-tui doctor` says what for)",
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


@contextlib.contextmanager
def standing_still(context: Context, container: Container) -> Iterator[None]:
    """Freeze a running container meanwhile; one that doesn't run, or is paused, is left alone.

    Raises EngineError when it can't be frozen, and hasn't ended by itself.
    """
    from pyctr_engine.containers import listing

    with contextlib.ExitStack() as after:
        if container.state is State.RUNNING and context.cgroups.mode == "none":
            raise Unsupported(
                f"container {container.name} can't stand still: no control groups are delegated to this user",
                "stop it first; a `commit --no-pause` takes it as it runs",
            )
        if container.state is State.RUNNING:
            after.enter_context(_guarded(context, container))
            try:
                pause(context, container)
                after.callback(thaw, context, container)
            except EngineError as error:
                if listing.view(context, container.spec).state.is_alive:
                    hint = "`commit --no-pause` takes it as it runs; `pyctr-tui doctor` shows what this kernel lacks"
                    raise EngineError(f"cannot freeze container {container.name}: {error.message}", hint) from error
        yield


_GUARD = 'read -r done || printf %s "$2" > "$1"'


@contextlib.contextmanager
def _guarded(context: Context, container: Container) -> Iterator[None]:
    """Beside a process that lets the container go on if this one is killed meanwhile, when it can't itself."""
    import subprocess

    plan = context.cgroups.plan(context.cgroup_parent, container.id, container.spec.request.resources)
    path, value = control.thawing(plan.unified, plan.directories)
    with told_as("guard the pause"):
        guarding = subprocess.Popen(
            ["/bin/sh", "-c", _GUARD, "guard", path, value],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
            env={},
        )
    with guarding as guard:
        try:
            yield
        finally:
            with contextlib.suppress(BrokenPipeError):
                guard.communicate(b"done\n")


def thaw(context: Context, container: Container) -> None:
    """Let go of what `pause` holds, if it is still there to be let go of."""
    plan = context.cgroups.plan(context.cgroup_parent, container.id, container.spec.request.resources)
    with contextlib.suppress(FileNotFoundError):
        control.thaw(plan.unified, plan.directories)
    context.event("container", "unpause", container.id, container.name)
