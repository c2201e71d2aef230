"""Many layers seen as one, directory by directory: what is there after which layer, and what each one does.

Layers are numbered from 1, the lowest. Everything is told from their indexes alone; see `index`. A directory that one
layer alone holds is not gone into for what it comes to: the index knows that.
"""

from __future__ import annotations

import os
from collections.abc import Container, Iterator, Sequence
from typing import NamedTuple

from pyctr_engine.images.index import DIRECTORY, LINK, WHITEOUT, Entry, Index
from pyctr_engine.model.explore import Efficiency, FileState, LayerChange, Waste
from pyctr_engine.model.image import ChangeKind, FileType

_TYPES: tuple[FileType, ...] = ("file", "directory", "symlink", "fifo", "device", "socket", "file")

Held = tuple[int, Entry]
"""What a layer, by its number, holds of a path."""


class Inside(NamedTuple):
    """What is in a directory: which layers are merged there, ascending, in a state and in the one before it."""

    path: bytes
    now: tuple[int, ...]
    before: tuple[int, ...]


class Found(NamedTuple):
    """A path that is in a state or in the one before it, and which layers it is from."""

    path: bytes
    now: Held | None
    before: Held | None
    inside: Inside

    @property
    def kind(self) -> ChangeKind | None:
        """How it changed; a directory that is as it was did not."""
        now, before = self.now, self.before
        if now is None:
            return "D"
        if before is None:
            return "A"
        if now[0] == before[0]:
            return None
        same = now[1].kind == before[1].kind == DIRECTORY and now[1][2:5] == before[1][2:5] and not now[1].opaque
        return None if same else "C"


class Sum(NamedTuple):
    """What all in a directory comes to.

    Attributes:
        size: Bytes of the files that are there.
        paths: How many there are; of what was deleted with all in it, the top alone.
        changed: Bytes of those that were added or changed.
        changes: How many were added, changed or deleted.
    """

    size: int
    paths: int
    changed: int
    changes: int


_NOTHING = Sum(0, 0, 0, 0)


class Layers:
    """The layers of an image, lowest first; those in ``opaque`` hide all below them, from their root on."""

    def __init__(self, indexes: Sequence[Index], opaque: Sequence[int] = ()) -> None:
        self.indexes = indexes
        self.opaque = tuple(opaque)

    def held(self, path: bytes, numbers: Sequence[int]) -> list[list[Held]]:
        """What layers hold directly in a directory: a list for each path, sorted, lowest layer first."""
        found: dict[bytes, list[Held]] = {}
        for number in numbers:
            for entry in self.indexes[number - 1].inside(path):
                if entry.path in found:
                    found[entry.path].append((number, entry))
                else:
                    found[entry.path] = [(number, entry)]
        return [found[path] for path in sorted(found)]

    def after(self, number: int) -> tuple[int, ...]:
        """The layers that are merged in the root after layer ``number``."""
        return tuple(range(_from(self.opaque, number), number + 1))


def _from(cuts: Sequence[int], number: int) -> int:
    """The lowest layer that is seen after layer ``number``, where layers ``cuts`` hide what is below them."""
    return max((cut for cut in cuts if cut <= number), default=1)


def _cuts(held: Sequence[Held]) -> list[int]:
    """The layers that hide, by what they hold of a path, all that lower ones hold in it."""
    return [number for number, entry in held if entry.kind != DIRECTORY or entry.opaque]


def _seen(held: Sequence[Held], merged: Container[int]) -> tuple[Held | None, tuple[int, ...]]:
    """What is seen of a path where ``merged`` are merged; if it is a directory, with those that are merged in it."""
    top: Held | None = None
    inner: list[int] = []
    for number, entry in reversed(held):
        if number not in merged:
            continue
        if entry.kind != DIRECTORY:
            return top or ((number, entry) if entry.kind != WHITEOUT else None), tuple(reversed(inner))
        top = top or (number, entry)
        inner.append(number)
        if entry.opaque:
            break
    return top, tuple(reversed(inner))


