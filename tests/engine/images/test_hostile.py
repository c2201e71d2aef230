"""Hostile layers: each is refused with an error that names the entry, touches nothing, leaves nothing behind."""

from __future__ import annotations

import copy
import gzip
import io
import os
import socket
import stat
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from pyctr_engine.errors import ImageFormatError, NoSpace
from pyctr_engine.images import limits
from pyctr_engine.images.limits import Limits
from pyctr_engine.images.store import ImageStore
from pyctr_engine.images.unpack import PACKAGES, Unpacked, Unpacker
from pyctr_engine.linux.tree import remove_tree
from tests.engine.images.tars import entry, tar, write

pytestmark = pytest.mark.root

LINK, SYMLINK, DIRECTORY = tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.DIRTYPE
CHARACTER, BLOCK = tarfile.CHRTYPE, tarfile.BLKTYPE

CORPUS = {
    "parent": [entry("a/../../evil", data=b"x")],
    "parent alone": [entry("..", DIRECTORY)],
    "absolute": [entry("/OUTSIDE/evil", data=b"x")],
    "below an absolute symlink": [
        entry("evil-link", SYMLINK, linkname="/OUTSIDE"),
        entry("evil-link/evil", data=b"x"),
    ],
    "below a relative symlink": [entry("evil-link", SYMLINK, linkname="../.."), entry("evil-link/evil", data=b"x")],
    "a directory below a symlink": [
        entry("evil-link", SYMLINK, linkname="/OUTSIDE"),
        entry("evil-link/evil", DIRECTORY),
    ],
    "a whiteout below a symlink": [
        entry("evil-link", SYMLINK, linkname="/OUTSIDE"),
        entry("evil-link/.wh.evil"),
    ],
    "below a file": [entry("evil-file", data=b"x"), entry("evil-file/evil", data=b"x")],
    "a hard link to the host": [entry("evil", LINK, linkname="/OUTSIDE/secret")],
    "a hard link up and out": [entry("evil", LINK, linkname="../../OUTSIDE/secret")],
    "a hard link through a symlink": [
        entry("way", SYMLINK, linkname="/OUTSIDE"),
        entry("evil", LINK, linkname="way/secret"),
    ],
    "a hard link to a directory": [entry("d", DIRECTORY), entry("evil", LINK, linkname="d")],
    "a hard link to nothing": [entry("evil", LINK, linkname="nothing")],
    "a hard link to a whiteout": [entry(".wh.w"), entry("evil", LINK, linkname="w")],
    "a disk": [entry("evil", BLOCK, devmajor=8, devminor=0)],
    "kernel memory": [entry("evil", CHARACTER, devmajor=1, devminor=1)],
    "an overlay whiteout as such": [entry("evil", CHARACTER, devmajor=0, devminor=0)],
    "a bare whiteout": [entry("evil/.wh.")],
    "a whiteout of itself": [entry("evil/.wh..")],
    "a whiteout of its parent": [entry("evil/.wh...")],
    "below a whiteout": [entry(".wh.evil/x", data=b"x")],
    "a root that is a file": [entry(".", data=b"x", linkname="evil")],
    "a root that is a symlink": [entry("./", SYMLINK, linkname="/evil")],
    "an impossible owner": [entry("evil", data=b"x", pax_headers={"uid": str(1 << 32)})],
    "a negative owner": [entry("evil", data=b"x", pax_headers={"gid": "-1"})],
    "a name too long": [entry("evil" + "x" * 300, data=b"x")],
    "an empty symlink": [entry("evil", SYMLINK, linkname="")],
    "an unknown type": [entry("evil", b"Z")],
    "dots in the middle": [entry("d/../../evil", data=b"x")],
    "dots that stay inside": [entry("d/../evil", data=b"x")],
    "dots behind slashes": [entry(".//..///evil", data=b"x")],
    "dots in a long name": [entry("evil/" * 30 + "../" * 40 + "x", data=b"x")],
    "dots by a PAX path": [entry("fine", data=b"x", pax_headers={"path": "../evil"})],
    "an absolute PAX path": [entry("fine", data=b"x", pax_headers={"path": "/OUTSIDE/evil"})],
    "a zero byte by a PAX path": [entry("fine", data=b"x", pax_headers={"path": "evil\0x"})],
    "a sparse name that leads out": [
        entry("fine", pax_headers={"GNU.sparse.map": "", "GNU.sparse.size": "0", "GNU.sparse.name": "../evil"})
    ],
    "a zero byte in a link": [entry("evil", SYMLINK, pax_headers={"linkpath": "x\0y"})],
    "a symlink replaced on the way": [
        entry("way", DIRECTORY),
        entry("way/in", data=b"x"),
        entry("way", SYMLINK, linkname="/OUTSIDE"),
        entry("way/evil", data=b"x"),
    ],
    "a hard link to a symlink, then through it": [
        entry("one", SYMLINK, linkname="/OUTSIDE"),
        entry("two", LINK, linkname="one"),
        entry("two/evil", data=b"x"),
    ],
    "a hard link by way of dots": [entry("d", DIRECTORY), entry("evil", LINK, linkname="d/../../OUTSIDE/secret")],
    "a hard link to itself": [entry("evil", LINK, linkname="evil")],
    "a hard link over its own directory": [
        entry("evil", DIRECTORY),
        entry("evil/x", data=b"x"),
        entry("evil", LINK, linkname="evil/x"),
    ],
    "a hard link to the root": [entry("evil", LINK, linkname=".")],
    "an opaque marker below a symlink": [
        entry("way", SYMLINK, linkname="/OUTSIDE"),
        entry("way/.wh..wh..opq", data=b"evil"),
    ],
    "below a fifo": [entry("f", tarfile.FIFOTYPE), entry("f/evil", data=b"x")],
    "a device over a directory": [entry("evil", DIRECTORY), entry("evil", BLOCK, devmajor=8)],
    "a device that a fifo hides": [entry("evil", tarfile.FIFOTYPE), entry("evil", CHARACTER, devmajor=1, devminor=2)],
    "an owner of minus one": [entry("evil", data=b"x", pax_headers={"uid": str(0xFFFFFFFF)})],
    "an owner of minus two in base 256": [entry("evil", data=b"x", uid=-2)],
}  # fmt: skip


