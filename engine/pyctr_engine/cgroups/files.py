"""Reading and writing control files: one open, one call, one close.

Light on purpose: the monitor of every container imports it.
"""

from __future__ import annotations

import os


def read(path: str) -> str:
    """The whole of a control file; raises OSError.

    64 KiB is far more than any file read here holds (``memory.stat``, the longest, has about 2 KiB).
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, 65536).decode("ascii", "replace")
    finally:
        os.close(fd)


def write(path: str, value: str) -> None:
    """Write ``value`` in one call, as the kernel demands; raises OSError."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, value.encode())
    finally:
        os.close(fd)


def number(path: str) -> int:
    """The number in a file that holds one; 0 where the file is missing or says ``max``.

    A cgroup that has been removed reads as ENODEV through an open file and as ENOENT by name.
    """
    try:
        text = read(path).strip()
    except OSError:
        return 0
    return int(text) if text.isdigit() else 0


def table(path: str) -> dict[str, int]:
    """The ``key value`` lines of a file such as ``memory.stat``; empty where the file is missing."""
    try:
        words = read(path).split()
    except OSError:
        return {}
    return {key: int(value) for key, value in zip(words[::2], words[1::2], strict=False) if value.isdigit()}
