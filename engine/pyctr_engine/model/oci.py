"""The OCI image's documents: descriptor, manifest, configuration (image-spec v1.1).

Each is read from and written to the JSON of the specification. What we don't know is kept in ``extra`` and
written back; what we know but has the wrong type is an ImageFormatError that names the field.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyctr_engine.errors import ImageFormatError, InvalidValue
from pyctr_engine.record import dataclass, field, replace

Json = Mapping[str, object]

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER_TAR = "application/vnd.oci.image.layer.v1.tar"
LAYER_GZIP = LAYER_TAR + "+gzip"
LAYER_ZSTD = LAYER_TAR + "+zstd"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_MANIFEST_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_LAYER_TAR = "application/vnd.docker.image.rootfs.diff.tar"
DOCKER_LAYER_GZIP = DOCKER_LAYER_TAR + ".gzip"

REF_NAME = "org.opencontainers.image.ref.name"
"""The annotation of an index entry that holds the image's name."""

FULL_NAME = "io.containerd.image.name"
"""An annotation by containerd and docker: the whole name, where the specification's may hold the tag alone."""


def _text(data: Json, key: str, default: str = "") -> str:
    value = data.get(key)
    if value is None:
        return default
    if not isinstance(value, str):
        raise ImageFormatError(f"field {key!r} must be a string")
    return value


def _integer(data: Json, key: str) -> int:
    value = data.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ImageFormatError(f"field {key!r} must be a number, not negative")
    return value


def _texts(data: Json, key: str) -> tuple[str, ...]:
    value = data.get(key)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ImageFormatError(f"field {key!r} must be a list of strings")
    return tuple(value)


def _map(data: Json, key: str) -> dict[str, str]:
    value = data.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise ImageFormatError(f"field {key!r} must map strings to strings")
    return value


def _keys(data: Json, key: str) -> tuple[str, ...]:
    """The keys of Go's ``map[string]struct{}``."""
    value = data.get(key)
    if value is None:
        return ()
    if not isinstance(value, dict):
        raise ImageFormatError(f"field {key!r} must be an object")
    return tuple(value)


def _object(data: Json, key: str) -> Json:
    value = data.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ImageFormatError(f"field {key!r} must be an object")
    return value


def _objects(data: Json, key: str) -> Sequence[Json]:
    value = data.get(key)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise ImageFormatError(f"field {key!r} must be a list of objects")
    return value


def _rest(data: Json, known: frozenset[str]) -> dict[str, object]:
    return {key: value for key, value in data.items() if key not in known}


def _digest(text: str) -> str:
    """A digest becomes part of a path, so nothing else may pass."""
    hexadecimal = text.removeprefix("sha256:")
    if len(text) != 71 or len(hexadecimal) != 64 or set(hexadecimal) - set("0123456789abcdef"):
        raise ImageFormatError(f"unsupported digest {text[:80]!r}", "only sha256 digests are known")
    return text


