"""Pulling: the manifest for a platform, then all layers at once: fetched, decompressed and unpacked as they come.

A layer's blob has its place as soon as it is whole and right, a layer's files once those of all layers below have;
the image gets its name last. So a pull that is cut or cancelled leaves whole layers and parts of blobs, which the
next one takes up, and nothing half-done. One that fails since the image is not as it should be, or since the disk
is full, leaves nothing: no attempt would bring it, and a full disk harms all that runs.
"""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

from pyctr_engine.errors import Cancelled, EngineError, ImageFormatError, NoSpace, NotFound, RegistryError
from pyctr_engine.images import partial, pending
from pyctr_engine.images.ingest import unpack_stored, unpacking
from pyctr_engine.images.layer_store import chain_ids
from pyctr_engine.images.layout import MAX_DOCUMENT, parse_object
from pyctr_engine.images.platform import Platform
from pyctr_engine.images.registry.client import Repository
from pyctr_engine.images.registry.download import Download, Restarted
from pyctr_engine.images.registry.manifests import Found, choose, digest_of
from pyctr_engine.images.registry.sources import connections, repositories
from pyctr_engine.images.registry.transport import Transport
from pyctr_engine.model.oci import LAYER_TAR, Descriptor, ImageConfig
from pyctr_engine.model.progress import Progress
from pyctr_engine.model.reference import Reference
from pyctr_engine.record import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyctr_engine.images.store import ImageStore, Stored

ProgressSink = Callable[[Progress], None]

_UNPACKERS = 3
"""Layers unpacked at once: more take memory and no less time."""

