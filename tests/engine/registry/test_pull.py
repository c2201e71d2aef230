"""Pulls from an honest registry: kinds of manifests, compressions, platforms, what is there already."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest
import zstandard

from pyctr_engine.engine import Engine
from pyctr_engine.errors import EngineError, NotFound, NotPermitted
from pyctr_engine.images.store import Image, ImageStore
from pyctr_engine.model.progress import Progress
from pyctr_engine.model.spec import ContainerRequest
from pyctr_engine.paths import Paths
from tests.engine.images.tars import entry, tar
from tests.engine.images.view import look
from tests.engine.registry.conftest import Configure
from tests.engine.registry.memory import memory_peak
from tests.engine.registry.publisher import Publisher, compressed, digest, directory_of, files
from tests.engine.registry.servers import Proxy

pytestmark = pytest.mark.root


def content(store: ImageStore, image: Image, path: str) -> bytes:
    """A file of an image, by looking through its layers."""
    for link in image.chain:
        found = Path(store.layers_on_disk.directory, link, path)
        if found.exists():
            return found.read_bytes()
    raise AssertionError(f"{path} is in no layer")


def checked(store: ImageStore) -> None:
    """Everything is as it should be."""
    findings = store.verify()
    assert [finding.level for finding in findings] == ["ok"], findings


@pytest.mark.parametrize("kind", ["oci", "docker"])
@pytest.mark.parametrize("compression", ["gzip", "zstd", "none"])
def test_every_kind_and_compression(store: ImageStore, publisher: Publisher, kind: str, compression: str) -> None:
    layers = [files(a=b"one", b=b"two"), files(a=b"three")]
    manifest = publisher.image("1", layers, kind, compression)
    name = f"{publisher.address}/{publisher.path}:1"
    done = store.pull(name)
    image = store.resolve(name)
    assert (done.digest, done.newer, image.digest) == (digest(manifest), True, digest(manifest))
    assert (content(store, image, "a"), content(store, image, "b")) == (b"three", b"two")
    assert not store.pull(name).newer
    checked(store)


def test_metadata_and_whiteouts_come_through(store: ImageStore, publisher: Publisher) -> None:
    lower = tar(
        entry("d", tarfile.DIRTYPE, mode=0o2750, uid=3, gid=4, mtime=77),
        entry("d/gone", data=b"x"),
        entry("d/kept", data=b"y", uid=5, mtime=78, pax_headers={"SCHILY.xattr.user.k": "v"}),
        entry("d/link", tarfile.LNKTYPE, linkname="d/kept"),
    )
    upper = tar(entry("d/.wh.gone"))
    publisher.image("1", [lower, upper])
    image = store.pull(f"{publisher.address}/{publisher.path}:1").stored
    chain = store.open(image).chain
    tree = look([f"{store.layers_on_disk.directory}/{link}" for link in chain])
    assert set(tree) == {".", "d", "d/kept", "d/link"}
    assert tree["d"][:3] == ["drwxr-s---", 3, 4]
    assert tree["d/kept"][1] == 5
    assert tree["d/kept"][-1] == [["user.k", b"v".hex()]]
    assert tree["d/link"][4] == "d/kept"


@pytest.mark.parametrize("kind", ["oci", "docker"])
def test_an_index_is_followed_by_platform(store: ImageStore, publisher: Publisher, kind: str) -> None:
    offered = {"linux/amd64": {}, "linux/arm64": {"variant": "v8"}, "linux/s390x": {}}
    manifests = []
    for platform, more in offered.items():
        system, machine = platform.split("/")
        manifest = publisher.image("", [files(platform=platform.encode())], kind, platform=platform)
        manifests.append((manifest, {"os": system, "architecture": machine, **more}))
    manifests.append((manifests[0][0], {"os": "unknown", "architecture": "unknown"}))
    index = publisher.index("1", manifests, kind)
    name = f"{publisher.address}/{publisher.path}"
    for platform in offered:
        done = store.pull(f"{name}:1", platform)
        assert content(store, store.open(done.stored), "platform") == platform.encode()
        assert done.digest == digest(index)
    with pytest.raises(NotFound, match="is not there for linux/riscv64") as caught:
        store.pull(f"{name}:1", "linux/riscv64")
    assert caught.value.hint == "it is for linux/amd64, linux/arm64/v8, linux/s390x"
    assert content(store, store.resolve(f"{name}:1"), "platform") == b"linux/s390x", "the name is as it was"
    by_digest = f"{name}@{digest(index)}"
    store.pull(by_digest, "linux/arm64")
    assert store.resolve(by_digest).config.architecture == "arm64"


def test_another_machines_image_is_pulled_with_a_word(store: ImageStore, publisher: Publisher) -> None:
    publisher.image("1", [files(a=b"x")], platform="linux/s390x")
    name = f"{publisher.address}/{publisher.path}:1"
    (warning,) = store.pull(name).warnings
    assert "is for linux/s390x, this machine is linux/" in warning
    with pytest.raises(NotFound, match="is not there for linux/arm64"):
        store.pull(name, "linux/arm64")


def test_a_digest_pins(store: ImageStore, publisher: Publisher) -> None:
    first = publisher.image("1", [files(a=b"first")])
    publisher.image("1", [files(a=b"second")])
    name = f"{publisher.address}/{publisher.path}@{digest(first)}"
    store.pull(name)
    assert content(store, store.resolve(name), "a") == b"first"
    second = store.pull(f"{publisher.address}/{publisher.path}:1").stored
    pinned = f"{publisher.address}/{publisher.path}@{second.entry.digest}"
    assert store.resolve(pinned).id == second.id, "by digest it is known under whatever tag"
    with pytest.raises(NotFound):
        store.resolve(f"{publisher.address}/other@{second.entry.digest}")


def test_zstd_chunked_is_read_as_zstd(store: ImageStore, publisher: Publisher) -> None:
    """Frames one after another, then skippable ones that say where each file begins (containers/storage)."""
    layer = directory_of("a", "b", size=50_000)
    halves = layer[: len(layer) // 2], layer[len(layer) // 2 :]
    skippable = b"\x50\x2a\x4d\x18" + (40).to_bytes(4, "little") + bytes(40)
    blob = b"".join(map(zstandard.compress, halves)) + skippable
    publisher.image("1", [layer], compression="zstd", blobs=[blob])
    image = store.open(store.pull(f"{publisher.address}/{publisher.path}:1").stored)
    assert content(store, image, "d/b") == b"b" * 50_000


def test_what_is_there_is_not_fetched(store: ImageStore, publisher: Publisher, faulty: Proxy) -> None:
    base = directory_of("a")
    publisher.image("1", [base])
    publisher.image("2", [base, files(b=b"new")])
    name = f"{faulty.address}/{publisher.path}"
    store.pull(f"{name}:1")
    before = faulty.count("GET", "/blobs/")
    steps: list[Progress] = []
    store.pull(f"{name}:2", progress=steps.append)
    assert faulty.count("GET", "/blobs/") - before == 2, "the new layer and the new configuration"
    subject = digest(compressed(base, "gzip"))[7:19]
    assert Progress(subject, "already there", finished=True) in steps
    store.pull(f"{name}:2")
    assert faulty.count("GET", "/blobs/") - before == 2


def test_a_layer_twice_in_an_image(store: ImageStore, publisher: Publisher, faulty: Proxy) -> None:
    same = files(a=b"x")
    publisher.image("1", [same, files(b=b"y"), same])
    store.pull(f"{faulty.address}/{publisher.path}:1")
    assert len({seen.path for seen in faulty.requests("GET", "/blobs/")}) == faulty.count("GET", "/blobs/") == 3
    checked(store)


def test_many_layers(store: ImageStore, publisher: Publisher) -> None:
    layers = [tar(entry("etc", tarfile.DIRTYPE, mode=0o751), entry("etc/0", data=b"0"))]
    layers += [tar(entry(f"etc/{number}", data=str(number).encode())) for number in range(1, 40)]
    publisher.image("1", layers)
    image = store.open(store.pull(f"{publisher.address}/{publisher.path}:1").stored)
    lowers = [f"{store.layers_on_disk.directory}/{link}" for link in image.chain]
    assert {os.stat(f"{lower}/etc").st_mode & 0o777 for lower in lowers} == {0o751}, "none describes it but the first"
    assert len(lowers) == 40
    checked(store)


def test_progress_tells_of_bytes(store: ImageStore, publisher: Publisher) -> None:
    layer = files(a=os.urandom(3 << 20))
    publisher.image("1", [layer], compression="none")
    steps: list[Progress] = []
    store.pull(f"{publisher.address}/{publisher.path}:1", progress=steps.append)
    mine = [step for step in steps if step.subject == digest(layer)[7:19]]
    assert {step.text for step in mine} == {"downloading", "unpacking", "pulled"}
    assert {step.total for step in mine} == {len(layer)}
    counts = [step.done for step in mine if step.text == "downloading"]
    assert counts == sorted(counts)
    assert counts[-1] == len(layer)
    assert mine[-1].finished


def test_a_missing_image_is_pulled_by_create(paths: Paths, no_leaks: Paths, publisher: Publisher) -> None:
    publisher.image("1", [files(a=b"x")])
    engine = Engine(paths)
    name = f"{publisher.address}/{publisher.path}:1"
    try:
        with pytest.raises(NotFound, match="no such image"):
            engine.create(ContainerRequest(image=name, pull="never"))
        steps: list[Progress] = []
        made = engine.create(ContainerRequest(image=name, command=("true",), network="none"), steps.append)
        assert "pulled" in {step.text for step in steps}
        newer = publisher.image("1", [files(a=b"y")])
        again = engine.create(ContainerRequest(image=name, command=("true",), network="none", pull="always"))
        assert again.spec.image_id != made.spec.image_id
        assert engine.image(name).digest == digest(newer)
        with pytest.raises(NotFound, match=r"is here for linux/[a-z0-9]+ only, not linux/s390x, and "):
            engine.create(ContainerRequest(image=name, platform="linux/s390x"))
        wanted = {("pull", name), ("create", made.name)}
        assert wanted <= {(event.action, event.name) for event in engine.events(since=0, follow=False)}
        for container in (made, again):
            engine.remove(container.id)
    finally:
        engine.close()


def test_memory_is_bounded_whatever_the_layers_size(publisher: Publisher, tmp_path: Path) -> None:
    """Three layers at once, of 32 MB that don't compress; one of 400 MB that does."""
    layers = [files(**{f"a{number}": os.urandom(32 << 20)}) for number in range(3)] + [files(z=bytes(400 << 20))]
    publisher.image("1", layers[:3], compression="none")
    publisher.image("2", layers[3:])
    for tag in ("1", "2"):
        name = f"{publisher.address}/{publisher.path}:{tag}"
        assert memory_peak(str(tmp_path / f"state{tag}"), str(tmp_path / "run"), name) < 150e6


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("{address}/tests/nothing:1", "cannot get {address}/tests/nothing:1: .*"),
        ("{address}/{path}:nothing", "cannot get {address}/{path}:nothing: it is not there"),
        ("{address}/{path}@sha256:" + "0" * 64, "cannot get {address}/{path}@sha256:0+: it is not there"),
    ],
)
def test_what_is_not_there(store: ImageStore, publisher: Publisher, reference: str, message: str) -> None:
    publisher.image("1", [files(a=b"x")])
    values = {"address": publisher.address, "path": publisher.path}
    with pytest.raises(NotFound, match=message.format(**values)):
        store.pull(reference.format(**values))
    assert store.all() == []


