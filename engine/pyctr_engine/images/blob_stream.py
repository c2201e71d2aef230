"""A large blob on its way to disk: gathered in the caller's thread, hashed in a second, written in a third.

Written past the page cache (``O_DIRECT``) where the file system can: a gigabyte that nobody reads again soon costs
more in the kernel's pages than on the disk, and is on the disk when its digest is known. Source: open(2).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import mmap
import os

from pyctr_engine.images.layout import ASIDE, Layout, write_all
from pyctr_engine.images.stage import Stage
from pyctr_engine.linux.tree import sync_directory
from pyctr_engine.model.oci import Descriptor

_SIZE = 4 << 20
_BUFFERS = 4


class BlobStream:
    """A blob being written aside; a context that leaves nothing behind on failure. See `layout.BlobWriter`."""

    def __init__(self, layout: Layout) -> None:
        import hashlib

        self._layout = layout
        self._aside = f"{layout.blobs}/{ASIDE}{os.urandom(8).hex()}"
        self._hash = hashlib.sha256()
        self._buffers = [mmap.mmap(-1, _SIZE) for _ in range(_BUFFERS)]
        self._filled = 0
        self._turn = 0
        self.size = 0
        self._fd = _create(self._aside)
        self._stages: tuple[Stage[memoryview], ...] = (Stage(self._hash.update), Stage(self._write))

    def __enter__(self) -> BlobStream:
        return self

    def __exit__(self, *_exception: object) -> None:
        with contextlib.suppress(OSError):
            self._finish()
        if self._fd >= 0:
            os.close(self._fd)
            os.unlink(self._aside)
            self._fd = -1

    def write(self, data: bytes) -> None:
        """Append. Raises OSError, maybe of an earlier piece."""
        view = memoryview(data)
        while view:
            piece = view[: _SIZE - self._filled]
            self._buffers[self._turn][self._filled : self._filled + len(piece)] = piece
            self._filled += len(piece)
            self.size += len(piece)
            view = view[len(piece) :]
            if self._filled == _SIZE:
                self._hand_on()

    def commit(self, media_type: str) -> Descriptor:
        """Give the blob its place. Raises OSError."""
        whole = self._filled - self._filled % mmap.PAGESIZE
        rest = self._buffers[self._turn][whole : self._filled]
        self._filled = whole
        if whole:
            self._hand_on()
        self._finish()
        self._hash.update(rest)
        fcntl.fcntl(self._fd, fcntl.F_SETFL, 0)  # what is left is no whole page
        write_all(self._fd, rest)
        os.fsync(self._fd)
        digest = f"sha256:{self._hash.hexdigest()}"
        os.rename(self._aside, self._layout.path(digest))
        os.close(self._fd)
        self._fd = -1
        sync_directory(self._layout.blobs)
        return Descriptor(media_type, digest, self.size)

    def _hand_on(self) -> None:
        """The present buffer goes to both stages; the next one must have come back from them."""
        piece = memoryview(self._buffers[self._turn])[: self._filled]
        for stage in self._stages:
            stage.put(piece)
        self._turn, self._filled = (self._turn + 1) % _BUFFERS, 0
        for stage in self._stages:
            stage.wait(_BUFFERS - 1)

    def _write(self, data: memoryview) -> None:
        while data:
            try:
                data = data[os.write(self._fd, data) :]
            except OSError as error:
                if error.errno != errno.EINVAL or not fcntl.fcntl(self._fd, fcntl.F_GETFL) & os.O_DIRECT:
                    raise
                fcntl.fcntl(self._fd, fcntl.F_SETFL, 0)  # a disk with blocks larger than a page

    def _finish(self) -> None:
        """Wait for all. Raises what a stage met."""
        for stage in self._stages:
            stage.end()
        for stage in self._stages:
            stage.check()


def _create(path: str) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        return os.open(path, flags | os.O_DIRECT, 0o600)
    except OSError as error:
        if error.errno != errno.EINVAL:  # what a file system answers that has no such way
            raise
        with contextlib.suppress(FileNotFoundError):  # some make the file first
            os.unlink(path)
        return os.open(path, flags, 0o600)
