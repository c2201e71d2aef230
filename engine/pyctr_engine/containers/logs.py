"""Reading what a container's monitor logged, also while it still writes."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

from pyctr_engine.model.log import LogLine
from pyctr_engine.runtime.logs import log_path

_PAUSE = 0.05
"""Seconds between two looks at a log that is followed."""


def read(
    state_dir: str,
    follow: bool,
    tail: int | None,
    since: float | None,
    alive: Callable[[], bool],
) -> Iterator[LogLine]:
    """Lines, oldest first, over rotated files too; with ``follow`` until ``alive()`` says no and all is read."""
    path = log_path(state_dir)
    older = [name for number in range(9, 0, -1) if os.path.exists(name := f"{path}.{number}")]
    backlog: deque[LogLine] = deque(maxlen=tail)
    for name in older:
        with open(name, "rb") as file:
            backlog.extend(_wanted(file, since))
    current = _open(path, alive if follow else lambda: False)
    if current is None:
        yield from backlog
        return
    try:
        backlog.extend(_wanted(_complete_lines(current), since))
        yield from backlog
        while follow:
            goes_on = alive()
            lines = list(_wanted(_complete_lines(current), since))
            yield from lines
            if _rotated(current.fileno(), path):
                current.close()
                current = open(path, "rb")  # noqa: SIM115
            elif not goes_on:
                return
            elif not lines:
                time.sleep(_PAUSE)
    finally:
        current.close()


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


def _wanted(lines: Iterable[bytes], since: float | None) -> Iterator[LogLine]:
    for line in lines:
        try:
            record = json.loads(line)
            entry = LogLine(float(record["t"]), record["s"], record["m"])
        except (ValueError, KeyError, TypeError):
            continue  # a line torn by a crash
        if since is None or entry.time >= since:
            yield entry


def _rotated(fd: int, path: str) -> bool:
    try:
        return os.fstat(fd).st_ino != os.stat(path).st_ino
    except FileNotFoundError:
        return False
