"""Long work that is cancelled half way, as the interface does it: nothing half-done is left of it."""

from __future__ import annotations

import os
import tarfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pyctr_engine.errors import Cancelled, InvalidValue
from pyctr_engine.images import export
from pyctr_engine.model.checkpoint import Since
from pyctr_engine.model.progress import Progress
from pyctr_engine.model.spec import CommitRequest, ContainerRequest, Mount
from tests.engine.images.tars import entry, tar, write
from tests.engine.tidy.conftest import Place

pytestmark = pytest.mark.root

MUCH = 6 << 20


def cancels(doing: str, done: int = 1) -> Callable[[Progress], None]:
    """A sink that gives up in the middle of ``doing``."""

    def sink(step: Progress) -> None:
        if doing in step.text and step.done >= done:
            raise Cancelled("cancelled")

    return sink


@pytest.fixture
def filled(place: Place) -> Place:
    """The place with a container ``full`` that wrote a lot."""
    place.ended("full", "sh", "-c", f"busybox dd if=/dev/urandom of=/much bs=1M count={MUCH >> 20}")
    return place


def images(place: Place) -> list[str]:
    return sorted(name for image in place.engine.images() for name in image.names)


def unharmed(place: Place) -> None:
    """The store is as it should be, and nothing in it is for nobody."""
    assert place.wrong() == []
    assert place.engine.disk_usage().unreferenced == 0


