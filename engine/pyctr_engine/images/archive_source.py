"""Where images are loaded from: a directory, or a tar read at random. Both are strangers': nothing is believed."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import stat
import tempfile
from collections.abc import Iterator
from typing import Protocol

from pyctr_engine.errors import ImageFormatError, NotFound, from_os_error
from pyctr_engine.images.layout import MAX_DOCUMENT, write_all
from pyctr_engine.images.streams import CHUNK, decompress, is_rare, read_file, recognise, undo_rare
from pyctr_engine.images.tar_format import FILE, LINK, SYMLINK, Entry, Refused
from pyctr_engine.images.tar_reader import TarReader
from pyctr_engine.linux.mount import open_in_root

MAX_MEMBERS = 100_000
_MAX_LINKS = 8


class Source(Protocol):
    """Files by name."""

    def size(self, name: str) -> int | None:
        """Bytes of a file; ``None`` when there is no such file."""

    def chunks(self, name: str) -> Iterator[bytes]:
        """A file's bytes; raises ImageFormatError when there is no such file."""


def document(source: Source, name: str) -> bytes:
    """A small file whole; raises ImageFormatError."""
    size = source.size(name)
    if size is None:
        raise ImageFormatError(f"the archive lacks {name}")
    if size > MAX_DOCUMENT:
        raise ImageFormatError(f"{name} is larger than {MAX_DOCUMENT >> 20} MiB")
    return b"".join(source.chunks(name))


class DirectorySource:
    """A directory; names and symlinks lead nowhere else."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def size(self, name: str) -> int | None:
        """See `Source`."""
        try:
            fd = self._open(name, os.O_PATH)
        except OSError:
            return None
        try:
            status = os.fstat(fd)
            return status.st_size if stat.S_ISREG(status.st_mode) else None
        finally:
            os.close(fd)

    def chunks(self, name: str) -> Iterator[bytes]:
        """See `Source`."""
        if self.size(name) is None:
            raise ImageFormatError(f"the layout lacks {name}")
        try:
            fd = self._open(name, os.O_RDONLY | os.O_NONBLOCK)
        except OSError as error:
            raise ImageFormatError(f"the layout lacks a readable {name}: {error.strerror}") from error
        try:
            yield from read_file(fd)
        finally:
            os.close(fd)

    def _open(self, name: str, flags: int) -> int:
        if "\0" in name:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
        return open_in_root(self._fd, name, flags)


class _File:
    """A seekable file as a tar's source (see `tar_reader.Source`)."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._position = 0

    def read(self, size: int) -> bytes:
        data = os.pread(self._fd, size, self._position)
        self._position += len(data)
        return data

    def skip(self, size: int) -> None:
        self._position += size


class ArchiveSource:
    """A tar's regular files, found once by reading its headers."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._members: dict[str, tuple[int, int]] = {}
        self._links: dict[str, str] = {}
        reader = TarReader(_File(fd))
        try:
            for _count in range(MAX_MEMBERS):
                entry = reader.next()
                if entry is None:
                    return
                self._remember(entry, reader.position)
        except Refused as error:
            raise ImageFormatError(f"the archive is no tar, or damaged: {error}") from error
        raise ImageFormatError(f"the archive has more than {MAX_MEMBERS} entries")

    def _remember(self, entry: Entry, position: int) -> None:
        name = os.path.normpath(os.fsdecode(entry.name))
        self._members.pop(name, None)
        self._links.pop(name, None)
        if entry.kind == FILE and entry.pieces is None:
            self._members[name] = position, entry.size
        elif entry.kind == SYMLINK:  # old docker archives say so that two images share a layer
            self._links[name] = os.path.normpath(os.path.join(os.path.dirname(name), os.fsdecode(entry.target)))
        elif entry.kind == LINK:
            self._links[name] = os.path.normpath(os.fsdecode(entry.target))

    def _member(self, name: str) -> tuple[int, int] | None:
        for _step in range(_MAX_LINKS):
            if name not in self._links:
                break
            name = self._links[name]
        return self._members.get(name)

    def size(self, name: str) -> int | None:
        """See `Source`."""
        member = self._member(os.path.normpath(name))
        return None if member is None else member[1]

    def chunks(self, name: str) -> Iterator[bytes]:
        """See `Source`."""
        member = self._member(os.path.normpath(name))
        if member is None:
            raise ImageFormatError(f"the archive lacks {name}")
        offset, left = member
        while left:
            data = os.pread(self._fd, min(CHUNK, left), offset)
            if not data:
                raise ImageFormatError(f"the archive ends in the middle of {name}")
            offset += len(data)
            left -= len(data)
            yield data


@contextlib.contextmanager
def open_source(path: str, spool: str) -> Iterator[Source]:
    """A directory, an archive (compressed or not), or ``-`` for one on standard input.

    Args:
        spool: A directory for what has to be written aside to be read at random.

    Raises:
        NotFound, ImageFormatError, NoSpace.
    """
    try:
        fd = os.dup(0) if path == "-" else os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise NotFound(f"no such file or directory: {path}") from None
    except OSError as error:
        raise from_os_error(error, "open the archive") from error
    try:
        if path != "-" and stat.S_ISDIR(os.fstat(fd).st_mode):
            yield DirectorySource(fd)
        elif stat.S_ISREG(os.fstat(fd).st_mode) and not os.lseek(fd, 0, os.SEEK_CUR) and not is_packed(fd):
            yield ArchiveSource(fd)
        else:
            with tempfile.TemporaryFile(dir=spool, buffering=0) as aside:
                _spool(fd, aside.fileno())
                yield ArchiveSource(aside.fileno())
    finally:
        os.close(fd)


def is_packed(fd: int) -> bool:
    """Whether a seekable file is compressed in one of the ways that we can undo."""
    head = os.pread(fd, 16, 0)
    return is_rare(head) or recognise(head) != "tar"


def _spool(fd: int, aside: int) -> None:
    chunks = undo_rare(read_file(fd))
    head = next(chunks, b"")
    for chunk in decompress(itertools.chain([head], chunks), recognise(head)):
        write_all(aside, chunk)
