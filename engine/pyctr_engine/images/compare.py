"""An unpacked layer compared with the tar it came from: every name, type, mode, owner, time, size and link target.

What files hold is not read: the blob has its digest, and who changes a file changes its size or its time.
Extended attributes are not compared either: the file system may not have taken all of them.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from typing import BinaryIO, cast

from pyctr_engine.images import tar_format
from pyctr_engine.images.layer_format import OPAQUE, SPEC_DEVICES, WHITEOUT
from pyctr_engine.images.tar_format import Entry, Refused
from pyctr_engine.images.tar_reader import Pipe, TarReader
from pyctr_engine.record import dataclass

_NEWEST = 1 << 31
"""Seconds since the epoch that every file system can hold."""


_CHANGED = " was changed"


@dataclass(frozen=True, slots=True)
class _Expectation:
    """What a path should be; ``described`` is false for a directory that no entry tells of."""

    kind: int
    mode: int = 0
    uid: int = 0
    gid: int = 0
    size: int = -1
    time: int = -1
    target: bytes = b""
    device: int = 0
    described: bool = True


_WHITEOUT = _Expectation(stat.S_IFCHR, device=os.makedev(0, 0), described=False)
_IMPLICIT = _Expectation(stat.S_IFDIR, described=False)


def difference(tar: Iterable[bytes], fs: str, bottom: bool) -> str:
    """The first thing about the directory ``fs`` that is not as the tar says; empty when all is.

    That a directory was changed is told only when nothing in it tells more.

    ``bottom``: no layer lies below, so whiteouts have left nothing.

    Raises:
        ImageFormatError: the stream can't be read.
    """
    try:
        expected = _Expected(bottom).read(tar)
    except (Refused, KeyError) as error:
        return f"its blob is no layer: {error}"
    root = os.fsencode(fs)
    try:
        changed = _wrong(b"", expected.pop(b"", _IMPLICIT), os.lstat(root), b"")
    except FileNotFoundError:
        return "its files are gone"
    for directory, directories, files, fd in os.fwalk(root, follow_symlinks=False):
        above = directory[len(root) :].lstrip(b"/")
        for name in (*directories, *files):
            path = above + b"/" + name if above else name
            entry = expected.pop(path, None)
            if entry is None:
                return f"{_shown(path)} is not of this layer"
            found = os.stat(name, dir_fd=fd, follow_symlinks=False)
            target = os.readlink(name, dir_fd=fd) if stat.S_ISLNK(found.st_mode) else b""
            told = _wrong(path, entry, found, target)
            if told.endswith(_CHANGED) and stat.S_ISDIR(found.st_mode):
                changed = changed or told
            elif told:
                return told
    for path, entry in expected.items():
        if entry is not _WHITEOUT:  # those that hide nothing are taken away when a layer gets its place
            return f"{_shown(path)} is missing"
    return changed


def _wrong(path: bytes, entry: _Expectation, found: os.stat_result, target: bytes) -> str:
    """What is wrong with one path."""
    if stat.S_IFMT(found.st_mode) != entry.kind or (entry.kind == stat.S_IFCHR and found.st_rdev != entry.device):
        return f"{_shown(path)} is of another type"
    if not entry.described:
        return ""
    if (found.st_uid, found.st_gid) != (entry.uid, entry.gid):
        return f"{_shown(path)} has another owner"
    if entry.kind != stat.S_IFLNK and stat.S_IMODE(found.st_mode) != entry.mode:
        return f"{_shown(path)} has another mode"
    if target != entry.target:
        return f"{_shown(path)} leads elsewhere"
    if entry.size not in (-1, found.st_size):
        return f"{_shown(path)} has {found.st_size} bytes instead of {entry.size}"
    seconds = entry.time // 10**9
    if 0 <= seconds < _NEWEST and found.st_mtime_ns // 10**9 != seconds:
        return _shown(path) + _CHANGED
    return ""


def _shown(path: bytes) -> str:
    return "/" + path.decode("utf-8", "backslashreplace")


class _Expected:
    """Follows a tar as `extract` does, making a list instead of files."""

    def __init__(self, bottom: bool) -> None:
        self._bottom = bottom
        self._entries: dict[bytes, _Expectation] = {}

    def read(self, tar: Iterable[bytes]) -> dict[bytes, _Expectation]:
        """All paths that the tar makes."""
        reader = TarReader(Pipe(cast(BinaryIO, _Stream(tar))))
        while member := reader.next():
            self._add(member)
        return self._entries

    def _add(self, member: Entry) -> None:
        path = _split(member.name)
        parent, _, name = path.rpartition(b"/")
        if any(above.startswith(WHITEOUT) for above in parent.split(b"/")):
            return
        if name.startswith(WHITEOUT):
            self._white_out(parent, name)
            return
        if path:
            self._need_parent(path)
        if member.kind == tar_format.LINK:
            target = _split(member.target)
            if target != path:
                self._set(path, self._entries[target])
            return
        is_device = member.kind in (tar_format.CHARACTER, tar_format.BLOCK_DEVICE)
        if is_device and (member.kind != tar_format.CHARACTER or member.device not in SPEC_DEVICES):
            return  # left out
        self._set(
            path,
            _Expectation(
                _KINDS[member.kind],
                member.mode,
                member.uid,
                member.gid,
                member.size if member.kind == tar_format.FILE else -1,
                member.mtime,
                member.target if member.kind == tar_format.SYMLINK else b"",
                os.makedev(*member.device) if is_device else 0,
            ),
        )

    def _set(self, path: bytes, entry: _Expectation) -> None:
        before = self._entries.get(path)
        if before is not None and before.kind == stat.S_IFDIR and entry.kind != stat.S_IFDIR:
            below = path + b"/"
            self._entries = {key: value for key, value in self._entries.items() if not key.startswith(below)}
        self._entries[path] = entry

    def _need_parent(self, path: bytes) -> None:
        parent = path.rpartition(b"/")[0]
        while parent and self._entries.get(parent, _WHITEOUT).kind != stat.S_IFDIR:
            self._entries[parent] = _IMPLICIT
            parent = parent.rpartition(b"/")[0]

    def _white_out(self, parent: bytes, name: bytes) -> None:
        hidden = name.removeprefix(WHITEOUT)
        path = parent + b"/" + hidden if parent else hidden
        if name != OPAQUE and hidden.startswith(WHITEOUT):
            return
        self._need_parent(path)
        if name != OPAQUE and not self._bottom:
            self._entries.setdefault(path, _WHITEOUT)


_KINDS = {
    tar_format.FILE: stat.S_IFREG,
    tar_format.DIRECTORY: stat.S_IFDIR,
    tar_format.SYMLINK: stat.S_IFLNK,
    tar_format.FIFO: stat.S_IFIFO,
    tar_format.CHARACTER: stat.S_IFCHR,
}


def _split(name: bytes) -> bytes:
    """A name as a path below the root; the extractor refused those that aren't."""
    return b"/".join(part for part in name.split(b"/") if part not in (b"", b"."))


class _Stream:
    """Pieces as a file that gives as many bytes as it is asked for."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks: Iterator[bytes] = iter(chunks)
        self._rest = memoryview(b"")

    def read(self, size: int) -> bytes:
        """As many bytes, fewer at the end only."""
        if len(self._rest) >= size:
            data, self._rest = bytes(self._rest[:size]), self._rest[size:]
            return data
        pieces = [bytes(self._rest)]
        missing = size - len(self._rest)
        self._rest = memoryview(b"")
        while missing and (chunk := next(self._chunks, b"")):
            pieces.append(chunk[:missing])
            self._rest = memoryview(chunk)[missing:]
            missing -= len(pieces[-1])
        return b"".join(pieces)
