"""Many layers read side by side, path by path, in bounded memory: what is seen after which, and what each one does.

Layers are numbered from 1, the lowest. Everything is told from their indexes alone; see `index`.
"""

from __future__ import annotations

import heapq
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from pyctr_engine.images import index
from pyctr_engine.images.index import DIRECTORY, LINK, WHITEOUT, Entry
from pyctr_engine.model.explore import Efficiency, FileState, LayerChange, TreeEntry, Waste
from pyctr_engine.model.image import FileType

_TYPES: tuple[FileType, ...] = ("file", "directory", "symlink", "fifo", "device", "socket", "file")


class Path(NamedTuple):
    """One path in all layers.

    Attributes:
        versions: What layers hold of it, by number, ascending.
        cuts: Numbers of layers that hide, by what they hold above it, all that lower ones hold of it.
        inner: The same for what is inside.
    """

    path: bytes
    versions: tuple[tuple[int, Entry], ...]
    cuts: tuple[int, ...]
    inner: tuple[int, ...]

    def seen(self, number: int) -> tuple[int, Entry] | None:
        """What is there after layer ``number``, and from which layer it comes."""
        from_on = max((cut for cut in self.cuts if cut <= number), default=0)
        for layer, entry in reversed(self.versions):
            if layer <= number:
                return (layer, entry) if layer >= from_on and entry.kind != WHITEOUT else None
        return None


def paths(layers: Sequence[str], root_cuts: Sequence[int] = ()) -> Iterator[Path]:
    """All paths of the layer directories ``layers`` (lowest first), in the order of a walk.

    ``root_cuts`` are the layers whose root hides all below.
    """
    streams = [_stream(layer, number) for number, layer in enumerate(layers, 1)]
    above: list[Path] = []
    for _order, group in itertools.groupby(heapq.merge(*streams), key=lambda item: item[0]):
        versions = tuple((number, entry) for _, number, entry in group)
        path = versions[0][1].path
        while above and not path.startswith(above[-1].path + b"/"):
            above.pop()
        cuts = above[-1].inner if above else tuple(root_cuts)
        own = tuple(number for number, entry in versions if entry.kind != DIRECTORY or entry.opaque)
        found = Path(path, versions, cuts, tuple(sorted({*cuts, *own})) if own else cuts)
        yield found
        above.append(found)


def _stream(layer: str, number: int) -> Iterator[tuple[bytes, int, Entry]]:
    return ((index.order(entry.path), number, entry) for entry in index.read(layer))


def tree(found: Iterator[Path], number: int) -> Iterator[TreeEntry]:
    """The state after layer ``number``."""
    for path in found:
        seen = path.seen(number)
        if seen is not None:
            yield TreeEntry(shown(path.path), seen[0], state(seen[1]))


def changes(found: Iterator[Path], number: int) -> Iterator[LayerChange]:
    """What layer ``number`` adds, changes and deletes; of what is deleted with all in it, the top alone.

    A directory that is as it was is no change.
    """
    gone = b""
    for path in found:
        change = _change(path, number)
        if change is None:
            continue
        if change.kind == "D":
            if gone and path.path.startswith(gone):
                continue
            gone = path.path + b"/"
        yield change


def _change(path: Path, number: int) -> LayerChange | None:
    before, after = path.seen(number - 1), path.seen(number)
    if after is None:
        if before is None:
            return None
        return LayerChange(shown(path.path), number, "D", state(before[1]), before[0])
    if after[0] != number:
        return None
    if before is None:
        return LayerChange(shown(path.path), number, "A", state(after[1]))
    if after[1].kind == before[1].kind == DIRECTORY and after[1][2:5] == before[1][2:5] and not after[1].opaque:
        return None
    return LayerChange(shown(path.path), number, "C", state(after[1]), before[0])


def versions(found: Iterator[Path], wanted: bytes, last: int) -> list[LayerChange]:
    """Every version of one path in the layers up to ``last``, lowest first, deletions too."""
    for path in found:
        if path.path == wanted:
            numbers = sorted({number for number, _ in path.versions} | set(path.cuts))
            told = (_change(path, number) for number in numbers if number <= last)
            return [change for change in told if change is not None]
    return []


def efficiency(found: Iterator[Path], total: int) -> Efficiency:
    """By dive's definition; ``total`` is the size of all layers but the lowest.

    Each layer's files count at their paths with their size, a deletion with the size of all that it takes away if
    that was a directory, and with nothing if it was a file. Hard links and directories count nothing.
    """
    smallest = everything = 0
    wasted: list[Waste] = []
    open_: list[_Deletion] = []

    def close(path: bytes | None) -> None:
        nonlocal smallest, everything
        while open_ and (path is None or not path.startswith(open_[-1].path + b"/")):
            done = open_.pop()
            smallest += min(done.sizes)
            everything += sum(done.sizes)
            if len(done.sizes) > 1:
                wasted.append(Waste(shown(done.path), len(done.sizes), sum(done.sizes)))

    for path in found:
        close(path.path)
        for deletion in open_:
            for at, number in deletion.layers:
                seen = path.seen(number - 1)
                if seen is not None:
                    deletion.sizes[at] += seen[1].size
        sizes = [(number, entry) for number, entry in path.versions if entry.kind != DIRECTORY]
        if not sizes:
            continue
        layers = []
        for at, (number, entry) in enumerate(sizes):
            before = path.seen(number - 1) if entry.kind == WHITEOUT else None
            if before is not None and before[1].kind == DIRECTORY:
                layers.append((at, number))
        open_.append(_Deletion(path.path, [entry.size for _, entry in sizes], layers))
    close(None)
    wasted.sort(key=lambda waste: (-waste.bytes, waste.path))
    lost = sum(waste.bytes for waste in wasted)
    score = smallest / everything if everything else 1.0
    return Efficiency(score, lost, lost / total if total else 0.0, tuple(wasted))


class _Deletion(NamedTuple):
    """A path whose sizes are known when what is inside of it has been seen."""

    path: bytes
    sizes: list[int]
    layers: list[tuple[int, int]]


def state(entry: Entry) -> FileState:
    """An entry as it is shown."""
    return FileState(
        _TYPES[entry.kind],
        entry.mode,
        entry.uid,
        entry.gid,
        entry.size,
        entry.mtime,
        shown(entry.target) if entry.kind == LINK else os.fsdecode(entry.target),
    )


def shown(path: bytes) -> str:
    """Absolute, as text."""
    return "/" + os.fsdecode(path)


def below(path: bytes) -> Callable[[Path], bool]:
    """Whether something is at a path or inside of it; empty is the root."""
    inside = path + b"/"
    return lambda found: not path or found.path == path or found.path.startswith(inside)
