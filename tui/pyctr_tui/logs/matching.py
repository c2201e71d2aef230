"""Asks the child that looks through logs (`pyctr_tui.logs.matcher`) which lines are wanted."""

from __future__ import annotations

import array
import contextlib
import os
import select
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pyctr_engine
from pyctr_tui.logs.matcher import LENGTH, LENGTHS
from pyctr_tui.logs.query import Query

if TYPE_CHECKING:
    import subprocess

PATIENCE = 50
"""Milliseconds between two looks at whether the answer is still wanted."""
_MAIN = "import sys; sys.path[:0] = sys.argv[2:]; from pyctr_tui.logs.matcher import main; main()"


class TooSlow(Exception):
    """A block took longer than `matcher.LIMIT`; the child is gone."""


class Unwanted(Exception):
    """The answer is no longer wanted; the child is gone."""


class Matcher:
    """A child for one query, started with the first block."""

    def __init__(self, query: Query, wanted: Callable[[], bool] = lambda: True) -> None:
        self.query = query
        self._wanted = wanted
        self._child: subprocess.Popen[bytes] | None = None

    def __call__(self, block: bytes, head: Callable[[], bytes] = bytes) -> list[tuple[int, int]]:
        """Where the wanted lines of a block of whole lines begin and end. Raises TooSlow and Unwanted.

        ``head`` reads the lines before the block; it is called when levels are asked for.
        """
        before = head() if self.query.level else b""
        child = self._child or self._start()
        assert child.stdin is not None
        try:
            child.stdin.write(LENGTHS.pack(len(before), len(block)))
            child.stdin.write(before)
            child.stdin.write(block)
            child.stdin.flush()
            places = array.array("I", self._read(child, LENGTH.unpack(self._read(child, LENGTH.size))[0]))
        except BrokenPipeError:
            self._gone(child)
        return list(zip(places[::2], places[1::2], strict=True))

    def _start(self) -> subprocess.Popen[bytes]:
        import subprocess

        roots = {str(Path(__file__).parents[2]), str(Path(pyctr_engine.__file__).parents[1])}
        command = [sys.executable, "-I", "-S", "-c", _MAIN, self.query.dump(), *roots]
        self._child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, close_fds=True
        )
        return self._child

    def _read(self, child: subprocess.Popen[bytes], length: int) -> bytes:
        assert child.stdout is not None
        fd, pieces = child.stdout.fileno(), []
        answers = select.poll()
        answers.register(fd, select.POLLIN)
        while length:
            if not answers.poll(PATIENCE):
                if not self._wanted():
                    self.close()
                    raise Unwanted
                continue
            piece = os.read(fd, length)
            if not piece:
                self._gone(child)
            pieces.append(piece)
            length -= len(piece)
        return b"".join(pieces)

    def _gone(self, child: subprocess.Popen[bytes]) -> None:
        code = child.wait()
        self.close()
        if code == -signal.SIGALRM:
            raise TooSlow("too slow: a simpler pattern helps")
        raise TooSlow(f"the process that looked through it ended ({code})")

    def close(self) -> None:
        """End the child."""
        child, self._child = self._child, None
        if child is None:
            return
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):  # what it didn't read any more
                    pipe.close()
