"""One of the things that are done with a stream of pieces, in a thread of its own: hashing, writing, syncing.

All let other threads go on meanwhile, so together they take no longer than the slowest.
"""

from __future__ import annotations

import errno
import os
import queue
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Piece = TypeVar("Piece")


class Stage(Generic[Piece]):
    """A thread that does one thing with each piece, in order; after a failure it only takes them. A context."""

    def __init__(self, work: Callable[[Piece], object]) -> None:
        """What goes wrong with a piece may be an OSError and nothing else."""
        self._work = work
        self._pieces: queue.SimpleQueue[Piece | None] = queue.SimpleQueue()
        self._done = threading.Semaphore(0)
        self._given = 0
        self._error: OSError | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        try:
            self._thread.start()
        except RuntimeError as error:  # said so where no more can be made
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN)) from error

    def __enter__(self) -> Stage[Piece]:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.end()

    def put(self, piece: Piece) -> None:
        """Hand on a piece, which must stay as it is until it is done."""
        self._given += 1
        self._pieces.put(piece)

    def wait(self, most: int) -> None:
        """Until at most that many are under way. Raises what it met."""
        while self._given > most:
            self._done.acquire()
            self._given -= 1
        self.check()

    def end(self) -> None:
        """Wait for all, and for the thread."""
        if self._thread.is_alive():
            self._pieces.put(None)
            self._thread.join()

    def check(self) -> None:
        """Raises what it met."""
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        while (piece := self._pieces.get()) is not None:
            try:
                if self._error is None:
                    self._work(piece)
            except OSError as error:
                self._error = error
            finally:
                self._done.release()
