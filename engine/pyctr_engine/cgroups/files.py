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


def pick(path: str, *keys: str) -> tuple[int, ...]:
    """The numbers of some of a file's ``key value`` lines; -1 for a key (or a file) that isn't there.

    Found by searching, not by parsing all lines: 30 µs less for ``memory.stat``, for each container and second.
    """
    try:
        text = "\n" + read(path)
    except OSError:
        return (-1,) * len(keys)
    found = []
    for key in keys:
        start = text.find(f"\n{key} ")
        if start < 0:
            found.append(-1)
            continue
        start += len(key) + 2
        value = text[start : start + 20].split("\n", 1)[0]  # 2^64 has 20 digits
        found.append(int(value) if value.isdigit() else -1)
    return tuple(found)