def aimed(member: tarfile.TarInfo, contents: bytes, outside: Path) -> tuple[tarfile.TarInfo, bytes]:
    """The same entry, aimed at a real place on this machine."""
    there = copy.copy(member)
    there.name = member.name.replace("/OUTSIDE", str(outside))
    there.linkname = member.linkname.replace("/OUTSIDE", str(outside))
    there.pax_headers = {key: value.replace("/OUTSIDE", str(outside)) for key, value in member.pax_headers.items()}
    return there, contents


def tree_below(path: Path) -> list[str]:
    return sorted(str(found.relative_to(path)) for found in path.rglob("*"))


@pytest.mark.parametrize("bottom", [True, False])
@pytest.mark.parametrize("case", CORPUS)
def test_refused_without_a_trace(case: str, bottom: bool, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    target = tmp_path / "state" / "layer"
    target.mkdir(parents=True)
    before = (outside / "secret").stat(), tree_below(tmp_path)
    data = tar(*(aimed(member, contents, outside) for member, contents in CORPUS[case]))
    with pytest.raises(ImageFormatError) as refused, Unpacker(str(target), bottom) as unpacker:
        unpacker.write(data)
        unpacker.finish()
    named = ("evil", "entry '..'", "entry '.'", "entry './'", "way/.wh..wh..opq", "linkpath")
    assert any(name in refused.value.message for name in named)
    after = (outside / "secret").stat(), [path for path in tree_below(tmp_path) if "layer/" not in path]
    assert after == before


def test_the_store_keeps_nothing_of_it(store: ImageStore, tmp_path: Path) -> None:
    evil = tar(entry("fine", data=b"x" * 5000), entry("../evil", data=b"x"))
    with pytest.raises(ImageFormatError, match=r"\.\./evil"):
        store.import_tar(write(tmp_path / "evil.tar", evil), "evil")
    assert os.listdir(store.layout.blobs) == []
    assert os.listdir(store.layers_on_disk.directory) == ["l"]
    assert store.list() == []


def unpack(data: bytes, target: Path, bottom: bool = True, limits: Limits | None = None) -> Unpacked:
    target.mkdir(exist_ok=True)
    with Unpacker(str(target), bottom, limits) as unpacker:
        unpacker.write(data)
        return unpacker.finish()


def test_too_many_entries(tmp_path: Path) -> None:
    data = tar(*(entry(f"f{n}") for n in range(11)))
    unpack(data, tmp_path / "fits", limits=Limits(entries=11))
    with pytest.raises(ImageFormatError, match=r"more than 10 entries at entry 'f10'"):
        unpack(data, tmp_path / "layer", limits=Limits(entries=10))


def test_too_many_bytes(tmp_path: Path) -> None:
    with pytest.raises(ImageFormatError, match="more than 1000 bytes"):
        unpack(
            tar(entry("a", data=b"x" * 600), entry("b", data=b"x" * 600)), tmp_path / "l", limits=Limits(size=1000)
        )


def sparse(size: int) -> bytes:
    """A file that is one hole, as GNU tar writes it (PAX 1.0)."""
    names = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(size)}
    map_block = b"0\n".ljust(512, b"\0")
    return tar(entry("holes", data=map_block, pax_headers={**names, "GNU.sparse.name": "holes"}))


