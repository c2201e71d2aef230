"""Saving images for other tools: an OCI layout directory (image-spec, image-layout.md), or an archive.

An archive is by default both: the OCI layout as a tar, with the manifest.json that docker's `load` looks for. Docker
writes the same since version 25; older ones, podman, skopeo and containerd find what they know.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from pyctr_engine.errors import InvalidValue, StoreError, from_os_error
from pyctr_engine.images.layout import BlobWriter, Layout, encode, entry_name, give_name, named, write_all
from pyctr_engine.images.output import output
from pyctr_engine.images.streams import decompress, read_file, recognise
from pyctr_engine.images.tar_writer import END, header, padding
from pyctr_engine.linux.tree import remove_tree
from pyctr_engine.model.image import ArchiveFormat
from pyctr_engine.model.oci import (
    CONFIG,
    DOCKER_LAYER_GZIP,
    DOCKER_LAYER_TAR,
    DOCKER_MANIFEST,
    FULL_NAME,
    INDEX,
    LAYER_GZIP,
    LAYER_TAR,
    MANIFEST,
    Descriptor,
    Manifest,
)
from pyctr_engine.model.progress import Progress
from pyctr_engine.model.reference import Reference
from pyctr_engine.record import dataclass, field, replace

if TYPE_CHECKING:
    from pyctr_engine.images.store import ImageStore, Stored

ProgressSink = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class _Image:
    """One image to save, under the names (familiar) that were asked for."""

    manifest: Manifest
    entry: Descriptor
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Selection:
    """All images to save, and the blobs that they need, by digest, sorted; ``documents`` are not in the store."""

    images: list[_Image]
    blobs: dict[str, Descriptor]
    documents: dict[str, bytes]
    read: dict[str, int] = field(default_factory=dict)
    """Bytes read of each blob so far."""

    @property
    def total(self) -> int:
        """Bytes of all blobs."""
        return sum(blob.size for blob in self.blobs.values())

    def entries(self) -> list[Descriptor]:
        """For an index: one for each image and name."""
        return [_entry(image.entry, name) for image in self.images for name in image.names or ("",)]


def save(
    store: ImageStore, refs: Sequence[str], path: str, progress: ProgressSink | None, format: ArchiveFormat = ""
) -> None:
    """See `ImageStore.save`."""
    with store.layout.keeping():
        _save(store, refs, path, progress, format)


def _save(
    store: ImageStore, refs: Sequence[str], path: str, progress: ProgressSink | None, format: ArchiveFormat
) -> None:
    selection = _selected(store, refs)
    if path != "-" and (path.endswith("/") or os.path.isdir(path)):
        if format == "docker":
            raise InvalidValue("docker's form is an archive, not a directory", "name a file, or take --format oci")
        try:
            with _whole_or_none(path.rstrip("/") or "/") as directory:
                _write_layout(store, selection, directory, progress)
        except OSError as error:
            raise from_os_error(error, f"save to {path}") from error
    else:
        with output(path, "save") as fd:
            _write_archive(store, selection, format, fd, progress)
    if progress is not None:
        progress(Progress("save", "saved", selection.total, selection.total, True))


@contextlib.contextmanager
def _whole_or_none(directory: str) -> Iterator[str]:
    """A layout that was not there before is not there after a failure; in one that was, blobs without a name stay."""
    is_new = not os.path.exists(directory)
    try:
        yield directory
    except BaseException:
        if is_new:
            remove_tree(directory)
        raise


def _selected(store: ImageStore, refs: Sequence[str]) -> _Selection:
    """What was asked for; by id: under all of the image's names."""
    names: dict[str, tuple[str, ...]] = {}
    images: dict[str, Stored] = {}
    for ref in [tag for asked in refs for tag in _tags(store, asked)]:
        stored = store.find(ref)
        digest = stored.entry.digest
        images[digest] = stored
        matching = tuple(name for name in stored.names if store.is_name(name, ref)) or stored.names
        names[digest] = tuple(dict.fromkeys((*names.get(digest, ()), *matching)))
    selection = _Selection([], {}, {})
    for digest, stored in images.items():
        for descriptor in (stored.entry, stored.manifest.config, *stored.manifest.layers):
            if not store.layout.has(descriptor):
                raise StoreError(
                    f"cannot save {(stored.names or (stored.id,))[0]}: blob {descriptor.digest} is missing",
                    "`pyctr-tui system check` examines the store",
                )
        entry = stored.entry
        if entry.media_type == DOCKER_MANIFEST:
            entry, document = _as_oci(stored)
            selection.documents[entry.digest] = document
        selection.images.append(_Image(stored.manifest, entry, names[digest]))
        for descriptor in (entry, stored.manifest.config, *stored.manifest.layers):
            selection.blobs[descriptor.digest] = descriptor
    return replace(selection, blobs=dict(sorted(selection.blobs.items())))


_OCI_TYPES = {DOCKER_LAYER_GZIP: LAYER_GZIP, DOCKER_LAYER_TAR: LAYER_TAR}


def _as_oci(stored: Stored) -> tuple[Descriptor, bytes]:
    """A manifest of docker's as one of OCI's, which other tools look for: same configuration, same layers."""
    manifest = stored.manifest
    layers = tuple(
        replace(layer, media_type=_OCI_TYPES.get(layer.media_type, layer.media_type)) for layer in manifest.layers
    )
    config = replace(manifest.config, media_type=CONFIG)
    data = encode(replace(manifest, media_type=MANIFEST, config=config, layers=layers).to_json())
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    return Descriptor(MANIFEST, digest, len(data), stored.entry.annotations, stored.entry.extra), data


