"""The tar reader: every format as it is meant, nothing else at all, and never more memory than a piece."""

from __future__ import annotations

import io
import os
import random
import struct
import subprocess
import tarfile
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyctr_engine.images import tar_format, tar_reader
from pyctr_engine.images.tar_format import Entry, Refused
from pyctr_engine.images.tar_reader import CHUNK, MAX_EXTENDED, Pipe, Source, Stream, TarReader
from pyctr_engine.images.tar_writer import BLOCK, END, header, padding


class Watched(io.BytesIO):
    """Remembers how much was asked for at once."""

    most = 0

    def read(self, size: int | None = -1, /) -> bytes:
        assert size is not None
        assert size >= 0
        self.most = max(self.most, size)
        return super().read(size)


def read(data: bytes) -> list[tuple[Entry, bytes]]:
    """All entries with their contents."""
    source = Watched(data)
    found = read_all(Pipe(source))
    assert source.most <= max(CHUNK, MAX_EXTENDED)
    return found


def read_all(source: Source) -> list[tuple[Entry, bytes]]:
    """All entries with their contents, of a whole tar."""
    reader = TarReader(source)
    found = []
    while entry := reader.next():
        contents = b""
        while piece := reader.read(CHUNK):
            contents += piece
        found.append((entry, contents))
    reader.drain()
    return found


@pytest.mark.parametrize("pieces", [1 << 20, 4096, 700])
def test_a_descriptor_gives_what_a_file_gives_whatever_comes_at_once(pieces: int) -> None:
    rng = random.Random(pieces)
    sizes = [0, 1, 511, 512, 513, 70_000, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 5, 0]
    contents = [rng.randbytes(size) for size in sizes]
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for number, data in enumerate(contents):
            info = tarfile.TarInfo(f"{number}" + "/long" * 60 * (number % 2))
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    out, into = os.pipe()

    def send() -> None:
        with os.fdopen(into, "wb", buffering=0) as pipe:
            for at in range(0, len(file.getvalue()), pieces):
                pipe.write(file.getvalue()[at : at + pieces])

    sender = threading.Thread(target=send)
    sender.start()
    try:
        found = read_all(Stream(out))
    finally:
        os.close(out)
        sender.join()
    assert [data for _entry, data in found] == contents
    assert [entry.name for entry, _data in found] == [entry.name for entry, _data in read(file.getvalue())]


def test_what_is_passed_over_in_a_descriptor_must_be_there() -> None:
    with tempfile.TemporaryFile() as file:
        file.write(bytes(CHUNK + 5))
        file.seek(0)
        stream = Stream(file.fileno())
        stream.skip(CHUNK + 2)
        assert bytes(stream.read(7)) == bytes(3)
        with pytest.raises(Refused):
            stream.skip(1)


def whole(entry: Entry, contents: bytes) -> bytes:
    """A sparse file's contents, holes filled."""
    if entry.pieces is None:
        return contents
    full = bytearray(entry.size)
    for offset, length in entry.pieces:
        full[offset : offset + length] = contents[:length]
        contents = contents[length:]
    return bytes(full)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "d" / ("n" * 90) / ("m" * 60)).mkdir(parents=True)
    (root / "d" / "file").write_bytes(b"contents" * 200)
    (root / "d" / "again").hardlink_to(root / "d" / "file")
    (root / "d" / "link").symlink_to("t" * 99)
    (root / "d" / ("n" * 90) / ("m" * 60) / "deep").write_bytes(b"deep")
    with (root / "holes").open("wb") as file:
        for at in range(1, 40):
            file.seek(at * 100_000)
            file.write(b"piece %d" % at)
        file.truncate(5_000_000)
    return root


FORMATS = ["v7", "ustar", "oldgnu", "gnu", "posix"]
SPARSE = ["oldgnu", "gnu", "posix --sparse-version=0.0", "posix --sparse-version=0.1", "posix --sparse-version=1.0"]


