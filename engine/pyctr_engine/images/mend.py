"""Mending what `verify` finds. Each function tells what it did, or why it left things as they are."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from pyctr_engine.errors import EngineError, from_os_error
from pyctr_engine.images.garbage import manifests_of
from pyctr_engine.images.ingest import unpack_stored
from pyctr_engine.images.layer_store import chain_ids
from pyctr_engine.images.layout import ASIDE, entry_name, give_name, named
from pyctr_engine.linux.tree import remove_tree
from pyctr_engine.model.tidy import Repair

if TYPE_CHECKING:
    from pyctr_engine.images.store import ImageStore, Use
    from pyctr_engine.model.oci import Descriptor


def index(store: ImageStore) -> Repair:
    """A new index of the manifests that are among the blobs; the damaged one stays beside it."""
    found = [entry for entry, _manifest in manifests_of(store, None)]
    kept = store.layout.replace_index(found)
    return Repair("image index", f"made anew of {len(found)} images, without names; the old one is {kept}")


def blob(store: ImageStore, name: str) -> Repair:
    """Remove a blob that is not what its name says."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(f"{store.layout.blobs}/{name}")
    return Repair("image blob", f"removed {name[:12]}, which was damaged")


def drop(store: ImageStore, entry: Descriptor, detail: str) -> Repair:
    """Drop an image that can't be had any more, unless a container was made from it."""
    subject = f"image {entry_name(entry) or entry.digest[7:19]}"
    with store.layout.edit() as entries:
        users = [use.container for use in store.uses() if use.image_id == _id(store, entry)]
        if users:
            left = f"kept, for container {users[0]} was made from it: load or pull it again, or remove that"
            return Repair(subject, f"{left} ({detail})", done=False)
        names = [entry_name(other) for other in entries if other.digest == entry.digest and entry_name(other)]
        entries[:] = [other for other in entries if other.digest != entry.digest]
    return Repair(subject, f"dropped{' with ' + ', '.join(names) if names else ''}: {detail}")


def _id(store: ImageStore, entry: Descriptor) -> str:
    try:
        config = store.layout.read_json(entry.digest).get("config")
    except EngineError:
        return ""
    return str(config.get("digest", "")) if isinstance(config, dict) else ""


def enter(store: ImageStore, entry: Descriptor) -> Repair:
    """Put an image that a container needs back into the index."""
    with store.layout.edit() as entries:
        give_name(entries, named(entry, ""))
    return Repair(f"image {entry.digest[7:19]}", "back in the index, without a name")


def layer(
    store: ImageStore,
    subject: str,
    detail: str,
    source: Descriptor | None,
    diff_ids: tuple[str, ...],
    uses: list[Use],
) -> Repair:
    """Unpack a layer again, in place of what is there; without a blob, remove what nobody uses."""
    running = [use.container for use in uses if use.is_running]
    if running:
        return Repair(
            subject, f"left as it is ({detail}): container {running[0]} runs on it, stop it first", done=False
        )
    if source is None and uses:
        left = f"left as it is ({detail}): container {uses[0].container} needs it, and its blob is gone"
        return Repair(subject, left, done=False)
    layers = store.layers_on_disk
    place = f"{layers.directory}/{chain_ids(diff_ids)[-1]}"
    aside = f"{layers.directory}/{ASIDE}{os.urandom(8).hex()}"
    try:
        with store.layout.keeping(tidy=False):
            with contextlib.suppress(FileNotFoundError):
                os.rename(place, aside)
            try:
                if source is not None:
                    unpack_stored(store.layout, layers, source, diff_ids)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.rename(aside, place)
                raise
            with contextlib.suppress(OSError):  # what is busy is left to the collector
                remove_tree(aside)
    except EngineError as error:
        return Repair(subject, f"left as it is ({detail}): {error.message}", done=False)
    except OSError as error:
        message = from_os_error(error, "unpack it again").message
        return Repair(subject, f"left as it is ({detail}): {message}", done=False)
    return Repair(subject, f"{'removed' if source is None else 'unpacked again'}: {detail}")


def orphans(store: ImageStore) -> Repair:
    """Remove what nothing refers to."""
    if store.collect():
        return Repair("image store", "removed blobs, layers and links that nothing referred to")
    return Repair("image store", "what nothing refers to is left: an image is being made just now", done=False)
