"""Exec sessions: further programs with those who watch them, which outlive every one of those.

Each keeps the last quarter of a megabyte that it wrote, for who attaches later: raw bytes, so that a terminal is
drawn again by what drew it before (and then by a change of its size, to which full-screen programs answer with all).
"""

from __future__ import annotations

import os
import re
import time
from collections import deque
from typing import Any

from pyctr_engine.runtime.program import Program
from pyctr_engine.runtime.protocol import STDOUT

REPLAY_BYTES = 256 << 10
_PIECE_BYTES = 16 << 10
_MODE = re.compile(rb"\x1b\[\?([0-9;]{1,64})([hl])")
_MOST_MODES = 64


class Replay:
    """The last pieces of output, ``(frame kind, data)``, bounded.

    Of a terminal's, the modes that were set by what is forgotten stay known (the alternate screen, the mouse, the
    cursor keys): what a full-screen program set once, hours ago, decides how the rest is to be read.
    """

    __slots__ = ("_modes", "_pieces", "_size", "_tty")

    def __init__(self, tty: bool = False) -> None:
        self._pieces: deque[tuple[bytes, bytearray]] = deque()
        self._size = 0
        self._tty = tty
        self._modes: dict[bytes, bytes] = {}

    def add(self, kind: bytes, data: bytes) -> None:
        """One more piece; the oldest go."""
        last = self._pieces[-1] if self._pieces else (b"", b"")
        if last[0] == kind and len(last[1]) + len(data) <= _PIECE_BYTES:
            self._pieces[-1][1].extend(data)  # who writes a byte at a time must not cost an object for each
        else:
            self._pieces.append((kind, bytearray(data)))
        self._size += len(data)
        while self._size - len(self._pieces[0][1]) >= REPLAY_BYTES:
            forgotten = self._pieces.popleft()[1]
            self._size -= len(forgotten)
            if self._tty:
                self._note_modes(forgotten)

    def _note_modes(self, forgotten: bytearray) -> None:
        for found in _MODE.finditer(forgotten):
            for mode in found[1].split(b";"):
                self._modes.pop(mode, None)  # the last one said comes last
                if mode and len(self._modes) < _MOST_MODES:
                    self._modes[mode] = found[2]

    def clear(self) -> None:
        """Forget all."""
        self._pieces.clear()
        self._modes.clear()
        self._size = 0

    def pieces(self) -> list[tuple[bytes, bytes]]:
        """Oldest first; before them the modes that were set before they were written."""
        pieces = [(kind, bytes(data)) for kind, data in self._pieces]
        if self._modes:
            pieces.insert(0, (STDOUT, b"".join(b"\x1b[?%b%b" % mode for mode in self._modes.items())))
        return pieces


class Session:
    """One exec: what runs, since when, and how it ended (``code`` is ``None`` while it runs)."""

    __slots__ = ("argv", "code", "ended", "id", "program", "replay", "started", "tty")

    def __init__(self, argv: list[str], tty: bool) -> None:
        self.id = os.urandom(6).hex()
        self.argv = argv
        self.tty = tty
        self.started = time.time()
        self.ended = 0.0
        self.code: int | None = None
        self.program: Program | None = None
        self.replay = Replay(tty)

    def describe(self) -> dict[str, Any]:
        """As JSON values."""
        program = self.program
        return {
            "id": self.id,
            "argv": self.argv,
            "tty": self.tty,
            "started": self.started,
            "ended": self.ended,
            "code": self.code,
            "pid": program.pid if program else 0,
            "viewers": len(program.clients) if program else 0,
        }
