"""A tree of files as the layer explorer shows it: read directory by directory as they are opened, sorted, filtered.

What lies under it, if anything, is a state of an image, which knows what each directory comes to; on top of it are
changes: a container's, or what differs between two states.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Set
from typing import TYPE_CHECKING

from pyctr_engine.record import dataclass
from pyctr_tui.safe_text import safe

if TYPE_CHECKING:
    from pyctr_engine.model.explore import State, StateEntry
    from pyctr_engine.model.image import Change

SORTS = ("name", "size", "growth")


class Node:
    """One path.

    Attributes:
        name: Made harmless; ``path`` is the raw one, for the engine.
        size: Bytes of it and all below it, of regular files; of a deleted one what it was.
        layer: Number of the layer that it comes from; 0 where that isn't known.
        kind: ``A``, ``C`` or ``D`` when it is a change; of a directory also when something below it is (``c``).
        growth: Bytes since the tree was first looked at.
        below: How many paths are below it.
        entry: What the state knows of it, while what is directly in it has not been read.
    """

    __slots__ = (
        "below",
        "children",
        "entry",
        "growth",
        "kind",
        "layer",
        "name",
        "parent",
        "path",
        "size",
        "target",
        "type",
    )

    def __init__(self, path: str, name: str, parent: Node | None) -> None:
        self.path = path
        self.name = name
        self.parent = parent
        self.children: dict[str, Node] = {}
        self.entry: StateEntry | None = None
        self.below = 0
        self.size = 0
        self.layer = 0
        self.kind = ""
        self.type = "directory"
        self.target = ""
        self.growth = 0

    @property
    def is_directory(self) -> bool:
        """Whether it may have others below it."""
        return self.type == "directory"

    @property
    def holds(self) -> bool:
        """Whether it has others below it."""
        return self.below > 0

    def above(self) -> Iterator[Node]:
        """The directories that it is in, up to the root."""
        node = self.parent
        while node is not None:
            yield node
            node = node.parent


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the tree."""

    node: Node
    depth: int
    is_open: bool


class Tree:
    """Files of one state. May be read by several threads, and changed by one before others have it.

    Attributes:
        by_path: The nodes that there are by now.
        changes: How many paths were added, changed or deleted; of what was deleted with all in it, the top alone.
        changed: Bytes of the files that were added or changed.
        marked: What `mark` was told.
    """

    def __init__(self, state: State | None = None, whole: bool = True) -> None:
        """On top of a state, or of nothing; unless ``whole``, only of what changed in it."""
        self.root = Node("/", "/", None)
        self.by_path: dict[str, Node] = {"/": self.root}
        self.changes = self.changed = 0
        self.marked: dict[str, Node] = {}
        self._state, self._whole = state, whole
        self._lock = threading.Lock()
        if state is not None:
            entry = state.root
            self._tell(self.root, entry)
            self.changes, self.changed = entry.changes, entry.changed

    def _tell(self, node: Node, entry: StateEntry) -> None:
        """Let a node be what the state knows of it."""
        whole = self._whole
        node.type, node.target = entry.state.type, safe(entry.state.target)
        node.kind = entry.kind or ("c" if entry.changes else "")
        node.size = entry.size if whole or entry.kind == "D" else entry.changed
        node.layer = entry.layer if whole or entry.kind else 0
        node.below = entry.paths if whole else entry.changes
        node.entry = entry if node.below else None

    def read(self, node: Node) -> dict[str, Node]:
        """What is directly in a directory, by its name."""
        if node.entry is None or self._state is None:
            return node.children
        with self._lock:
            if node.entry is not None:
                children = {}
                for found in self._state.inside(node.entry):
                    if self._whole or found.kind or found.changes:
                        name = found.path.rpartition("/")[2]
                        child = children[name] = self.by_path[found.path] = Node(found.path, safe(name), node)
                        self._tell(child, found)
                        if node.kind == "D":
                            child.kind = "D"
                node.children, node.entry = children, None
        return node.children

    def read_all(self) -> None:
        """All that there is."""
        waiting = [self.root]
        while waiting:
            waiting.extend(self.read(waiting.pop()).values())

    def find(self, path: str) -> Node | None:
        """The node of a path, if there is such a path."""
        if path not in self.by_path and path != "/":
            above = self.find(path.rpartition("/")[0] or "/")
            if above is not None:
                self.read(above)
        return self.by_path.get(path)

    def _put(self, path: str, type: str) -> Node:
        """The node of a path, made with those above it if need be."""
        known = self.find(path)
        if known is not None:
            return known
        above, _, name = path.rpartition("/")
        parent = self._put(above or "/", "directory")
        node = parent.children[name] = self.by_path[path] = Node(path, safe(name), parent)
        node.type = type
        for directory in node.above():
            directory.below += 1
        return node

    def mark(
        self, path: str, kind: str, type: str, size: int, layer: int = 0, target: str = "", growth: int = 0
    ) -> None:
        """Put a change on top: what a path is now, or for a deletion was. The directories above it are told.

        ``size`` is a file's: a directory's is that of what is in it. With a directory goes all that is in it.
        """
        node = self._put(path, type)
        counted = 0 if node.kind == "D" else node.size
        if kind == "D":
            node.size = node.size or size
            for below in self._known_below(node):
                below.kind = "D"
        elif type == "directory":
            if not node.is_directory:
                node.type, node.size = type, 0
        else:
            for below in self._known_below(node):
                del self.by_path[below.path]
            for directory in node.above():
                directory.below -= node.below
            node.children, node.entry, node.below = {}, None, 0
            node.type, node.size = type, size
            self.changed += size
        node.kind, node.layer = kind, layer
        if target or kind != "D":
            node.target = safe(target)
        node.growth += growth
        by = (0 if kind == "D" else node.size) - counted
        for directory in node.above():
            directory.size += by
            directory.growth += growth
            directory.kind = directory.kind or "c"
        self.changes += path not in self.marked
        self.marked[path] = node

    def _known_below(self, node: Node) -> Iterator[Node]:
        for child in node.children.values():
            yield child
            yield from self._known_below(child)


