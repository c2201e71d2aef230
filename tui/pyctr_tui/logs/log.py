"""A container's log: the file that is written and those that were rotated away, as one row of lines.

A line's place is an offset that never changes while the log is watched: rotation renames files, but the lines in
them keep their offsets; those of a file that is dropped are missing at the beginning.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from pyctr_tui.logs.file import BLOCK, Block, LogFile

MOST_FILES = 10
"""As many files as the engine looks for."""


@dataclass(slots=True)
class _Part:
    """A file: at which offset it begins, and how long it is (as far as is known, for the one being written)."""

    inode: int
    base: int
    size: int

    @property
    def end(self) -> int:
        return self.base + self.size


class Log:
    """A log that is watched. Blocks never reach from one file into the next.

    Attributes:
        restarts: How often all places became meaningless, because a file was truncated.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.restarts = 0
        self._parts: list[_Part] = []
        self._current: LogFile | None = None
        self._older: LogFile | None = None
        self.refresh()

    def close(self) -> None:
        """Let go of the files."""
        for file in (self._current, self._older):
            if file is not None:
                file.close()
        self._current = self._older = None

    @property
    def start(self) -> int:
        """Where the first line begins."""
        return self._parts[0].base if self._parts else 0

    @property
    def end(self) -> int:
        """The offset after the last byte, as of the last `refresh`."""
        return self._parts[-1].end if self._parts else 0

    def refresh(self) -> None:
        """Look how far the log has grown, and whether it was rotated meanwhile."""
        if self._current is not None and self._parts:
            newest = self._parts[-1]
            size = self._current.size()
            if size < newest.size:
                self._restart()
                return
            newest.size = size
        try:
            inode = os.stat(self.path).st_ino
        except OSError:
            return
        if self._current is None or self._current.inode != inode:
            self._find_parts()

    def _restart(self) -> None:
        self.close()
        self._parts = []
        self.restarts += 1
        self._find_parts()

    def _find_parts(self) -> None:
        """Look for the files, oldest first; those that are known keep their offsets."""
        try:
            current = LogFile(self.path)
        except OSError:
            return
        found = {current.inode: current.size()}
        for number in range(1, MOST_FILES):  # from the newest on: a file that is renamed meanwhile is met again
            try:
                status = os.stat(f"{self.path}.{number}")
            except OSError:
                continue
            found.setdefault(status.st_ino, status.st_size)
        parts: list[_Part] = []
        if self._parts and self._current is not None:
            self._parts[-1].size = self._current.size()  # what came before it was put aside
            order = list(found)
            if self._current.inode in order:  # what is older is known; newer ones may have a dropped one's inode
                older = set(order[order.index(self._current.inode) :])
                parts = [part for part in self._parts if part.inode in older]
                found = {inode: size for inode, size in found.items() if inode not in older}
        at = self.end
        for inode, size in reversed(found.items()):
            parts.append(_Part(inode, at, size))
            at += size
        self._parts = parts
        if self._current is not None:
            self._current.close()
        self._current = current

    def _file(self, part: _Part) -> LogFile | None:
        """The file of a part; ``None`` when it is gone."""
        if self._current is not None and part.inode == self._current.inode:
            return self._current
        if self._older is not None and self._older.inode == part.inode:
            return self._older
        for number in range(1, MOST_FILES):
            try:
                file = LogFile(f"{self.path}.{number}")
            except OSError:
                continue
            if file.inode == part.inode:
                if self._older is not None:
                    self._older.close()
                self._older = file
                return file
            file.close()
        return None

    def before(self, end: int, size: int = BLOCK) -> Block:
        """About ``size`` bytes of whole lines before a place; none at the log's beginning."""
        for part in reversed(self._parts):
            if part.base < end and (file := self._file(part)) is not None:
                block = file.before(min(end, part.end) - part.base, size)
                if block.data:
                    return Block(part.base + block.start, block.data)
        return Block(min(end, self.start), b"")

    def after(self, start: int, size: int = BLOCK) -> Block:
        """About ``size`` bytes of whole lines from a place on; none at the end."""
        for part in self._parts:
            if part.end > start and (file := self._file(part)) is not None:
                block = file.after(max(start - part.base, 0), size)
                if block.data:
                    return Block(part.base + block.start, block.data)
        return Block(max(start, self.start), b"")

    def find_time(self, when: float) -> int:
        """The place of the first line printed at ``when`` or later; the end when there is none."""
        for part in reversed(self._parts):
            file = self._file(part)
            if file is None or (part is not self._parts[0] and not 0 < file.first_time() < when):
                continue  # the line is in an older file, or is the first here
            at = file.find_time(when)
            return part.base + at if at is not None else part.end
        return self.end
