"""Trouble at the N-th step that writes: a child process that is killed there, or told that the disk is full.

The child is forked, so it starts in a millisecond; steps are counted where Python calls the system (and SQLite), and
no sooner than the action begins. What other processes of the engine do meanwhile (unpacking, monitors) is theirs.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

Trouble = Literal["kill", "full"]

KILLED, FINISHED, REFUSED, WRONG = 9, 0, 3, 4
"""How a child ends: killed at its step, done, an EngineError that says that there is no space, anything else."""

_CALLS = (
    "write mkdir rename unlink rmdir symlink link fsync chmod fchmod chown fchown utime truncate ftruncate setxattr "
    "posix_fallocate"
).split()
_NEEDS_ROOM = frozenset({"write", "mkdir", "rename", "symlink", "link", "fsync", "posix_fallocate", "open", "COMMIT"})
_STATEMENTS = ("BEGIN", "INSERT", "UPDATE", "DELETE", "COMMIT")


@dataclass(frozen=True)
class Step:
    """One step that writes: its number from 1, the call, and what it is done to, with random names made alike."""

    number: int
    call: str
    where: str

    @property
    def kind(self) -> tuple[str, str]:
        """The call and the place, three levels deep: what is told apart when not every step is tried.

        What is named within an open directory is alike: trees are removed so.
        """
        return self.call, "/".join(self.where.split("/")[:4]) if self.where.startswith("/") else "*"


class _Steps:
    """Counts steps in this process, and makes trouble at one of them."""

    def __init__(self, at: int, trouble: Trouble, state: str, record: Callable[[Step], None] | None) -> None:
        self._at, self._trouble, self._state, self._record = at, trouble, state, record
        self._count = 0
        self._counting = threading.Lock()

    def step(self, call: str, what: object) -> None:
        if self._trouble == "full" and call not in _NEEDS_ROOM:
            return
        with self._counting:
            self._count += 1
            number = self._count
        if self._record is not None:
            self._record(Step(number, call, self._shown(what)))
        if number != self._at:
            return
        if self._trouble == "kill":
            os._exit(KILLED)
        if call == "COMMIT":
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise error
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _shown(self, what: object) -> str:
        if isinstance(what, int):
            try:
                what = os.readlink(f"/proc/self/fd/{what}")
            except OSError:
                what = "?"
        parts = os.fsdecode(what).removeprefix(self._state).split("/") if isinstance(what, (str, bytes)) else ["?"]
        return "/".join("*" if len(part) >= 16 or part.startswith("pipe:") else part for part in parts)

    def install(self) -> None:
        for name in _CALLS:
            setattr(os, name, self._wrapped(name, getattr(os, name)))
        opened = os.open

        def open_(path: Any, flags: int, *rest: Any, **more: Any) -> int:
            if flags & os.O_CREAT and not os.path.exists(path):
                self.step("open", path)
            return opened(path, flags, *rest, **more)

        os.open = open_
        steps = self

        class Connection(sqlite3.Connection):
            def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
                word = sql.split(maxsplit=1)[0]
                if word in _STATEMENTS:
                    steps.step(word, " ".join(sql.split()[1:3]))
                return super().execute(sql, *parameters)

        connect = sqlite3.connect
        sqlite3.connect = lambda *arguments, **named: connect(*arguments, factory=Connection, **named)  # type: ignore

    def _wrapped(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def stepping(first: Any, *rest: Any, **named: Any) -> Any:
            if not (name == "write" and isinstance(first, int) and stat.S_ISFIFO(os.fstat(first).st_mode)):
                self.step(name, first)
            return call(first, *rest, **named)

        return stepping


def attempt(action: Callable[[], object], state: str, at: int, trouble: Trouble) -> int:
    """Do it in a child that meets ``trouble`` at step ``at``; how the child ended."""
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        return os.waitstatus_to_exitcode(status)
    code = WRONG
    try:
        _Steps(at, trouble, state, None).install()
        action()
        code = FINISHED
    except BaseException as error:  # noqa: BLE001 - whatever it is, this process must not return
        code = _judge(error, trouble)
    finally:
        sys.stderr.flush()
        os._exit(code)


def _judge(error: BaseException, trouble: Trouble) -> int:
    from pyctr_engine.errors import NoSpace

    if trouble == "full" and isinstance(error, NoSpace) and error.hint and "\n" not in error.message:
        return REFUSED
    traceback.print_exc()
    return WRONG


def steps(action: Callable[[], object], state: str, trouble: Trouble) -> list[Step]:
    """All steps of an action that nothing happens to."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        code = WRONG
        try:
            write = os.write
            _Steps(
                -1, trouble, state, lambda s: write(writer, f"{s.number}\t{s.call}\t{s.where}\n".encode())
            ).install()
            action()
            code = FINISHED
        except BaseException:  # noqa: BLE001
            traceback.print_exc()
        finally:
            os._exit(code)
    os.close(writer)
    with open(reader) as file:
        found = [line.rstrip("\n").split("\t") for line in file]
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == FINISHED
    return [Step(int(number), call, where) for number, call, where in found]


def chosen(every: list[Step], thorough: bool) -> Iterator[Step]:
    """All steps, or one of each kind: the last, when most has been done that may be left half done."""
    if thorough:
        yield from every
    else:
        yield from sorted({step.kind: step for step in every}.values(), key=lambda step: step.number)