def _tags(store: ImageStore, ref: str) -> list[str]:
    """A repository without a tag means all of its tags, as docker has it; what else there is, itself."""
    if ":" in ref.rpartition("/")[2] or "@" in ref:
        return [ref]
    try:
        wanted = Reference.parse(ref).name
    except InvalidValue:
        return [ref]
    found = [entry_name(entry) for entry in store.layout.entries()]
    return [name for name in found if name and _repository(name) == wanted] or [ref]


def _repository(name: str) -> str:
    try:
        return Reference.parse(name).name
    except InvalidValue:
        return ""


def _entry(entry: Descriptor, name: str) -> Descriptor:
    entry = named(entry, name)
    if not _repository(name):
        return entry
    return replace(entry, annotations={**entry.annotations, FULL_NAME: Reference.parse(name).canonical})


def _chunks(store: ImageStore, selection: _Selection, digest: str, progress: ProgressSink | None) -> Iterator[bytes]:
    """A blob's bytes. ``progress`` hears of each piece, and may end it all there by raising Cancelled."""
    done = 0
    for chunk in _stored_chunks(store, selection, digest):
        yield chunk
        done += len(chunk)
        selection.read[digest] = done
        if progress is not None:
            progress(Progress("save", f"blob {digest[7:19]}", sum(selection.read.values()), selection.total))


def _stored_chunks(store: ImageStore, selection: _Selection, digest: str) -> Iterator[bytes]:
    if digest in selection.documents:
        yield selection.documents[digest]
        return
    fd = os.open(store.layout.path(digest), os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield from read_file(fd)
    finally:
        os.close(fd)


def _write_layout(
    store: ImageStore,
    selection: _Selection,
    path: str,
    progress: ProgressSink | None,
) -> None:
    """Add to the layout at ``path``, which may hold other images already."""
    layout = Layout(path)
    with layout.adding():
        for digest, descriptor in selection.blobs.items():
            if layout.has(descriptor):
                continue
            with BlobWriter(layout) as writer:
                for chunk in _chunks(store, selection, digest, progress):
                    writer.write(chunk)
                writer.commit(descriptor.media_type, descriptor)
        with layout.edit() as present:
            for entry in selection.entries():
                give_name(present, entry)


def _write_archive(
    store: ImageStore, selection: _Selection, format: ArchiveFormat, fd: int, progress: ProgressSink | None
) -> None:
    """The same images give the same bytes."""
    if format == "docker":
        _write_docker(store, selection, fd, progress)
        return
    for directory in (b"blobs", b"blobs/sha256"):
        write_all(fd, header(directory, "directory", 0o755))
    for digest, descriptor in selection.blobs.items():
        write_all(fd, header(_blob_path(descriptor).encode(), size=descriptor.size))
        for chunk in _chunks(store, selection, digest, progress):
            write_all(fd, chunk)
        write_all(fd, padding(descriptor.size))
    index = {
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": [entry.to_json() for entry in selection.entries()],
    }
    _write_document(fd, "index.json", index)
    if not format:
        images = [_docker_image(image, _blob_path, _blob_path) for image in selection.images]
        _write_document(fd, "manifest.json", images)
    _write_document(fd, "oci-layout", {"imageLayoutVersion": "1.0.0"})
    write_all(fd, END)


def _write_docker(store: ImageStore, selection: _Selection, fd: int, progress: ProgressSink | None) -> None:
    """As docker itself did before version 25; but a layer stays compressed by gzip, which every docker takes."""
    configs = {image.manifest.config.digest: image.manifest.config for image in selection.images}
    layers = {layer.digest: layer for image in selection.images for layer in image.manifest.layers}
    for digest, layer in layers.items():
        with open(store.layout.path(digest), "rb") as file:
            is_zstd = recognise(file.read(16)) == "zstd"

        def pieces(digest: str = digest, is_zstd: bool = is_zstd) -> Iterator[bytes]:
            chunks = _chunks(store, selection, digest, progress)
            return decompress(chunks, "zstd") if is_zstd else chunks

        size = sum(map(len, pieces())) if is_zstd else layer.size
        write_all(fd, header(_layer_path(layer).encode(), size=size))
        for chunk in pieces():
            write_all(fd, chunk)
        write_all(fd, padding(size))
    for config in configs.values():
        with open(store.layout.path(config.digest), "rb") as file:
            _write_bytes(fd, _config_path(config), file.read())
    images = [_docker_image(image, _config_path, _layer_path) for image in selection.images]
    _write_document(fd, "manifest.json", images)
    write_all(fd, END)


def _docker_image(
    image: _Image, config: Callable[[Descriptor], str], layer: Callable[[Descriptor], str]
) -> dict[str, object]:
    tags = [name for name in image.names if _repository(name) and "@" not in name]
    return {
        "Config": config(image.manifest.config),
        "RepoTags": [Reference.parse(name).canonical for name in tags],  # podman takes short ones for localhost's
        "Layers": [layer(descriptor) for descriptor in image.manifest.layers],
    }


def _blob_path(descriptor: Descriptor) -> str:
    return f"blobs/sha256/{descriptor.digest[7:]}"


def _config_path(descriptor: Descriptor) -> str:
    return f"{descriptor.digest[7:]}.json"


def _layer_path(descriptor: Descriptor) -> str:
    return f"{descriptor.digest[7:]}/layer.tar"


def _write_document(fd: int, name: str, document: object) -> None:
    _write_bytes(fd, name, json.dumps(document, separators=(",", ":")).encode())


def _write_bytes(fd: int, name: str, data: bytes) -> None:
    write_all(fd, header(name.encode(), size=len(data)) + data + padding(len(data)))