@pytest.mark.parametrize(
    "options", FORMATS + [f"{format.split()[0]} -S {' '.join(format.split()[1:])}" for format in SPARSE]
)
def test_what_gnu_tar_writes(tree: Path, options: str) -> None:
    if options == "v7":  # knows no names over 99 bytes
        subprocess.run(["rm", "-r", tree / "d" / ("n" * 90)], check=True)
    command = ["tar", "-C", tree, "--sort=name", f"--format={options}", "-cf", "-", "."]
    data = subprocess.run(
        [*command[:4], *f"--format={options}".split(), *command[5:]], check=True, capture_output=True
    )
    found = {entry.name.rstrip(b"/"): (entry, whole(entry, contents)) for entry, contents in read(data.stdout)}
    assert {name.decode() for name in found} == {".", *(f"./{path.relative_to(tree)}" for path in tree.rglob("*"))}
    for name, (entry, contents) in found.items():
        path = tree / name.decode()
        status = path.lstat()
        assert (entry.mode, entry.uid, entry.gid) == (status.st_mode & 0o7777, status.st_uid, status.st_gid)
        if entry.kind == tar_format.FILE:
            assert contents == path.read_bytes()
            assert entry.size == status.st_size
        elif entry.kind == tar_format.LINK:
            assert path.samefile(tree / entry.target.decode())
        elif entry.kind == tar_format.SYMLINK:
            assert path.readlink() == Path(entry.target.decode())
        if options.startswith("posix"):
            assert entry.mtime == status.st_mtime_ns
    assert ("-S" in options) == (found[b"./holes"][0].pieces is not None)


@given(st.lists(st.tuples(st.text(min_size=1, max_size=300), st.binary(max_size=2000)), max_size=6), st.booleans())
def test_what_python_writes(files: list[tuple[str, bytes]], gnu: bool) -> None:
    files = [(name.replace("\0", "0").replace("\ud800", "").strip("/") or "x", data) for name, data in files]
    buffer = io.BytesIO()
    format = tarfile.GNU_FORMAT if gnu else tarfile.PAX_FORMAT
    with tarfile.open(fileobj=buffer, mode="w", format=format, encoding="utf-8", errors="surrogateescape") as archive:
        for name, data in files:
            member = tarfile.TarInfo(name)
            member.size, member.uid, member.mtime = len(data), 3_000_000_000, 1.5 if not gnu else 1
            archive.addfile(member, io.BytesIO(data))
    found = read(buffer.getvalue())
    assert [(entry.name.decode(), contents) for entry, contents in found] == files
    assert all(entry.uid == 3_000_000_000 for entry, _ in found)
    assert all(entry.mtime == (10**9 if gnu else 1_500_000_000) for entry, _ in found)


def block(**fields: bytes) -> bytes:
    """A ustar header with some fields replaced, and a checksum that is right."""
    places = {"name": 0, "mode": 100, "uid": 108, "gid": 116, "size": 124, "mtime": 136, "kind": 156, "target": 157,
              "magic": 257, "major": 329, "minor": 337, "prefix": 345, "end": 508}  # fmt: skip
    data = bytearray(header(b"name"))
    for field, value in fields.items():
        data[places[field] : places[field] + len(value)] = value
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data)
    return bytes(data)


def first(data: bytes) -> Entry:
    return read(data + END)[0][0]


def test_numbers_of_every_kind() -> None:
    assert first(block(mtime=b"\x80" + (1 << 40).to_bytes(11, "big"))).mtime == (1 << 40) * 10**9
    assert first(block(mtime=b"\xff" * 12)).mtime == -(10**9)
    assert first(block(uid=b"\x80" + (0xFFFFFFFE).to_bytes(7, "big"))).uid == 0xFFFFFFFE
    assert first(block(uid=b"   17 \0 ")).uid == 0o17
    assert first(block(uid=b"\0" * 8)).uid == 0
    assert first(block(prefix=b"dir", name=b"file\0")).name == b"dir/file"
    assert (
        first(block(prefix=b"dir".ljust(131, b"\0") + b"1234567", end=b"tar\0", name=b"file\0")).name == b"dir/file"
    )
    assert first(block(prefix=b"dir", magic=b"ustar  \0", name=b"file\0")).name == b"file"
    assert first(block(name=b"old/\0", kind=b"\0")).kind == tar_format.DIRECTORY
    signed = bytearray(block(name=b"\xff\xfe\0"))
    signed[148:156] = b"%06o\0 " % (sum(signed[:148] + b" " * 8 + signed[156:]) - 512)
    assert first(bytes(signed)).name == b"\xff\xfe"


def pax(*records: bytes, kind: bytes = b"x") -> bytes:
    body = b"".join(records)
    return block(name=b"pax\0", kind=kind, size=b"%011o\0" % len(body)) + body + padding(len(body))


