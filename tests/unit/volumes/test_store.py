from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyctr_engine.database import Database
from pyctr_engine.errors import InvalidValue, NotFound
from pyctr_engine.paths import Paths
from pyctr_engine.volumes.store import VolumeStore, check_name


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(str(tmp_path / "state"), str(tmp_path / "run"))


@pytest.fixture
def store(paths: Paths) -> Iterator[VolumeStore]:
    database = Database(paths.database)
    yield VolumeStore(database, paths)
    database.close()


@pytest.mark.parametrize("name", ["data", "a1", "9.x_y-z", "A" * 255])
def test_names_that_docker_takes(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize("name", ["", "a", ".a", "-ab", "_ab", "a/b", "..", "a b", "é1", "ab\n", "A" * 256, "/abs"])
def test_names_that_docker_refuses(name: str) -> None:
    with pytest.raises(InvalidValue):
        check_name(name)


def test_a_volume_is_made_once_with_mode_755_whatever_the_umask(store: VolumeStore, paths: Paths) -> None:
    before = os.umask(0o077)
    try:
        assert store.ensure("data", "shop") == (f"{paths.volumes}/data/_data", True)
    finally:
        os.umask(before)
    assert store.ensure("data") == (f"{paths.volumes}/data/_data", False)
    assert os.stat(store.path("data")).st_mode & 0o7777 == 0o755
    (volume,) = store.list()
    assert (volume.name, volume.stack, volume.mountpoint) == ("data", "shop", store.path("data"))


def test_a_volume_is_empty_until_it_has_a_file(store: VolumeStore) -> None:
    path, _ = store.ensure("data")
    assert store.is_empty("data")
    Path(path, ".hidden").touch()
    assert not store.is_empty("data")


def test_size_counts_a_file_with_two_names_once_and_follows_no_link(store: VolumeStore, tmp_path: Path) -> None:
    (tmp_path / "outside").write_bytes(bytes(1 << 20))
    path, _ = store.ensure("data")
    os.mkdir(f"{path}/sub")
    Path(path, "sub", "a").write_bytes(bytes(1000))
    os.link(f"{path}/sub/a", f"{path}/b")
    Path(path, "c").write_bytes(bytes(24))
    os.symlink(tmp_path, f"{path}/link")
    assert store.size("data") == 1024 + len(str(tmp_path))


def test_removal_takes_the_files_and_nothing_that_a_link_points_to(store: VolumeStore, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("x")
    path, _ = store.ensure("data")
    Path(path, "file").touch()
    os.symlink(tmp_path / "precious", f"{path}/link")
    store.remove("data")
    assert not os.path.exists(os.path.dirname(path))
    store.purge()
    assert os.listdir(os.path.dirname(os.path.dirname(path))) == []
    assert (tmp_path / "precious" / "file").exists()
    assert store.list() == []


def test_a_removal_that_was_interrupted_is_finished_by_the_next(store: VolumeStore, paths: Paths) -> None:
    os.makedirs(f"{paths.volumes}/.going-1/_data/x")
    store.ensure("data")
    store.remove("data")
    assert "data" not in os.listdir(paths.volumes)
    assert len(store.purge()) == 2
    assert os.listdir(paths.volumes) == []


def test_what_was_never_finished_is_no_volume(store: VolumeStore, paths: Paths) -> None:
    staged = store.stage("data")
    Path(staged, "half").touch()
    assert store.list() == []
    assert store.purge() == []
    assert len(store.purge(half_made=True)) == 1
    staged, again = store.stage("data"), store.stage("data")
    Path(staged, "whole").touch()
    assert store.publish("data", staged)
    assert not store.publish("data", again), "another was first"
    assert store.stage("data") == ""
    assert os.listdir(store.path("data")) == ["whole"]
    assert os.listdir(paths.volumes) == ["data"]


def test_a_volume_whose_directory_was_deleted_can_be_removed(store: VolumeStore) -> None:
    path, _ = store.ensure("data")
    os.removedirs(path)
    store.remove("data")
    assert store.list() == []


def test_an_unknown_volume_is_not_found(store: VolumeStore) -> None:
    for operation in (store.get, store.remove, store.size):
        with pytest.raises(NotFound, match="nonesuch"):
            operation("nonesuch")
