"""Removing names and images, and what then nothing refers to: mark from the index, sweep the rest."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from pyctr_engine.errors import Conflict, EngineError
from pyctr_engine.images.layer_store import chain_ids
from pyctr_engine.images.layout import ASIDE, entry_name, named
from pyctr_engine.model.oci import ImageConfig

if TYPE_CHECKING:
    from pyctr_engine.images.store import ImageStore

_SHOWN = 3
"""How many containers an error names."""


def remove(store: ImageStore, ref: str, used_by: Sequence[str], force: bool) -> list[str]:
    """See `ImageStore.remove`."""
    with store.layout.edit() as entries:
        stored = store.find(ref)
        removed = tuple(name for name in stored.names if store.is_name(name, ref)) or stored.names
        if len(removed) > 1 and not force:
            raise Conflict(f"image {ref} has several names: {', '.join(removed)}", "remove the names, or use force")
        is_last = len(removed) == len(stored.names)
        if used_by and is_last and not force:
            raise Conflict(
                f"image {ref} is used by {_few(used_by)}", "remove what uses it; force takes its name only"
            )
        entries[:] = [
            entry
            for entry in entries
            if entry.digest != stored.entry.digest or not (is_last or entry_name(entry) in removed)
        ]
        if is_last and used_by:
            entries.append(named(stored.entry, ""))
    done = [f"Untagged: {name}" for name in removed]
    if is_last and not used_by:
        collect(store)
        done.append(f"Deleted: {stored.id}")
    return done


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return (
        ("containers " if len(names) > 1 else "container ")
        + ", ".join(name[:12] if len(name) == 64 else name for name in names[:_SHOWN])
        + more
    )


def collect(store: ImageStore) -> bool:
    """Remove the blobs and layers that no image refers to, and what crashes left aside.

    Returns False, having done nothing, while an image is being made (the next removal will do it), and when an image
    can't be read: what it needs is not known then.
    """
    with store.layout.collecting() as alone:
        if not alone:
            return False
        try:
            blobs, chains = needed(store)
        except EngineError:
            return False
        for path in unneeded_blobs(store, blobs):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        for name in unneeded_layers(store, chains):
            store.layers_on_disk.remove(name)
        store.layers_on_disk.remove_dangling_links()
    return True


def needed(store: ImageStore) -> tuple[set[str], set[str]]:
    """Digests of the blobs and chain ids (hex) of the layers that images refer to.

    Raises:
        StoreError, ImageFormatError: an image that can't be read.
    """
    blobs = {entry.digest for entry in store.layout.entries()}
    chains: set[str] = set()
    for stored in store.all():
        blobs |= {stored.id, *(layer.digest for layer in stored.manifest.layers)}
        chains.update(chain_ids(ImageConfig.from_json(store.layout.read_json(stored.id)).diff_ids))
    return blobs, chains


def unneeded_blobs(store: ImageStore, blobs: set[str]) -> Iterator[str]:
    """Paths in the layout that nothing refers to. Only right while nobody is adding."""
    for directory in (store.layout.blobs, store.layout.directory):
        for name in sorted(os.listdir(directory)):
            is_blob = directory == store.layout.blobs and f"sha256:{name}" not in blobs
            if is_blob or name.startswith(ASIDE):
                yield f"{directory}/{name}"


def unneeded_layers(store: ImageStore, chains: set[str]) -> list[str]:
    """Names in the layers directory that nothing refers to. Only right while nobody is adding."""
    return [
        chain for chain in store.layers_on_disk.chains() if chain not in chains
    ] + store.layers_on_disk.leftovers()