def record(key: bytes, value: bytes) -> bytes:
    length = len(key) + len(value) + 3
    length += len(str(length + len(str(length))))
    return b"%d %s=%s\n" % (length, key, value)


def test_pax_records() -> None:
    named = pax(record(b"path", b"x" * 5000), record(b"size", b""), record(b"comment", b"=\n=")) + block()
    assert first(named).name == b"x" * 5000
    shared = pax(record(b"uid", b"77"), kind=b"g") + block() + pax(record(b"uid", b"78")) + block()
    assert [entry.uid for entry, _ in read(shared + END)] == [77, 78]
    assert first(pax(record(b"mtime", b"-1.5")) + block()).mtime == -1_500_000_000
    assert first(pax(record(b"mtime", b"1.0000000019")) + block()).mtime == 1_000_000_001
    binary = bytes(range(256))
    assert first(pax(record(b"SCHILY.xattr.user.x", binary)) + block()).xattrs == [("user.x", binary)]


BAD = {
    "a wrong checksum": header(b"a")[:-1] + b"x",
    "a number that is none": block(uid=b"99999999"),
    "a signed octal number": block(uid=b"-0000007"),
    "an underscore": block(uid=b"00_00_7\0"),
    "a negative size": block(size=b"\xff" * 12),
    "a huge size": block(size=b"\x80" + b"\xff" * 11),
    "a lone zero block": bytes(BLOCK) + header(b"a"),
    "an extended header at the end": pax(record(b"path", b"x")),
    "a long name of gigabytes": block(kind=b"L", size=b"77777777777\0"),
    "an extended header of gigabytes": block(kind=b"x", size=b"\x80" + (1 << 40).to_bytes(11, "big")),
    "extended headers without end": pax(record(b"a", b"b")) * 1000,
    "global records without end": b"".join(
        pax(record(b"SCHILY.xattr.user.%d" % n, b"v"), kind=b"g") + header(b"a") for n in range(99)
    ),
    "a record without length": pax(b"path=x\n"),
    "a record that is too long": pax(b"99 path=x\n"),
    "a record that is too short": pax(b"5 path=xxxxx\n"),
    "a record without equals": pax(b"7 path\n"),
    "a record without end": pax(b"9 path=xx"),
    "a pax size that is none": pax(record(b"size", b"-1")) + block(),
    "a pax size that is huge": pax(record(b"size", b"9" * 30)) + block(),
    "a pax owner that is none": pax(record(b"uid", b"1e3")) + block(),
    "a pax time that is none": pax(record(b"mtime", b"nan")) + block(),
    "a sparse map that is odd": pax(record(b"GNU.sparse.map", b"0,1,2"), record(b"GNU.sparse.size", b"9")) + block(),
    "a sparse map outside": pax(record(b"GNU.sparse.map", b"8,8"), record(b"GNU.sparse.size", b"9")) + block(),
    "a sparse map that overlaps": pax(record(b"GNU.sparse.map", b"0,4,2,4"), record(b"GNU.sparse.size", b"9"))
    + block(size=b"00000000010\0")
    + bytes(512),
    "a sparse map of more than there is": pax(record(b"GNU.sparse.map", b"0,600"), record(b"GNU.sparse.size", b"600"))
    + block(size=b"00000000001\0")
    + bytes(1024),
    "an unknown sparse format": pax(record(b"GNU.sparse.major", b"2"), record(b"GNU.sparse.minor", b"0")) + block(),
    "a sparse map without end": pax(record(b"GNU.sparse.major", b"1"), record(b"GNU.sparse.minor", b"0"))
    + block(size=b"00000002000\0")
    + b"999999\n".ljust(1024, b"1"),
    "a sparse map of words": pax(record(b"GNU.sparse.major", b"1"), record(b"GNU.sparse.minor", b"0"))
    + block(size=b"00000001000\0")
    + b"1\nx\ny\n".ljust(512, b"\0"),
    "an old sparse map without end": block(kind=b"S", size=b"0" * 12)[:482] + b"\1" + bytes(29),
    "nothing": b"",
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_breaks_the_format(case: str) -> None:
    with pytest.raises(Refused):
        read(BAD[case])


@pytest.mark.parametrize("tail", [b"", END, END + bytes(9000), END + b"garbage" * 100])
def test_what_may_follow(tail: bytes) -> None:
    assert len(read(header(b"a", size=3) + b"abc" + padding(3) + tail)) == 1


SAMPLE = b"".join((
    header(b"", "directory", 0o755),
    header(b"d" * 150, "directory", 0o755, mtime=1),
    header(b"f", size=700, xattrs={"user.x": b"y" * 90}), b"f" * 700 + padding(700),
    header(b"l", "link", target=b"f"),
    header(b"s", "symlink", target=b"t" * 120),
    block(kind=b"L", name=b"././@LongLink\0", size=b"00000000310\0"), b"long" * 50 + padding(200), block(),
    pax(record(b"GNU.sparse.major", b"1"), record(b"GNU.sparse.minor", b"0"), record(b"GNU.sparse.name", b"sparse"),
        record(b"GNU.sparse.realsize", b"9000")), block(size=b"00000001004\0"),
    b"2\n0\n2\n8998\n2\n".ljust(512, b"\0") + b"abcd" + padding(4),
    END,
))  # fmt: skip


def test_the_sample_is_good() -> None:
    found = read(SAMPLE)
    assert len(found) == 7
    assert whole(*found[-1]) == b"ab" + bytes(8996) + b"cd"


def test_cut_at_any_byte() -> None:
    """At every byte: an error, or (between two entries) the entries before it."""
    names = [entry.name for entry, _ in read(SAMPLE)]
    whole = 0
    for cut in range(1, len(SAMPLE)):
        try:
            found = [entry.name for entry, _ in read(SAMPLE[:cut])]
        except Refused:
            continue
        whole += 1
        assert found == names[: len(found)]
        assert cut % BLOCK == 0 or found == names
    assert whole < len(names) + 2 * BLOCK


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_any_damage_is_refused_or_harmless(data: st.DataObject) -> None:
    tar = bytearray(SAMPLE)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(tar) - 1))
        how = data.draw(st.sampled_from(["set", "cut", "copy", "fix"]))
        if how == "set":
            tar[at] = data.draw(st.sampled_from([0, 0x20, 0x30, 0x37, 0x39, 0x80, 0xFF, 0x0A, 0x3D]))
        elif how == "cut":
            del tar[at : at + data.draw(st.integers(1, 600))]
        elif how == "copy":
            tar[at:at] = tar[: data.draw(st.integers(1, 1200))]
        elif len(tar) >= BLOCK:  # damage that a right checksum covers
            start = at // BLOCK * BLOCK
            if start + BLOCK <= len(tar):
                tar[start + data.draw(st.integers(0, 147))] = data.draw(st.integers(0, 255))
                tar[start + 148 : start + 156] = b" " * 8
                tar[start + 148 : start + 156] = b"%06o\0 " % sum(tar[start : start + BLOCK])
        if not tar:
            break
    try:
        for entry, contents in read(bytes(tar)):
            assert len(contents) <= len(tar)
            assert entry.size >= 0
    except Refused:
        pass


