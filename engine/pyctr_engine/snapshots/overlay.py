"""A container's read-write view: the upper and work directories of an overlay, and what the upper has changed.

Files on disk keep the image's ids (the layers are mounted idmapped), so nothing here converts owners.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pyctr_engine.errors import from_os_error
from pyctr_engine.linux.tree import remove_tree
from pyctr_engine.snapshots import stack

if TYPE_CHECKING:
    from pyctr_engine.model.image import Change, FileType


class Snapshot:
    """The directories that make a container's file system its own.

    Attributes:
        upper: Where what it writes goes.
        work: What overlayfs needs beside it, on the same file system.
        uppers: ``upper`` and the frozen deltas of its checkpoints below it, topmost first.
    """

    __slots__ = ("directory", "stack", "work")

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.work = f"{directory}/work"
        self.stack = stack.read(directory)

    @property
    def upper(self) -> str:
        """Absolute."""
        return f"{self.directory}/{self.stack.upper}"

    @property
    def uppers(self) -> list[str]:
        """Absolute, topmost first."""
        return [self.upper, *(f"{self.directory}/{delta}" for delta in self.stack.deltas)]

    def at(self, name: str) -> list[str]:
        """The deltas that make a checkpoint, absolute, topmost first. Raises NotFound."""
        return [f"{self.directory}/{delta}" for delta in self.stack.point(name).deltas]

    def prepare(self, lowers: Sequence[str]) -> None:
        """Make both; the upper's root takes the mode and owner of the topmost of ``lowers``. Once is enough.

        The upper directory is the last to get its name: where it is, both are whole.

        Raises:
            EngineError: the directories can't be made.
        """
        try:
            os.makedirs(self.directory, mode=0o700, exist_ok=True)
            if not os.path.isdir(self.work):
                os.mkdir(self.work, 0o700)
            if not os.path.isdir(self.upper):
                fresh = f"{self.upper}.new"
                with contextlib.suppress(FileExistsError):
                    os.mkdir(fresh, 0o755)
                status = os.stat(lowers[0]) if lowers else None
                if status is not None:
                    os.chown(fresh, status.st_uid, status.st_gid)
                os.chmod(fresh, stat.S_IMODE(status.st_mode) if status is not None else 0o755)
                os.rename(fresh, self.upper)
        except OSError as error:
            raise from_os_error(error, "prepare the container's file system") from error

    def changes(self, lowers: Sequence[str]) -> list[Change]:
        """What differs from ``lowers`` (absolute, topmost first), sorted by path.

        As docker does, a directory counts as changed when anything in it did. Safe while the container runs.
        """
        from pyctr_engine.linux.overlay import differences
        from pyctr_engine.model.image import Change

        found: list[Change] = []
        links: set[int] = set()
        try:
            for difference in differences(self.uppers, lowers):
                if not difference.path:
                    continue
                mode, deleted = difference.status.st_mode, difference.kind == "D"
                size = 0 if deleted else _added_size(difference.status, links)
                file_type = "file" if deleted else _file_type(mode)
                found.append(Change("/" + os.fsdecode(difference.path), difference.kind, size, file_type))
        except FileNotFoundError as error:
            if error.filename != self.upper:
                raise from_os_error(error, "read the container's changes") from error
        except OSError as error:
            raise from_os_error(error, "read the container's changes") from error
        return sorted(found, key=lambda change: change.path)

    def size(self) -> int:
        """Bytes of the files in the upper directory and its deltas, holes not counted."""
        return sum(map(allocated, self.uppers))

    def remove(self) -> None:
        """Remove all of them; nothing there is fine."""
        try:
            for path in self.uppers:
                remove_tree(path)
            remove_tree(self.work)
        except OSError as error:
            raise from_os_error(error, "remove the container's file system") from error


def _added_size(status: os.stat_result, links: set[int]) -> int:
    """Bytes that a file adds to a layer; one with several names adds them once."""
    if not stat.S_ISREG(status.st_mode) or status.st_ino in links:
        return 0
    if status.st_nlink > 1:
        links.add(status.st_ino)
    return status.st_size


def _file_type(mode: int) -> FileType:
    if stat.S_ISDIR(mode):
        return "directory"
    if stat.S_ISLNK(mode):
        return "symlink"
    if stat.S_ISFIFO(mode):
        return "fifo"
    return "device" if stat.S_ISCHR(mode) or stat.S_ISBLK(mode) else "file"


def allocated(upper: str) -> int:
    """Bytes of the files in a directory, holes not counted."""
    total = 0
    seen: set[int] = set()
    for _root, _directories, names, fd in os.fwalk(upper, follow_symlinks=False):
        for name in names:
            try:
                status = os.stat(name, dir_fd=fd, follow_symlinks=False)
            except FileNotFoundError:
                continue
            if stat.S_ISREG(status.st_mode) and status.st_ino not in seen:
                if status.st_nlink > 1:
                    seen.add(status.st_ino)
                total += min(status.st_blocks * 512, status.st_size)
    return total
