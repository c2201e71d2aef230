"""One layer on its way in: from a stream to a blob in the layout and files among the layers, in one pass.

The stream is hashed, decompressed, hashed again and unpacked as it flows; nothing of it has a place
in the store before all digests are known to be right.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyctr_engine.errors import ImageFormatError, StoreError, from_os_error
from pyctr_engine.images import index
from pyctr_engine.images.implicit import adopt_attributes, drop_idle_whiteouts
from pyctr_engine.images.layer_store import Layer, LayerStore, chain_ids
from pyctr_engine.images.layout import BlobWriter, Layout
from pyctr_engine.images.stage import Stage
from pyctr_engine.images.streams import CHUNK, MEDIA_TYPES, Compression, decompress, read_file, recognise
from pyctr_engine.images.unpack import Unpacked, Unpacker
from pyctr_engine.linux.tree import sync_file_system
from pyctr_engine.model.oci import Descriptor
from pyctr_engine.model.progress import Progress

if TYPE_CHECKING:
    from hashlib import _Hash

ProgressSink = Callable[[Progress], None]

_WAITING = 4
"""Pieces that wait for their digest at most."""


@dataclass(frozen=True, slots=True)
class Ingested:
    """A layer that now is in the store; ``notes`` tell what could not be kept."""

    descriptor: Descriptor
    layer: Layer
    notes: tuple[str, ...] = ()


class _Digest:
    """Takes the digest of a stream beside what else is done with it. A context; complete at its end."""

    def __init__(self) -> None:
        import hashlib

        self._hash: _Hash = hashlib.sha256()
        self._stage: Stage[bytes] = Stage(self._hash.update)

    def __enter__(self) -> _Digest:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._stage.end()

    def add(self, piece: bytes) -> None:
        """The next piece."""
        self._stage.put(piece)
        self._stage.wait(_WAITING)

    def __str__(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"


def ingest(
    layout: Layout,
    layers: LayerStore,
    chunks: Iterable[bytes],
    below: tuple[str, ...],
    expected: Descriptor | None = None,
    diff_id: str = "",
) -> Ingested:
    """Store a layer as it comes, byte for byte, on top of the layers with diff ids ``below``.

    Args:
        chunks: A tar: plain, gzip or zstd. The caller holds `Layout.adding`.
        expected: What the blob has to be; ``None`` for whatever it is.
        diff_id: What the digest of the uncompressed tar has to be; empty for whatever it is.

    Raises:
        ImageFormatError, NoSpace, NotPermitted, StoreError, OSError: nothing was stored.
    """
    with BlobWriter(layout) as blob, unpacking(layers, _through(chunks, blob.write), not below, diff_id) as staged:
        descriptor = blob.commit(MEDIA_TYPES[staged.compression], expected)
        return Ingested(descriptor, staged.publish(below), staged.unpacked.notes)


@dataclass(frozen=True, slots=True)
class Staged:
    """A layer unpacked aside, without a place yet, and being made durable; ``compression`` is what its blob had."""

    layers: LayerStore
    aside: str
    diff_id: str
    unpacked: Unpacked
    compression: Compression
    sync: Stage[str]

    def publish(self, below: tuple[str, ...]) -> Layer:
        """Give it its place on top of the layers with diff ids ``below``, which have theirs."""
        return _publish(self, (*below, self.diff_id))


@contextlib.contextmanager
def unpacking(layers: LayerStore, chunks: Iterable[bytes], bottom: bool, diff_id: str = "") -> Iterator[Staged]:
    """Unpack a layer (a tar: plain, gzip or zstd) aside; it is gone at the end of the block unless it was published.

    Args:
        bottom: Whether it is an image's lowest layer.
        diff_id: See `ingest`; raises what that does.
    """
    stream = iter(chunks)
    head = next(stream, b"")
    compression = recognise(head)
    with layers.staged() as aside, Stage(sync_file_system) as sync:
        with Unpacker(f"{aside}/fs", bottom) as unpacker:
            with _Digest() as digest:
                for piece in decompress(itertools.chain([head], stream), compression):
                    digest.add(piece)
                    unpacker.write(piece)
            unpacked = unpacker.finish()
        sync.put(aside)
        found = str(digest)
        _check_diff_id(found, diff_id or found)
        yield Staged(layers, aside, found, unpacked, compression, sync)


def _through(chunks: Iterable[bytes], also: Callable[[bytes], object]) -> Iterator[bytes]:
    for chunk in chunks:
        also(chunk)
        yield chunk


def _check_diff_id(found: str, expected: str) -> None:
    if found != expected:
        raise ImageFormatError(f"a layer is not what its image says: {found} instead of {expected}")


def _publish(staged: Staged, diff_ids: tuple[str, ...]) -> Layer:
    """Give an unpacked layer its place; directories it didn't describe become those of the layers below."""
    layers, aside, unpacked = staged.layers, staged.aside, staged.unpacked
    chains = chain_ids(diff_ids)
    below = _seen(layers, chains[:-1])
    adopt_attributes(f"{aside}/fs", unpacked.implicit, below)
    drop_idle_whiteouts(f"{aside}/fs", unpacked.whiteouts, below)
    with contextlib.suppress(OSError, StoreError):  # it can be made later; a layer is whole without
        index.build(aside)
    try:
        staged.sync.wait(0)
    except OSError as error:
        raise from_os_error(error, "write the layer to the disk") from error
    layer = Layer(chains[-1], diff_ids[-1], "", unpacked.size, unpacked.entries, unpacked.ids, unpacked.opaque)
    return layers.publish(aside, layer)


def _seen(layers: LayerStore, chains: list[str]) -> list[str]:
    """The files of layers, topmost first, down to one that hides all below it."""
    seen = []
    for chain in reversed(chains):
        seen.append(layers.fs(chain))
        layer = layers.read(chain)
        if layer is not None and layer.opaque:
            break
    return seen


def counted(
    chunks: Iterable[bytes], total: int, subject: str, text: str, progress: ProgressSink | None
) -> Iterator[bytes]:
    """The same stream, telling ``progress`` how much of ``total`` bytes (0: unknown) went by."""
    done = 0
    for chunk in chunks:
        yield chunk
        done += len(chunk)
        if progress is not None:
            progress(Progress(subject, text, done, total))


def unpack_stored(
    layout: Layout,
    layers: LayerStore,
    descriptor: Descriptor,
    diff_ids: tuple[str, ...],
    check: Callable[[], object] = lambda: None,
) -> Layer:
    """Unpack a layer whose blob is in the store already, as the topmost of ``diff_ids``; ``check`` may end it."""
    with (
        layout.adding(),
        _opened(layout, descriptor) as fd,
        unpacking(
            layers, _through(read_file(fd), lambda _chunk: check()), len(diff_ids) == 1, diff_ids[-1]
        ) as staged,
    ):
        return staged.publish(diff_ids[:-1])


@contextlib.contextmanager
def _opened(layout: Layout, descriptor: Descriptor) -> Iterator[int]:
    try:
        fd = os.open(layout.path(descriptor.digest), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise StoreError(
            f"the image store lacks layer blob {descriptor.digest}", "import or load the image again"
        ) from error
    try:
        yield fd
    finally:
        os.close(fd)


def gathered(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same stream in pieces of about `CHUNK`: headers alone would make a system call each."""
    waiting: list[bytes] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= CHUNK:
            yield b"".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield b"".join(waiting)
