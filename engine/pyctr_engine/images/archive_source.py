"""Where images are loaded from: a directory, or a tar read at random. Both are strangers': nothing is believed."""

from __future__ import annotations

import contextlib
import os
import tarfile
import tempfile
from collections.abc import Iterator
from typing import IO, Protocol

from pyctr_engine.errors import ImageFormatError, NoSpace, NotFound, from_os_error
from pyctr_engine.images.layout import MAX_DOCUMENT
from pyctr_engine.images.streams import CHUNK, decompress, read_file, recognise

MAX_MEMBERS = 100_000
MAX_SPOOL = 64 << 30
"""Bytes of a compressed archive that are written aside, uncompressed, to be read at random."""


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
    """A directory; names lead nowhere else."""

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def size(self, name: str) -> int | None:
        """See `Source`."""
        path = f"{self._directory}/{name}"
        return os.path.getsize(path) if os.path.isfile(path) else None

    def chunks(self, name: str) -> Iterator[bytes]:
        """See `Source`."""
        try:
            fd = os.open(f"{self._directory}/{name}", os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            raise ImageFormatError(f"the layout lacks a readable {name}: {error.strerror}") from error
        try:
            yield from read_file(fd)
        finally:
            os.close(fd)


class ArchiveSource:
    """A tar's regular files, found once by reading its headers."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._members: dict[str, tuple[int, int]] = {}
        links: dict[str, str] = {}
        try:
            with tarfile.open(fileobj=file, mode="r:", encoding="utf-8", errors="surrogateescape") as tar:
                for count, member in enumerate(tar):
                    if count > MAX_MEMBERS:
                        raise ImageFormatError(f"the archive has more than {MAX_MEMBERS} entries")
                    name = os.path.normpath(member.name)
                    if member.isreg() and not member.issparse():
                        self._members[name] = (member.offset_data, member.size)
                    elif member.issym():  # old docker archives say so that two images share a layer
                        links[name] = os.path.normpath(os.path.join(os.path.dirname(name), member.linkname))
        except (tarfile.TarError, ValueError, OverflowError, MemoryError) as error:
            raise ImageFormatError(f"the archive is no tar, or damaged: {error}") from error
        for name, target in links.items():
            if target in self._members:
                self._members.setdefault(name, self._members[target])

    def size(self, name: str) -> int | None:
        """See `Source`."""
        member = self._members.get(name)
        return None if member is None else member[1]

    def chunks(self, name: str) -> Iterator[bytes]:
        """See `Source`."""
        if name not in self._members:
            raise ImageFormatError(f"the archive lacks {name}")
        offset, left = self._members[name]
        while left:
            data = os.pread(self._file.fileno(), min(CHUNK, left), offset)
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
    if path != "-" and os.path.isdir(path):
        yield DirectorySource(path)
        return
    try:
        fd = os.dup(0) if path == "-" else os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise NotFound(f"no such file or directory: {path}") from None
    except OSError as error:
        raise from_os_error(error, "open the archive") from error
    with os.fdopen(fd, "rb", buffering=0) as file:
        head = os.pread(fd, 16, 0) if file.seekable() else b""
        if head and recognise(head) == "tar":
            yield ArchiveSource(file)
            return
        with tempfile.TemporaryFile(dir=spool) as aside:
            _spool(fd, aside)
            yield ArchiveSource(aside)


def _spool(fd: int, aside: IO[bytes]) -> None:
    chunks = read_file(fd)
    head = next(chunks, b"")

    def whole() -> Iterator[bytes]:
        yield head
        yield from chunks

    size = 0
    for chunk in decompress(whole(), recognise(head)):
        size += len(chunk)
        if size > MAX_SPOOL:
            raise NoSpace(f"the archive is larger than {MAX_SPOOL >> 30} GiB when unpacked")
        aside.write(chunk)
    aside.flush()
    aside.seek(0)
