"""The database: SQLite in WAL mode, one file, one schema.

Rooms own tables, this module owns the file: containers (specs and names), networks and addresses, id ranges,
volumes. All changes are made inside ``with db.transaction():``, which takes the write lock at once.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator

from pyctr_engine import reserve
from pyctr_engine.errors import NO_SPACE_HINT, EngineError, NoSpace, NotPermitted, StoreError, from_os_error

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
            self._open()
        except PermissionError as error:
            raise NotPermitted(
                f"cannot open the state directory: {error.filename} is another user's", "run as root"
            ) from error
        except OSError as error:
            raise from_os_error(error, "make the state directory") from error
        except sqlite3.DatabaseError as error:
            raise _error(error, f"open the database {path}") from error

    def _open(self) -> None:
        state = os.path.dirname(self.path)
        os.makedirs(state, mode=0o700, exist_ok=True)
        try:
            self.connection = sqlite3.connect(self.path, timeout=10.0, isolation_level=None, check_same_thread=False)
            self._prepare()
        except sqlite3.OperationalError:
            if not reserve.make_room(state):  # to open it takes some room, and removing things takes opening it
                raise
            self.connection = sqlite3.connect(self.path, timeout=10.0, isolation_level=None, check_same_thread=False)
            self._prepare()

    def _prepare(self) -> None:
        execute = self.connection.execute
        version = execute("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            raise StoreError(
                f"the database {self.path} was made by a newer pyctr-tui (schema {version}, known up to {VERSION})",
                "use that version",
            )
        execute("PRAGMA synchronous=NORMAL")
        reserve.keep(os.path.dirname(self.path), spare=True)
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
        """Take the write lock, commit at the end, roll back on any exception.

        Raises:
            NoSpace, StoreError: nothing was changed.
        """
        try:
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield self.connection
                self.connection.execute("COMMIT")
            except BaseException:
                if self.connection.in_transaction:  # SQLite rolls back by itself when the disk is full
                    self.connection.execute("ROLLBACK")
                raise
        except sqlite3.OperationalError as error:
            raise _error(error, "write the database") from error

    def change(self, statement: str, parameters: tuple[object, ...] = ()) -> None:
        """One statement that writes, in the transaction that is open, or in one of its own; raises as that does."""
        if self.connection.in_transaction:
            self.connection.execute(statement, parameters)
        else:
            with self.transaction() as connection:
                connection.execute(statement, parameters)

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()


def _error(error: sqlite3.DatabaseError, doing: str) -> EngineError:
    """SQLite's trouble as an error to show."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return NoSpace(f"cannot {doing}: no space left on device", NO_SPACE_HINT)
    if code == sqlite3.SQLITE_BUSY:
        return StoreError(f"cannot {doing}: another program has held it for 10 seconds", "try again")
    return StoreError(f"cannot {doing}: {error}", "`pyctr-tui system check` examines the store; is the disk full?")
