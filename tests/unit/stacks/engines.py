"""Containers made up for tests, and an engine that keeps them in memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace

from pyctr_engine.errors import Conflict, EngineError, NotFound
from pyctr_engine.model.image import ImageSummary
from pyctr_engine.model.progress import Progress
from pyctr_engine.model.registry import Pulled
from pyctr_engine.model.spec import ContainerRequest, ContainerSpec, Mount
from pyctr_engine.model.stack import Stack
from pyctr_engine.model.status import Container, ContainerStatus, State

IMAGE_ID = "sha256:" + "1" * 64
ANONYMOUS = "a" * 64


def container(
    request: ContainerRequest,
    state: State = State.RUNNING,
    image_id: str = IMAGE_ID,
    exit_code: int | None = None,
    created: float = 1.0,
    mounts: tuple[Mount, ...] | None = None,
) -> Container:
    """A container as the engine would make it of a request."""
    spec = ContainerSpec(
        id=f"{abs(hash((request.name, created))):064x}",
        name=request.name,
        image=request.image,
        image_id=image_id,
        argv=("true",),
        request=request,
        env=(),
        working_dir="/",
        user="",
        hostname="",
        stop_signal="",
        mounts=request.mounts if mounts is None else mounts,
        labels=request.labels,
        chain=(),
        ids=(),
        address="",
        created=created,
    )
    return Container(spec, ContainerStatus(state, exit_code=exit_code))


def brought_up(stack: Stack) -> list[Container]:
    """The containers that a stack has when all is as it should be."""
    return [
        container(replace(service.request, name=service.container(number), number=number))
        for service in stack.services
        for number in range(1, service.replicas + 1)
    ]


class MemoryEngine:
    """Keeps containers in a dict; counts what is asked of it; each call may be made to fail or to take its time."""

    def __init__(self) -> None:
        self.kept: dict[str, Container] = {}
        self.images = {"x": IMAGE_ID}
        self.registry: dict[str, str] = {}
        self.volumes: set[str] = set()
        self.calls: list[tuple[str, str]] = []
        self.fails: dict[tuple[str, str], EngineError | BaseException] = {}
        self.on: dict[tuple[str, str], Callable[[], None]] = {}
        self.exits: dict[str, int] = {}
        self.delay = 0.0
        self.lock = threading.Lock()

    def _call(self, what: str, name: str) -> None:
        with self.lock:
            self.calls.append((what, name))
        if self.delay:
            time.sleep(self.delay)
        if (hook := self.on.get((what, name))) is not None:
            hook()
        if (error := self.fails.get((what, name))) is not None:
            raise error

    def containers(self) -> list[Container]:
        return list(self.kept.values())

    def container(self, ref: str) -> Container:
        for item in list(self.kept.values()):
            if ref in (item.name, item.id):
                return item
        raise NotFound(f"no container {ref}")

    def image(self, image: str) -> ImageSummary:
        if image not in self.images:
            raise NotFound(f"no image {image}")
        return ImageSummary(self.images[image], (image,), None, 0, 1, "")

    def pull(
        self,
        name: str,
        platform: str = "",
        progress: Callable[[Progress], None] | None = None,
        cancel: threading.Event | None = None,
    ) -> Pulled:
        self._call("pull", name)
        if name not in self.registry:
            raise NotFound(f"cannot get {name}")
        newer = self.images.get(name) != self.registry[name]
        self.images[name] = self.registry[name]
        return Pulled(self.image(name), name, "", newer)

    def create(self, request: ContainerRequest) -> Container:
        self._call("create", request.name)
        with self.lock:
            if request.name in self.kept:
                raise Conflict(f"the name {request.name} is taken")
            made = container(request, State.CREATED, self.images.get(request.image, IMAGE_ID))
            self.kept[request.name] = made
            self.volumes.update(mount.source for mount in request.mounts if mount.type == "volume" and mount.source)
        return made

    def start(self, ref: str) -> Container:
        self._call("start", ref)
        found = self.container(ref)
        code = self.exits.get(found.name)
        status = ContainerStatus(State.RUNNING) if code is None else ContainerStatus(State.EXITED, exit_code=code)
        with self.lock:
            self.kept[found.name] = replace(found, status=status)
        return self.kept[found.name]

    def stop(self, ref: str, timeout: float | None = None) -> None:
        self._call("stop", ref)
        found = self.container(ref)
        with self.lock:
            self.kept[found.name] = replace(found, status=ContainerStatus(State.EXITED, exit_code=143))

    def remove(self, ref: str, force: bool = False, volumes: bool = False) -> None:
        self._call("remove volumes" if volumes else "remove", ref)
        found = self.container(ref)
        if found.state.is_alive and not force:
            raise Conflict(f"{ref} is running")
        with self.lock:
            del self.kept[found.name]

    def remove_volume(self, name: str) -> None:
        self._call("remove_volume", name)
        if name not in self.volumes:
            raise NotFound(f"no volume {name}")
        self.volumes.discard(name)
