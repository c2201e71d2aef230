"""Reading what a container's monitor logged, also while it still writes."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

from pyctr_engine.model.log import LogLine
from pyctr_engine.runtime.logs import log_path

_PAUSE = 0.05
"""Seconds between two looks at a log that is followed."""
_BLOCK = 256 << 10


def read(
    state_dir: str,
    follow: bool,
    tail: int | None,
    since: float | None,
    alive: Callable[[], bool],
    until: float | None = None,
) -> Iterator[LogLine]:
    """Lines, oldest first, over rotated files too; with ``follow`` until ``alive()`` says no and all is read."""
    wanted = _Wanted(since, until)
    path = log_path(state_dir)
    current = _open(path, alive if follow else lambda: False)
    older = [open(name, "rb") for number in range(9, 0, -1) if os.path.exists(name := f"{path}.{number}")]  # noqa: SIM115
    files = [*older, *([current] if current else [])]
    try:
        if tail is None:
            for file in files:
                yield from wanted.of(_complete_lines(file))
        else:
            yield from _last(files, tail, wanted)
        while follow and current is not None:
            goes_on = alive()
            lines = list(wanted.of(_complete_lines(current)))
            yield from lines
            if until is not None and time.time() > until:
                return
            if _rotated(current.fileno(), path):
                current.close()
                current = open(path, "rb")  # noqa: SIM115
            elif not goes_on:
                return
            elif not lines:
                time.sleep(_PAUSE)
    finally:
        for file in files:
            file.close()
        if current is not None:
            current.close()


def _last(files: list[BinaryIO], count: int, wanted: _Wanted) -> list[LogLine]:
    """The last lines of some files, the newest file last, read from their ends; their positions are then the ends."""
    found: list[LogLine] = []
    for file in reversed(files):
        lines = _backwards(file)
        for line in lines:
            entry = wanted.parse(line)
            if entry is None:
                continue
            if len(found) >= count or wanted.is_before(entry):
                return found[::-1]
            if wanted.fits(entry):
                found.append(entry)
    return found[::-1]


def _backwards(file: BinaryIO) -> Iterator[bytes]:
    """The complete lines of a file, last first; afterwards, and meanwhile, its position is behind the last one."""
    fd = file.fileno()
    end = os.fstat(fd).st_size
    held = b""
    first = True
    while end > 0:
        start = max(0, end - _BLOCK)
        held = os.pread(fd, end - start, start) + held
        end = start
        lines = held.split(b"\n")
        if first:
            file.seek(start + len(held) - len(lines[-1]))
            lines.pop()  # what is still being written, or nothing
            first = False
            held = b"\n".join(lines)
        if start > 0:
            held = lines.pop(0) if lines else b""
        yield from reversed(lines)
        if start == 0:
            return


def _open(path: str, alive: Callable[[], bool]) -> BinaryIO | None:
    """The current file, which is made with the first line: waited for while ``alive()`` says yes."""
    while True:
        goes_on = alive()
        with contextlib.suppress(FileNotFoundError):
            return open(path, "rb")
        if not goes_on:
            return None
        time.sleep(_PAUSE)


def _complete_lines(file: BinaryIO) -> Iterator[bytes]:
    """Lines that end in a newline; the beginning of one that is still being written is left for later."""
    while True:
        position = file.tell()
        line: bytes = file.readline()
        if not line.endswith(b"\n"):
            file.seek(position)
            return
        yield line


class _Wanted:
    """Which lines are asked for."""

    def __init__(self, since: float | None, until: float | None) -> None:
        self._since = since
        self._until = until

    def of(self, lines: Iterable[bytes]) -> Iterator[LogLine]:
        """Those of them."""
        for line in lines:
            entry = self.parse(line)
            if entry is not None and self.fits(entry):
                yield entry

    def fits(self, entry: LogLine) -> bool:
        """Whether its time is asked for."""
        return not self.is_before(entry) and (self._until is None or entry.time <= self._until)

    def is_before(self, entry: LogLine) -> bool:
        """Whether it is older than what is asked for."""
        return self._since is not None and entry.time < self._since

    @staticmethod
    def parse(line: bytes) -> LogLine | None:
        """A record's line; ``None`` for one torn by a crash."""
        try:
            record = json.loads(line)
            return LogLine(
                float(record["t"]), record["s"], record["m"], bool(record.get("p")), int(record.get("d", 0))
            )
        except (ValueError, KeyError, TypeError):
            return None


def _rotated(fd: int, path: str) -> bool:
    try:
        return os.fstat(fd).st_ino != os.stat(path).st_ino
    except FileNotFoundError:
        return False
