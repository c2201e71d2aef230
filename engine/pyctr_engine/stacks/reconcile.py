"""`up` and `down`: plans carried out, in parallel as far as the services' order allows.

What goes wrong with one service keeps back those that depend on it, and nothing else; what has been started stays.
An interrupt waits for the containers under way and begins no others: each is there or not there, never half.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence

from pyctr_engine.errors import Cancelled, EngineError
from pyctr_engine.model.stack import Action, Condition, Service, Stack
from pyctr_engine.model.status import Container
from pyctr_engine.record import replace
from pyctr_engine.stacks import images
from pyctr_engine.stacks.plan import plan
from pyctr_engine.stacks.schedule import Outcome, Task, run
from pyctr_engine.stacks.work import Engine, ProgressSink, Step, Work, renamed


def up(
    engine: Engine,
    stack: Stack,
    progress: ProgressSink | None = None,
    pull: str = "",
    cancel: threading.Event | None = None,
) -> list[Action]:
    """Make it so; returns the plan that was carried out.

    Args:
        engine: The engine.
        stack: What is wanted.
        progress: Told of each step.
        pull: ``missing``, ``always`` or ``never`` instead of the services' own ``pull_policy``.
        cancel: Begin no more when it is set: what is under way is finished first.

    Raises:
        Cancelled: it was set; what has been started stays.
        NotFound: an image isn't there; no container was touched.
        EngineError: what went wrong, naming the service; the rest has been done as far as it could be.
    """
    work = Work(engine, progress, cancel)
    _report(images.pull(work, stack, pull), work, f"bringing {stack.name} up")
    actions = plan(stack, engine.containers(), images.check(engine, stack))
    awaited = {
        (dependency.service, dependency.condition) for service in stack.services for dependency in service.depends_on
    }
    tasks = [task for service in stack.services for task in _tasks(work, service, actions, awaited)]
    for action in actions:
        if action.kind == "keep":
            work.tell(action.container, action.reason, finished=True)
    _report(run(tasks, work.stop), work, f"bringing {stack.name} up")
    return actions


def pull(
    engine: Engine, stack: Stack, progress: ProgressSink | None = None, cancel: threading.Event | None = None
) -> None:
    """Pull all images of a stack, but those whose ``pull_policy`` is ``never``. Raises EngineError."""
    services = tuple(service for service in stack.services if service.request.pull != "never")
    work = Work(engine, progress, cancel)
    _report(images.pull(work, replace(stack, services=services), "always"), work, f"the pull of {stack.name}")


def down(
    engine: Engine,
    name: str,
    volumes: bool = False,
    progress: ProgressSink | None = None,
    declared: Sequence[str] = (),
    cancel: threading.Event | None = None,
) -> list[Action]:
    """Stop and remove all containers of a stack, dependents first; returns what was done.

    Args:
        engine: The engine.
        name: The stack's name.
        volumes: Remove its named volumes as well (those in its containers' labels, and ``declared``), and its
            containers' anonymous ones.
        progress: Told of each step.
        declared: The named volumes of the stack as its file declares them, when the file is at hand.
        cancel: Begin no more when it is set.

    Raises:
        Cancelled: it was set; what has been removed is gone, the rest is as it was.
        EngineError: what went wrong, naming the service.
    """
    members = [container for container in engine.containers() if container.stack == name]
    own = dict.fromkeys(declared)
    for container in members:
        own.update(dict.fromkeys(filter(None, container.spec.labels.get("pyctr.volumes", "").split(","))))
    work = Work(engine, progress, cancel)
    tasks = []
    for container in members:
        dependents = [other.name for other in members if container.service in _depends_on(other)]
        do = work.removal(container.service, container.name, volumes)
        tasks.append(Task(container.name, do, after=dependents))
    _report(run(tasks, work.stop), work, f"taking {name} down")
    actions = [Action("remove", container.name, container.service, f"part of {name}") for container in members]
    for volume in own if volumes else ():
        if work.remove_volume(volume):
            actions.append(Action("remove", volume, "", "volume"))
    return actions


def _depends_on(container: Container) -> list[str]:
    """The services that a container's service depends on, as its label tells."""
    return container.spec.request.labels.get("pyctr.depends_on", "").split(",")


_SUFFIXES: dict[Condition, str] = {
    "service_started": "",
    "service_completed_successfully": "//completed",
    "service_healthy": "//healthy",
}


def _tasks(
    work: Work, service: Service, actions: Sequence[Action], awaited: Collection[tuple[str, Condition]]
) -> list[Task]:
    """A service's tasks: removals, then its containers, then one under the service's own name for others to need.

    ``awaited`` are services and conditions that somebody needs; for those of this one, more tasks wait.
    """
    mine = [action for action in actions if action.service == service.name and action.kind != "keep"]
    removals = [
        Task(_key(action), work.removal(action.service, action.container, volumes=True))
        for action in mine
        if action.kind == "remove"
    ]
    needs = [task.key for task in removals]
    after: list[str] = []
    for dependency in service.depends_on:
        key = dependency.service + _SUFFIXES[dependency.condition]
        (needs if dependency.required else after).append(key)
    others = [Task(_key(action), work.making(action), needs, after) for action in mine if action.kind != "remove"]
    tasks = [*removals, *others]
    tasks.append(Task(service.name, lambda: None, [task.key for task in tasks]))
    names = [service.container(number) for number in range(1, service.replicas + 1)]
    waits: dict[Condition, Callable[[str, Sequence[str]], Step]] = {
        "service_completed_successfully": work.completion,
        "service_healthy": work.health,
    }
    for condition, wait in waits.items():
        if (service.name, condition) in awaited:
            key = service.name + _SUFFIXES[condition]
            tasks.append(Task(key, wait(service.name, names), [service.name]))
    return tasks


def _key(action: Action) -> str:
    """A container's task; services have no slash in their names."""
    return f"{action.service}/{action.container}"


def _report(outcome: Outcome, work: Work, doing: str) -> None:
    """Raise one error for all that went wrong; Cancelled when something was kept from being done by ``work.stop``."""
    errors = [error for error in outcome.failed.values() if not isinstance(error, Cancelled)]
    for error in errors:
        if not isinstance(error, EngineError):
            raise error
    if not errors:
        if work.stop.is_set():
            raise Cancelled(f"{doing} was cancelled", "what has been done stays; the same again does the rest")
        return
    first = errors[0]
    assert isinstance(first, EngineError)
    message = "; ".join(dict.fromkeys(str(error) for error in errors))
    held_back = sorted(
        {key.partition("/")[0] for key in outcome.skipped} - {key.partition("/")[0] for key in outcome.failed}
    )
    if held_back:
        message += f" (held back by it: {', '.join(held_back)})"
    raise renamed(first, message) from first
