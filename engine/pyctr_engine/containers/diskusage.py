"""`system df`: what takes room under the state directory."""

from __future__ import annotations

import os

from pyctr_engine.containers import status, store
from pyctr_engine.containers.context import Context
from pyctr_engine.linux.diskusage import DiskUsage as Counter
from pyctr_engine.linux.diskusage import allocated
from pyctr_engine.model.spec import ContainerSpec
from pyctr_engine.model.tidy import ContainerUsage, DiskUsage, Usage, VolumeUsage


def disk_usage(context: Context) -> DiskUsage:
    """Measure everything; takes as long as looking at each file."""
    with context.lock:
        specs = store.all_specs(context.database)
        names = [volume.name for volume in context.volumes.list()]
    images = context.images.usage()
    containers = tuple(container(context, spec) for spec in specs)
    volumes = tuple(
        VolumeUsage(name, allocated(f"{context.paths.volumes}/{name}"), users(specs, name)) for name in names
    )
    idle = [container for container in containers if not container.is_alive]
    unused = [volume for volume in volumes if not volume.containers]
    layers = sum(layer.size for layer in images.layers)
    active = images.active_layers[1] + images.active_blobs[1]
    total = layers + images.blobs[1]
    logs = sum(container.logs for container in containers)
    count = len(containers)
    used = sum(image.containers > 0 for image in images.images)
    totals = (
        Usage("Images", len(images.images), used, total, total - active),
        Usage("Layers", len(images.layers), images.active_layers[0], layers, layers - images.active_layers[1]),
        Usage("Blobs", *_blobs(images.blobs, images.active_blobs)),
        Usage("Containers", count, count - len(idle), sum(c.size for c in containers), sum(c.size for c in idle)),
        Usage("Logs", count, count - len(idle), logs, sum(c.logs for c in idle)),
        Usage(
            "Local Volumes",
            len(volumes),
            len(volumes) - len(unused),
            sum(volume.size for volume in volumes),
            sum(volume.size for volume in unused),
        ),
    )
    return DiskUsage(totals, images.images, images.layers, containers, volumes, images.unreferenced)


def _blobs(every: tuple[int, int], active: tuple[int, int]) -> tuple[int, int, int, int]:
    return every[0], active[0], every[1], every[1] - active[1]


def container(context: Context, spec: ContainerSpec) -> ContainerUsage:
    """What one container takes."""
    directory = context.paths.container(spec.id)
    logs = allocated(f"{directory}/logs")
    return ContainerUsage(
        spec.id,
        spec.name,
        spec.image,
        " ".join(spec.argv),
        spec.created,
        status.is_alive(context.paths, spec.id),
        sum(mount.type == "volume" for mount in spec.mounts),
        allocated(directory) - logs,
        logs,
    )


def users(specs: list[ContainerSpec], volume: str) -> tuple[str, ...]:
    """The names of the containers that mount a volume."""
    return tuple(
        spec.name for spec in specs if any(mount.type == "volume" and mount.source == volume for mount in spec.mounts)
    )


def whole(context: Context) -> int:
    """Bytes of all blobs and parts of such, layers, containers, volumes; not of the directories that hold them."""
    counter = Counter()
    paths = context.paths
    for directory in (
        f"{paths.oci}/blobs/sha256",
        f"{paths.oci}/partial",
        paths.layers,
        paths.containers,
        paths.volumes,
    ):
        if os.path.isdir(directory):
            for name in os.listdir(directory):
                counter.add(f"{directory}/{name}")
    return counter.allocated
