"""The store: finding, naming, removing, checking; several processes at once; other tools' view of it."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import zstandard

from pyctr_engine.errors import Conflict, EngineError, ImageFormatError, InvalidValue, NotFound
from pyctr_engine.images import pending
from pyctr_engine.images.store import Image, ImageStore, Use
from pyctr_engine.model.oci import MANIFEST
from pyctr_engine.model.spec import CommitRequest
from pyctr_engine.paths import Paths
from tests.engine.images.tars import entry, tar, write

pytestmark = pytest.mark.root

ROOTFS = tar(
    entry("etc", tarfile.DIRTYPE), entry("etc/motd", data=b"hello", uid=1_000_000_000), entry("x", data=b"x")
)


@pytest.fixture
def archive(tmp_path: Path) -> str:
    return write(tmp_path / "rootfs.tar", ROOTFS)


def child(store: ImageStore, base: Image, name: str, file: str, tmp_path: Path) -> Image:
    """An image with one layer more than ``base``."""
    upper = tmp_path / f"upper-{name}"
    upper.mkdir(mode=0o755)
    (upper / file).write_text(file)
    return store.commit(base, str(upper), base.config, CommitRequest(name=name), "test")


def held(store: ImageStore) -> tuple[int, int]:
    """How many blobs and layers there are."""
    return len(os.listdir(store.layout.blobs)), len(store.layers_on_disk.chains())


@pytest.mark.parametrize("how", ["tar", "gzip", "zstd", "stdin"])
def test_import_in_every_form(store: ImageStore, tmp_path: Path, how: str) -> None:
    data = {"gzip": gzip.compress(ROOTFS), "zstd": zstandard.compress(ROOTFS)}.get(how, ROOTFS)
    path = write(tmp_path / "rootfs", data)
    if how == "stdin":
        code = (
            "import sys; from pyctr_engine.images.store import ImageStore; from pyctr_engine.paths import Paths\n"
            "ImageStore(Paths(sys.argv[1], '/nonexistent')).import_tar('-', 'app:1', ['USER web'], 'why')"
        )
        state = os.path.dirname(store.layout.directory)
        with open(path, "rb") as file:
            subprocess.run([sys.executable, "-c", code, state], stdin=file, check=True)
    else:
        store.import_tar(path, "app:1", ["USER web"], "why")
    image = store.resolve("app:1")
    assert Path(store.layers_on_disk.directory, image.chain[0], "etc/motd").read_bytes() == b"hello"
    assert image.extra_ids == ((1_000_000_000, 1),)
    assert image.config.user == "web"
    (line,) = store.layers("app:1")
    assert (line.comment, line.empty, line.size) == ("why", False, 6)
    assert store.verify()[0].level == "ok"


@pytest.mark.parametrize(
    ("data", "error"),
    [(b"", ImageFormatError), (b"BZh9", ImageFormatError), (gzip.compress(ROOTFS)[:-9], ImageFormatError),
     (zstandard.compress(ROOTFS)[:-40], ImageFormatError)],
)  # fmt: skip
def test_a_bad_archive_leaves_nothing(
    store: ImageStore, tmp_path: Path, data: bytes, error: type[EngineError]
) -> None:
    with pytest.raises(error):
        store.import_tar(write(tmp_path / "bad", data), "bad")
    assert held(store) == (0, 0)
    assert store.list() == []
    assert store.verify()[0].level == "ok"


def test_an_archive_that_is_not_there(store: ImageStore) -> None:
    with pytest.raises(NotFound, match="no such file"):
        store.import_tar("/nonexistent.tar", "x")


def test_found_by_name_and_by_id(store: ImageStore, archive: str) -> None:
    image = store.import_tar(archive, "team/app:1")
    store.tag("team/app:1", "other")
    for ref in (
        "team/app:1",
        "docker.io/team/app:1",
        "other",
        "other:latest",
        image.id,
        image.id[7:],
        image.id[7:15],
    ):
        assert store.resolve(ref).id == image.id
    assert store.resolve(image.id).names == ("other:latest", "team/app:1")
    with pytest.raises(NotFound) as missing:
        store.resolve("team/ap:1")
    assert "team/app:1" in missing.value.hint
    for ref in ("", "nothing", "f" * 64, "UPPER CASE", "../x"):
        with pytest.raises(NotFound):
            store.resolve(ref)


def test_an_id_prefix_of_several_images_is_ambiguous(store: ImageStore, archive: str) -> None:
    ids = {store.import_tar(archive, f"a:{n}", [f"LABEL n={n}"]).id[7] for n in range(17)}
    assert len(ids) < 17
    shared = next(digit for digit in ids if sum(summary.id[7] == digit for summary in store.list()) > 1)
    with pytest.raises(InvalidValue, match="several images"):
        store.resolve(shared)


def test_removal_takes_exactly_what_nobody_else_needs(store: ImageStore, archive: str, tmp_path: Path) -> None:
    base = store.import_tar(archive, "base")
    one = child(store, base, "one", "1", tmp_path)
    two = child(store, one, "two", "2", tmp_path)
    assert held(store) == (3 + 2 * 3, 3)
    assert store.remove("base") == ["Untagged: base:latest", f"Deleted: {base.id}"]
    assert store.remove("one") == ["Untagged: one:latest", f"Deleted: {one.id}"]
    assert store.verify()[0].level == "ok"
    assert len(store.resolve("two").chain) == 3
    assert store.remove("two")[-1] == f"Deleted: {two.id}"
    assert held(store) == (0, 0)
    assert os.listdir(f"{store.layers_on_disk.directory}/l") == []


def test_names_go_one_by_one(store: ImageStore, archive: str) -> None:
    image = store.import_tar(archive, "a")
    store.tag("a", "b")
    with pytest.raises(Conflict, match="several names"):
        store.remove(image.id)
    assert store.remove("a") == ["Untagged: a:latest"]
    assert store.remove(image.id) == ["Untagged: b:latest", f"Deleted: {image.id}"]
    store.import_tar(archive, "a")
    store.tag("a", "b")
    assert len(store.remove("a", force=True)) == 1
    assert store.resolve("b").names == ("b:latest",)


def used(paths: Paths, **uses: Use) -> ImageStore:
    """The store as an engine sees it that has these containers."""
    return ImageStore(paths, lambda: list(uses.values()))


def test_an_image_in_use_stays(store: ImageStore, paths: Paths, archive: str) -> None:
    image = store.import_tar(archive, "a")
    store.tag("a", "b")
    store = used(paths, web=Use(image.id, "web", image.chain))
    assert store.remove("b") == ["Untagged: b:latest"]
    for ref in ("a", image.id, image.id[7:19]):
        with pytest.raises(Conflict, match="container web"):
            store.remove(ref)
    assert store.remove("a", force=True) == ["Untagged: a:latest"]
    assert store.resolve(image.id).chain == image.chain
    for force in (False, True):
        with pytest.raises(Conflict, match="container web"):
            store.remove(image.id, force)
    store = ImageStore(paths)
    assert store.remove(image.id) == [f"Deleted: {image.id}"]


def test_an_id_means_all_names_and_no_running_container(store: ImageStore, paths: Paths, archive: str) -> None:
    image = store.import_tar(archive, "a:1")
    store.tag("a:1", "b:1")
    with pytest.raises(Conflict, match="several names: a:1, b:1"):
        store.remove(image.id[7:19])
    running = used(paths, web=Use(image.id, "web", image.chain, is_running=True))
    for force in (False, True):
        with pytest.raises(Conflict, match="running container web"):
            running.remove(image.id, force)
    assert running.remove("a:1", force=True) == ["Untagged: a:1"]
    assert store.remove("b:1") == ["Untagged: b:1", f"Deleted: {image.id}"]
    image = store.import_tar(archive, "a:1")
    store.tag("a:1", "b:1")
    stopped = used(paths, old=Use(image.id, "old", image.chain))
    assert stopped.remove(image.id[7:19], force=True) == ["Untagged: a:1", "Untagged: b:1"]
    assert [summary.names for summary in store.list()] == [()]
    assert len(held_digests(store)) == 3


def held_digests(store: ImageStore) -> set[str]:
    return set(os.listdir(store.layout.blobs))


def test_what_a_container_needs_stays_though_the_index_lost_it(store: ImageStore, paths: Paths, archive: str) -> None:
    image = store.import_tar(archive, "a")
    before = held(store)
    with store.layout.edit() as entries:  # another tool's doing
        entries.clear()
    assert used(paths, web=Use(image.id, "web", image.chain)).collect()
    assert held(store) == before
    assert store.collect()
    assert held(store) == (0, 0)


def test_nothing_that_is_being_made_is_collected(store: ImageStore, archive: str) -> None:
    store.import_tar(archive, "a")
    with store.layout.adding():
        fresh = store.layout.write_bytes(b"just written", "x")
        store.remove("a")
        assert store.layout.has(fresh)
        assert held(store) == (4, 1)
    assert held(store) == (0, 0), "who was adding does what the removal could not"


def test_what_a_failure_left_is_collected_at_once(store: ImageStore, archive: str) -> None:
    with pytest.raises(RuntimeError), store.layout.adding():
        store.layout.write_bytes(b"written, never named", "x")
        raise RuntimeError
    assert held(store) == (0, 0)
    assert pending.slips(store.layout.directory) == []


def test_a_slip_of_a_killed_process_is_seen_by_the_next(store: ImageStore, archive: str) -> None:
    program = (
        "import os, sys; from pyctr_engine.images.store import ImageStore; from pyctr_engine.paths import Paths\n"
        "store = ImageStore(Paths(sys.argv[1], '/nonexistent'))\n"
        "with store.layout.adding():\n"
        "    store.layout.write_bytes(b'written, never named', 'x')\n"
        "    os._exit(9)"
    )
    done = subprocess.run([sys.executable, "-c", program, store.state])
    assert done.returncode == 9
    assert held(store) == (1, 0)
    store.import_tar(archive, "a")
    assert held(store) == (3, 1)
    assert pending.slips(store.layout.directory) == []


def test_a_lease_keeps_what_no_image_names(store: ImageStore, monkeypatch: pytest.MonkeyPatch) -> None:
    with store.layout.adding():
        kept = store.layout.write_bytes(b"of an interrupted pull", "x")
        pending.lease(store.layout.directory, "debian:12", [kept.digest])
    store.collect()
    assert store.layout.has(kept)
    assert store.verify()[0].level == "ok"
    monkeypatch.setattr(pending, "LEASE_SECONDS", -1.0)
    store.collect()
    assert held(store) == (0, 0)
    pending.end_lease(store.layout.directory, "debian:12")


def test_a_reader_does_not_stumble_over_what_goes_meanwhile(store: ImageStore, archive: str) -> None:
    store.import_tar(archive, "kept")
    program = (
        "import sys; from pyctr_engine.images.store import ImageStore; from pyctr_engine.paths import Paths\n"
        "store = ImageStore(Paths(sys.argv[1], '/nonexistent'))\n"
        "for n in range(12):\n"
        "    store.import_tar(sys.argv[2], 'gone', [f'LABEL n={n}'])\n"
        "    store.remove('gone')"
    )
    other = subprocess.Popen([sys.executable, "-c", program, store.state, archive])
    looks = 0
    while other.poll() is None:
        assert "kept:latest" in [name for summary in store.list() for name in summary.names]
        store.resolve("kept")
        looks += 1
    assert other.returncode == 0
    assert looks > 20


def test_a_lost_layer_is_unpacked_again(store: ImageStore, archive: str) -> None:
    image = store.import_tar(archive, "a")
    for chain in store.layers_on_disk.chains():
        store.layers_on_disk.remove(chain)
    assert store.verify()[0].level == "ok"
    assert store.resolve("a") == image
    assert store.verify()[0].level == "ok"


def test_verify_finds_damage_and_litter(store: ImageStore, archive: str) -> None:
    store.import_tar(archive, "a")
    line = store.layers("a")[0]
    blob = store.layout.path(line.digest)
    with open(blob, "r+b") as file:
        file.write(b"?")
    Path(store.layout.blobs, ".tmp-left").touch()
    Path(store.layers_on_disk.directory, ".tmp-left").mkdir()
    levels = {(finding.level, finding.subject) for finding in store.verify()}
    assert levels == {("fail", "image blob"), ("warn", "image store")}
    os.truncate(blob, 10)
    assert ("fail", "image a:latest") in {(finding.level, finding.subject) for finding in store.verify()}
    store.remove("a")
    assert held(store) == (0, 0)
    assert [finding.level for finding in store.verify()] == ["ok"]


def test_two_processes_import_the_same_at_once(store: ImageStore, tmp_path: Path) -> None:
    big = tar(*(entry(f"d{n // 100}-{n}", data=os.urandom(20000)) for n in range(600)))
    archive = write(tmp_path / "big.tar", big)
    code = (
        "import sys; from pyctr_engine.images.store import ImageStore; from pyctr_engine.paths import Paths\n"
        "print(ImageStore(Paths(sys.argv[1], '/nonexistent')).import_tar(sys.argv[2], sys.argv[3]).chain)"
    )
    state = os.path.dirname(store.layout.directory)
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code, state, archive, name],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in ("same", "same", "other")
    ]
    outputs = [process.communicate() for process in running]
    assert [process.returncode for process in running] == [0, 0, 0], outputs
    assert len({out for out, _trouble in outputs}) == 1
    assert len(store.layers_on_disk.chains()) == 1
    assert store.layers_on_disk.leftovers() == []
    assert store.resolve("same").chain == store.resolve("other").chain
    assert [finding.level for finding in store.verify()] == ["ok"]


def test_saved_and_loaded_it_is_the_same_image(store: ImageStore, archive: str, tmp_path: Path) -> None:
    base = store.import_tar(archive, "base")
    made = child(store, base, "made", "1", tmp_path)
    for target in (str(tmp_path / "saved.tar"), str(tmp_path / "layout") + "/"):
        store.save(["base", "made"], target)
        other = ImageStore(Paths(str(tmp_path / f"state{len(target)}"), "/nonexistent"))
        assert [image.id for image in other.load(target)] == [base.id, made.id]
        assert other.resolve("made").config == made.config
        assert other.resolve("made").digest == made.digest
        assert other.verify()[0].level == "ok"
        before = held(other)
        assert [image.id for image in other.load(target)] == [base.id, made.id]
        assert held(other) == before
    again = str(tmp_path / "again.tar")
    store.save(["base", "made"], again)
    assert Path(again).read_bytes() == (tmp_path / "saved.tar").read_bytes()


def test_a_compressed_archive_is_loaded_too(store: ImageStore, archive: str, tmp_path: Path) -> None:
    image = store.import_tar(archive, "app")
    store.save(["app"], str(tmp_path / "a.tar"))
    packed = write(tmp_path / "a.tar.gz", gzip.compress((tmp_path / "a.tar").read_bytes()))
    store.remove("app")
    assert [loaded.id for loaded in store.load(packed)] == [image.id]
    assert sorted(name for name in os.listdir(store.layout.directory) if "tmp" in name) == []


def tampered(path: Path, change: dict[str, bytes]) -> str:
    """The archive with some files' contents replaced."""
    buffer = io.BytesIO()
    with tarfile.open(path) as source, tarfile.open(fileobj=buffer, mode="w") as target:
        for member in source.getmembers():
            data = b"" if not member.isreg() else source.extractfile(member).read()  # type: ignore[union-attr]
            data = change.get(member.name, data)
            member.size = len(data)
            target.addfile(member, io.BytesIO(data))
    return write(path.with_suffix(".bad"), buffer.getvalue())