class State:
    """What is there after layer ``number``, and unless not ``marked``, what that layer changed."""

    def __init__(self, layers: Layers, number: int, marked: bool = True) -> None:
        self._layers = layers
        now = layers.after(number)
        self.root = Inside(b"", now, layers.after(number - 1) if marked else now)
        self._sums: dict[Inside, Sum] = {}

    def inside(self, place: Inside) -> Iterator[Found]:
        """What is directly in a directory, or was, sorted by name."""
        path, now, before = place
        if len(now or before) == 1 and (now == before or not before or not now):
            yield from self._alone(path, bool(now), bool(before), (now or before)[0])
            return
        for held in self._layers.held(path, sorted({*now, *before})):
            seen = _seen(held, now)
            was = seen if now == before else _seen(held, before)
            if seen[0] or was[0]:
                own = held[0][1].path
                yield Found(own, seen[0], was[0], Inside(own, seen[1], was[1]))

    def _alone(self, path: bytes, now: bool, before: bool, number: int) -> Iterator[Found]:
        """The same where one layer alone has a part in it."""
        this = (number,)
        for entry in self._layers.indexes[number - 1].inside(path):
            if entry.kind != WHITEOUT:
                own, held = entry.path, (number, entry)
                inner = this if entry.kind == DIRECTORY else ()
                inside = Inside(own, inner if now else (), inner if before else ())
                yield Found(own, held if now else None, held if before else None, inside)

    def sum(self, place: Inside) -> Sum:
        """What all in a directory comes to."""
        path, now, before = place
        if not now and not before:
            return _NOTHING
        if len(now) == 1 and (now == before or not before):
            _, _, size, paths, _ = self._layers.indexes[now[0] - 1].directories[path]
            return Sum(size, paths, 0, 0) if before else Sum(size, paths, size, paths)
        known = self._sums.get(place)
        if known is None:
            known = self._sums[place] = self._add_up(place)
        return known

    def entries(self, place: Inside) -> int:
        """How many paths are directly in a directory, or were, at most."""
        path, now, before = place
        return sum(self._layers.indexes[number - 1].directories[path].entries for number in {*now, *before})

    def _add_up(self, place: Inside) -> Sum:
        size = paths = changed = changes = 0
        for found in self.inside(place):
            paths += 1
            kind = found.kind
            if kind is not None:
                changes += 1
                if kind == "D":
                    continue
            assert found.now is not None
            own = found.now[1].size
            inner = self.sum(found.inside)
            size += own + inner.size
            paths += inner.paths
            changed += inner.changed + (own if kind else 0)
            changes += inner.changes
        return Sum(size, paths, changed, changes)

    def find(self, path: bytes) -> Found | None:
        """One path."""
        place = self.root
        found: Found | None = None
        parts = path.split(b"/")
        for depth in range(len(parts)):
            own = b"/".join(parts[: depth + 1])
            found = next((one for one in self.inside(place) if one.path == own), None)
            if found is None:
                return None
            place = found.inside
        return found

    def walk(self, path: bytes = b"", changed_only: bool = False) -> Iterator[Found]:
        """All at and below a path, in the order of a walk; of what was deleted with all in it, the top alone."""
        if path:
            found = self.find(path)
            if found is None:
                return
            yield found
            if found.now is None:
                return
            place = found.inside
        else:
            place = self.root
        open_ = [self.inside(place)]
        while open_:
            found = next(open_[-1], None)
            if found is None:
                open_.pop()
                continue
            yield found
            _, now, before = found.inside
            if found.now is not None and (now or before) and not (changed_only and now == before):
                open_.append(self.inside(found.inside))


def change(found: Found, number: int) -> LayerChange | None:
    """What layer ``number`` does to a path."""
    kind, now, before = found.kind, found.now, found.before
    if kind is None:
        return None
    if now is None:
        assert before is not None
        return LayerChange(shown(found.path), number, kind, state(before[1]), before[0])
    return LayerChange(shown(found.path), number, kind, state(now[1]), before[0] if before else 0)


def versions(layers: Layers, wanted: bytes, last: int) -> list[LayerChange]:
    """Every version of one path in the layers up to ``last``, lowest first, deletions too."""
    cuts = set(layers.opaque)
    held: list[Held] = []
    parts = wanted.split(b"/")
    for depth in range(len(parts)):
        cuts.update(_cuts(held))
        path = b"/".join(parts[: depth + 1])
        entries = ((number, index.find(path)) for number, index in enumerate(layers.indexes, 1))
        held = [(number, entry) for number, entry in entries if entry is not None]
    if not held:
        return []
    told = []
    for number in sorted({*cuts, *(number for number, _ in held)}):
        if number <= last:
            now, before = (_seen(held, range(_from(tuple(cuts), at), at + 1))[0] for at in (number, number - 1))
            if now or before:
                told.append(change(Found(wanted, now, before, Inside(wanted, (), ())), number))
    return [one for one in told if one is not None]


def efficiency(layers: Layers, total: int) -> Efficiency:
    """By dive's definition; ``total`` is the size of all layers but the lowest.

    Each layer's files count at their paths with their size, a deletion with the size of all that it takes away if
    that was a directory, and with nothing if it was a file. Hard links and directories count nothing.
    """
    count = _Efficiency(layers)
    count.look(b"", tuple(range(1, len(layers.indexes) + 1)), layers.opaque)
    count.wasted.sort(key=lambda waste: (-waste.bytes, waste.path))
    lost = sum(waste.bytes for waste in count.wasted)
    score = count.smallest / count.everything if count.everything else 1.0
    return Efficiency(score, lost, lost / total if total else 0.0, tuple(count.wasted))


class _Efficiency:
    """Counts, of each path that layers hold, the smallest version and all of them."""

    def __init__(self, layers: Layers) -> None:
        self.smallest = self.everything = 0
        self.wasted: list[Waste] = []
        self._layers = layers
        self._state = State(layers, len(layers.indexes))

    def look(self, path: bytes, holders: tuple[int, ...], cuts: tuple[int, ...]) -> None:
        """Count what is in a directory that layers ``holders`` hold; ``cuts`` hide what is below them."""
        if len(holders) == 1:
            size = self._layers.indexes[holders[0] - 1].directories[path].size
            self.smallest += size
            self.everything += size
            return
        for held in self._layers.held(path, holders):
            own = held[0][1].path
            if sizes := [self._size(held, at, cuts) for at, (_, entry) in enumerate(held) if entry.kind != DIRECTORY]:
                self.smallest += min(sizes)
                self.everything += sum(sizes)
                if len(sizes) > 1:
                    self.wasted.append(Waste(shown(own), len(sizes), sum(sizes)))
            if inner := tuple(number for number, entry in held if entry.kind == DIRECTORY):
                self.look(own, inner, tuple(sorted({*cuts, *_cuts(held)})))

    def _size(self, held: Sequence[Held], at: int, cuts: Sequence[int]) -> int:
        number, entry = held[at]
        if entry.kind != WHITEOUT:
            return entry.size
        gone, merged = _seen(held[:at], range(_from(cuts, number - 1), number))
        return self._state.sum(Inside(entry.path, merged, merged)).size if gone and merged else 0


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
