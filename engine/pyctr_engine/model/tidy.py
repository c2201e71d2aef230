"""What takes room on the disk, and what was removed to make some. Sizes are allocated bytes, each inode once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from pyctr_engine.model.host import Finding
from pyctr_engine.record import dataclass, field

UsageType = Literal["Images", "Layers", "Blobs", "Containers", "Logs", "Local Volumes"]


@dataclass(frozen=True, slots=True)
class Usage:
    """One line of `system df`.

    Images are their layers (unpacked) and their blobs (as they came): those two lines are parts of the first.
    Containers are what they wrote, without their logs, which have a line of their own.

    Attributes:
        total: How many there are.
        active: How many of them a container needs; of containers, how many run.
        size: Bytes.
        reclaimable: Bytes of those that are not active.
    """

    type: UsageType
    total: int
    active: int
    size: int
    reclaimable: int


@dataclass(frozen=True, slots=True)
class ImageUsage:
    """One image; ``size`` is ``shared`` (with other images) and ``unique`` together.

    Attributes:
        names: Familiar references; empty for an unnamed image.
        created: Seconds since the epoch, or ``None``.
        layers, blobs: The two parts of ``size``.
        containers: How many were made from it.
    """

    id: str
    names: tuple[str, ...]
    created: float | None
    size: int
    shared: int
    unique: int
    layers: int
    blobs: int
    containers: int


@dataclass(frozen=True, slots=True)
class LayerUsage:
    """One unpacked layer.

    Attributes:
        chain_id: Hex.
        entries: Files, directories and so on.
        images: Ids of the images that have it; empty for one that nothing refers to.
    """

    chain_id: str
    size: int
    entries: int
    images: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ContainerUsage:
    """One container: what it wrote, and its logs. ``volumes`` is how many it mounts."""

    id: str
    name: str
    image: str
    command: str
    created: float
    is_alive: bool
    volumes: int
    size: int
    logs: int


@dataclass(frozen=True, slots=True)
class VolumeUsage:
    """One volume; ``containers`` are the names of those that mount it."""

    name: str
    size: int
    containers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DiskUsage:
    """Everything under the state directory that may grow.

    Attributes:
        unreferenced: Bytes of blobs and layers that nothing refers to; they are in ``totals`` as reclaimable.
    """

    totals: tuple[Usage, ...]
    images: tuple[ImageUsage, ...]
    layers: tuple[LayerUsage, ...]
    containers: tuple[ContainerUsage, ...]
    volumes: tuple[VolumeUsage, ...]
    unreferenced: int


@dataclass(frozen=True, slots=True)
class RemovedVolume:
    """A volume of containers that are to be removed.

    Attributes:
        unnamed: Whether nobody gave it its name: ``rm -v`` takes only those.
        others: Names of the containers that keep it.
    """

    name: str
    size: int
    unnamed: bool
    others: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Removal:
    """What removing containers or images would take.

    Attributes:
        containers: Those asked for.
        volumes: What they mount.
        images: Those asked for.
        bytes: Given back by removing the containers with their logs, or the images with the blobs and layers that
            nothing needs then; without any volume.
    """

    containers: tuple[ContainerUsage, ...]
    volumes: tuple[RemovedVolume, ...]
    images: tuple[ImageUsage, ...]
    bytes: int


@dataclass(frozen=True, slots=True)
class PruneRequest:
    """What may go.

    Attributes:
        containers: Those that don't run.
        images: Those without a name that no container uses, and blobs and layers that nothing refers to;
            with ``all_images`` named ones too.
        volumes: Unnamed ones that no container mounts; with ``all_volumes`` named ones too.
        until: Only what was created before, seconds since the epoch (volumes: as well).
        labels: ``key`` or ``key=value``: only what has all of them.
        not_labels: The same: only what has none of them.
        dry_run: Only tell.
    """

    containers: bool = False
    images: bool = False
    all_images: bool = False
    volumes: bool = False
    all_volumes: bool = False
    until: float | None = None
    labels: tuple[str, ...] = ()
    not_labels: tuple[str, ...] = ()
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Pruned:
    """What went, or would.

    Attributes:
        containers, volumes: Ids, and names.
        images: ``untagged: NAME`` and ``deleted: ID`` lines, as docker writes them.
        layers, blobs: Chain ids (hex) and digests that nothing referred to then.
        reclaimed: Bytes given back: of what is listed here, whatever else happened meanwhile.
        before, after: Bytes of all blobs, layers, containers and volumes before it and after it.
        notes: What was left, and why; a sentence each.
    """

    containers: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    blobs: tuple[str, ...] = ()
    reclaimed: int = 0
    before: int = 0
    after: int = 0
    notes: tuple[str, ...] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True)
class Repair:
    """One thing that `system check --repair` did (``done``), or could not do and why."""

    subject: str
    detail: str
    done: bool = True


@dataclass(frozen=True, slots=True)
class Problem:
    """What a check found, and how to mend it, if we can: ``mend`` tells what it did, or why it could not."""

    finding: Finding
    mend: Callable[[], Repair] | None = None