def _present(**fields: object) -> dict[str, object]:
    """Those fields that have a value, in this order."""
    return {key: value for key, value in fields.items() if value not in (None, "", [], {})}


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A pointer to a blob (image-spec, descriptor.md). ``size`` in bytes."""

    media_type: str
    digest: str
    size: int
    annotations: Mapping[str, str] = field(default_factory=dict)
    extra: Json = field(default_factory=dict)

    _KNOWN = frozenset({"mediaType", "digest", "size", "annotations"})

    @classmethod
    def from_json(cls, data: Json) -> Descriptor:
        """Read one; the digest must be a sha256 in lower-case hex."""
        return cls(
            _text(data, "mediaType"),
            _digest(_text(data, "digest")),
            _integer(data, "size"),
            _map(data, "annotations"),
            _rest(data, cls._KNOWN),
        )

    def to_json(self) -> dict[str, object]:
        """As the specification writes it."""
        known = {"mediaType": self.media_type, "digest": self.digest, "size": self.size}
        return {**known, **_present(annotations=dict(self.annotations)), **self.extra}


@dataclass(frozen=True, slots=True)
class Manifest:
    """An image manifest (image-spec, manifest.md): its configuration and its layers, lowest first."""

    config: Descriptor
    layers: tuple[Descriptor, ...]
    media_type: str = MANIFEST
    annotations: Mapping[str, str] = field(default_factory=dict)
    extra: Json = field(default_factory=dict)

    _KNOWN = frozenset({"schemaVersion", "mediaType", "config", "layers", "annotations"})

    @classmethod
    def from_json(cls, data: Json) -> Manifest:
        """Read one; schema 2 only."""
        if data.get("schemaVersion") != 2:
            raise ImageFormatError(f"unsupported manifest schema {data.get('schemaVersion')!r}")
        return cls(
            Descriptor.from_json(_object(data, "config")),
            tuple(Descriptor.from_json(layer) for layer in _objects(data, "layers")),
            _text(data, "mediaType", MANIFEST),
            _map(data, "annotations"),
            _rest(data, cls._KNOWN),
        )

    def to_json(self) -> dict[str, object]:
        """As the specification writes it."""
        return {
            "schemaVersion": 2,
            "mediaType": self.media_type,
            "config": self.config.to_json(),
            "layers": [layer.to_json() for layer in self.layers],
            **_present(annotations=dict(self.annotations)),
            **self.extra,
        }


@dataclass(frozen=True, slots=True)
class History:
    """One step of an image's making. ``created`` is RFC 3339 text, as found."""

    created: str = ""
    created_by: str = ""
    author: str = ""
    comment: str = ""
    empty_layer: bool = False
    extra: Json = field(default_factory=dict)

    _KNOWN = frozenset({"created", "created_by", "author", "comment", "empty_layer"})

    @classmethod
    def from_json(cls, data: Json) -> History:
        """Read one."""
        return cls(
            _text(data, "created"),
            _text(data, "created_by"),
            _text(data, "author"),
            _text(data, "comment"),
            data.get("empty_layer") is True,
            _rest(data, cls._KNOWN),
        )

    def to_json(self) -> dict[str, object]:
        """As the specification writes it."""
        return {
            **_present(created=self.created, created_by=self.created_by, author=self.author, comment=self.comment),
            **({"empty_layer": True} if self.empty_layer else {}),
            **self.extra,
        }


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """An image's configuration (image-spec, config.md): how to run it, and what it is made of.

    Attributes:
        created: RFC 3339 text; empty when unknown.
        env: ``NAME=value``, in order.
        exposed_ports: ``80/tcp``.
        volumes: Absolute paths inside.
        diff_ids: Digests of the uncompressed layer tars, lowest first.
        extra: Unknown fields of the document; ``config_extra`` those of its ``config`` object.
    """

    architecture: str = "amd64"
    os: str = "linux"
    variant: str = ""
    created: str = ""
    author: str = ""
    user: str = ""
    env: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    working_dir: str = ""
    exposed_ports: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    stop_signal: str = ""
    on_build: tuple[str, ...] = ()
    diff_ids: tuple[str, ...] = ()
    history: tuple[History, ...] = ()
    config_extra: Json = field(default_factory=dict)
    extra: Json = field(default_factory=dict)

    _KNOWN = frozenset({"architecture", "os", "variant", "created", "author", "config", "rootfs", "history"})
    _KNOWN_CONFIG = frozenset(
        "User Env Entrypoint Cmd WorkingDir ExposedPorts Volumes Labels StopSignal OnBuild".split()
    )

    @classmethod
    def from_json(cls, data: Json) -> ImageConfig:
        """Read one; an unknown ``rootfs.type`` is an error, unknown fields are not."""
        rootfs, config = _object(data, "rootfs"), _object(data, "config")
        if _text(rootfs, "type", "layers") != "layers":
            raise ImageFormatError(f"unsupported rootfs type {rootfs.get('type')!r}")
        return cls(
            architecture=_text(data, "architecture"),
            os=_text(data, "os"),
            variant=_text(data, "variant"),
            created=_text(data, "created"),
            author=_text(data, "author"),
            user=_text(config, "User"),
            env=_texts(config, "Env"),
            entrypoint=_texts(config, "Entrypoint"),
            cmd=_texts(config, "Cmd"),
            working_dir=_text(config, "WorkingDir"),
            exposed_ports=_keys(config, "ExposedPorts"),
            volumes=_keys(config, "Volumes"),
            labels=_map(config, "Labels"),
            stop_signal=_text(config, "StopSignal"),
            on_build=_texts(config, "OnBuild"),
            diff_ids=tuple(map(_digest, _texts(rootfs, "diff_ids"))),
            history=tuple(History.from_json(step) for step in _objects(data, "history")),
            config_extra=_rest(config, cls._KNOWN_CONFIG),
            extra=_rest(data, cls._KNOWN),
        )

    def after_layer(self, number: int) -> ImageConfig:
        """The configuration of the state after a layer, the lowest is 1. Raises InvalidValue without such."""
        if not 1 <= number <= len(self.diff_ids):
            raise InvalidValue(f"there is no layer {number}", f"the image has {len(self.diff_ids)}, counted from 1")
        untold = len(self.diff_ids) - sum(not step.empty_layer for step in self.history)
        left, kept = number - max(untold, 0), 0
        for step in self.history:
            if not step.empty_layer:
                left -= 1
            if left < 0:
                break
            kept += 1
        return replace(self, diff_ids=self.diff_ids[:number], history=self.history[:kept])

    def runtime_json(self) -> dict[str, object]:
        """The ``config`` object alone: how to run it."""
        return {
            **_present(
                User=self.user,
                ExposedPorts={port: {} for port in self.exposed_ports},
                Env=list(self.env),
                Entrypoint=list(self.entrypoint),
                Cmd=list(self.cmd),
                Volumes={path: {} for path in self.volumes},
                WorkingDir=self.working_dir,
                Labels=dict(self.labels),
                StopSignal=self.stop_signal,
                OnBuild=list(self.on_build),
            ),
            **self.config_extra,
        }

    def to_json(self) -> dict[str, object]:
        """As the specification writes it."""
        return {
            **_present(created=self.created, author=self.author),
            "architecture": self.architecture,
            "os": self.os,
            **_present(variant=self.variant),
            "config": self.runtime_json(),
            "rootfs": {"type": "layers", "diff_ids": list(self.diff_ids)},
            **_present(history=[step.to_json() for step in self.history]),
            **self.extra,
        }
