"""Bytes on their way: compression recognised and undone, in pieces of bounded size.

A megabyte of input may hold gigabytes, so no step ever asks for more than `CHUNK` at a time.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Literal, cast

from pyctr_engine.errors import ImageFormatError
from pyctr_engine.images.compress import GZIP_MAGIC, deflate_module
from pyctr_engine.images.limits import Meter, limits
from pyctr_engine.model.oci import LAYER_GZIP, LAYER_TAR, LAYER_ZSTD

CHUNK = 1 << 20
"""Bytes handled at a time."""

Compression = Literal["tar", "gzip", "zstd"]

MEDIA_TYPES: dict[Compression, str] = {"tar": LAYER_TAR, "gzip": LAYER_GZIP, "zstd": LAYER_ZSTD}

_MAGIC: tuple[tuple[bytes, Compression], ...] = ((b"\x1f\x8b", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd"))
_BZIP2, _XZ = b"BZh", b"\xfd7zXZ\x00"
_UNKNOWN = ((_BZIP2, "bzip2"), (_XZ, "xz"), (b"PK\x03\x04", "zip"))
_XZ_MEMORY = 128 << 20


def recognise(head: bytes) -> Compression:
    """What a stream that begins with ``head`` is; raises ImageFormatError for what we can't undo."""
    for magic, compression in _MAGIC:
        if head.startswith(magic):
            return compression
    for magic, name in _UNKNOWN:
        if head.startswith(magic):
            raise ImageFormatError(f"{name} archives are not supported", "use tar, tar.gz or tar.zst")
    return "tar"


def read_file(fd: int) -> Iterator[bytes]:
    """A file's or pipe's bytes to its end."""
    while data := os.read(fd, CHUNK):
        yield data


def decompress(chunks: Iterable[bytes], compression: Compression) -> Iterator[bytes]:
    """Undo the compression; raises ImageFormatError when it is damaged, ends early, or holds more than it may."""
    undo = {"gzip": _gunzip, "zstd": _unzstd}.get(compression)
    return _measured(chunks, undo) if undo is not None else _measured(chunks, iter)


def undo_rare(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """What bzip2 or xz hold: docker takes such archives, but no registry such layers. Others pass as they are."""
    stream = iter(chunks)
    head = next(stream, b"")
    whole = itertools.chain([head], stream)
    return _measured(whole, _undo_rare) if is_rare(head) else whole


def is_rare(head: bytes) -> bool:
    """Whether a stream that begins with ``head`` is one for `undo_rare`."""
    return head.startswith((_BZIP2, _XZ))


def _measured(chunks: Iterable[bytes], undo: Callable[[Iterable[bytes]], Iterator[bytes]]) -> Iterator[bytes]:
    meter = Meter(limits())

    def fed() -> Iterator[bytes]:
        for chunk in chunks:
            meter.feed(len(chunk))
            yield chunk

    for piece in undo(fed()):
        meter.make(len(piece))
        yield piece


def _undo_rare(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """One stream after another, of one kind."""
    import bz2
    import lzma

    decoder: bz2.BZ2Decompressor | lzma.LZMADecompressor | None = None
    data = b""
    stream = iter(chunks)
    try:
        while True:
            data = data or next(stream, b"")
            if decoder is None:
                data = data.lstrip(b"\0")
            if not data and (decoder is None or decoder.needs_input):
                break
            if decoder is None:
                is_bzip2 = data.startswith(_BZIP2)
                decoder = bz2.BZ2Decompressor() if is_bzip2 else lzma.LZMADecompressor(memlimit=_XZ_MEMORY)
            yield decoder.decompress(data, CHUNK)
            data = b""
            if decoder.eof:
                data, decoder = decoder.unused_data, None
    except (OSError, lzma.LZMAError, EOFError) as error:
        raise ImageFormatError(f"the compressed stream is damaged: {error}") from error
    if decoder is not None:
        raise ImageFormatError("the compressed stream ends early")


def _gunzip(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """RFC 1952: one member after another; zeros may pad the end, as tapes did."""
    deflate = deflate_module()
    decoder = None
    try:
        for chunk in chunks:
            data = chunk if decoder is not None else chunk.lstrip(b"\0")
            while data:
                if decoder is None and data[0] != GZIP_MAGIC:
                    raise ImageFormatError("the gzip stream is damaged: something else follows it")
                decoder = decoder or deflate.decompressobj(wbits=31)
                yield decoder.decompress(data, CHUNK)
                data = decoder.unconsumed_tail
                if decoder.eof:
                    data, decoder = decoder.unused_data.lstrip(b"\0"), None
        while decoder is not None and (piece := decoder.decompress(b"", CHUNK)):
            yield piece
    except deflate.error as error:
        raise ImageFormatError(f"the gzip stream is damaged: {error}") from error
    if decoder is not None and not decoder.eof:
        raise ImageFormatError("the gzip stream ends early")


def _unzstd(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """RFC 8878, one frame after another."""
    import zstandard

    from pyctr_engine.images.zstd_frames import Frames

    frames = Frames()
    decoder = zstandard.ZstdDecompressor(max_window_size=1 << 27)
    source = cast(IO[bytes], _Source(frames.through(chunks)))
    with decoder.stream_reader(source, read_size=CHUNK, read_across_frames=True) as reader:
        try:
            while piece := reader.read(CHUNK):
                yield piece
        except zstandard.ZstdError as error:
            raise ImageFormatError(f"the zstd stream is damaged or ends early: {error}") from error
    if not frames.at_end:
        raise ImageFormatError("the zstd stream ends early")


class _Source:
    """Pieces as a file to read from."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = b""

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes; empty at the end."""
        data = self._rest or next(self._chunks, b"")
        self._rest = data[size:]
        return data[:size]