@pytest.mark.parametrize(
    "what", ["manifest", "config", "layer", "another layer", "missing manifest", "index", "empty"]
)
def test_a_lying_archive_is_refused_whole(store: ImageStore, archive: str, tmp_path: Path, what: str) -> None:
    store.import_tar(archive, "app")
    store.save(["app"], str(tmp_path / "a.tar"))
    stored = store.find("app")
    blobs = {
        "manifest": stored.entry.digest,
        "config": stored.id,
        "layer": stored.manifest.layers[0].digest,
    }
    store.remove("app")
    if what in blobs:
        change = {f"blobs/sha256/{blobs[what][7:]}": b"{}" * 100}
    elif what == "another layer":
        change = {f"blobs/sha256/{blobs['layer'][7:]}": tar(entry("evil"))}
    elif what == "missing manifest":
        gone = {"mediaType": MANIFEST, "digest": "sha256:" + "0" * 64, "size": 3}
        change = {"index.json": json.dumps({"schemaVersion": 2, "manifests": [gone]}).encode()}
    else:
        change = {"index.json": b"[" if what == "index" else b'{"manifests":[]}'}
    with pytest.raises(ImageFormatError):
        store.load(tampered(tmp_path / "a.tar", change))
    assert store.list() == []
    assert store.layers_on_disk.chains() == []


