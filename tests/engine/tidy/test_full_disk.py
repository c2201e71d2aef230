"""A real file system that is full: errors say so, nothing half done stays, and what makes room works."""

from __future__ import annotations

import gc
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyctr_engine.errors import EngineError, NoSpace
from pyctr_engine.model.spec import CommitRequest, ContainerRequest, Mount
from pyctr_engine.model.tidy import PruneRequest
from pyctr_engine.paths import Paths
from tests.engine.images.tars import entry, tar, write
from tests.engine.tidy.conftest import Place, busybox

pytestmark = pytest.mark.root

SIZE = 28 << 20


@pytest.fixture(params=["tmpfs", "ext4"])
def small_disk(no_leaks: Paths, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Paths]:
    """State on a file system of its own with 28 MiB."""
    os.makedirs(no_leaks.state)
    if request.param == "tmpfs":
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", no_leaks.state], check=True)
    else:
        disk = str(tmp_path / "disk")
        with open(disk, "wb") as file:
            file.truncate(SIZE)
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", "-O", "^has_journal", disk], check=True)
        subprocess.run(["mount", "-o", "loop", disk, no_leaks.state], check=True)
    try:
        yield no_leaks
    finally:
        gc.collect()  # errors hold the frames that they passed, and those hold open files
        subprocess.run(["umount", no_leaks.state], check=True)


@pytest.fixture
def place(small_disk: Paths, tmp_path: Path) -> Iterator[Place]:
    archive = write(tmp_path / "small.tar", busybox())
    place = Place(small_disk, archive)
    place.engine.import_image(archive, "small", ["CMD true"])
    yield place
    for container in place.engine.containers():
        place.engine.remove(container.id, force=True, volumes=True)
    place.rest()


def fill(paths: Paths, leave: int = 0) -> None:
    """Write to the disk until no more than ``leave`` bytes are free."""
    with open(f"{paths.state}/filler", "ab", buffering=0) as file:
        chunk = bytes(1 << 16)
        try:
            while True:
                found = os.statvfs(paths.state)
                free = found.f_bavail * found.f_frsize - leave
                if free <= 0:
                    return
                file.write(chunk[: min(len(chunk), free)])
        except OSError:
            return


def drain(paths: Paths) -> None:
    os.unlink(f"{paths.state}/filler")


def refused(error: EngineError) -> None:
    """One sentence that says what is wrong, and what to do."""
    assert isinstance(error, NoSpace), repr(error)
    assert "no space left" in error.message
    assert "\n" not in error.message
    assert "prune" in error.hint


def test_what_needs_room_says_so_and_leaves_nothing(place: Place, tmp_path: Path) -> None:
    engine, paths = place.engine, place.paths
    big = write(tmp_path / "big.tar", tar(*(entry(f"f{n}", data=os.urandom(100_000)) for n in range(40))))
    place.ended("made", "sh", "-c", "cat /bin/busybox /bin/busybox > /one")
    engine.commit("made", CommitRequest(name="made:1"))
    engine.save(["made:1"], str(tmp_path / "made.tar"))
    engine.remove_image("made:1")
    actions = {
        "import": lambda: engine.import_image(big, "big"),
        "load": lambda: engine.load(str(tmp_path / "made.tar")),
        "commit": lambda: engine.commit("made", CommitRequest(name="made:1")),
    }
    for name, action in actions.items():
        for leave in (0, 1 << 14, 1 << 18, 1 << 20):
            fill(paths, leave)
            with pytest.raises(NoSpace) as told:
                action()
            refused(told.value)
            del told
            drain(paths)
            assert place.wrong() == [], (name, leave)
        action()
        engine.remove_image({"import": "big"}.get(name, "made:1"))
        assert place.wrong() == []


def test_a_run_says_so_or_works(place: Place) -> None:
    engine, paths = place.engine, place.paths
    mounts = (Mount("volume", "kept", "/data"),)
    for leave in (0, 4096, 1 << 14, 1 << 15, 1 << 16, 1 << 18):
        fill(paths, leave)
        try:
            _, session = engine.run(ContainerRequest("small", command=("true",), name="job", mounts=mounts))
        except EngineError as error:
            refused(error)
        else:
            assert session.wait() == 0
            session.close()
            engine.remove("job")
        drain(paths)
        assert place.wrong() == [], leave
    place.ended("job")


def test_what_makes_room_works_on_a_full_disk(place: Place) -> None:
    engine, paths = place.engine, place.paths
    place.ended("old")
    engine.create(ContainerRequest("small", name="new", mounts=(Mount("volume", "kept", "/data"),)))
    engine.import_image(place.archive, "other", ["LABEL other=1"])
    fill(paths)
    assert os.statvfs(paths.state).f_bavail == 0
    fresh = place.fresh()  # another process, which has to open the database on the full disk
    fresh.remove_image("other")
    fill(paths)
    fresh.remove("old")
    fill(paths)
    done = fresh.prune(PruneRequest(containers=True, images=True, volumes=True, all_images=True, all_volumes=True))
    fresh.close()
    assert len(done.containers) == 1
    assert done.volumes == ("kept",)
    assert done.images[0] == "untagged: small:latest"
    drain(paths)
    assert place.wrong() == []
    engine.import_image(place.archive, "small")
