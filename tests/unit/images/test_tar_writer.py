"""Tar headers: what is written is what `tarfile` and GNU tar read."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from pyctr_engine.images.tar_writer import BLOCK, END, header, padding

names = st.binary(min_size=1, max_size=300).map(lambda raw: raw.replace(b"\0", b"0").strip(b"/") or b"x")
ids = st.sampled_from([0, 1, 65534, 0o7777777, 0o7777777 + 1, 1_000_000_000, 0xFFFFFFFE])


@given(
    path=names,
    mode=st.integers(0, 0o7777),
    uid=ids,
    gid=ids,
    mtime=st.integers(-(10**18), 4 * 10**18),
    contents=st.binary(max_size=1500),
    value=st.binary(max_size=80),
)
def test_a_file_reads_back(
    path: bytes, mode: int, uid: int, gid: int, mtime: int, contents: bytes, value: bytes
) -> None:
    head = header(path, "file", mode, uid, gid, len(contents), mtime, xattrs={"user.x": value})
    data = head + contents + padding(len(contents)) + END
    assert len(data) % BLOCK == 0
    with tarfile.open(fileobj=io.BytesIO(data), encoding="utf-8", errors="surrogateescape") as tar:
        (member,) = tar.getmembers()
        assert member.name.encode("utf-8", "surrogateescape") == path
        assert (member.mode, member.uid, member.gid, member.size) == (mode, uid, gid, len(contents))
        assert abs(member.mtime - mtime / 1e9) < 1e-3
        assert member.pax_headers["SCHILY.xattr.user.x"].encode("utf-8", "surrogateescape") == value
        file = tar.extractfile(member)
        assert file is not None
        assert file.read() == contents


@given(target=names)
def test_links_read_back(target: bytes) -> None:
    data = header(b"s", "symlink", 0o777, target=target) + header(b"h", "link", target=target) + END
    with tarfile.open(fileobj=io.BytesIO(data), encoding="utf-8", errors="surrogateescape") as tar:
        for member in tar.getmembers():
            assert member.linkname.encode("utf-8", "surrogateescape") == target


def test_gnu_tar_reads_it_too(tmp_path: Path) -> None:
    long = b"d" * 90 + b"/" + b"f" * 90
    data = b"".join(
        (
            header(b"", "directory", 0o755),
            header(b"d" * 90, "directory", 0o750, mtime=10**9),
            header(long, "file", 0o640, 1_000_000_000, 7, 3, 1_234_567_890_123_456_789),
            b"abc" + padding(3),
            header(b"fifo", "fifo", 0o600),
            header(b"null", "char", 0o666, device=(1, 3)),
            END,
        )
    )
    archive = tmp_path / "x.tar"
    archive.write_bytes(data)
    listing = subprocess.run(
        ["tar", "--numeric-owner", "--full-time", "-tvf", archive],
        capture_output=True,
        text=True,
        check=True,
        env={"TZ": "UTC", "PATH": "/usr/bin:/bin", "LC_ALL": "C"},
    ).stdout
    assert "1000000000/7" in listing
    assert "2009-02-13 23:31:30.123456789" in listing
    assert any(line.startswith("crw-rw-rw- 0/0") and " 1,3 " in line for line in listing.splitlines())
    assert long.decode() in listing
