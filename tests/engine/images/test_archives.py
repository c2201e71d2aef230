"""Archives of every age and form: loaded as they are meant, refused when they lie, written so that others can."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import json
import lzma
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import zstandard

from pyctr_engine.errors import EngineError, ImageFormatError, InvalidValue, NotFound
from pyctr_engine.images import archive_source
from pyctr_engine.images.commit import timestamp_now
from pyctr_engine.images.store import ImageStore
from pyctr_engine.model.oci import FULL_NAME, INDEX, LAYER_ZSTD, MANIFEST, REF_NAME, ImageConfig, Manifest
from pyctr_engine.paths import Paths
from tests.engine.images.tars import entry, tar, write
from tests.engine.images.view import look

pytestmark = pytest.mark.root

SYMLINK = tarfile.SYMTYPE
LOWER = tar(entry("etc", tarfile.DIRTYPE), entry("etc/motd", data=b"hello"), entry("gone", data=b"x"))
UPPER = tar(entry("etc/new", data=b"new"), entry(".wh.gone"))


def fresh(directory: Path) -> ImageStore:
    return ImageStore(Paths(str(directory), "/nonexistent"))


def document(name: str, content: object) -> tuple[tarfile.TarInfo, bytes]:
    return entry(name, data=json.dumps(content).encode())


def first_version(parent: object = "a" * 64) -> bytes:
    """What docker 1.8 saved: two images, one on top of the other."""
    common = {"created": "2014-01-01T00:00:00Z", "architecture": "amd64", "os": "linux", "docker_version": "1.8"}
    low = {**common, "id": "a" * 64, "Size": 5, "container_config": {"Cmd": ["/bin/sh", "-c", "#(nop) ADD"]}}
    made = {"author": "somebody", "comment": "why", "container_config": {"Cmd": ["touch", "/etc/new"]}}
    run = {"config": {"Cmd": ["sh"], "Env": ["A=1"]}}
    top = {**common, **made, **run, "id": "b" * 64, "parent": parent}
    return tar(
        document("repositories", {"old": {"1": "b" * 64, "latest": "b" * 64}, "reg.example/base": {"x": "a" * 64}}),
        document(f"{'a' * 64}/json", low),
        entry(f"{'a' * 64}/layer.tar", data=LOWER),
        entry(f"{'a' * 64}/VERSION", data=b"1.0"),
        document(f"{'b' * 64}/json", top),
        entry(f"{'b' * 64}/layer.tar", data=UPPER),
    )


def test_dockers_first_version(store: ImageStore, tmp_path: Path) -> None:
    images = {
        name: image for image in store.load(write(tmp_path / "old.tar", first_version())) for name in image.names
    }
    assert images.keys() == {"old:1", "old:latest", "reg.example/base:x"}
    image = images["old:1"]
    assert (image.config.cmd, image.config.env, image.config.author) == (("sh",), ("A=1",), "somebody")
    assert [step.created_by for step in image.config.history] == ["/bin/sh -c #(nop) ADD", "touch /etc/new"]
    assert image.config.history[1].comment == "why"
    assert image.config.extra["docker_version"] == "1.8"
    assert not {"id", "parent", "Size"} & image.config.extra.keys()
    assert len(image.chain) == 2
    tree = look([f"{store.layers_on_disk.directory}/{link}" for link in image.chain])
    assert sorted(tree) == [".", "etc", "etc/motd", "etc/new"]
    assert store.verify()[0].level == "ok"


@pytest.mark.parametrize("parent", ["b" * 64, "c" * 64, "../../etc", 7])
def test_a_parent_that_can_not_be(store: ImageStore, tmp_path: Path, parent: object) -> None:
    with pytest.raises(ImageFormatError):
        store.load(write(tmp_path / "old.tar", first_version(parent)))
    assert store.list() == []


def docker_archive(tmp_path: Path, *more: tuple[tarfile.TarInfo, bytes], **changes: object) -> bytes:
    """An image as docker 20 saves it, with something changed."""
    source = fresh(tmp_path / "source")
    image = source.import_tar(write(tmp_path / "lower.tar", LOWER), "made:1")
    with open(source.layout.path(image.id), "rb") as file:
        config = file.read()
    manifest = {"Config": "config.json", "RepoTags": ["made:1", "also:2"], "Layers": ["x/layer.tar"], **changes}
    return tar(
        entry("config.json", data=config),
        entry("x/layer.tar", data=LOWER),
        document("manifest.json", [manifest]),
        *more,
    )


def test_two_images_that_share_a_layer_by_a_symlink(store: ImageStore, tmp_path: Path) -> None:
    link = entry("y/layer.tar", SYMLINK, linkname="../z/layer.tar")
    hard = entry("z/layer.tar", tarfile.LNKTYPE, linkname="x/layer.tar")
    (image,) = store.load(write(tmp_path / "a.tar", docker_archive(tmp_path, hard, link, Layers=["y/layer.tar"])))
    assert image.names == ("made:1", "also:2")


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zstandard.compress])
def test_compressed_outside_and_inside(store: ImageStore, tmp_path: Path, pack: object) -> None:
    assert callable(pack)
    inside = entry("x/layer.tar", data=pack(LOWER))
    data = docker_archive(tmp_path, inside)
    (image,) = store.load(write(tmp_path / "a.tar", pack(data)))
    assert image.config.diff_ids == store.import_tar(write(tmp_path / "l", pack(LOWER)), "again").config.diff_ids
    assert store.verify()[0].level == "ok"


LIES = {
    "a config that is not there": {"Config": "nothing"},
    "a config that is no config": {"Config": "x/layer.tar"},
    "a config by number": {"Config": 3},
    "a layer that is not there": {"Layers": ["nothing"]},
    "a layer too many": {"Layers": ["x/layer.tar", "x/layer.tar"]},
    "no layers": {"Layers": None},
    "a layer that is another": {"Layers": ["config.json"]},
    "a layer that goes round": {"Layers": ["round"]},
}


@pytest.mark.parametrize("lie", LIES)
def test_a_docker_archive_that_lies(store: ImageStore, tmp_path: Path, lie: str) -> None:
    round_ = (entry("round", SYMLINK, linkname="trip"), entry("trip", SYMLINK, linkname="round"))
    with pytest.raises(ImageFormatError):
        store.load(write(tmp_path / "a.tar", docker_archive(tmp_path, *round_, **LIES[lie])))
    assert store.list() == []
    assert store.layers_on_disk.chains() == []


@pytest.mark.parametrize("how", ["..", "absolute", "symlink", "directory symlink", "fifo"])
def test_a_directory_leads_nowhere_else(store: ImageStore, tmp_path: Path, how: str) -> None:
    """A hostile layout that names a file of the host gets nothing of it."""
    with tarfile.open(fileobj=io.BytesIO(docker_archive(tmp_path))) as archive:
        archive.extractall(tmp_path / "layout", filter="data")
    layout = tmp_path / "layout"
    secret = tmp_path / "secret"
    (layout / "x" / "layer.tar").rename(secret)
    path = {
        "..": "../secret",
        "absolute": str(secret),
        "symlink": "link",
        "directory symlink": "up/secret",
        "fifo": "fifo",
    }[how]
    (layout / "link").symlink_to("../secret")
    (layout / "up").symlink_to("..")
    os.mkfifo(layout / "fifo")
    manifest = json.loads((layout / "manifest.json").read_text())
    (layout / "manifest.json").write_text(json.dumps([{**manifest[0], "Layers": [path]}]))
    with pytest.raises(ImageFormatError, match="lacks"):
        store.load(str(layout))
    secret.rename(layout / "inside")
    (layout / "link").unlink()
    (layout / "link").symlink_to("/inside")  # inside the layout, its root is the layout
    (layout / "manifest.json").write_text(json.dumps([{**manifest[0], "Layers": ["link"]}]))
    assert len(store.load(str(layout))) == 1


def test_half_a_character_is_no_text(store: ImageStore, tmp_path: Path) -> None:
    with pytest.raises(ImageFormatError, match="not JSON"):
        store.load(write(tmp_path / "a.tar", docker_archive(tmp_path, RepoTags=["\ud800"])))


def test_too_many_members(store: ImageStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_source, "MAX_MEMBERS", 3)
    with pytest.raises(ImageFormatError, match="more than 3 entries"):
        store.load(write(tmp_path / "a.tar", docker_archive(tmp_path, entry("one more"))))


def test_a_header_that_claims_gigabytes_costs_no_memory(tmp_path: Path) -> None:
    """In the process of the caller: the archive around the layers is read there."""
    bomb = tarfile.TarInfo("././@PaxHeader")
    bomb.type, bomb.size = tarfile.XHDTYPE, 6 << 30
    path = tmp_path / "bomb.tar"
    path.write_bytes(bomb.tobuf(tarfile.GNU_FORMAT))
    os.truncate(path, 7 << 30)
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (400 << 20,) * 2)\n"
        "from pyctr_engine.images.store import ImageStore; from pyctr_engine.paths import Paths\n"
        "from pyctr_engine.errors import ImageFormatError\n"
        "try: ImageStore(Paths(sys.argv[1], '/nonexistent')).load(sys.argv[2])\n"
        "except ImageFormatError as error: print(error)"
    )
    arguments = [sys.executable, "-c", code, str(tmp_path / "state"), str(path)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert "an extended header of 6442450944 bytes" in done.stdout


@pytest.mark.parametrize(
    ("annotations", "name"),
    [
        ({REF_NAME: "app:1"}, "app:1"),
        ({REF_NAME: "1", FULL_NAME: "docker.io/library/app:1"}, "app:1"),
        ({REF_NAME: "docker.io/library/app:1", FULL_NAME: "docker.io/library/app:1"}, "app:1"),
        ({REF_NAME: "other:2", FULL_NAME: "docker.io/library/app:1"}, "other:2"),  # umoci copies what it doesn't know
        ({FULL_NAME: "quay.io/team/app:1"}, "quay.io/team/app:1"),
        ({REF_NAME: "Not A Name"}, ""),
        ({}, ""),
    ],
)
def test_names_in_an_index(store: ImageStore, tmp_path: Path, annotations: dict[str, str], name: str) -> None:
    source = fresh(tmp_path / "source")
    source.import_tar(write(tmp_path / "l", LOWER), "x")
    source.save(["x"], f"{tmp_path}/layout/")
    index = json.loads((tmp_path / "layout" / "index.json").read_text())
    index["manifests"][0]["annotations"] = annotations
    (tmp_path / "layout" / "index.json").write_text(json.dumps(index))
    (image,) = store.load(f"{tmp_path}/layout")
    assert image.names == ((name,) if name else ())


def test_an_index_of_indexes_is_read_once(store: ImageStore, tmp_path: Path) -> None:
    """Four levels of a thousand entries each, all the same: a thousand million million, were each looked at."""
    content = json.dumps(
        {"schemaVersion": 2, "manifests": [{"mediaType": "x", "digest": "sha256:" + "0" * 64, "size": 1}]}
    )
    blobs = []
    for _ in range(4):
        data = content.encode()
        name = hashlib.sha256(data).hexdigest()
        blobs.append(entry(f"blobs/sha256/{name}", data=data))
        below = {"mediaType": INDEX, "digest": f"sha256:{name}", "size": len(data)}
        content = json.dumps({"schemaVersion": 2, "manifests": [below] * 1000})
    with pytest.raises(ImageFormatError, match="holds no image"):
        store.load(write(tmp_path / "a.tar", tar(*blobs, entry("index.json", data=content.encode()))))


def names_in(path: Path) -> set[str]:
    with tarfile.open(path) as archive:
        return {member.name for member in archive if not member.isdir()}


def test_what_save_writes(store: ImageStore, tmp_path: Path) -> None:
    image = store.import_tar(write(tmp_path / "l", LOWER), "app:1")
    store.tag("app:1", "app:2")
    store.tag("app:1", "quay.io/other/app:1")
    for format in ("", "oci", "docker"):
        store.save(["app"], str(tmp_path / f"a{format}"), None, format)  # type: ignore[arg-type]
    digests = {f"blobs/sha256/{digest[7:]}" for digest in (image.id, image.digest, image.config.diff_ids[0])}
    assert names_in(tmp_path / "a") == {*digests, "index.json", "oci-layout", "manifest.json"}
    assert names_in(tmp_path / "aoci") == {*digests, "index.json", "oci-layout"}
    assert names_in(tmp_path / "adocker") == {
        f"{image.id[7:]}.json", f"{image.config.diff_ids[0][7:]}/layer.tar", "manifest.json"
    }  # fmt: skip
    for format in ("", "oci", "docker"):
        (loaded,) = fresh(tmp_path / f"s{format}").load(str(tmp_path / f"a{format}"))
        assert (loaded.id, loaded.names) == (image.id, ("app:1", "app:2")), (
            "a repository's name means all of its tags"
        )
    with tarfile.open(tmp_path / "a") as archive:
        (told,) = json.load(archive.extractfile("manifest.json"))  # type: ignore[arg-type]
    assert told["RepoTags"] == ["docker.io/library/app:1", "docker.io/library/app:2"]
    with pytest.raises(InvalidValue, match="not a directory"):
        store.save(["app"], f"{tmp_path}/d/", None, "docker")


def test_docker_gets_no_zstd(store: ImageStore, tmp_path: Path) -> None:
    image = store.import_tar(write(tmp_path / "l", zstandard.compress(LOWER)), "app")
    assert store.find("app").manifest.layers[0].media_type == LAYER_ZSTD
    store.save(["app"], str(tmp_path / "a"), None, "docker")
    (loaded,) = fresh(tmp_path / "other").load(str(tmp_path / "a"))
    assert loaded.id == image.id
    with tarfile.open(tmp_path / "a") as archive:
        layer = next(member for member in archive if member.name.endswith("layer.tar"))
        assert archive.extractfile(layer).read() == LOWER  # type: ignore[union-attr]


def test_where_an_archive_goes(store: ImageStore, tmp_path: Path) -> None:
    store.import_tar(write(tmp_path / "l", LOWER), "app")
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("before")
    link.symlink_to(target)
    store.save(["app"], str(link))
    assert link.is_symlink()
    assert tarfile.is_tarfile(target)
    store.save(["app"], "/dev/null")
    assert not os.path.isfile("/dev/null")
    with pytest.raises(NotFound, match="no such directory"):
        store.save(["app"], str(tmp_path / "nowhere" / "a"))
    target.write_text("before")
    os.unlink(store.layout.path(store.layers("app")[0].digest))
    with pytest.raises(EngineError):
        store.save(["app"], str(target))
    assert target.read_text() == "before"
    assert sorted(os.listdir(tmp_path)) == ["l", "link", "state", "target"]


def test_one_image_under_two_manifests_is_one(store: ImageStore, tmp_path: Path) -> None:
    """The same configuration with its layers compressed and not, as docker and podman save them."""
    image = store.import_tar(write(tmp_path / "l", LOWER), "app:1")
    packed = store.layout.write_bytes(gzip.compress(LOWER), "application/vnd.oci.image.layer.v1.tar+gzip")
    config = store.find("app:1").manifest.config
    other = store.layout.write_json(Manifest(config, (packed,)).to_json(), MANIFEST)
    store.add_manifest(other, "app:1")
    (summary,) = store.list()
    assert (summary.id, summary.digest, summary.names) == (image.id, other.digest, ("app:1",))
    assert store.add_manifest(image_entry(store, image.digest), "").entry.digest == other.digest, (
        "named it is already"
    )
    store.add_manifest(image_entry(store, image.digest), "app:2")
    assert store.find(image.id).id == image.id
    assert {one.names for one in store.list()} == {("app:1",), ("app:2",)}


def image_entry(store: ImageStore, digest: str):  # type: ignore[no-untyped-def]
    from pyctr_engine.model.oci import Descriptor

    return Descriptor(MANIFEST, digest, os.stat(store.layout.path(digest)).st_size)


@pytest.mark.parametrize(
    ("now", "text"),
    [(10**18 + 5, ".000000005Z"), (10**18 + 120_000_000, ".12Z"), (10**18, "2001-09-09T01:46:40Z")],
)
def test_times_as_go_writes_them(now: int, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time_ns", lambda: now)
    assert timestamp_now().endswith(text)


def test_json_as_go_writes_it(store: ImageStore) -> None:
    """Podman reads a configuration and writes it again: the digest has to stay."""
    config = ImageConfig(architecture="amd64", labels={"x": "<&>\u2028é\udcff"}, diff_ids=("sha256:" + "0" * 64,))
    store.layout.ensure()
    written = store.layout.write_json(config.to_json(), "x")
    with open(store.layout.path(written.digest), "rb") as file:
        data = file.read()
    assert b'"x":"\\u003c\\u0026\\u003e\\u2028\xc3\xa9\\udcff"' in data
    assert ImageConfig.from_json(store.layout.read_json(written.digest)) == config
