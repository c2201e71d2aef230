"""A layer's index: every path that it holds, in one small file beside its files, so that nobody need walk them again.

Records follow each other in the order of a sorted walk (a directory, then what is in it), which is the order of their
paths with ``/`` as the lowest byte; a path is written as what it has in common with the one before, and the rest.
Little-endian, after a magic line. Made when a layer is unpacked; for others when first asked for.
"""

from __future__ import annotations

import mmap
import os
import stat
import struct
from collections.abc import Iterator
from typing import NamedTuple

from pyctr_engine.errors import StoreError
from pyctr_engine.images.layout import write_file
from pyctr_engine.linux.overlay import MAX_DEPTH, is_opaque, is_whiteout

NAME = "index"
MAGIC = b"pyctr layer index 1\n"

FILE, DIRECTORY, SYMLINK, FIFO, DEVICE, SOCKET, LINK, WHITEOUT = range(8)

_RECORD = struct.Struct("<IIIBBHIIQq")  # shared, rest, target, kind, opaque, mode, uid, gid, size, mtime
_GLANCE = struct.Struct("<IIIB11xQ8x")
"""Of the same: shared, rest, target, kind, size."""
IN_MEMORY = 1 << 20
"""Bytes up to which an index is read as a whole: a mapped one holds a descriptor, and images have many layers."""
_SLASH = ord("/")
_MAX_TIME = (1 << 63) - 1
"""Nanoseconds: in the year 2262; file systems know later ones."""
_KINDS = {
    stat.S_IFREG: FILE,
    stat.S_IFDIR: DIRECTORY,
    stat.S_IFLNK: SYMLINK,
    stat.S_IFIFO: FIFO,
    stat.S_IFCHR: DEVICE,
    stat.S_IFBLK: DEVICE,
    stat.S_IFSOCK: SOCKET,
}
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Entry(NamedTuple):
    """One path of a layer: relative bytes, its kind (`FILE` … `WHITEOUT`), and the rest as lstat(2) says.

    ``size`` is a file's, at its first name only; further ones are `LINK`, with that name as ``target``. ``opaque``
    marks a directory that hides all that lies below it.
    """

    path: bytes
    kind: int
    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    target: bytes
    opaque: bool


def build(layer: str) -> None:
    """Write the index of the layer directory ``layer`` from its files. Raises OSError, StoreError."""
    pieces = [MAGIC]
    before = b""
    root = os.open(f"{layer}/fs", _DIRECTORY)
    try:
        for entry in _walk(root, b"", {}, 0):
            path = entry.path
            shared = _shared(before, path)
            pieces.append(
                _RECORD.pack(
                    shared, len(path) - shared, len(entry.target), entry.kind, entry.opaque, entry.mode,
                    entry.uid, entry.gid, entry.size, max(-_MAX_TIME, min(entry.mtime, _MAX_TIME)),
                )
            )  # fmt: skip
            pieces.append(path[shared:] + entry.target)
            before = path
    finally:
        os.close(root)
    write_file(f"{layer}/{NAME}", b"".join(pieces))


class Extent(NamedTuple):
    """Where in an index what is inside a directory stands, in bytes, and what it comes to.

    Attributes:
        size: Bytes of all files inside, each counted at its first name.
        paths: How many are inside, whiteouts left out.
        entries: How many records stand directly in it.
    """

    start: int
    end: int
    size: int
    paths: int
    entries: int


