"""Loading images that other tools saved: OCI archives and layouts (image-spec), and docker's own archives.

Every blob is checked against its digest, and every layer against the configuration, before anything gets a name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from pyctr_engine.errors import ImageFormatError, InvalidValue, from_os_error
from pyctr_engine.images.archive_source import Source, document, open_source
from pyctr_engine.images.ingest import counted, ingest, unpack_stored
from pyctr_engine.images.layer_store import chain_ids
from pyctr_engine.images.layout import MAX_DOCUMENT, BlobWriter, parse_object
from pyctr_engine.images.platform import architecture
from pyctr_engine.model.oci import (
    CONFIG,
    DOCKER_MANIFEST,
    DOCKER_MANIFEST_LIST,
    FULL_NAME,
    INDEX,
    MANIFEST,
    REF_NAME,
    Descriptor,
    ImageConfig,
    Json,
    Manifest,
)
from pyctr_engine.model.progress import Progress
from pyctr_engine.model.reference import Reference

if TYPE_CHECKING:
    from pyctr_engine.images.store import ImageStore, Stored

ProgressSink = Callable[[Progress], None]

_MAX_NESTING = 4
_HINT = "load takes an OCI archive, an OCI layout or a docker archive; `import` takes a root file system's tar"


def load(store: ImageStore, path: str, progress: ProgressSink | None) -> list[Stored]:
    """See `ImageStore.load`."""
    try:
        with store.layout.adding(), open_source(path, store.layout.directory) as source:
            if source.size("index.json") is not None:
                return [
                    _load_image(store, source, descriptor, name, progress)
                    for descriptor, name in _images(source, document(source, "index.json"), "", 0)
                ]
            if source.size("manifest.json") is not None:
                return _load_docker(store, source, progress)
            raise ImageFormatError(f"{path} holds no image", _HINT)
    except OSError as error:
        raise from_os_error(error, f"load {path}") from error


def _images(source: Source, index: bytes, name: str, depth: int) -> Iterator[tuple[Descriptor, str]]:
    """The manifests of an index for this platform, with the names they are given."""
    if depth > _MAX_NESTING:
        raise ImageFormatError(f"indexes are nested more than {_MAX_NESTING} deep")
    manifests = parse_object(index, "an index").get("manifests")
    if not isinstance(manifests, list):
        raise ImageFormatError("the index names no manifests")
    entries = [entry for entry in manifests if isinstance(entry, dict) and _is_ours(entry.get("platform"))]
    if not entries:
        raise ImageFormatError(f"there is no image for linux/{architecture()} in the archive")
    for entry in entries:
        descriptor = Descriptor.from_json(entry)
        own = _name(descriptor.annotations) or name
        if descriptor.media_type in (INDEX, DOCKER_MANIFEST_LIST):
            yield from _images(source, _blob(source, descriptor), own, depth + 1)
        elif descriptor.media_type in (MANIFEST, DOCKER_MANIFEST):
            yield descriptor, own


def _is_ours(platform: object) -> bool:
    if not isinstance(platform, dict):
        return True
    return platform.get("os") == "linux" and platform.get("architecture") == architecture()


def _name(annotations: Mapping[str, str]) -> str:
    try:
        return Reference.parse(annotations.get(FULL_NAME) or annotations.get(REF_NAME, "")).familiar
    except InvalidValue:
        return ""


def _path(digest: str) -> str:
    return f"blobs/sha256/{digest.removeprefix('sha256:')}"


def _blob(source: Source, descriptor: Descriptor) -> bytes:
    """A small blob, checked."""
    if descriptor.size > MAX_DOCUMENT:
        raise ImageFormatError(f"document {descriptor.digest} is larger than {MAX_DOCUMENT >> 20} MiB")
    data = document(source, _path(descriptor.digest))
    if len(data) != descriptor.size or f"sha256:{hashlib.sha256(data).hexdigest()}" != descriptor.digest:
        raise ImageFormatError(f"blob {descriptor.digest} is damaged")
    return data


def _load_image(
    store: ImageStore, source: Source, descriptor: Descriptor, name: str, progress: ProgressSink | None
) -> Stored:
    manifest_bytes = _blob(source, descriptor)
    manifest = Manifest.from_json(parse_object(manifest_bytes, "a manifest"))
    config_bytes = _blob(source, manifest.config)
    config = _image_config(config_bytes)
    if len(config.diff_ids) != len(manifest.layers):
        raise ImageFormatError(
            f"the manifest has {len(manifest.layers)} layers, the configuration {len(config.diff_ids)}"
        )
    for index, layer in enumerate(manifest.layers):
        _load_layer(store, source, layer, config.diff_ids[: index + 1], name or descriptor.digest, progress)
    store.layout.write_bytes(config_bytes, CONFIG)
    written = store.layout.write_bytes(manifest_bytes, descriptor.media_type)
    if progress is not None:
        progress(Progress(name or descriptor.digest, "loaded", finished=True))
    return store.add_manifest(written, name)


def _image_config(data: bytes) -> ImageConfig:
    config = ImageConfig.from_json(parse_object(data, "an image configuration"))
    if not config.diff_ids:
        raise ImageFormatError("the archive holds something that is no image: it has no layers")
    return config


def _load_layer(
    store: ImageStore,
    source: Source,
    layer: Descriptor,
    diff_ids: tuple[str, ...],
    subject: str,
    progress: ProgressSink | None,
) -> None:
    """Whatever of it is not in the store yet: its blob, its files."""
    unpacked = store.layers_on_disk.read(chain_ids(diff_ids)[-1])
    if store.layout.has(layer):
        if unpacked is None:
            unpack_stored(store.layout, store.layers_on_disk, layer, diff_ids)
        return
    path = _path(layer.digest)
    size = source.size(path)
    if size is None:
        raise ImageFormatError(f"the archive lacks layer {layer.digest}")
    chunks = counted(source.chunks(path), size, subject, f"loading layer {layer.digest[7:19]}", progress)
    if unpacked is None:
        ingest(store.layout, store.layers_on_disk, chunks, diff_ids[:-1], layer, diff_ids[-1])
        return
    with BlobWriter(store.layout) as writer:
        for chunk in chunks:
            writer.write(chunk)
        writer.commit(layer.media_type, layer)


def _load_docker(store: ImageStore, source: Source, progress: ProgressSink | None) -> list[Stored]:
    """``docker save`` before version 25: manifest.json names a configuration and uncompressed layers."""
    listed = parse_object(b'{"images":' + document(source, "manifest.json") + b"}", "manifest.json").get("images")
    if not isinstance(listed, list) or not listed:
        raise ImageFormatError("manifest.json names no images")
    found: list[Stored] = []
    for item in listed:
        if not isinstance(item, dict):
            raise ImageFormatError("manifest.json names something that is no image")
        found += _load_docker_image(store, source, item, progress)
    return found


def _load_docker_image(store: ImageStore, source: Source, item: Json, progress: ProgressSink | None) -> list[Stored]:
    config_name, layer_names = item.get("Config"), item.get("Layers")
    if not isinstance(config_name, str) or not isinstance(layer_names, list):
        raise ImageFormatError("manifest.json names no configuration or no layers")
    config_bytes = document(source, config_name)
    config = _image_config(config_bytes)
    if len(layer_names) != len(config.diff_ids):
        raise ImageFormatError(
            f"manifest.json has {len(layer_names)} layers, the configuration {len(config.diff_ids)}"
        )
    tags = item.get("RepoTags")
    names = [_name({REF_NAME: tag}) for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []
    descriptors = []
    for index, path in enumerate(layer_names):
        size = source.size(str(path))
        if size is None:
            raise ImageFormatError(f"the archive lacks {path}")
        chunks = counted(source.chunks(str(path)), size, names[0] if names else config_name, "loading", progress)
        below, diff_id = config.diff_ids[:index], config.diff_ids[index]
        done = ingest(store.layout, store.layers_on_disk, chunks, below, diff_id=diff_id)
        descriptors.append(done.descriptor)
    written = store.layout.write_bytes(config_bytes, CONFIG)
    manifest = store.layout.write_json(Manifest(written, tuple(descriptors)).to_json(), MANIFEST)
    for name in names or [""]:
        stored = store.add_manifest(manifest, name)
    return [stored]
