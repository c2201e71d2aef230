"""``state.json``: what a monitor says of its container, written as a whole, atomically.

There is the live one in the run directory, and a copy in the state directory that outlives a reboot; both are the
monitor's (and its starter's) alone.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
from typing import Any


def write_trace(trace: list[list[Any]], directory: str) -> None:
    """Write ``start-trace.json``: a start's steps with their begin and end in milliseconds. Nothing is raised."""
    _write(f"{directory}/start-trace.json", json.dumps(trace).encode())


def write_value(path: str, value: object) -> None:
    """Write some JSON, atomically. Nothing is raised."""
    _write(path, json.dumps(value).encode())


def write(state: dict[str, Any], *directories: str) -> None:
    """Write it into these directories, in their order. A full disk must not end a container: nothing is raised."""
    data = json.dumps(state).encode()
    for directory in directories:
        _write(f"{directory}/state.json", data)


def _write(path: str, data: bytes) -> None:
    with contextlib.suppress(OSError):
        fd = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            if os.write(fd, data) != len(data):  # the disk is full by now: half a file is worse than an old one
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
        finally:
            os.close(fd)
        os.rename(path + ".new", path)
