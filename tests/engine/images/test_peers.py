"""Round trips with the other tools: what one made the other has, to the last attribute.

Where a tool loses something by itself (podman and docker: times before 1970, empty attributes, more), that is told
beside it; what it keeps has to be the same.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pyctr_engine.images.store import Image, ImageStore
from pyctr_engine.model.oci import DOCKER_LAYER_GZIP, DOCKER_MANIFEST
from pyctr_engine.model.spec import CommitRequest
from pyctr_engine.paths import Paths
from pyctr_engine.record import replace
from tests.engine.images import museum
from tests.engine.images.view import Tree, look, tree_of

pytestmark = pytest.mark.root

CHANGES = ['ENV A="b c"', 'CMD ["/bin/ping"]', "LABEL x=<&>", "EXPOSE 80/tcp", "VOLUME /data", "STOPSIGNAL SIGINT"]


@dataclass(frozen=True)
class Made:
    """A two-layer image in a store, and the tree that it shows."""

    store: ImageStore
    image: Image
    archive: Path
    tree: Tree


def run(*arguments: object, cwd: Path | None = None) -> str:
    done = subprocess.run([str(one) for one in arguments], capture_output=True, text=True, cwd=cwd, check=False)
    assert done.returncode == 0, f"{arguments[0]}: {done.stderr[-2000:]}"
    return done.stdout


def fresh(directory: Path) -> ImageStore:
    return ImageStore(Paths(str(directory), "/nonexistent"))


def shown(store: ImageStore, image: Image) -> Tree:
    return look([f"{store.layers_on_disk.directory}/{link}" for link in image.chain])


def make(directory: Path, deep: bool) -> Made:
    root = directory / "root"
    root.mkdir()
    museum.build(root)
    if deep:
        museum.build_deep(root)
    museum.pack(root, directory / "museum.tar")
    store = fresh(directory / "state")
    base = store.import_tar(str(directory / "museum.tar"), "museum:base", CHANGES, "from a tar")
    assert shown(store, base) == json.loads(json.dumps(tree_of(os.fsencode(root))))
    unpacked = Path(store.layers_on_disk.directory, base.chain[0])
    for path in [root, *(root / name for name in ("bin", "etc", "tmp", "private", os.fsdecode(museum.LONG)))]:
        assert (unpacked / path.relative_to(root)).stat().st_mtime_ns == path.stat().st_mtime_ns
    upper = directory / "upper"
    (upper / "etc").mkdir(parents=True)
    shutil.copystat(root, upper)
    shutil.copystat(root / "etc", upper / "etc")
    (upper / "etc" / "added").write_text("added")
    os.mknod(upper / "etc" / "empty", 0o20000, os.makedev(0, 0))
    os.mkdir(upper / "tmp", 0o711)
    os.setxattr(upper / "tmp", "user.overlay.opaque", b"y")
    (upper / "tmp" / "instead").write_text("instead")
    image = store.commit(base, str(upper), base.config, CommitRequest(name="museum:1", author="me"), "sh -c 'a & b'")
    tree = shown(store, image)
    assert "etc/added" in tree
    assert not {"etc/empty", "tmp/fifo"} & tree.keys()
    archive = directory / "museum.saved"
    store.save(["museum"], str(archive))
    return Made(store, image, archive, tree)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("made"), deep=False)


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("deep"), deep=True)


def check(made: Made, path: Path | str, directory: Path, *, manifest: bool = True, name: str = "museum:1") -> None:
    """Load what a peer made of our image: it is the same image."""
    store = fresh(directory)
    found = [image for image in store.load(str(path)) if image.names[-1:] == (name,)]
    assert [image.id for image in found] == [made.image.id], "the configuration, byte for byte"
    assert found[0].config.history == made.image.config.history
    if manifest:
        assert found[0].digest == made.image.digest, "the manifest, and so every layer"
    assert shown(store, found[0]) == made.tree
    assert store.verify()[0].level == "ok"


@pytest.mark.parametrize("format", ["", "oci", "docker"])
def test_our_own_archives_come_back(deep: Made, tmp_path: Path, format: str) -> None:
    archive = tmp_path / "archive"
    deep.store.save(["museum:1"], str(archive), None, format)  # type: ignore[arg-type]
    check(deep, archive, tmp_path / "state", manifest=True)


def test_skopeo(deep: Made, tmp_path: Path) -> None:
    """It carries blobs about: nothing in them is too long or too odd."""
    skopeo = ("skopeo", "--tmpdir", tmp_path, "copy", "-q")
    saved = f"oci-archive:{deep.archive}:museum:1"
    run(*skopeo, "--preserve-digests", saved, f"oci:{tmp_path}/layout:museum:1")
    check(deep, tmp_path / "layout", tmp_path / "a")
    run(*skopeo, f"oci:{tmp_path}/layout:museum:1", f"oci-archive:{tmp_path}/gzip.tar:museum:1")
    check(deep, tmp_path / "gzip.tar", tmp_path / "b", manifest=False)
    zstd = ("--dest-compress-format", "zstd", "--dest-oci-accept-uncompressed-layers=false")
    run(*skopeo, *zstd, f"oci:{tmp_path}/layout:museum:1", f"oci:{tmp_path}/zstd:museum:1")
    check(deep, tmp_path / "zstd", tmp_path / "d", manifest=False)
    run(*skopeo, f"docker-archive:{deep.archive}:museum:1", f"docker-archive:{tmp_path}/docker.tar:museum:1")
    check(deep, tmp_path / "docker.tar", tmp_path / "c", manifest=False)
    told = json.loads(run("skopeo", "inspect", "--config", f"oci:{tmp_path}/layout:museum:1"))
    assert told["config"]["Env"] == ["A=b c"]
    assert len(told["history"]) == 2


def test_what_a_registry_gave_in_dockers_form(made: Made, tmp_path: Path) -> None:
    """OCI tools look for OCI's media types alone, so an archive has these: configuration and layers stay."""
    store = fresh(tmp_path / "state")
    store.load(str(made.archive))
    manifest = store.find("museum:1").manifest
    layers = []
    for layer in manifest.layers:
        with open(store.layout.path(layer.digest), "rb") as file:
            layers.append(store.layout.write_bytes(gzip.compress(file.read()), DOCKER_LAYER_GZIP))
    config = replace(manifest.config, media_type="application/vnd.docker.container.image.v1+json")
    docker = replace(manifest, media_type=DOCKER_MANIFEST, config=config, layers=tuple(layers))
    store.add_manifest(store.layout.write_json(docker.to_json(), DOCKER_MANIFEST), "museum:1")
    for target in (f"{tmp_path}/layout/", f"{tmp_path}/archive"):
        store.save(["museum:1"], target)
    run("umoci", "stat", "--image", f"{tmp_path}/layout:museum:1")
    for kind in ("oci-archive", "docker-archive"):
        run("skopeo", "copy", "-q", f"{kind}:{tmp_path}/archive:museum:1", f"oci:{tmp_path}/{kind}:museum:1")
        check(made, tmp_path / kind, tmp_path / f"{kind}-state", manifest=False)
    copied = json.loads(run("skopeo", "inspect", f"oci:{tmp_path}/oci-archive:museum:1"))
    assert copied["Layers"] == [layer.digest for layer in layers]


