"""overlayfs on disk: what an upper directory says about the directories below it.

Source: Documentation/filesystems/overlayfs.rst. Layers are mounted with ``userxattr``, so overlay's own attributes
are ``user.overlay.*``; what a container itself wrote under that name is kept escaped, as ``user.overlay.overlay.*``.

The upper directory may be written to meanwhile by a hostile container: it is walked by descriptors that never follow
a symlink. The directories below are read-only layers.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pyctr_engine.errors import StoreError

MAX_DEPTH = 256
"""Levels that are walked: each holds a descriptor meanwhile."""

_OPAQUE = ("user.overlay.opaque", "trusted.overlay.opaque")
_PREFIXES = ("user.overlay.", "trusted.overlay.")
_ESCAPE = "overlay."
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Difference:
    """One path of the upper directory that differs from what lies below.

    Attributes:
        path: Relative, bytes; ``b""`` is the root.
        kind: Added, Changed or Deleted.
        status: From lstat; of what was there below for a deletion.
        directory: Descriptor of the directory that holds it; good until the next difference is asked for.
        opaque: A directory that hides all that lies below it.
        hidden: A deletion that an opaque directory above says already.
        passage: A directory that is as it was: told only because of what changed inside.
    """

    path: bytes
    kind: Literal["A", "C", "D"]
    status: os.stat_result
    directory: int
    opaque: bool = False
    hidden: bool = False
    passage: bool = False

    @property
    def name(self) -> bytes:
        """The last part of its path; ``b"."`` for the root."""
        return self.path.rpartition(b"/")[2] or b"."

    def open(self, flags: int = _FILE) -> int:
        """A descriptor of it, for reading; a symlink is an OSError."""
        return os.open(self.name, flags, dir_fd=self.directory)


def differences(upper: str | Sequence[str], lowers: Sequence[str]) -> Iterator[Difference]:
    """What ``upper`` changes, in the order of a sorted walk: a directory, its deletions, its other entries.

    Several uppers (topmost first) count as one: what all of them together change in ``lowers``, as if all had been
    written to a single directory.

    Left out are a directory that is as it was and in which nothing changed, a file copied up but as it was, a socket,
    and the deletion of what isn't there below.

    Raises:
        OSError: no such directory, or one that can't be read.
        StoreError: a tree too deep to walk.
    """
    uppers = [upper] if isinstance(upper, str) else list(upper)
    roots: list[int] = []
    try:
        for path in uppers:
            roots.append(os.open(path, _DIRECTORY if path == uppers[0] else _DIRECTORY & ~os.O_NOFOLLOW))
        below = [os.fsencode(os.path.realpath(lower)) for lower in lowers]  # they may be short links
        own = Difference(b"", "C", os.fstat(roots[0]), roots[0])
        changed = bool(below) and not _same_directory(roots[0], below[0])
        walk = _Walk(uppers if len(uppers) > 1 else ())
        yield from _with_directory(own, changed, walk.inside(roots, b"", below, False, 0))
    finally:
        for root in roots:
            os.close(root)


def _with_directory(own: Difference, changed: bool, inside: Iterator[Difference]) -> Iterator[Difference]:
    """A directory, if it or anything inside changed, and then what is inside."""
    if changed:
        yield own
    for difference in inside:
        if not changed:
            changed = True
            yield replace(own, passage=True)
        yield difference


_Found = tuple[os.stat_result, int]
"""An entry of an upper directory, and the descriptor of the directory that holds it."""


class _Walk:
    """One walk through upper directories that count as one."""

    def __init__(self, shared: Sequence[str]) -> None:
        self._links = _Links(shared) if shared else None

    def inside(
        self, uppers: list[int], path: bytes, below: list[bytes], hidden: bool, depth: int
    ) -> Iterator[Difference]:
        """The differences in one directory; ``hidden``: an opaque one above hides all of ``below``."""
        if depth > MAX_DEPTH:
            raise StoreError(f"a directory is more than {MAX_DEPTH} levels deep: {os.fsdecode(path[:200])}…")
        present = _present(uppers)
        prefix = path + b"/" if path else b""
        gone = {name for name, (found, *_) in present.items() if hides(found[0])}
        missing = _names(below) - present.keys() if hidden else set()
        for name in sorted(gone | missing):
            before, _stack = look_up(below, name)
            if before is not None:
                yield Difference(prefix + name, "D", before, uppers[0], hidden=hidden)
        for name in sorted(present.keys() - gone):
            found = present[name]
            status, directory = found[0]
            before, stack = look_up(below, name)
            own = Difference(prefix + name, "A" if before is None else "C", status, directory)
            if stat.S_ISDIR(status.st_mode):
                yield from self._directory(own, found, stack, hidden, depth)
            elif before is None or hidden or not self._same_file(own, below, before):
                yield own

    def _directory(
        self, own: Difference, found: list[_Found], stack: list[bytes], hidden: bool, depth: int
    ) -> Iterator[Difference]:
        children: list[int] = []
        try:
            cut = _open_stack(own.name, found, children)
            if not children:
                return  # replaced meanwhile
            opaque = cut and bool(stack)
            own = replace(own, opaque=opaque)
            changed = not stack or opaque or hidden or not _same_directory(children[0], stack[0])
            inside = self.inside(children, own.path, stack, hidden or opaque, depth + 1)
            yield from _with_directory(own, changed, inside)
        finally:
            for child in children:
                os.close(child)

    def _same_file(self, own: Difference, below: Sequence[bytes], before: os.stat_result) -> bool:
        """Whether a copied-up file is as it was, to the last byte: a time stamp can be set back."""
        status = own.status
        if not _same_attributes(status, before) or status.st_mtime_ns != before.st_mtime_ns:
            return False
        if status.st_nlink > 1 and (self._links is None or self._links.names(status) > 1):
            return False  # what was copied up has one name: another was made, and its contents are to be had
        lower = next(path for path in (directory + b"/" + own.name for directory in below) if os.path.lexists(path))
        if stat.S_ISLNK(status.st_mode):
            return os.readlink(own.name, dir_fd=own.directory) == os.readlink(lower)
        if not stat.S_ISREG(status.st_mode):
            return status.st_rdev == before.st_rdev
        return status.st_size == before.st_size and _same_contents(own, lower)


class _Links:
    """How many names a file has in these directories: copies of them elsewhere may share it, and its link count."""

    def __init__(self, roots: Sequence[str]) -> None:
        self._roots = roots
        self._counts: dict[tuple[int, int], int] | None = None

    def names(self, status: os.stat_result) -> int:
        """Of the file with that status; the directories are read when first asked."""
        if self._counts is None:
            self._counts = {}
            for root in self._roots:
                for _path, _directories, names, fd in os.fwalk(root, follow_symlinks=False):
                    for name in names:
                        with contextlib.suppress(FileNotFoundError):
                            found = os.stat(name, dir_fd=fd, follow_symlinks=False)
                            if found.st_nlink > 1:
                                key = (found.st_dev, found.st_ino)
                                self._counts[key] = self._counts.get(key, 0) + 1
        return self._counts.get((status.st_dev, status.st_ino), 1)


def _present(uppers: Sequence[int]) -> dict[bytes, list[_Found]]:
    """What directories that count as one hold: of each name all that can be merged, topmost first."""
    present: dict[bytes, list[_Found]] = {}
    for directory in uppers:
        for text in os.listdir(directory):
            name = os.fsencode(text)
            try:
                status = os.stat(name, dir_fd=directory, follow_symlinks=False)
            except FileNotFoundError:
                continue  # gone meanwhile
            if name not in present:
                present[name] = [(status, directory)]
            elif stat.S_ISDIR(present[name][-1][0].st_mode):
                present[name].append((status, directory))
    return present


def _open_stack(name: bytes, found: Sequence[_Found], children: list[int]) -> bool:
    """Open the directories that are merged into one, into ``children``; whether one of them hides all below."""
    for status, directory in found:
        if not stat.S_ISDIR(status.st_mode):
            return True
        try:
            children.append(os.open(name, _DIRECTORY, dir_fd=directory))
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                return False
            raise
        if is_opaque(children[-1]):
            return True
    return False


def look_up(below: Sequence[bytes], name: bytes) -> tuple[os.stat_result | None, list[bytes]]:
    """What is seen under ``name`` in a stack of directories, topmost first; if a directory, its own stack."""
    found: os.stat_result | None = None
    stack: list[bytes] = []
    for directory in below:
        path = directory + b"/" + name
        try:
            status = os.lstat(path)
        except FileNotFoundError:
            continue
        if is_whiteout(status):
            break
        found = found or status
        if not stat.S_ISDIR(status.st_mode):
            break
        stack.append(path)
        if is_opaque(path):
            break
    return found, stack


def _names(below: Sequence[bytes]) -> set[bytes]:
    return {name for directory in below for name in os.listdir(directory)}


def _same_attributes(one: os.stat_result, other: os.stat_result) -> bool:
    return (one.st_mode, one.st_uid, one.st_gid) == (other.st_mode, other.st_uid, other.st_gid)


def _same_directory(directory: int, lower: bytes) -> bool:
    """Whether it has the same owner, mode and attributes; times come and go with what is inside."""
    fd = os.open(lower, _DIRECTORY)
    try:
        return _same_attributes(os.fstat(directory), os.fstat(fd)) and attributes(directory) == attributes(fd)
    finally:
        os.close(fd)


def _same_contents(own: Difference, lower: bytes) -> bool:
    one = own.open()
    try:
        other = os.open(lower, _FILE)
        try:
            if attributes(one) != attributes(other):
                return False
            while (data := os.read(one, _CHUNK)) == os.read(other, _CHUNK):
                if not data:
                    return True
            return False
        finally:
            os.close(other)
    finally:
        os.close(one)


def is_whiteout(status: os.stat_result) -> bool:
    """Whether it says "nothing here": a character device 0:0."""
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def hides(status: os.stat_result) -> bool:
    """Whether an entry of an upper directory is nothing but the absence of what lies below: a socket has no layer."""
    return is_whiteout(status) or stat.S_ISSOCK(status.st_mode)


def is_opaque(directory: int | bytes) -> bool:
    """Whether the directory hides those of its name below."""
    for name in _OPAQUE:
        with contextlib.suppress(OSError):
            if os.getxattr(directory, name) in (b"y", b"x"):
                return True
    return False


def attributes(file: int) -> dict[str, bytes]:
    """Extended attributes as the container sees them: without overlay's own, the escaped ones unescaped."""
    found: dict[str, bytes] = {}
    try:
        names = os.listxattr(file)
    except OSError:
        return found
    for name in names:
        shown = name
        for prefix in _PREFIXES:
            if name.startswith(prefix):
                rest = name.removeprefix(prefix)
                shown = prefix + rest.removeprefix(_ESCAPE) if rest.startswith(_ESCAPE) else ""
        if shown:
            with contextlib.suppress(OSError):
                found[shown] = os.getxattr(file, name)
    return found
