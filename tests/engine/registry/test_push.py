"""Pushes to docker-registry: what is there is not sent again, what was cut is; skopeo reads ours, and we its."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pyctr_engine.errors import Cancelled, InvalidValue, NotFound, RegistryError
from pyctr_engine.images.store import ImageStore
from pyctr_engine.model.progress import Progress
from pyctr_engine.model.spec import CommitRequest
from pyctr_engine.paths import Paths
from tests.engine.images.tars import write
from tests.engine.registry.publisher import Publisher, digest, directory_of, files
from tests.engine.registry.servers import Handler, Proxy, resets, says, stalls

pytestmark = pytest.mark.root

BIG = files(a=os.urandom(3 << 20))


def skopeo(*words: str) -> str:
    done = subprocess.run(["skopeo", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def imported(store: ImageStore, tmp_path: Path, name: str, data: bytes) -> None:
    store.import_tar(write(tmp_path / "rootfs", data), name)


@pytest.mark.parametrize("compression", ["gzip", "zstd", "none"])
def test_there_and_back(paths: Paths, publisher: Publisher, tmp_path: Path, compression: str) -> None:
    store, name = ImageStore(paths), f"{publisher.address}/{publisher.path}:1"
    imported(store, tmp_path, name, directory_of("a", "b", size=100_000))
    pushed = store.push(name, compression)
    other = ImageStore(Paths(str(tmp_path / "other"), str(tmp_path / "run")))
    assert other.pull(name).digest == pushed.digest
    assert other.resolve(name).id == store.resolve(name).id, "the configuration is the same"
    (layer,) = other.find(name).manifest.layers
    assert layer.media_type.rpartition("+")[2].removeprefix("application/vnd.oci.image.layer.v1.tar") == (
        "" if compression == "none" else compression
    )
    assert (pushed.digest == store.resolve(name).digest) == (compression == "none")
    assert [finding.level for finding in other.verify()] == ["ok"]


def test_what_is_there_is_not_sent(store: ImageStore, publisher: Publisher, faulty: Proxy, tmp_path: Path) -> None:
    name = f"{faulty.address}/{publisher.path}"
    imported(store, tmp_path, f"{name}:1", BIG)
    store.push(f"{name}:1")
    assert faulty.count("PUT", "/blobs/") == 2
    store.tag(f"{name}:1", f"{name}:2")
    steps: list[Progress] = []
    store.push(f"{name}:2", progress=steps.append)
    assert faulty.count("PUT", "/blobs/") == 2
    assert faulty.count("POST", "/blobs/") == 2
    assert {step.text for step in steps} == {"already there", f"asking {faulty.address}", "pushed"}


def test_layers_are_mounted_from_relatives(
    store: ImageStore, publisher: Publisher, faulty: Proxy, tmp_path: Path
) -> None:
    name = f"{faulty.address}/{publisher.path}"
    imported(store, tmp_path, f"{name}/base:1", BIG)
    store.push(f"{name}/base:1")
    upper = tmp_path / "upper"
    upper.mkdir()
    (upper / "new").write_text("new")
    base = store.resolve(f"{name}/base:1")
    store.commit(base, str(upper), base.config, CommitRequest(name=f"{name}/app:1"), "test")
    sent = faulty.count("PUT", "/blobs/")
    steps: list[Progress] = []
    store.push(f"{name}/app:1", progress=steps.append)
    assert faulty.count("PUT", "/blobs/") - sent == 2, "the configuration and the new layer"
    assert f"mounted from {publisher.path}/base" in {step.text for step in steps}
    shown = skopeo("inspect", "--tls-verify=false", f"docker://{publisher.address}/{publisher.path}/app:1")
    assert len(json.loads(shown)["Layers"]) == 2


@pytest.mark.parametrize(
    "fault", [says(500), says(503), says(429, Retry_After="0"), resets], ids=["500", "503", "429", "reset"]
)
@pytest.mark.parametrize(("method", "what"), [("PUT", "/blobs/"), ("POST", "/blobs/"), ("PUT", "/manifests/")])
def test_what_passes_is_tried_again(
    store: ImageStore,
    publisher: Publisher,
    faulty: Proxy,
    tmp_path: Path,
    method: str,
    what: str,
    fault: Callable[[Handler], bool],
) -> None:
    name = f"{faulty.address}/{publisher.path}:1"
    imported(store, tmp_path, name, BIG)
    faulty.wrong(method, what, fault, times=2)
    pushed = store.push(name)
    other = ImageStore(Paths(str(tmp_path / "other"), str(tmp_path / "run")))
    assert other.pull(name).digest == pushed.digest


def test_what_stays_wrong_is_one_sentence(
    store: ImageStore, publisher: Publisher, faulty: Proxy, tmp_path: Path
) -> None:
    name = f"{faulty.address}/{publisher.path}:1"
    imported(store, tmp_path, name, BIG)
    faulty.wrong("PUT", "/blobs/", says(502))
    with pytest.raises(RegistryError, match=r"cannot push blob sha256:.*answers 502 Bad Gateway \(4 attempts\)"):
        store.push(name)
    assert not [left for left in os.listdir(store.layout.directory) if left.startswith((".tmp", "tmp"))]


def test_a_push_can_be_cancelled(store: ImageStore, publisher: Publisher, faulty: Proxy, tmp_path: Path) -> None:
    Path(os.environ["PYCTR_REGISTRIES"]).write_text("timeout = 60\n")
    name = f"{faulty.address}/{publisher.path}:1"
    imported(store, tmp_path, name, BIG)
    faulty.wrong("PUT", "/blobs/", stalls(0))
    cancel = threading.Event()

    def cancel_soon() -> None:
        while not faulty.count("PUT", "/blobs/"):
            time.sleep(0.01)
        cancel.set()

    waiting = threading.Thread(target=cancel_soon)
    waiting.start()
    with pytest.raises(Cancelled, match=r"the push of .* was cancelled"):
        store.push(name, cancel=cancel)
    waiting.join()
    assert not faulty.count("PUT", "/manifests/")


def test_what_can_not_be_pushed(store: ImageStore, publisher: Publisher, tmp_path: Path) -> None:
    imported(store, tmp_path, "app:1", BIG)
    with pytest.raises(NotFound, match="no such image"):
        store.push(f"{publisher.address}/app:1")
    with pytest.raises(InvalidValue, match="no compression 'lzma'"):
        store.push("app:1", "lzma")
    with pytest.raises(InvalidValue, match="a digest can't be chosen"):
        store.push(f"app@{digest(b'x')}")


@pytest.mark.parametrize("form", ["oci", "v2s2"])
def test_skopeo_pushes_and_we_pull(store: ImageStore, publisher: Publisher, tmp_path: Path, form: str) -> None:
    """skopeo's copy of an image of ours, and ours of its: the same configuration, layers and files."""
    imported(store, tmp_path, "app:1", gzip.compress(directory_of("a", "b"), mtime=0))
    name = f"{publisher.address}/{publisher.path}:1"
    skopeo(
        "copy", "--format", form, "--dest-tls-verify=false", f"oci:{store.layout.directory}:app:1", f"docker://{name}"
    )
    store.pull(name)
    theirs, ours = store.resolve(name), store.resolve("app:1")
    assert theirs.config.diff_ids == ours.config.diff_ids
    assert theirs.chain == ours.chain
    shown = json.loads(skopeo("inspect", "--tls-verify=false", f"docker://{name}"))
    assert shown["Digest"] == theirs.digest


