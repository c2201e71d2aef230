"""Loading images that other tools saved: OCI archives and layouts (image-spec), and docker's own archives.

Every blob is checked against its digest, and every layer against the configuration, before anything gets a name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from pyctr_engine.errors import ImageFormatError, from_os_error
from pyctr_engine.images import docker_archive
from pyctr_engine.images.archive_source import Source, document, open_source
from pyctr_engine.images.ingest import counted, ingest, unpack_stored
from pyctr_engine.images.layer_store import chain_ids
from pyctr_engine.images.layout import MAX_DOCUMENT, BlobWriter, parse_object
from pyctr_engine.images.platform import architecture
from pyctr_engine.images.store import normal_name
from pyctr_engine.model.oci import (
    CONFIG,
    DOCKER_MANIFEST,
    DOCKER_MANIFEST_LIST,
    FULL_NAME,
    INDEX,
    MANIFEST,
    REF_NAME,
    Descriptor,
    Manifest,
)
from pyctr_engine.model.progress import Progress
from pyctr_engine.record import replace

if TYPE_CHECKING:
    from pyctr_engine.images.store import ImageStore, Stored

ProgressSink = Callable[[Progress], None]

_MAX_NESTING = 4
_HINT = "load takes an OCI archive, an OCI layout or a docker archive; `import` takes a root file system's tar"


def load(store: ImageStore, path: str, progress: ProgressSink | None) -> list[Stored]:
    """See `ImageStore.load`. Each image comes with the names that the archive gave it."""
    found: dict[str, Stored] = {}
    try:
        with store.layout.adding(), open_source(path, store.layout.directory) as source:
            for stored, name in _load_all(store, path, source, progress):
                names = found[stored.id].names if stored.id in found else ()
                found[stored.id] = replace(stored, names=(*names, name) if name else names)
    except OSError as error:
        raise from_os_error(error, f"load {path}") from error
    if not found:
        raise ImageFormatError(f"{path} holds no image", _HINT)
    return list(found.values())


def _load_all(
    store: ImageStore, path: str, source: Source, progress: ProgressSink | None
) -> Iterator[tuple[Stored, str]]:
    """Every image, once for each of its names. An archive of docker's later versions is an OCI layout too."""
    if source.size("index.json") is not None:
        for descriptor, name in _images(source, document(source, "index.json"), "", 0, set()):
            yield _load_image(store, source, descriptor, name, progress), name
    elif source.size("manifest.json") is not None:
        yield from docker_archive.load(store, source, progress)
    elif source.size("repositories") is not None:
        yield from docker_archive.load_first_version(store, source, progress)
    else:
        raise ImageFormatError(f"{path} holds no image", _HINT)


def _images(
    source: Source, index: bytes, name: str, depth: int, visited: set[tuple[str, str]]
) -> Iterator[tuple[Descriptor, str]]:
    """The manifests of an index for this platform, with the names they are given; each once for each name."""
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
        if (descriptor.digest, own) in visited:
            continue
        visited.add((descriptor.digest, own))
        if descriptor.media_type in (INDEX, DOCKER_MANIFEST_LIST):
            yield from _images(source, _blob(source, descriptor), own, depth + 1, visited)
        elif descriptor.media_type in (MANIFEST, DOCKER_MANIFEST):
            yield descriptor, own


def _is_ours(platform: object) -> bool:
    if not isinstance(platform, dict):
        return True
    return platform.get("os") == "linux" and platform.get("architecture") == architecture()


def _name(annotations: Mapping[str, str]) -> str:
    """The name of an entry: whole in one annotation, or the tag alone in one and the whole name in the other.

    Tools that don't know the second annotation may have left it there with another image's name.
    """
    ref = annotations.get(REF_NAME, "")
    full = normal_name(annotations.get(FULL_NAME, ""))
    if full and (not ref or full.endswith(f":{ref}")):
        return full
    return normal_name(ref) or full


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
    config = docker_archive.image_config(config_bytes)
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
            told = Progress(subject, f"unpacking layer {layer.digest[7:19]}")
            check = (lambda: None) if progress is None else (lambda: progress(told))
            unpack_stored(store.layout, store.layers_on_disk, layer, diff_ids, check)
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
