"""The database: SQLite in WAL mode, one file, one schema.

Rooms own tables, this module owns the file: containers (specs and names), networks and addresses, id ranges,
volumes. All changes are made inside ``with db.transaction():``, which takes the write lock at once.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator

from pyctr_engine.errors import NotPermitted, StoreError

VERSION = 1

SCHEMA = """
CREATE TABLE containers (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    spec TEXT NOT NULL,
    created REAL NOT NULL
) STRICT;
CREATE TABLE id_ranges (
    start INTEGER PRIMARY KEY,
    count INTEGER NOT NULL,
    container TEXT NOT NULL
) STRICT;
CREATE TABLE networks (
    name TEXT PRIMARY KEY,
    bridge TEXT NOT NULL UNIQUE,
    subnet TEXT NOT NULL,
    gateway TEXT NOT NULL,
    cursor INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE addresses (
    network TEXT NOT NULL,
    address INTEGER NOT NULL,
    container TEXT NOT NULL,
    PRIMARY KEY (network, address)
) STRICT;
CREATE INDEX addresses_container ON addresses (container);
CREATE TABLE published_ports (
    protocol TEXT NOT NULL,
    host_ip TEXT NOT NULL,
    host_port INTEGER NOT NULL,
    container TEXT NOT NULL,
    container_port INTEGER NOT NULL,
    PRIMARY KEY (protocol, host_ip, host_port)
) STRICT;
CREATE TABLE volumes (
    name TEXT PRIMARY KEY,
    created REAL NOT NULL,
    stack TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE TABLE stacks (
    name TEXT PRIMARY KEY,
    path TEXT NOT NULL,
    updated REAL NOT NULL
) STRICT;
"""


class Database:
    """One connection, used by one thread at a time (``check_same_thread`` is off; callers lock)."""

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            self.connection = sqlite3.connect(path, timeout=10.0, isolation_level=None, check_same_thread=False)
            self._prepare()
        except PermissionError as error:
            raise NotPermitted(
                f"cannot open the state directory: {error.filename} is another user's", "run as root"
            ) from error
        except sqlite3.DatabaseError as error:
            raise StoreError(
                f"cannot open the database {path}: {error}", "`pyctr-tui system check` examines the store"
            ) from error

    def _prepare(self) -> None:
        execute = self.connection.execute
        version = execute("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            raise StoreError(
                f"the database {self.path} was made by a newer pyctr-tui (schema {version}, known up to {VERSION})",
                "use that version",
            )
        execute("PRAGMA synchronous=NORMAL")
        if version < VERSION:
            os.chmod(self.path, 0o600)
            execute("PRAGMA journal_mode=WAL")
            with self.transaction():
                if execute("PRAGMA user_version").fetchone()[0] < VERSION:
                    for statement in SCHEMA.split(";"):
                        execute(statement)
                    execute(f"PRAGMA user_version={VERSION}")

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Take the write lock, commit at the end, roll back on any exception."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield self.connection
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()
