"""`system check` of the image store: is everything there that the index names, and is it what it says it is?

Each problem knows how it is mended. What a container needs is never taken away.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from pyctr_engine.errors import EngineError
from pyctr_engine.images import mend, pending
from pyctr_engine.images.garbage import manifests_of, unneeded
from pyctr_engine.images.layer_store import chain_ids, link_name
from pyctr_engine.images.layout import entry_name
from pyctr_engine.images.streams import decompress, read_file, recognise
from pyctr_engine.model.host import Finding
from pyctr_engine.model.oci import DOCKER_MANIFEST, MANIFEST, Descriptor, ImageConfig, Manifest
from pyctr_engine.model.tidy import Problem
from pyctr_engine.record import dataclass

if TYPE_CHECKING:
    from pyctr_engine.images.store import ImageStore, Use


@dataclass(frozen=True, slots=True)
class Known:
    """One image of the index that can be read."""

    entry: Descriptor
    manifest: Manifest
    config: ImageConfig

    @property
    def shown(self) -> str:
        """What people call it."""
        return entry_name(self.entry) or self.manifest.config.digest[7:19]


def verify(store: ImageStore) -> list[Finding]:
    """What is wrong first, or one line that nothing is. Reads every blob, and looks at every file of every layer."""
    found = [problem.finding for problem in problems(store)]
    if not found:
        count = len({entry.digest for entry in store.layout.entries()})
        found.append(Finding("ok", "image store", f"{count} images, all blobs and layers as they should be"))
    return found


def problems(store: ImageStore) -> list[Problem]:
    """All that is wrong with the store; changes nothing."""
    store.layout.ensure()
    before = pending.slips(store.layout.directory)
    try:
        with store.layout.keeping(tidy=False):
            found = list(_problems(store))
    finally:
        if set(pending.slips(store.layout.directory)) - set(before):  # somebody was turned away by us
            store.layout.tidy()
    return [*found, *_orphans(store)]


def _problems(store: ImageStore) -> Iterator[Problem]:
    try:
        entries = store.layout.entries()
    except EngineError as error:
        cost = "`system check --repair` makes a new one of the blobs; the images' names are lost"
        yield Problem(Finding("fail", "image index", error.message, cost), partial(mend.index, store))
        return
    damaged = set()
    for name in sorted(os.listdir(store.layout.blobs)):
        if not name.startswith(".") and not _is_whole(store, name):
            damaged.add(f"sha256:{name}")
            detail = f"{name[:12]} is damaged"
            yield Problem(Finding("fail", "image blob", detail, _AGAIN), partial(mend.blob, store, name))
    images: list[Known] = []
    for entry in {entry.digest: entry for entry in entries}.values():
        if entry.media_type in (MANIFEST, DOCKER_MANIFEST):
            problem, known = _image(store, entry)
            if problem is not None:
                yield problem
            if known is not None:
                images.append(known)
    yield from _uses(store, images)
    yield from _layers(store, images, damaged)


_AGAIN = "load or pull its image again; `system check --repair` removes it"


def _is_whole(store: ImageStore, name: str) -> bool:
    """Whether a blob has the digest that it is named after."""
    import hashlib

    digest = hashlib.sha256()
    try:
        fd = os.open(f"{store.layout.blobs}/{name}", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return True  # removed just now
    try:
        for chunk in read_file(fd):
            digest.update(chunk)
    finally:
        os.close(fd)
    return digest.hexdigest() == name


def _image(store: ImageStore, entry: Descriptor) -> tuple[Problem | None, Known | None]:
    """One entry of the index: its manifest, its configuration, its blobs."""
    subject = f"image {entry_name(entry) or entry.digest[7:19]}"
    cost = "load or pull it again; `system check --repair` drops it if no container needs it"
    known = None
    try:
        manifest = Manifest.from_json(store.layout.read_json(entry.digest))
        config = ImageConfig.from_json(store.layout.read_json(manifest.config.digest))
        known = Known(entry, manifest, config)
        missing = [layer.digest[7:19] for layer in manifest.layers if not store.layout.has(layer)]
        if missing:
            detail = f"blob {missing[0]} is missing or cut short"
        elif len(config.diff_ids) != len(manifest.layers):
            detail = "its manifest and its configuration name different layers"
        else:
            return None, known
    except EngineError as error:
        detail = error.message
    return Problem(Finding("fail", subject, detail, cost), lambda: mend.drop(store, entry, detail)), known


def _uses(store: ImageStore, images: list[Known]) -> Iterator[Problem]:
    """Every container's image is in the index."""
    known = {image.manifest.config.digest for image in images}
    lost = {use.image_id: use for use in store.uses() if use.image_id not in known}
    found = {manifest.config.digest: entry for entry, manifest in manifests_of(store, set(lost))}
    for id, use in lost.items():
        detail = f"its image {id[7:19]} is not in the index"
        subject = f"container {use.container}"
        entry = found.get(id)
        if entry is None:
            cost = "it runs, but can't be committed: load or pull that image again"
            yield Problem(Finding("warn", subject, detail, cost))
        else:
            cost = "`system check --repair` puts it back, without a name"
            yield Problem(Finding("fail", subject, detail, cost), partial(mend.enter, store, entry))


