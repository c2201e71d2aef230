"""Images and layers as they are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyctr_engine.images.layer_store import chain_ids
from pyctr_engine.model.image import ImageSummary, LayerInfo
from pyctr_engine.model.oci import History, ImageConfig
from pyctr_engine.model.reference import Reference
from pyctr_engine.record import replace

if TYPE_CHECKING:
    from pyctr_engine.images.store import ImageStore, Stored


def summaries(store: ImageStore) -> list[ImageSummary]:
    """All images, newest first, those without a date last."""
    found = [summary(store, stored) for stored in store.all()]
    return sorted(found, key=lambda image: (-(image.created or 0.0), image.names))


def summary(store: ImageStore, stored: Stored) -> ImageSummary:
    """One image."""
    config = _config(store, stored)
    return ImageSummary(
        stored.id,
        stored.names,
        timestamp(config.created),
        size(store, stored, config),
        len(config.diff_ids),
        stored.entry.digest,
    )


def layers(store: ImageStore, stored: Stored) -> list[LayerInfo]:
    """An image's history with its layers, lowest first; a layer without history has a line of its own."""
    config = _config(store, stored)
    chains = chain_ids(config.diff_ids)
    shared = _shared(store, stored, set(chains))
    found: list[LayerInfo] = []
    next_layer = 0
    untold = len(chains) - sum(not step.empty_layer for step in config.history)
    for step in (*(History() for _ in range(untold)), *config.history):
        line = LayerInfo("", "", "", 0, 0, step.created_by, timestamp(step.created), step.comment, step.author, True)
        if step.empty_layer or next_layer >= len(chains):
            found.append(line)
            continue
        chain, descriptor = chains[next_layer], stored.manifest.layers[next_layer]
        record = store.layers_on_disk.read(chain)
        next_layer += 1
        line = replace(
            line,
            diff_id=config.diff_ids[next_layer - 1],
            digest=descriptor.digest,
            chain_id=f"sha256:{chain}",
            size=record.size if record else descriptor.size,
            blob_size=descriptor.size,
            empty=False,
            number=next_layer,
            files=record.entries if record else 0,
            shared_with=tuple(sorted(shared.get(chain, ()))),
        )
        found.append(line)
    return found


def _shared(store: ImageStore, stored: Stored, chains: set[str]) -> dict[str, set[str]]:
    """Which other images have which of these layers, by chain id."""
    found: dict[str, set[str]] = {}
    for other in store.all():
        if other.id == stored.id:
            continue
        for chain in chain_ids(_config(store, other).diff_ids):
            if chain in chains:
                found.setdefault(chain, set()).update(other.names or (other.id[7:19],))
    return found


def inspect(store: ImageStore, stored: Stored) -> dict[str, object]:
    """Everything about an image, under docker's field names."""
    config = _config(store, stored)
    return {
        "Id": stored.id,
        "RepoTags": list(stored.names),
        "RepoDigests": sorted({f"{Reference.parse(name).name}@{stored.entry.digest}" for name in stored.names}),
        "Comment": config.history[-1].comment if config.history else "",
        "Created": config.created,
        "Author": config.author,
        "Config": config.runtime_json(),
        "Architecture": config.architecture,
        "Variant": config.variant,
        "Os": config.os,
        "Size": size(store, stored, config),
        "RootFS": {"Type": "layers", "Layers": list(config.diff_ids)},
        "Descriptor": stored.entry.to_json(),
    }


def size(store: ImageStore, stored: Stored, config: ImageConfig) -> int:
    """Bytes of its layers unpacked; of the blob for one that isn't."""
    total = 0
    for chain, descriptor in zip(chain_ids(config.diff_ids), stored.manifest.layers, strict=False):
        record = store.layers_on_disk.read(chain)
        total += record.size if record else descriptor.size
    return total


def timestamp(text: str) -> float | None:
    """RFC 3339 as seconds since the epoch; ``None`` for nothing, for nonsense, and for Go's year 1."""
    from datetime import UTC, datetime

    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    if time.tzinfo is None:
        time = time.replace(tzinfo=UTC)
    return time.timestamp() if time.year > 1 else None


def _config(store: ImageStore, stored: Stored) -> ImageConfig:
    return ImageConfig.from_json(store.layout.read_json(stored.id))
