"""A pull onto a real file system that is full."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyctr_engine.errors import NoSpace
from pyctr_engine.paths import Paths
from tests.engine.images.tars import write
from tests.engine.registry.publisher import Publisher, files
from tests.engine.tidy.conftest import Place, busybox
from tests.engine.tidy.pull.conftest import BASE, Published, owed, runs
from tests.engine.tidy.test_full_disk import drain, fill, refused, small_disk

__all__ = ["small_disk"]

pytestmark = pytest.mark.root


@pytest.fixture
def place(small_disk: Paths, tmp_path: Path) -> Iterator[Place]:
    archive = write(tmp_path / "small.tar", busybox())
    place = Place(small_disk, archive)
    place.engine.import_image(archive, "small", ["CMD true"])
    yield place
    for container in place.engine.containers():
        place.engine.remove(container.id, force=True, volumes=True)
    place.rest()


def test_a_pull_says_so_and_leaves_nothing(place: Place, publisher: Publisher) -> None:
    publisher.image("1", [BASE, *(files(**{f"f{n}": os.urandom(500_000)}) for n in range(6))])
    name = f"{publisher.address}/{publisher.path}:1"
    before = place.engine.disk_usage().totals
    for leave in (0, 1 << 14, 1 << 18, 1 << 20, 3 << 20, 5 << 20):
        fill(place.paths, leave)
        with pytest.raises(NoSpace) as told:
            place.engine.pull(name)
        refused(told.value)
        del told
        drain(place.paths)
        assert place.wrong() == [], leave
        assert owed(place) == [], leave
        assert place.engine.disk_usage().totals == before, leave
    place.engine.pull(name)
    runs(place, name)
    assert place.wrong() == []


def test_a_push_says_so(place: Place, published: Published) -> None:
    name = f"{published.direct}/pushed:1"
    place.engine.tag("small", name)
    for leave in (0, 1 << 14, 1 << 18):
        fill(place.paths, leave)
        with pytest.raises(NoSpace) as told:
            place.engine.push(name)
        refused(told.value)
        del told
        drain(place.paths)
        assert place.wrong() == [], leave
        assert owed(place) == [], leave
    place.engine.push(name)
