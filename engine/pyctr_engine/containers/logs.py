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
    if follow:
        _await(path, alive)
    files = _open_all(path)
    current = files[-1] if files else None
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
            newer = _newer_than(path, current)
            if newer:
                yield from wanted.of(_complete_lines(current))  # what came before it was put aside
                for file in newer[:-1]:
                    yield from wanted.of(_complete_lines(file))
                    file.close()
                current.close()
                current = newer[-1]
            elif not goes_on:
                return
            elif not lines:
                time.sleep(_PAUSE)
    finally:
        for file in files:
            file.close()
        if current is not None:
            current.close()


def _await(path: str, alive: Callable[[], bool]) -> None:
    """Wait for the first line, with which the file is made, while ``alive()`` says yes."""
    while not os.path.exists(path) and alive():
        time.sleep(_PAUSE)


def _open_all(path: str) -> list[BinaryIO]:
    """All files, oldest first, each once: they may be renamed meanwhile, each to the next number.

    From the newest to the oldest: what is renamed while we look is met again, under its new name, and then known.
    """
    found: dict[int, BinaryIO] = {}
    for number in range(10):
        with contextlib.suppress(FileNotFoundError):
            file = open(f"{path}.{number}" if number else path, "rb")  # noqa: SIM115
            inode = os.fstat(file.fileno()).st_ino
            if inode in found:
                file.close()
            else:
                found[inode] = file
    return list(found.values())[::-1]


def _newer_than(path: str, current: BinaryIO) -> list[BinaryIO]:
    """The files that came after one, oldest first; none while it is the newest. One that is gone was the oldest."""
    own = os.fstat(current.fileno()).st_ino
    with contextlib.suppress(FileNotFoundError):
        if os.stat(path).st_ino == own:
            return []
    files = _open_all(path)
    inodes = [os.fstat(file.fileno()).st_ino for file in files]
    after = inodes.index(own) + 1 if own in inodes else 0
    for file in files[:after]:
        file.close()
    return files[after:]


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