class Index:
    """A layer's index, open: where each directory's part of it stands is known; records are read when asked for.

    May be used from several threads.

    Attributes:
        directories: All directories; the root is empty.
    """

    def __init__(self, layer: str) -> None:
        """Open that of a layer directory, which is made if it isn't there.

        Raises:
            OSError, StoreError: the layer can't be read, or its index is damaged.
        """
        path = f"{layer}/{NAME}"
        if not os.path.exists(path):
            build(layer)
        with open(path, "rb") as file:
            small = os.fstat(file.fileno()).st_size <= IN_MEMORY
            self._data = file.read() if small else mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        if self._data[: len(MAGIC)] != MAGIC:
            raise StoreError(f"{path} is no layer index", "remove it: the next look makes it again")
        try:
            self.directories = _survey(self._data)
        except (struct.error, IndexError) as error:
            raise StoreError(f"{path} is cut short", "remove it: the next look makes it again") from error

    def inside(self, directory: bytes) -> Iterator[Entry]:
        """What is directly in a directory, sorted by name; nothing if there is none of that path."""
        extent = self.directories.get(directory)
        if extent is None:
            return
        data, unpack, length, directories = self._data, _RECORD.unpack_from, _RECORD.size, self.directories
        prefix = directory + b"/" if directory else b""
        at, end = extent.start, extent.end
        while at < end:
            _, rest, target, kind, opaque, mode, uid, gid, size, mtime = unpack(data, at)
            at += length
            path = prefix + data[at : at + rest].removeprefix(b"/")
            at += rest
            yield Entry(path, kind, mode, uid, gid, size, mtime, data[at : at + target], bool(opaque))
            at = directories[path].end if kind == DIRECTORY else at + target

    def find(self, path: bytes) -> Entry | None:
        """What the layer holds at a path."""
        return next((entry for entry in self.inside(path.rpartition(b"/")[0]) if entry.path == path), None)


def _survey(data: bytes | mmap.mmap) -> dict[bytes, Extent]:
    """Go through all records once, with an eye for directories alone."""
    glance, length = _GLANCE.unpack_from, _RECORD.size
    directories: dict[bytes, Extent] = {}
    at, end = len(MAGIC), len(data)
    # The directory that records are in, and those above it, each with the length of what paths in it begin with.
    path, prefix, start, size, paths, entries = b"", 0, at, 0, 0, 0
    above: list[tuple[bytes, int, int, int, int, int]] = []
    while at < end:
        shared, rest, target, kind, bytes_ = glance(data, at)
        name = at + length
        first = data[name] == _SLASH  # of what is in the directory before it
        within = shared + first
        while prefix > within:
            directories[path] = Extent(start, at, size, paths, entries)
            inner_size, inner_paths = size, paths
            path, prefix, start, size, paths, entries = above.pop()
            size, paths = size + inner_size, paths + inner_paths
        after = name + rest + target
        if kind > WHITEOUT:
            raise IndexError
        size += bytes_
        entries += 1
        paths += kind != WHITEOUT
        if kind == DIRECTORY:
            above.append((path, prefix, start, size, paths, entries))
            own = data[name + first : name + rest]
            path = path + b"/" + own if path else own
            prefix, start, size, paths, entries = len(path) + 1, after, 0, 0, 0
        at = after
    if at != end:
        raise IndexError
    while True:
        directories[path] = Extent(start, at, size, paths, entries)
        if not above:
            return directories
        inner_size, inner_paths = size, paths
        path, prefix, start, size, paths, entries = above.pop()
        size, paths = size + inner_size, paths + inner_paths


def _shared(before: bytes, path: bytes) -> int:
    """How much of ``path`` the one before it in the walk has: its directory, which may be that one itself."""
    directory = path.rfind(b"/") + 1
    return directory if before[:directory] == path[:directory] else max(directory - 1, 0)


def _walk(directory: int, path: bytes, links: dict[tuple[int, int], bytes], depth: int) -> Iterator[Entry]:
    if depth > MAX_DEPTH:
        raise StoreError(f"a directory is more than {MAX_DEPTH} levels deep: {os.fsdecode(path[:200])}…")
    prefix = path + b"/" if path else b""
    for name in sorted(map(os.fsencode, os.listdir(directory))):
        status = os.stat(name, dir_fd=directory, follow_symlinks=False)
        mode = status.st_mode
        kind = WHITEOUT if is_whiteout(status) else _KINDS[stat.S_IFMT(mode)]
        own, target, size = prefix + name, b"", 0
        if status.st_nlink > 1 and kind not in (DIRECTORY, WHITEOUT):
            first = links.setdefault((status.st_dev, status.st_ino), own)
            if first != own:
                kind, target = LINK, first
        if kind == SYMLINK:
            target = os.readlink(name, dir_fd=directory)
        elif kind == FILE:
            size = status.st_size
        common = (mode & 0o7777, status.st_uid, status.st_gid, size, status.st_mtime_ns, target)
        if kind != DIRECTORY:
            yield Entry(own, kind, *common, False)
            continue
        child = os.open(name, _DIRECTORY, dir_fd=directory)
        try:
            yield Entry(own, kind, *common, is_opaque(child))
            yield from _walk(child, own, links, depth + 1)
        finally:
            os.close(child)
