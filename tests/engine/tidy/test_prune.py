"""What goes and what stays, to the byte."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from pyctr_engine.engine import Engine
from pyctr_engine.errors import Cancelled
from pyctr_engine.linux.diskusage import allocated
from pyctr_engine.model.progress import Progress
from pyctr_engine.model.spec import CommitRequest, ContainerRequest, Mount
from pyctr_engine.model.tidy import Pruned, PruneRequest, Usage
from tests.engine.tidy.conftest import Place

pytestmark = pytest.mark.root

EVERYTHING = PruneRequest(containers=True, images=True, volumes=True)


def pruned(place: Place, request: PruneRequest) -> Pruned:
    """Prune, after a dry run that has to foretell all of it; the figures have to add up."""
    before = place.engine.disk_usage()
    foretold = place.engine.prune(replace(request, dry_run=True))
    assert place.engine.disk_usage() == before, "a dry run changes nothing"
    done = place.engine.prune(request)
    assert done == foretold
    assert done.before - done.after == done.reclaimed
    assert done.notes == ()
    return done


def names(engine: Engine) -> list[str]:
    return sorted(name for image in engine.images() for name in image.names)


def make(place: Place) -> None:
    """Containers, images and volumes, used and unused."""
    place.ended("ended", "sh", "-c", "echo 1 > /one; echo said")
    place.engine.create(ContainerRequest("small", name="fresh", mounts=(Mount("volume", "", "/v"),)))
    live = ContainerRequest(
        "small", command=("sleep", "1000"), name="live", mounts=(Mount("volume", "kept", "/data"),)
    )
    place.engine.start(place.engine.create(live).id)
    place.engine.commit("ended", CommitRequest(name="named:1"))
    place.engine.commit("ended", CommitRequest(message="unnamed"))
    # its layer is unpacked by this, not by the commit
    place.engine.create(ContainerRequest("named:1", name="gone", mounts=(Mount("volume", "named", "/n"),)))
    place.engine.remove("gone")


def test_what_is_used_and_what_has_a_name_stays(place: Place) -> None:
    make(place)
    done = pruned(place, EVERYTHING)
    assert len(done.containers) == 2
    assert [container.name for container in place.engine.containers()] == ["live"]
    assert [line[:8] for line in done.images] == ["deleted:"]
    assert names(place.engine) == ["named:1", "small:latest"]
    assert [len(name) for name in done.volumes] == [64]
    assert [volume["name"] for volume in place.engine.volumes()] == ["kept", "named"]
    assert pruned(place, EVERYTHING).reclaimed == 0


def test_all_of_it(place: Place) -> None:
    make(place)
    done = pruned(place, replace(EVERYTHING, all_images=True, all_volumes=True))
    assert done.images[0] == "untagged: named:1"
    assert len(done.layers) == 1
    assert len(done.blobs) == 5, "one layer, two manifests, two configurations"
    assert names(place.engine) == ["small:latest"]
    assert [volume["name"] for volume in place.engine.volumes()] == ["kept"]
    assert place.engine.container("live").state.is_alive


def test_each_kind_alone(place: Place) -> None:
    make(place)
    assert len(pruned(place, PruneRequest(volumes=True)).volumes) == 0, "a stopped container still mounts it"
    assert len(pruned(place, PruneRequest(images=True, all_images=True)).images) == 3
    assert len(pruned(place, PruneRequest(containers=True)).containers) == 2
    assert len(pruned(place, PruneRequest(volumes=True)).volumes) == 1
    assert pruned(place, PruneRequest(volumes=True, all_volumes=True)).volumes == ("named",)


def test_filters(place: Place) -> None:
    engine = place.engine
    for name, labels in (("a", {"tier": "front"}), ("b", {"tier": "back", "keep": ""}), ("c", {})):
        engine.create(ContainerRequest("small", name=name, labels=labels))
    middle = time.time()
    engine.create(ContainerRequest("small", name="d", labels={"tier": "front"}))
    left = ["d", "c", "b", "a"]

    def prune(expected: str, **filters: object) -> None:
        pruned(place, PruneRequest(containers=True, **filters))  # type: ignore[arg-type]
        left.remove(expected)
        assert [container.name for container in engine.containers()] == left

    prune("a", labels=("tier=front",), until=middle)
    prune("c", not_labels=("tier",))
    prune("d", not_labels=("keep", "other"), labels=("tier",))
    prune("b", labels=("tier=back", "keep"))
    engine.import_image(place.archive, "labelled", ["LABEL keep=yes"])
    engine.import_image(place.archive, "old", ["LABEL a=b"])
    assert len(pruned(place, PruneRequest(images=True, all_images=True, until=middle)).images) == 2, "small alone"
    assert pruned(place, PruneRequest(images=True, all_images=True, not_labels=("keep=yes",))).images[0][-10:] == (
        "old:latest"
    )
    assert names(engine) == ["labelled:latest"]


def test_what_nothing_refers_to_goes_with_images(place: Place) -> None:
    images = place.engine._context.images
    Path(images.layout.blobs, "ab" * 32).write_bytes(bytes(10000))
    Path(images.layout.blobs, ".tmp-left").write_bytes(bytes(10000))
    Path(images.layers_on_disk.directory, "cd" * 32, "fs").mkdir(parents=True)
    assert place.engine.disk_usage().unreferenced > 20000
    done = pruned(place, PruneRequest(images=True))
    assert done.blobs == ("sha256:" + "ab" * 32,)
    assert done.layers == ("cd" * 32,)
    assert place.engine.disk_usage().unreferenced == 0


def test_while_an_image_is_made_nothing_of_it_is_taken(place: Place) -> None:
    images = place.engine._context.images
    with images.layout.adding():
        fresh = images.layout.write_bytes(b"to be named", "x")
        done = place.engine.prune(PruneRequest(images=True, all_images=True))
        assert "an image is being made" in done.notes[0]
        assert images.layout.has(fresh)
    assert place.engine.images() == []


def total(place: Place, type: str) -> Usage:
    (found,) = [usage for usage in place.engine.disk_usage().totals if usage.type == type]
    return found


def test_what_is_cancelled_ends_after_what_is_under_way(place: Place) -> None:
    for number in range(3):
        place.ended(f"ended-{number}", "true")
    cancel, steps = threading.Event(), list[str]()

    def progress(step: Progress) -> None:
        steps.append(step.text)
        cancel.set()

    with pytest.raises(Cancelled):
        place.engine.prune(EVERYTHING, progress, cancel)
    left = {container.name for container in place.engine.containers()}
    assert len(left) == 2
    assert steps == [f"removing {name}" for name in {"ended-0", "ended-1", "ended-2"} - left]
    assert place.wrong() == []
    assert len(pruned(place, EVERYTHING).containers) == 2


def test_df_adds_up(place: Place) -> None:
    make(place)
    usage = place.engine.disk_usage()
    images, layers, blobs = (total(place, type) for type in ("Images", "Layers", "Blobs"))
    assert (images.total, images.active) == (3, 1)
    assert images.size == layers.size + blobs.size == sum(image.unique for image in usage.images) + shared(place)
    assert all(image.size == image.shared + image.unique == image.layers + image.blobs for image in usage.images)
    assert {image.names: image.containers for image in usage.images}[("small:latest",)] == 3
    assert len({layer.chain_id for layer in usage.layers}) == 2
    assert [len(layer.images) for layer in sorted(usage.layers, key=lambda layer: layer.entries)] == [2, 3]
    containers = total(place, "Containers")
    assert (containers.total, containers.active) == (3, 1)
    logs = {container.name: container.logs for container in usage.containers}
    assert logs["ended"] > 0
    assert logs["fresh"] == 0
    volumes = total(place, "Local Volumes")
    assert (volumes.total, volumes.active) == (3, 2)
    parts = sum(total(place, type).size for type in ("Images", "Containers", "Logs", "Local Volumes"))
    shared_by_all = allocated(f"{place.paths.layers}/l", f"{place.paths.layers}/.stub")
    assert place.engine.prune(PruneRequest(dry_run=True)).before == parts + shared_by_all


def shared(place: Place) -> int:
    """Bytes of the layers and blobs that several images have: those of ``small``, and the layer of both commits."""
    images = place.engine._context.images
    several = {layer.digest for ref in ("small", "named:1") for layer in images.find(ref).manifest.layers}
    sizes = [os.lstat(images.layout.path(digest)).st_blocks * 512 for digest in several]
    return sum(sizes) + sum(layer.size for layer in place.engine.disk_usage().layers)
