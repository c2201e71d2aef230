"""The OCI image layout on disk (image-spec, image-layout.md): blobs by digest, and the index that names them.

Everything is complete or absent: written aside under a dotted name, synced, renamed. Two locks, both flock(2):

- ``.lock``, short: exclusive for who changes ``index.json``, shared by who needs it to stay as it is meanwhile
  (a container is recorded while its image is sure to be there). Nothing that may wait for another lock is done
  under it but reading and writing the database.
- ``.writers``: shared by whoever adds blobs or layers that the index doesn't name yet, or reads what it might name
  no longer; exclusive for the collector of garbage, which never waits for it. So the collector takes nothing away
  that is about to be named, and may take every file left aside. When it is turned away, slips (`pending`) tell
  those who kept it out that there is something to collect: the last one to leave does.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from pyctr_engine import reserve
from pyctr_engine.errors import EngineError, ImageFormatError, StoreError
from pyctr_engine.images import pending
from pyctr_engine.linux.tree import sync_directory
from pyctr_engine.model.oci import FULL_NAME, INDEX, REF_NAME, Descriptor, Json

if TYPE_CHECKING:
    from hashlib import _Hash

ASIDE = ".tmp-"
"""How names of things not complete yet begin."""

MAX_DOCUMENT = 8 << 20
"""Bytes of the largest index, manifest or configuration that is read."""

_ESCAPED = "[<>&\u2028\u2029\ud800-\udfff]"

_DAMAGED = "`pyctr-tui system check` examines the store"


class Layout:
    """One layout directory. Reading takes no lock: files are replaced whole.

    ``collect`` removes what nothing refers to; without it this layout keeps no slips (it is another program's).
    """

    def __init__(self, directory: str, collect: Callable[[], object] | None = None) -> None:
        self.directory = directory
        self._collect = collect
        self.blobs = f"{directory}/blobs/sha256"

    def ensure(self) -> None:
        """Make an empty layout if there is none."""
        if os.path.exists(f"{self.directory}/index.json"):
            return
        os.makedirs(self.blobs, mode=0o700, exist_ok=True)
        with self._locked(".lock", fcntl.LOCK_EX):
            if not os.path.exists(f"{self.directory}/index.json"):
                write_file(f"{self.directory}/oci-layout", b'{"imageLayoutVersion":"1.0.0"}', ".oci-layout.new")
                if self._collect is not None:
                    reserve.keep(os.path.dirname(self.directory))
                self._write_index({"schemaVersion": 2, "mediaType": INDEX}, [])

    def entries(self) -> list[Descriptor]:
        """What the index names: one entry per image and name, in order."""
        return _manifests(self._read_index())

    @contextlib.contextmanager
    def edit(self) -> Iterator[list[Descriptor]]:
        """The index's entries to change in place; written when the block ends without an exception."""
        self.ensure()
        with self._locked(".lock", fcntl.LOCK_EX):
            document = self._read_index()
            entries = _manifests(document)
            before = list(entries)
            yield entries
            if entries != before:
                self._write_index(document, entries)

    def replace_index(self, entries: list[Descriptor]) -> str:
        """Write a new index in place of one that can't be read, which is kept; its path."""
        with self._locked(".lock", fcntl.LOCK_EX):
            path = f"{self.directory}/index.json"
            kept = f"{path}.damaged-{time.time_ns()}"
            os.rename(path, kept)
            self._write_index({"schemaVersion": 2, "mediaType": INDEX}, entries)
        return kept

    def path(self, digest: str) -> str:
        """Where a blob is, or would be. Source: image-layout.md, blobs."""
        return f"{self.blobs}/{digest.removeprefix('sha256:')}"

    def has(self, descriptor: Descriptor) -> bool:
        """Whether a blob is there in its full size."""
        try:
            return os.stat(self.path(descriptor.digest)).st_size == descriptor.size
        except FileNotFoundError:
            return False

    def read_json(self, digest: str) -> Json:
        """A small document; raises StoreError when it is missing or unreadable."""
        try:
            return read_object(self.path(digest))
        except (OSError, ImageFormatError) as error:
            raise StoreError(f"the image store lacks a readable blob {digest}: {error}", _DAMAGED) from error

    def write_json(self, document: Json, media_type: str) -> Descriptor:
        """Store a document in its canonical bytes (sorted keys would not be exact: the order given is kept)."""
        return self.write_bytes(encode(document), media_type)

    def write_bytes(self, data: bytes, media_type: str) -> Descriptor:
        """Store a small blob."""
        with BlobWriter(self) as writer:
            writer.write(data)
            return writer.commit(media_type)

    @contextlib.contextmanager
    def steady(self) -> Iterator[None]:
        """Hold this while the index may not change: briefly, and never while taking `adding` or `edit`."""
        self.ensure()
        with self._locked(".lock", fcntl.LOCK_SH):
            yield

    @contextlib.contextmanager
    def adding(self) -> Iterator[None]:
        """Hold this while adding blobs and layers, until the index names them. What a failure leaves is collected."""
        with self.keeping():
            slip = pending.put_slip(self.directory) if self._collect else ""
            yield
            if slip:
                pending.take_slip(slip)

    @contextlib.contextmanager
    def keeping(self, tidy: bool = True) -> Iterator[None]:
        """Hold this while nothing that is here now may be collected; ``tidy``: `tidy` when it ends."""
        self.ensure()
        try:
            with self._locked(".writers", fcntl.LOCK_SH):
                yield
        finally:
            if tidy:
                self.tidy()

    def tidy(self) -> None:
        """Collect what a slip or a lease that has run out tells of, if there is one and nobody is adding."""
        if self._collect is not None and pending.owes(self.directory):
            with contextlib.suppress(EngineError, OSError):  # the slip stays: the next one to leave tries again
                self._collect()

    @contextlib.contextmanager
    def collecting(self) -> Iterator[bool]:
        """Hold this while removing what nothing names. Yields False, at once, when somebody is adding."""
        self.ensure()
        try:
            with self._locked(".writers", fcntl.LOCK_EX | fcntl.LOCK_NB):
                yield True
        except BlockingIOError:
            yield False

    @contextlib.contextmanager
    def _locked(self, name: str, operation: int) -> Iterator[None]:
        fd = os.open(f"{self.directory}/{name}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, operation)
            yield
        finally:
            os.close(fd)

    def _read_index(self) -> Json:
        path = f"{self.directory}/index.json"
        try:
            return read_object(path)
        except FileNotFoundError:
            return {"schemaVersion": 2, "mediaType": INDEX}
        except ImageFormatError as error:
            raise StoreError(f"the image store's {path} can't be read: {error}", _DAMAGED) from error

    def _write_index(self, document: Json, entries: list[Descriptor]) -> None:
        new = {**document, "manifests": [entry.to_json() for entry in entries]}
        data = json.dumps(new, separators=(",", ":")).encode()
        write_file(f"{self.directory}/index.json", data, ".index.json.new")


class BlobWriter:
    """A blob being written aside while its digest is taken; a context that leaves nothing behind on failure."""

    def __init__(self, layout: Layout) -> None:
        import hashlib

        self._layout = layout
        self._aside = f"{layout.blobs}/{ASIDE}{os.urandom(8).hex()}"
        self._fd = os.open(self._aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._hash: _Hash = hashlib.sha256()
        self.size = 0

    def __enter__(self) -> BlobWriter:
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            os.unlink(self._aside)
            self._fd = -1

    def write(self, data: bytes) -> None:
        """Append."""
        self._hash.update(data)
        self.size += len(data)
        write_all(self._fd, data)

    def commit(self, media_type: str, expected: Descriptor | None = None) -> Descriptor:
        """Give the blob its place; raises ImageFormatError when it is not what was ``expected``."""
        digest = f"sha256:{self._hash.hexdigest()}"
        if expected is not None and (digest, self.size) != (expected.digest, expected.size):
            raise ImageFormatError(
                f"blob {expected.digest} is damaged: {self.size} of {expected.size} bytes with digest {digest}"
            )
        os.fsync(self._fd)
        os.rename(self._aside, self._layout.path(digest))
        os.close(self._fd)
        self._fd = -1
        sync_directory(self._layout.blobs)
        return Descriptor(media_type, digest, self.size)


def entry_name(entry: Descriptor) -> str:
    """The familiar name that an index entry gives its image; empty for none."""
    return entry.annotations.get(REF_NAME, "")


def named(entry: Descriptor, name: str) -> Descriptor:
    """The same index entry under another name (empty for none)."""
    annotations = {key: value for key, value in entry.annotations.items() if key not in (REF_NAME, FULL_NAME)}
    if name:
        annotations[REF_NAME] = name
    return Descriptor(entry.media_type, entry.digest, entry.size, annotations, entry.extra)


def give_name(entries: list[Descriptor], image: Descriptor) -> None:
    """Add an entry to an index. Its name is its own from now on; an image that loses its last name stays, unnamed."""
    name = entry_name(image)
    losers = [entry for entry in entries if name and entry_name(entry) == name and entry.digest != image.digest]
    entries[:] = [
        entry
        for entry in entries
        if not (name and entry_name(entry) == name) and not (entry.digest == image.digest and not entry_name(entry))
    ]
    for loser in losers:
        if all(entry.digest != loser.digest for entry in entries):
            entries.append(named(loser, ""))
    if name or all(entry.digest != image.digest for entry in entries):
        entries.append(image)


def read_object(path: str) -> Json:
    """A JSON object from a file; raises OSError, ImageFormatError."""
    with open(path, "rb") as file:
        data = file.read(MAX_DOCUMENT + 1)
    return parse_object(data, path)


def parse_object(data: bytes, what: str) -> Json:
    """A JSON object from bytes; raises ImageFormatError, naming ``what``."""
    if len(data) > MAX_DOCUMENT:
        raise ImageFormatError(f"{what} is larger than {MAX_DOCUMENT >> 20} MiB")
    try:
        document = json.loads(data)
        if b"\\u" in data:  # half a surrogate pair is valid JSON, but no text; raw bytes of ours are written as such
            json.dumps(document, ensure_ascii=False).encode(errors="surrogateescape")
    except (ValueError, RecursionError) as error:
        raise ImageFormatError(f"{what} is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise ImageFormatError(f"{what} is not a JSON object")
    return document


def encode(document: object) -> bytes:
    """JSON as Go writes it: what another tool reads and writes again then keeps its digest."""
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
    return re.sub(_ESCAPED, lambda match: f"\\u{ord(match[0]):04x}", text).encode()


def write_file(path: str, data: bytes, aside: str = "") -> None:
    """Replace a file whole: aside, fsync, rename, fsync of the directory.

    ``aside`` is a name for who is the only one to write that file, under a lock that the collector doesn't hold: it
    does not begin as those that the collector takes.
    """
    directory = os.path.dirname(path)
    aside = f"{directory}/{aside or ASIDE + os.urandom(8).hex()}"
    fd = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        write_all(fd, data)
        os.fsync(fd)
        os.rename(aside, path)
    except BaseException:
        os.unlink(aside)
        raise
    finally:
        os.close(fd)
    sync_directory(directory)


def write_all(fd: int, data: bytes) -> None:
    """write(2) until all is written."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _manifests(document: Json) -> list[Descriptor]:
    manifests = document.get("manifests") or []
    if not isinstance(manifests, list) or not all(isinstance(entry, dict) for entry in manifests):
        raise ImageFormatError("field 'manifests' must be a list of objects")
    return [Descriptor.from_json(entry) for entry in manifests]
