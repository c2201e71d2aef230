"""The images of a stack: which are there, and those pulled that its services' ``pull_policy`` asks for."""

from __future__ import annotations

from pyctr_engine.errors import Cancelled, EngineError, InvalidValue, NotFound
from pyctr_engine.model.stack import Service, Stack
from pyctr_engine.stacks.schedule import Outcome, Task, run
from pyctr_engine.stacks.work import Engine, Step, Work, renamed

BUILT_IN = ("pyctr/base", "pyctr/base:latest")
"""Images that the engine makes when a container first asks for them."""

POLICIES = ("missing", "always", "never")


def image_ids(engine: Engine, stack: Stack) -> dict[str, str]:
    """The ids of the images that a stack uses; those that aren't there are left out."""
    found: dict[str, str] = {}
    for name in dict.fromkeys(service.request.image for service in stack.services):
        try:
            found[name] = engine.image(name).id
        except NotFound:
            continue
    return found


def pull(work: Work, stack: Stack, policy: str = "") -> Outcome:
    """Pull what is to be pulled, several at once.

    Args:
        work: The engine, and who is told.
        stack: Whose images.
        policy: Replaces the services' own; empty for theirs.

    Raises:
        InvalidValue: there is no such policy.
    """
    if policy and policy not in POLICIES:
        raise InvalidValue(f"there is no pull policy {policy!r}", f"one of: {', '.join(POLICIES)}")
    there = image_ids(work.engine, stack)
    wanted: dict[tuple[str, str], Service] = {}
    for service in stack.services:
        name = service.request.image
        chosen = policy or service.request.pull
        if name not in BUILT_IN and (chosen == "always" or (chosen == "missing" and name not in there)):
            wanted.setdefault((name, service.request.platform), service)
    tasks = [Task(" ".join(key), _pulling(work, service, key[0] in there)) for key, service in wanted.items()]
    return run(tasks, work.stop, workers=2)


def check(engine: Engine, stack: Stack) -> dict[str, str]:
    """The ids of all images. Raises NotFound, naming the service, when one isn't there."""
    ids = image_ids(engine, stack)
    for service in stack.services:
        if service.request.image not in ids and service.request.image not in BUILT_IN:
            raise NotFound(
                f"service {service.name}: there is no image {service.request.image}",
                "`pyctr-tui images` lists those there are; `pull`, `load` and `import` bring more",
            )
    return ids


def _pulling(work: Work, service: Service, is_there: bool) -> Step:
    def do() -> None:
        request = service.request
        try:
            work.engine.pull(request.image, request.platform, work.show, work.stop)
        except Cancelled:
            raise
        except EngineError as error:
            missing = "" if is_there else f"there is no image {request.image}, and "
            raise renamed(error, f"service {service.name}: {missing}{error.message}") from error

    return do
