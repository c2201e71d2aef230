"""Damage and lies of every kind: an error of ours, or an image; nothing left behind, no memory eaten.

`python -m tests.engine.images.test_fuzz [EXAMPLES]` goes on for longer.
"""

from __future__ import annotations

import copy
import gzip
import hashlib
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pyctr_engine.errors import EngineError, StoreError
from pyctr_engine.images.store import ImageStore
from pyctr_engine.model.oci import CONFIG, INDEX, LAYER_TAR, MANIFEST, ImageConfig, Manifest
from pyctr_engine.paths import Paths
from tests.engine.images.tars import entry, tar, write

pytestmark = pytest.mark.root

EXAMPLES = int(sys.argv[1]) if __name__ == "__main__" and len(sys.argv) > 1 else 25
few = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)

LAYER = tar(entry("etc", b"5"), entry("etc/motd", data=b"hello" * 200), entry("link", b"2", linkname="etc"))
JUNK: list[Any] = [
    None, True, 0, -1, 1 << 70, 1.5, "", "x", "../../etc/passwd", "\0", "sha256:" + "0" * 64, "sha256:../../x",
    "é" * 300, [], [None], ["x"], [[]], {}, {"x": None}, {"": {}}, [{}] * 40, "9" * 5000,
]  # fmt: skip


class Archive(bytes):
    """Bytes that are too many to show."""

    def __repr__(self) -> str:
        return f"<{len(self)} bytes, {digest(self)[:20]}>"


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def descriptor(data: bytes, media_type: str) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest(data), "size": len(data)}