def test_what_is_no_image_archive_is_told_so(store: ImageStore, archive: str, tmp_path: Path) -> None:
    with pytest.raises(ImageFormatError) as refused:
        store.load(archive)
    assert "import" in refused.value.hint
    with pytest.raises(ImageFormatError):
        store.load(str(tmp_path))
    with pytest.raises(NotFound):
        store.load("/nonexistent")


def run(*arguments: str) -> str:
    return subprocess.run(arguments, check=True, capture_output=True, text=True).stdout


def test_skopeo_and_umoci_read_the_store_in_place(store: ImageStore, archive: str, tmp_path: Path) -> None:
    base = store.import_tar(archive, "team/app:1", ["ENV A=b"])
    made = child(store, base, "made", "new", tmp_path)
    told = json.loads(run("skopeo", "inspect", f"oci:{store.layout.directory}:team/app:1"))
    assert told["Digest"] == base.digest
    assert told["Env"] == ["A=b"]
    assert sorted(run("umoci", "ls", "--layout", store.layout.directory).split()) == ["made:latest", "team/app:1"]
    run("umoci", "unpack", "--image", f"{store.layout.directory}:made:latest", str(tmp_path / "bundle"))
    assert (tmp_path / "bundle" / "rootfs" / "new").read_text() == "new"
    assert (tmp_path / "bundle" / "rootfs" / "etc" / "motd").stat().st_uid == 1_000_000_000
    run("skopeo", "copy", f"oci:{store.layout.directory}:made:latest", f"oci:{tmp_path}/copy:made:latest")
    other = ImageStore(Paths(str(tmp_path / "other"), "/nonexistent"))
    assert [image.id for image in other.load(str(tmp_path / "copy"))] == [made.id]


