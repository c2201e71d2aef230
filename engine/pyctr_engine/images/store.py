"""The image store: the room's face.

Finding an image is on the path of every ``run``: it reads a few small JSON files and imports nothing for more.
What makes, moves and examines images lives in modules of its own, imported when it is called.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyctr_engine.errors import InvalidValue, NotFound
from pyctr_engine.images.layer_store import Layer, LayerStore, chain_ids
from pyctr_engine.images.layout import Layout, entry_name, named
from pyctr_engine.model.oci import CONFIG, MANIFEST, Descriptor, ImageConfig, Manifest
from pyctr_engine.model.reference import Reference
from pyctr_engine.paths import Paths

if TYPE_CHECKING:
    from pyctr_engine.model.progress import Progress

ProgressSink = Callable[["Progress"], None]

BASE = "pyctr/base:latest"
"""The built-in image, made of the host's own files on first use."""


@dataclass(frozen=True, slots=True)
class Image:
    """An image ready to run.

    Attributes:
        id: ``sha256:…`` of its configuration.
        names: Familiar references, sorted.
        digest: ``sha256:…`` of its manifest.
        chain: Links of its layers relative to the layers directory, topmost first.
        extra_ids: Runs ``(first, count)`` of user and group ids from 65,536 on that its files have.
    """

    id: str
    names: tuple[str, ...]
    config: ImageConfig
    digest: str
    chain: tuple[str, ...]
    extra_ids: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Stored:
    """An image as the index names it: one manifest, under all of its names."""

    entry: Descriptor
    names: tuple[str, ...]
    manifest: Manifest

    @property
    def id(self) -> str:
        """``sha256:…`` of its configuration."""
        return self.manifest.config.digest


class ImageStore:
    """All images under one state directory. Several processes may use it at once."""

    def __init__(self, paths: Paths) -> None:
        self.layout = Layout(paths.oci)
        self.layers_on_disk = LayerStore(paths.layers)

    # -- finding ------------------------------------------------------------------------------------------------

    def resolve(self, ref: str) -> Image:
        """An image by name, ``sha256:…`` or unique id prefix, its layers unpacked.

        The built-in image is made when it is asked for and isn't there. Raises NotFound, InvalidValue.
        """
        try:
            stored = self.find(ref)
        except NotFound:
            if normal_name(ref) != BASE:
                raise
            return self.ensure_base()
        return self.open(stored)

    def ensure_base(self) -> Image:
        """The built-in image, made now if it isn't there."""
        from pyctr_engine.images.base import ensure

        return self.open(ensure(self))

    def open(self, stored: Stored) -> Image:
        """An image ready to run; unpacks layers that aren't, from their blobs."""
        config = ImageConfig.from_json(self.layout.read_json(stored.id))
        chain: list[str] = []
        extra: set[tuple[int, int]] = set()
        for index, chain_id in enumerate(chain_ids(config.diff_ids)):
            layer = self.layers_on_disk.read(chain_id) or self._unpack(stored.manifest, config, index)
            if layer.opaque:
                chain.clear()
            chain.insert(0, layer.link)
            extra.update(layer.ids)
        return Image(stored.id, stored.names, config, stored.entry.digest, tuple(chain), merge_runs(sorted(extra)))

    def find(self, ref: str) -> Stored:
        """An image by name or id, whether or not its layers are unpacked."""
        entries = self.layout.entries()
        wanted = normal_name(ref)
        for entry in entries:
            if wanted and wanted in (entry_name(entry), normal_name(entry_name(entry))):
                return self._stored(entry, entries)
        prefix = ref.removeprefix("sha256:")
        if prefix and not set(prefix) - set("0123456789abcdef"):
            found = [image for image in self.all() if image.id.startswith(f"sha256:{prefix}")]
            if len(found) > 1:
                raise InvalidValue(f"several images have an id that begins with {prefix}", "give more of it")
            if found:
                return found[0]
        raise NotFound(f"no such image: {ref}", self._suggest(ref))

    def all(self) -> list[Stored]:
        """Every image, once, in the index's order."""
        entries = self.layout.entries()
        unique = {entry.digest: entry for entry in entries if entry.media_type == MANIFEST}
        return [self._stored(entry, entries) for entry in unique.values()]

    def _stored(self, entry: Descriptor, entries: Sequence[Descriptor]) -> Stored:
        names = {entry_name(other) for other in entries if other.digest == entry.digest} - {""}
        return Stored(entry, tuple(sorted(names)), Manifest.from_json(self.layout.read_json(entry.digest)))

    def _unpack(self, manifest: Manifest, config: ImageConfig, index: int) -> Layer:
        from pyctr_engine.images.ingest import unpack_stored

        return unpack_stored(self.layout, self.layers_on_disk, manifest.layers[index], config.diff_ids[: index + 1])

    def _suggest(self, ref: str) -> str:
        import difflib

        names = [entry_name(entry) for entry in self.layout.entries() if entry_name(entry)]
        near = difflib.get_close_matches(normal_name(ref) or ref, names, 1)
        if near:
            return f"did you mean {near[0]}?"
        return "`pyctr-tui images` lists what there is; `import` and `load` bring more"

    # -- naming -------------------------------------------------------------------------------------------------

    def add(self, manifest: Manifest, config: bytes, name: str) -> Stored:
        """Store an image whose layers are in the store, and give it its name; the caller holds `Layout.adding`."""
        self.layout.write_bytes(config, CONFIG)
        return self.add_manifest(self.layout.write_json(manifest.to_json(), MANIFEST), name)

    def add_manifest(self, entry: Descriptor, name: str) -> Stored:
        """Name a manifest whose blobs are all in the store."""
        with self.layout.edit() as entries:
            give_name(entries, entry, name)
            now = list(entries)
        return self._stored(entry, now)


def give_name(entries: list[Descriptor], image: Descriptor, name: str) -> None:
    """Make ``name`` (empty for none) an entry of ``image``. An image that loses its last name stays, unnamed."""
    losers = [entry for entry in entries if name and entry_name(entry) == name and entry.digest != image.digest]
    unnamed = named(image, "")
    entries[:] = [
        entry
        for entry in entries
        if not (name and entry_name(entry) == name) and not (entry.digest == image.digest and not entry_name(entry))
    ]
    for loser in losers:
        if all(entry.digest != loser.digest for entry in entries):
            entries.append(named(loser, ""))
    if name:
        entries.append(named(image, name))
    elif all(entry.digest != image.digest for entry in entries):
        entries.append(unnamed)


def normal_name(text: str) -> str:
    """The familiar form of a name; empty for what can't be one."""
    try:
        return Reference.parse(text).familiar
    except InvalidValue:
        return ""


def merge_runs(runs: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Sorted runs ``(first, count)``, those that touch or overlap made one."""
    merged: list[tuple[int, int]] = []
    for first, count in runs:
        if merged and first <= sum(merged[-1]):
            start, length = merged[-1]
            merged[-1] = (start, max(length, first + count - start))
        else:
            merged.append((first, count))
    return tuple(merged)
