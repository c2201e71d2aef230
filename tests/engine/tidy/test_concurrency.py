"""Many processes that make, name, use and remove images and containers at once: nothing is lost, nothing is left."""

from __future__ import annotations

import os
import random
import select
import signal
import subprocess
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
        engine.prune(PruneRequest(images=True, all_images=turn % 2 == 0, volumes=True, all_volumes=turn % 3 == 0))

    return [load, bring, commit, use, remove, prune, load, use]


def work_to_the_end(place: Place, works: list[Work]) -> None:
    """All at once; each does its rounds, and none fails."""
    place.rest()
    workers = [Worker(place, number, work, ROUNDS) for number, work in enumerate(works)]
    assert [worker.join() for worker in workers] == [0] * len(works)


def work_and_be_killed(place: Place, works: list[Work], pause: tuple[float, float]) -> None:
    """All at once; now and then one is killed and another takes its place. ``pause``: seconds between them."""
    place.rest()
    workers = [Worker(place, number, work, 1000) for number, work in enumerate(works)]
    ends = []
    for turn in range(ROUNDS * 2):
        time.sleep(random.uniform(*pause))
        victim = random.randrange(len(workers))
        os.kill(workers[victim].pid, signal.SIGKILL)
        ends.append(workers[victim].join())
        workers[victim] = Worker(place, 100 + turn, workers[victim].work, 1000)
    for worker in workers:
        os.kill(worker.pid, signal.SIGKILL)
        ends.append(worker.join())
    assert set(ends) == {-signal.SIGKILL}, "no one failed before it was killed"


def is_sound(place: Place) -> None:
    """A check is clean, and every container can be started: what it needs is there."""
    assert place.wrong() == []
    for container in place.engine.containers():
        if not container.state.is_alive:
            place.engine.start(container.id)
            assert place.engine.wait(container.id) == 0, container.name


def test_all_at_once(place: Place, works: list[Work]) -> None:
    work_to_the_end(place, works)
    is_sound(place)


def test_all_at_once_and_killed(place: Place, works: list[Work]) -> None:
    random.seed(7)
    work_and_be_killed(place, works, pause=(0.01, 0.12))
    for image in place.engine.images():  # the next calls
        if image.names and not image.used_by:
            place.engine.remove_image(image.names[0], force=True)
    place.engine.prune(PruneRequest(images=True, volumes=True, all_volumes=True))
    is_sound(place)


_ELSEWHERE = """
import sys
from pyctr_engine.engine import Engine
from pyctr_engine.model.tidy import PruneRequest
from pyctr_engine.paths import Paths
engine = Engine(Paths(*sys.argv[1:3]))
try:
    exec(sys.argv[3])
    print("done")
except Exception as error:
    print(type(error).__name__)
"""


def elsewhere(place: Place, work: str) -> subprocess.Popen[str]:
    """Do something with an ``engine`` in another program, which prints its error's name, or ``done``."""
    return subprocess.Popen(
        [sys.executable, "-c", _ELSEWHERE, place.paths.state, place.paths.run, work],
        stdout=subprocess.PIPE,
        text=True,
    )


def told(other: subprocess.Popen[str]) -> str:
    return other.communicate(timeout=30)[0].strip()


def test_no_removal_gets_between_finding_an_image_and_recording_its_use(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = place.engine.import_image(place.archive, "other", ["LABEL other=1"])
    others: list[subprocess.Popen[str]] = []
    record = create._record

    def recording(*arguments: object) -> object:
        others.append(elsewhere(place, "engine.remove_image('other')"))
        others.append(elsewhere(place, "engine.prune(PruneRequest(images=True, all_images=True))"))
        assert select.select([other.stdout for other in others], [], [], 1.0)[0] == [], "they wait"
        return record(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(create, "_record", recording)
    container = place.engine.create(ContainerRequest("other", command=("true",)))
    assert [told(other) for other in others] == ["Conflict", "done"]
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
            assert told(elsewhere(place, "engine.remove_image('other')")) == "done"
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
    answers = []

    def making(*arguments: object) -> None:
        answers.append(told(elsewhere(place, "engine.remove_volume('kept')")))
        make(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(create, "_make_directories", making)
    place.engine.create(ContainerRequest("small", name="second", mounts=(Mount("volume", "kept", "/data"),)))
    assert answers == ["Conflict"]
    assert Path(place.paths.volumes, "kept", "_data", "mine").exists()
