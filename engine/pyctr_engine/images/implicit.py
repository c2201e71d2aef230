"""Directories that a layer has without describing them: they are meant to be as they are below.

A tar with ``etc/motd`` alone still needs a directory ``etc`` to hold it, and in an overlay that directory's mode and
owner would hide those of the layers below. So they are taken over.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence

from pyctr_engine.linux.overlay import look_up

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def adopt_attributes(fs: str, paths: Sequence[str], lowers: Sequence[str]) -> None:
    """Give the directories ``paths`` (relative) of ``fs`` the mode, owner and time they have in ``lowers``."""
    if not lowers:
        return
    for path in paths:
        parts = [os.fsencode(part) for part in path.split("/") if part not in ("", ".", "..")]
        found = _seen_below(parts, [os.fsencode(lower) for lower in lowers])
        if found is not None and stat.S_ISDIR(found.st_mode):
            _apply(fs, parts, found)


def _seen_below(parts: Sequence[bytes], stack: list[bytes]) -> os.stat_result | None:
    status: os.stat_result | None = os.lstat(stack[0])
    for part in parts:
        status, stack = look_up(stack, part)
        if status is None:
            return None
    return status


def _apply(fs: str, parts: Sequence[bytes], found: os.stat_result) -> None:
    """By descriptors that follow no symlink: what was unpacked is still a stranger's."""
    fd = os.open(fs, _DIRECTORY)
    try:
        for part in parts:
            child = os.open(part, _DIRECTORY, dir_fd=fd)
            os.close(fd)
            fd = child
        os.fchown(fd, found.st_uid, found.st_gid)
        os.fchmod(fd, stat.S_IMODE(found.st_mode))
        os.utime(fd, ns=(found.st_mtime_ns, found.st_mtime_ns))
        os.fsync(fd)
    finally:
        os.close(fd)
