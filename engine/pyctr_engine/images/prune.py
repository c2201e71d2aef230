"""Removing all images that may go, at once, and measuring what images take."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from pyctr_engine import reserve
from pyctr_engine.errors import EngineError
from pyctr_engine.images import partial, pending
from pyctr_engine.images.garbage import Unneeded, unneeded
from pyctr_engine.images.layer_store import chain_ids
from pyctr_engine.linux.diskusage import DiskUsage, allocated
from pyctr_engine.model.oci import ImageConfig
from pyctr_engine.model.tidy import ImageUsage, LayerUsage
from pyctr_engine.record import dataclass

if TYPE_CHECKING:
    from pyctr_engine.images.store import ImageStore, Stored

Accept = Callable[["Stored", ImageConfig], bool]
"""Whether an image that nothing uses may go."""


def unused(store: ImageStore, accept: Accept, users: Collection[str] = ()) -> list[Stored]:
    """The images that nothing uses and that may go; ``users`` are containers that are taken for gone."""
    used = {use.image_id for use in store.uses() if use.container not in users}
    return [
        stored
        for stored in store.all()
        if stored.id not in used and accept(stored, ImageConfig.from_json(store.layout.read_json(stored.id)))
    ]


def remove_unused(store: ImageStore, accept: Accept) -> list[Stored]:
    """Take them out of the index, in one step; `garbage.collect` is to follow."""
    reserve.make_room(store.state)
    slip = pending.put_slip(store.layout.directory)
    gone: list[Stored] = []
    try:
        with store.layout.edit() as entries:
            gone = unused(store, accept)
            digests = {stored.entry.digest for stored in gone}
            entries[:] = [entry for entry in entries if entry.digest not in digests]
    finally:
        if not gone:
            pending.take_slip(slip)
    return gone


@dataclass(frozen=True, slots=True)
class StoreUsage:
    """What images take: see `model.tidy`; ``blobs`` (parts of such too) and ``active_blobs``: (how many, bytes)."""

    images: tuple[ImageUsage, ...]
    layers: tuple[LayerUsage, ...]
    blobs: tuple[int, int]
    active_blobs: tuple[int, int]
    active_layers: tuple[int, int]
    unreferenced: int


def usage(store: ImageStore) -> StoreUsage:
    """Measure every layer and blob; takes as long as looking at each file."""
    from pyctr_engine.images.listing import timestamp

    layers = _layer_sizes(store)
    blobs = _blob_sizes(store)
    parts_there = _parts_there(store)
    used = [use.image_id for use in store.uses()]
    parts: dict[str, tuple[list[str], list[str], ImageConfig]] = {}
    owners: dict[str, set[str]] = {}
    images = store.all()
    for stored in images:
        config = ImageConfig.from_json(store.layout.read_json(stored.id))
        chains = [chain for chain in chain_ids(config.diff_ids) if chain in layers]
        digests = [stored.entry.digest, stored.id, *(layer.digest for layer in stored.manifest.layers)]
        parts[stored.entry.digest] = chains, list(dict.fromkeys(digests)), config
        for part in (*chains, *digests):
            owners.setdefault(part, set()).add(stored.entry.digest)
    lines = []
    for stored in images:
        chains, digests, config = parts[stored.entry.digest]
        in_layers = sum(layers[chain][0] for chain in chains)
        in_blobs = sum(blobs.get(digest, 0) for digest in digests)
        unique = sum(layers[chain][0] for chain in chains if len(owners[chain]) == 1)
        unique += sum(blobs.get(digest, 0) for digest in digests if len(owners[digest]) == 1)
        size = in_layers + in_blobs
        created = timestamp(config.created)
        count = used.count(stored.id)
        lines.append(
            ImageUsage(stored.id, stored.names, created, size, size - unique, unique, in_layers, in_blobs, count)
        )
    ids = {stored.entry.digest: stored.id for stored in images}
    active = {part for stored in images if stored.id in used for part in _parts(parts[stored.entry.digest])}
    return StoreUsage(
        tuple(sorted(lines, key=lambda line: (-line.size, line.names))),
        tuple(
            LayerUsage(chain, size, entries, tuple(sorted({ids[owner] for owner in owners.get(chain, ())})))
            for chain, (size, entries) in layers.items()
        ),
        (len(blobs) + parts_there[0], sum(blobs.values()) + parts_there[1]),
        (len(active & blobs.keys()), sum(blobs[digest] for digest in active & blobs.keys())),
        (len(active & layers.keys()), sum(layers[chain][0] for chain in active & layers.keys())),
        _unreferenced(store),
    )


def _parts(parts: tuple[list[str], list[str], ImageConfig]) -> list[str]:
    return [*parts[0], *parts[1]]


def _layer_sizes(store: ImageStore) -> dict[str, tuple[int, int]]:
    found = {}
    for chain in store.layers_on_disk.chains():
        one = DiskUsage()
        one.add(f"{store.layers_on_disk.directory}/{chain}")
        record = store.layers_on_disk.read(chain)
        found[chain] = one.allocated, record.entries if record else 0
    return found


def _blob_sizes(store: ImageStore) -> dict[str, int]:
    found = {}
    for name in os.listdir(store.layout.blobs):
        if not name.startswith("."):
            one = DiskUsage()
            one.add(f"{store.layout.blobs}/{name}")
            found[f"sha256:{name}"] = one.allocated
    return found


def _parts_there(store: ImageStore) -> tuple[int, int]:
    paths = partial.paths(store.layout.directory)
    return len(paths), allocated(*paths)


def _unreferenced(store: ImageStore) -> int:
    with store.layout.collecting() as alone:
        if not alone:
            return 0
        counter = DiskUsage()
        measure(store, unneeded(store), counter)
        return counter.freed_if_removed


def measure(store: ImageStore, found: Unneeded, counter: DiskUsage) -> None:
    """Count what removing it gives back."""
    for path in (*found.blobs, *found.parts):
        counter.add(path)
    for name in found.layers:
        counter.add(f"{store.layers_on_disk.directory}/{name}")
        with contextlib.suppress(EngineError):
            record = None if name.startswith(".") else store.layers_on_disk.read(name)
            if record is not None:
                counter.add(f"{store.layers_on_disk.directory}/{record.link}")
