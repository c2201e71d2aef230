"""`system check` of the image store: is everything there that the index names, and is it what it says it is?"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pyctr_engine.errors import EngineError
from pyctr_engine.images.garbage import needed, unneeded_blobs, unneeded_layers
from pyctr_engine.images.layout import entry_name
from pyctr_engine.images.streams import read_file
from pyctr_engine.model.host import Finding
from pyctr_engine.model.oci import ImageConfig

if TYPE_CHECKING:
    from pyctr_engine.images.store import ImageStore, Stored


def verify(store: ImageStore) -> list[Finding]:
    """What is wrong first, then one line of what is right. Reads every blob."""
    store.layout.ensure()
    try:
        images = store.all()
    except EngineError as error:
        return [Finding("fail", "image index", error.message, "restore it from a backup, or import the images again")]
    found = _blobs(store)
    for stored in images:
        found += _image(store, stored)
    found += _layers(store)
    found += _orphans(store)
    if not found:
        found.append(Finding("ok", "image store", f"{len(images)} images, all blobs and layers as they should be"))
    return found


def _blobs(store: ImageStore) -> list[Finding]:
    """Every blob against its name."""
    import hashlib

    found = []
    for name in sorted(os.listdir(store.layout.blobs)):
        if name.startswith("."):
            continue
        digest = hashlib.sha256()
        fd = os.open(f"{store.layout.blobs}/{name}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            for chunk in read_file(fd):
                digest.update(chunk)
        finally:
            os.close(fd)
        if digest.hexdigest() != name:
            found.append(
                Finding("fail", "image blob", f"{name[:12]} is damaged", "remove its image and import it again")
            )
    return found


def _image(store: ImageStore, stored: Stored) -> list[Finding]:
    """One image: its configuration and its blobs. That a layer isn't unpacked is no fault: the next start does it."""
    subject = f"image {entry_name(stored.entry) or stored.id[7:19]}"
    cost = "it can't be run: remove it and import or load it again"
    try:
        config = ImageConfig.from_json(store.layout.read_json(stored.id))
    except EngineError as error:
        return [Finding("fail", subject, error.message, cost)]
    found = [
        Finding("fail", subject, f"blob {layer.digest[7:19]} is missing or cut short", cost)
        for layer in stored.manifest.layers
        if not store.layout.has(layer)
    ]
    if len(config.diff_ids) != len(stored.manifest.layers):
        found.append(Finding("fail", subject, "its manifest and its configuration name different layers", cost))
    return found


def _layers(store: ImageStore) -> list[Finding]:
    """Every unpacked layer: its record and its link."""
    found = []
    directory = store.layers_on_disk.directory
    for chain in store.layers_on_disk.chains():
        try:
            layer = store.layers_on_disk.read(chain)
        except EngineError as error:
            found.append(
                Finding("fail", f"layer {chain[:12]}", error.message, "remove its images and import them again")
            )
            continue
        if layer is None or os.path.realpath(f"{directory}/{layer.link}") != os.path.realpath(
            store.layers_on_disk.fs(chain)
        ):
            found.append(
                Finding(
                    "fail",
                    f"layer {chain[:12]}",
                    "it has no record or no link",
                    "remove its images and import them again",
                )
            )
    return found


def _orphans(store: ImageStore) -> list[Finding]:
    """What nothing refers to, unless somebody is adding just now."""
    with store.layout.collecting() as alone:
        if not alone:
            return []
        try:
            blobs, chains = needed(store)
        except EngineError:
            return []  # told above
        count = len(list(unneeded_blobs(store, blobs))) + len(unneeded_layers(store, chains))
    if not count:
        return []
    return [
        Finding("warn", "image store", f"{count} files or layers that no image uses", "the next `rmi` removes them")
    ]
