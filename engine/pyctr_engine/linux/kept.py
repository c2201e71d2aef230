"""Control files that are read again and again: kept open, and parsed only when they say something new.

Opening and closing costs more than reading. Descriptors are bounded: when there are no more, a file is opened for
each reading, as are those that are read once.
"""

from __future__ import annotations

import fcntl
import os
import resource
from collections.abc import Callable
from errno import EINVAL, EMFILE, ENFILE, ENOENT, EOPNOTSUPP

_SPARE = 256
"""Descriptors left to the rest of the process."""
_LOW = 1024
"""Kept ones are above, where they can: below, select(2) needs room for others."""
_MOST = 1 << 16

_CLOSED, _MISSING = -1, -2


class Descriptors:
    """How many more may be kept open."""

    __slots__ = ("floor", "left")

    def __init__(self, left: int = 0) -> None:
        self.left = left
        self.floor = 0


def allowed() -> Descriptors:
    """As many as this process may have, its soft limit raised to the hard one. Source: getrlimit(2)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST if hard == resource.RLIM_INFINITY else min(hard, _MOST)
    if resource.RLIM_INFINITY != soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
        except (OSError, ValueError):  # then with those there are
            pass
    most = _MOST if soft == resource.RLIM_INFINITY else min(soft, _MOST)
    found = Descriptors(max(0, most - _SPARE - (_LOW if most > 4 * _LOW else 0)))
    found.floor = _LOW if most > 4 * _LOW else 0
    return found


class File:
    """One control file, of which the first ``size`` bytes are read: a smaller buffer is a faster call.

    Attributes:
        data: What it said last; empty where this kernel has no such file.
    """

    __slots__ = ("_descriptors", "_fd", "_path", "_size", "data")

    def __init__(self, path: str, descriptors: Descriptors, size: int = 4096) -> None:
        self._path = path
        self._descriptors = descriptors
        self._fd = _CLOSED
        self._size = size
        self.data = b""

    @property
    def is_missing(self) -> bool:
        """Whether this kernel has no such file, or can't tell what it would say."""
        return self._fd == _MISSING

    def changed(self) -> bool:
        """Read it; whether it says something else than the last time.

        Raises OSError: the cgroup is gone (ENODEV).
        """
        fd = self._fd
        if fd < 0:
            return fd != _MISSING and self._opened()
        data = os.pread(fd, self._size, 0)
        if data == self.data:
            return False
        self.data = data
        return True

    def _opened(self) -> bool:
        before = self.data
        try:
            fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            if error.errno in (ENOENT, EOPNOTSUPP):
                self._fd = _MISSING
                return False
            raise
        try:
            self.data = os.pread(fd, self._size, 0)
        except OSError as error:
            os.close(fd)
            if error.errno in (EOPNOTSUPP, EINVAL):  # pressure that is switched off
                self._fd = _MISSING
                return False
            raise
        self._keep(fd)
        return self.data != before

    def _keep(self, fd: int) -> None:
        descriptors = self._descriptors
        if descriptors.left > 0 and descriptors.floor:
            try:
                high = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, descriptors.floor)
            except OSError as error:
                if error.errno not in (EMFILE, ENFILE, EINVAL):
                    raise
                descriptors.left = 0
                high = -1
            os.close(fd)
            fd = high
        if descriptors.left > 0:
            descriptors.left -= 1
            self._fd = fd
        elif fd >= 0:
            os.close(fd)

    def close(self) -> None:
        """Let go of it; reading opens it anew."""
        if self._fd >= 0:
            os.close(self._fd)
            self._descriptors.left += 1
        if self._fd != _MISSING:
            self._fd = _CLOSED


Opener = Callable[[str], File]
"""Makes the file of a path."""


def number(data: bytes) -> int | None:
    """The number that a file says; ``None`` for none, or for ``max``."""
    text = data.strip()
    return int(text) if text.isdigit() else None


def value(data: bytes, key: bytes) -> int | None:
    """The number after ``\\nkey `` in ``key value`` lines with a newline before the first; ``None`` without it.

    Found by searching, not by parsing all lines: ``memory.stat`` has forty, of which four are wanted.
    """
    at = data.find(key)
    if at < 0:
        return None
    at += len(key)
    return int(data[at : data.find(b"\n", at)])
