"""Every kind of damage is found, told in a line, mended if it can be, and then the check is clean."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pyctr_engine.model.spec import CommitRequest, ContainerRequest, Mount, Port
from pyctr_engine.model.tidy import Repair
from tests.engine.tidy.conftest import Place

pytestmark = pytest.mark.root


def mended(place: Place, found: str, done: str) -> list[Repair]:
    """The damage is told as ``found``, mended as ``done``; the check is clean after."""
    wrong = [f"{finding.subject}: {finding.detail}" for finding in place.wrong()]
    assert any(found in line for line in wrong), wrong
    repairs = place.engine.repair()
    assert all(repair.done for repair in repairs), repairs
    assert any(done in repair.detail for repair in repairs), repairs
    assert place.wrong() == []
    assert place.engine.repair() == []
    return repairs


def left(place: Place, why: str) -> None:
    """It is not mended, and said why."""
    repairs = [repair for repair in place.engine.repair() if not repair.done]
    assert any(why in repair.detail for repair in repairs), repairs


def layer(place: Place, ref: str = "small") -> str:
    """The directory of an image's topmost layer."""
    images = place.engine._context.images
    return os.path.realpath(f"{images.layers_on_disk.directory}/{images.resolve(ref).chain[0]}")


def blob(place: Place, ref: str = "small", index: int = 0) -> str:
    images = place.engine._context.images
    return images.layout.path(images.find(ref).manifest.layers[index].digest)


def runs(place: Place, ref: str = "small") -> None:
    _, session = place.engine.run(ContainerRequest(ref, command=("cat", "/data/seed"), auto_remove=True))
    assert session.wait() == 0


