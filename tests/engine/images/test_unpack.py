"""Honest layers: everything in them arrives, and lies over what is below as the specification says."""

from __future__ import annotations

import os
import stat
import struct
import tarfile
from pathlib import Path

import pytest

from pyctr_engine.images.ingest import ingest
from pyctr_engine.images.layer_store import chain_ids
from pyctr_engine.images.store import ImageStore
from pyctr_engine.images.unpack import Unpacker
from tests.engine.images.tars import entry, tar
from tests.engine.images.view import look

pytestmark = pytest.mark.root

LINK, SYMLINK, DIRECTORY = tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.DIRTYPE
FIFO, CHARACTER = tarfile.FIFOTYPE, tarfile.CHRTYPE
CAPABILITY = struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0)


def binary(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    path = tmp_path / "fs"
    path.mkdir()
    return path


def unpack(target: Path, data: bytes, bottom: bool = True) -> object:
    with Unpacker(str(target), bottom) as unpacker:
        unpacker.write(data)
        return unpacker.finish()


def test_everything_arrives(target: Path) -> None:
    name = b"raw-\xff\xfe".decode("utf-8", "surrogateescape")
    xattrs = {
        "SCHILY.xattr.user.note": binary(b"\x00\xff"),
        "SCHILY.xattr.security.capability": binary(CAPABILITY),
        "SCHILY.xattr.user.overlay.opaque": "y",
        "SCHILY.xattr.trusted.overlay.redirect": "/etc",
        "SCHILY.xattr.security.selinux": "x",
        "mtime": "1234567890.123456789",
    }
    report = unpack(
        target,
        tar(
            entry("./", DIRECTORY, mode=0o751, uid=5, gid=6, mtime=77),
            entry("d", DIRECTORY, mode=0o2775, mtime=99),
            entry("d/program", data=b"#!", mode=0o4755, uid=1000, gid=65536, pax_headers=xattrs),
            entry("d/again", LINK, linkname="./d/program"),
            entry("link", SYMLINK, linkname="/nowhere/at all", uid=3, gid=4, mtime=55),
            entry("fifo", FIFO, mode=0o620),
            entry("null", CHARACTER, devmajor=1, devminor=3, mode=0o666),
            entry(name, data=b"raw", uid=1_000_000_000, gid=1_000_000_001),
            entry("dev/mem", CHARACTER, devmajor=1, devminor=1),
        ),
    )
    root = os.stat(target)
    assert (stat.S_IMODE(root.st_mode), root.st_uid, root.st_gid, root.st_mtime) == (0o751, 5, 6, 77)
    assert stat.S_IMODE((target / "d").stat().st_mode) == 0o2775
    assert (target / "d").stat().st_mtime == 99
    program = (target / "d" / "program").stat()
    assert (stat.S_IMODE(program.st_mode), program.st_uid, program.st_gid) == (0o4755, 1000, 65536)
    assert program.st_mtime_ns == 1234567890123456789
    assert (target / "d" / "again").stat().st_ino == program.st_ino
    attributes = {
        name: os.getxattr(target / "d" / "program", name) for name in os.listxattr(target / "d" / "program")
    }
    assert attributes == {"user.note": b"\x00\xff", "security.capability": CAPABILITY}
    link = (target / "link").lstat()
    assert (os.readlink(target / "link"), link.st_uid, link.st_gid, link.st_mtime) == ("/nowhere/at all", 3, 4, 55)
    assert stat.filemode((target / "fifo").stat().st_mode) == "prw--w----"
    assert (target / "null").stat().st_rdev == os.makedev(1, 3)
    assert Path(os.fsdecode(os.fsencode(target) + b"/raw-\xff\xfe")).read_bytes() == b"raw"
    assert not (target / "dev" / "mem").exists()
    assert report.ids == ((65536, 1), (1_000_000_000, 2))  # type: ignore[attr-defined]
    assert report.notes == ("left out device node dev/mem",)  # type: ignore[attr-defined]
    assert report.implicit == ("dev",)  # type: ignore[attr-defined]
    assert report.size == 5  # type: ignore[attr-defined]


def test_a_later_entry_replaces_an_earlier_one(target: Path) -> None:
    unpack(
        target,
        tar(
            entry("a", data=b"old"),
            entry("b", LINK, linkname="a"),
            entry("a", data=b"new"),
            entry("d", DIRECTORY),
            entry("d/sub", DIRECTORY),
            entry("d/sub/x", data=b"x"),
            entry("d", SYMLINK, linkname="a"),
            entry("f", data=b"f"),
            entry("f", DIRECTORY),
            entry("f/inside", data=b"i"),
            entry("keep", DIRECTORY),
            entry("keep/x", data=b"x"),
            entry("keep", DIRECTORY, mode=0o700),
        ),
    )
    assert (target / "a").read_bytes() == b"new"
    assert (target / "b").read_bytes() == b"old"
    assert (target / "d").is_symlink()
    assert (target / "f" / "inside").read_bytes() == b"i"
    assert stat.S_IMODE((target / "keep").stat().st_mode) == 0o700
    assert (target / "keep" / "x").exists()


def test_an_attribute_that_does_not_fit_is_told(target: Path) -> None:
    """The inode is full, not the disk."""
    headers = {"SCHILY.xattr.user.fits": "x", "SCHILY.xattr.user.large": "x" * 65536}
    report = unpack(target, tar(entry("f", data=b"x", pax_headers=headers), entry("p", FIFO, pax_headers=headers)))
    kept = os.listxattr(target / "f")
    notes = report.notes  # type: ignore[attr-defined]
    assert "user.fits" in kept
    assert os.listxattr(target / "p") == []
    assert len(notes) == 4 - len(kept)
    assert any("user.fits: Operation not permitted" in note for note in notes), "a fifo has none"


def test_what_goes_into_a_directory_with_a_default_acl_inherits_nothing(target: Path) -> None:
    acl = struct.pack("<I", 2) + struct.pack(
        "<HHIHHIHHIHHIHHI", 1, 7, 0xFFFFFFFF, 2, 7, 9, 4, 5, 0xFFFFFFFF, 16, 7, 0xFFFFFFFF, 32, 0, 0xFFFFFFFF
    )
    headers = {
        "SCHILY.xattr.system.posix_acl_default": binary(acl),
        "SCHILY.xattr.system.posix_acl_access": binary(acl),
    }
    unpack(
        target,
        tar(
            entry("d", DIRECTORY, pax_headers=headers, mtime=5),
            entry("d/f", data=b"x"),
            entry("d/s", DIRECTORY),
            entry("d/i/f"),
        ),
    )
    assert sorted(os.listxattr(target / "d")) == ["system.posix_acl_access", "system.posix_acl_default"]
    assert (target / "d").stat().st_mtime == 5
    for name in ("f", "s", "i", "i/f"):
        assert os.listxattr(target / "d" / name) == []


def test_holes_come_back(target: Path) -> None:
    """Tools that write zeros for holes are most tools."""
    contents = b"begin" + bytes(3 << 20) + b"end" + bytes(200_000)
    unpack(
        target, tar(entry("f", data=contents), entry("zeros", data=bytes(1 << 20)), entry("few", data=bytes(1000)))
    )
    assert (target / "f").read_bytes() == contents
    assert (target / "f").stat().st_blocks * 512 < 500_000
    assert (target / "zeros").read_bytes() == bytes(1 << 20)
    assert (target / "zeros").stat().st_blocks == 0
    assert (target / "few").read_bytes() == bytes(1000)


def test_holes_stay_holes(target: Path, tmp_path: Path) -> None:
    big = tmp_path / "big"
    with big.open("wb") as file:
        file.seek(3 << 20)
        file.write(b"end")
        file.truncate(9 << 20)
    for format in ("gnu", "posix"):
        archive = tmp_path / f"{format}.tar"
        assert os.system(f"tar -C {tmp_path} --format={format} -S -cf {archive} big") == 0
        unpack(target, archive.read_bytes())
        assert (target / "big").read_bytes() == big.read_bytes()
        assert (target / "big").stat().st_blocks * 512 < 1 << 20
        (target / "big").unlink()


def add(store: ImageStore, below: tuple[str, ...], *entries: tuple[tarfile.TarInfo, bytes]) -> tuple[str, ...]:
    """One more layer; the diff ids with it."""
    with store.layout.adding():
        return (*below, ingest(store.layout, store.layers_on_disk, [tar(*entries)], below).layer.diff_id)


def seen(store: ImageStore, diff_ids: tuple[str, ...]) -> dict[str, str]:
    """What an overlay of these layers shows: kinds and modes by path."""
    tree = look([store.layers_on_disk.fs(chain) for chain in reversed(chain_ids(diff_ids))])
    return {path: entry[0] for path, entry in tree.items() if path != "."}


BELOW = [
    entry("etc", DIRECTORY, mode=0o711, uid=7),
    entry("etc/a", data=b"a"),
    entry("etc/b", data=b"b"),
    entry("opt", DIRECTORY),
    entry("opt/old", DIRECTORY),
    entry("opt/old/x", data=b"x"),
    entry("file", data=b"f"),
]


def test_whiteouts_hide_what_is_below_and_nothing_else(store: ImageStore) -> None:
    below = add(store, (), *BELOW)
    top = add(store, below, entry("etc/.wh.a"), entry("etc/new", data=b"n"), entry(".wh.file"), entry(".wh.none"))
    tree = seen(store, top)
    assert sorted(tree) == ["etc", "etc/b", "etc/new", "opt", "opt/old", "opt/old/x"]
    assert tree["etc"] == "drwx--x--x", "a directory that the layer doesn't describe is as it was below"


@pytest.mark.parametrize("marker_first", [True, False])
def test_opaque_whatever_its_place(store: ImageStore, marker_first: bool) -> None:
    below = add(store, (), *BELOW)
    entries = [entry("opt/.wh..wh..opq"), entry("opt/new", data=b"n")]
    top = add(store, below, entry("opt", DIRECTORY), *(entries if marker_first else entries[::-1]))
    assert [path for path in sorted(seen(store, top)) if path.startswith("opt")] == ["opt", "opt/new"]


@pytest.mark.parametrize("whiteout_first", [True, False])
def test_a_whiteout_and_a_directory_of_its_name_make_a_new_one(store: ImageStore, whiteout_first: bool) -> None:
    below = add(store, (), *BELOW)
    entries = [entry("opt/.wh.old"), entry("opt/old", DIRECTORY)]
    top = add(store, below, *(entries if whiteout_first else entries[::-1]), entry("opt/old/y", data=b"y"))
    assert [path for path in sorted(seen(store, top)) if "old" in path] == ["opt/old", "opt/old/y"]


def test_a_whiteout_leaves_a_file_of_its_own_layer(store: ImageStore) -> None:
    below = add(store, (), *BELOW)
    top = add(store, below, entry("file", data=b"new"), entry(".wh.file"))
    assert "file" in seen(store, top)


def test_an_opaque_root_hides_everything_below(store: ImageStore) -> None:
    below = add(store, (), *BELOW)
    with store.layout.adding():
        done = ingest(
            store.layout, store.layers_on_disk, [tar(entry(".wh..wh..opq"), entry("only", data=b"o"))], below
        )
    assert done.layer.opaque


def test_whiteouts_at_the_bottom_leave_no_trace(store: ImageStore) -> None:
    assert sorted(seen(store, add(store, (), entry(".wh.x"), entry("d/.wh.y"), entry("z")))) == ["d", "z"]


def test_what_an_opaque_root_hides_is_nobodys_model(store: ImageStore) -> None:
    below = add(store, (), *BELOW)
    cut = add(store, below, entry(".wh..wh..opq"), entry("only", data=b"o"))
    top = add(store, cut, entry("etc/new", data=b"n"))
    status = os.stat(f"{store.layers_on_disk.fs(chain_ids(top)[-1])}/etc")
    assert (stat.S_IMODE(status.st_mode), status.st_uid) == (0o755, 0)


def test_a_directory_implied_over_another_is_like_it(store: ImageStore) -> None:
    attributed = entry("etc", DIRECTORY, mode=0o711, uid=7, mtime=9, pax_headers={"SCHILY.xattr.user.x": "y"})
    below = add(store, (), attributed, entry("etc/a", data=b"a"))
    top = add(store, below, entry("etc/new", data=b"n"))
    directory = f"{store.layers_on_disk.fs(chain_ids(top)[-1])}/etc"
    status = os.stat(directory)
    assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_mtime) == (0o711, 7, 9)
    assert os.getxattr(directory, "user.x") == b"y"
    gone = add(store, below, entry(".wh.etc"), entry("etc/new", data=b"n"))
    assert seen(store, gone)["etc"] == "drwxr-xr-x", "but not over one that the layer takes away"


@pytest.mark.parametrize("where", ["none/.wh.nothing", "file/.wh.nothing", "opt/.wh..wh..opq"])
def test_whiteouts_that_hide_nothing_are_not_seen(store: ImageStore, where: str) -> None:
    """overlayfs lists them in directories that it doesn't merge."""
    below = add(store, (), *BELOW)
    top = add(store, below, entry(where), entry(f"{os.path.dirname(where)}/.wh.none"))
    assert not [path for path in seen(store, top) if path.endswith(("/nothing", "/none"))]
