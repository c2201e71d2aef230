"""The image store: the room's face.

Finding an image is on the path of every ``run``: it reads a few small JSON files and imports nothing for more.
What makes, moves and examines images lives in modules of its own, imported when it is called.
"""

from __future__ import annotations

import builtins
import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from pyctr_engine.errors import InvalidValue, NotFound, from_os_error
from pyctr_engine.images.layer_store import Layer, LayerStore, chain_ids
from pyctr_engine.images.layout import Layout, entry_name, give_name, named
from pyctr_engine.model.oci import DOCKER_MANIFEST, MANIFEST, Descriptor, ImageConfig, Manifest
from pyctr_engine.model.reference import Reference
from pyctr_engine.paths import Paths
from pyctr_engine.record import dataclass

if TYPE_CHECKING:
    import threading

    from pyctr_engine.images.registry.pull import Outcome as PullOutcome
    from pyctr_engine.images.registry.push import Outcome as PushOutcome
    from pyctr_engine.model.host import Finding
    from pyctr_engine.model.image import ImageSummary, LayerInfo
    from pyctr_engine.model.progress import Progress
    from pyctr_engine.model.spec import CommitRequest

ProgressSink = Callable[["Progress"], None]

_P = ParamSpec("_P")
_R = TypeVar("_R")


