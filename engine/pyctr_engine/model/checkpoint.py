"""Checkpoints of a container's file system, as they are listed."""

from __future__ import annotations

from pyctr_engine.record import dataclass


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A state of a container's file system that can be gone back to.

    Attributes:
        name: Unique in its container.
        created: Seconds since the epoch.
        size: Bytes of files that it holds for itself.
        parent: The checkpoint that the container's state began from when this one was taken, or empty.
        current: Whether the container's present state began from it.
    """

    name: str
    created: float
    message: str
    size: int
    parent: str
    current: bool


@dataclass(frozen=True, slots=True)
class Since:
    """How a container's files differ from one of its checkpoints: what going back to it would undo.

    Attributes:
        added, changed, deleted: How many paths, as they are now against then.
        bytes: Of the files that were added or changed: what would be lost.
        paths: The first few, raw.
    """

    added: int
    changed: int
    deleted: int
    bytes: int
    paths: tuple[str, ...]
