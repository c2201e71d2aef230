"""A pull or a push that is killed, or out of space, at every step that writes."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest

from pyctr_engine.engine import Engine
from pyctr_engine.model.tidy import PruneRequest
from tests.engine.tidy.conftest import Place
from tests.engine.tidy.faults import Trouble
from tests.engine.tidy.pull.conftest import Published, cut, owed, runs
from tests.engine.tidy.test_crashes import TROUBLES, forget, suffer

pytestmark = pytest.mark.root


@pytest.mark.parametrize("trouble", TROUBLES)
def test_pull(place: Place, published: Published, trouble: Trouble) -> None:
    """Killed: the next one fetches just what had not come. Out of space: nothing has been kept."""
    name = f"{published.name}:1"
    asked: list[int] = []

    def before() -> None:
        forget(place.engine, name)
        place.engine.prune(PruneRequest(images=True))
        assert owed(place) == []

    def again(engine: Engine) -> None:
        missing = published.missing(place, "1")
        published.proxy.settle()
        published.proxy.seen.clear()
        if trouble == "full" and name not in {name for image in engine.images() for name in image.names}:
            assert set(missing.values()) == {""}
            assert len(missing) == 2
            assert owed(place) == []
        engine.pull(name)
        assert published.fetched() == missing
        asked.append(len(missing))
        assert owed(place) == []

    suffer(place, trouble, lambda engine: engine.pull(name), before, again)
    assert 2 in asked
    assert trouble == "full" or {0, 1} & set(asked), "something was taken up"
    runs(place, name)


@pytest.mark.parametrize("trouble", TROUBLES)
def test_prune_after_a_pull_that_was_cut(place: Place, published: Published, trouble: Trouble) -> None:
    name = f"{published.name}:1"

    def before() -> None:
        forget(place.engine, name)
        cut(place, published, "1")

    def again(engine: Engine) -> None:
        engine.prune(PruneRequest(images=True))
        assert owed(place) == []

    suffer(place, trouble, lambda engine: engine.prune(PruneRequest(images=True)), before, again)


@pytest.mark.parametrize("trouble", TROUBLES)
def test_push(place: Place, published: Published, trouble: Trouble) -> None:
    """Layers are compressed aside on the way out."""
    numbers = itertools.count()
    memory = Path(place.paths.cache, "compressed")
    names = [""]

    def before() -> None:
        if names[0]:
            forget(place.engine, names[0])
        names[0] = f"{published.direct}/{next(numbers)}:1"
        place.engine.tag("small", names[0])
        for note in memory.glob("*.json"):
            note.unlink()

    def again(engine: Engine) -> None:
        engine.push(names[0])
        assert owed(place) == []
        shown = [path.name for path in memory.glob("[!.]*")]
        assert len(os.listdir(memory)) - len(shown) <= 1, "one name aside, whoever was killed"

    suffer(place, trouble, lambda engine: engine.push(names[0]), before, again)
