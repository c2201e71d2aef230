"""Pulls of one image and of its relative, pushes, commits, loads, prunes, removals, at once in several processes."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from pyctr_engine.engine import Engine
from pyctr_engine.model.spec import CommitRequest, ContainerRequest
from pyctr_engine.model.tidy import PruneRequest
from tests.engine.tidy.conftest import Place
from tests.engine.tidy.pull.conftest import Published, owed, runs
from tests.engine.tidy.test_concurrency import Work, is_sound, work_and_be_killed, work_to_the_end

pytestmark = pytest.mark.root


@pytest.fixture
def works(place: Place, published: Published, tmp_path: Path) -> list[Work]:
    """What the processes do: no container holds what is pulled but those that one of them runs."""
    names = [f"{published.direct}:{tag}" for tag in ("1", "2")]
    for name in names:
        place.engine.pull(name)
    made = place.ended("made", "sh", "-c", "echo 1 > /one")
    place.engine.save([names[1], "small"], str(tmp_path / "both.tar"))

    def pull(engine: Engine, turn: int) -> None:
        engine.pull(names[turn % 2])

    def pull_the_same(engine: Engine, turn: int) -> None:
        engine.pull(names[0])

    def push(engine: Engine, turn: int) -> None:
        engine.tag(names[turn % 2], f"{published.direct}/pushed:{turn % 3}")
        engine.push(f"{published.direct}/pushed:{turn % 3}")

    def load(engine: Engine, turn: int) -> None:
        engine.load(str(tmp_path / "both.tar"))

    def commit(engine: Engine, turn: int) -> None:
        engine.commit(made, CommitRequest(name=f"committed:{turn % 3}"))

    def use(engine: Engine, turn: int) -> None:
        container = engine.create(ContainerRequest(random.choice(names), command=("true",)))
        engine.start(container.id)
        engine.wait(container.id)
        engine.remove(container.id)

    def remove(engine: Engine, turn: int) -> None:
        present = [name for image in engine.images() for name in image.names]
        engine.remove_image(random.choice([*present, *names, *names]), force=turn % 2 == 0)

    def prune(engine: Engine, turn: int) -> None:
        engine.prune(PruneRequest(images=True, all_images=turn % 2 == 0))

    return [pull_the_same, pull, pull_the_same, commit, prune, remove, use, push, load, remove]


def all_run(place: Place) -> None:
    """Each image that has a name runs, and nothing is owed."""
    is_sound(place)
    names = [name for image in place.engine.images() for name in image.names]
    for name in names:
        runs(place, name)
    assert owed(place) == []


def test_all_at_once(place: Place, works: list[Work]) -> None:
    work_to_the_end(place, works)
    all_run(place)


def test_all_at_once_and_killed(place: Place, works: list[Work]) -> None:
    random.seed(11)
    work_and_be_killed(place, works, pause=(0.02, 0.2))
    place.engine.prune(PruneRequest(images=True))
    all_run(place)
