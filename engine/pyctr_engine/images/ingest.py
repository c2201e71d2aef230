"""One layer on its way in: from a stream to a blob in the layout and files among the layers, in one pass.

The stream is hashed, decompressed (or compressed), hashed again and unpacked as it flows; nothing of it has a place
in the store before all digests are known to be right.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyctr_engine.errors import ImageFormatError, StoreError
from pyctr_engine.images.implicit import adopt_attributes
from pyctr_engine.images.layer_store import Layer, LayerStore, chain_ids
from pyctr_engine.images.layout import BlobWriter, Layout
from pyctr_engine.images.streams import MEDIA_TYPES, Compression, compress, decompress, read_file, recognise
from pyctr_engine.images.unpack import Unpacked, Unpacker
from pyctr_engine.model.oci import Descriptor
from pyctr_engine.model.progress import Progress

if TYPE_CHECKING:
    from hashlib import _Hash

ProgressSink = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Ingested:
    """A layer that now is in the store; ``notes`` tell what could not be kept."""

    descriptor: Descriptor
    layer: Layer
    notes: tuple[str, ...] = ()


class _Tap:
    """Lets a stream through and takes its digest."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        import hashlib

        self._chunks = chunks
        self._hash: _Hash = hashlib.sha256()

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self._hash.update(chunk)
            yield chunk

    @property
    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"


def ingest_tar(
    layout: Layout, layers: LayerStore, tar: Iterable[bytes], below: tuple[str, ...], expected: str = ""
) -> Ingested:
    """Store an uncompressed layer tar, compressed, on top of the layers with diff ids ``below``.

    ``expected`` is what its diff id has to be; empty for whatever it is.
    """
    tap = _Tap(tar)
    with layers.staged() as aside, Unpacker(f"{aside}/fs", not below) as unpacker, BlobWriter(layout) as blob:
        for piece in compress(_through(tap, unpacker.write)):
            blob.write(piece)
        unpacked = unpacker.finish()
        if expected:
            _check_diff_id(tap.digest, expected)
        descriptor = blob.commit(MEDIA_TYPES["zstd"])
        return Ingested(descriptor, _publish(layers, aside, (*below, tap.digest), unpacked), unpacked.notes)


def ingest_blob(
    layout: Layout,
    layers: LayerStore,
    chunks: Iterable[bytes],
    compression: Compression,
    below: tuple[str, ...],
    expected: tuple[Descriptor, str] | None = None,
) -> Ingested:
    """Store a layer as it comes, byte for byte; ``expected``: what it and its diff id have to be."""
    with layers.staged() as aside, Unpacker(f"{aside}/fs", not below) as unpacker, BlobWriter(layout) as blob:
        tap = _Tap(decompress(_through(chunks, blob.write), compression))
        for piece in tap:
            unpacker.write(piece)
        unpacked = unpacker.finish()
        if expected is not None:
            _check_diff_id(tap.digest, expected[1])
        descriptor = blob.commit(MEDIA_TYPES[compression], expected[0] if expected else None)
        return Ingested(descriptor, _publish(layers, aside, (*below, tap.digest), unpacked), unpacked.notes)


def unpack_blob(
    layers: LayerStore, chunks: Iterable[bytes], compression: Compression, diff_ids: tuple[str, ...]
) -> Layer:
    """Unpack a stored blob as the topmost of ``diff_ids``; raises ImageFormatError when its digest is another."""
    with layers.staged() as aside, Unpacker(f"{aside}/fs", len(diff_ids) == 1) as unpacker:
        tap = _Tap(decompress(chunks, compression))
        for piece in tap:
            unpacker.write(piece)
        unpacked = unpacker.finish()
        _check_diff_id(tap.digest, diff_ids[-1])
        return _publish(layers, aside, diff_ids, unpacked)


def _through(chunks: Iterable[bytes], also: Callable[[bytes], None]) -> Iterator[bytes]:
    for chunk in chunks:
        also(chunk)
        yield chunk


def _check_diff_id(found: str, expected: str) -> None:
    if found != expected:
        raise ImageFormatError(f"a layer is not what its image says: {found} instead of {expected}")


def _publish(layers: LayerStore, aside: str, diff_ids: tuple[str, ...], unpacked: Unpacked) -> Layer:
    """Give an unpacked layer its place; directories it didn't describe become those of the layers below."""
    chains = chain_ids(diff_ids)
    adopt_attributes(f"{aside}/fs", unpacked.implicit, [layers.fs(chain) for chain in reversed(chains[:-1])])
    layer = Layer(chains[-1], diff_ids[-1], "", unpacked.size, unpacked.entries, unpacked.ids, unpacked.opaque)
    return layers.publish(aside, layer)


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


def unpack_stored(layout: Layout, layers: LayerStore, descriptor: Descriptor, diff_ids: tuple[str, ...]) -> Layer:
    """Unpack a layer whose blob is in the store already."""
    with layout.adding():
        try:
            fd = os.open(layout.path(descriptor.digest), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise StoreError(
                f"the image store lacks layer blob {descriptor.digest}", "import or load the image again"
            ) from error
        try:
            head = os.pread(fd, 16, 0)
            return unpack_blob(layers, read_file(fd), recognise(head), diff_ids)
        finally:
            os.close(fd)
