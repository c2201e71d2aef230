"""Saving images for other tools: an OCI layout directory, or the same in one tar (image-spec, image-layout.md)."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pyctr_engine.errors import NotFound, StoreError, from_os_error
from pyctr_engine.images.layout import ASIDE, BlobWriter, Layout, give_name, named, write_all
from pyctr_engine.images.streams import read_file
from pyctr_engine.images.tar_writer import END, header, padding
from pyctr_engine.model.oci import FULL_NAME, INDEX, Descriptor
from pyctr_engine.model.progress import Progress
from pyctr_engine.model.reference import Reference

if TYPE_CHECKING:
    from pyctr_engine.images.store import ImageStore

ProgressSink = Callable[[Progress], None]


def save(store: ImageStore, refs: Sequence[str], path: str, progress: ProgressSink | None) -> None:
    """See `ImageStore.save`."""
    try:
        with store.layout.keeping():
            entries, blobs = _selected(store, refs)
            if path == "-":
                _write_archive(store, entries, blobs, 1, progress)
            elif path.endswith("/") or os.path.isdir(path):
                _write_layout(store, entries, blobs, path.rstrip("/") or "/", progress)
            else:
                _write_file(store, entries, blobs, path, progress)
    except FileNotFoundError as error:
        raise NotFound(f"cannot save to {path}: no such directory") from error
    except OSError as error:
        raise from_os_error(error, f"save to {path}") from error


def _selected(store: ImageStore, refs: Sequence[str]) -> tuple[list[Descriptor], dict[str, Descriptor]]:
    """Index entries with the names asked for (by id: all of the image's), and all blobs that they need."""
    entries: list[Descriptor] = []
    blobs: dict[str, Descriptor] = {}
    for ref in refs:
        stored = store.find(ref)
        for name in [name for name in stored.names if store.is_name(name, ref)] or stored.names or ("",):
            entry = named(stored.entry, name)
            if name:
                annotations = {**entry.annotations, FULL_NAME: Reference.parse(name).canonical}
                entry = replace(entry, annotations=annotations)
            if entry not in entries:
                entries.append(entry)
        for descriptor in (stored.entry, stored.manifest.config, *stored.manifest.layers):
            if not store.layout.has(descriptor):
                raise StoreError(
                    f"cannot save {ref}: blob {descriptor.digest} is missing",
                    "`pyctr-tui system check` examines the store",
                )
            blobs[descriptor.digest] = descriptor
    return entries, dict(sorted(blobs.items()))


def _chunks(
    store: ImageStore, blobs: dict[str, Descriptor], digest: str, progress: ProgressSink | None
) -> Iterator[bytes]:
    fd = os.open(store.layout.path(digest), os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield from read_file(fd)
    finally:
        os.close(fd)
    if progress is not None:
        position = list(blobs).index(digest) + 1
        progress(Progress("save", f"blob {digest[7:19]}", position, len(blobs), position == len(blobs)))


def _write_layout(
    store: ImageStore,
    entries: list[Descriptor],
    blobs: dict[str, Descriptor],
    path: str,
    progress: ProgressSink | None,
) -> None:
    """Add to the layout at ``path``, which may hold other images already."""
    layout = Layout(path)
    with layout.adding():
        for digest, descriptor in blobs.items():
            if layout.has(descriptor):
                continue
            with BlobWriter(layout) as writer:
                for chunk in _chunks(store, blobs, digest, progress):
                    writer.write(chunk)
                writer.commit(descriptor.media_type, descriptor)
        with layout.edit() as present:
            for entry in entries:
                give_name(present, entry)


def _write_file(
    store: ImageStore,
    entries: list[Descriptor],
    blobs: dict[str, Descriptor],
    path: str,
    progress: ProgressSink | None,
) -> None:
    """Whole or not at all."""
    aside = f"{os.path.dirname(os.path.abspath(path))}/{ASIDE}{os.urandom(8).hex()}"
    fd = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    try:
        _write_archive(store, entries, blobs, fd, progress)
        os.fsync(fd)
        os.rename(aside, path)
    except BaseException:
        os.unlink(aside)
        raise
    finally:
        os.close(fd)


def _write_archive(
    store: ImageStore,
    entries: list[Descriptor],
    blobs: dict[str, Descriptor],
    fd: int,
    progress: ProgressSink | None,
) -> None:
    """The layout as a tar; the same images give the same bytes."""
    for directory in (b"blobs", b"blobs/sha256"):
        write_all(fd, header(directory, "directory", 0o755))
    for digest, descriptor in blobs.items():
        name = b"blobs/sha256/" + digest.removeprefix("sha256:").encode()
        write_all(fd, header(name, size=descriptor.size))
        for chunk in _chunks(store, blobs, digest, progress):
            write_all(fd, chunk)
        write_all(fd, padding(descriptor.size))
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry.to_json() for entry in entries]}
    for name, data in (
        (b"index.json", json.dumps(index, separators=(",", ":")).encode()),
        (b"oci-layout", b'{"imageLayoutVersion":"1.0.0"}'),
    ):
        write_all(fd, header(name, size=len(data)) + data + padding(len(data)))
    write_all(fd, END)
