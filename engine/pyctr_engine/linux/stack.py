"""What is seen through a stack of overlay directories, read without mounting anything.

The topmost may be an upper directory that a hostile container writes to meanwhile: it is only ever entered by
descriptors, name by name, following no symlink. All others are read-only; their files are opened by openat2(2), which
can't leave the directory they belong to.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pyctr_engine.errors import InvalidValue, NotFound, StoreError
from pyctr_engine.linux import mount
from pyctr_engine.linux.overlay import MAX_DEPTH, attributes, hides, is_opaque

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_MAX_SYMLINKS = 40
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Place:
    """One directory of one layer: by a descriptor if it may change (``fd``), else by where it is below ``root``."""

    root: bytes
    path: bytes = b""
    fd: int = -1

    @property
    def full(self) -> bytes:
        """Its path on the host."""
        return self.root + b"/" + self.path if self.path else self.root

    def lstat(self, name: bytes) -> os.stat_result:
        """Of what is in it."""
        if self.fd >= 0:
            return os.stat(name, dir_fd=self.fd, follow_symlinks=False)
        return os.lstat(self.full + b"/" + name)

    def names(self) -> list[bytes]:
        """What is in it."""
        return [os.fsencode(name) for name in os.listdir(self.fd if self.fd >= 0 else self.full)]

    def open(self, name: bytes, flags: int = _FILE) -> int:
        """A descriptor of what is in it; a symlink is an OSError."""
        if self.fd >= 0:
            return os.open(name, flags, dir_fd=self.fd)
        root = os.open(self.root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            return mount.open_in_root(root, os.fsdecode(self._below(name)), flags)
        finally:
            os.close(root)

    def readlink(self, name: bytes) -> bytes:
        """What a symlink in it holds."""
        if self.fd >= 0:
            return os.readlink(name, dir_fd=self.fd)
        return os.readlink(self.full + b"/" + name)

    def enter(self, name: bytes) -> Place:
        """A directory in it; the caller closes its ``fd`` if it has one."""
        fd = self.open(name, _DIRECTORY) if self.fd >= 0 else -1
        return Place(self.root, self._below(name), fd)

    def is_opaque(self) -> bool:
        """Whether it hides those below."""
        return is_opaque(self.fd if self.fd >= 0 else self.full)

    def _below(self, name: bytes) -> bytes:
        return self.path + b"/" + name if self.path else name


class View:
    """A stack of directories, topmost first, as one tree. A context: it may hold the topmost open."""

    def __init__(self, directories: Sequence[str], live: bool = False) -> None:
        self.root: list[Place] = []
        for directory in directories:
            fd = os.open(directory, _DIRECTORY) if live and not self.root else -1
            self.root.append(Place(os.fsencode(os.path.realpath(directory)), b"", fd))

    def __enter__(self) -> View:
        return self

    def __exit__(self, *_exception: object) -> None:
        close(self.root)

    @contextlib.contextmanager
    def find(self, path: str, follow: bool = True) -> Iterator[Found]:
        """What is at an absolute path, symlinks on the way followed inside; ``follow``: the last one too.

        Raises:
            NotFound: nothing is there.
            InvalidValue: symlinks without end.
        """
        levels: list[list[Place]] = [self.root]
        found = Found(b"", None, None, self.root)
        left = [part for part in reversed(os.fsencode(path).split(b"/")) if part not in (b"", b".")]
        links = 0
        try:
            while left:
                name = left.pop()
                if name == b"..":
                    if len(levels) > 1:
                        close(levels.pop())
                    found = Found(b"", None, None, levels[-1])
                    continue
                if not levels[-1]:
                    raise NotFound(f"no such file: {path}", "what leads to it is no directory")
                entry = look(levels[-1], name)
                if entry is None:
                    raise NotFound(f"no such file: {path}", "paths are those inside the image")
                status, place = entry.status, entry.place
                assert status is not None
                assert place is not None
                if stat.S_ISLNK(status.st_mode) and (left or follow):
                    links += 1
                    if links > _MAX_SYMLINKS:
                        raise InvalidValue(f"too many symlinks on the way to {path}", "a loop, most likely")
                    target = place.readlink(name)
                    if target.startswith(b"/"):
                        while len(levels) > 1:
                            close(levels.pop())
                    left += [part for part in reversed(target.split(b"/")) if part not in (b"", b".")]
                    found = Found(b"", None, None, levels[-1])
                    continue
                found = entry
                levels.append(entry.inside)
            yield found
        finally:
            while len(levels) > 1:
                close(levels.pop())


@dataclass(frozen=True, slots=True)
class Found:
    """One path of a view: its last name, its status and the directory it is in (``None`` for the root).

    ``inside`` are the directories that make it, topmost first; empty for what is none.
    """

    name: bytes
    status: os.stat_result | None
    place: Place | None
    inside: list[Place]


def look(places: Sequence[Place], name: bytes) -> Found | None:
    """What is seen under ``name`` in directories that make one; the caller closes what is ``inside``."""
    found: Found | None = None
    inside: list[Place] = []
    for place in places:
        try:
            status = place.lstat(name)
        except FileNotFoundError:
            continue
        if hides(status):
            break
        if not stat.S_ISDIR(status.st_mode):
            found = found or Found(name, status, place, inside)
            break
        try:
            inside.append(place.enter(name))
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                continue  # replaced meanwhile
            raise
        found = found or Found(name, status, place, inside)
        if inside[-1].is_opaque():
            break
    return found


def close(places: Sequence[Place]) -> None:
    """Let go of descriptors."""
    for place in places:
        if place.fd >= 0:
            os.close(place.fd)


@dataclass(frozen=True, slots=True)
class Pair:
    """One path that differs between two views; relative, and what is there in each."""

    path: bytes
    before: Found | None
    after: Found | None
    what: tuple[str, ...]


def compare(one: View, other: View) -> Iterator[Pair]:
    """What differs, in the order of a sorted walk; a pair's descriptors are good until the next is asked for.

    Directories that both have from the same layers are not entered. Times alone are no difference.
    """
    yield from _compare(one.root, other.root, b"", 0)


def compare_at(before: Found | None, after: Found | None, path: bytes) -> Iterator[Pair]:
    """The same from one path on."""
    yield from _compare_entry(path, before, after, 0)


def _compare(one: Sequence[Place], other: Sequence[Place], path: bytes, depth: int) -> Iterator[Pair]:
    if depth > MAX_DEPTH:
        raise StoreError(f"a directory is more than {MAX_DEPTH} levels deep: {os.fsdecode(path[:200])}…")
    common = 0
    while common < min(len(one), len(other)) and _same_place(one[-1 - common], other[-1 - common]):
        common += 1
    own = [*one[: len(one) - common], *other[: len(other) - common]]
    prefix = path + b"/" if path else b""
    for name in sorted({name for place in own for name in place.names()}):
        before = after = None
        try:
            before, after = look(one, name), look(other, name)
            yield from _compare_entry(prefix + name, before, after, depth)
        finally:
            for found in (before, after):
                close(found.inside if found else ())


def _compare_entry(path: bytes, before: Found | None, after: Found | None, depth: int) -> Iterator[Pair]:
    if before is None and after is None:
        return
    what: tuple[str, ...] = ()
    if before is not None and after is not None:
        what = _aspects(before, after)
    if what or before is None or after is None:
        yield Pair(path, before, after, what)
    inside = [found.inside if found is not None else [] for found in (before, after)]
    yield from _compare(inside[0], inside[1], path, depth + 1)


def _same_place(one: Place, other: Place) -> bool:
    return one.fd < 0 and other.fd < 0 and (one.root, one.path) == (other.root, other.path)


def _aspects(before: Found, after: Found) -> tuple[str, ...]:
    """In which ways two files of one path differ."""
    one, other = before.status, after.status
    if one is None or other is None:  # the root of both
        return ()
    if stat.S_IFMT(one.st_mode) != stat.S_IFMT(other.st_mode):
        return ("type",)
    if not stat.S_ISDIR(one.st_mode) and (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino):
        return ()
    found = []
    try:
        if stat.S_ISREG(one.st_mode):
            if one.st_size != other.st_size or not _same_contents(before, after):
                found.append("contents")
        elif stat.S_ISLNK(one.st_mode):
            if _target(before) != _target(after):
                found.append("target")
        elif not stat.S_ISDIR(one.st_mode) and one.st_rdev != other.st_rdev:
            found.append("device")
        if stat.S_IMODE(one.st_mode) != stat.S_IMODE(other.st_mode):
            found.append("mode")
        if (one.st_uid, one.st_gid) != (other.st_uid, other.st_gid):
            found.append("owner")
        if (stat.S_ISREG(one.st_mode) or stat.S_ISDIR(one.st_mode)) and _attributes(before) != _attributes(after):
            found.append("attributes")
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ELOOP, errno.ENXIO, errno.ENOTDIR):
            raise
        found.append("contents")  # replaced meanwhile
    return tuple(found)


def opened(found: Found) -> int:
    """A descriptor of a regular file for reading. Raises OSError for what is none."""
    assert found.place is not None
    return found.place.open(found.name)


def _target(found: Found) -> bytes:
    assert found.place is not None
    return found.place.readlink(found.name)


def _attributes(found: Found) -> dict[str, bytes]:
    assert found.place is not None
    fd = found.place.open(found.name, _FILE)
    try:
        return attributes(fd)
    finally:
        os.close(fd)


def _same_contents(before: Found, after: Found) -> bool:
    one = opened(before)
    try:
        other = opened(after)
        try:
            while (data := os.read(one, _CHUNK)) == os.read(other, _CHUNK):
                if not data:
                    return True
            return False
        finally:
            os.close(other)
    finally:
        os.close(one)
