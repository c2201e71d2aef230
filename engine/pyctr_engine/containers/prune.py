"""`prune`: what nobody uses goes: containers first, for they hold images and volumes."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from pyctr_engine import reserve
from pyctr_engine.containers import diskusage, remove, status, store
from pyctr_engine.containers.context import Context
from pyctr_engine.errors import Cancelled, Conflict, NotFound
from pyctr_engine.linux.diskusage import DiskUsage
from pyctr_engine.model.progress import Progress
from pyctr_engine.model.spec import ContainerSpec
from pyctr_engine.model.tidy import Pruned, PruneRequest

if TYPE_CHECKING:
    import threading

    from pyctr_engine.images.garbage import Unneeded
    from pyctr_engine.images.store import Stored
    from pyctr_engine.model.oci import ImageConfig

_ANONYMOUS = 64
"""Hex digits of a volume's name that nobody gave."""


def prune(
    context: Context,
    request: PruneRequest,
    progress: Callable[[Progress], None] | None = None,
    cancel: threading.Event | None = None,
) -> Pruned:
    """Remove what the request lets go; what comes into use meanwhile stays.

    When ``cancel`` is set, what is under way is finished, no more is begun, and Cancelled is raised.
    """
    return _Pruning(context, request, progress, cancel).run()


class _Pruning:
    """One prune, as it goes on."""

    def __init__(
        self,
        context: Context,
        request: PruneRequest,
        progress: Callable[[Progress], None] | None,
        cancel: threading.Event | None,
    ) -> None:
        self._context = context
        self._request = request
        self._progress = progress
        self._cancel = cancel
        self._counter = DiskUsage()
        self._notes: list[str] = []
        self._containers: list[ContainerSpec] = []
        self._volumes: list[str] = []
        self._images: list[Stored] = []
        self._blobs: list[str] = []
        self._layers: list[str] = []

    def run(self) -> Pruned:
        context, request = self._context, self._request
        before = diskusage.whole(context)
        if not request.dry_run:
            reserve.make_room(context.paths.state)
            remove.recover(context)
        cancelled = None
        try:
            self._prune()
        except Cancelled as error:
            cancelled = error
        reclaimed = self._counter.freed_if_removed
        if not request.dry_run:
            reserve.keep(context.paths.state)
            self._tell(reclaimed)
        if cancelled is not None:
            raise cancelled
        return Pruned(
            tuple(spec.id for spec in self._containers),
            tuple(line for stored in self._images for line in _lines(stored)),
            tuple(self._volumes),
            tuple(self._layers),
            tuple(self._blobs),
            reclaimed,
            before,
            before - reclaimed if request.dry_run else diskusage.whole(context),
            tuple(self._notes),
        )

    def _prune(self) -> None:
        request = self._request
        if request.containers:
            self._prune_containers()
        if request.volumes:
            self._prune_volumes()
        if request.images:
            self._step("images")
            self._prune_images()

    def _step(self, what: str) -> None:
        """Tell what goes next. Raises Cancelled when no more is to go."""
        if self._cancel is not None and self._cancel.is_set():
            raise Cancelled("pruning was cancelled", "what has gone stays gone; the same again does the rest")
        if self._progress is not None:
            self._progress(Progress("prune", f"removing {what}"))

    def _accepts(self, created: float | None, labels: Mapping[str, str]) -> bool:
        """Whether the filters let it go; what has no date is old."""
        until = self._request.until
        if until is not None and created is not None and created >= until:
            return False
        return all(_has(labels, wanted) for wanted in self._request.labels) and not any(
            _has(labels, unwanted) for unwanted in self._request.not_labels
        )

    # -- containers -----------------------------------------------------------------------------------------------

    def _prune_containers(self) -> None:
        context = self._context
        with context.lock:
            specs = store.all_specs(context.database)
        idle = [
            spec
            for spec in specs
            if not status.is_alive(context.paths, spec.id) and self._accepts(spec.created, spec.labels)
        ]
        ended = [spec for spec in idle if status.read_state(context.paths, spec.id)]
        for spec in ended:
            self._take_container(spec)
        fresh = [spec for spec in idle if spec not in ended]
        if not fresh:
            return
        with context.nobody_creating() as alone:
            for spec in fresh if alone else ():
                self._take_container(spec)
        if not alone:
            self._notes.append("containers that were never started are left: one is being started just now")

    def _take_container(self, spec: ContainerSpec) -> None:
        self._step(spec.name)
        directory = self._context.paths.container(spec.id)
        one = DiskUsage()
        one.add(directory)
        if not self._request.dry_run:
            try:
                remove.remove(self._context, spec, force=False, volumes=False)
            except (Conflict, NotFound):
                return  # started, or removed, meanwhile
        self._counter.merge(one)
        self._containers.append(spec)

    # -- volumes --------------------------------------------------------------------------------------------------

    def _prune_volumes(self) -> None:
        context = self._context
        going = {spec.id for spec in self._containers}
        with context.lock:
            volumes = context.volumes.list()
            specs = [spec for spec in store.all_specs(context.database) if spec.id not in going]
        for volume in volumes:
            labels = {"com.docker.compose.project": volume.stack} if volume.stack else {}
            if (
                not (self._request.all_volumes or _is_anonymous(volume.name))
                or diskusage.users(specs, volume.name)
                or not self._accepts(volume.created, labels)
            ):
                continue
            self._step(volume.name)
            one = DiskUsage()
            one.add(f"{context.paths.volumes}/{volume.name}")
            if not self._request.dry_run:
                try:
                    remove.remove_volume(context, volume.name)
                except (Conflict, NotFound):
                    continue  # a container has it now, or it has gone
            self._counter.merge(one)
            self._volumes.append(volume.name)

    # -- images ---------------------------------------------------------------------------------------------------

    def _accepts_image(self, stored: Stored, config: ImageConfig) -> bool:
        from pyctr_engine.images.listing import timestamp

        if stored.names and not self._request.all_images:
            return False
        return self._accepts(timestamp(config.created), config.labels)

    def _prune_images(self) -> None:
        from pyctr_engine.images import garbage
        from pyctr_engine.images.prune import unused

        images = self._context.images
        if self._request.dry_run:
            users = {spec.name for spec in self._containers}
            self._images = unused(images, self._accepts_image, users)
            with images.layout.keeping():
                ids = {stored.id for stored in self._images}
                self._measure(garbage.unneeded(images, ids, users, leases=False))
            return
        self._images = images.remove_unused(self._accepts_image)
        if not images.collect(self._measure, leases=True):
            self._notes.append(
                "an image is being made just now: what nothing refers to goes when that is done, and is not counted"
            )

    def _measure(self, found: Unneeded) -> None:
        from pyctr_engine.images.prune import measure

        measure(self._context.images, found, self._counter)
        self._blobs += [f"sha256:{os.path.basename(path)}" for path in found.blobs if "/." not in path]
        self._layers += [name for name in found.layers if not name.startswith(".")]

    # -- what others hear -------------------------------------------------------------------------------------------

    def _tell(self, reclaimed: int) -> None:
        context, request = self._context, self._request
        for stored in self._images:
            for name in stored.names:
                context.event("image", "untag", stored.id, name)
            context.event("image", "delete", stored.id, stored.names[0] if stored.names else "")
        asked = {"container": request.containers, "image": request.images, "volume": request.volumes}
        for type in (type for type, wanted in asked.items() if wanted):
            context.event(type, "prune", "", "", reclaimed=str(reclaimed))


def _lines(stored: Stored) -> list[str]:
    return [f"untagged: {name}" for name in stored.names] + [f"deleted: {stored.id}"]


def _has(labels: Mapping[str, str], wanted: str) -> bool:
    key, equals, value = wanted.partition("=")
    return key in labels and (not equals or labels[key] == value)


def _is_anonymous(name: str) -> bool:
    return len(name) == _ANONYMOUS and not set(name) - set("0123456789abcdef")