def test_dockers_own_archives_are_loaded(store: ImageStore, archive: str, tmp_path: Path) -> None:
    image = store.import_tar(archive, "app:1", ["CMD x"])
    run("skopeo", "copy", f"oci:{store.layout.directory}:app:1", f"docker-archive:{tmp_path}/docker.tar:app:1")
    store.remove("app:1")
    (loaded,) = store.load(str(tmp_path / "docker.tar"))
    assert loaded.names == ("app:1",)
    assert loaded.chain == image.chain
    assert loaded.config.cmd == image.config.cmd


def test_an_image_that_another_tool_put_into_the_store_runs(store: ImageStore, archive: str, tmp_path: Path) -> None:
    store.import_tar(archive, "app:1")
    store.save(["app:1"], str(tmp_path / "a.tar"))
    store.remove("app:1")
    run("skopeo", "copy", f"oci-archive:{tmp_path}/a.tar:app:1", f"oci:{store.layout.directory}:app:1")
    assert Path(store.layers_on_disk.directory, store.resolve("app:1").chain[0], "x").read_text() == "x"


def test_inspect_speaks_docker(store: ImageStore, archive: str) -> None:
    image = store.import_tar(archive, "app:1", ["CMD x"], "why")
    told = store.inspect("app:1")
    assert told["Id"] == image.id
    assert told["RepoTags"] == ["app:1"]
    assert told["RepoDigests"] == [f"app@{image.digest}"]
    assert told["Config"] == {"Cmd": ["/bin/sh", "-c", "x"]}
    assert told["RootFS"] == {"Type": "layers", "Layers": list(image.config.diff_ids)}
    assert told["Size"] == 6
    json.dumps(told)


def test_resolving_imports_nothing_heavy(store: ImageStore, archive: str) -> None:
    store.import_tar(archive, "app")
    code = (
        "import sys; from pyctr_engine.images.store import ImageStore; from pyctr_engine.paths import Paths\n"
        "ImageStore(Paths(sys.argv[1], '/nonexistent')).resolve('app')\n"
        "heavy = {'tarfile', 'zstandard', 'subprocess', 'datetime', 'difflib', 'pathlib', 'tempfile', 'shutil'}\n"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    state = os.path.dirname(store.layout.directory)
    assert run(sys.executable, "-I", "-c", code, state) == "[]\n"