UMOCI_LOSES = {"etc/late", "bin/ping", "bin/ping4", "etc/ping-elsewhere"}
"""A time after 2262; empty attributes."""


def test_umoci(made: Made, tmp_path: Path) -> None:
    layout = tmp_path / "layout"
    made.store.save(["museum:1"], f"{layout}/")
    run("umoci", "unpack", "--image", f"{layout}:museum:1", tmp_path / "bundle")
    root = tmp_path / "bundle" / "rootfs"
    assert same(json.loads(json.dumps(tree_of(os.fsencode(root)))), made.tree) <= UMOCI_LOSES
    shutil.rmtree(root / "private")
    (root / "etc" / "far").unlink()
    (root / "etc" / "new").write_text("by umoci")
    run("umoci", "repack", "--image", f"{layout}:changed:1", tmp_path / "bundle")
    store = fresh(tmp_path / "state")
    images = {name: image for image in store.load(str(layout)) for name in image.names}
    image = images["changed:1"]
    tree = shown(store, image)
    assert not {"private", "private/made-before", "etc/far"} & tree.keys()
    assert tree["etc/new"][0] == "-rw-r--r--"
    untouched = made.tree.keys() - {"private", "private/made-before", "etc/far", "etc", "etc/new", "."}
    assert {path: tree[path] for path in untouched} == {path: made.tree[path] for path in untouched}


def same(found: Tree, expected: Tree) -> set[str]:
    """The paths that are not the same."""
    return {path for path in found.keys() | expected.keys() if found.get(path) != expected.get(path)}


@pytest.fixture(scope="module")
def podman(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[object, ...]]:
    """Options for podman and buildah: storage of their own."""
    directory = tmp_path_factory.mktemp("podman")
    options = ("--root", directory / "root", "--runroot", directory / "run", "--storage-driver", "overlay")
    yield options
    subprocess.run(["umount", directory / "root" / "overlay"], check=False, capture_output=True)


PODMAN_LOSES = {".", "etc/old", "etc/late", "private/made-before", "bin/ping", "bin/ping4", "etc/ping-elsewhere"}
"""The root's mode; times before 1970 and after 2262; a file below a default ACL gets one; empty attributes."""