def places(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value in a document."""
    items = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    return [place for key, value in items for place in [(*path, key), *places(value, (*path, key))]]


@st.composite
def bent(draw: st.DrawFn, document: Any) -> Any:
    """The document with some values replaced, removed or doubled; often none."""
    document = copy.deepcopy(document)
    for _ in range(draw(st.integers(0, 2))):
        found = places(document)
        if not found:
            break
        *way, last = draw(st.sampled_from(found))
        holder = document
        for key in way:
            holder = holder[key]
        how = draw(st.sampled_from(["replace", "remove", "double"]))
        if how == "remove":
            del holder[last]
        elif how == "double" and isinstance(holder, list):
            holder.append(holder[last])
        else:
            holder[last] = copy.deepcopy(draw(st.sampled_from(JUNK)))
    return document


def encoded(draw: st.DrawFn, document: Any) -> bytes:
    data = bytearray(json.dumps(draw(bent(document))).encode())
    if draw(st.integers(0, 5)) == 0 and data:
        data[draw(st.integers(0, len(data) - 1))] = draw(st.sampled_from(list(b'\0"{[}],:\\\xff9e-')))
    return bytes(data)


@st.composite
def oci_archives(draw: st.DrawFn) -> Archive:
    """An image as an OCI archive, bent somewhere, with digests that fit."""
    config = encoded(draw, CONFIG_DOCUMENT)
    layer = draw(st.sampled_from([LAYER, gzip.compress(LAYER), LAYER[:-1024], b"", LAYER + b"x" * 700]))
    manifest = encoded(
        draw,
        {"schemaVersion": 2, "mediaType": MANIFEST, "config": descriptor(config, CONFIG),
         "layers": [descriptor(layer, LAYER_TAR)], "annotations": {"x": "y"}},
    )  # fmt: skip
    named = {**descriptor(manifest, MANIFEST), "annotations": {"org.opencontainers.image.ref.name": "app:1"}}
    inner = encoded(draw, {"schemaVersion": 2, "mediaType": INDEX, "manifests": [named]})
    index = encoded(draw, {"schemaVersion": 2, "manifests": [descriptor(inner, INDEX), named]})
    blobs = [entry(f"blobs/sha256/{digest(data)[7:]}", data=data) for data in (config, layer, manifest, inner)]
    return Archive(tar(*blobs, entry("index.json", data=index)))


@st.composite
def docker_archives(draw: st.DrawFn) -> Archive:
    config = encoded(draw, CONFIG_DOCUMENT)
    listed = encoded(draw, [{"Config": "c.json", "RepoTags": ["app:1"], "Layers": ["l/layer.tar"]}])
    first = encoded(
        draw, {"id": "l", "parent": "", "created": "x", "container_config": {"Cmd": ["x"]}, "config": None}
    )
    names = encoded(draw, {"app": {"1": "l"}})
    which = draw(st.sampled_from(["manifest.json", "repositories"]))
    chosen = listed if which == "manifest.json" else names
    layer = entry("l/layer.tar", data=LAYER)
    return Archive(tar(entry("c.json", data=config), layer, entry("l/json", data=first), entry(which, data=chosen)))


CONFIG_DOCUMENT = {
    "architecture": "amd64", "os": "linux", "created": "2024-01-01T00:00:00Z", "variant": "v8",
    "config": {"Env": ["A=b"], "Cmd": ["sh"], "User": "0", "WorkingDir": "/", "ExposedPorts": {"80/tcp": {}},
               "Labels": {"a": "b"}, "Volumes": {"/data": {}}, "OnBuild": ["x"], "StopSignal": "9"},
    "rootfs": {"type": "layers", "diff_ids": [digest(LAYER)]},
    "history": [{"created": "2024-01-01T00:00:00Z", "created_by": "x"}, {"empty_layer": True}],
}  # fmt: skip


def attempt(data: bytes, how: str = "load") -> None:
    """Nothing but an EngineError, and either an image that is well or nothing."""
    with tempfile.TemporaryDirectory() as directory:
        store = ImageStore(Paths(f"{directory}/state", "/nonexistent"))
        path = write(Path(directory, "archive"), data)
        try:
            found = store.load(path) if how == "load" else [store.import_tar(path, "app")]
        except EngineError as error:
            assert not isinstance(error, StoreError), error  # that would be our store's fault
            assert error.message
            store.list()
        else:
            for image in found:
                assert store.resolve(image.id).chain == image.chain
                store.inspect(image.id)
                store.layers(image.id)
        assert store.layers_on_disk.leftovers() == []
        kept = (store.layout.directory, store.layout.blobs)
        assert not [
            name for place in kept if os.path.isdir(place) for name in os.listdir(place) if name.startswith(".tmp")
        ]
        assert sorted(os.listdir(directory)) == ["archive", "state"]


@few
@given(oci_archives())
def test_bent_oci_archives(data: bytes) -> None:
    attempt(data)


@few
@given(docker_archives())
def test_bent_docker_archives(data: bytes) -> None:
    attempt(data)


def damaged(draw: st.DrawFn, data: bytes) -> bytes:
    result = bytearray(data)
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, max(0, len(result) - 1)))
        how = draw(st.sampled_from(["set", "cut", "end", "copy"]))
        if how == "set" and result:
            result[at] = draw(st.integers(0, 255))
        elif how == "cut":
            del result[at : at + draw(st.integers(1, 1024))]
        elif how == "end":
            del result[at:]
        else:
            result[at:at] = result[: draw(st.integers(1, 2048))]
    return bytes(result)


SAMPLE = tar(
    entry("d", b"5", mode=0o755),
    entry("d/f", data=b"contents" * 100, pax_headers={"SCHILY.xattr.user.x": "y", "mtime": "1.5"}),
    entry("d/l", b"1", linkname="d/f"), entry("s", b"2", linkname="d"), entry("p", b"6"), entry(".wh.x"),
    entry("d/.wh..wh..opq"), entry("dev/null", b"3", devmajor=1, devminor=3), entry("n" * 150, data=b"long"),
    entry("sparse", data=b"abcd", pax_headers={"GNU.sparse.map": "0,2,9,2", "GNU.sparse.size": "20"}),
)  # fmt: skip


@few
@given(st.data())
def test_damaged_layers(data: st.DataObject) -> None:
    pack = data.draw(st.sampled_from([bytes, gzip.compress]))
    attempt(damaged(data.draw, pack(damaged(data.draw, SAMPLE))), "import")


@settings(max_examples=20 * EXAMPLES, deadline=None)
@given(st.sampled_from([ImageConfig, Manifest]).flatmap(
    lambda kind: st.tuples(st.just(kind), bent(CONFIG_DOCUMENT if kind is ImageConfig else MANIFEST_DOCUMENT))
))  # fmt: skip
def test_documents(case: tuple[type[ImageConfig] | type[Manifest], Any]) -> None:
    """What is read is written again as it was, but for what was empty."""
    kind, document = case
    try:
        read = kind.from_json(document)
    except EngineError:
        return
    assert kind.from_json(read.to_json()) == read


MANIFEST_DOCUMENT = {
    "schemaVersion": 2, "mediaType": MANIFEST, "config": descriptor(b"x", CONFIG),
    "layers": [descriptor(b"y", LAYER_TAR)], "annotations": {"a": "b"}, "subject": {"x": 1},
}  # fmt: skip


if __name__ == "__main__":
    for test in (test_documents, test_bent_oci_archives, test_bent_docker_archives, test_damaged_layers):
        print(test.__name__, flush=True)
        test()
