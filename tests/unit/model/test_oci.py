"""The OCI documents: read and written without loss, and distrusted."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyctr_engine.errors import ImageFormatError
from pyctr_engine.model.oci import Descriptor, History, ImageConfig, Manifest

DIGEST = "sha256:" + "0123456789abcdef" * 4

CONFIG: dict[str, Any] = {
    "created": "2024-05-01T10:20:30.123456789Z",
    "author": "somebody",
    "architecture": "arm64",
    "os": "linux",
    "variant": "v8",
    "config": {
        "User": "1000:1000",
        "ExposedPorts": {"80/tcp": {}},
        "Env": ["PATH=/bin", "A=b=c"],
        "Entrypoint": ["/entry"],
        "Cmd": ["a", "b"],
        "Volumes": {"/data": {}},
        "WorkingDir": "/srv",
        "Labels": {"a": "b"},
        "StopSignal": "SIGQUIT",
        "OnBuild": ["RUN x"],
        "Healthcheck": {"Test": ["CMD", "true"]},
    },
    "rootfs": {"type": "layers", "diff_ids": [DIGEST]},
    "history": [{"created": "x", "created_by": "y", "unknown": 1}, {"empty_layer": True}],
    "os.features": ["win32k"],
}


def test_a_full_configuration_survives() -> None:
    config = ImageConfig.from_json(CONFIG)
    assert config.to_json() == CONFIG
    assert config.env == ("PATH=/bin", "A=b=c")
    assert config.exposed_ports == ("80/tcp",)
    assert config.history[1].empty_layer


def test_nulls_as_docker_writes_them_mean_nothing() -> None:
    config = ImageConfig.from_json(
        {"config": {"Cmd": None, "Env": None, "Labels": None, "Volumes": None}, "rootfs": {}, "history": None}
    )
    assert (config.cmd, config.env, dict(config.labels), config.volumes) == ((), (), {}, ())


def test_a_manifest_survives_with_what_we_do_not_know() -> None:
    document = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "a", "digest": DIGEST, "size": 3},
        "layers": [{"mediaType": "b", "digest": DIGEST, "size": 0, "annotations": {"k": "v"}, "urls": ["u"]}],
        "annotations": {"x": "y"},
        "subject": {"mediaType": "c"},
    }
    assert Manifest.from_json(document).to_json() == document


@pytest.mark.parametrize(
    "digest",
    [
        "",
        "sha256:",
        "sha256:" + "g" * 64,
        "sha256:" + "A" * 64,
        "md5:" + "a" * 32,
        "sha256:../../" + "a" * 58,
        "a" * 64,
    ],
)
def test_a_digest_is_a_digest(digest: str) -> None:
    with pytest.raises(ImageFormatError):
        Descriptor.from_json({"mediaType": "", "digest": digest, "size": 1})
    with pytest.raises(ImageFormatError):
        ImageConfig.from_json({"rootfs": {"diff_ids": [digest]}})


@pytest.mark.parametrize(
    "config",
    [
        {"config": []},
        {"config": {"Env": "A=b"}},
        {"config": {"Env": [1]}},
        {"config": {"Labels": {"a": 1}}},
        {"config": {"User": 0}},
        {"rootfs": {"type": "snapshots"}},
        {"rootfs": {"diff_ids": "x"}},
        {"history": [1]},
    ],
)
def test_wrong_types_are_errors_that_name_the_field(config: dict[str, Any]) -> None:
    with pytest.raises(ImageFormatError, match=r"field|rootfs"):
        ImageConfig.from_json(config)


@pytest.mark.parametrize("size", [-1, "1", None, True, 1.5])
def test_a_size_is_a_number(size: object) -> None:
    with pytest.raises(ImageFormatError, match="size"):
        Descriptor.from_json({"digest": DIGEST, "size": size})


texts = st.text(min_size=1, max_size=8)


@given(
    st.builds(
        ImageConfig,
        created=texts,
        user=texts,
        env=st.lists(texts).map(tuple),
        cmd=st.lists(texts).map(tuple),
        volumes=st.lists(texts, unique=True).map(tuple),
        labels=st.dictionaries(texts, texts),
        history=st.lists(st.builds(History, created_by=texts, comment=texts, empty_layer=st.booleans())).map(tuple),
    )
)
def test_what_is_written_reads_back(config: ImageConfig) -> None:
    assert ImageConfig.from_json(json.loads(json.dumps(config.to_json()))) == config