def _doing(what: str) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """What the system refuses while a method does ``what`` becomes an error to show."""

    def decorate(method: Callable[_P, _R]) -> Callable[_P, _R]:
        @functools.wraps(method)
        def reporting(*arguments: _P.args, **named_arguments: _P.kwargs) -> _R:
            try:
                return method(*arguments, **named_arguments)
            except BrokenPipeError:  # whoever was told of progress has gone
                raise
            except OSError as error:
                raise from_os_error(error, what) from error

        return reporting

    return decorate


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
        self.cache = paths.cache

    # -- finding ------------------------------------------------------------------------------------------------

    @_doing("open the image")
    def resolve(self, ref: str) -> Image:
        """An image by name, ``sha256:…`` or unique id prefix, its layers unpacked.

        The built-in image is made when it is asked for and isn't there. Raises NotFound, InvalidValue.
        """
        try:
            stored = self.find(ref)
        except NotFound:
            if not self.is_built_in(ref):
                raise
            return self.ensure_base()
        return self.open(stored)

    @_doing("make the built-in image")
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
        for entry in entries:
            if self.is_name(entry_name(entry), ref) or ("@" in ref and _is_pinned(entry, ref)):
                return self._stored(entry, entries)
        prefix = ref.removeprefix("sha256:")
        if prefix and not set(prefix) - set("0123456789abcdef"):
            found = [image for image in self.all() if image.id.startswith(f"sha256:{prefix}")]
            if len(found) > 1:
                raise InvalidValue(f"several images have an id that begins with {prefix}", "give more of it")
            if found:
                return found[0]
        raise NotFound(f"no such image: {ref}", self._suggest(ref))

    @staticmethod
    def is_built_in(ref: str) -> bool:
        """Whether it is the built-in image's name."""
        return normal_name(ref) == BASE

    @staticmethod
    def is_reference(ref: str) -> bool:
        """Whether it can be pulled: a name, not an id."""
        return bool(normal_name(ref))

    @staticmethod
    def suits(config: ImageConfig, platform: str) -> bool:
        """Whether an image runs on ``os/architecture[/variant]``. Raises InvalidValue."""
        from pyctr_engine.images.platform import Platform

        offered = Platform(config.os, config.architecture, config.variant)
        return Platform.parse(platform).rank(offered) is not None

    @staticmethod
    def is_name(name: str, ref: str) -> bool:
        """Whether ``ref`` means the image that the index names ``name`` (other tools may have written it)."""
        wanted = normal_name(ref)
        return bool(wanted) and wanted in (name, normal_name(name))

    def all(self) -> builtins.list[Stored]:
        """Every image, once, in the index's order."""
        entries = self.layout.entries()
        unique = {entry.digest: entry for entry in entries if entry.media_type in (MANIFEST, DOCKER_MANIFEST)}
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
        return "`pyctr-tui images` lists what there is; `pull`, `import` and `load` bring more"

    # -- listing ------------------------------------------------------------------------------------------------

    @_doing("read the image store")
    def list(self) -> builtins.list[ImageSummary]:
        """All images, newest first; ``used_by`` is left to who knows the containers."""
        from pyctr_engine.images.listing import summaries

        return summaries(self)

    @_doing("read the image store")
    def layers(self, ref: str) -> builtins.list[LayerInfo]:
        """An image's history with its layers, lowest first."""
        from pyctr_engine.images.listing import layers

        return layers(self, self.find(ref))

    @_doing("read the image store")
    def inspect(self, ref: str) -> dict[str, object]:
        """Everything about an image, under docker's field names."""
        from pyctr_engine.images.listing import inspect

        return inspect(self, self.find(ref))

    @_doing("examine the image store")
    def verify(self) -> builtins.list[Finding]:
        """Examine every blob, entry and layer; what is wrong, and what nothing uses."""
        from pyctr_engine.images.verify import verify

        return verify(self)

    # -- making -------------------------------------------------------------------------------------------------

    @_doing("commit the container's changes")
    def commit(
        self,
        base: Image,
        upper: str,
        config: ImageConfig,
        request: CommitRequest,
        created_by: str,
        progress: ProgressSink | None = None,
    ) -> Image:
        """A new image of ``base`` and the changes in the overlay directory ``upper``.

        Args:
            config: How to run it: the base's configuration merged with the container's. Layers and history in it
                don't count: they are the base's and a step of their own.
            created_by: What history tells of the step, e.g. the container's command.

        Raises:
            InvalidValue: the name, a change, or a file that a layer can't hold.
            NotFound, NoSpace, ImageFormatError: nothing was made.
        """
        from pyctr_engine.images.commit import commit

        return self.open(commit(self, base, upper, config, request, created_by, progress))

    @_doing("import the image")
    def import_tar(
        self,
        path: str,
        name: str,
        changes: Sequence[str] = (),
        message: str = "",
        progress: ProgressSink | None = None,
    ) -> Image:
        """A one-layer image of a root file system's tar (plain, gzip, zstd); ``-`` is standard input."""
        from pyctr_engine.images.commit import import_tar

        return self.open(import_tar(self, path, name, changes, message, progress))

    @_doing("load the images")
    def load(self, path: str, progress: ProgressSink | None = None) -> builtins.list[Image]:
        """The images of an OCI archive, an OCI layout directory, or a docker archive; ``-`` is standard input."""
        from pyctr_engine.images.load import load

        return [self.open(stored) for stored in load(self, path, progress)]

    @_doing("save the images")
    def save(self, refs: Sequence[str], path: str, progress: ProgressSink | None = None) -> None:
        """Write images as an OCI archive (``-``: standard output), or as a layout when ``path`` is a directory."""
        from pyctr_engine.images.save import save

        save(self, refs, path, progress)

    # -- registries ---------------------------------------------------------------------------------------------

    @_doing("pull the image")
    def pull(
        self,
        name: str,
        platform: str = "",
        progress: ProgressSink | None = None,
        cancel: threading.Event | None = None,
    ) -> PullOutcome:
        """Fetch an image from its registry, or from a mirror of that, and name it.

        Args:
            name: ``nginx``, ``host:port/path:tag``, ``name@sha256:…``.
            platform: ``os/architecture[/variant]``; empty for this machine's.
            progress: Told of each layer's bytes, by one thread at a time.
            cancel: Ends it when it is set, from whatever thread.

        Raises:
            NotFound, NotPermitted, RegistryError, ImageFormatError, InvalidValue, NoSpace: the name is as it was;
                whole layers and parts of blobs stay for the next attempt. Cancelled.
        """
        from pyctr_engine.images.registry.pull import pull

        return pull(self, name, platform, progress, cancel)

    @_doing("push the image")
    def push(
        self,
        name: str,
        compression: str = "gzip",
        progress: ProgressSink | None = None,
        cancel: threading.Event | None = None,
    ) -> PushOutcome:
        """Send an image to the registry that its name names.

        Args:
            name: A name that the image has here.
            compression: What uncompressed layers become on the way: ``gzip``, ``zstd`` or ``none``.
            progress, cancel: See `pull`.

        Raises:
            NotFound, NotPermitted, RegistryError, InvalidValue, StoreError, Cancelled.
        """
        from pyctr_engine.images.registry.push import push

        return push(self, name, compression, progress, cancel)

    # -- naming -------------------------------------------------------------------------------------------------

    def add_manifest(self, entry: Descriptor, name: str) -> Stored:
        """Name a manifest whose blobs are all in the store."""
        with self.layout.edit() as entries:
            give_name(entries, named(entry, name))
            now = list(entries)
        return self._stored(entry, now)

    @_doing("name the image")
    def tag(self, ref: str, name: str) -> str:
        """Give an image one more name, which another image loses; the familiar form of the name."""
        reference = Reference.parse(name)
        if reference.digest:
            raise InvalidValue(f"cannot tag with {name!r}: a digest can't be given", "use name:tag")
        with self.layout.edit() as entries:
            give_name(entries, named(self.find(ref).entry, reference.familiar))
        return reference.familiar

    @_doing("remove the image")
    def remove(self, ref: str, used_by: Sequence[str] = (), force: bool = False) -> builtins.list[str]:
        """Remove a name, and with the last one the image; what was done, a line each.

        Args:
            used_by: Names of the containers made from this image: its last name goes only by ``force``, and the
                image itself stays.

        Raises:
            NotFound, Conflict: (in use, or several names where one id was given).
        """
        from pyctr_engine.images.garbage import remove

        return remove(self, ref, used_by, force)


def _is_pinned(entry: Descriptor, ref: str) -> bool:
    """Whether ``name@sha256:…`` means an entry: one of that name, with any tag, whose manifest has that digest."""
    if not ref.endswith(entry.digest):
        return False
    try:
        return Reference.parse(ref).name == Reference.parse(entry_name(entry)).name
    except InvalidValue:
        return False


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
