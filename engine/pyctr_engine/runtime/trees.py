"""Detached mounts for init: the image's layers, the container's own directories, and what is bound from the host."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from typing import NamedTuple

from pyctr_engine.linux import mount as m
from pyctr_engine.runtime.protocol import Bind

# Kernels answer these where a file system can't be idmapped, or is already: bind it plainly instead.
_NOT_IDMAPPABLE = (errno.EINVAL, errno.EPERM, errno.EOPNOTSUPP)


class Tree(NamedTuple):
    """A detached mount, where it goes, whether it is a directory, and whether its ids are mapped."""

    fd: int
    target: str
    is_directory: bool
    mapped: bool


def open_store(path: str, userns: int) -> int:
    """A tree of our own store, idmapped (``userns`` -1: as it is). Raises OSError when it can't be mapped."""
    tree = m.open_tree(path)
    if userns >= 0:
        m.set_attributes(tree, userns=userns)
    return tree


def open_bind(bind: Bind, userns: int) -> Iterator[Tree]:
    """The trees of one bind: one, and one for each mount below it.

    Each mount is cloned by itself, because an idmap is refused for a whole tree when one mount in it can't have it,
    and can't be set on a mount that already has a parent.
    """
    source = os.path.realpath(bind.source)
    yield _open_one(source, bind, bind.target, userns)
    if bind.recursive and os.path.isdir(source):
        for path in mounts_below(source):
            try:
                yield _open_one(path, bind, bind.target.rstrip("/") + path[len(source.rstrip("/")) :], userns)
            except (PermissionError, FileNotFoundError):
                continue  # a mount that went, or that even root may not look at (FUSE of another user)


def _open_one(path: str, bind: Bind, target: str, userns: int) -> Tree:
    tree = m.open_tree(path)
    mapped = False
    if userns >= 0 and bind.idmap:
        try:
            m.set_attributes(tree, userns=userns)
            mapped = True
        except OSError as error:
            if error.errno not in _NOT_IDMAPPABLE:
                raise
    attributes = (m.MOUNT_ATTR_RDONLY if bind.read_only else 0) | (0 if bind.devices else m.MOUNT_ATTR_NODEV)
    if attributes:
        m.set_attributes(tree, set=attributes)
    return Tree(tree, target, stat.S_ISDIR(os.stat(path).st_mode), mapped)


def mounts_below(path: str) -> list[str]:
    """Mount points strictly below ``path``, parents first, each place once. Source: proc_pid_mountinfo(5)."""
    prefix = path.rstrip("/") + "/"
    points: dict[str, None] = {}
    with open("/proc/self/mountinfo", "rb") as file:
        for line in file:
            point = os.fsdecode(_unescape(line.split(b" ", 5)[4]))
            if point.startswith(prefix) and point != prefix:
                points[point] = None
    return sorted(points, key=lambda point: point.count("/"))


def _unescape(field: bytes) -> bytes:
    if b"\\" not in field:
        return field
    for code, character in ((b"\\040", b" "), (b"\\011", b"\t"), (b"\\012", b"\n"), (b"\\134", b"\\")):
        field = field.replace(code, character)
    return field
