"""A little room kept on the state directory's disk, so that removing things works when the disk is full.

Taking an image's name away rewrites the index, and forgetting a container writes to the database: both need some
bytes before they give back gigabytes.
"""

from __future__ import annotations

import contextlib
import os

SIZE = 512 << 10
"""Bytes: an index of thousands of images, and SQLite's two files beside the database."""


def keep(state: str) -> None:
    """Set the room aside, if it isn't; quiet when there is no room to set aside."""
    path = f"{state}/reserve"
    if os.path.exists(path):
        return
    with contextlib.suppress(OSError):
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(fd, 0, SIZE)
        except OSError:
            os.unlink(path)
        finally:
            os.close(fd)


def make_room(state: str) -> bool:
    """Before a removal: give the room up if the disk is full; whether it was given up."""
    try:
        found = os.statvfs(state)
        if found.f_bavail * found.f_frsize >= SIZE:
            return False
        os.unlink(f"{state}/reserve")
    except FileNotFoundError:
        return False
    return True
