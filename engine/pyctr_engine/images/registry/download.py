"""A blob on its way in: written aside under its digest, so that what came before a cut is not fetched again.

One thread fetches (`Download.run`) while another reads what has come so far (`Download.chunks`): a slow reader holds
up nothing and no bytes wait in memory.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from pyctr_engine.errors import EngineError, RegistryError, from_os_error
from pyctr_engine.images import partial
from pyctr_engine.images.layout import Layout, write_all
from pyctr_engine.images.registry.transport import Answer, Interrupted, Transport, retry_after, status
from pyctr_engine.linux.tree import sync_directory
from pyctr_engine.model.oci import Descriptor

if TYPE_CHECKING:
    from pyctr_engine.images.registry.client import Repository

_READ = 1 << 20
_PROGRESS_THAT_COUNTS = 1 << 20
"""Bytes that an attempt must bring for the count of attempts to begin anew."""

_LOCK_POLL = 0.1


class Restarted(Exception):
    """What was read so far was wrong and is fetched anew: `Download.wait`, then read the blob from the layout."""


class WrongContent(RegistryError):
    """A source sent something else than the manifest promises."""


class Download:
    """One blob. `run` in one thread; `chunks`, `wait` and the figures in any.

    Args:
        sources: Repositories that may have it, in the order in which they are asked.
        tell: Called with the bytes that are here, as they come.
    """

    def __init__(
        self,
        layout: Layout,
        sources: Sequence[Repository],
        descriptor: Descriptor,
        tell: Callable[[int], None] = lambda _done: None,
    ) -> None:
        self.descriptor = descriptor
        self.done = 0
        self._layout = layout
        self._sources = sources
        self._transport: Transport = sources[0].transport
        self._tell = tell
        self._path = partial.path(layout.directory, descriptor.digest)
        self._fd = -1
        self._is_aside = False
        self._hash = hashlib.sha256()
        self._changed = threading.Condition()
        self._error: BaseException | None = None
        self._verified = False
        self._round = 0
        self.resumed = 0
        self._what = f"get blob {descriptor.digest[:19]} of {sources[0].title}"

    # -- reading ------------------------------------------------------------------------------------------------

    def chunks(self) -> Iterator[bytes]:
        """The blob as it comes, unchecked until `wait` returns; raises what `run` raised, and Restarted."""
        position = 0
        while position < self.descriptor.size:
            with self._changed:
                while self.done <= position and self._error is None and not self._round:
                    self._changed.wait()
                if self._error is not None:
                    raise self._error
                if self._round:
                    raise Restarted
                ready = self.done - position
            data = os.pread(self._fd, min(_READ, ready), position)
            position += len(data)
            yield data

    def wait(self) -> None:
        """Until it is whole, right, and has its place in the layout; raises what `run` raised."""
        with self._changed:
            while not self._verified and self._error is None:
                self._changed.wait()
            if self._error is not None:
                raise self._error

    def abandon(self, error: BaseException) -> None:
        """Let those who wait go, with an error: `run` may never have been called."""
        with self._changed:
            if not self._verified and self._error is None:
                self._error = error
                self._changed.notify_all()

    def close(self, keep: bool = True) -> None:
        """Let go of it, when nobody reads any more; ``keep`` what has come for the next attempt."""
        if self._fd >= 0:
            if not keep:
                self._drop()
            os.close(self._fd)
            self._fd = -1

    def _drop(self) -> None:
        """Remove what is aside, once: the next file of that name is somebody else's."""
        if self._is_aside:
            self._is_aside = False
            with contextlib.suppress(OSError):
                os.unlink(self._path)

    # -- fetching -----------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Fetch; what goes wrong is told to `chunks` and `wait`."""
        try:
            self._open()
            if not self._verified:
                self._fetch()
                if self.resumed and not self._is_right():  # what an earlier pull left may have been damaged since
                    self._restart()
                    self._fetch()
                self._finish()
        except BaseException as error:  # noqa: BLE001  it is raised in the threads that wait
            if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):  # that is the teller's
                error = from_os_error(error, "write the blob")
            if self.done == 0 or isinstance(error, WrongContent):
                self._drop()
            with self._changed:
                self._error = error
                self._changed.notify_all()

    def _open(self) -> None:
        """Take up what is there already, when nobody else is at it."""
        os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
        while True:
            if self._layout.has(self.descriptor):  # somebody else was quicker
                self._adopt(os.open(self._layout.path(self.descriptor.digest), os.O_RDONLY | os.O_CLOEXEC))
                return
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.stat(self._path).st_ino == os.fstat(fd).st_ino:
                    self._fd, fd = fd, -1
                    self._is_aside = True
                    break
            except (BlockingIOError, FileNotFoundError):
                self._transport.wait(_LOCK_POLL)
            finally:
                if fd >= 0:
                    os.close(fd)
        if os.fstat(self._fd).st_size > self.descriptor.size:
            os.ftruncate(self._fd, 0)
        while data := os.pread(self._fd, _READ, self.done):
            self._transport.check()
            self._hash.update(data)
            self._advance(len(data))
        self.resumed = self.done
        os.lseek(self._fd, self.done, os.SEEK_SET)

    def _adopt(self, fd: int) -> None:
        self._fd = fd
        with self._changed:
            self.done, self._verified = self.descriptor.size, True
            self._changed.notify_all()

    def _fetch(self) -> None:
        """From one source after the other, each as long as trying helps."""
        for at, source in enumerate(self._sources):
            try:
                self._fetch_from(source)
                return
            except EngineError:
                self._transport.check()
                if at + 1 == len(self._sources):
                    raise

    def _fetch_from(self, source: Repository) -> None:
        attempt = 0
        while self.done < self.descriptor.size:
            before, after = self.done, None
            try:
                answer = source.blob(self.descriptor.digest, self.done)
                if answer.status not in (200, 206, 416):
                    answer.raw.close()
                    after = retry_after(answer.headers)
                    raise Interrupted(f"{source.registry.name} answers {status(answer.status)}")
                self._receive(answer)
                if self.done < self.descriptor.size:
                    raise Interrupted("the connection was cut")
            except Interrupted as interruption:
                self._transport.check()
                attempt = 1 if self.done - before >= _PROGRESS_THAT_COUNTS else attempt + 1
                if attempt >= self._transport.settings.attempts:
                    raise RegistryError(
                        f"cannot {self._what}: {interruption} ({attempt} attempts)",
                        "try again: what has come is kept",
                    ) from interruption
                self._transport.pause(attempt, after, self._what)

    def _receive(self, answer: Answer) -> None:
        """Write what comes, from where we are."""
        skip = self._begin(answer)
        try:
            for data in answer.chunks():
                self._transport.check()
                if skip:
                    cut = min(skip, len(data))
                    data, skip = data[cut:], skip - cut
                if self.done + len(data) > self.descriptor.size:
                    raise self._wrong(f"more than {self.descriptor.size} bytes")
                write_all(self._fd, data)
                self._hash.update(data)
                self._advance(len(data))
        except BaseException:
            answer.raw.close()
            raise
        answer.release()

    def _begin(self, answer: Answer) -> int:
        """How many bytes to pass over: a registry that doesn't know ranges sends all."""
        start = self.done
        if answer.status == 416:
            answer.raw.close()
            raise self._wrong(f"less than {self.descriptor.size} bytes")
        if answer.status == 206:
            unit, _, place = answer.headers.get("Content-Range", "").partition(" ")
            if unit != "bytes" or place.partition("-")[0] != str(start):
                answer.raw.close()
                raise RegistryError(f"cannot {self._what}: another range came than was asked for")
        length = answer.headers.get("Content-Length", "")
        expected = self.descriptor.size - (start if answer.status == 206 else 0)
        if length.isdecimal() and int(length) != expected:
            answer.raw.close()
            raise self._wrong(f"{length} bytes instead of {expected}")
        return start if answer.status == 200 else 0

    def _advance(self, count: int) -> None:
        with self._changed:
            self.done += count
            self._changed.notify_all()
        self._tell(self.done)

    def _is_right(self) -> bool:
        return f"sha256:{self._hash.hexdigest()}" == self.descriptor.digest

    def _finish(self) -> None:
        """Check it and give it its place."""
        if not self._is_right():
            raise self._wrong(f"other bytes, with the digest sha256:{self._hash.hexdigest()}")
        os.fsync(self._fd)
        os.rename(self._path, self._layout.path(self.descriptor.digest))
        self._is_aside = False
        sync_directory(self._layout.blobs)
        with self._changed:
            self._verified = True
            self._changed.notify_all()

    def _restart(self) -> None:
        with self._changed:
            self._hash, self.done, self.resumed = hashlib.sha256(), 0, 0
            self._round += 1
            os.ftruncate(self._fd, 0)
            os.lseek(self._fd, 0, os.SEEK_SET)
            self._changed.notify_all()

    def _wrong(self, how: str) -> WrongContent:
        """What came is not what the manifest promises: none of it is kept."""
        self._restart()
        return WrongContent(f"cannot {self._what}: the registry sent {how}", "nothing of it was kept")
