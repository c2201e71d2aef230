"""Images together with the containers made from them."""

from __future__ import annotations

import dataclasses

from pyctr_engine.containers import store
from pyctr_engine.containers.context import Context
from pyctr_engine.errors import NotFound
from pyctr_engine.model.image import ImageSummary


def images(context: Context) -> list[ImageSummary]:
    """All images, newest first, each with who uses it."""
    used = used_by(context)
    found = [dataclasses.replace(item, used_by=used.get(item.id, ())) for item in context.images.list()]
    return sorted(found, key=lambda item: item.created or 0.0, reverse=True)


def image(context: Context, ref: str) -> ImageSummary:
    """One image. Raises NotFound."""
    id = context.images.find(ref).id
    for item in images(context):
        if item.id == id:
            return item
    raise NotFound(f"no such image: {ref}", "`pyctr-tui images` lists what there is")


def remove(context: Context, ref: str, force: bool) -> list[str]:
    """Remove a name or an image; refuses one that containers use."""
    id = context.images.find(ref).id
    done = context.images.remove(ref, force)
    for line in done:
        what, _, which = line.partition(": ")
        context.event("image", "delete" if what == "Deleted" else "untag", id, ref if which == id else which)
    return done


def used_by(context: Context) -> dict[str, tuple[str, ...]]:
    """Image id → ids of the containers made from it."""
    found: dict[str, tuple[str, ...]] = {}
    with context.lock:
        for spec in store.all_specs(context.database):
            id = spec.image_id.partition("@")[0]  # of the state after a layer: it needs the image
            found[id] = (*found.get(id, ()), spec.id)
    return found
