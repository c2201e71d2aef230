"""Hostile layers: each is refused with an error that names the entry, touches nothing, leaves nothing behind."""

from __future__ import annotations

import copy
import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from pyctr_engine.errors import ImageFormatError, NoSpace
from pyctr_engine.images.limits import Limits
from pyctr_engine.images.store import ImageStore
from pyctr_engine.images.unpack import Unpacked, Unpacker
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
}


def aimed(member: tarfile.TarInfo, contents: bytes, outside: Path) -> tuple[tarfile.TarInfo, bytes]:
    """The same entry, aimed at a real place on this machine."""
    there = copy.copy(member)
    there.name = member.name.replace("/OUTSIDE", str(outside))
    there.linkname = member.linkname.replace("/OUTSIDE", str(outside))
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
    assert any(name in refused.value.message for name in ("evil", "entry '..'", "entry '.'", "entry './'"))
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
