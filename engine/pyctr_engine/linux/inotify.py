"""Waiting for changes of a file or directory. Source: inotify(7)."""

from __future__ import annotations

import os

from pyctr_engine.linux.libc import syscall

IN_MODIFY = 0x2
IN_MOVED_FROM = 0x40
IN_CREATE = 0x100


def watch(path: str, mask: int) -> int:
    """A descriptor that is readable when something of ``mask`` happened to ``path`` or in it; then `drain` it."""
    fd = syscall("inotify_init1", os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        syscall("inotify_add_watch", fd, os.fsencode(path), mask, path=path)
    except OSError:
        os.close(fd)
        raise
    return fd


def drain(fd: int) -> None:
    """Throw away what is queued."""
    try:
        while os.read(fd, 1 << 16):
            pass
    except BlockingIOError:
        pass
