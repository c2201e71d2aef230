"""The image store: the room's face.

Finding an image is on the path of every ``run``: it reads a few small JSON files and imports nothing for more.
What makes, moves and examines images lives in modules of its own, imported when it is called.
"""

from __future__ import annotations

import builtins
import contextlib
import functools
import os
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from pyctr_engine.errors import EngineError, InvalidValue, NotFound, StoreError, from_os_error
from pyctr_engine.images.layer_store import Layer, LayerStore, chain_ids
from pyctr_engine.images.layout import Layout, entry_name, give_name, named
from pyctr_engine.model.oci import DOCKER_MANIFEST, MANIFEST, Descriptor, ImageConfig, Manifest
from pyctr_engine.model.reference import Reference
from pyctr_engine.paths import Paths
from pyctr_engine.record import dataclass

if TYPE_CHECKING:
    import threading

    from pyctr_engine.images.garbage import Unneeded
    from pyctr_engine.images.prune import Accept, StoreUsage
    from pyctr_engine.images.registry.pull import Outcome as PullOutcome
    from pyctr_engine.images.registry.push import Outcome as PushOutcome
    from pyctr_engine.model.host import Finding
    from pyctr_engine.model.image import ArchiveFormat, ImageSummary, LayerInfo
    from pyctr_engine.model.progress import Progress
    from pyctr_engine.model.spec import CommitRequest
    from pyctr_engine.model.tidy import Problem

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


def _reading(
    what: str,
) -> Callable[[Callable[Concatenate[ImageStore, _P], _R]], Callable[Concatenate[ImageStore, _P], _R]]:
    """As `_doing`, for a method that only reads: what goes while it does is no damage, it reads again."""

    def decorate(
        method: Callable[Concatenate[ImageStore, _P], _R],
    ) -> Callable[Concatenate[ImageStore, _P], _R]:
        @functools.wraps(method)
        def reading(store: ImageStore, /, *arguments: _P.args, **named_arguments: _P.kwargs) -> _R:
            before = None
            while True:
                try:
                    return method(store, *arguments, **named_arguments)
                except StoreError:
                    now = store.layout.entries()
                    if now == before:
                        raise
                    before = now
                except OSError as error:
                    raise from_os_error(error, what) from error

        return reading

    return decorate


BASE = "pyctr/base:latest"
"""The built-in image, made of the host's own files on first use."""


