"""What is in images, layers, checkpoints and containers, and how they differ.

Paths are absolute inside; bytes that aren't UTF-8 are surrogate escapes, and nothing is safe to print as it is.
"""

from __future__ import annotations

from typing import Literal, Protocol

from pyctr_engine.model.image import ChangeKind, FileType
from pyctr_engine.record import dataclass

Aspect = Literal["type", "mode", "owner", "contents", "target", "device", "attributes"]
"""What differs between two files of one path. Times alone are no difference."""


VOLUME = "volume://"
"""What a reference to a volume begins with: no container's and no image's can."""


@dataclass(frozen=True, slots=True)
class FileState:
    """A file, directory or whatever it is.

    Attributes:
        mode: Permission bits.
        size: Bytes of a regular file, else 0; in a layer 0 too for a further name of a file (a hard link).
        mtime: Nanoseconds since the epoch.
        target: What a symlink holds, or the first name of a hard link.
    """

    type: FileType
    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    target: str = ""


@dataclass(frozen=True, slots=True)
class TreeEntry:
    """One path of an image's state; ``layer`` is the number of the layer that it comes from, the lowest is 1."""

    path: str
    layer: int
    state: FileState


@dataclass(frozen=True, slots=True)
class LayerChange:
    """What one layer does to one path: Added, Changed or Deleted.

    ``state`` is as the layer leaves it, for a deletion as it was; ``replaces`` is the layer that it was from, or 0.
    """

    path: str
    layer: int
    kind: ChangeKind
    state: FileState
    replaces: int = 0


@dataclass(frozen=True, slots=True)
class StateEntry:
    """One path of a state that is looked at directory by directory, with what all in it comes to.

    Attributes:
        layer: The number of the layer that it comes from; of what was deleted, of the one that did it.
        kind: What the state's highest layer did to it, if that is marked: added, changed, deleted; or ``None``.
        state: As it is; of what was deleted, as it was.
        size: Bytes of it and of all files in it; of what was deleted, as it was.
        paths: How many are in it, those in its directories too.
        changed: Bytes of it and those in it that were added or changed.
        changes: How many in it were added, changed or deleted.
        entries: How many are directly in it, or were, at most.
        merged, merged_before: The layers that a directory is merged from, in this state and in the one before it.
    """

    path: str
    layer: int
    kind: ChangeKind | None
    state: FileState
    size: int
    paths: int = 0
    changed: int = 0
    changes: int = 0
    entries: int = 0
    merged: tuple[int, ...] = ()
    merged_before: tuple[int, ...] = ()


class State(Protocol):
    """A state of an image, directory by directory. May be asked by several threads."""

    @property
    def root(self) -> StateEntry:
        """The top."""

    def inside(self, entry: StateEntry) -> tuple[StateEntry, ...]:
        """What is directly in a directory of it, or was, sorted by name; nothing if it is none."""


@dataclass(frozen=True, slots=True)
class Waste:
    """A path that several layers hold: ``bytes`` of all its versions together, as dive counts."""

    path: str
    count: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Efficiency:
    """How much of what an image holds is seen in it, by dive's definition.

    Attributes:
        score: 0 to 1: of each path the smallest version, summed, by all versions summed.
        wasted: Bytes of all versions of the paths in ``paths``.
        share: ``wasted`` by the size of all layers but the lowest; 0 without any.
        paths: Those that more than one layer holds or deletes, the most bytes first.
    """

    score: float
    wasted: int
    share: float
    paths: tuple[Waste, ...]


@dataclass(frozen=True, slots=True)
class FileDifference:
    """One path that differs between two trees: Added in the second, Deleted from it, or Changed.

    ``what`` says in which ways it changed; ``before`` and ``after`` are ``None`` where it isn't.
    """

    path: str
    kind: ChangeKind
    what: tuple[Aspect, ...]
    before: FileState | None
    after: FileState | None


@dataclass(frozen=True, slots=True)
class DirectoryEntry:
    """One name in a directory that is browsed."""

    name: str
    state: FileState


@dataclass(frozen=True, slots=True)
class Directory:
    """What is in a directory; ``more`` when there is more than was asked for."""

    path: str
    entries: tuple[DirectoryEntry, ...]
    more: bool