def test_podman_and_buildah(made: Made, podman: tuple[object, ...], tmp_path: Path) -> None:
    one = tmp_path / "one.tar"
    made.store.save(["museum:1"], str(one))
    for archive in (made.archive, one):
        assert "docker.io/library/museum:1" in run("podman", *podman, "load", "-q", "-i", archive)
    assert f"sha256:{run('podman', *podman, 'images', '-q', '--no-trunc', 'museum:1').strip()[7:]}" == made.image.id
    for format in ("oci-archive", "docker-archive"):
        archive = tmp_path / f"{format}.tar"
        run("podman", *podman, "save", "-q", "--format", format, "-o", archive, "museum:1")
        check(made, archive, tmp_path / format, manifest=False)
    several = tmp_path / "several.tar"
    run("podman", *podman, "save", "-q", "-m", "--format", "docker-archive", "-o", several, "museum:1", "museum:base")
    assert {name for image in fresh(tmp_path / "several").load(str(several)) for name in image.names} == {
        "museum:1",
        "museum:base",
    }
    container = run("buildah", *podman, "from", "--pull-never", "museum:1").strip()
    root = Path(run("buildah", *podman, "mount", container).strip())
    assert same(json.loads(json.dumps(tree_of(os.fsencode(root)))), made.tree) <= PODMAN_LOSES
    shutil.rmtree(root / "private")
    shutil.rmtree(root / "dev")
    (root / "dev").mkdir()
    (root / "etc" / "new").write_text("by buildah")
    run("buildah", *podman, "umount", container)
    run("buildah", *podman, "commit", "-q", "--rm", container, f"oci-archive:{tmp_path}/built.tar:built:1")
    store = fresh(tmp_path / "built")
    (image,) = store.load(str(tmp_path / "built.tar"))
    tree = shown(store, image)
    assert not {"private", "private/made-before", "dev/null"} & tree.keys()
    assert {"etc/new", "dev"} <= tree.keys()
    assert image.config.env == made.image.config.env
    assert tree["etc/holes"] == made.tree["etc/holes"]


def answers(path: str) -> bool:
    """Whether a docker daemon does."""
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(path)
            client.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
            return b" 200 OK" in client.recv(100)
        except OSError:
            return False


@pytest.fixture(scope="module")
def docker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[object, ...]]:
    """A docker daemon of one's own, and how to call it."""
    directory = tmp_path_factory.mktemp("docker")
    socket_path = f"{directory}/d.sock"
    options = "--iptables=false --ip6tables=false --bridge=none --userland-proxy=false".split()
    places = ("--data-root", directory / "data", "--exec-root", directory / "exec", "--pidfile", directory / "pid")
    with (directory / "log").open("wb") as log:
        daemon = subprocess.Popen(
            ["dockerd", *options, *places, "-H", f"unix://{socket_path}"], stdout=log, stderr=log
        )
    call = ("/usr/bin/docker", "-H", f"unix://{socket_path}")
    try:
        until = time.monotonic() + 60
        while not answers(socket_path):
            assert daemon.poll() is None and time.monotonic() < until, (directory / "log").read_text()[-2000:]
            time.sleep(0.05)
        yield call
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait(30)


def test_docker(made: Made, docker: tuple[object, ...], tmp_path: Path) -> None:
    assert "museum:1" in run(*docker, "load", "-i", made.archive)
    assert json.loads(run(*docker, "image", "inspect", "museum:1"))[0]["Id"] == made.image.id
    run(*docker, "save", "-o", tmp_path / "docker.tar", "museum:1", "museum:base")
    check(made, tmp_path / "docker.tar", tmp_path / "state", manifest=False)
    made.store.save(["museum:1"], str(tmp_path / "ours.tar"), None, "docker")
    run(*docker, "rmi", "museum:1", "museum:base")
    assert "museum:1" in run(*docker, "load", "-i", tmp_path / "ours.tar")


def test_what_docker_made(made: Made, docker: tuple[object, ...], tmp_path: Path) -> None:
    """Imported, and committed with deletions: a layer of docker's own."""
    run(*docker, "import", made.archive.parent / "museum.tar", "theirs:1")
    container = run(*docker, "create", "theirs:1", "/bin/ping").strip()
    (tmp_path / "copied").write_text("copied")
    run(*docker, "cp", tmp_path / "copied", f"{container}:/etc/copied")
    run(*docker, "commit", container, "theirs:2")
    run(*docker, "rm", container)
    run(*docker, "save", "-o", tmp_path / "theirs.tar", "theirs")
    store = fresh(tmp_path / "state")
    images = {image.names[0]: image for image in store.load(str(tmp_path / "theirs.tar"))}
    assert shown(store, images["theirs:1"]) == shown(made.store, made.store.resolve("museum:base"))
    assert "etc/copied" in shown(store, images["theirs:2"])
