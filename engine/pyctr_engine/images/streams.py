"""Bytes on their way: compression recognised and undone, in pieces of bounded size.

A megabyte of input may hold gigabytes, so no step ever asks for more than `CHUNK` at a time.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import IO, Literal, cast

from pyctr_engine.errors import ImageFormatError
from pyctr_engine.images.compress import GZIP_MAGIC, deflate_module
from pyctr_engine.model.oci import LAYER_GZIP, LAYER_TAR, LAYER_ZSTD

CHUNK = 1 << 20
"""Bytes handled at a time."""

Compression = Literal["tar", "gzip", "zstd"]

MEDIA_TYPES: dict[Compression, str] = {"tar": LAYER_TAR, "gzip": LAYER_GZIP, "zstd": LAYER_ZSTD}

_MAGIC: tuple[tuple[bytes, Compression], ...] = ((b"\x1f\x8b", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd"))
_UNKNOWN = ((b"BZh", "bzip2"), (b"\xfd7zXZ\x00", "xz"), (b"PK\x03\x04", "zip"))


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
    """Undo the compression; raises ImageFormatError when the stream is damaged or ends early."""
    if compression == "gzip":
        return _gunzip(chunks)
    if compression == "zstd":
        return _unzstd(chunks)
    return iter(chunks)


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
    """RFC 8878. An early end shows in the tar inside, which has an end of its own."""
    import zstandard

    decoder = zstandard.ZstdDecompressor(max_window_size=1 << 27)
    source = cast(IO[bytes], _Source(chunks))
    with decoder.stream_reader(source, read_size=CHUNK, read_across_frames=True) as reader:
        try:
            while piece := reader.read(CHUNK):
                yield piece
        except zstandard.ZstdError as error:
            raise ImageFormatError(f"the zstd stream is damaged: {error}") from error


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
