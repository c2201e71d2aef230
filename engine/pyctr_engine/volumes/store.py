"""Named volumes: a row in the database and a directory, ``volumes/<name>/_data``, owned by root with mode 0755.

A volume is made when it is first used. Whether one is in use is the engine's to know and to check before `remove`.
"""

from __future__ import annotations

import builtins
import contextlib
import errno
import os
import string
import time

from pyctr_engine.database import Database
from pyctr_engine.errors import EngineError, InvalidValue, NotFound, from_os_error
from pyctr_engine.linux.tree import remove_tree
from pyctr_engine.model.volume import Volume
from pyctr_engine.paths import Paths

NAME_MAX = 255
_FIRST = frozenset(string.ascii_letters + string.digits)
_REST = _FIRST | frozenset("_.-")
_GOING, _COMING = ".going-", ".coming-"
"""Prefixes of a directory whose volume is removed already, or not whole yet; no volume's name begins with a dot."""


def check_name(name: str) -> None:
    """Docker's rule: at least two of ``[a-zA-Z0-9_.-]``, the first a letter or digit; InvalidValue otherwise."""
    if 2 <= len(name) <= NAME_MAX and name[0] in _FIRST and _REST.issuperset(name):
        return
    raise InvalidValue(
        f"invalid volume name {name!r}",
        f"2 to {NAME_MAX} of a-z A-Z 0-9 _ . -, beginning with a letter or digit; a host path begins with / or ./",
    )


class VolumeStore:
    """The volumes of one state directory. Methods may be called inside a transaction of the database or outside."""

    def __init__(self, database: Database, paths: Paths) -> None:
        self._database = database
        self._paths = paths

    def ensure(self, name: str, stack: str = "") -> tuple[str, bool]:
        """A volume's directory, made if need be, and whether it was made now.

        Raises:
            InvalidValue: not a volume's name.
            NoSpace, NotPermitted: it can't be made.
        """
        staged = self.stage(name)
        return self.path(name), self.publish(name, staged, stack)

    def stage(self, name: str) -> str:
        """A directory to fill, which `publish` will make a new volume's; empty when the volume is there already.

        Raises:
            InvalidValue: not a volume's name.
            NoSpace, NotPermitted: it can't be made.
        """
        check_name(name)
        if os.path.isdir(self.path(name)):
            return ""
        staged = f"{self._paths.volumes}/{_COMING}{os.urandom(8).hex()}/_data"
        try:
            os.makedirs(self._paths.volumes, mode=0o700, exist_ok=True)
            os.mkdir(os.path.dirname(staged), 0o755)
            os.mkdir(staged, 0o755)
            os.chmod(staged, 0o755)  # noqa: S103 - whatever the umask is; others are kept out above it
        except OSError as error:
            self.discard(staged)
            raise from_os_error(error, f"make volume {name}") from error
        return staged

    def discard(self, staged: str) -> None:
        """Remove what `stage` made; nothing there is fine."""
        if staged:
            remove_tree(os.path.dirname(staged))

    def publish(self, name: str, staged: str, stack: str = "") -> bool:
        """Give what was staged its place, and record the volume; whether it is new: another may have been first.

        Raises:
            NoSpace, NotPermitted: it can't be made.
        """
        place = os.path.dirname(self.path(name))
        created = False
        if staged:
            try:
                os.rename(os.path.dirname(staged), place)
                created = True
            except OSError as error:
                self.discard(staged)
                if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                    raise from_os_error(error, f"make volume {name}") from error
        try:
            self.settle(name, stack)
        except EngineError:
            if created:
                remove_tree(place)
            raise
        return created

    def settle(self, name: str, stack: str = "") -> None:
        """Record a volume that has its files: who made it may have been killed before that."""
        if os.path.isdir(self.path(name)):
            self._database.change(
                "INSERT OR IGNORE INTO volumes (name, created, stack) VALUES (?, ?, ?)", (name, time.time(), stack)
            )

    def path(self, name: str) -> str:
        """Where a volume's files are, whether it exists or not."""
        return f"{self._paths.volumes}/{name}/_data"

    def is_empty(self, name: str) -> bool:
        """Whether it has no files: then what the image has at its mount point is to be copied into it."""
        try:
            with os.scandir(self.path(name)) as entries:
                return next(entries, None) is None
        except FileNotFoundError:
            return True

    def get(self, name: str) -> Volume:
        """A volume by name; NotFound when there is none."""
        row = self._database.connection.execute(
            "SELECT created, stack FROM volumes WHERE name = ?", (name,)
        ).fetchone()
        if row is None:
            raise NotFound(f"no such volume: {name}", "`pyctr-tui volume ls` lists them")
        return Volume(name, self.path(name), *row)

    def list(self) -> list[Volume]:
        """All volumes, by name."""
        rows = self._database.connection.execute("SELECT name, created, stack FROM volumes ORDER BY name")
        return [Volume(name, self.path(name), created, stack) for name, created, stack in rows]

    def remove(self, name: str) -> None:
        """Remove a volume. The caller has made sure, in the same transaction, that no container uses it.

        Its directory is renamed: a removal that is interrupted leaves no half a volume. Its files are deleted by
        `purge`, which takes as long as it takes.

        Raises:
            NotFound: no such volume.
            EngineError: its directory can't be renamed.
        """
        self.get(name)
        self._database.change("DELETE FROM volumes WHERE name = ?", (name,))
        try:
            with contextlib.suppress(FileNotFoundError):
                going = f"{self._paths.volumes}/{_GOING}{os.urandom(8).hex()}"
                os.rename(f"{self._paths.volumes}/{name}", going)
        except OSError as error:
            raise from_os_error(error, f"remove volume {name}") from error

    def purge(self, half_made: bool = False) -> builtins.list[str]:
        """Delete the files of removed volumes, those of interrupted removals too; names of what was deleted.

        ``half_made`` takes what was never finished as well: only right while nobody is making a volume.
        """
        prefixes = (_GOING, _COMING) if half_made else _GOING
        gone = [name for name in self._names() if name.startswith(prefixes)]
        for name in gone:
            try:
                remove_tree(f"{self._paths.volumes}/{name}")
            except OSError as error:
                raise from_os_error(error, "delete a volume's files") from error
        return gone

    def leftovers(self) -> builtins.list[str]:
        """What `purge` would delete; some of it may be somebody's who is just making a volume."""
        return [name for name in self._names() if name.startswith((_GOING, _COMING))]

    def strays(self) -> builtins.list[str]:
        """Directories of no recorded volume: made, and the record lost."""
        known = {volume.name for volume in self.list()}
        return [name for name in self._names() if not name.startswith(".") and name not in known]

    def _names(self) -> builtins.list[str]:
        try:
            return sorted(os.listdir(self._paths.volumes))
        except FileNotFoundError:
            return []

    def size(self, name: str) -> int:
        """Bytes in its files, a file with several names once; what vanishes meanwhile is not counted."""
        self.get(name)
        total = 0
        seen: set[tuple[int, int]] = set()
        directories = [self.path(name)]
        while directories:
            with contextlib.suppress(OSError), os.scandir(directories.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        directories.append(entry.path)
                        continue
                    with contextlib.suppress(FileNotFoundError):
                        status = entry.stat(follow_symlinks=False)
                        if (status.st_dev, status.st_ino) not in seen:
                            total += status.st_size
                        if status.st_nlink > 1:
                            seen.add((status.st_dev, status.st_ino))
        return total