def _layers(store: ImageStore, images: list[Known], damaged: set[str]) -> Iterator[Problem]:
    """Every layer that an image or a container has: its record, its link, its files."""
    chains = {chain for image in images for chain in chain_ids(image.config.diff_ids)}
    uses = _uses_of_layers(store, chains)
    seen = set()
    for image in images:
        for index, chain in enumerate(chain_ids(image.config.diff_ids)):
            if chain in seen or index >= len(image.manifest.layers):
                continue
            seen.add(chain)
            source = image.manifest.layers[index]
            can_be_had = source.digest not in damaged and store.layout.has(source)
            yield from _layer(store, image, index, uses.get(chain, []), source if can_be_had else None)
    for chain, users in uses.items():
        if chain not in seen and not os.path.isdir(store.layers_on_disk.fs(chain)):
            subject = f"container {users[0].container}"
            cost = "it can't be started: load or pull its image again, or remove it"
            yield Problem(Finding("fail", subject, f"its layer {chain[:12]} is gone", cost))


def _uses_of_layers(store: ImageStore, chains: set[str]) -> dict[str, list[Use]]:
    """Chain id → the containers that stand on it; a lost link's chain is told by its name."""
    found: dict[str, list[Use]] = {}
    for use in store.uses():
        for link in use.chain:
            chain = store.layers_on_disk.chain_of(link)
            if not chain:
                begins = link.removeprefix("l/")
                chain = next((chain for chain in chains if link_name(chain).startswith(begins)), link)
            found.setdefault(chain, []).append(use)
    return found


def _layer(
    store: ImageStore, image: Known, index: int, uses: list[Use], source: Descriptor | None
) -> Iterator[Problem]:
    diff_ids = image.config.diff_ids[: index + 1]
    chain = chain_ids(diff_ids)[-1]
    subject = f"layer {chain[:12]}"
    detail = _layer_damage(store, chain, source, index == 0)
    if not detail:
        return
    if detail == _ABSENT and not uses:
        return  # the next start does it; that its blob is gone is told elsewhere
    cost = f"of image {image.shown}; `system check --repair` unpacks it again"
    if source is None:
        cost = f"of image {image.shown}, whose blob is gone too: load or pull it again"
    yield Problem(
        Finding("fail", subject, detail, cost),
        lambda: mend.layer(store, subject, detail, source, diff_ids, uses),
    )


_ABSENT = "is not unpacked"


def _layer_damage(store: ImageStore, chain: str, source: Descriptor | None, bottom: bool) -> str:
    """What is wrong with an unpacked layer; empty for nothing."""
    from pyctr_engine.images.compare import difference

    layers = store.layers_on_disk
    if not os.path.isdir(f"{layers.directory}/{chain}"):
        return _ABSENT
    try:
        layer = layers.read(chain)
    except EngineError as error:
        return error.message
    if layer is None:
        return "has no record"
    if layers.chain_of(layer.link) != chain:
        return f"has no link {layer.link}"
    if source is None:
        return "" if os.path.isdir(layers.fs(chain)) else "has no files"
    fd = os.open(store.layout.path(source.digest), os.O_RDONLY | os.O_CLOEXEC)
    try:
        return difference(decompress(read_file(fd), recognise(os.pread(fd, 16, 0))), layers.fs(chain), bottom)
    except EngineError as error:
        return f"can't be compared with its blob: {error.message}"
    finally:
        os.close(fd)


def _orphans(store: ImageStore) -> list[Problem]:
    """What nothing refers to, unless somebody is adding just now."""
    with store.layout.collecting() as alone:
        if not alone:
            return []
        try:
            found = unneeded(store)
        except EngineError:
            return []  # told above
        links = store.layers_on_disk.dangling_links()
    count = len(found.blobs) + len(found.layers) + len(links)
    if not count:
        return []
    what = f"{len(found.blobs)} blobs, {len(found.layers)} layers and {len(links)} links that nothing refers to"
    return [
        Problem(Finding("warn", "image store", what, "`pyctr-tui prune` removes them"), partial(mend.orphans, store))
    ]
