"""Images and layers as they are listed, and what changed in a file system."""

from __future__ import annotations

from typing import Literal

from pyctr_engine.record import dataclass

ChangeKind = Literal["A", "C", "D"]
FileType = Literal["file", "directory", "symlink", "device", "fifo", "socket"]
ArchiveFormat = Literal["", "oci", "docker"]
"""What `save` writes: ``oci`` without what docker needs, ``docker``'s own form alone; empty: one that both load."""


@dataclass(frozen=True, slots=True)
class ImageSummary:
    """One image.

    Attributes:
        id: ``sha256:…``, the digest of its config.
        names: Familiar references with tag (``nginx:1.27``), sorted; empty for an unnamed image.
        created: Seconds since the epoch; ``None`` when the config says nothing.
        size: Bytes of its layers, unpacked.
        layers: How many layers it has.
        digest: ``sha256:…`` of its manifest.
        used_by: Ids of the containers made from it.
    """

    id: str
    names: tuple[str, ...]
    created: float | None
    size: int
    layers: int
    digest: str
    used_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LayerInfo:
    """One step of an image's history, lowest first.

    Attributes:
        diff_id, digest, chain_id: ``sha256:…``; empty strings for a step that added no layer.
        size: Bytes unpacked; ``blob_size`` as stored.
        created_by: The command that made it.
        created: Seconds since the epoch, or ``None``.
        empty: Whether the step changed only the config.
        number: Of the layer, the lowest is 1; 0 for a step that added none.
        files: Entries of the layer; 0 while it isn't unpacked.
        shared_with: Names (or short ids) of the other images that have the same layer in the same place, sorted.
    """

    diff_id: str
    digest: str
    chain_id: str
    size: int
    blob_size: int
    created_by: str
    created: float | None
    comment: str = ""
    author: str = ""
    empty: bool = False
    number: int = 0
    files: int = 0
    shared_with: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """One path that differs from the image.

    Attributes:
        path: Absolute inside the container; bytes that aren't UTF-8 as surrogate escapes.
        kind: Added, Changed or Deleted.
        size: Bytes it would add to a layer; 0 for anything but a regular file.
        file_type: What it is now; ``file`` for a deletion.
    """

    path: str
    kind: ChangeKind
    size: int = 0
    file_type: FileType = "file"