def test_records_cost_time_and_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tar_reader, "_MAX_RECORDS", 1000)
    read((pax(*[record(b"a", b"")] * 100) + header(b"f")) * 10)
    with pytest.raises(Refused, match="more than 1000 PAX records"):
        read((pax(*[record(b"a", b"")] * 100) + header(b"f")) * 11)
    read(b"".join(pax(record(b"comment%d" % n, b"x"), kind=b"g") + header(b"f") for n in range(999)))


def test_a_million_pieces_are_too_many() -> None:
    count = tar_format.MAX_PIECES + 1
    numbers = b"%d\n" % count + b"".join(b"%d\n1\n" % (2 * n) for n in range(count))
    stored = len(numbers) + -len(numbers) % BLOCK + count
    data = pax(
        record(b"GNU.sparse.major", b"1"),
        record(b"GNU.sparse.minor", b"0"),
        record(b"GNU.sparse.realsize", b"%d" % (2 * count)),
    ) + block(size=b"%011o\0" % stored)
    with pytest.raises(Refused, match="too many pieces"):
        read(data + numbers + padding(len(numbers)) + bytes(count) + padding(count) + END)


def test_the_header_struct_covers_a_block() -> None:
    assert struct.calcsize("<100s8s8s8s12s12s8sc100s8s64x8s8s155s8sI") == BLOCK
