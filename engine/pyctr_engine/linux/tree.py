"""Trees of files that others wrote: removing them, and making what was written last.

Nothing here follows a symlink, so a hostile tree can't lead out of itself.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import struct

from pyctr_engine.linux.libc import syscall

_MAX_DEPTH = 128
"""Levels walked with a descriptor each; what lies deeper is moved up first."""

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

_GET_FLAGS, _SET_FLAGS = 0x80086601, 0x40086602
_TOP_DIRECTORY = 0x00020000

_MAX_PATH = 4000
"""Bytes of a path that every call takes: PATH_MAX is 4,096."""


def change_directory(path: bytes) -> None:
    """chdir(2) to a path of any length, absolute or not, piece by piece."""
    while len(path) > _MAX_PATH:
        cut = path.rindex(b"/", 1, _MAX_PATH)
        os.chdir(path[:cut])
        path = path[cut + 1 :]
    os.chdir(path)


def remove_tree(path: str | bytes) -> None:
    """Remove a directory and all below it, or a file; nothing there is fine, and so is what others remove meanwhile.

    Raises:
        OSError: what can't be removed.
    """
    try:
        if not stat.S_ISDIR(os.lstat(path).st_mode):
            os.unlink(path)
            return
    except FileNotFoundError:
        return
    with contextlib.suppress(FileNotFoundError):
        root = os.open(path, _DIRECTORY)
        try:
            while _empty(root, root, 0):
                pass
        finally:
            os.close(root)
        os.rmdir(path)


def _empty(directory: int, root: int, depth: int) -> bool:
    """Remove what is in ``directory``; whether something was too deep and now waits in ``root``."""
    again = False
    with os.scandir(directory) as entries:
        found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_directory in found:
        if not is_directory:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=directory)
            continue
        if depth >= _MAX_DEPTH:
            os.rename(name, f".deep-{os.urandom(8).hex()}", src_dir_fd=directory, dst_dir_fd=root)
            again = True
            continue
        try:
            child = os.open(name, _DIRECTORY, dir_fd=directory)
        except FileNotFoundError:
            continue
        try:
            again |= _empty(child, root, depth + 1)
        finally:
            os.close(child)
        with contextlib.suppress(FileNotFoundError):
            os.rmdir(name, dir_fd=directory)
    return again


def sync_directory(path: str) -> None:
    """Make a directory's entries last: after a rename in it. Source: fsync(2)."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_file_system(path: str) -> None:
    """Make all that was written to the file system of ``path`` last; one call for many files. Source: syncfs(2)."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        syscall("syncfs", fd, path=path)
    finally:
        os.close(fd)


def spread_directories(path: str) -> None:
    """Have each directory made in ``path`` begin in a part of the disk that is little used, if such a flag is there.

    ext4 puts what is made in a directory near it. Where it has no journal, it then goes by every inode that was freed
    there in the last minute: making a tree soon after one was removed takes twice as long. Source: chattr(1), T;
    ioctl_iflags(2); recently_deleted() of Linux's fs/ext4/ialloc.c.
    """
    fd = os.open(path, _DIRECTORY)
    try:
        with contextlib.suppress(OSError):  # it is a hint: other file systems have no such flag
            (flags,) = struct.unpack("I", fcntl.ioctl(fd, _GET_FLAGS, bytes(4)))
            if not flags & _TOP_DIRECTORY:
                fcntl.ioctl(fd, _SET_FLAGS, struct.pack("I", flags | _TOP_DIRECTORY))
    finally:
        os.close(fd)
