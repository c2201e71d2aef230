"""Docker's own archives: ``manifest.json`` with layers beside it (docker 1.10 to 24, podman, skopeo), and the first
version, a directory for each layer and ``repositories`` (docker up to 1.9).

Sources: moby, image/tarexport and image/spec; what `docker save` writes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from pyctr_engine.errors import ImageFormatError
from pyctr_engine.images.archive_source import Source, document
from pyctr_engine.images.ingest import counted, ingest
from pyctr_engine.images.layer_store import chain_ids
from pyctr_engine.images.layout import parse_object
from pyctr_engine.images.store import normal_name
from pyctr_engine.images.streams import undo_rare
from pyctr_engine.model.oci import CONFIG, LAYER_TAR, MANIFEST, Descriptor, History, ImageConfig, Json, Manifest
from pyctr_engine.model.progress import Progress

if TYPE_CHECKING:
    from pyctr_engine.images.store import ImageStore, Stored

ProgressSink = Callable[[Progress], None]

_MAX_LAYERS = 1000
_FIRST_VERSION_ONLY = frozenset({"id", "parent", "parent_id", "layer_id", "throwaway", "Size"})


def image_config(data: bytes) -> ImageConfig:
    """A configuration; raises ImageFormatError also for one that describes no image."""
    config = ImageConfig.from_json(parse_object(data, "an image configuration"))
    if not config.diff_ids:
        raise ImageFormatError("the archive holds something that is no image: it has no layers")
    return config


def load(store: ImageStore, source: Source, progress: ProgressSink | None) -> Iterator[tuple[Stored, str]]:
    """The images that manifest.json names, once for each name; the caller holds `Layout.adding`."""
    listed = parse_object(b'{"images":' + document(source, "manifest.json") + b"}", "manifest.json").get("images")
    if not isinstance(listed, list) or not listed:
        raise ImageFormatError("manifest.json names no images")
    for item in listed:
        if not isinstance(item, dict):
            raise ImageFormatError("manifest.json names something that is no image")
        yield from _load_image(store, source, item, progress)


def _load_image(
    store: ImageStore, source: Source, item: Json, progress: ProgressSink | None
) -> Iterator[tuple[Stored, str]]:
    config_name, paths = item.get("Config"), item.get("Layers")
    if not isinstance(config_name, str) or not isinstance(paths, list):
        raise ImageFormatError("manifest.json names no configuration or no layers")
    config_bytes = document(source, config_name)
    config = image_config(config_bytes)
    if len(paths) != len(config.diff_ids):
        raise ImageFormatError(f"manifest.json has {len(paths)} layers, the configuration {len(config.diff_ids)}")
    tags = item.get("RepoTags")
    names = [normal_name(tag) for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []
    present = _present(store, config_bytes)
    if present is not None:
        for name in names or [""]:
            yield store.add_manifest(present, name), name
        return
    subject = names[0] if names else config_name
    descriptors = [
        _load_layer(store, source, str(path), config.diff_ids[:index], config.diff_ids[index], subject, progress)
        for index, path in enumerate(paths)
    ]
    yield from _add(store, config_bytes, descriptors, names)


def _present(store: ImageStore, config: bytes) -> Descriptor | None:
    """The same image, if the store has all of it: an archive of this kind has no manifest that could differ."""
    id = f"sha256:{hashlib.sha256(config).hexdigest()}"
    for stored in store.all():
        if stored.id == id and all(map(store.layout.has, stored.manifest.layers)):
            return stored.entry
    return None


def _load_layer(
    store: ImageStore,
    source: Source,
    path: str,
    below: tuple[str, ...],
    diff_id: str,
    subject: str,
    progress: ProgressSink | None,
) -> Descriptor:
    """Store a layer unless it is there, as a plain tar is most of the time."""
    size = source.size(path)
    if size is None:
        raise ImageFormatError(f"the archive lacks {path}")
    plain = Descriptor(LAYER_TAR, diff_id, size)
    if diff_id and store.layout.has(plain) and store.layers_on_disk.read(chain_ids((*below, diff_id))[-1]):
        return plain
    chunks = undo_rare(counted(source.chunks(path), size, subject, "loading", progress))
    return ingest(store.layout, store.layers_on_disk, chunks, below, diff_id=diff_id).descriptor


def _add(
    store: ImageStore, config: bytes, layers: list[Descriptor], names: list[str]
) -> Iterator[tuple[Stored, str]]:
    written = store.layout.write_bytes(config, CONFIG)
    manifest = store.layout.write_json(Manifest(written, tuple(layers)).to_json(), MANIFEST)
    for name in names or [""]:
        yield store.add_manifest(manifest, name), name


def load_first_version(
    store: ImageStore, source: Source, progress: ProgressSink | None
) -> Iterator[tuple[Stored, str]]:
    """The images that ``repositories`` names; the caller holds `Layout.adding`."""
    names: dict[str, list[str]] = {}
    for repository, tags in parse_object(document(source, "repositories"), "repositories").items():
        for tag, id in tags.items() if isinstance(tags, dict) else ():
            if not isinstance(id, str) or not id or "/" in id:
                raise ImageFormatError("repositories names something that is no image")
            names.setdefault(id, []).append(normal_name(f"{repository}:{tag}"))
    if not names:
        raise ImageFormatError("repositories names no images")
    for id in names:
        steps = _ancestry(source, id)
        descriptors: list[Descriptor] = []
        diff_ids: tuple[str, ...] = ()
        for step in steps:
            path = f"{step['id']}/layer.tar"
            size = source.size(path)
            if size is None:
                raise ImageFormatError(f"the archive lacks {path}")
            chunks = undo_rare(counted(source.chunks(path), size, names[id][0], "loading", progress))
            done = ingest(store.layout, store.layers_on_disk, chunks, diff_ids)
            descriptors.append(done.descriptor)
            diff_ids = (*diff_ids, done.layer.diff_id)
        yield from _add(store, _config_of(steps, diff_ids), descriptors, names[id])


def _ancestry(source: Source, id: str) -> list[Json]:
    """The descriptions of an image and of those below it, lowest first."""
    steps: list[Json] = []
    wanted: object = id
    while wanted:
        if not isinstance(wanted, str) or "/" in wanted or len(steps) > _MAX_LAYERS:
            raise ImageFormatError(f"image {id[:12]} has a parent that can't be")
        step = parse_object(document(source, f"{wanted}/json"), f"{wanted[:12]}/json")
        steps.append({**step, "id": wanted})
        wanted = step.get("parent")
    return steps[::-1]


def _config_of(steps: list[Json], diff_ids: tuple[str, ...]) -> bytes:
    """A configuration of today: the topmost description, and a history of all."""
    kept = {key: value for key, value in steps[-1].items() if key not in _FIRST_VERSION_ONLY}
    history = []
    for step in steps:
        made = step.get("container_config")
        command = made.get("Cmd") if isinstance(made, dict) else None
        by = " ".join(map(str, command)) if isinstance(command, list) else ""
        history.append(History.from_json({**step, "created_by": by}))
    whole = {
        **kept,
        "rootfs": {"type": "layers", "diff_ids": list(diff_ids)},
        "history": [History(one.created, one.created_by, one.author, one.comment).to_json() for one in history],
    }
    data = json.dumps(whole, separators=(",", ":"), sort_keys=True).encode()
    image_config(data)
    return data
