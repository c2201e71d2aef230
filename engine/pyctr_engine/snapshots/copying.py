"""A running container's upper directory, copied into a delta while the container stands still.

A live overlay can't be given other layers, so what it writes to has to be copied; but only what changed since the
last checkpoint of the same upper directory costs bytes. A copy remembers, in an attribute of overlayfs's own kind
that no container and no layer ever sees, which state of which file it is a copy of: inode, change time, size. As long
as these are the file's, the next checkpoint takes a hard link to the copy. A change time can't be set back, and a
page that was written out is write-protected, so a later write by mmap(2) changes it too; therefore the file system is
synced before. Where files can share their blocks (Btrfs, XFS), copies cost none.

The container is a stranger: everything is opened by descriptors that follow no symlink.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import time

from pyctr_engine.errors import StoreError
from pyctr_engine.linux.overlay import MAX_DEPTH
from pyctr_engine.linux.tree import sync_file_system
from pyctr_engine.snapshots.stack import copy_attributes

_SOURCE = "user.overlay.pyctr.source"
_FICLONE = 0x40049409
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_SMALL = 1 << 16
_RACY = 50_000_000
"""Nanoseconds: a file that changed so shortly before the copy may change again within one tick of the clock."""


def copy(source: str, target: str, previous: str) -> int:
    """Copy the tree ``source`` to ``target``, which isn't there yet; bytes that were copied. The caller syncs it.

    Args:
        source: An upper directory that nothing writes to just now.
        previous: An earlier copy of the same directory, or empty.

    Raises:
        OSError, StoreError: ``target`` may be there in part.
    """
    sync_file_system(source)
    copying = _Copying(time.time_ns() - _RACY, writes_back(source))
    os.mkdir(target, 0o700)
    with contextlib.ExitStack() as after:
        fds = [os.open(path, _DIRECTORY) for path in (source, target)]
        fds.append(os.open(previous, _DIRECTORY) if previous and copying.trusts else -1)
        for fd in fds:
            after.callback(_close, fd)
        copying.root = fds[1]
        copying.directory(fds[0], fds[1], fds[2], b"", 0)
    return copying.size


def writes_back(path: str) -> bool:
    """Whether the file system of ``path`` has a disk: on others a write by mmap(2) may not change the change time."""
    device = os.stat(path).st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    with open("/proc/self/mountinfo") as file:
        for line in file:
            fields = line.split()
            if fields[2] == wanted:
                return fields[fields.index("-") + 1] not in ("tmpfs", "ramfs")
    return False


class _Copying:
    """One copy under way."""

    def __init__(self, settled: int, trusts: bool) -> None:
        self._settled = settled
        self.trusts = trusts
        self.root = -1
        self.size = 0
        self._clones = True
        self._links: dict[int, bytes] = {}

    def directory(self, source: int, target: int, previous: int, path: bytes, depth: int) -> None:
        """Copy what is in a directory, then its own attributes."""
        if depth > MAX_DEPTH:
            raise StoreError(f"a directory is more than {MAX_DEPTH} levels deep: {os.fsdecode(path[:200])}…")
        for text in os.listdir(source):
            name = os.fsencode(text)
            self._entry(name, source, target, previous, path + b"/" + name if path else name, depth)
        copy_attributes(source, target)

    def _entry(self, name: bytes, source: int, target: int, previous: int, path: bytes, depth: int) -> None:
        status = os.stat(name, dir_fd=source, follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            os.mkdir(name, 0o700, dir_fd=target)
            fds = [os.open(name, _DIRECTORY, dir_fd=directory) for directory in (source, target)]
            fds.append(_open_if_there(name, previous))
            try:
                self.directory(fds[0], fds[1], fds[2], path, depth + 1)
            finally:
                for fd in fds:
                    _close(fd)
            return
        if status.st_nlink > 1:
            first = self._links.setdefault(status.st_ino, path)
            if first != path:
                os.link(first, name, src_dir_fd=self.root, dst_dir_fd=target, follow_symlinks=False)
                return
        if stat.S_ISREG(status.st_mode):
            self._file(name, source, target, previous, status)
        elif stat.S_ISLNK(status.st_mode):
            os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
            self._finish(name, target, status)
        else:
            os.mknod(name, status.st_mode, status.st_rdev, dir_fd=target)
            self._finish(name, target, status)

    def _file(self, name: bytes, source: int, target: int, previous: int, status: os.stat_result) -> None:
        state = f"{status.st_ino}:{status.st_ctime_ns}:{status.st_size}".encode()
        if previous >= 0 and _state(name, previous) == state:
            try:
                os.link(name, name, src_dir_fd=previous, dst_dir_fd=target, follow_symlinks=False)
                return
            except OSError as error:
                if error.errno != errno.EMLINK:
                    raise
        one = os.open(name, _FILE, dir_fd=source)
        try:
            other = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=target)
            try:
                self._contents(one, other, status.st_size)
                if self.trusts and status.st_ctime_ns < self._settled:
                    os.setxattr(other, _SOURCE, state)
                copy_attributes(one, other)
            finally:
                os.close(other)
        finally:
            os.close(one)
        self.size += status.st_size

    def _contents(self, source: int, target: int, size: int) -> None:
        """By sharing blocks where the file system can; else only what is no hole."""
        if self._clones and size:
            try:
                fcntl.ioctl(target, _FICLONE, source)
                return
            except OSError:
                self._clones = False  # whatever the reason, copying is always possible
        if size <= _SMALL:
            data = os.read(source, size)
            while data:
                data = data[os.write(target, data) :]
        else:
            _copy_pieces(source, target, size)
        os.ftruncate(target, size)

    @staticmethod
    def _finish(name: bytes, target: int, status: os.stat_result) -> None:
        os.chown(name, status.st_uid, status.st_gid, dir_fd=target, follow_symlinks=False)
        if not stat.S_ISLNK(status.st_mode):
            os.chmod(name, stat.S_IMODE(status.st_mode), dir_fd=target)
        os.utime(name, ns=(status.st_atime_ns, status.st_mtime_ns), dir_fd=target, follow_symlinks=False)


def link_tree(source: str, target: str) -> None:
    """A delta once more at ``target``: its own directories, the same files by hard links.

    Raises:
        OSError, StoreError: ``target`` may be there in part.
    """
    os.mkdir(target, 0o700)
    fds = [os.open(path, _DIRECTORY) for path in (source, target)]
    try:
        _link_directory(fds[0], fds[1], 0)
    finally:
        for fd in fds:
            os.close(fd)


def _link_directory(source: int, target: int, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise StoreError(f"a directory is more than {MAX_DEPTH} levels deep")
    with os.scandir(source) as entries:
        found = [(os.fsencode(entry.name), entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_directory in found:
        if not is_directory:
            os.link(name, name, src_dir_fd=source, dst_dir_fd=target, follow_symlinks=False)
            continue
        os.mkdir(name, 0o700, dir_fd=target)
        fds = [os.open(name, _DIRECTORY, dir_fd=directory) for directory in (source, target)]
        try:
            _link_directory(fds[0], fds[1], depth + 1)
        finally:
            for fd in fds:
                os.close(fd)
    copy_attributes(source, target)


def _state(name: bytes, previous: int) -> bytes:
    try:
        fd = os.open(name, _FILE, dir_fd=previous)
    except OSError:
        return b""
    try:
        return os.getxattr(fd, _SOURCE)
    except OSError:
        return b""
    finally:
        os.close(fd)


def _copy_pieces(source: int, target: int, size: int) -> None:
    """All but the holes."""
    offset = 0
    while offset < size:
        try:
            offset = os.lseek(source, offset, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                break  # nothing but a hole
            raise
        end = os.lseek(source, offset, os.SEEK_HOLE)
        while offset < end:
            done = os.copy_file_range(source, target, end - offset, offset, offset)
            if not done:
                break
            offset += done


def _open_if_there(name: bytes, directory: int) -> int:
    if directory < 0:
        return -1
    try:
        return os.open(name, _DIRECTORY, dir_fd=directory)
    except OSError:
        return -1


def _close(fd: int) -> None:
    if fd >= 0:
        os.close(fd)