def effort(tree: Tree, opened: Set[str], needle: str = "") -> int:
    """How many paths `rows` has to go through, at most, at first: what is known, and what it has to read."""
    if needle:
        return tree.root.below
    unread = (node.entry for path in opened if (node := tree.by_path.get(path)) is not None)
    return len(tree.by_path) + sum(entry.entries for entry in unread if entry is not None)


def with_live(state: State | None, changes: Iterable[Change], number: int) -> Tree:
    """An image's state, or nothing, with what a container changed on top, as layer ``number``."""
    tree = Tree(state)
    for change in changes:
        tree.mark(change.path, change.kind, change.file_type, change.size, number)
    return tree


def grown(tree: Tree, before: dict[str, int]) -> None:
    """Tell each file that is marked how it grew since ``before`` (path → bytes), and the directories above it."""
    for node in tree.marked.values():
        if node.kind != "D" and not node.is_directory and (by := node.size - before.get(node.path, 0)):
            node.growth += by
            for above in node.above():
                above.growth += by


def sizes(tree: Tree) -> dict[str, int]:
    """Bytes of each file that is marked, for `grown`."""
    return {path: node.size for path, node in tree.marked.items() if node.kind != "D" and not node.is_directory}


def rows(tree: Tree, opened: Set[str], sort: str = "name", changed_only: bool = False, needle: str = "") -> list[Row]:
    """The lines in sight: what is open, or with a ``needle`` every path that has it, under its parents.

    Directories that are open are read, for a needle all.
    """
    shown: set[str] | None = None
    if needle:
        tree.read_all()
        wanted = needle.lower()
        shown = set()
        for node in list(tree.by_path.values()):
            if wanted in node.path.lower() and not (changed_only and not node.kind):
                shown.add(node.path)
                for above in node.above():
                    if above.path in shown:
                        break
                    shown.add(above.path)
    out: list[Row] = []
    _descend(tree, tree.root, 0, out, opened, _order(sort), changed_only, shown)
    return out


def _descend(
    tree: Tree,
    node: Node,
    depth: int,
    out: list[Row],
    opened: Set[str],
    order: Callable[[Node], tuple[object, ...]],
    changed_only: bool,
    shown: set[str] | None,
) -> None:
    for child in sorted(tree.read(node).values(), key=order):
        if (changed_only and not child.kind) or (shown is not None and child.path not in shown):
            continue
        is_open = child.holds and (child.path in opened or shown is not None)
        out.append(Row(child, depth, is_open))
        if is_open:
            _descend(tree, child, depth + 1, out, opened, order, changed_only, shown)


def _order(sort: str) -> Callable[[Node], tuple[object, ...]]:
    if sort == "size":
        return lambda node: (-node.size, node.name)
    if sort == "growth":
        return lambda node: (-node.growth, -node.size, node.name)
    return lambda node: (not node.is_directory, node.name)
