"""What the explorer asks the engine, in a thread: strata, trees, waste, files, and how two states differ."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from pyctr_engine.errors import NotFound
from pyctr_engine.record import dataclass
from pyctr_tui.explorer import tree
from pyctr_tui.safe_text import safe
from pyctr_tui.view import made_by

if TYPE_CHECKING:
    from pyctr_engine.engine import Engine
    from pyctr_engine.model.explore import FileDifference, FileState
    from pyctr_engine.model.image import Change

MOST_BYTES = 4 << 20
"""Of a file that is looked at."""
MOST_DIFFERENCES = 100_000
EVERY = 1 << 30
"""Names in a directory: all of them."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is explored: an image, or a container with the image that it was made from.

    Attributes:
        ref: For the engine: the container's id, or the image's.
        image, image_name: The image's id, and what people call it.
        container: Whether ``ref`` is a container.
    """

    name: str
    ref: str
    image: str
    image_name: str
    container: bool

    def state(self, number: int, layers: int) -> str:
        """What the engine calls the state after a layer; the container's own lies above the highest."""
        return self.ref if number > layers else f"{self.image}@{number}"


@dataclass(frozen=True, slots=True)
class Stratum:
    """One layer with files; a container's own changes are the topmost. ``size`` is ``None`` until it is known."""

    number: int
    size: int | None
    files: int
    made_by: str
    shared_with: tuple[str, ...] = ()
    live: bool = False


@dataclass(frozen=True, slots=True)
class Wasted:
    """A path that several layers hold."""

    path: str
    raw: str
    count: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Waste:
    """How well the layers are used: ``score`` 0 to 1, bytes wasted, and where."""

    score: float
    wasted: int
    paths: tuple[Wasted, ...]


def strata(engine: Engine, subject: Subject) -> tuple[Stratum, ...]:
    """All layers of the subject's image, topmost first, and for a container one more."""
    steps = [step for step in engine.layers(subject.image) if not step.empty]
    layers = [
        Stratum(
            step.number,
            step.size,
            step.files,
            made_by(safe(" ".join(step.created_by.split())) or safe(step.comment)),
            tuple(map(safe, step.shared_with)),
        )
        for step in steps
    ]
    if subject.container:
        layers.append(Stratum(len(layers) + 1, None, 0, "not committed", live=True))
    return tuple(reversed(layers))


def waste(engine: Engine, subject: Subject) -> Waste:
    """What the subject's image wastes."""
    found = engine.explore.efficiency(subject.image)
    paths = tuple(Wasted(safe(one.path), one.path, one.count, one.bytes) for one in found.paths)
    return Waste(found.score, found.wasted, paths)


def files(engine: Engine, subject: Subject, number: int, layers: int, whole: bool) -> tree.Tree:
    """The whole state after a layer, with what that layer did marked; or only what it did."""
    if number > layers:
        below = engine.explore.state(subject.image, marked=False) if whole else None
        return tree.with_live(below, engine.changes(subject.ref), number)
    return tree.Tree(engine.explore.state(f"{subject.image}@{number}"), whole)


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a path: which layer does what to it. ``number`` is above all layers for the container's own."""

    number: int
    kind: str
    size: int
    mode: int
    owner: str
    target: str


def versions(engine: Engine, subject: Subject, path: str, layers: int) -> tuple[Version, ...]:
    """Every version of a path, lowest layer first; of a container its own is the last. Raises NotFound."""
    try:
        found = [_version(one.layer, one.kind, one.state) for one in engine.explore.versions(subject.image, path)]
    except NotFound:
        if not subject.container:
            raise
        found = []
    if subject.container:
        own = next((change for change in engine.changes(subject.ref) if change.path == path), None)
        if own is not None:
            found.append(_own_version(engine, subject.ref, own, layers + 1))
    if not found:
        raise NotFound(f"neither a layer nor {subject.name} itself holds {path}", "it was deleted meanwhile")
    return tuple(found)


def _version(number: int, kind: str, state: FileState) -> Version:
    return Version(number, kind, state.size, state.mode, f"{state.uid}:{state.gid}", safe(state.target))


def _own_version(engine: Engine, ref: str, change: Change, number: int) -> Version:
    above, _, name = change.path.rpartition("/")
    if change.kind != "D":
        for entry in engine.explore.directory(ref, above or "/", EVERY).entries:
            if entry.name == name:
                return _version(number, change.kind, entry.state)
    return Version(number, "D", 0, 0, "", "")  # also what has gone since it was listed


def contents(engine: Engine, ref: str, path: str) -> tuple[bytes, bool]:
    """The first `MOST_BYTES` of a file, and whether that is all. Raises NotFound, InvalidValue."""
    data = bytearray()
    for piece in engine.explore.read(ref, path):
        data += piece
        if len(data) > MOST_BYTES:
            return bytes(data[:MOST_BYTES]), False
    return bytes(data), True


@dataclass(frozen=True, slots=True)
class Differences:
    """What differs from one state to another, as a tree; ``all_told`` unless there were too many."""

    one: str
    other: str
    tree: tree.Tree
    told: dict[str, str]
    all_told: bool


def compare(engine: Engine, one: str, other: str) -> Differences:
    """Compare two states by the engine's references. Raises NotFound."""
    found = tree.Tree()
    told: dict[str, str] = {}
    differences = engine.explore.compare(one, other)
    for difference in itertools.islice(differences, MOST_DIFFERENCES):
        before, after = difference.before, difference.after
        shown = after or before
        if shown is not None:
            size, was = after.size if after else 0, before.size if before else 0
            found.mark(
                difference.path, difference.kind, shown.type, size or was, target=shown.target, growth=size - was
            )
            told[difference.path] = how(difference)
    rest = next(iter(differences), None)
    return Differences(one, other, found, told, rest is None)


def how(difference: FileDifference) -> str:
    """In which ways a path changed: ``mode 644 to 600, contents``."""
    before, after = difference.before, difference.after
    if before is None or after is None:
        return ""
    told = {
        "type": f"{before.type} to {after.type}",
        "mode": f"mode {before.mode:o} to {after.mode:o}",
        "owner": f"owner {before.uid}:{before.gid} to {after.uid}:{after.gid}",
        "target": f"to {safe(after.target)}",
    }
    return ", ".join(told.get(what, what) for what in difference.what)
