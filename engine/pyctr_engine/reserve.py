"""A little room kept on the state directory's disk, so that removing things works when the disk is full.

Taking an image's name away rewrites the index, and forgetting a container writes to the database: both need some
bytes before they give back gigabytes.
"""

from __future__ import annotations

import contextlib
import os

SIZE = 512 << 10
"""Bytes: enough for an index of thousands of images, and SQLite's two files beside the database."""

_LEAST = 32 << 10


def keep(state: str, spare: bool = False) -> None:
    """Set the room aside, if it isn't; less of it where there is less. ``spare``: only where there is plenty."""
    path = f"{state}/reserve"
    with contextlib.suppress(FileNotFoundError):
        if os.stat(path).st_size == SIZE:
            return
    if spare and _free(state) < 4 * SIZE:
        return
    with contextlib.suppress(OSError):
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            size = SIZE
            while size >= _LEAST:
                with contextlib.suppress(OSError):
                    os.posix_fallocate(fd, 0, size)
                    return
                size //= 2
            os.ftruncate(fd, 0)
        finally:
            os.close(fd)


def make_room(state: str) -> bool:
    """Before a removal: give the room up if the disk is full; whether it was given up."""
    try:
        if _free(state) >= SIZE:
            return False
        os.unlink(f"{state}/reserve")
    except FileNotFoundError:
        return False
    return True


def _free(state: str) -> int:
    found = os.statvfs(state)
    return found.f_bavail * found.f_frsize
