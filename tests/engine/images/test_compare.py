"""A layer compared with its tar: whatever unpacking makes of a tar is what the comparison expects, and no more."""

from __future__ import annotations

import os
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from pyctr_engine.errors import ImageFormatError
from pyctr_engine.images.compare import difference
from pyctr_engine.images.unpack import Unpacker
from tests.engine.images.tars import Entry, entry, tar

pytestmark = pytest.mark.root

NAMES = [
    "a",
    "b",
    "a/b",
    "a/c",
    "a/b/c",
    "dev/x",
    ".",
    ".wh.a",
    "a/.wh.b",
    "a/.wh..wh..opq",
    ".wh..wh.aufs",
    "a/b/.wh.c",
]
KINDS = [tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE]


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    kind = draw(st.sampled_from(KINDS))
    name = draw(st.sampled_from(NAMES))
    return entry(
        name,
        kind,
        draw(st.binary(max_size=3)) if kind == tarfile.REGTYPE else b"",
        linkname=draw(st.sampled_from(NAMES)) if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else "",
        mode=draw(st.sampled_from([0o644, 0o755, 0o4755, 0o1777, 0])),
        uid=draw(st.sampled_from([0, 1000, 70000])),
        mtime=draw(st.sampled_from([0, 1, 1700000000, 1700000000.5])),
        devmajor=1,
        devminor=draw(st.sampled_from([3, 77])),
    )


def unpacked(data: bytes, fs: str, bottom: bool) -> None:
    os.mkdir(fs, 0o755)
    with Unpacker(fs, bottom) as unpacker:
        unpacker.write(data)
        unpacker.finish()


def pieces(data: bytes) -> Iterator[bytes]:
    """As a stream comes: in pieces of no size in particular."""
    for start in range(0, len(data), 700):
        yield data[start : start + 700]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(st.lists(entries(), max_size=8), st.booleans())
def test_what_is_unpacked_is_what_is_expected(members: list[Entry], bottom: bool) -> None:
    data = tar(*members)
    with tempfile.TemporaryDirectory() as directory:
        fs = f"{directory}/fs"
        try:
            unpacked(data, fs, bottom)
        except ImageFormatError:
            assume(False)
        assert difference(pieces(data), fs, bottom) == ""
        Path(fs, "extra").touch()
        assert difference(pieces(data), fs, bottom) == "/extra is not of this layer"


def test_another_tar_is_told(tmp_path: Path) -> None:
    unpacked(tar(entry("a", data=b"1"), entry("d", tarfile.DIRTYPE)), str(tmp_path / "fs"), True)

    def told(*members: Entry) -> str:
        return difference([tar(*members)], str(tmp_path / "fs"), True)

    directory = entry("d", tarfile.DIRTYPE)
    assert told(entry("a", data=b"1"), directory) == ""
    assert told(entry("a", data=b"12"), directory) == "/a has 1 bytes instead of 2"
    assert told(entry("a", data=b"1", mtime=7), directory) == "/a was changed"
    assert told(entry("a", data=b"1"), entry("d", tarfile.DIRTYPE, mtime=7)) == "/d was changed"
    assert told(entry("a", data=b"1", mode=0o600), directory) == "/a has another mode"
    assert told(entry("a", data=b"1", gid=3), directory) == "/a has another owner"
    assert told(entry("a", tarfile.SYMTYPE, linkname="x"), directory) == "/a is of another type"
    assert told(entry("a", data=b"1")) == "/d is not of this layer"
    assert told(entry("a", data=b"1"), directory, entry("e")) == "/e is missing"
    assert difference([b"?" * 1024], str(tmp_path / "fs"), True).startswith("its blob is no layer")
    assert difference([tar()], str(tmp_path / "gone"), True) == "its files are gone"