def test_a_hole_counts_as_what_it_claims(tmp_path: Path) -> None:
    unpack(sparse(1 << 20), tmp_path / "fits")
    status = (tmp_path / "fits" / "holes").stat()
    assert status.st_size == 1 << 20
    assert status.st_blocks == 0
    with pytest.raises(ImageFormatError, match="bytes of files at entry 'holes'"):
        unpack(sparse(1 << 60), tmp_path / "layer")


@pytest.mark.parametrize("how", ["gzip", "zstd", "gzip members"])
def test_a_decompression_bomb(store: ImageStore, tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first gigabyte is free; here it is four megabytes."""
    monkeypatch.setattr(limits, "FREE", 4 << 20)
    plain = tar(entry("zeros", data=bytes(64 << 20)))
    if how == "zstd":
        data = subprocess.run(["zstd", "-q", "-19", "-c"], input=plain, capture_output=True, check=True).stdout
    else:
        size = len(plain) if how == "gzip" else 8 << 20
        data = b"".join(gzip.compress(plain[at : at + size]) for at in range(0, len(plain), size))
    with pytest.raises(ImageFormatError, match="unpacks to more than 500 times its size") as refused:
        store.import_tar(write(tmp_path / "bomb", data), "bomb")
    assert "ratio=" in refused.value.hint
    assert os.listdir(store.layout.blobs) == []
    assert os.listdir(store.layers_on_disk.directory) == ["l"]


def test_a_million_entries_are_the_most() -> None:
    assert Limits().entries == 1_000_000


def test_of_entries_with_one_name_the_last_counts_and_none_is_a_way_out(tmp_path: Path) -> None:
    """A file, a link to the host, and a file again: nothing is written through the link that was there."""
    outside = tmp_path / "outside"
    outside.write_text("the host's")
    data = tar(
        entry("same", data=b"first"),
        entry("same", SYMLINK, linkname=str(outside)),
        entry("same", data=b"second"),
        entry("same", data=b"third"),
        entry("kind", DIRECTORY),
        entry("kind", data=b"a file"),
        entry("linked", data=b"one"),
        entry("linked-too", LINK, linkname="linked"),
        entry("linked", data=b"two"),
    )
    unpack(data, tmp_path / "layer")
    assert (tmp_path / "layer" / "same").read_text() == "third"
    assert not (tmp_path / "layer" / "same").is_symlink()
    assert (tmp_path / "layer" / "kind").read_text() == "a file"
    assert (tmp_path / "layer" / "linked-too").read_text() == "one", "a new file, not new contents of the old one"
    assert outside.read_text() == "the host's"


def test_a_header_that_claims_gigabytes_does_not_get_them(tmp_path: Path) -> None:
    header = tarfile.TarInfo("././@PaxHeader")
    header.type = tarfile.XHDTYPE
    header.size = 8 << 30
    target = tmp_path / "layer"
    target.mkdir()
    with pytest.raises(ImageFormatError), Unpacker(str(target), True) as unpacker:
        unpacker.write(header.tobuf(tarfile.GNU_FORMAT))
        for _ in range(2048):
            unpacker.write(bytes(1 << 20))
        unpacker.finish()


@pytest.mark.parametrize("cut", [100, 512, 700, 1536])
def test_a_tar_cut_short(cut: int, tmp_path: Path) -> None:
    data = tar(entry("a", data=b"x" * 600), entry("b", data=b"y" * 600))
    if cut == 1536:  # between two entries: all that is there is whole, as other tools see it
        assert unpack(data[:cut], tmp_path / "layer").entries == 1
        return
    with pytest.raises(ImageFormatError, match=r"early|damaged"):
        unpack(data[:cut], tmp_path / "layer")


def test_a_damaged_header_is_not_the_end(tmp_path: Path) -> None:
    data = bytearray(tar(entry("a", data=b"x" * 600), entry("b", data=b"y" * 600)))
    data[1536 + 10] ^= 0x55
    with pytest.raises(ImageFormatError, match="damaged"):
        unpack(bytes(data), tmp_path / "layer")


@pytest.mark.parametrize("data", [b"", b"no tar", bytes(range(256)) * 8])
def test_no_tar_at_all(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(ImageFormatError):
        unpack(data, tmp_path / "layer")


def test_a_full_disk_is_told_as_such_and_leaves_nothing(store: ImageStore, tmp_path: Path) -> None:
    big = tmp_path / "big.tar"
    with tarfile.open(big, "w") as archive:
        member = tarfile.TarInfo("zeros")
        member.size = 8 << 20
        archive.addfile(member, io.BytesIO(bytes(8 << 20)))
    code = (
        "import sys; from pyctr_engine.images.store import ImageStore; from pyctr_engine.paths import Paths\n"
        "from pyctr_engine.errors import NoSpace\n"
        "store = ImageStore(Paths(sys.argv[1], '/nonexistent'))\n"
        "try: store.import_tar(sys.argv[2], 'big')\n"
        "except NoSpace as error: print('NoSpace', error.hint)\n"
        "import os; print(sorted(os.listdir(store.layout.blobs)), os.listdir(store.layers_on_disk.directory))"
    )
    state = tmp_path / "small"
    state.mkdir()
    script = f'mount -t tmpfs -o size=4m tmpfs "{state}" && exec "{sys.executable}" -c "$CODE" "{state}" "{big}"'
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script], env={**os.environ, "CODE": code}, capture_output=True, text=True
    )
    assert done.stdout.startswith("NoSpace free some space"), done.stdout + done.stderr
    assert done.stdout.endswith("[] ['l']\n")
    assert NoSpace.exit_code == 1


def test_names_are_shown_harmlessly(tmp_path: Path) -> None:
    with pytest.raises(ImageFormatError) as refused:
        unpack(tar(entry("a\n\x1b[2Jb/" + "x" * 3000 + "/../..", data=b"x")), tmp_path / "layer")
    assert "'a\\n\\x1b[2Jb/xxx" in refused.value.message
    assert len(refused.value.message) < 500


def test_a_path_has_a_limit(tmp_path: Path) -> None:
    path = "/".join(["d" * 99] * 50)
    unpack(tar(entry(path, data=b"x")), tmp_path / "fits", limits=Limits(path=len(path)))
    with pytest.raises(ImageFormatError, match="a path of more than 4998 bytes") as refused:
        unpack(tar(entry(path, data=b"x")), tmp_path / "layer", limits=Limits(path=len(path) - 1))
    assert "PYCTR_LAYER_LIMITS" in refused.value.hint


def test_setuid_where_it_means_something_and_where_not(tmp_path: Path) -> None:
    unpack(
        tar(
            entry("shared", DIRECTORY, mode=0o2777, gid=7),
            entry("shared/implied/file", data=b"x", mode=0o6755, uid=5),
            entry("shared/sub", DIRECTORY, mode=0o755),
            entry("shared/link", SYMLINK, linkname="file", mode=0o7777),
            entry("shared/fifo", tarfile.FIFOTYPE, mode=0o6644),
            entry("again", data=b"x", mode=0o4711),
            entry("again", LINK, linkname="shared/implied/file", mode=0),
        ),
        tmp_path / "layer",
    )
    seen = {
        path: (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid)
        for path in tree_below(tmp_path / "layer")
        for status in [(tmp_path / "layer" / path).lstat()]
    }
    assert seen == {
        "again": (0o6755, 5, 0),
        "shared": (0o2777, 0, 7),
        "shared/fifo": (0o6644, 0, 0),
        "shared/implied": (0o755, 0, 0),
        "shared/implied/file": (0o6755, 5, 0),
        "shared/link": (0o777, 0, 0),
        "shared/sub": (0o755, 0, 0),
    }


def test_replacing_directories_again_and_again_takes_no_time_squared(tmp_path: Path) -> None:
    """Each replacement once looked at all directories there are: this took minutes."""
    many = [entry(f"d/{number}", DIRECTORY) for number in range(1000)]
    swaps = [entry(f"d/{number}", kind) for number in range(1000) for kind in (tarfile.REGTYPE, DIRECTORY)]
    assert unpack(tar(entry("d", DIRECTORY), *many, *swaps), tmp_path / "layer").entries == 3001


def test_deep_and_implied(tmp_path: Path) -> None:
    """Thousands of levels that no entry describes."""
    deep = "/".join(["d"] * 5000)
    report = unpack(
        tar(entry(f"{deep}/file", data=b"x"), entry(f"{deep}/again", LINK, linkname=f"{deep}/file")), tmp_path / "l"
    )
    assert len(report.implicit) == 5001
    remove_tree(str(tmp_path / "l"))
    assert not (tmp_path / "l").exists()


def test_the_cell(tmp_path: Path) -> None:
    """What a process could do in there, had somebody taken it over: no network, no devices, no programs."""
    (tmp_path / "cell").mkdir()
    code = """
import os, socket, stat, sys
sys.path.insert(0, sys.argv[2])
from pyctr_engine.images import confinement
confinement.enter(sys.argv[1])
def attempt(name, act):
    try: act()
    except OSError as error: print(name, error.strerror)
    else: print(name, "DONE")
attempt("see the host", lambda: os.stat("/proc/1"))
os.mknod("disk", stat.S_IFBLK | 0o600, os.makedev(1, 0)); os.mknod("null", stat.S_IFCHR | 0o600, os.makedev(1, 3))
attempt("open a device", lambda: os.open("null", os.O_RDONLY))
with open("program", "w") as file: file.write("#!/bin/sh")
os.chmod("program", 0o755)
attempt("run a program", lambda: os.execv("/program", ["program"]))
attempt("mount", lambda: confinement.mount.mount("tmpfs", "/", "tmpfs"))
attempt("chroot", lambda: os.chroot("."))
attempt("reach the network", lambda: socket.socket().connect(("127.0.0.1", int(sys.argv[3]))))
print(sorted(os.listdir("/")))
"""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        arguments = [str(tmp_path / "cell"), PACKAGES, str(listener.getsockname()[1])]
        done = subprocess.run([sys.executable, "-I", "-S", "-c", code, *arguments], capture_output=True, text=True)
    assert done.stdout.splitlines() == [
        "see the host No such file or directory",
        "open a device Permission denied",
        "run a program Permission denied",
        "mount Operation not permitted",
        "chroot Operation not permitted",
        "reach the network Network is unreachable",
        "['disk', 'null', 'program']",
    ], done.stderr
