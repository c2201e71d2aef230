"""What layers mean, as simply as it can be said (image-spec, layer.md), and trees to try it with.

A tree maps paths to nodes. Names come from few letters, so that layers meet often.
"""

from __future__ import annotations

import hashlib
import stat
from dataclasses import dataclass, replace

from hypothesis import strategies as st

from pyctr_engine.images.tar_writer import END, Kind, header, padding
from tests.engine.images.view import Tree as View

LETTERS = "abc"


@dataclass(frozen=True)
class Node:
    """One file; ``data`` is a file's contents or a symlink's target. Those of one ``group`` are one file."""

    kind: Kind
    mode: int = 0o755
    uid: int = 0
    gid: int = 0
    mtime: int = 0
    data: bytes = b""
    xattrs: tuple[tuple[str, bytes], ...] = ()
    group: int = 0


Tree = dict[str, Node]


@dataclass(frozen=True)
class Layer:
    """What a layer's tar holds, in the order of ``order``: entries, whiteouts, opaque markers."""

    entries: dict[str, Node]
    whiteouts: tuple[str, ...]
    opaque: tuple[str, ...]
    order: int


paths = st.lists(st.sampled_from(LETTERS), min_size=1, max_size=3).map("/".join)
attributes = st.lists(
    st.tuples(st.sampled_from(["user.a", "user.b"]), st.binary(max_size=5)),
    max_size=2,
    unique_by=lambda pair: pair[0],
)
nodes = st.builds(
    Node,
    st.sampled_from(["file", "file", "directory", "directory", "symlink", "fifo"]),
    st.sampled_from([0o755, 0o600, 0o4711, 0o2770, 0o1777, 0]),
    st.sampled_from([0, 1000, 70000]),
    st.sampled_from([0, 5, 4_000_000_000]),
    st.integers(-(10**9), 4 * 10**18),
    st.sampled_from([b"", b"text", b"other", b"x" * 9 + bytes(140000)]),
    attributes.map(lambda pairs: tuple(sorted(pairs))),
    st.sampled_from([0, 0, 0, 1, 2]),
)


def tidy(path: str, node: Node) -> Node:
    """A node that can be: a symlink has a target and no mode, only files have groups."""
    if node.kind == "symlink":
        return replace(node, mode=0o777, data=node.data.strip(b"\0")[:40] or path.encode(), xattrs=(), group=0)
    if node.kind == "fifo":
        return replace(node, data=b"", xattrs=(), group=0)
    return node if node.kind == "file" else replace(node, data=b"", group=0)


def consistent(tree: dict[str, Node]) -> dict[str, Node]:
    """Without what lies below something that is no directory, and with one content for each group."""
    kept: dict[str, Node] = {}
    groups: dict[int, Node] = {}
    for path in sorted(tree):
        node = tidy(path, tree[path])
        above = [path[:at] for at in range(len(path)) if path[at] == "/"]
        if any(name in kept and kept[name].kind != "directory" for name in above):
            continue
        if node.group:
            node = groups.setdefault(node.group, node)
        kept[path] = node
    return kept


layers = st.builds(
    Layer,
    st.dictionaries(paths, nodes, max_size=8).map(consistent),
    st.lists(paths, max_size=3, unique=True).map(tuple),
    st.lists(st.one_of(paths, paths, paths, st.just("")), max_size=2, unique=True).map(tuple),
    st.integers(0, 1 << 30),
).map(lambda layer: without_conflicts(layer))


def without_conflicts(layer: Layer) -> Layer:
    """No whiteout below a file of the same layer, nor below a whiteout (that would be an entry below it)."""

    def can_be(path: str) -> bool:
        above = [path[:at] for at in range(len(path)) if path[at] == "/"]
        return all(name not in layer.entries or layer.entries[name].kind == "directory" for name in above)

    opaque = [path for path in layer.opaque if not path or can_be(path + "/x")]
    return replace(layer, whiteouts=tuple(filter(can_be, layer.whiteouts)), opaque=tuple(opaque))


def whole_tree(entries: dict[str, Node]) -> Tree:
    """A tree with every directory in it described."""
    tree = consistent(entries)
    for path in list(tree):
        for at in range(len(path)):
            if path[at] == "/":
                tree.setdefault(path[:at], Node("directory"))
    return tree


