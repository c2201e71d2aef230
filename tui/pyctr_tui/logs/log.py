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
    """A file, held open so that it stays the same whatever it is called: where it begins, and its whole lines."""

    file: LogFile
    base: int
    size: int = 0

    @property
    def end(self) -> int:
        return self.base + self.size

    def grow(self) -> None:
        """Look how far its whole lines go; a line that is still being written is not counted."""
        size = self.file.size()
        if size > self.size:
            self.size = max(self.size, self.file.before(size).end)


class Log:
    """A log that is watched. Blocks never reach from one file into the next.

    Attributes:
        restarts: How often all places became meaningless, because a file was truncated.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.restarts = 0
        self._parts: list[_Part] = []
        self.refresh()

    def close(self) -> None:
        """Let go of the files."""
        for part in self._parts:
            part.file.close()
        self._parts = []

    @property
    def start(self) -> int:
        """Where the first line begins."""
        return self._parts[0].base if self._parts else 0

    @property
    def end(self) -> int:
        """Behind the last whole line, as of the last `refresh`."""
        return self._parts[-1].end if self._parts else 0

    def refresh(self) -> None:
        """Look how far the log has grown, and whether it was rotated meanwhile."""
        if self._parts:
            newest = self._parts[-1]
            if newest.file.size() < newest.size:
                self.close()
                self.restarts += 1
            else:
                newest.grow()
        try:
            inode = os.stat(self.path).st_ino
        except OSError:
            return
        if not self._parts or self._parts[-1].file.inode != inode:
            self._find_parts()

    def _find_parts(self) -> None:
        """Look for the files: those that are known keep their offsets, those that went are let go of."""
        found: dict[int, LogFile] = {}
        for number in range(MOST_FILES):  # from the newest on: a file that is renamed meanwhile is met again
            try:
                file = LogFile(f"{self.path}.{number}" if number else self.path)
            except OSError:
                continue
            found.setdefault(file.inode, file)
        if not found:
            return
        known = {part.file.inode: part for part in self._parts}  # held open: nothing else can have these numbers
        if self._parts:
            self._parts[-1].grow()  # what came before it was put aside
        at = self.end
        parts = [part for part in self._parts if part.file.inode in found]
        for part in self._parts:
            if part.file.inode not in found:
                part.file.close()
        for inode, file in reversed(found.items()):
            if inode in known:
                file.close()
                continue
            part = _Part(file, at)
            part.grow()
            parts.append(part)
            at = part.end
        self._parts = parts

    def before(self, end: int, size: int = BLOCK) -> Block:
        """About ``size`` bytes of whole lines before a place; none at the log's beginning."""
        for part in reversed(self._parts):
            if part.base < end:
                block = part.file.before(min(end, part.end) - part.base, size)
                if block.data:
                    return Block(part.base + block.start, block.data)
        return Block(min(end, self.start), b"")

    def after(self, start: int, size: int = BLOCK) -> Block:
        """About ``size`` bytes of whole lines from a place on; none at the end."""
        for part in self._parts:
            if part.end > start or part is self._parts[-1]:
                block = part.file.after(max(start - part.base, 0), size)
                if block.data:
                    return Block(part.base + block.start, block.data)
        return Block(max(start, self.start), b"")

    def find_time(self, when: float) -> int:
        """The place of the first line printed at ``when`` or later; the end when there is none."""
        for part in reversed(self._parts):
            if part is not self._parts[0] and not 0 < part.file.first_time() < when:
                continue  # the line is in an older file, or is the first here
            at = part.file.find_time(when)
            return part.base + at if at is not None else part.end
        return self.end
