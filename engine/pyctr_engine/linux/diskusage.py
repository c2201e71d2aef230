"""What trees of files take on the disk: allocated bytes (``st_blocks`` × 512, stat(2)), each inode once.

Holes take nothing, a small file takes its blocks, directories count too. What vanishes meanwhile is not counted.
"""

from __future__ import annotations

import contextlib
import os
import stat

_BLOCK = 512
"""Bytes of the unit of ``st_blocks``, whatever the file system's own."""


class DiskUsage:
    """Adds up trees.

    Attributes:
        entries: How many files, directories and so on were met; a file with two names counts twice.
    """

    def __init__(self) -> None:
        self.entries = 0
        self._alone = 0
        self._linked: dict[tuple[int, int], list[int]] = {}

    def add(self, path: str) -> None:
        """Count a file, or a directory and all below it; nothing there is fine, symlinks are not followed."""
        with contextlib.suppress(OSError):
            status = os.lstat(path)
            self._count(status)
            if not stat.S_ISDIR(status.st_mode):
                return
            directories = [path]
            while directories:
                directory = directories.pop()
                with contextlib.suppress(FileNotFoundError), os.scandir(directory) as entries:
                    for entry in entries:
                        with contextlib.suppress(FileNotFoundError):
                            self._count(entry.stat(follow_symlinks=False))
                            if entry.is_dir(follow_symlinks=False):
                                directories.append(entry.path)

    def _count(self, status: os.stat_result) -> None:
        self.entries += 1
        size = status.st_blocks * _BLOCK
        if status.st_nlink == 1 or stat.S_ISDIR(status.st_mode):
            self._alone += size
            return
        self._linked.setdefault((status.st_dev, status.st_ino), [size, status.st_nlink, 0])[2] += 1

    def merge(self, other: DiskUsage) -> None:
        """Count what ``other`` has counted as well."""
        self.entries += other.entries
        self._alone += other._alone
        for inode, (size, names, met) in other._linked.items():
            self._linked.setdefault(inode, [size, names, 0])[2] += met

    @property
    def allocated(self) -> int:
        """Bytes that they take."""
        return self._alone + sum(size for size, _names, _met in self._linked.values())

    @property
    def freed_if_removed(self) -> int:
        """Bytes that removing them would give back: a file that has another name elsewhere would stay."""
        return self._alone + sum(size for size, names, met in self._linked.values() if met >= names)


def allocated(*paths: str) -> int:
    """Bytes that trees take together."""
    usage = DiskUsage()
    for path in paths:
        usage.add(path)
    return usage.allocated