def test_mirrors_are_asked_first(
    store: ImageStore, publisher: Publisher, faulty: Proxy, configure: Configure
) -> None:
    publisher.image("1", [files(a=b"x")])
    unused = "http://127.0.0.1:9"
    configure(f'[registry."registry.example"]\nmirrors = ["{unused}", "http://{faulty.address}/tests"]')
    name = f"registry.example/{publisher.path.removeprefix('tests/')}:1"
    steps: list[Progress] = []
    store.pull(name, progress=steps.append)
    assert store.find(name).names == (name,)
    assert faulty.count("GET", "/blobs/") == 2
    assert any(step.text.startswith("mirror 127.0.0.1:9: cannot reach") for step in steps)


def test_a_blocked_registry_is_not_asked(store: ImageStore, faulty: Proxy, configure: Configure) -> None:
    configure(f'[registry."{faulty.address}"]\nblocked = true')
    with pytest.raises(NotPermitted, match="is blocked here"):
        store.pull(f"{faulty.address}/x")
    assert not faulty.seen


def test_plain_http_is_for_loopback(store: ImageStore, configure: Configure) -> None:
    configure('[registry."registry.example"]\nmirrors = ["http://mirror.example"]\nblocked = true')
    with pytest.raises(EngineError, match=r"cannot use the mirror http://mirror\.example: it has no TLS"):
        store.pull("registry.example/x")
