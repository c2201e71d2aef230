"""What a pull that is cancelled or cut leaves: kept for the next one, counted, and gone when it should be."""

from __future__ import annotations

import os
import shutil
import threading
import time

import pytest

from pyctr_engine.errors import Cancelled, ImageFormatError, RegistryError
from pyctr_engine.images import pending
from pyctr_engine.images.layer_store import chain_ids
from pyctr_engine.model.progress import Progress
from pyctr_engine.model.tidy import PruneRequest
from tests.engine.registry.publisher import Publisher
from tests.engine.registry.servers import cuts, says, stalls
from tests.engine.tidy.conftest import Place
from tests.engine.tidy.pull.conftest import Published, cut, owed, runs
from tests.engine.tidy.test_prune import pruned

pytestmark = pytest.mark.root


def test_a_pull_that_was_cut_is_taken_up(place: Place, published: Published) -> None:
    cut(place, published, "1")
    assert place.wrong() == []
    missing = published.missing(place, "1")
    assert missing == {published.own["1"]: "bytes=100000-"}, "the base has come, and a part of the other layer"
    place.engine.pull(f"{published.name}:1")
    assert published.fetched() == missing
    assert owed(place) == []


def test_a_prune_takes_all_of_it_and_tells_how_much(place: Place, published: Published) -> None:
    before = place.engine.disk_usage()
    cut(place, published, "1")
    assert place.engine.disk_usage().totals[2].total == before.totals[2].total + 2, "a blob and a part of one"
    done = pruned(place, PruneRequest(images=True))
    assert done.reclaimed > 100_000 + len(published.tars["1"][0]) / 2
    assert owed(place) == []
    assert place.engine.disk_usage() == before
    assert pruned(place, PruneRequest(images=True)).reclaimed == 0


def test_a_prune_after_a_cancelled_pull(place: Place, published: Published) -> None:
    before = place.engine.disk_usage()
    cancel = threading.Event()
    published.proxy.wrong("GET", published.own["1"], stalls(100_000))

    def cancel_soon() -> None:
        while not published.proxy.count("GET", published.own["1"]):
            time.sleep(0.01)
        cancel.set()

    waiting = threading.Thread(target=cancel_soon)
    waiting.start()
    with pytest.raises(Cancelled):
        place.engine.pull(f"{published.name}:1", cancel=cancel)
    waiting.join()
    assert place.wrong() == []
    pruned(place, PruneRequest(images=True))
    assert owed(place) == []
    assert place.engine.disk_usage() == before


def test_a_prune_leaves_what_is_being_pulled(place: Place, published: Published) -> None:
    name = f"{published.name}:1"
    published.proxy.wrong("GET", published.own["1"], stalls(100_000), times=1)
    pulling = threading.Thread(target=place.engine.pull, args=(name,))
    pulling.start()
    while not published.proxy.count("GET", published.own["1"]):
        time.sleep(0.01)
    other = place.fresh()
    assert "an image is being made" in other.prune(PruneRequest(images=True, dry_run=False)).notes[0]
    other.close()
    pulling.join()
    assert len(published.proxy.requests("GET", published.own["1"])) == 2
    assert owed(place) == []
    assert place.engine.image(name).names == (name,)


def test_a_tag_that_moved_frees_what_came_of_the_old_image(
    place: Place, published: Published, publisher: Publisher
) -> None:
    """The new image needs other layers: nothing keeps those of the old one."""
    before = place.engine.disk_usage()
    cut(place, published, "1")
    publisher.image("1", [b"".join(published.tars["2"][1:])])
    place.engine.pull(f"{published.name}:1")
    assert place.wrong() == []
    assert owed(place) == [f"{place.paths.oci}/partial/{published.own['1']}"]
    place.engine.remove_image(f"{published.name}:1")
    place.engine.prune(PruneRequest(images=True))
    assert place.engine.disk_usage() == before


def test_the_removal_of_a_name_ends_what_was_kept_for_it(place: Place, published: Published) -> None:
    name = f"{published.name}:1"
    place.engine.tag("small", name)
    before = place.engine.disk_usage()
    cut(place, published, "1")
    assert place.engine.remove_image(name) == [f"Untagged: {name}"]
    assert place.wrong() == []
    assert pending.leased(place.paths.oci) == (set(), set())
    pruned(place, PruneRequest(images=True))
    assert place.engine.disk_usage().totals == before.totals


def test_what_was_kept_goes_in_time(place: Place, published: Published) -> None:
    """The check stays clean until somebody collects; whoever holds the store next does."""
    before = place.engine.disk_usage()
    cut(place, published, "1")
    for path in owed(place):
        os.utime(path, (0, 0))
    assert place.wrong() == []
    runs(place, "small")
    with place.engine._context.images.layout.keeping():
        pass
    assert owed(place) == []
    assert place.engine.disk_usage() == before


def test_an_image_that_is_wrong_leaves_no_part(place: Place, published: Published, publisher: Publisher) -> None:
    """One layer is not what the configuration says, another is still coming: nothing is kept of either."""
    publisher.image("1", published.tars["1"], blobs=[published.blobs["2"][1], published.blobs["1"][1]])
    published.proxy.wrong("GET", published.own["1"], stalls(100_000), times=1)
    before = place.engine.disk_usage()
    with pytest.raises(ImageFormatError):
        place.engine.pull(f"{published.name}:1")
    assert owed(place) == []
    assert place.engine.disk_usage() == before


def test_a_registry_that_fails_meanwhile_keeps_what_has_come(place: Place, published: Published) -> None:
    published.proxy.wrong("GET", published.own["1"], cuts(100_000), times=1)
    published.proxy.wrong("GET", published.own["1"], says(500))
    with pytest.raises(RegistryError):
        place.engine.pull(f"{published.name}:1")
    assert [os.path.basename(path)[:6] for path in owed(place)] == [published.own["1"][:6], "lease-"]


def test_a_pull_that_only_unpacks_can_be_cancelled(place: Place, published: Published) -> None:
    """A blob has come, its files have not; the next pull unpacks it, and fetches nothing."""
    name = f"{published.name}:1"
    cancel = threading.Event()
    with place.engine._context.images.layout.keeping():
        place.engine.pull(name)
        own = chain_ids(place.engine._context.images.resolve(name).config.diff_ids)[-1]
        place.engine.remove_image(name)
        shutil.rmtree(f"{place.paths.layers}/{own}")
        published.fetched()

        def cancel_it(step: Progress) -> None:
            if step.text == "unpacking":
                cancel.set()
                time.sleep(0.3)

        with pytest.raises(Cancelled):
            place.engine.pull(name, progress=cancel_it, cancel=cancel)
        assert not os.path.exists(f"{place.paths.layers}/{own}")
    assert place.wrong() == []
    place.engine.pull(name)
    assert published.fetched() == {}
    assert owed(place) == []
    runs(place, name)
