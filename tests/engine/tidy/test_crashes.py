"""Killed, or out of space, at every step that writes: the next call works, and a check finds nothing wrong."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest

from pyctr_engine.engine import Engine
from pyctr_engine.errors import NotFound
from pyctr_engine.model.spec import CommitRequest, ContainerRequest, Mount
from pyctr_engine.model.tidy import PruneRequest
from tests.engine.tidy import faults
from tests.engine.tidy.conftest import THOROUGH, Place
from tests.engine.tidy.faults import FINISHED, KILLED, REFUSED, Trouble

pytestmark = pytest.mark.root

Action = Callable[[Engine], object]

TROUBLES: tuple[Trouble, ...] = ("kill", "full")


def suffer(place: Place, trouble: Trouble, action: Action, before: Callable[[], object], again: Action) -> None:
    """Do ``action`` with trouble at one step after another, each time ``before`` that and ``again`` after it."""

    def alone() -> None:
        engine = place.fresh()
        try:
            action(engine)
        finally:
            engine.close()

    before()
    place.rest()
    every = faults.steps(alone, place.paths.state, trouble)
    assert len({step.call for step in every}) > 2, "the trouble is where the writing is"
    met = set()
    for step in faults.chosen(every, THOROUGH):
        before()
        place.rest()
        ended = faults.attempt(alone, place.paths.state, step.number, trouble)
        met.add(ended)
        assert ended in (FINISHED, KILLED if trouble == "kill" else REFUSED), step
        again(place.engine)
        assert place.wrong() == [], step
    assert (KILLED if trouble == "kill" else REFUSED) in met


def forget(engine: Engine, *names: str) -> None:
    for name in names:
        with contextlib.suppress(NotFound):
            engine.remove_image(name, force=True)


@pytest.mark.parametrize("trouble", TROUBLES)
def test_import(place: Place, tmp_path: Path, trouble: Trouble) -> None:
    other = str(tmp_path / "other.tar")
    Path(other).write_bytes(Path(place.archive).read_bytes() + bytes(10240))

    def action(engine: Engine) -> None:
        engine.import_image(other, "other")

    suffer(place, trouble, action, lambda: forget(place.engine, "other"), action)


@pytest.mark.parametrize("trouble", TROUBLES)
def test_load(place: Place, tmp_path: Path, trouble: Trouble) -> None:
    place.ended("made", "sh", "-c", "echo 1 > /one")
    place.engine.commit("made", CommitRequest(name="two:1"))
    place.engine.save(["two:1"], str(tmp_path / "two.tar"))

    def action(engine: Engine) -> None:
        engine.load(str(tmp_path / "two.tar"))

    suffer(place, trouble, action, lambda: forget(place.engine, "two:1"), action)


@pytest.mark.parametrize("trouble", TROUBLES)
def test_commit(place: Place, trouble: Trouble) -> None:
    place.ended("made", "sh", "-c", "echo 1 > /one; mkdir /two; echo 3 > /two/three")

    def action(engine: Engine) -> None:
        engine.commit("made", CommitRequest(name="made:1"))

    suffer(place, trouble, action, lambda: forget(place.engine, "made:1"), action)


@pytest.mark.parametrize("trouble", TROUBLES)
def test_removal_of_an_image(place: Place, trouble: Trouble) -> None:
    def before() -> None:
        place.engine.import_image(place.archive, "other", ["LABEL other=1"])

    def again(engine: Engine) -> None:
        before()
        assert engine.remove_image("other")[0] == "Untagged: other:latest"

    suffer(place, trouble, lambda engine: engine.remove_image("other"), before, again)


def remains(engine: Engine, *names: str) -> None:
    for name in names:
        with contextlib.suppress(NotFound):
            engine.remove(name, force=True, volumes=True)


@pytest.mark.parametrize("trouble", TROUBLES)
def test_run(place: Place, trouble: Trouble) -> None:
    """With a volume that takes what the image has, and one without a name."""
    mounts = (Mount("volume", "kept", "/data"), Mount("volume", "", "/scratch"))
    request = ContainerRequest("small", command=("true",), name="job", mounts=mounts)

    def action(engine: Engine) -> None:
        _, session = engine.run(request)
        session.wait()
        session.close()

    def before() -> None:
        remains(place.engine, "job")
        for volume in place.engine.volumes():
            place.engine.remove_volume(volume["name"])

    def again(engine: Engine) -> None:
        remains(engine, "job")
        action(engine)
        seed = Path(place.paths.volumes, "kept", "_data", "seed")
        assert seed.read_text() == "seed", "a volume is whole or not there"

    place.engine.warm()
    suffer(place, trouble, action, before, again)
    before()


@pytest.mark.parametrize("trouble", TROUBLES)
def test_removal_of_a_container(place: Place, trouble: Trouble) -> None:
    request = ContainerRequest("small", name="job", mounts=(Mount("volume", "", "/scratch"),))

    def before() -> None:
        remains(place.engine, "job")
        place.engine.create(request)

    def again(engine: Engine) -> None:
        remains(engine, "job")
        assert engine.containers() == []
        engine.prune(PruneRequest(volumes=True))
        assert engine.volumes() == []

    suffer(place, trouble, lambda engine: engine.remove("job", volumes=True), before, again)


@pytest.mark.parametrize("trouble", TROUBLES)
def test_prune(place: Place, trouble: Trouble) -> None:
    everything = PruneRequest(containers=True, images=True, volumes=True, all_images=True, all_volumes=True)
    place.engine.create(ContainerRequest("small", name="keeper"))
    mounts = (Mount("volume", "", "/v"), Mount("volume", "named", "/n"))
    place.engine.start(place.engine.create(ContainerRequest("small", command=("sleep", "1000"), name="live")).id)
    place.engine.remove("keeper")

    def before() -> None:
        remains(place.engine, "job")
        place.engine.import_image(place.archive, "other", ["LABEL other=1"])
        place.engine.create(ContainerRequest("small", name="job", mounts=mounts))

    def again(engine: Engine) -> None:
        engine.prune(everything)
        assert [container.name for container in engine.containers()] == ["live"]
        assert [image.names for image in engine.images()] == [("small:latest",)]
        assert engine.volumes() == []

    suffer(place, trouble, lambda engine: engine.prune(everything), before, again)
