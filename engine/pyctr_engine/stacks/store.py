"""Which stacks were brought up, and from which files: the database's table ``stacks``."""

from __future__ import annotations

import time
from collections.abc import Iterable

from pyctr_engine.database import Database
from pyctr_engine.model.stack import Stack, StackSummary
from pyctr_engine.model.status import Container


class StackStore:
    """A row per stack, from its first `up` to its `down`. The caller keeps to one thread at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def remember(self, stack: Stack) -> None:
        """Note a stack and where its file is."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO stacks (name, path, updated) VALUES (?, ?, ?)"
                " ON CONFLICT (name) DO UPDATE SET path = excluded.path, updated = excluded.updated",
                (stack.name, stack.path, time.time()),
            )

    def forget(self, name: str) -> None:
        """Drop a stack's row, if there is one."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM stacks WHERE name = ?", (name,))

    def path(self, name: str) -> str:
        """The file that a stack was last brought up from; empty when it isn't known."""
        row = self._database.connection.execute("SELECT path FROM stacks WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row else ""

    def summaries(self, containers: Iterable[Container]) -> list[StackSummary]:
        """All stacks that have a row or containers, by name."""
        paths = dict(self._database.connection.execute("SELECT name, path FROM stacks").fetchall())
        running: dict[str, int] = dict.fromkeys(paths, 0)
        total: dict[str, int] = dict.fromkeys(paths, 0)
        for container in containers:
            if name := container.stack:
                total[name] = total.get(name, 0) + 1
                running[name] = running.get(name, 0) + container.state.is_alive
        return [StackSummary(name, paths.get(name, ""), running[name], total[name]) for name in sorted(total)]
