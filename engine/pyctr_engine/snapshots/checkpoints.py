"""Checkpoints of a container's file system: taking one, going back to one, carrying one into another container.

The caller holds the container's lock, and says whether something writes to the upper directory.
"""

from __future__ import annotations

import time
from contextlib import AbstractContextManager

from pyctr_engine.errors import InvalidValue
from pyctr_engine.linux.tree import remove_tree, sync_file_system
from pyctr_engine.record import replace
from pyctr_engine.snapshots import copying, stack
from pyctr_engine.snapshots.overlay import Snapshot, allocated
from pyctr_engine.snapshots.stack import Point

_MAX_NAME = 128


def check_name(name: str) -> str:
    """Raises InvalidValue for what can't be a checkpoint's name: it stands behind an ``@``."""
    fine = name.isascii() and name.replace("_", "").replace("-", "").replace(".", "").isalnum()
    if not fine or not name[0].isalnum() or len(name) > _MAX_NAME:
        raise InvalidValue(
            f"{name!r} can't be a checkpoint's name", "letters, digits, and . _ - between them, at most 128"
        )
    return name


def free_name(now: stack.Stack) -> str:
    """The first number that no checkpoint has as its name."""
    taken = {point.name for point in now.points}
    return next(str(number) for number in range(1, len(taken) + 2) if str(number) not in taken)


def take(
    snapshot: Snapshot, name: str, message: str, standing_still: AbstractContextManager[None] | None = None
) -> Point:
    """A checkpoint of what is now.

    Without ``standing_still`` nothing has the upper directory mounted: it is frozen itself, and an empty one begins.
    That costs nothing, whatever its size. Else it is copied inside of that context; see `copying`.

    Raises:
        InvalidValue, Conflict, StoreError, OSError: there is no checkpoint.
    """
    directory, now = snapshot.directory, snapshot.stack
    check_name(name)
    now.check_new(name)
    now.check_depth()
    delta, now = stack.new_delta(directory, now)
    if standing_still is not None:
        sync_file_system(directory)  # what is written out before need not be waited for then
        try:
            with standing_still:
                size = copying.copy(snapshot.upper, f"{directory}/{delta}", _earlier_copy(snapshot))
        except BaseException:
            remove_tree(f"{directory}/{delta}")
            raise
        deltas = (delta, *now.deltas)
    else:
        size = allocated(snapshot.upper)
        stack.make_upper(f"{directory}/{delta}", snapshot.upper)
        deltas = (now.upper, *now.deltas)
        now = replace(now, upper=delta, deltas=deltas)
    sync_file_system(directory)
    point = Point(name, time.time(), message, deltas, size, now.current)
    snapshot.stack = replace(now, points=(*now.points, point), current=name)
    stack.write(directory, snapshot.stack)
    return point


def go_back(snapshot: Snapshot, name: str) -> None:
    """Make a checkpoint's state the present one; what came after it and is in no checkpoint is gone.

    Raises:
        NotFound: no such checkpoint.
        OSError: nothing was done.
    """
    directory, now = snapshot.directory, snapshot.stack
    point = now.point(name)
    delta, now = stack.new_delta(directory, now)
    stack.make_upper(f"{directory}/{delta}", f"{directory}/{point.deltas[0]}")
    sync_file_system(directory)
    snapshot.stack = replace(now, upper=delta, deltas=point.deltas, current=name)
    stack.write(directory, snapshot.stack)


def forget(snapshot: Snapshot, name: str) -> None:
    """Remove a checkpoint; what others or the present state are made of stays. Raises NotFound, OSError."""
    snapshot.stack = snapshot.stack.without(name)
    stack.write(snapshot.directory, snapshot.stack)


def carry(snapshot: Snapshot, name: str, other: Snapshot) -> None:
    """Begin a new container (``other``, which never ran) with a checkpoint's state. Raises NotFound, OSError.

    Files are shared by hard links: nothing ever writes to a delta.
    """
    deltas: list[str] = []
    now = other.stack
    for source in snapshot.at(name):
        delta, now = stack.new_delta(other.directory, now)
        copying.link_tree(source, f"{other.directory}/{delta}")
        deltas.append(delta)
    upper, now = stack.new_delta(other.directory, now)
    stack.make_upper(f"{other.directory}/{upper}", f"{other.directory}/{deltas[0]}")
    sync_file_system(other.directory)
    other.stack = replace(now, upper=upper, deltas=tuple(deltas))
    stack.write(other.directory, other.stack)


def _earlier_copy(snapshot: Snapshot) -> str:
    """The delta of the newest checkpoint that was copied from the present upper directory; or empty."""
    below = snapshot.stack.deltas
    for point in reversed(snapshot.stack.points):
        if point.deltas[1:] == below and point.deltas[0] not in below:
            return f"{snapshot.directory}/{point.deltas[0]}"
    return ""
