"""Puts images into a registry by plain HTTP, without the client under test; honest ones and others."""

from __future__ import annotations

import gzip
import hashlib
import http.client
import json
import tarfile
from collections.abc import Sequence
from typing import Any

import zstandard

from pyctr_engine.images.platform import architecture
from pyctr_engine.model.oci import (
    CONFIG,
    DOCKER_MANIFEST,
    DOCKER_MANIFEST_LIST,
    INDEX,
    LAYER_GZIP,
    LAYER_TAR,
    LAYER_ZSTD,
    MANIFEST,
)
from tests.engine.images.tars import entry, tar

DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def descriptor(media_type: str, data: bytes, **more: Any) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest(data), "size": len(data), **more}


def files(**contents: bytes) -> bytes:
    """A layer's tar: files at the root."""
    return tar(*(entry(name, data=data) for name, data in contents.items()))


def directory_of(*names: str, size: int = 10) -> bytes:
    """A layer's tar: a directory ``d`` with files."""
    return tar(entry("d", tarfile.DIRTYPE), *(entry(f"d/{name}", data=name.encode() * size) for name in names))


class Publisher:
    """A repository on a registry without authentication."""

    def __init__(self, address: str, path: str) -> None:
        self.address = address
        self.path = path

    def _send(self, method: str, where: str, data: bytes, headers: dict[str, str]) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection(self.address)
        connection.request(method, where, data, headers)
        response = connection.getresponse()
        said = response.read()
        connection.close()
        assert response.status in (201, 202), (response.status, said)
        return response

    def blob(self, data: bytes) -> bytes:
        place = self._send("POST", f"/v2/{self.path}/blobs/uploads/", b"", {}).getheader("Location") or ""
        where = place.partition(self.address)[2] or place
        self._send("PUT", f"{where}&digest={digest(data)}", data, {"Content-Type": "application/octet-stream"})
        return data

    def manifest(self, reference: str, document: dict[str, Any]) -> bytes:
        data = json.dumps(document).encode()
        self._send("PUT", f"/v2/{self.path}/manifests/{reference}", data, {"Content-Type": document["mediaType"]})
        return data

    def image(
        self,
        reference: str,
        tars: Sequence[bytes],
        kind: str = "oci",
        compression: str = "gzip",
        platform: str = "",
        blobs: Sequence[bytes] = (),
    ) -> bytes:
        """An image of layers; its manifest. ``reference`` empty: under its digest only."""
        config = self.blob(config_of(tars, platform))
        if not blobs:
            blobs = [compressed(layer, compression) for layer in tars]
        for blob in blobs:
            self.blob(blob)
        document = manifest_of(config, blobs, kind, compression)
        return self.manifest(reference or digest(json.dumps(document).encode()), document)

    def index(self, reference: str, manifests: Sequence[tuple[bytes, dict[str, str]]], kind: str = "oci") -> bytes:
        """An index of manifests with their platforms."""
        inner = MANIFEST if kind == "oci" else DOCKER_MANIFEST
        document = {
            "schemaVersion": 2,
            "mediaType": INDEX if kind == "oci" else DOCKER_MANIFEST_LIST,
            "manifests": [descriptor(inner, data, platform=platform) for data, platform in manifests],
        }
        return self.manifest(reference, document)


def config_of(tars: Sequence[bytes], platform: str = "") -> bytes:
    """An image configuration."""
    system, _, machine = (platform or f"linux/{architecture()}").partition("/")
    document = {
        "architecture": machine,
        "os": system,
        "config": {"Cmd": ["true"], "Env": [f"FOR={machine}"]},
        "rootfs": {"type": "layers", "diff_ids": [digest(layer) for layer in tars]},
    }
    return json.dumps(document).encode()


def manifest_of(
    config: bytes, blobs: Sequence[bytes], kind: str = "oci", compression: str = "gzip"
) -> dict[str, Any]:
    """A manifest."""
    layer = {"gzip": LAYER_GZIP, "zstd": LAYER_ZSTD, "none": LAYER_TAR}[compression]
    return {
        "schemaVersion": 2,
        "mediaType": MANIFEST if kind == "oci" else DOCKER_MANIFEST,
        "config": descriptor(CONFIG if kind == "oci" else DOCKER_CONFIG, config),
        "layers": [descriptor(layer if kind == "oci" else DOCKER_LAYER, blob) for blob in blobs],
    }


def compressed(data: bytes, compression: str) -> bytes:
    """A layer as a blob."""
    if compression == "gzip":
        return gzip.compress(data, mtime=0)
    return zstandard.compress(data) if compression == "zstd" else data
