"""From a tree of changes to a layer: an overlay's upper directory becomes a tar (image-spec, layer.md).

The order is that of a sorted walk: a directory, then its whiteouts, then what else is in it. The same tree gives the
same bytes.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from pyctr_engine.errors import InvalidValue
from pyctr_engine.images import globs
from pyctr_engine.images.layer_format import OPAQUE, SPEC_DEVICES, WHITEOUT, keeps_xattr
from pyctr_engine.images.tar_writer import END, Kind, header, padding
from pyctr_engine.linux.overlay import Difference, attributes, differences

_CHUNK = 1 << 20
_SMALL = 1 << 16
_GONE = (errno.ENOENT, errno.ELOOP, errno.ENXIO)

_KINDS: dict[int, Kind] = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFCHR: "char",
    stat.S_IFBLK: "block",
}


@dataclass(frozen=True, slots=True)
class Choice:
    """Which of the changes go into a layer; see `globs` for the patterns."""

    include: Sequence[str] = ()
    exclude: Sequence[str] = ()

    def tests(self) -> tuple[Callable[[bytes], bool], Callable[[bytes], bool]]:
        """Whether a path is left out with all that is below it, and whether it is taken if it isn't.

        Raises:
            InvalidValue: a pattern that can't be read.
        """
        include = globs.compile(self.include) if self.include else None
        exclude = globs.compile(self.exclude) if self.exclude else None
        return (
            lambda path: exclude is not None and bool(path) and bool(exclude.match(path)),
            lambda path: include is None or bool(include.match(path)),
        )


def layer_tar(
    upper: str | Sequence[str],
    lowers: Sequence[str],
    choice: Choice = Choice(),
    note: Callable[[str], None] | None = None,
) -> Iterator[bytes]:
    """The changes that ``upper`` (or several, topmost first, as one) makes to ``lowers``, as a layer's tar.

    Yields nothing at all, not even an end mark, when there is no change.

    Args:
        note: Is told what can't be kept.

    Raises:
        InvalidValue: a name that would mean a whiteout in a layer.
        OSError: what can't be read.
    """
    writer = _Writer(note or (lambda _text: None))
    empty = True
    for difference in chosen(differences(upper, lowers), choice):
        for piece in writer.add(difference):
            empty = False
            yield piece
    if not empty:
        yield END


def single_tar(directory: int, name: bytes, status: os.stat_result) -> Iterator[bytes]:
    """A tar of one entry: what is under ``name`` in ``directory``, which is no directory."""
    yield from _Writer(lambda _text: None).add(Difference(name, "A", status, directory))
    yield END


class _Writer:
    """Remembers what a tar written front to back has to remember: first names, and directories not written yet."""

    def __init__(self, note: Callable[[str], None]) -> None:
        self._note = note
        self._links: dict[tuple[int, int], bytes] = {}
        self._pending: list[Difference] = []

    def add(self, difference: Difference) -> Iterable[bytes]:
        """What the tar holds of it."""
        path = difference.path
        if difference.hidden:
            return ()
        while self._pending and not _is_below(path, self._pending[-1].path):
            self._pending.pop()
        if difference.passage:
            self._pending.append(difference)
            return ()
        pieces = self._deletion(difference) if difference.kind == "D" else self._entry(difference)
        return self._after_pending(pieces) if self._pending else pieces

    def _after_pending(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            for directory in self._pending:  # now there is something inside
                yield from self._entry(directory)
            self._pending.clear()
            yield piece

    def _deletion(self, difference: Difference) -> Iterable[bytes]:
        parent, slash, name = difference.path.rpartition(b"/")
        return (header(parent + slash + WHITEOUT + name, mode=0),)

    def _entry(self, difference: Difference) -> Iterable[bytes]:
        path, status = difference.path, difference.status
        if difference.name.startswith(WHITEOUT):
            raise InvalidValue(
                f"cannot commit {'/' + os.fsdecode(path)!r}: in a layer its name means a deletion",
                "remove it, rename it, or exclude it",
            )
        kind = _KINDS.get(stat.S_IFMT(status.st_mode))
        if kind is None:
            return ()
        if kind == "file":
            return self._file(difference)
        target, device = b"", (0, 0)
        xattrs: dict[str, bytes] = {}
        try:
            if kind == "symlink":
                target = os.readlink(difference.name, dir_fd=difference.directory)
            elif kind == "directory":
                xattrs = self._xattrs_of(difference)
        except OSError as error:
            if error.errno in (*_GONE, errno.ENOTDIR, errno.EINVAL):
                return ()  # replaced meanwhile
            raise
        if kind in ("char", "block"):
            device = (os.major(status.st_rdev), os.minor(status.st_rdev))
            if kind == "block" or device not in SPEC_DEVICES:
                self._note(f"left out device node /{os.fsdecode(path)}")
                return ()
        entry = self._header(path, kind, status, target=target, device=device, xattrs=xattrs)
        return (entry, header(path + b"/" + OPAQUE, mode=0)) if difference.opaque else (entry,)

    def _file(self, difference: Difference) -> Iterable[bytes]:
        path = difference.path
        try:
            fd = difference.open()
        except OSError as error:
            if error.errno in _GONE:
                return ()
            raise
        whole = True
        try:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                return ()
            first = self._links.get((status.st_dev, status.st_ino))
            if first is not None:
                return (self._header(path, "link", status, target=first),)
            if status.st_nlink > 1:
                self._links[status.st_dev, status.st_ino] = path
            size = status.st_size
            entry = self._header(path, "file", status, size=size, xattrs=kept_xattrs(fd))
            if size <= _SMALL:
                return (entry + os.read(fd, size).ljust(size, b"\0") + padding(size),)
            whole = False
            return _with_contents(entry, fd, size)
        finally:
            if whole:
                os.close(fd)

    @staticmethod
    def _xattrs_of(difference: Difference) -> dict[str, bytes]:
        fd = difference.open(os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            return kept_xattrs(fd)
        finally:
            os.close(fd)

    @staticmethod
    def _header(
        path: bytes,
        kind: Kind,
        status: os.stat_result,
        size: int = 0,
        target: bytes = b"",
        device: tuple[int, int] = (0, 0),
        xattrs: dict[str, bytes] | None = None,
    ) -> bytes:
        return header(
            path,
            kind,
            stat.S_IMODE(status.st_mode),
            status.st_uid,
            status.st_gid,
            size,
            status.st_mtime_ns,
            target,
            device,
            xattrs,
        )


def chosen(found: Iterator[Difference], choice: Choice) -> Iterator[Difference]:
    """Those that are chosen, and directories on the way to them as passages, which hide nothing of what is below.

    Raises:
        InvalidValue: a pattern that can't be read.
    """
    if not choice.include and not choice.exclude:
        yield from found
        return
    is_left_out, is_taken = choice.tests()
    opened: list[bytes] = []  # opaque directories of which only a part is taken: deletions in them have to be told
    for difference in found:
        path = difference.path
        if is_left_out(path):
            continue
        if is_taken(path):
            if difference.hidden and any(_is_below(path, directory) for directory in opened):
                difference = replace(difference, hidden=False)
            yield difference
        elif stat.S_ISDIR(difference.status.st_mode) and difference.kind != "D":
            if difference.opaque:
                opened.append(path)
            yield replace(difference, passage=True, opaque=False)


def _is_below(path: bytes, directory: bytes) -> bool:
    return not directory or path.startswith(directory + b"/")


def _with_contents(entry: bytes, fd: int, size: int) -> Iterator[bytes]:
    """Exactly ``size`` bytes and the padding, whatever a running container does to the file meanwhile; closes it."""
    try:
        yield entry
        yield from _contents(fd, size)
    finally:
        os.close(fd)


def _contents(fd: int, size: int) -> Iterator[bytes]:
    left = size
    while left and (data := os.read(fd, min(_CHUNK, left))):
        left -= len(data)
        yield data
    while left:
        data = bytes(min(_CHUNK, left))
        left -= len(data)
        yield data
    yield padding(size)


def kept_xattrs(fd: int) -> dict[str, bytes]:
    """Those that a layer keeps; a capability bound to a container's user namespace becomes a plain one."""
    found = {name: value for name, value in attributes(fd).items() if keeps_xattr(name)}
    if not found:
        return found
    with contextlib.suppress(KeyError):
        found["security.capability"] = _plain_capability(found["security.capability"])
    return found


def _plain_capability(value: bytes) -> bytes:
    """``struct vfs_ns_cap_data`` revision 3 without its root id: revision 2. Source: capabilities(7)."""
    if len(value) != 24:
        return value
    (magic,) = struct.unpack_from("<I", value)
    return struct.pack("<I", magic & 0x00FFFFFF | 0x02000000) + value[4:20]
