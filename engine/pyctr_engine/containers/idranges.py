"""Ranges of host ids, one per container, leased without overlap.

They come from /etc/subuid where it gives root some, else from the range that systemd keeps for containers
(524288 to 1879048191, systemd's UIDs-GIDs document). Source: user_namespaces(7), subuid(5).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from pyctr_engine.errors import StoreError
from pyctr_engine.model.spec import IdExtent

SIZE = 65536
_DEFAULT = (524288, 1879048192 - 524288)
_MAX_EXTENTS = 340


def lease(connection: sqlite3.Connection, container: str, extra: Sequence[tuple[int, int]]) -> tuple[IdExtent, ...]:
    """Lease a container's map inside the caller's transaction.

    ``extra`` are runs (first id, count) of ids above 65535 that its image's files have: each gets an extent more.
    Raises StoreError when there are no ids left, or too many runs for one map.
    """
    if len(extra) >= _MAX_EXTENTS:
        raise StoreError(
            f"the image's files have ids in {len(extra)} separate runs above 65535, a map holds {_MAX_EXTENTS - 1}",
            "run it with --userns=host",
        )
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


def release(connection: sqlite3.Connection, container: str) -> None:
    """Give a container's ranges back."""
    connection.execute("DELETE FROM id_ranges WHERE container = ?", (container,))


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
    """(first, count) of the ids that containers may have: those that both files give to root, or the default."""
    users, groups = _read(subuid), _read(subgid)
    both = [item for item in users if item in groups]
    return both or [_DEFAULT]


def _read(path: str) -> list[tuple[int, int]]:
    found = []
    try:
        with open(path) as file:
            for line in file:
                fields = line.strip().split(":")
                if len(fields) == 3 and fields[0] in ("root", "0") and fields[1].isdigit() and fields[2].isdigit():
                    found.append((int(fields[1]), int(fields[2])))
    except OSError:
        return []
    return [item for item in found if item[1] >= SIZE]
