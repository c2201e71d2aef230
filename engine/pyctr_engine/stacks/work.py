"""Single steps on containers, each told of as it begins and ends; and what is needed of the engine for them."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from pyctr_engine.errors import Cancelled, Conflict, EngineError, NotFound
from pyctr_engine.model.image import ImageSummary
from pyctr_engine.model.progress import Progress
from pyctr_engine.model.registry import Pulled
from pyctr_engine.model.spec import ContainerRequest
from pyctr_engine.model.stack import Action
from pyctr_engine.model.status import Container, State
from pyctr_engine.record import replace

ProgressSink = Callable[[Progress], None]
Step = Callable[[], None]
_Error = TypeVar("_Error", bound=EngineError)

POLL = 0.1
"""Seconds between two looks at a container that has to complete: waiting in the engine could not be interrupted."""


class Engine(Protocol):
    """What is needed of the engine; all methods are safe to call from several threads."""

    def containers(self) -> list[Container]:
        """All containers."""

    def container(self, ref: str) -> Container:
        """One container."""

    def image(self, image: str) -> ImageSummary:
        """One image; NotFound."""

    def pull(
        self,
        name: str,
        platform: str = "",
        progress: ProgressSink | None = None,
        cancel: threading.Event | None = None,
    ) -> Pulled:
        """Pull an image."""

    def create(self, request: ContainerRequest) -> Container:
        """Create, don't start."""

    def start(self, ref: str) -> Container:
        """Start."""

    def stop(self, ref: str, timeout: float | None = None) -> None:
        """Stop; one that doesn't run is left alone."""

    def remove(self, ref: str, force: bool = False, volumes: bool = False) -> None:
        """Remove; ``volumes``: with its anonymous volumes."""

    def remove_volume(self, name: str) -> None:
        """Remove a volume; NotFound, Conflict."""


class Work:
    """Makes steps to be done later, in any thread. ``progress`` is called by one thread at a time.

    ``stop`` is set by whoever wishes that no more is begun: the caller, or ``progress`` by raising Cancelled.
    """

    def __init__(self, engine: Engine, progress: ProgressSink | None, stop: threading.Event | None = None) -> None:
        self.engine = engine
        self.stop = threading.Event() if stop is None else stop
        self._progress = progress
        self._lock = threading.Lock()

    def tell(self, container: str, text: str, finished: bool = False) -> None:
        """Say how far a container is."""
        self.show(Progress(container, text, finished=finished))

    def show(self, step: Progress) -> None:
        """Pass one step on."""
        if self._progress is not None:
            with self._lock:
                try:
                    self._progress(step)
                except Cancelled:
                    self.stop.set()

    def making(self, action: Action) -> Step:
        """Create, recreate or start a container."""

        def do() -> None:
            name = action.request.name if action.request else action.container
            if action.kind == "recreate":
                self._remove(action.container, volumes=False)
            if action.request is not None:
                self.tell(name, "creating")
                request = action.request
                if request.pull == "always":  # which has been done, once for all of the stack
                    request = replace(request, pull="missing")
                self._create(request)
                self.tell(name, "created")
            if self.stop.is_set():
                return
            self.tell(name, "starting")
            self._start(name)
            self.tell(name, "started", finished=True)

        return self._named(action.service, action.container, do)

    def removal(self, service: str, container: str, volumes: bool) -> Step:
        """Stop and remove a container, with its anonymous volumes if so wished."""

        def do() -> None:
            self._remove(container, volumes)
            self.tell(container, "removed", finished=True)

        return self._named(service, container, do)

    def completion(self, service: str, containers: Sequence[str]) -> Step:
        """Wait until all of a service's containers have ended; raise Conflict when one didn't end well."""

        def do() -> None:
            for name in containers:
                self._complete(name)

        return self._named(service, service, do)

    def health(self, service: str, containers: Sequence[str]) -> Step:
        """Wait until all of a service's containers are healthy; raise Conflict when one can't become so any more."""

        def do() -> None:
            for name in containers:
                self._become_healthy(name)

        return self._named(service, service, do)

    def remove_volume(self, name: str) -> bool:
        """Remove a volume; whether it was there."""
        try:
            self.tell(name, "removing")
            self.engine.remove_volume(name)
        except NotFound:
            self.tell(name, "was not there", finished=True)
            return False
        self.tell(name, "removed", finished=True)
        return True

    def _create(self, request: ContainerRequest) -> None:
        try:
            self.engine.create(request)
        except Conflict:  # no harm when another `up` of the same was quicker
            there = next((other for other in self.engine.containers() if other.name == request.name), None)
            if there is None or there.stack != request.stack or there.spec.request.config_hash != request.config_hash:
                raise

    def _start(self, name: str) -> None:
        try:
            self.engine.start(name)
        except Conflict:  # the same
            if not self.engine.container(name).state.is_alive:
                raise

    def _remove(self, name: str, volumes: bool) -> None:
        try:
            if self.engine.container(name).state.is_alive:
                self.tell(name, "stopping")
                self.engine.stop(name)
                self.tell(name, "stopped")
            self.tell(name, "removing")
            self.engine.remove(name, force=True, volumes=volumes)
        except NotFound:
            # somebody else was quicker, or it removed itself when it ended
            return

    def _complete(self, name: str) -> None:
        while not self.stop.is_set():
            status = self.engine.container(name).status
            if not status.state.is_alive:
                if status.state is State.EXITED and status.exit_code == 0:
                    return
                raise Conflict(
                    f"{name} did not complete: it ended with exit code {status.exit_code}",
                    f"`pyctr-tui logs {name}` shows what it said",
                )
            self.stop.wait(POLL)

    def _become_healthy(self, name: str) -> None:
        told = False
        while not self.stop.is_set():
            container = self.engine.container(name)
            trouble = unhealthy(container)
            if trouble:
                raise Conflict(*trouble)
            if container.status.health == "healthy":
                if told:
                    self.tell(name, "healthy", finished=True)
                return
            if not told:
                self.tell(name, "waiting to be healthy")
                told = True
            self.stop.wait(POLL)

    def _named(self, service: str, container: str, step: Step) -> Step:
        """The step, its errors naming the service."""

        def do() -> None:
            try:
                step()
            except EngineError as error:
                self.tell(container, f"failed: {error.message}", finished=True)
                raise renamed(error, f"service {service}: {error.message}") from error

        return do


def unhealthy(container: Container) -> tuple[str, str] | None:
    """Why a container that should become healthy will not, and a hint; ``None`` while it may."""
    status, name = container.status, container.name
    if container.spec.health is None:
        return (
            f"{name} has no health check, and something waits for it to be healthy",
            "add healthcheck: to it, or use condition: service_started",
        )
    if status.health == "unhealthy":
        return f"{name} is unhealthy", f"`pyctr-tui inspect --why {name}` shows what its checks said"
    if not status.state.is_alive:
        return f"{name} ended with exit code {status.exit_code}", f"`pyctr-tui logs {name}` shows what it said"
    return None


def renamed(error: _Error, message: str) -> _Error:
    """The same error with another message; its kind, hint and exit code stay."""
    twin = copy.copy(error)
    twin.message = message
    return twin