DAMAGES: dict[str, tuple[Callable[[str], object], str]] = {
    "a file is gone": (lambda fs: os.unlink(f"{fs}/data/seed"), "/data/seed is missing"),
    "a file more": (lambda fs: Path(fs, "data", "more").touch(), "/data/more is not of this layer"),
    "a file cut short": (lambda fs: os.truncate(f"{fs}/data/seed", 2), "has 2 bytes instead of 4"),
    "a file written to": (lambda fs: Path(fs, "data", "seed").write_text("SEED"), "/data/seed was changed"),
    "another mode": (lambda fs: os.chmod(f"{fs}/bin/busybox", 0o700), "/bin/busybox has another mode"),
    "another owner": (lambda fs: os.chown(f"{fs}/etc/passwd", 7, 7), "/etc/passwd has another owner"),
    "a link elsewhere": (
        lambda fs: (os.unlink(f"{fs}/bin/sh"), os.symlink("true", f"{fs}/bin/sh")),
        "/bin/sh leads elsewhere",
    ),
    "another type": (lambda fs: (os.unlink(f"{fs}/bin/sh"), os.mkdir(f"{fs}/bin/sh")), "/bin/sh is of another type"),
    "no record": (lambda fs: os.unlink(f"{fs}/../layer.json"), "has no record"),
    "a damaged record": (lambda fs: Path(f"{fs}/../layer.json").write_text("{"), "damaged layer.json"),
    "no files": (lambda fs: shutil.rmtree(fs), "its files are gone"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_layer_is_unpacked_again(place: Place, damage: str) -> None:
    harm, told = DAMAGES[damage]
    container = place.ended("old")
    harm(layer(place))
    mended(place, told, "unpacked again")
    place.engine.start(container)
    assert place.engine.wait(container) == 0
    runs(place)


def test_a_lost_layer_or_link_of_a_container_is_made_again(place: Place) -> None:
    container = place.ended("old")
    shutil.rmtree(os.path.dirname(layer(place)))
    mended(place, "is not unpacked", "unpacked again")
    links = f"{place.paths.layers}/l"
    os.unlink(f"{links}/{os.listdir(links)[0]}")
    mended(place, "has no link", "unpacked again")
    place.engine.start(container)
    assert place.engine.wait(container) == 0


def test_a_layer_is_left_alone_while_a_container_runs_on_it(place: Place) -> None:
    live = place.engine.create(ContainerRequest("small", command=("sleep", "1000"), name="live", stop_grace=0.1))
    place.engine.start(live.id)
    os.unlink(f"{layer(place)}/data/seed")
    left(place, "container live runs on it")
    assert place.engine.container("live").state.is_alive
    place.engine.remove("live", force=True)
    mended(place, "is missing", "unpacked again")


def test_upper_layers_are_compared_as_they_are_meant(place: Place) -> None:
    """Deletions, replaced directories, directories that only lead somewhere, hard links."""
    script = "rm /data/seed; cd /etc; cat passwd > shadow; rm -r /data; mkdir /data; echo 1 > /data/x; "
    place.ended("made", "sh", "-c", script)
    place.engine.commit("made", CommitRequest(name="made:1"))
    assert place.wrong() == []
    os.unlink(f"{layer(place, 'made:1')}/etc/shadow")
    mended(place, "/etc/shadow is missing", "unpacked again")


def test_a_damaged_blob_takes_its_image_along_if_no_container_needs_it(place: Place) -> None:
    place.ended("made", "sh", "-c", "echo 1 > /one")
    place.engine.commit("made", CommitRequest(name="made:1"))
    with open(blob(place, "made:1", 1), "r+b") as file:
        file.write(b"?")
    repairs = mended(place, "is damaged", "dropped with made:1")
    assert [image.names for image in place.engine.images()] == [("small:latest",)]
    assert len(repairs) == 3, "the blob, the image, and what only that needed"


def test_what_a_container_was_made_from_stays_though_its_blob_is_lost(place: Place, tmp_path: Path) -> None:
    container = place.ended("old")
    place.engine.save(["small"], str(tmp_path / "small.tar"))
    with open(blob(place), "r+b") as file:
        file.write(b"?")
    left(place, "kept, for container old was made from it")
    place.engine.start(container)
    assert place.engine.wait(container) == 0
    place.engine.load(str(tmp_path / "small.tar"))
    assert place.wrong() == []


def test_a_lost_index_is_made_again(place: Place) -> None:
    place.ended("old")
    Path(place.paths.oci, "index.json").write_text("{")
    mended(place, "index.json", "made anew of 1 images")
    assert [image.names for image in place.engine.images()] == [()]
    place.engine.tag(place.engine.images()[0].id, "small")
    runs(place)


def test_the_image_of_a_container_comes_back_into_the_index(place: Place) -> None:
    place.ended("old")
    with place.engine._context.images.layout.edit() as entries:
        entries.clear()
    mended(place, "is not in the index", "back in the index")


def test_orphans_go(place: Place) -> None:
    images = place.engine._context.images
    Path(images.layout.blobs, ".tmp-1").touch()
    Path(images.layers_on_disk.directory, "ab" * 32).mkdir()
    os.symlink("../nothing/fs", f"{images.layers_on_disk.directory}/l/NOTHIN")
    mended(place, "1 blobs, 1 layers and 1 links that nothing refers to", "removed")


def test_directories_of_nobody(place: Place) -> None:
    for name in ("a" * 64, ".going-b"):
        Path(place.paths.containers, name, "upper").mkdir(parents=True)
    Path(place.paths.run_containers, "c" * 64).mkdir(parents=True)
    wrote = Path(place.paths.containers, "d" * 64, "upper")
    wrote.mkdir(parents=True)
    (wrote / "precious").write_text("x")
    mended(place, "belongs to no container", "when what its container wrote is not needed")
    assert os.listdir(place.paths.containers) == []
    assert os.listdir(place.paths.run_containers) == []
    assert Path(place.paths.state, "lost", "d" * 64, "upper", "precious").exists()


def test_a_container_without_files_is_forgotten(place: Place) -> None:
    container = place.ended("old")
    shutil.rmtree(place.paths.container(container))
    shutil.rmtree(place.paths.run_container(container))
    mended(place, "old is half made", "removed")
    assert place.engine.containers() == []


def test_leases_of_nobody_and_lost_ones(place: Place) -> None:
    place.ended("old")
    database = place.engine._context.database
    before = database.connection.execute("SELECT * FROM id_ranges").fetchall()
    with database.transaction() as connection:
        for table in ("addresses", "id_ranges"):
            connection.execute(f"DELETE FROM {table}")
        connection.execute("INSERT INTO id_ranges VALUES (524288000, 65536, 'gone')")
        connection.execute("INSERT INTO addresses VALUES ('bridge', 1, 'gone')")
        connection.execute("INSERT INTO published_ports VALUES ('tcp', '', 1, 'gone', 80)")
    repairs = mended(place, "a range of host ids is leased to gone", "released the address of gone")
    assert len(repairs) == 5
    assert database.connection.execute("SELECT * FROM id_ranges").fetchall() == before


def test_ports_of_a_start_that_was_killed(place: Place) -> None:
    """They are freed by a repair, and by the next start that wants them."""
    for name in ("old", "other", "third"):
        place.engine.create(ContainerRequest("small", command=("true",), name=name, ports=(Port(80, 18080),)))
    database = place.engine._context.database
    sql = "INSERT INTO published_ports SELECT 'tcp', '', 18080, id, 80 FROM containers WHERE name = ?"
    with database.transaction() as connection:
        connection.execute(sql, ("old",))
    mended(place, "old holds ports, but does not run", "released the ports of old")
    with database.transaction() as connection:
        connection.execute(sql, ("other",))
    place.engine.start("third")
    assert place.engine.wait("third") == 0


def test_volumes(place: Place) -> None:
    mount = Mount("volume", "used", "/v")
    place.engine.create(ContainerRequest("small", command=("true",), name="user", mounts=(mount,)))
    place.engine.create(ContainerRequest("small", name="x", mounts=(Mount("volume", "unused", "/v"),)))
    place.engine.remove("x")
    for name in ("used", "unused"):
        shutil.rmtree(f"{place.paths.volumes}/{name}")
    for name in ("stray/_data", ".going-1", ".coming-1"):
        os.makedirs(f"{place.paths.volumes}/{name}")
    repairs = mended(place, "the files of volume used are gone", "made anew: it is empty")
    assert {repair.detail for repair in repairs} >= {
        "forgot volume unused, whose files were gone",
        "recorded volume stray",
    }
    assert [volume["name"] for volume in place.engine.volumes()] == ["stray", "used"]
    assert sorted(os.listdir(place.paths.volumes)) == ["stray", "used"]
    place.engine.start("user")
    assert place.engine.wait("user") == 0


def test_cgroups_of_nobody_go_with_what_runs_in_them(place: Place) -> None:
    place.ended("old")
    context = place.engine._context
    directory = context.cgroups.directory("unified", context.cgroup_parent, "e" * 64)[1]
    os.makedirs(directory)
    with subprocess.Popen(["sleep", "1000"]) as process:
        Path(directory, "cgroup.procs").write_text(str(process.pid))
        mended(place, "the cgroup of eeeeeeeeeeee belongs to no container", "with all that ran in it")
        assert process.wait(10) == -9


def test_mounts_of_nobody(place: Place) -> None:
    place.ended("old")
    point = layer(place)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", f"{point}/data"], check=True)
    try:
        mended(place, f"something is mounted on {point}/data", f"unmounted {point}/data")
    finally:
        subprocess.run(["umount", "-q", f"{point}/data"], check=False)


def test_a_bridge_without_rules_is_mended(place: Place) -> None:
    live = ContainerRequest("small", command=("sleep", "1000"), name="live", ports=(Port(80, 0),), stop_grace=0.1)
    place.engine.start(place.engine.create(live).id)
    subprocess.run(["nft", "delete", "table", "ip", f"pyctr-{place.paths.tag}"], check=True)
    mended(place, "or its firewall rules are not there", "made again")
