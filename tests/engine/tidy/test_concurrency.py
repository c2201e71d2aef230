"""Many processes that make, name, use and remove images and containers at once: nothing is lost, nothing is left."""

from __future__ import annotations

import os
import random
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from pyctr_engine.containers import create
from pyctr_engine.engine import Engine
from pyctr_engine.errors import Conflict, NotFound
from pyctr_engine.images.store import Image, ImageStore
from pyctr_engine.model.spec import CommitRequest, ContainerRequest, Mount
from pyctr_engine.model.tidy import PruneRequest
from tests.engine.images.tars import entry, tar, write
from tests.engine.tidy.conftest import THOROUGH, Place

pytestmark = pytest.mark.root

ROUNDS = 60 if THOROUGH else 8

Work = Callable[[Engine, int], object]


class Worker:
    """A process that does the same again and again; losing a race is no failure, anything else is."""

    def __init__(self, place: Place, number: int, work: Work, rounds: int) -> None:
        self.work = work
        self.number = number
        self.pid = os.fork()
        if self.pid:
            return
        code = 1
        try:
            random.seed(number)
            engine = place.fresh()
            for turn in range(rounds):
                try:
                    work(engine, number * 1000 + turn)
                except (NotFound, Conflict):
                    continue
            engine.close()
            code = 0
        except BaseException:  # noqa: BLE001 - this process must not return
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)

    def join(self) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@pytest.fixture
def works(place: Place, tmp_path: Path) -> list[Work]:
    """What pulls (they load here), commits, runs, prunes and removals do; all share layers with each other."""
    place.ended("made", "sh", "-c", "echo 1 > /one")
    place.engine.commit("made", CommitRequest(name="two:1"))
    place.engine.save(["two:1", "small"], str(tmp_path / "both.tar"))

    def load(engine: Engine, turn: int) -> None:
        engine.load(str(tmp_path / "both.tar"))

    def bring(engine: Engine, turn: int) -> None:
        archive = write(tmp_path / f"{turn}.tar", tar(entry("file", data=str(turn % 3).encode())))
        engine.import_image(archive, f"own:{turn % 5}", [f"LABEL turn={turn % 4}"])
        os.unlink(archive)
        engine.tag(f"own:{turn % 5}", f"also:{turn % 3}")

    def commit(engine: Engine, turn: int) -> None:
        engine.commit("made", CommitRequest(name=f"committed:{turn % 3}"))

    def use(engine: Engine, turn: int) -> None:
        mounts = (Mount("volume", "", "/v"), Mount("volume", f"v{turn % 2}", "/data"))
        container = engine.create(ContainerRequest("two:1", command=("true",), mounts=mounts))
        if turn % 3 == 0:
            engine.start(container.id)
            engine.wait(container.id)
        if turn % 2:
            engine.remove(container.id, force=True, volumes=True)

    def remove(engine: Engine, turn: int) -> None:
        names = [name for image in engine.images() for name in image.names]
        engine.remove_image(random.choice([*names, "two:1"]), force=turn % 2 == 0)

    def prune(engine: Engine, turn: int) -> None:
        engine.prune(
            PruneRequest(images=True, all_images=turn % 2 == 0, volumes=True, all_volumes=turn % 3 == 0)
        )

    return [load, bring, commit, use, remove, prune, load, use]


def is_sound(place: Place) -> None:
    """A check is clean, and every container can be started: what it needs is there."""
    assert place.wrong() == []
    for container in place.engine.containers():
        if not container.state.is_alive:
            place.engine.start(container.id)
            assert place.engine.wait(container.id) == 0, container.name


def test_all_at_once(place: Place, works: list[Work]) -> None:
    workers = [Worker(place, number, work, ROUNDS) for number, work in enumerate(works)]
    assert [worker.join() for worker in workers] == [0] * len(works)
    is_sound(place)


def test_all_at_once_and_killed(place: Place, works: list[Work]) -> None:
    random.seed(7)
    workers = [Worker(place, number, work, 1000) for number, work in enumerate(works)]
    for turn in range(ROUNDS * 2):
        time.sleep(random.uniform(0.01, 0.12))
        victim = random.randrange(len(workers))
        os.kill(workers[victim].pid, signal.SIGKILL)
        assert workers[victim].join() == -signal.SIGKILL
        workers[victim] = Worker(place, 100 + turn, workers[victim].work, 1000)
    for worker in workers:
        os.kill(worker.pid, signal.SIGKILL)
        worker.join()
    for image in place.engine.images():  # the next calls
        if image.names and not image.used_by:
            place.engine.remove_image(image.names[0], force=True)
    place.engine.prune(PruneRequest(images=True, volumes=True, all_volumes=True))
    is_sound(place)


def elsewhere(place: Place, work: Callable[[Engine], object]) -> tuple[int, int]:
    """Do it in another process: its pid, and a descriptor from which the name of its error (or ``done``) is read."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writer)
        return pid, reader
    told = "done"
    try:
        work(place.fresh())
    except BaseException as error:  # noqa: BLE001
        told = type(error).__name__
    os.write(writer, told.encode())
    os._exit(0)


def test_no_removal_gets_between_finding_an_image_and_recording_its_use(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = place.engine.import_image(place.archive, "other", ["LABEL other=1"])
    others: list[tuple[int, int]] = []
    record = create._record

    def recording(*arguments: object) -> object:
        others.append(elsewhere(place, lambda engine: engine.remove_image("other")))
        others.append(
            elsewhere(place, lambda engine: engine.prune(PruneRequest(images=True, all_images=True)))
        )
        assert select.select([fd for _, fd in others], [], [], 0.5)[0] == [], "they wait"
        return record(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(create, "_record", recording)
    container = place.engine.create(ContainerRequest("other", command=("true",)))
    told = [os.read(fd, 100).decode() for _, fd in others]
    for pid, fd in others:
        os.waitpid(pid, 0)
        os.close(fd)
    assert told == ["Conflict", "done"]
    assert place.engine.image("other").id == image.id
    place.engine.start(container.id)
    assert place.engine.wait(container.id) == 0


def test_an_image_that_went_after_it_was_found_is_not_used(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.engine.import_image(place.archive, "other", ["LABEL other=1"])
    resolve = ImageStore.resolve
    times = []

    def resolving(store: ImageStore, ref: str) -> Image:
        found = resolve(store, ref)
        if not times:
            times.append(1)
            pid, fd = elsewhere(place, lambda engine: engine.remove_image("other"))
            assert os.read(fd, 100) == b"done"
            os.waitpid(pid, 0)
            os.close(fd)
        return found

    monkeypatch.setattr(ImageStore, "resolve", resolving)
    with pytest.raises(NotFound, match="other"):
        place.engine.create(ContainerRequest("other"))
    assert place.engine.containers() == []


def test_a_volume_in_use_stays_whoever_asks(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container is recorded, its volume not yet made: nobody takes what it is about to have."""
    place.engine.create(ContainerRequest("small", name="first", mounts=(Mount("volume", "kept", "/data"),)))
    Path(place.paths.volumes, "kept", "_data", "mine").touch()
    place.engine.remove("first")
    make = create._make_directories
    told = []

    def making(*arguments: object) -> None:
        pid, fd = elsewhere(place, lambda engine: engine.remove_volume("kept"))
        told.append(os.read(fd, 100))
        os.waitpid(pid, 0)
        os.close(fd)
        make(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(create, "_make_directories", making)
    place.engine.create(ContainerRequest("small", name="second", mounts=(Mount("volume", "kept", "/data"),)))
    assert told == [b"Conflict"]
    assert Path(place.paths.volumes, "kept", "_data", "mine").exists()
