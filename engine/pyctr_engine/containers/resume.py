"""After a boot: containers whose restart policy says so are started again. See ``service install``."""

from __future__ import annotations

from collections.abc import Callable

from pyctr_engine.containers import sharing
from pyctr_engine.errors import EngineError
from pyctr_engine.model.status import Container, State


def wanted(container: Container) -> bool:
    """docker's rules: ``always`` in any case, ``unless-stopped`` unless somebody stopped it, ``on-failure`` if it had
    failed; nothing that never ran."""
    now = container.status
    if now.state is not State.EXITED or not now.started_at:
        return False
    match container.spec.request.restart.name:
        case "always":
            return True
        case "unless-stopped":
            return not now.stopped_by
        case "on-failure":
            return not now.stopped_by and now.exit_code != 0
    return False


def order(containers: list[Container]) -> list[list[Container]]:
    """Waves, each to be started after the one before: whose network is shared comes first, older before younger."""
    left = sorted(containers, key=lambda container: container.spec.created)
    waves: list[list[Container]] = []
    while left:
        waiting = {name for container in left for name in (container.name, container.id)}
        wave = [
            container
            for container in left
            if not waiting.intersection(sharing.others(container.spec.request).values())
        ] or left
        waves.append(wave)
        left = [container for container in left if container not in wave]
    return waves


def resume(
    containers: list[Container], start: Callable[[str], object], workers: int = 4
) -> list[tuple[Container, EngineError | None]]:
    """Start those that are wanted; what became of each. One that fails keeps no other from being started."""
    from concurrent.futures import ThreadPoolExecutor

    def attempt(container: Container) -> tuple[Container, EngineError | None]:
        try:
            start(container.id)
        except EngineError as error:
            return container, error
        return container, None

    done = []
    with ThreadPoolExecutor(max_workers=workers) as pool:
        for wave in order([container for container in containers if wanted(container)]):
            done += list(pool.map(attempt, wave))
    return done
