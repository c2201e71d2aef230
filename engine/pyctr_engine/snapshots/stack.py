"""Which directories a container's own part of its file system is made of: the one written to, and frozen ones below.

``checkpoints.json`` in the container's directory says it; without one there is ``upper`` alone. It is replaced whole,
and nothing is ever renamed, so that at any point either the old stack or the new one is true. What no stack names is
swept by the next change.

A *delta* is a frozen upper directory, ``d/<number>`` (or ``upper``, the first). It is never written to again, so its
files may be shared, by hard links, with another container's.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Sequence

from pyctr_engine.errors import Conflict, NotFound, StoreError
from pyctr_engine.linux.tree import remove_tree, sync_directory
from pyctr_engine.record import dataclass, replace

FIRST = "upper"
MAX_DELTAS = 100
"""Deltas below an upper directory: each takes bytes of the one page of options that mount(2) has."""

_FILE = "checkpoints.json"


@dataclass(frozen=True, slots=True)
class Point:
    """A checkpoint: a state of the file system, as the deltas that make it (topmost first).

    Attributes:
        created: Seconds since the epoch.
        size: Bytes of files that are its own.
        parent: The checkpoint whose state the container had been in before, or empty.
    """

    name: str
    created: float
    message: str
    deltas: tuple[str, ...]
    size: int
    parent: str = ""


@dataclass(frozen=True, slots=True)
class Stack:
    """What is now.

    Attributes:
        upper: The directory written to, relative to the container's.
        deltas: Those below it, topmost first.
        points: Checkpoints, oldest first.
        current: The checkpoint that the state now began from, or empty.
        next: Number of the next delta.
    """

    upper: str = FIRST
    deltas: tuple[str, ...] = ()
    points: tuple[Point, ...] = ()
    current: str = ""
    next: int = 1

    def point(self, name: str) -> Point:
        """The checkpoint of that name. Raises NotFound."""
        for point in self.points:
            if point.name == name:
                return point
        known = ", ".join(point.name for point in self.points)
        raise NotFound(f"no such checkpoint: {name}", f"there are: {known}" if known else "none was taken yet")

    def check_new(self, name: str) -> None:
        """Raises Conflict for a name that is taken."""
        if any(point.name == name for point in self.points):
            raise Conflict(f"there is a checkpoint {name} already", "choose another name, or remove that one")

    def check_depth(self) -> None:
        """Raises Conflict when nothing more can be stacked."""
        if len(self.deltas) >= MAX_DELTAS:
            raise Conflict(
                f"{MAX_DELTAS} checkpoints lie on each other already",
                "commit the container and go on in one made from the image",
            )

    def without(self, name: str) -> Stack:
        """The same without a checkpoint. Raises NotFound."""
        gone = self.point(name)
        points = tuple(
            replace(point, parent=gone.parent) if point.parent == name else point
            for point in self.points
            if point is not gone
        )
        return replace(self, points=points, current=gone.parent if self.current == name else self.current)

    def referenced(self) -> set[str]:
        """Every directory that is needed."""
        return {self.upper, *self.deltas, *(delta for point in self.points for delta in point.deltas)}


def read(directory: str) -> Stack:
    """The stack of the container with that directory. Raises StoreError when its record can't be read."""
    try:
        with open(f"{directory}/{_FILE}", "rb") as file:
            value = json.loads(file.read())
        points = tuple(Point(**{**point, "deltas": tuple(point["deltas"])}) for point in value["points"])
        return Stack(value["upper"], tuple(value["deltas"]), points, value["current"], value["next"])
    except FileNotFoundError:
        return Stack()
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"{directory}/{_FILE} is damaged: {error}", "the container's changes are below that directory"
        ) from error


def write(directory: str, stack: Stack) -> None:
    """Make ``stack`` the truth, and sweep what it doesn't name. Raises OSError; the old one holds then."""
    from pyctr_engine.record import asdict

    aside = f"{directory}/.tmp-{_FILE}"
    with open(aside, "wb") as file:
        file.write(json.dumps(asdict(stack), separators=(",", ":")).encode())
        file.flush()
        os.fsync(file.fileno())
    os.rename(aside, f"{directory}/{_FILE}")
    sync_directory(directory)
    sweep(directory, stack)


def sweep(directory: str, stack: Stack) -> None:
    """Remove deltas that nothing names: of what was undone, and of what was begun and never ended."""
    names = [FIRST, *(f"d/{name}" for name in _names(f"{directory}/d"))]
    for name in names:
        if name not in stack.referenced():
            remove_tree(f"{directory}/{name}")


def new_delta(directory: str, stack: Stack) -> tuple[str, Stack]:
    """A name that no delta has, with the stack that knows it as taken."""
    os.makedirs(f"{directory}/d", mode=0o700, exist_ok=True)
    taken = _names(f"{directory}/d")
    number = stack.next
    while str(number) in taken:  # left by what never ended
        number += 1
    return f"d/{number}", replace(stack, next=number + 1)


def make_upper(path: str, like: str) -> None:
    """An empty upper directory whose root has owner, mode, times and attributes of another's."""
    os.mkdir(path, 0o700)
    copy_attributes(like, path)


def copy_attributes(source: str | int, target: str | int) -> None:
    """Owner, mode, extended attributes and times of a directory or file, all of them; ``target`` is root's."""
    status = os.stat(source)
    if status.st_uid or status.st_gid:
        os.chown(target, status.st_uid, status.st_gid)
    os.chmod(target, stat.S_IMODE(status.st_mode))
    for name in os.listxattr(source):
        os.setxattr(target, name, os.getxattr(source, name))
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))


def _names(directory: str) -> Sequence[str]:
    try:
        return os.listdir(directory)
    except FileNotFoundError:
        return ()