trees = st.dictionaries(paths, nodes, max_size=10).map(whole_tree)


def parents(path: str) -> list[str]:
    return [path[:at] for at in range(len(path)) if path[at] == "/"]


def apply(tree: Tree, layer: Layer) -> Tree:
    """The tree after a layer."""
    result = dict(tree)
    gone = set(layer.whiteouts)
    for path in tree:
        if any(path == name or path.startswith(name + "/") for name in gone):
            del result[path]
        elif any(path.startswith(name + "/") or not name for name in layer.opaque):
            result.pop(path, None)
    described = {*layer.entries}
    implied = {above for path in (*layer.entries, *layer.whiteouts) for above in parents(path)}
    implied |= {above for path in layer.opaque if path for above in (*parents(path), path)}
    for path in sorted(described | implied):
        node = layer.entries.get(path)
        if node is None:
            if path not in result or result[path].kind != "directory":
                _drop(result, path)
                result[path] = Node("directory")
        elif node.kind == "directory" and path in result and result[path].kind == "directory":
            result[path] = node
        else:
            _drop(result, path)
            result[path] = node
    return result


def _drop(tree: Tree, path: str) -> None:
    for name in [name for name in tree if name == path or name.startswith(path + "/")]:
        del tree[name]


def tar(layer: Layer) -> bytes:
    """A layer's tar, whiteouts before or after their siblings."""
    items: list[tuple[str, bytes]] = []
    groups: dict[int, str] = {}
    for path, node in layer.entries.items():
        first = groups.setdefault(node.group, path) if node.group else path
        items.append((path, entry(path, node, first)))
    marks = [(path, header(_marked(path, ".wh."), mode=0)) for path in layer.whiteouts]
    marks += [(path, header(f"{path}/.wh..wh..opq".lstrip("/").encode(), mode=0)) for path in layer.opaque]
    ordered = items + marks if layer.order % 2 else marks + items
    return b"".join(data for _, data in ordered) + END


def _marked(path: str, mark: str) -> bytes:
    parent, slash, name = path.rpartition("/")
    return f"{parent}{slash}{mark}{name}".encode()


def entry(path: str, node: Node, first: str) -> bytes:
    if first != path:
        return header(path.encode(), "link", target=first.encode())
    size = len(node.data) if node.kind == "file" else 0
    head = header(
        path.encode(), node.kind, node.mode, node.uid, node.gid, size, node.mtime,
        node.data if node.kind == "symlink" else b"", xattrs=dict(node.xattrs),
    )  # fmt: skip
    return head + node.data + padding(size) if node.kind == "file" else head


_TYPES = {"file": stat.S_IFREG, "directory": stat.S_IFDIR, "symlink": stat.S_IFLNK, "fifo": stat.S_IFIFO}


def view(tree: Tree, hard_links: bool = True) -> View:
    """What `view.look` has to show of it, without the root."""
    found: View = {}
    names: dict[tuple[int, Node], list[str]] = {}
    for path, node in sorted(tree.items()):
        if node.group:
            names.setdefault((node.group, node), []).append(path)
    for path, node in tree.items():
        told: list[object] = [stat.filemode(_TYPES[node.kind] | node.mode), node.uid, node.gid]
        if node.kind == "file":
            told.append(hashlib.sha256(node.data).hexdigest())
            others = names.get((node.group, node), [])
            told.append(others if hard_links and len(others) > 1 else [])
        elif node.kind == "symlink":
            told.append(node.data.decode())
        if node.kind != "directory":
            told.append(node.mtime)
        told.append([[name, value.hex()] for name, value in node.xattrs])
        found[path] = told
    return found


def comparable(shown: View) -> View:
    """`view.look`'s answer with every file's names instead of the first one found."""
    names: dict[str, list[str]] = {}
    for path, told in sorted(shown.items()):
        if told[0].startswith("-") and told[4]:
            names.setdefault(told[4], []).append(path)
    shared = {first: paths for first, paths in names.items() if len(paths) > 1}  # others may be hidden
    return {
        path: [*told[:4], shared.get(told[4], []), *told[5:]] if told[0].startswith("-") else told
        for path, told in shown.items()
        if path != "."
    }
