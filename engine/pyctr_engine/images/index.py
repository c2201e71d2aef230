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


def read(layer: str) -> Iterator[Entry]:
    """The entries of a layer directory, from its index, which is made if it isn't there.

    Raises:
        OSError, StoreError: the layer can't be read, or its index is damaged.
    """
    path = f"{layer}/{NAME}"
    if not os.path.exists(path):
        build(layer)
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        data = mmap.mmap(fd, 0, prot=mmap.PROT_READ)
    finally:
        os.close(fd)
    if data[: len(MAGIC)] != MAGIC:
        raise StoreError(f"{path} is no layer index", "remove it: the next look makes it again")
    at, end, before = len(MAGIC), len(data), b""
    unpack, length = _RECORD.unpack_from, _RECORD.size
    try:
        while at < end:
            shared, rest, target, kind, opaque, mode, uid, gid, size, mtime = unpack(data, at)
            at += length
            before = before[:shared] + data[at : at + rest]
            at += rest
            yield Entry(before, kind, mode, uid, gid, size, mtime, data[at : at + target], bool(opaque))
            at += target
    except struct.error as error:
        raise StoreError(f"{path} is cut short", "remove it: the next look makes it again") from error


def _shared(before: bytes, path: bytes) -> int:
    """How much of ``path`` the one before it in the walk has: its directory, which may be that one itself."""
    directory = path.rfind(b"/") + 1
    return directory if before[:directory] == path[:directory] else max(directory - 1, 0)


def order(path: bytes) -> bytes:
    """What sorts paths as a walk does."""
    return path.replace(b"/", b"\0")


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
