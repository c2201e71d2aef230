"""Ids far above 65535, as people's images have them: their files are theirs inside, and stay so in a commit."""

from __future__ import annotations

import io
import shutil
import tarfile
from pathlib import Path

import pytest

from pyctr_engine.model.spec import CommitRequest
from tests.engine.programs.conftest import House

pytestmark = pytest.mark.root

BIG = 1_000_000_000
NAME = "big:1"


@pytest.fixture
def big(house: House, tmp_path: Path) -> str:
    """A small image with a file, a link and a directory of user 1,000,000,000 and group 1,000,000,007."""
    archive = tmp_path / "big.tar"
    busybox = shutil.which("busybox")
    assert busybox, "busybox-static is not installed"
    with tarfile.open(archive, "w") as tar:
        tar.add(busybox, "bin/busybox")
        for applet in ("sh", "cat", "stat", "chown", "touch", "id", "sleep", "echo"):
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        for name, kind in (("tmp", tarfile.DIRTYPE), ("home", tarfile.DIRTYPE), ("home/file", tarfile.REGTYPE)):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode, entry.size = kind, 0o755, 5 * (kind == tarfile.REGTYPE)
            entry.uid, entry.gid = (BIG, BIG + 7) if name.startswith("home") else (0, 0)
            tar.addfile(entry, io.BytesIO(b"mine\n"))
    house.engine.import_image(str(archive), NAME)
    return NAME


def test_a_file_has_its_id_inside(house: House, big: str) -> None:
    outcome = house.run("stat", "-c", "%u:%g", "/home", "/home/file", image=big)
    assert outcome.out.split() == [f"{BIG}:{BIG + 7}"] * 2, outcome


def test_its_owner_can_be_given_more_and_a_program_can_be_its_owner(house: House, big: str) -> None:
    container = house.start("sleep", "1000", image=big, stop_grace=0.0)
    script = f"touch /tmp/new; chown {BIG}:{BIG + 7} /tmp/new; stat -c %u:%g /tmp/new"
    assert house.shell(container, script) == f"{BIG}:{BIG + 7}"
    assert house.shell(container, "id -u; echo more > /home/more", user=f"{BIG}:{BIG + 7}") == str(BIG)
    assert house.shell(container, "stat -c %u:%g /home/more") == f"{BIG}:{BIG + 7}"
    refused = house.exec(container, "chown", str(BIG + 3), "/tmp/new")
    assert refused.code != 0, "an id that no file of the image has is not mapped"


def test_a_commit_keeps_it(house: House, big: str) -> None:
    container = house.start("sleep", "1000", image=big, stop_grace=0.0)
    house.shell(container, f"echo x > /tmp/new; chown {BIG}:{BIG + 7} /tmp/new; echo y >> /home/file")
    house.engine.commit(container.id, CommitRequest("big:2"))
    outcome = house.run("stat", "-c", "%u:%g", "/tmp/new", "/home/file", image="big:2")
    assert outcome.out.split() == [f"{BIG}:{BIG + 7}"] * 2, outcome
    assert house.run("cat", "/home/file", image="big:2").out == "mine\ny\n"
