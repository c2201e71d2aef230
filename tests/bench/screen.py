"""The interface's first paint, on a real pseudo-terminal."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time

ROWS, COLUMNS = 36, 120
_ESCAPES = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_PATIENCE = 20.0


def first_paint(program: str, environment: dict[str, str], row: bytes) -> float:
    """Milliseconds from the fork to ``row`` in what it draws; raises TimeoutError when it never comes."""
    began = time.perf_counter()
    pid, master = pty.fork()
    if pid == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("4H", ROWS, COLUMNS, 0, 0))
        os.execve(program, [program], {**environment, "TERM": "xterm-256color", "COLORTERM": "truecolor"})
    try:
        _await(master, row, began + _PATIENCE)
        return (time.perf_counter() - began) * 1000
    finally:
        _leave(pid, master)


def _await(master: int, row: bytes, deadline: float) -> None:
    drawn = b""
    while row not in _ESCAPES.sub(b"", drawn):
        if not select.select([master], [], [], max(0.0, deadline - time.perf_counter()))[0]:
            raise TimeoutError(f"{row.decode()} was not drawn within {_PATIENCE:g} s")
        try:
            data = os.read(master, 1 << 16)
        except OSError:
            data = b""
        if not data:
            raise TimeoutError(f"it ended early, with: {_ESCAPES.sub(b'', drawn)[-300:].decode(errors='replace')}")
        drawn += data


def _leave(pid: int, master: int) -> None:
    """Quit as a user would; whoever does not go is ended."""
    with contextlib.suppress(OSError):
        os.write(master, b"q")
    deadline = time.monotonic() + 3.0
    while time.monotonic() < deadline:
        if os.waitpid(pid, os.WNOHANG)[0]:
            os.close(master)
            return
        if select.select([master], [], [], 0.02)[0]:
            with contextlib.suppress(OSError):
                os.read(master, 1 << 16)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(master)
