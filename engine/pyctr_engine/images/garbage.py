"""Removing names and images, and what then nothing refers to: mark from the roots, sweep the rest.

Roots are the index, what uses images (`ImageStore.uses`: containers), and leases (`pending`).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TYPE_CHECKING

from pyctr_engine import reserve
from pyctr_engine.errors import Conflict, EngineError, ImageFormatError, StoreError
from pyctr_engine.images import partial, pending
from pyctr_engine.images.layer_store import chain_ids
from pyctr_engine.images.layout import ASIDE, entry_name, named, read_object
from pyctr_engine.model.oci import MANIFEST, Descriptor, ImageConfig, Manifest
from pyctr_engine.record import dataclass

if TYPE_CHECKING:
    from pyctr_engine.images.store import ImageStore, Stored, Use

_SHOWN = 3
"""How many containers an error names."""

_MAX_MANIFEST = 4 << 20
"""Bytes of the largest blob that is looked at when a manifest is sought (the distribution-spec's limit)."""


def remove(store: ImageStore, ref: str, force: bool) -> list[str]:
    """See `ImageStore.remove`."""
    reserve.make_room(store.state)
    slip = pending.put_slip(store.layout.directory)
    deleted, ended = "", False
    try:
        with store.layout.edit() as entries:
            stored = store.find(ref)
            uses = [use for use in store.uses() if use.image_id == stored.id]
            removed = tuple(name for name in stored.names if store.is_name(name, ref)) or stored.names
            is_last = len(removed) == len(stored.names)
            _check_removal(store, ref, stored, uses, force)
            entries[:] = [
                entry
                for entry in entries
                if entry.digest != stored.entry.digest or not (is_last or entry_name(entry) in removed)
            ]
            if is_last and uses:
                entries.append(named(stored.entry, ""))
            elif is_last:
                deleted = stored.id
        for name in removed:  # nor what an interrupted pull of that name has left
            ended |= pending.end_lease(store.layout.directory, name)
    finally:
        if not deleted and not ended:
            pending.take_slip(slip)
    if deleted or ended:
        collect(store)
        reserve.keep(store.state)
    return [f"Untagged: {name}" for name in removed] + ([f"Deleted: {deleted}"] if deleted else [])


def _check_removal(store: ImageStore, ref: str, stored: Stored, uses: Sequence[Use], force: bool) -> None:
    """Docker's rules: a name goes unless it is the last one of an image in use; an id stands for all of an image."""
    if any(store.is_name(name, ref) for name in stored.names):
        if uses and len(stored.names) == 1 and not force:
            raise Conflict(
                f"image {ref} is used by {_few(uses)}",
                "remove what uses it, or take its name only by force: `rmi -f`",
            )
        return
    running = [use for use in uses if use.is_running]
    if running:
        raise Conflict(f"image {ref} is used by running {_few(running)}", "stop and remove what uses it first")
    if len(stored.names) > 1 and not force:
        raise Conflict(
            f"image {ref} has several names: {', '.join(stored.names)}", "remove the names, or all by force: `rmi -f`"
        )
    if uses and (not force or not stored.names):
        more = ", or take its name only by force: `rmi -f`" if stored.names else ""
        raise Conflict(f"image {ref} is used by {_few(uses)}", f"remove what uses it{more}")


def _few(uses: Sequence[Use]) -> str:
    more = f" and {len(uses) - _SHOWN} more" if len(uses) > _SHOWN else ""
    names = ", ".join(use.container for use in uses[:_SHOWN])
    return f"{'containers' if len(uses) > 1 else 'container'} {names}{more}"


@dataclass(frozen=True, slots=True)
class Unneeded:
    """What nothing refers to: paths in the layout, names in the layers directory; parts of blobs that may go."""

    blobs: tuple[str, ...]
    layers: tuple[str, ...]
    parts: tuple[str, ...]


def collect(store: ImageStore, sink: Callable[[Unneeded], None] | None = None, leases: bool = False) -> bool:
    """Remove the blobs and layers that nothing refers to, and what crashes left aside.

    Args:
        sink: Is told what will go, while it is there.
        leases: What interrupted pulls left goes too.

    Returns False, having done nothing, while an image is being made (who makes it will do it), and when an image
    can't be read: what it needs is not known then.
    """
    done = False
    while True:
        with store.layout.collecting() as alone:
            if not alone:
                return done
            slips = pending.slips(store.layout.directory)
            pending.drop_leases(store.layout.directory, only_ended=not leases)
            try:
                found = unneeded(store, leases=not leases)
            except (StoreError, ImageFormatError):
                return False
            if sink is not None:
                sink(found)
            _sweep(store, found)
            for slip in slips:
                pending.take_slip(slip)
        done = True
        if not pending.slips(store.layout.directory):  # else somebody was turned away by us meanwhile
            return True


def _sweep(store: ImageStore, found: Unneeded) -> None:
    for path in (*found.blobs, *found.parts):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
    for name in found.layers:
        store.layers_on_disk.remove(name)
    store.layers_on_disk.remove_dangling_links()


def unneeded(
    store: ImageStore, without: Collection[str] = (), users: Collection[str] = (), leases: bool = True
) -> Unneeded:
    """What nothing refers to. Only right while nobody is adding.

    Args:
        without: Ids of images, and ``users`` names of containers, that are taken for gone.
        leases: Whether what is leased is needed, and parts of blobs are kept for their time.
    """
    blobs, chains = needed(store, without, users, leases)
    return Unneeded(
        tuple(unneeded_blobs(store, blobs)),
        tuple(unneeded_layers(store, chains)),
        tuple(partial.idle(store.layout.directory, partial.KEPT_SECONDS if leases else 0)),
    )


def needed(
    store: ImageStore, without: Collection[str] = (), users: Collection[str] = (), leases: bool = True
) -> tuple[set[str], set[str]]:
    """Digests of the blobs and chain ids (hex) of the layers that must stay; see `unneeded`.

    Raises:
        StoreError, ImageFormatError: an image that can't be read.
    """
    blobs, chains = pending.leased(store.layout.directory) if leases else (set(), set())
    images = store.all()
    gone = {stored.entry.digest for stored in images if stored.id in without}
    blobs |= {entry.digest for entry in store.layout.entries()} - gone
    known = set(without)
    for stored in images:
        if stored.id in without:
            continue
        known.add(stored.id)
        blobs |= {stored.id, *(layer.digest for layer in stored.manifest.layers)}
        chains.update(chain_ids(ImageConfig.from_json(store.layout.read_json(stored.id)).diff_ids))
    uses = [use for use in store.uses() if use.container not in users]
    chains.update(filter(None, (store.layers_on_disk.chain_of(link) for use in uses for link in use.chain)))
    for entry, manifest in manifests_of(store, {use.image_id for use in uses} - known):
        blobs |= {entry.digest, manifest.config.digest, *(layer.digest for layer in manifest.layers)}
    return blobs, chains


def manifests_of(store: ImageStore, ids: set[str] | None) -> Iterator[tuple[Descriptor, Manifest]]:
    """The manifests among the blobs that make images ``ids`` (``None``: any): for those that the index has lost."""
    if ids is not None and not ids:
        return
    for name in sorted(os.listdir(store.layout.blobs)):
        path = f"{store.layout.blobs}/{name}"
        with contextlib.suppress(FileNotFoundError, EngineError):
            if name.startswith(".") or os.path.getsize(path) > _MAX_MANIFEST:
                continue
            with open(path, "rb") as file:
                if file.read(1) != b"{":
                    continue
            document = read_object(path)
            manifest = Manifest.from_json(document)
            if ids is None or manifest.config.digest in ids:
                media_type = str(document.get("mediaType") or MANIFEST)
                yield Descriptor(media_type, f"sha256:{name}", os.path.getsize(path)), manifest


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
