"""A container's changes, and the image they become."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from pyctr_engine.containers import freeze, listing, stub
from pyctr_engine.containers.context import Context
from pyctr_engine.model.image import Change
from pyctr_engine.model.progress import Progress
from pyctr_engine.model.spec import CommitRequest, ContainerSpec
from pyctr_engine.model.status import Container
from pyctr_engine.snapshots.overlay import Snapshot

if TYPE_CHECKING:
    from pyctr_engine.images.store import Stored
    from pyctr_engine.model.oci import ImageConfig


def changes(context: Context, spec: ContainerSpec) -> list[Change]:
    """What a container changed against its image, sorted by path, from its upper directory alone."""
    lowers = [*(f"{context.paths.layers}/{link}" for link in spec.chain), stub.directory(context.paths, spec)]
    return Snapshot(context.paths.container(spec.id)).changes(lowers)


def commit(
    context: Context, container: Container, request: CommitRequest, progress: Callable[[Progress], None] | None
) -> Stored:
    """Make an image of it, standing still meanwhile if asked and running; that it can't be frozen is an error."""
    spec = container.spec
    base = context.images.resolve(spec.image_id)
    with contextlib.ExitStack() as meanwhile:
        meanwhile.enter_context(context.container_lock(container.id))
        if request.pause:
            meanwhile.enter_context(freeze.standing_still(context, listing.view(context, spec)))
        uppers = Snapshot(context.paths.container(container.id)).uppers
        config = merged_config(spec, base.config)
        image = context.images.add_commit(base, uppers, config, request, " ".join(spec.argv), progress)
    context.event("image", "commit", image.id, request.name, container=container.id)
    return image


def merged_config(spec: ContainerSpec, config: ImageConfig) -> ImageConfig:
    """The image's config with what the container was given in its place, as docker's commit does."""
    import dataclasses

    asked = spec.request
    return dataclasses.replace(
        config,
        env=tuple(item for item in spec.env if not (asked.tty and item == "TERM=xterm")),
        entrypoint=config.entrypoint if asked.entrypoint is None else asked.entrypoint,
        cmd=config.cmd if asked.command is None and asked.entrypoint is None else (asked.command or ()),
        user=spec.user,
        working_dir=spec.working_dir,
        labels={key: value for key, value in spec.labels.items() if not key.startswith("com.docker.compose.")},
        stop_signal=asked.stop_signal or config.stop_signal,
    )