def test_we_push_and_skopeo_reads(store: ImageStore, publisher: Publisher, tmp_path: Path) -> None:
    imported(store, tmp_path, "app:1", directory_of("a", "b"))
    name = f"{publisher.address}/{publisher.path}:1"
    store.tag("app:1", name)
    pushed = store.push(name)
    shown = json.loads(skopeo("inspect", "--tls-verify=false", f"docker://{name}"))
    assert shown["Digest"] == pushed.digest
    skopeo("copy", "--src-tls-verify=false", f"docker://{name}", f"oci:{tmp_path}/copy:app")
    config = skopeo("inspect", "--config", f"oci:{tmp_path}/copy:app")
    assert tuple(json.loads(config)["rootfs"]["diff_ids"]) == store.resolve(name).config.diff_ids
    subprocess.run(
        ["umoci", "unpack", "--image", f"{tmp_path}/copy:app", str(tmp_path / "bundle")],
        check=True,
        capture_output=True,
    )
    assert (tmp_path / "bundle/rootfs/d/a").read_bytes() == b"a" * 10


def test_all_tags_by_the_command_line(store: ImageStore, publisher: Publisher, paths: Paths, tmp_path: Path) -> None:
    program = os.path.join(os.path.dirname(sys.executable), "pyctr-tui")

    def call(*words: str) -> str:
        command = [program, "--state-dir", paths.state, "--run-dir", paths.run, *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    name = f"{publisher.address}/{publisher.path}"
    for tag in ("1", "2"):
        imported(store, tmp_path, f"{name}:{tag}", files(a=tag.encode()))
    said = call("push", "-a", name)
    assert f"The push refers to repository [{name}]\n" in said
    for tag in ("1", "2"):
        assert f"\n{tag}: digest: sha256:" in said
        store.remove(f"{name}:{tag}")
    assert call("pull", "-q", "-a", name).splitlines() == [f"{name}:1", f"{name}:2"]
    assert f"Status: Image is up to date for {name}:1\n{name}:1\n" in call("pull", f"{name}:1")
    (tmp_path / "stack.yaml").write_text(f"services: {{a: {{image: '{name}:2'}}}}")
    assert f"{name}:2  up to date\n" in call("pull", str(tmp_path / "stack.yaml"))
