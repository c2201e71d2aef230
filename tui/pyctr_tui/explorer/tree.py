"""A tree of files as the layer explorer shows it: made from the engine's flat walks, folded, sorted, filtered.

Nodes are plain objects with slots: a hundred thousand of them are made in a few tenths of a second, in a thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from pyctr_engine.record import dataclass
from pyctr_tui.safe_text import safe

if TYPE_CHECKING:
    from pyctr_engine.model.explore import LayerChange, TreeEntry
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
    """

    __slots__ = ("children", "growth", "kind", "layer", "name", "parent", "path", "size", "target", "type")

    def __init__(self, path: str, name: str, parent: Node | None) -> None:
        self.path = path
        self.name = name
        self.parent = parent
        self.children: dict[str, Node] | None = None
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

    def walk(self) -> Iterator[Node]:
        """It and all below it, parents first."""
        yield self
        for child in (self.children or {}).values():
            yield from child.walk()


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the tree."""

    node: Node
    depth: int
    is_open: bool


class Tree:
    """All nodes of one state, by path."""

    def __init__(self) -> None:
        self.root = Node("/", "/", None)
        self.by_path: dict[str, Node] = {"/": self.root}

    def put(self, path: str) -> Node:
        """The node of a path, made with its parents if need be."""
        known = self.by_path.get(path)
        if known is not None:
            return known
        above, _, name = path.rpartition("/")
        parent = self.by_path.get(above or "/") or self.put(above)
        node = Node(path, safe(name), parent)
        if parent.children is None:
            parent.children = {}
        parent.children[name] = node
        self.by_path[path] = node
        return node

    def add_up(self) -> None:
        """Sum the sizes of directories, and tell them what changed below them. Once, after all are there."""
        for node in reversed(list(self.by_path.values())):
            parent = node.parent
            if parent is None:
                continue
            if node.kind != "D":
                parent.size += node.size
            if node.kind and not parent.kind:
                parent.kind = "c"

    @property
    def changed(self) -> int:
        """How many paths are changes."""
        return sum(node.kind in ("A", "C", "D") for node in self.by_path.values())


def of_state(entries: Iterable[TreeEntry], changes: Iterable[LayerChange] = ()) -> Tree:
    """A whole state, with what one layer did to it marked."""
    tree = Tree()
    for entry in entries:
        node = tree.put(entry.path)
        state = entry.state
        node.layer, node.type, node.size, node.target = entry.layer, state.type, state.size, safe(state.target)
    _mark(tree, changes)
    tree.add_up()
    return tree


def of_changes(changes: Iterable[LayerChange]) -> Tree:
    """What one layer did, alone."""
    tree = Tree()
    _mark(tree, changes)
    tree.add_up()
    return tree


def _mark(tree: Tree, changes: Iterable[LayerChange]) -> None:
    for change in changes:
        node = tree.put(change.path)
        state = change.state
        node.kind, node.type, node.size, node.target = change.kind, state.type, state.size, safe(state.target)
        node.layer = change.layer


def with_live(entries: Iterable[TreeEntry], changes: Iterable[Change], number: int) -> Tree:
    """An image's state with what a container changed on top, as layer ``number``."""
    tree = Tree()
    for entry in entries:
        node = tree.put(entry.path)
        state = entry.state
        node.layer, node.type, node.size, node.target = entry.layer, state.type, state.size, safe(state.target)
    for change in changes:
        node = tree.put(change.path)
        node.kind, node.layer = change.kind, number
        if change.kind == "D":
            for below in node.walk():
                below.kind = "D"
        else:
            node.type, node.size = change.file_type, change.size
    tree.add_up()
    return tree


def grown(tree: Tree, before: dict[str, int]) -> None:
    """Tell each changed file of a tree how it grew since ``before`` (path → bytes), and the directories above it."""
    for node in tree.by_path.values():
        if node.kind in ("A", "C") and not node.is_directory:
            by = node.size - before.get(node.path, 0)
            above: Node | None = node
            while by and above is not None:
                above.growth += by
                above = above.parent


def sizes(tree: Tree) -> dict[str, int]:
    """Bytes of each changed file, for `grown`."""
    return {
        node.path: node.size for node in tree.by_path.values() if node.kind in ("A", "C") and not node.is_directory
    }


def rows(tree: Tree, opened: set[str], sort: str = "name", changed_only: bool = False, needle: str = "") -> list[Row]:
    """The lines in sight: what is open, or with a ``needle`` every path that has it, under its parents."""
    shown: set[str] | None = None
    if needle:
        wanted = needle.lower()
        shown = set()
        for node in tree.by_path.values():
            if wanted in node.path.lower() and not (changed_only and not node.kind):
                above: Node | None = node
                while above is not None and above.path not in shown:
                    shown.add(above.path)
                    above = above.parent
    out: list[Row] = []
    _descend(tree.root, 0, out, opened, _order(sort), changed_only, shown)
    return out


def _descend(
    node: Node,
    depth: int,
    out: list[Row],
    opened: set[str],
    order: Callable[[Node], tuple[object, ...]],
    changed_only: bool,
    shown: set[str] | None,
) -> None:
    for child in sorted((node.children or {}).values(), key=order):
        if (changed_only and not child.kind) or (shown is not None and child.path not in shown):
            continue
        is_open = bool(child.children) and (child.path in opened or shown is not None)
        out.append(Row(child, depth, is_open))
        if is_open:
            _descend(child, depth + 1, out, opened, order, changed_only, shown)


def _order(sort: str) -> Callable[[Node], tuple[object, ...]]:
    if sort == "size":
        return lambda node: (-node.size, node.name)
    if sort == "growth":
        return lambda node: (-node.growth, -node.size, node.name)
    return lambda node: (not node.is_directory, node.name)
