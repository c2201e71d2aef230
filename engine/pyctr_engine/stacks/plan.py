"""What has to happen so that the containers are as the file says: desired × actual → actions. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from pyctr_engine.containers import settings, sharing
from pyctr_engine.model.spec import ContainerRequest, Mount
from pyctr_engine.model.stack import Action, Service, Stack
from pyctr_engine.model.status import Container, State
from pyctr_engine.stacks.digest import comparable

_ANONYMOUS = re.compile(r"[0-9a-f]{64}")
_WORDS = {"env": "environment", "mounts": "volumes", "network": "network_mode", "stop_grace": "stop_grace_period"}


def plan(stack: Stack, containers: Sequence[Container], image_ids: Mapping[str, str]) -> list[Action]:
    """The actions that `up` takes, in an order in which each can be done.

    Args:
        stack: What is wanted.
        containers: All containers there are; those of other stacks are passed over.
        image_ids: Image reference → id, for the references that the stack uses; one that is missing compares equal.

    Containers of services that the file doesn't know any more are kept, as docker does; the reason says so.
    """
    actual: dict[str, list[Container]] = {}
    for container in containers:
        if container.stack == stack.name:
            actual.setdefault(container.service, []).append(container)
    one_shot = {
        dependency.service
        for service in stack.services
        for dependency in service.depends_on
        if dependency.condition == "service_completed_successfully"
    }
    actions: list[Action] = []
    disturbed: dict[str, str] = {}
    for service in stack.services:
        there = actual.pop(service.name, [])
        steps = _service(service, there, image_ids, service.name in one_shot, disturbed)
        disturbed.update({step.container: step.kind for step in steps if step.kind not in ("keep", "remove")})
        actions += steps
    known = set(stack.inactive)
    for name, left in actual.items():
        reason = "its profile is not active" if name in known else "no longer in the file; `down` removes it"
        actions += [Action("keep", container.name, name, reason) for container in left]
    return actions


def _service(
    service: Service,
    there: list[Container],
    image_ids: Mapping[str, str],
    one_shot: bool,
    disturbed: Mapping[str, str],
) -> list[Action]:
    """The actions of one service: what is too many goes first, so that names and ports are free."""
    by_number: dict[int, Container] = {}
    surplus: list[Container] = []
    # numbers are unique but for a create that was cut short; the newest of a number counts
    for container in sorted(there, key=lambda item: item.spec.created, reverse=True):
        number = container.spec.request.number
        if 1 <= number <= service.replicas and number not in by_number:
            by_number[number] = container
        else:
            surplus.append(container)
    surplus.sort(key=lambda item: item.spec.request.number, reverse=True)
    reason = f"scaled to {service.replicas}"
    actions = [Action("remove", container.name, service.name, reason) for container in surplus]
    for number in range(1, service.replicas + 1):
        request = replace(service.request, name=service.container(number), number=number)
        found = by_number.get(number)
        if found is None:
            actions.append(Action("create", request.name, service.name, "not there yet", request))
        else:
            actions.append(_existing(found, request, image_ids, one_shot, disturbed))
    return actions


def _existing(
    container: Container,
    request: ContainerRequest,
    image_ids: Mapping[str, str],
    one_shot: bool,
    disturbed: Mapping[str, str],
) -> Action:
    """What is done to a container that is there."""
    reasons = _differences(container, request, image_ids)
    # a namespace goes with its owner; who isn't running finds the new one when it is started
    for kind, owner in sharing.others(request).items():
        if owner in disturbed and (container.state.is_alive or disturbed[owner] != "start"):
            reasons.append(f"shares the {'network' if kind == 'net' else f'{kind} namespace'} of {owner}")
    if reasons:
        wanted = inherit_volumes(request, container)
        return Action("recreate", container.name, request.service, ", ".join(reasons), wanted)
    status = container.status
    if one_shot and status.state is State.EXITED and status.exit_code == 0:
        return Action("keep", container.name, request.service, "completed")
    if status.state.can_start:
        reason = "never started" if status.state is State.CREATED else "not running"
        return Action("start", container.name, request.service, reason)
    return Action("keep", container.name, request.service, str(status.state))


def _differences(container: Container, request: ContainerRequest, image_ids: Mapping[str, str]) -> list[str]:
    """Why a container isn't what is wanted: short phrases; empty when it is."""
    found: list[str] = []
    old = container.spec.request
    if container.status.state is State.DEAD:
        found.append("it is dead")
    if old.name != request.name and container.name != request.name:
        found.append("container_name changed")
    if old.config_hash != request.config_hash:
        before, after = comparable(_asked(old, request)), comparable(request)
        if "mounts" in before:
            before["mounts"] = _declared(before["mounts"])
            after["mounts"] = _declared(after["mounts"])
        names = dict.fromkeys([*before, *after])
        changed = [_WORDS.get(name, name) for name in names if before.get(name) != after.get(name)]
        found += [f"{name} changed" for name in changed] or ["its definition changed"]
    wanted = image_ids.get(request.image)
    if wanted and wanted != container.spec.image_id and "image changed" not in found:
        found.append("image changed")
    return found


def _asked(old: ContainerRequest, request: ContainerRequest) -> ContainerRequest:
    """A container's request without the usual limit of processes, which it was given where its file names none."""
    if request.resources.pids is None and old.resources.pids in (settings.PIDS, settings.read().pids_limit):
        return replace(old, resources=replace(old.resources, pids=None))
    return old


def inherit_volumes(request: ContainerRequest, old: Container) -> ContainerRequest:
    """The request, with the anonymous volumes of the container it replaces: their data outlives a change of the file.

    Anonymous volumes come from ``volumes: [/data]`` and from an image's VOLUME; their names are 64 hex digits.
    """
    kept = {
        mount.target: mount.source
        for mount in old.spec.mounts
        if mount.type == "volume" and _ANONYMOUS.fullmatch(mount.source)
    }
    mounts: list[Mount] = []
    for mount in request.mounts:
        source = kept.pop(mount.target, "")
        is_anonymous = mount.type == "volume" and not mount.source
        mounts.append(replace(mount, source=source) if is_anonymous and source else mount)
    mounts += [Mount("volume", source, target) for target, source in kept.items()]
    return replace(request, mounts=tuple(mounts))


def _declared(mounts: Iterable[Mapping[str, object]]) -> list[Mapping[str, object]]:
    """Mounts without the anonymous volumes, whose names are nobody's wish."""
    return [
        mount
        for mount in mounts
        if mount["type"] != "volume" or (mount["source"] and not _ANONYMOUS.fullmatch(str(mount["source"])))
    ]