def test_commit(filled: Place) -> None:
    before = images(filled)
    with pytest.raises(Cancelled):
        filled.engine.commit("full", CommitRequest("kept:1"), cancels("writing the layer", MUCH // 2))
    assert images(filled) == before
    unharmed(filled)
    assert filled.engine.commit("full", CommitRequest("kept:1")).names == ("kept:1",)


def test_a_cancelled_commit_lets_its_container_go_on(place: Place) -> None:
    request = ContainerRequest(
        "small", command=("sh", "-c", "busybox dd if=/dev/zero of=/x bs=1M count=4; sleep 100")
    )
    container, session = place.engine.run(request)
    session.close()
    while sum(change.size for change in place.engine.changes(container.id)) < 4 << 20:
        time.sleep(0.02)
    with pytest.raises(Cancelled):
        place.engine.commit(container.id, CommitRequest("kept:1"), cancels("writing the layer"))
    assert str(place.engine.container(container.id).state) == "running"
    place.engine.remove(container.id, force=True)


def test_import(place: Place, tmp_path: Path) -> None:
    archive = write(tmp_path / "big.tar", tar(entry("much", data=os.urandom(MUCH))))
    before = images(place)
    with pytest.raises(Cancelled):
        place.engine.import_image(archive, "big:1", progress=cancels("importing", MUCH // 2))
    assert images(place) == before
    unharmed(place)


@pytest.mark.parametrize("format", ["", "oci", "docker"])
def test_save(filled: Place, tmp_path: Path, format: str) -> None:
    filled.engine.commit("full", CommitRequest("kept:1"))
    (tmp_path / "out").mkdir()
    with pytest.raises(Cancelled):
        filled.engine.save(["kept:1"], str(tmp_path / "out/a.tar"), cancels("blob", MUCH // 2), format)  # type: ignore[arg-type]
    assert os.listdir(tmp_path / "out") == []
    steps: list[Progress] = []
    filled.engine.save(["kept:1"], str(tmp_path / "out/a.tar"), steps.append, format)  # type: ignore[arg-type]
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    assert (steps[-1].done, steps[-1].finished) == (steps[-1].total, True)
    assert steps[-1].total > MUCH


def test_save_to_a_directory(filled: Place, tmp_path: Path) -> None:
    filled.engine.commit("full", CommitRequest("kept:1"))
    with pytest.raises(Cancelled):
        filled.engine.save(["kept:1"], f"{tmp_path}/layout/", cancels("blob", MUCH // 2))
    assert not (tmp_path / "layout").exists()


@pytest.mark.parametrize("format", ["oci", "docker"])
def test_load(filled: Place, tmp_path: Path, format: str) -> None:
    filled.engine.commit("full", CommitRequest("kept:1"))
    filled.engine.save(["kept:1"], str(tmp_path / "a.tar"), None, format)  # type: ignore[arg-type]
    filled.engine.remove_image("kept:1")
    before = images(filled)
    with pytest.raises(Cancelled):
        filled.engine.load(str(tmp_path / "a.tar"), cancels("loading", MUCH // 2))
    assert images(filled) == before
    unharmed(filled)


def test_export(filled: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "TOLD_EVERY", 0.001)
    (tmp_path / "out").mkdir()
    with pytest.raises(Cancelled):
        filled.engine.export("full", str(tmp_path / "out/a.tar"), cancels("exporting", 0))
    assert os.listdir(tmp_path / "out") == []
    filled.engine.export("full", str(tmp_path / "out/a.tar"), lambda step: None)
    with tarfile.open(tmp_path / "out/a.tar") as archive:
        assert archive.getmember("much").size == MUCH


STACK = """
name: trial
services:
  first: {image: small, command: [sleep, "1000"]}
  second:
    image: small
    command: [sleep, "1000"]
    depends_on: {third: {condition: service_completed_successfully}}
  third: {image: small, command: [sleep, "1000"]}
"""


def test_up_begins_no_more_and_what_is_up_stays(place: Place, tmp_path: Path) -> None:
    file = tmp_path / "stack.yaml"
    file.write_text(STACK)
    stack = place.engine.load_stack(str(file))
    cancel = threading.Event()
    up: list[str] = []

    def sink(step: Progress) -> None:
        if step.text == "started":
            up.append(step.subject)
        if len(up) == 2:
            cancel.set()  # ``second`` waits for ``third``, for a thousand seconds

    with pytest.raises(Cancelled, match="bringing trial up was cancelled"):
        place.engine.up(stack, sink, cancel=cancel)
    states = {container.name: str(container.state) for container in place.engine.containers()}
    assert states == {"trial-first-1": "running", "trial-third-1": "running"}
    place.engine.down("trial")
    assert place.engine.containers() == []
    unharmed(place)


def test_a_sink_that_gives_up_ends_up_too(place: Place, tmp_path: Path) -> None:
    file = tmp_path / "stack.yaml"
    file.write_text(STACK)
    with pytest.raises(Cancelled):
        place.engine.up(place.engine.load_stack(str(file)), cancels("creating", 0))
    assert all(str(container.state) in ("created", "running") for container in place.engine.containers())
    place.engine.down("trial")


# -- what a removal would take ----------------------------------------------------------------------------------


def allocated(directory: str) -> int:
    total = 0
    for where, names, files in os.walk(directory):
        total += sum(os.lstat(os.path.join(where, name)).st_blocks * 512 for name in (*names, *files))
    return total


def test_a_removal_is_told_as_it_then_is(filled: Place) -> None:
    engine = filled.engine
    volumes = (Mount("volume", "", "/own"), Mount("volume", "named", "/data"))
    container = engine.create(ContainerRequest("small", name="mounts", mounts=volumes))
    told = engine.removal(["full", "mounts"])
    assert [usage.name for usage in told.containers] == ["full", "mounts"]
    assert [(volume.unnamed, volume.others) for volume in told.volumes] == [(True, ()), (False, ())]
    assert told.bytes > MUCH
    before = allocated(filled.paths.containers)
    engine.remove("full")
    engine.remove(container.id, volumes=True)
    assert before - allocated(filled.paths.containers) == told.bytes
    assert [volume["name"] for volume in engine.volumes()] == ["named"]


def test_the_bytes_of_images_that_come_back(filled: Place) -> None:
    engine = filled.engine
    one = engine.commit("full", CommitRequest("kept:1"))
    two = engine.commit("full", CommitRequest("kept:2", message="other"))
    engine.tag("kept:1", "again:1")
    alone, both = engine.removal(images=[one.id]), engine.removal(images=[one.id, two.id])
    assert alone.bytes < 1 << 20, "its layer is the other's as well"
    assert both.bytes > MUCH
    before = engine.disk_usage().totals[0].size
    for name in ("kept:1", "again:1", "kept:2"):
        engine.remove_image(name)
    assert before - engine.disk_usage().totals[0].size == both.bytes
    assert engine.removal(images=["small"]).bytes == 0, "a container needs it"


def test_a_commit_is_checked_without_doing_it(place: Place) -> None:
    check = place.engine.check_commit
    paths = ("/var/cache/a", "/srv/x.log", "/etc/hosts")
    request = CommitRequest("fine:1", changes=("CMD sh",), exclude=("/var/cache", "*.log"))
    assert check(request, paths) == {"/var/cache/a", "/srv/x.log"}
    for wrong in (CommitRequest("No:1"), CommitRequest(changes=("CMDS x",)), CommitRequest(exclude=("[",))):
        with pytest.raises(InvalidValue):
            check(wrong)


def test_what_going_back_would_undo(place: Place) -> None:
    engine = place.engine
    place.ended("undo", "sh", "-c", "busybox dd if=/dev/zero of=/a bs=1k count=8; echo x > /b; busybox rm /data/seed")
    engine.checkpoint("undo", "then")
    assert engine.since("undo", "then") == Since(0, 0, 0, 0, ())
    place.ended("other")
    engine.copy_in("undo", place.archive, "/new")
    since = engine.since("undo", "then")
    assert (since.added, since.deleted, since.paths) == (1, 0, ("/new",))
    assert since.bytes == os.path.getsize(place.archive)
    engine.restore("undo", "then")
    assert engine.since("undo", "then").bytes == 0
