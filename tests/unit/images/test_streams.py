"""Compression: recognised, undone whole, and never more than a piece at a time."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from pyctr_engine.errors import ImageFormatError
from pyctr_engine.images.streams import CHUNK, decompress, recognise

pieces = st.integers(min_value=1, max_value=5000)


def cut(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


@given(st.lists(st.binary(max_size=3000), min_size=1, max_size=4), pieces, st.integers(0, 700))
def test_gzip_members_and_padding(parts: list[bytes], size: int, zeros: int) -> None:
    stream = b"".join(gzip.compress(part) for part in parts) + bytes(zeros)
    assert b"".join(decompress(cut(stream, size), "gzip")) == b"".join(parts)


@given(st.lists(st.binary(max_size=3000), min_size=1, max_size=4), pieces)
def test_zstd_frames(parts: list[bytes], size: int) -> None:
    stream = b"".join(zstandard.compress(part) for part in parts)
    assert b"".join(decompress(cut(stream, size), "zstd")) == b"".join(parts)


def test_a_bomb_comes_in_pieces() -> None:
    bomb = zlib.compress(bytes(50 << 20), 9, wbits=31)
    sizes = [len(piece) for piece in decompress([bomb], "gzip")]
    assert sum(sizes) == 50 << 20
    assert max(sizes) <= CHUNK
    sizes = [len(piece) for piece in decompress([zstandard.compress(bytes(50 << 20))], "zstd")]
    assert sum(sizes) == 50 << 20
    assert max(sizes) <= CHUNK


@pytest.mark.parametrize("cut_off", [1, 4, 8, 100])
def test_a_gzip_that_ends_early_is_an_error(cut_off: int) -> None:
    stream = gzip.compress(b"x" * 1000 + bytes(range(256)) * 10)
    with pytest.raises(ImageFormatError, match="ends early"):
        list(decompress([stream[:-cut_off]], "gzip"))


def test_damage_is_an_error() -> None:
    stream = bytearray(gzip.compress(bytes(range(256)) * 100))
    stream[40] ^= 0xFF
    with pytest.raises(ImageFormatError, match="damaged"):
        list(decompress([bytes(stream)], "gzip"))
    frame = bytearray(zstandard.ZstdCompressor(write_checksum=True).compress(bytes(range(256)) * 100))
    frame[20] ^= 0xFF
    with pytest.raises(ImageFormatError, match="damaged"):
        list(decompress([bytes(frame)], "zstd"))
    with pytest.raises(ImageFormatError, match="damaged"):
        list(decompress([gzip.compress(b"x") + b"trailing"], "gzip"))


@pytest.mark.parametrize("head", [b"BZh91AY", b"\xfd7zXZ\x00", b"PK\x03\x04"])
def test_what_we_can_not_undo_is_named(head: bytes) -> None:
    with pytest.raises(ImageFormatError, match="not supported"):
        recognise(head)
