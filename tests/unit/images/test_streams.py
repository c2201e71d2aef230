"""Compression: recognised, undone whole, and never more than a piece at a time."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Iterator

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from pyctr_engine.errors import ImageFormatError, InvalidValue
from pyctr_engine.images import limits
from pyctr_engine.images.streams import CHUNK, decompress, recognise, undo_rare

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


TEXT = b"".join(b"%d" % number for number in range(3000))


@given(st.integers(0, 1 << 20), pieces)
def test_a_zstd_stream_that_ends_anywhere_early_is_an_error(at: int, size: int) -> None:
    stream = zstandard.compress(TEXT) + zstandard.compress(b"more")
    first = len(zstandard.compress(TEXT))
    at %= len(stream)
    if at in (0, first):
        assert b"".join(decompress(cut(stream[:at], size), "zstd")) == TEXT * (at > 0)
        return
    with pytest.raises(ImageFormatError, match=r"early|damaged"):
        list(decompress(cut(stream[:at], size), "zstd"))


@pytest.mark.parametrize("packed", [bz2.compress(TEXT) * 2, lzma.compress(TEXT) * 2])
def test_what_docker_takes_besides(packed: bytes) -> None:
    assert b"".join(undo_rare(cut(packed, 100))) == TEXT * 2
    for damaged in (packed[:-9], packed[:200] + b"?" + packed[201:], packed + b"garbage"):
        with pytest.raises(ImageFormatError):
            list(undo_rare(cut(damaged, 100)))
    assert b"".join(undo_rare(cut(TEXT, 100))) == TEXT


@pytest.mark.parametrize("compression", ["gzip", "zstd", "rare"])
def test_bombs_are_stopped(compression: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = bytes(8 << 20)
    if compression == "rare":
        stream = undo_rare([lzma.compress(bomb)])
    elif compression == "gzip":
        stream = decompress([gzip.compress(bomb)], "gzip")
    else:
        stream = decompress([zstandard.compress(bomb)], "zstd")
    monkeypatch.setattr(limits, "FREE", 1 << 20)
    with pytest.raises(ImageFormatError, match="more than 500 times") as refused:
        list(stream)
    assert limits.VARIABLE in refused.value.hint


@pytest.mark.parametrize("compression", ["gzip", "zstd", "tar"])
def test_sizes_have_a_limit(compression: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(limits.VARIABLE, "size=1m,ratio=0")
    data = {"gzip": gzip.compress, "zstd": zstandard.compress, "tar": bytes}[compression](bytes(1 << 20))
    assert len(b"".join(decompress([data], compression))) == 1 << 20  # type: ignore[arg-type]
    monkeypatch.setenv(limits.VARIABLE, "size=1023k")
    with pytest.raises(ImageFormatError, match="more than 1047552 bytes"):
        list(decompress([data], compression))  # type: ignore[arg-type]


def test_limits_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(limits.VARIABLE, "size=2t, entries=7,path=0")
    assert limits.limits() == limits.Limits(2 << 40, 7, 1 << 62, 500)
    for nonsense in ("size", "size=", "size=-1", "size=1x", "depth=3", "1"):
        monkeypatch.setenv(limits.VARIABLE, nonsense)
        with pytest.raises(InvalidValue, match=limits.VARIABLE):
            limits.limits()