_LAYER_TYPES = (
    LAYER_TAR,
    "application/vnd.oci.image.layer.nondistributable.v1.tar",
    "application/vnd.docker.image.rootfs.diff.tar",
    "application/vnd.docker.image.rootfs.foreign.diff.tar",
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a pull came to; see `model.registry.Pulled`."""

    stored: Stored
    reference: Reference
    digest: str
    newer: bool
    warnings: tuple[str, ...]


def pull(
    store: ImageStore,
    name: str,
    platform: str = "",
    progress: ProgressSink | None = None,
    cancel: threading.Event | None = None,
) -> Outcome:
    """See `ImageStore.pull`."""
    reference = Reference.parse(name)
    wanted = Platform.parse(platform)
    try:
        with store.layout.adding(), connections(cancel) as transport:
            partial.remove_idle(store.layout.directory)
            return _Pull(store, transport, reference, wanted, bool(platform), progress).run()
    except Cancelled:
        raise Cancelled(
            f"the pull of {reference.familiar} was cancelled", "the next one takes up what has come"
        ) from None


def _is_final(error: BaseException | None) -> bool:
    """Whether nothing that has come is kept for another attempt."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return isinstance(error, (ImageFormatError, NoSpace))


class _Pull:
    """One pull."""

    def __init__(
        self,
        store: ImageStore,
        transport: Transport,
        reference: Reference,
        platform: Platform,
        strict: bool,
        progress: ProgressSink | None,
    ) -> None:
        self._store = store
        self._transport = transport
        self._reference = reference
        self._title = reference.familiar
        self._platform = platform
        self._strict = strict
        self._progress = progress
        self._telling = threading.Lock()

    def run(self) -> Outcome:
        """Pull; the caller holds `Layout.adding`, which collects what a failure leaves and no lease keeps."""
        try:
            return self._run()
        except (EngineError, OSError) as error:
            if _is_final(error):
                pending.end_lease(self._store.layout.directory, self._title)
            raise

    def _run(self) -> Outcome:
        before = self._present()
        found, sources = self._find()
        config_bytes = self._config(found, sources)
        config = ImageConfig.from_json(parse_object(config_bytes, f"the configuration of {self._title}"))
        warnings = self._check(found, config)
        layout = self._store.layout
        layers = _Layers(self._store, sources, self._transport, self._tell)
        # What is complete when this is cut is taken up by the next pull: until then no image names it.
        documents = [digest_of(found.data), found.manifest.config.digest]
        blobs = [*documents, *(layer.digest for layer in found.manifest.layers)]
        pending.lease(layout.directory, self._title, blobs, chain_ids(config.diff_ids))
        layers.fetch(found.manifest.layers, config.diff_ids)
        self._transport.check()
        layout.write_bytes(config_bytes, found.manifest.config.media_type)
        written = layout.write_bytes(found.data, found.media_type)
        stored = self._store.add_manifest(written, self._title)
        pending.end_lease(layout.directory, self._title)
        newer = before is None or before.entry.digest != written.digest
        self._tell(Progress(self._title, "pulled" if newer else "up to date", finished=True))
        return Outcome(stored, self._reference, found.named, newer, warnings)

    def _tell(self, step: Progress) -> None:
        if self._progress is not None:
            with self._telling:
                self._progress(step)

    def _present(self) -> Stored | None:
        try:
            return self._store.find(self._title)
        except EngineError:
            return None

    def _find(self) -> tuple[Found, list[Repository]]:
        """The manifest, and who may have its blobs: who had it, and those that would have been asked next."""
        sources = repositories(self._transport, self._reference)
        for at, source in enumerate(sources):
            self._tell(Progress(self._title, f"asking {source.registry.name}"))

            def get(reference: str, source: Repository = source) -> tuple[bytes, str, str]:
                document = source.manifest(reference)
                return document.data, document.media_type, document.digest

            try:
                tag = self._reference.digest or self._reference.tag
                return choose(self._title, get, tag, self._platform), sources[at:]
            except Cancelled:
                raise
            except EngineError as error:
                if at + 1 == len(sources):
                    raise
                self._tell(Progress(self._title, f"mirror {source.registry.name}: {error.message}"))
        raise AssertionError("there is always one source")

    def _config(self, found: Found, sources: Sequence[Repository]) -> bytes:
        descriptor = found.manifest.config
        if descriptor.size > MAX_DOCUMENT:
            raise ImageFormatError(f"the configuration of {self._title} is larger than {MAX_DOCUMENT >> 20} MiB")
        layout = self._store.layout
        if layout.has(descriptor):
            with open(layout.path(descriptor.digest), "rb") as file:
                data = file.read()
            if digest_of(data) == descriptor.digest:
                return data
        for at, source in enumerate(sources):
            try:
                data = source.small_blob(descriptor, MAX_DOCUMENT)
                if len(data) != descriptor.size or digest_of(data) != descriptor.digest:
                    raise RegistryError(f"{source.registry.name} sent a wrong configuration of {self._title}")
                return data
            except EngineError:
                self._transport.check()
                if at + 1 == len(sources):
                    raise
        raise AssertionError("there is always one source")

    def _check(self, found: Found, config: ImageConfig) -> tuple[str, ...]:
        """Refuse what can't be unpacked or run; sentences about what can but may not run."""
        layers = found.manifest.layers
        if len(layers) != len(config.diff_ids):
            raise ImageFormatError(
                f"the manifest of {self._title} has {len(layers)} layers, its configuration {len(config.diff_ids)}"
            )
        for layer in layers:
            if not layer.media_type.startswith(_LAYER_TYPES) or "encrypted" in layer.media_type:
                raise ImageFormatError(
                    f"{self._title} has a layer that can't be read: its type is {layer.media_type[:80]!r}"
                )
        offered = Platform(config.os or "linux", config.architecture or self._platform.architecture, config.variant)
        if offered.os != "linux":
            raise ImageFormatError(f"{self._title} is for {offered}, not for Linux")
        if self._platform.rank(offered) is not None:
            return ()
        if self._strict:
            raise NotFound(f"{self._title} is not there for {self._platform}", f"it is for {offered}")
        return (f"{self._title} is for {offered}, this machine is {Platform.host()}",)


class _Layers:
    """The layers of one image on their way in."""

    def __init__(
        self, store: ImageStore, sources: Sequence[Repository], transport: Transport, tell: ProgressSink
    ) -> None:
        self._layout = store.layout
        self._layers = store.layers_on_disk
        self._sources = sources
        self._transport = transport
        self._tell = tell
        self._downloads: dict[str, Download] = {}

    def fetch(self, descriptors: Sequence[Descriptor], diff_ids: tuple[str, ...]) -> None:
        """All of them; raises the first thing that goes wrong, when all threads have ended."""
        missing = {layer.digest: layer for layer in descriptors if not self._layout.has(layer)}
        for digest, layer in missing.items():
            self._downloads[digest] = Download(self._layout, self._sources, layer, self._counter(layer))
        fetchers = ThreadPoolExecutor(self._transport.settings.parallel, "fetch")
        unpackers = ThreadPoolExecutor(_UNPACKERS, "unpack")
        futures: list[Future[None]] = []
        try:
            for download in self._downloads.values():
                fetchers.submit(download.run)
            for index, layer in enumerate(descriptors):
                below = futures[-1] if futures else None
                futures.append(unpackers.submit(self._take, layer, diff_ids[: index + 1], below))
            wait(futures, return_when=FIRST_EXCEPTION)
        finally:
            if any(future.exception() for future in futures if future.done()) or not all(f.done() for f in futures):
                self._transport.cancel()
                for download in self._downloads.values():
                    download.abandon(Cancelled("cancelled"))
            unpackers.shutdown(cancel_futures=True)
            fetchers.shutdown(cancel_futures=True)
            is_final = any(_is_final(future.exception()) for future in futures if not future.cancelled())
            for download in self._downloads.values():
                download.close(keep=not is_final)
        _raise_first(futures)

    def _take(self, layer: Descriptor, diff_ids: tuple[str, ...], below: Future[None] | None) -> None:
        """Whatever of one layer is missing."""
        subject = layer.digest[7:19]
        download = self._downloads.get(layer.digest)
        unpacked = self._layers.read(chain_ids(diff_ids)[-1])
        if download is None and unpacked is not None:
            self._tell(Progress(subject, "already there", finished=True))
            return
        if unpacked is not None and download is not None:
            download.wait()
        elif download is None or not self._stream(download, diff_ids, below):
            if below is not None:
                below.result()
            self._tell(Progress(subject, "unpacking", 0, layer.size))
            unpack_stored(self._layout, self._layers, layer, diff_ids, self._transport.check)
        self._tell(Progress(subject, "pulled", layer.size, layer.size, finished=True))

    def _stream(self, download: Download, diff_ids: tuple[str, ...], below: Future[None] | None) -> bool:
        """Unpack a layer while it comes; False when what came first was wrong but is right now.

        Only what an earlier pull left is not known to be what the registry sends.
        """
        try:
            with unpacking(self._layers, self._unpacking(download), len(diff_ids) == 1, diff_ids[-1]) as staged:
                download.wait()
                if below is not None:
                    below.result()
                self._transport.check()
                staged.publish(diff_ids[:-1])
        except Restarted:
            pass
        except ImageFormatError:
            if not download.resumed:
                raise
        else:
            return True
        download.wait()
        return False

    def _unpacking(self, download: Download) -> Iterator[bytes]:
        layer = download.descriptor
        position = 0
        for chunk in download.chunks():
            self._transport.check()
            yield chunk
            position += len(chunk)
            if download.done == layer.size:
                self._tell(Progress(layer.digest[7:19], "unpacking", position, layer.size))

    def _counter(self, layer: Descriptor) -> Callable[[int], None]:
        return lambda done: self._tell(Progress(layer.digest[7:19], "downloading", done, layer.size))


def _raise_first(futures: Sequence[Future[None]]) -> None:
    """What went wrong first and for its own sake: the others were ended because of it."""
    errors = [future.exception() for future in futures if not future.cancelled() and future.exception()]
    for error in errors:
        if error is not None and not isinstance(error, Cancelled):
            raise error
    for error in errors:
        if error is not None:
            raise error
    if any(future.cancelled() for future in futures):
        raise Cancelled("cancelled")
