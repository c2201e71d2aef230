"""Making images: of a container's changes, and of a root file system's tar."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pyctr_engine.errors import NotFound, from_os_error
from pyctr_engine.images import instructions
from pyctr_engine.images.blob_stream import BlobStream
from pyctr_engine.images.ingest import counted, gathered, ingest
from pyctr_engine.images.layers import Choice, layer_tar
from pyctr_engine.images.platform import architecture
from pyctr_engine.images.streams import read_file, undo_rare
from pyctr_engine.model.oci import CONFIG, LAYER_TAR, MANIFEST, Descriptor, History, ImageConfig, Manifest
from pyctr_engine.model.progress import Progress
from pyctr_engine.model.reference import Reference

if TYPE_CHECKING:
    from pyctr_engine.images.store import Image, ImageStore, Stored
    from pyctr_engine.model.spec import CommitRequest

ProgressSink = Callable[[Progress], None]


def commit(
    store: ImageStore,
    base: Image,
    uppers: Sequence[str],
    config: ImageConfig,
    request: CommitRequest,
    created_by: str,
    progress: ProgressSink | None,
) -> Stored:
    """See `ImageStore.commit`."""
    name = Reference.parse(request.name).familiar if request.name else ""
    config = instructions.apply(config, request.changes)
    subject = name or "image"
    tell = progress or (lambda _step: None)
    lowers = [f"{store.layers_on_disk.directory}/{link}" for link in base.chain]
    with store.layout.adding():
        if all(entry.digest != base.digest for entry in store.layout.entries()):
            raise NotFound(f"the image {base.id[7:19]} that it was made from has been removed meanwhile")
        below = Manifest.from_json(store.layout.read_json(base.digest)).layers[: len(base.config.diff_ids)]
        try:
            if request.squash:
                uppers, lowers = (*uppers, *lowers), []
            choice = Choice(request.include, request.exclude)
            tar = gathered(layer_tar(uppers, lowers, choice, lambda text: tell(Progress(subject, text))))
            layer = _store_unless_empty(store, counted(tar, 0, subject, "writing the layer", progress))
        except OSError as error:
            raise from_os_error(error, "commit the container's changes") from error
        now = timestamp_now()
        step = History(now, created_by, request.author, request.message, empty_layer=layer is None)
        history, diff_ids = _whole_history(base.config), base.config.diff_ids
        if request.squash:
            history, diff_ids, below = tuple(replace(one, empty_layer=True) for one in history), (), ()
        config = replace(
            config,
            created=now,
            author=request.author or config.author,
            diff_ids=diff_ids + ((layer.digest,) if layer else ()),
            history=(*history, step),
        )
        stored = store_image(store, config, below + ((layer,) if layer else ()), name)
    tell(Progress(subject, "committed", finished=True))
    return stored


def import_tar(
    store: ImageStore, path: str, name: str, changes: Sequence[str], message: str, progress: ProgressSink | None
) -> Stored:
    """See `ImageStore.import_tar`."""
    name = Reference.parse(name).familiar if name else ""
    now = timestamp_now()
    config = instructions.apply(ImageConfig(architecture=architecture(), created=now), changes)
    subject = name or path
    try:
        fd = 0 if path == "-" else os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise NotFound(
            f"no such file: {path}", "import takes a tar, tar.gz or tar.zst, or - for standard input"
        ) from None
    except OSError as error:
        raise from_os_error(error, "open the archive") from error
    try:
        with store.layout.adding():
            chunks = counted(read_file(fd), os.fstat(fd).st_size, subject, "importing", progress)
            layer = ingest(store.layout, store.layers_on_disk, undo_rare(chunks), ())
            if progress is not None:
                for note in layer.notes:
                    progress(Progress(subject, note))
            step = History(now, f"pyctr-tui import {os.path.basename(path)}", comment=message or "imported")
            config = replace(config, diff_ids=(layer.layer.diff_id,), history=(step,))
            stored = store_image(store, config, (layer.descriptor,), name)
    except OSError as error:
        raise from_os_error(error, f"import {path}") from error
    finally:
        if fd:
            os.close(fd)
    if progress is not None:
        progress(Progress(subject, "imported", finished=True))
    return stored


def _store_unless_empty(store: ImageStore, tar: Iterator[bytes]) -> Descriptor | None:
    """The layer as a blob alone: uncompressed, so that its digest is its diff id too. The first start unpacks it."""
    first = next(tar, None)
    if first is None:
        return None
    with BlobStream(store.layout) as blob:
        blob.write(first)
        for piece in tar:
            blob.write(piece)
        return blob.commit(LAYER_TAR)


def store_image(store: ImageStore, config: ImageConfig, layers: tuple[Descriptor, ...], name: str) -> Stored:
    """Store an image whose layers are in the store, and name it; the caller holds `Layout.adding`."""
    written = store.layout.write_json(config.to_json(), CONFIG)
    manifest = store.layout.write_json(Manifest(written, layers).to_json(), MANIFEST)
    return store.add_manifest(manifest, name)


def _whole_history(config: ImageConfig) -> tuple[History, ...]:
    """One step for each layer at least: some tools write none."""
    told = sum(not step.empty_layer for step in config.history)
    untold = History(config.created, comment="not told by the image")
    return (untold,) * (len(config.diff_ids) - told) + config.history


def timestamp_now() -> str:
    """RFC 3339, UTC, nanoseconds without zeros at the end, as Go writes it."""
    seconds, fraction = divmod(time.time_ns(), 10**9)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{fraction:09d}".rstrip("0").rstrip(".") + "Z"


def check(request: CommitRequest, paths: Sequence[str]) -> frozenset[str]:
    """See `Engine.check_commit`."""
    if request.name:
        Reference.parse(request.name)
    instructions.apply(ImageConfig(), request.changes)
    is_left_out, is_taken = Choice(request.include, request.exclude).tests()
    raw = ((path, os.fsencode(path.lstrip("/"))) for path in paths)
    return frozenset(path for path, name in raw if is_left_out(name) or not is_taken(name))
