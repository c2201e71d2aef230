"""Ranges of host ids, one per container, leased without overlap.

They come from /etc/subuid where it gives root some, else from the range that systemd keeps for containers
(524288 to 1879048191, systemd's UIDs-GIDs document) but for what those files give to others: useradd gives every new
user some of it. Source: user_namespaces(7), subuid(5).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from pyctr_engine.errors import Conflict, StoreError
from pyctr_engine.model.spec import IdExtent
from pyctr_engine.paths import in_house

SIZE = 65536
_DEFAULT = (524288, 1879048192 - 524288)
_MAX_EXTENTS = 340


def lease(connection: sqlite3.Connection, container: str, extra: Sequence[tuple[int, int]]) -> tuple[IdExtent, ...]:
    """Lease a container's map inside the caller's transaction.

    An ordinary user's is that of the house, and nothing is leased.
    ``extra`` are runs (first id, count) of ids above 65535 that its image's files have: each gets an extent more.
    Raises StoreError when there are no ids left, or too many runs for one map.
    """
    if len(extra) >= _MAX_EXTENTS:
        raise StoreError(
            f"the image's files have ids in {len(extra)} separate runs above 65535, a map holds {_MAX_EXTENTS - 1}",
            "run it with --userns=host",
        )
    if in_house():
        return tuple(IdExtent(first, first, count) for first, count in _own_ids(extra))
    total = SIZE + sum(count for _, count in extra)
    blocks = -(-total // SIZE)
    start = _find_gap(connection, blocks * SIZE)
    connection.execute(
        "INSERT INTO id_ranges (start, count, container) VALUES (?, ?, ?)", (start, blocks * SIZE, container)
    )
    extents = [IdExtent(0, start, SIZE)]
    outside = start + SIZE
    for first, count in extra:
        extents.append(IdExtent(first, outside, count))
        outside += count
    return tuple(extents)


def lease_fixed(
    connection: sqlite3.Connection, container: str, uid: int, gid: int, size: int
) -> tuple[tuple[IdExtent, ...], tuple[IdExtent, ...]]:
    """Lease the ids that somebody chose: maps of users and of groups, the second empty where they are the same.

    Raises Conflict when another container has some of them.
    """
    low, high = sorted((uid, gid))
    spans = [(low, high + size - low)] if high <= low + size else [(low, size), (high, size)]
    for first, count in spans:
        taken = connection.execute(
            "SELECT container FROM id_ranges WHERE start < ? AND start + count > ?", (first + count, first)
        ).fetchone()
        if taken is not None:
            raise Conflict(
                f"the host ids {first} to {first + count - 1} overlap with those of container {taken[0][:12]}",
                f"choose others, or share its user namespace: --userns container:{taken[0][:12]}",
            )
        connection.execute(
            "INSERT INTO id_ranges (start, count, container) VALUES (?, ?, ?)", (first, count, container)
        )
    users = (IdExtent(0, uid, size),)
    return users, () if gid == uid else (IdExtent(0, gid, size),)


def _own_ids(extra: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The ids that an ordinary user's container has: all of the user's, at their own numbers.

    They are shared by all of the user's containers: the kernel idmaps no mounts for ordinary users, so files and
    containers must have the same ids. Raises StoreError when the image has others.
    """
    from pyctr_engine.house import ids

    found = ids.available()
    count = sum(found[-1])
    highest = max((first + many for first, many in extra), default=0) - 1
    if highest >= count:
        raise StoreError(f"the image has files of the id {highest}, and this user has {count} ids", ids.more(highest))
    return found


def release(connection: sqlite3.Connection, container: str) -> None:
    """Give a container's ranges back."""
    connection.execute("DELETE FROM id_ranges WHERE container = ?", (container,))


def hand_on(connection: sqlite3.Connection, container: str, heir: str) -> None:
    """Give a container's ranges to another one, which has the same ids."""
    connection.execute("UPDATE id_ranges SET container = ? WHERE container = ?", (heir, container))


def _find_gap(connection: sqlite3.Connection, size: int) -> int:
    taken = connection.execute("SELECT start, count FROM id_ranges ORDER BY start").fetchall()
    for begin, length in configured_ranges():
        position = -(-begin // SIZE) * SIZE if length > 2 * SIZE else begin
        for start, count in taken:
            if start + count <= position:
                continue
            if start >= position + size:
                break
            position = start + count
        if position + size <= begin + length:
            return position
    raise StoreError(
        "no range of host ids is left for another container",
        "remove containers (`pyctr-tui ps -a`), or give root more ids in /etc/subuid and /etc/subgid",
    )


def configured_ranges(subuid: str = "/etc/subuid", subgid: str = "/etc/subgid") -> list[tuple[int, int]]:
    """(first, count) of the ids that containers may have: those that both files give to root, or the default.

    The default has none that either gives to somebody else.
    """
    (users, others), (groups, more) = _read(subuid), _read(subgid)
    both = [item for item in users if item in groups and item[1] >= SIZE]
    return both or _without(_DEFAULT, sorted({*others, *more}))


def _without(span: tuple[int, int], taken: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """What is left of a range without others, in their order."""
    position, end = span[0], sum(span)
    found = []
    for first, count in taken:
        if first > position:
            found.append((position, min(first, end) - position))
        position = max(position, first + count)
        if position >= end:
            return found
    return [*found, (position, end - position)]


def _read(path: str) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """(first, count) of what root has, and of what others have."""
    roots: list[tuple[int, int]] = []
    others: list[tuple[int, int]] = []
    try:
        with open(path) as file:
            for line in file:
                name, *numbers = line.strip().split(":")
                if len(numbers) == 2 and all(number.isdigit() for number in numbers):
                    (roots if name in ("root", "0") else others).append((int(numbers[0]), int(numbers[1])))
    except OSError:
        return [], []
    return roots, others
