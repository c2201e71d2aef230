"""The built-in image: whole, working, the same each time."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyctr_engine.images import base, elf
from pyctr_engine.images.base_files import collect
from pyctr_engine.images.store import Image, ImageStore
from pyctr_engine.paths import Paths

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ImageStore, Image]]:
    store = ImageStore(Paths(str(tmp_path_factory.mktemp("base") / "state"), "/nonexistent"))
    yield store, store.resolve("pyctr/base")


def inside(made: tuple[ImageStore, Image], *command: str) -> str:
    store, image = made
    root = f"{store.layers_on_disk.directory}/{image.chain[0]}/"
    done = subprocess.run(
        ["chroot", root, *command], capture_output=True, text=True, check=False, env={"PATH": base.PATH}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_is_made_on_first_use_and_then_found(made: tuple[ImageStore, Image]) -> None:
    store, image = made
    assert image.names == ("pyctr/base:latest",)
    assert image.config.cmd == ("/bin/sh",)
    assert store.ensure_base() == image
    assert store.verify()[0].level == "ok"


def test_the_same_host_gives_the_same_digest(made: tuple[ImageStore, Image], tmp_path: Path) -> None:
    other = ImageStore(Paths(str(tmp_path / "state"), "/nonexistent")).ensure_base()
    assert other.digest == made[1].digest


def test_its_programs_run(made: tuple[ImageStore, Image]) -> None:
    assert inside(made, "sh", "-c", "echo $((6 * 7)) | sed s/4/x/") == "x2\n"
    assert inside(made, "id", "-un") == "root\n"
    assert inside(made, "awk", "BEGIN { print 1 + 1 }") == "2\n"
    assert inside(made, "/bin/ls", "/") == "".join(
        f"{name}\n" for name in sorted(os.listdir(made[0].layers_on_disk.fs(made[0].layers_on_disk.chains()[0])))
    )
    assert inside(made, "getent", "passwd", "nobody").startswith("nobody:x:65534:")


def test_every_program_finds_its_libraries(made: tuple[ImageStore, Image]) -> None:
    """The dynamic linker of the image itself is asked, about every ELF file there is."""
    store, image = made
    root = Path(store.layers_on_disk.directory, image.chain[0]).resolve()
    checked = 0
    for path in sorted(root.rglob("*")):
        if path.is_symlink() or not path.is_file():
            continue
        found = elf.read(str(path))
        if found is None or not found.needed:
            continue
        linker = elf.read("/bin/sh").interpreter  # type: ignore[union-attr]
        listing = inside(made, linker, "--list", f"/{path.relative_to(root)}")
        assert "not found" not in listing, path
        checked += 1
    assert checked > 80


def test_python_is_whole_and_leaves_no_trace(made: tuple[ImageStore, Image]) -> None:
    store, image = made
    root = Path(store.layers_on_disk.directory, image.chain[0]).resolve()
    before = sorted(root.rglob("*"))
    modules = "ssl, sqlite3, json, asyncio, ctypes, lzma, bz2, curses, http.server, unittest, email.mime.text"
    assert inside(made, "python3", "-c", f"import {modules}; print(json.__cached__)").endswith(".pyc\n")
    assert sorted(root.rglob("*")) == before


def test_it_is_small_and_root_owns_it(made: tuple[ImageStore, Image]) -> None:
    store, image = made
    assert store.list()[0].size < 80 << 20
    assert image.extra_ids == ()
    root = Path(store.layers_on_disk.directory, image.chain[0]).resolve()
    assert {(path.lstat().st_uid, path.lstat().st_mtime) for path in root.rglob("*")} == {(0, 0)}


def test_nothing_of_the_hosts_own_configuration_is_in_it() -> None:
    tree = collect()
    assert {path for path in tree if path.startswith("etc/") and tree[path].source} == set()
    assert not {"etc/shadow", "etc/hosts", "etc/resolv.conf", "etc/hostname"} & tree.keys()
    for path, entry in tree.items():
        parent = os.path.dirname(path)
        assert not path or tree[parent].kind == "directory"
        assert entry.mode & 0o7777 == entry.mode


def test_two_at_once_make_it_once(tmp_path: Path) -> None:
    import sys

    code = (
        "import sys; from pyctr_engine.images.store import ImageStore; from pyctr_engine.paths import Paths\n"
        "print(ImageStore(Paths(sys.argv[1], '/nonexistent')).resolve('pyctr/base').digest)"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "state")], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    digests = {process.communicate()[0] for process in running}
    assert len(digests) == 1
    assert len(os.listdir(tmp_path / "state" / "oci" / "blobs" / "sha256")) == 3