@dataclass(frozen=True, slots=True)
class Image:
    """An image ready to run.

    Attributes:
        id: ``sha256:…`` of its configuration, with ``@3`` behind it for the state after its third layer.
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


@dataclass(frozen=True, slots=True)
class Use:
    """What needs an image: a container that was made from it.

    Attributes:
        image_id: ``sha256:…``.
        container: What people call it.
        chain: The links of the layers that its file system is made of.
        is_running: Whether it has processes.
    """

    image_id: str
    container: str
    chain: tuple[str, ...] = ()
    is_running: bool = False


class ImageStore:
    """All images under one state directory. Several processes may use it at once.

    Attributes:
        uses: What needs images now. It is called while the index is locked: it must take no lock of this room.
    """

    def __init__(self, paths: Paths, uses: Callable[[], Sequence[Use]] = tuple) -> None:
        self.state = paths.state
        self.layout = Layout(paths.oci, self.collect)
        self.layers_on_disk = LayerStore(paths.layers)
        self.uses = uses
        self.cache = paths.cache

    # -- finding ------------------------------------------------------------------------------------------------

    @_reading("open the image")
    def resolve(self, ref: str) -> Image:
        """An image by name, ``sha256:…`` or unique id prefix, its layers unpacked.

        ``image@3`` is its state after its third layer, the lowest being the first: it runs as the whole image does.
        The built-in image is made when it is asked for and isn't there. Raises NotFound, InvalidValue.
        """
        ref, number = split_layer(ref)
        if number is not None:
            return self.open(self.find(ref), number)
        try:
            stored = self.find(ref)
        except NotFound:
            if not self.is_built_in(ref):
                raise
            return self.ensure_base()
        return self.open(stored)

    @contextlib.contextmanager
    def using(self, ref: str, found: Image | None = None) -> Iterator[Image]:
        """As `resolve`, and until the block ends nobody takes the image away: who records a use of it does it here.

        Nothing but the database may be waited for in the block. ``found`` is what `resolve` gave before, if it did.
        """
        while True:
            image, found = found or self.resolve(ref), None
            with self.layout.steady():
                if any(entry.digest == image.digest for entry in self.layout.entries()) and all(
                    os.path.exists(f"{self.layers_on_disk.directory}/{link}") for link in image.chain
                ):
                    yield image
                    return

    @_doing("make the built-in image")
    def ensure_base(self) -> Image:
        """The built-in image, made now if it isn't there."""
        from pyctr_engine.images.base import ensure

        with self.layout.keeping():
            return self.open(ensure(self))

    def open(self, stored: Stored, number: int | None = None) -> Image:
        """An image ready to run, or its state after a layer; unpacks layers that aren't, from their blobs."""
        config, id = ImageConfig.from_json(self.layout.read_json(stored.id)), stored.id
        if number is not None:
            config, id = config.after_layer(number), f"{id}@{number}"
        chain: list[str] = []
        extra: set[tuple[int, int]] = set()
        for index, chain_id in enumerate(chain_ids(config.diff_ids)):
            layer = self.layers_on_disk.read(chain_id) or self._unpack(stored.manifest, config, index)
            if layer.opaque:
                chain.clear()
            chain.insert(0, layer.link)
            extra.update(layer.ids)
        return Image(id, stored.names, config, stored.entry.digest, tuple(chain), merge_runs(sorted(extra)))

    def find(self, ref: str) -> Stored:
        """An image by name or id, whether or not its layers are unpacked."""
        entries = self.layout.entries()
        for entry in entries:
            if self.is_name(entry_name(entry), ref) or ("@" in ref and _is_pinned(entry, ref)):
                return self._stored(entry, entries)
        prefix = ref.removeprefix("sha256:")
        if prefix and not set(prefix) - set("0123456789abcdef"):
            found = [image for image in self.all() if image.id.startswith(f"sha256:{prefix}")]
            if len({image.id for image in found}) > 1:
                raise InvalidValue(f"several images have an id that begins with {prefix}", "give more of it")
            if found:
                return max(found, key=lambda image: bool(image.names))
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

    @_reading("read the image store")
    def list(self) -> builtins.list[ImageSummary]:
        """All images, newest first; ``used_by`` is left to who knows the containers."""
        from pyctr_engine.images.listing import summaries

        return summaries(self)

    @_reading("read the image store")
    def layers(self, ref: str) -> builtins.list[LayerInfo]:
        """An image's history with its layers, lowest first."""
        from pyctr_engine.images.listing import layers

        ref, number = split_layer(ref)
        found = layers(self, self.find(ref))
        return found if number is None else [line for line in found if line.number <= number]

    @_reading("read the image store")
    def inspect(self, ref: str) -> dict[str, object]:
        """Everything about an image, under docker's field names."""
        from pyctr_engine.images.listing import inspect

        return inspect(self, self.find(ref))

    @_doing("examine the image store")
    def problems(self) -> builtins.list[Problem]:
        """What is wrong with the store, each with how it is mended; changes nothing."""
        from pyctr_engine.images.verify import problems

        return problems(self)

    @_doing("examine the image store")
    def verify(self) -> builtins.list[Finding]:
        """Examine every blob, entry and layer; what is wrong, and what nothing uses."""
        from pyctr_engine.images.verify import verify

        return verify(self)

    # -- making -------------------------------------------------------------------------------------------------

    @_doing("commit the container's changes")
    def add_commit(
        self,
        base: Image,
        uppers: str | Sequence[str],
        config: ImageConfig,
        request: CommitRequest,
        created_by: str,
        progress: ProgressSink | None = None,
    ) -> Stored:
        """A new image of ``base`` and the changes in an overlay's upper directory, or in several, topmost first.

        Its layer is stored, not unpacked: `open` does that.

        Args:
            config: How to run it: the base's configuration merged with the container's. Layers and history in it
                don't count: they are the base's and a step of their own.
            created_by: What history tells of the step, e.g. the container's command.

        Raises:
            InvalidValue: the name, a change, or a file that a layer can't hold.
            NotFound, NoSpace, ImageFormatError: nothing was made.
        """
        from pyctr_engine.images.commit import commit

        uppers = [uppers] if isinstance(uppers, str) else uppers
        return commit(self, base, uppers, config, request, created_by, progress)

    def commit(
        self,
        base: Image,
        uppers: str | Sequence[str],
        config: ImageConfig,
        request: CommitRequest,
        created_by: str,
        progress: ProgressSink | None = None,
    ) -> Image:
        """See `add_commit`; ready to run."""
        with self.layout.keeping():  # until it is opened: a removal may follow at once
            return self.open(self.add_commit(base, uppers, config, request, created_by, progress))

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

        with self.layout.keeping():
            return self.open(import_tar(self, path, name, changes, message, progress))

    @_doing("load the images")
    def load(self, path: str, progress: ProgressSink | None = None) -> builtins.list[Image]:
        """The images of an OCI archive, an OCI layout directory, or a docker archive; ``-`` is standard input.

        Each comes with the names that the archive gave it.
        """
        from pyctr_engine.images.load import load

        with self.layout.keeping():
            return [self.open(stored) for stored in load(self, path, progress)]

    @_doing("save the images")
    def save(
        self, refs: Sequence[str], path: str, progress: ProgressSink | None = None, format: ArchiveFormat = ""
    ) -> None:
        """Write images as an archive (``-``: standard output), or as an OCI layout when ``path`` is a directory.

        Raises:
            NotFound, StoreError, NoSpace, InvalidValue: nothing was written (a layout may have blobs more).
        """
        from pyctr_engine.images.save import save

        save(self, refs, path, progress, format)

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
            NotFound, NotPermitted, RegistryError, InvalidValue, Cancelled: the name is as it was; whole layers and
                parts of blobs stay for the next attempt.
            ImageFormatError, NoSpace: the name is as it was; nothing stays.
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
        """Name a manifest whose blobs are all in the store.

        Two manifests may describe one image, e.g. with its layers compressed and not: only named ones stay beside
        another.
        """
        with self.layout.edit() as entries:
            give_name(entries, named(entry, name))
            id = self._stored(entry, entries).id
            twins = [other for other in entries if other.digest != entry.digest and self._is_image(other, id)]
            if twins and not name and not entry_name(entry):
                entry = twins[0]
            gone = [other for other in entries if not entry_name(other) and other.digest != entry.digest]
            entries[:] = [other for other in entries if other not in gone or not self._is_image(other, id)]
            now = list(entries)
        return self._stored(entry, now)

    def _is_image(self, entry: Descriptor, id: str) -> bool:
        if entry.media_type not in (MANIFEST, DOCKER_MANIFEST):
            return False
        try:
            return Manifest.from_json(self.layout.read_json(entry.digest)).config.digest == id
        except EngineError:
            return False  # a damaged image is none of this one's business

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
    def remove(self, ref: str, force: bool = False) -> builtins.list[str]:
        """Remove a name, and with the last one the image; what was done, a line each.

        An image that something uses loses its last name only by ``force``, and stays, without a name, as long as it
        is used. An id or a prefix of one stands for the image with all of its names.

        Raises:
            NotFound, Conflict: (in use, or several names where an id was given).
        """
        from pyctr_engine.images.garbage import remove

        return remove(self, ref, force)

    @_doing("remove unused images")
    def remove_unused(self, accept: Accept) -> builtins.list[Stored]:
        """Remove all images that nothing uses and ``accept`` lets go; what only they needed is left to `collect`."""
        from pyctr_engine.images.prune import remove_unused

        return remove_unused(self, accept)

    @_reading("measure the image store")
    def usage(self) -> StoreUsage:
        """What images, layers and blobs take on the disk."""
        from pyctr_engine.images.prune import usage

        return usage(self)

    @_doing("collect what no image needs")
    def collect(self, sink: Callable[[Unneeded], None] | None = None, leases: bool = False) -> bool:
        """Remove blobs and layers that nothing refers to; False when somebody is adding some just now.

        ``sink`` is told what will go, while it is there; ``leases``: what interrupted pulls left goes too.
        """
        from pyctr_engine.images.garbage import collect

        return collect(self, sink, leases)


def split_layer(ref: str) -> tuple[str, int | None]:
    """``image@3`` as the image and the layer's number; ``None`` without one. A digest is no number."""
    image, at, number = ref.rpartition("@")
    if image and at and number.isascii() and number.isdecimal():
        return image, int(number)
    return ref, None


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
