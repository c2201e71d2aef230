"""Manifests from strangers: what they are, and which one of an index is for a platform."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from pyctr_engine.errors import EngineError, ImageFormatError, NotFound, RegistryError
from pyctr_engine.images.layout import parse_object
from pyctr_engine.images.platform import Platform
from pyctr_engine.model.oci import (
    CONFIG,
    DOCKER_MANIFEST,
    DOCKER_MANIFEST_LIST,
    INDEX,
    MANIFEST,
    Descriptor,
    Json,
    Manifest,
)
from pyctr_engine.record import dataclass

MAX_MANIFEST = 4 << 20
"""Bytes; registries accept no larger ones (distribution-spec, Pushing Manifests)."""

ACCEPTED = (INDEX, MANIFEST, DOCKER_MANIFEST_LIST, DOCKER_MANIFEST)
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
_SCHEMA_1 = (
    "application/vnd.docker.distribution.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
)
_MAX_NESTING = 4
_MAX_LAYERS = 500
"""As many as overlayfs stacks."""


@dataclass(frozen=True, slots=True)
class Found:
    """The manifest of an image for one platform, its bytes, and the digest of what the reference named."""

    manifest: Manifest
    data: bytes
    media_type: str
    named: str

    @property
    def digest(self) -> str:
        """The manifest's own digest."""
        return digest_of(self.data)


def digest_of(data: bytes) -> str:
    """``sha256:…``."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def choose(
    title: str,
    get: Callable[[str], tuple[bytes, str, str]],
    reference: str,
    platform: Platform,
) -> Found:
    """Follow indexes from ``reference`` to the one manifest for ``platform``, checking digests on the way.

    Args:
        title: What is asked for, for errors.
        get: Returns a document by tag or digest, its media type as told, and its digest as told (or nothing).
    """
    named = ""
    for _ in range(_MAX_NESTING):
        data, told_type, told_digest = get(reference)
        digest = digest_of(data)
        expected = reference if ":" in reference else told_digest
        if expected and digest != expected:
            raise RegistryError(f"the registry sent a wrong manifest for {title}: {digest} instead of {expected}")
        named = named or digest
        document = parse_object(data, f"the manifest of {title}")
        kind = _kind(document, told_type, title)
        if kind in (MANIFEST, DOCKER_MANIFEST):
            return Found(_manifest(document, title), data, kind, named)
        reference = _select(document, platform, title).digest
    raise ImageFormatError(f"the indexes of {title} are nested more than {_MAX_NESTING} deep")


def _kind(document: Json, told: str, title: str) -> str:
    """What a document is: what it says of itself counts, then what the registry says. Two answers are an error."""
    if document.get("schemaVersion") == 1 or told in _SCHEMA_1:
        raise ImageFormatError(
            f"{title} has a manifest of Docker's schema 1, which is no longer read",
            "push the image again with a newer tool, e.g. `skopeo copy` with --format v2s2",
        )
    if "manifests" in document and ("layers" in document or "config" in document):
        raise ImageFormatError(f"the manifest of {title} is both an index and an image's")
    own = document.get("mediaType")
    kind = own if isinstance(own, str) and own else told
    if kind not in ACCEPTED:
        kind = INDEX if "manifests" in document else MANIFEST if "layers" in document else kind
    if kind not in ACCEPTED:
        raise ImageFormatError(f"{title} is no image: its manifest is of the type {str(kind)[:80]!r}")
    if (kind in (INDEX, DOCKER_MANIFEST_LIST)) != ("manifests" in document):
        raise ImageFormatError(f"the manifest of {title} is not what it says: {kind}")
    return kind


def _manifest(document: Json, title: str) -> Manifest:
    manifest = Manifest.from_json(document)
    if manifest.config.media_type not in (CONFIG, DOCKER_CONFIG):
        raise ImageFormatError(
            f"{title} is no container image but something of the type {manifest.config.media_type[:80]!r}"
        )
    if not manifest.layers:
        raise ImageFormatError(f"{title} has no layers")
    if len(manifest.layers) > _MAX_LAYERS:
        raise ImageFormatError(f"{title} has more than {_MAX_LAYERS} layers")
    return manifest


def _select(document: Json, platform: Platform, title: str) -> Descriptor:
    """The entry of an index that suits best."""
    entries = document.get("manifests")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ImageFormatError(f"the index of {title} names no manifests")
    ranked: list[tuple[int, int]] = []
    there: dict[str, None] = {}
    for at, entry in enumerate(entries):
        offered = Platform.from_json(entry.get("platform"))
        if offered is None:
            ranked.append((100, at))  # it may be for any
            continue
        there[str(offered)] = None
        rank = platform.rank(offered)
        if rank is not None:
            ranked.append((rank, at))
    if not ranked:
        shown = ", ".join(name for name in there if "unknown" not in name)
        raise _no_platform(platform, title, shown)
    return Descriptor.from_json(entries[min(ranked)[1]])


def _no_platform(platform: Platform, title: str, shown: str) -> EngineError:
    return NotFound(f"{title} is not there for {platform}", f"it is for {shown[:300]}" if shown else "")
