"""Pushing: layers first, several at once, each only if the registry doesn't have it; the manifest last.

The store keeps layers as they came, and those it makes itself uncompressed. These are compressed on the way out, as
docker does; the manifest that is pushed tells of the compressed ones.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, BinaryIO, Literal, cast

from pyctr_engine.errors import Cancelled, EngineError, InvalidValue, NotFound, RegistryError, StoreError
from pyctr_engine.images.compress import compress
from pyctr_engine.images.layout import parse_object, write_all, write_file
from pyctr_engine.images.registry.client import Repository
from pyctr_engine.images.registry.manifests import digest_of
from pyctr_engine.images.registry.sources import connections, registry_repository
from pyctr_engine.images.registry.transport import Interrupted, Transport
from pyctr_engine.images.streams import read_file
from pyctr_engine.model.oci import (
    DOCKER_LAYER_GZIP,
    LAYER_GZIP,
    LAYER_TAR,
    LAYER_ZSTD,
    Descriptor,
    Manifest,
)
from pyctr_engine.model.progress import Progress
from pyctr_engine.model.reference import Reference
from pyctr_engine.record import dataclass, replace

if TYPE_CHECKING:
    from pyctr_engine.images.store import ImageStore, Stored

ProgressSink = Callable[[Progress], None]

_COMPRESSIONS = ("gzip", "zstd", "none")
_DOCKER_TAR = "application/vnd.docker.image.rootfs.diff.tar"
_MOUNTS = 3
"""Other repositories that are asked for a blob before it is uploaded."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a push came to; see `model.registry.Pushed`."""

    reference: Reference
    digest: str
    size: int


def push(
    store: ImageStore,
    name: str,
    compression: str = "gzip",
    progress: ProgressSink | None = None,
    cancel: threading.Event | None = None,
) -> Outcome:
    """See `ImageStore.push`."""
    reference = Reference.parse(name)
    if reference.digest:
        raise InvalidValue(f"cannot push {name}: a digest can't be chosen", "use name:tag")
    if compression not in _COMPRESSIONS:
        raise InvalidValue(f"there is no compression {compression!r}", f"one of: {', '.join(_COMPRESSIONS)}")
    with store.layout.keeping(), connections(cancel) as transport:
        stored = store.find(reference.familiar)
        if not any(store.is_name(own, reference.familiar) for own in stored.names):
            raise NotFound(
                f"no image is called {reference.familiar}", f"`pyctr-tui tag {name} NAME:TAG` gives a name"
            )
        repository = registry_repository(transport, reference)
        try:
            chosen = None if compression == "none" else compression
            return _Push(store, transport, repository, stored, reference, chosen, progress).run()
        except Cancelled:
            raise Cancelled(f"the push of {reference.familiar} was cancelled") from None


class _Push:
    """One push."""

    def __init__(
        self,
        store: ImageStore,
        transport: Transport,
        repository: Repository,
        stored: Stored,
        reference: Reference,
        compression: str | None,
        progress: ProgressSink | None,
    ) -> None:
        self._store = store
        self._layout = store.layout
        self._transport = transport
        self._repository = repository
        self._stored = stored
        self._reference = reference
        self._compression = compression
        self._progress = progress
        self._telling = threading.Lock()

    def run(self) -> Outcome:
        manifest = self._stored.manifest
        self._tell(Progress(self._reference.familiar, f"asking {self._repository.registry.name}"))
        self._repository.registry.base()
        config = manifest.config
        with self._opened(config) as open_config:
            if not self._repository.has_blob(config.digest):
                self._upload(config, open_config)
        pushed = self._layers(dict.fromkeys(layer.digest for layer in manifest.layers))
        data = self._manifest(manifest, pushed)
        media_type = self._stored.entry.media_type
        self._repository.put_manifest(self._reference.tag, data, media_type)
        self._tell(Progress(self._reference.familiar, "pushed", finished=True))
        return Outcome(self._reference, digest_of(data), len(data))

    def _tell(self, step: Progress) -> None:
        if self._progress is not None:
            with self._telling:
                self._progress(step)

    def _manifest(self, manifest: Manifest, pushed: dict[str, Descriptor]) -> bytes:
        """The manifest's own bytes, or those of one that tells of other layers."""
        layers = tuple(pushed[layer.digest] for layer in manifest.layers)
        if layers == manifest.layers:
            with open(self._layout.path(self._stored.entry.digest), "rb") as file:
                return file.read()
        return json.dumps(replace(manifest, layers=layers).to_json(), separators=(",", ":")).encode()

    def _layers(self, digests: dict[str, None]) -> dict[str, Descriptor]:
        """All layers pushed: what each one is there. Raises the first thing that goes wrong."""
        layers = {layer.digest: layer for layer in self._stored.manifest.layers}
        pool = ThreadPoolExecutor(self._transport.settings.parallel, "push")
        futures = {digest: pool.submit(self._layer, layers[digest]) for digest in digests}
        try:
            wait(futures.values(), return_when=FIRST_EXCEPTION)
        finally:
            if any(future.exception() for future in futures.values() if future.done()) or not all(
                future.done() for future in futures.values()
            ):
                self._transport.cancel()
            pool.shutdown(cancel_futures=True)
        errors = [future.exception() for future in futures.values() if not future.cancelled() and future.exception()]
        for error in sorted(errors, key=lambda error: isinstance(error, Cancelled)):
            assert error is not None
            raise error
        return {digest: future.result() for digest, future in futures.items()}

    def _layer(self, layer: Descriptor) -> Descriptor:
        """Push one layer; what it is there."""
        compressed_type = self._compressed_type(layer)
        if not compressed_type:
            if self._is_there(layer, layer):
                return layer
            with self._opened(layer) as content:
                return self._upload(layer, content)
        known = self._remembered(layer, compressed_type)
        if known is not None and self._is_there(known, layer):
            return known
        with self._compressed(layer, compressed_type) as (descriptor, content):
            self._remember(layer, descriptor)
            if known == descriptor or not self._is_there(descriptor, layer):
                self._upload(descriptor, content, layer.digest[7:19])
            return descriptor

    def _is_there(self, descriptor: Descriptor, local: Descriptor) -> bool:
        """Whether the repository has a blob, or can take it over from another one of the registry."""
        self._transport.check()
        subject = local.digest[7:19]
        if self._repository.has_blob(descriptor.digest):
            self._tell(Progress(subject, "already there", finished=True))
            return True
        for path in self._relatives(local):
            with contextlib.suppress(NotFound, RegistryError):
                if not self._repository.mount(descriptor.digest, path):
                    self._tell(Progress(subject, f"mounted from {path}", finished=True))
                    return True
        return False

    def _relatives(self, layer: Descriptor) -> list[str]:
        """Repositories of the same registry that images with this layer are named after."""
        found: dict[str, None] = {}
        for stored in self._store.all():
            if any(other.digest == layer.digest for other in stored.manifest.layers):
                for name in stored.names:
                    with contextlib.suppress(InvalidValue):
                        relative = Reference.parse(name)
                        if relative.domain == self._reference.domain and relative.path != self._reference.path:
                            found[relative.path] = None
        return list(found)[:_MOUNTS]

    # -- contents -----------------------------------------------------------------------------------------------

    def _upload(self, descriptor: Descriptor, content: Callable[[], BinaryIO], subject: str = "") -> Descriptor:
        """Send a blob, from the beginning after each interruption."""
        subject = subject or descriptor.digest[7:19]

        def counted() -> BinaryIO:
            def tell(done: int) -> None:
                self._tell(Progress(subject, "pushing", done, descriptor.size))

            return cast(BinaryIO, _Counted(content(), tell))

        what = f"push blob {descriptor.digest[:19]} to {self._repository.title}"
        for attempt in range(1, self._transport.settings.attempts + 1):
            try:
                self._repository.upload(self._repository.begin_upload(), descriptor, counted)
            except Interrupted as interruption:
                self._transport.check()
                if attempt == self._transport.settings.attempts:
                    raise RegistryError(f"cannot {what}: {interruption} ({attempt} attempts)", "try again") from None
                self._transport.pause(attempt, interruption.after, what)
            else:
                break
        self._tell(Progress(subject, "pushed", descriptor.size, descriptor.size, finished=True))
        return descriptor

    @contextlib.contextmanager
    def _opened(self, descriptor: Descriptor) -> Iterator[Callable[[], BinaryIO]]:
        """A blob of the store, to be opened as often as need be."""
        path = self._layout.path(descriptor.digest)
        if not self._layout.has(descriptor):
            raise StoreError(
                f"the image store lacks blob {descriptor.digest}", "`pyctr-tui system check` examines the store"
            )
        yield lambda: os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC), "rb", buffering=0)

    def _compressed_type(self, layer: Descriptor) -> str:
        """The media type a layer has when it is compressed on the way; empty when it goes as it is."""
        if layer.media_type == _DOCKER_TAR and self._compression is not None:
            return DOCKER_LAYER_GZIP
        if layer.media_type == LAYER_TAR and self._compression is not None:
            return LAYER_ZSTD if self._compression == "zstd" else LAYER_GZIP
        return ""

    @contextlib.contextmanager
    def _compressed(self, layer: Descriptor, media_type: str) -> Iterator[tuple[Descriptor, Callable[[], BinaryIO]]]:
        """A layer compressed, in a file without a name."""
        subject = layer.digest[7:19]
        digest = hashlib.sha256()
        size = done = 0

        def counted(chunks: Iterator[bytes]) -> Iterator[bytes]:
            nonlocal done
            for chunk in chunks:
                self._transport.check()
                yield chunk
                done += len(chunk)
                self._tell(Progress(subject, "compressing", done, layer.size))

        kind: Literal["gzip", "zstd"] = "zstd" if "zstd" in media_type else "gzip"
        with (
            self._opened(layer) as content,
            content() as plain,
            tempfile.TemporaryFile(dir=self._layout.directory, buffering=0) as aside,
        ):
            for piece in compress(counted(read_file(plain.fileno())), kind):
                digest.update(piece)
                size += len(piece)
                write_all(aside.fileno(), piece)

            def again() -> BinaryIO:
                aside.seek(0)
                return os.fdopen(os.dup(aside.fileno()), "rb", buffering=0)

            yield Descriptor(media_type, f"sha256:{digest.hexdigest()}", size, layer.annotations), again

    def _memory(self, layer: Descriptor, media_type: str) -> str:
        kind = "zstd" if "zstd" in media_type else "gzip"
        return f"{self._store.cache}/compressed/{layer.digest[7:]}.{kind}.json"

    def _remembered(self, layer: Descriptor, media_type: str) -> Descriptor | None:
        """What a layer became when it was compressed before."""
        try:
            with open(self._memory(layer, media_type), "rb") as file:
                found = Descriptor.from_json(parse_object(file.read(), "a descriptor"))
        except (OSError, EngineError):
            return None
        return replace(found, media_type=media_type, annotations=layer.annotations)

    def _remember(self, layer: Descriptor, descriptor: Descriptor) -> None:
        path = self._memory(layer, descriptor.media_type)
        with contextlib.suppress(OSError):
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            # one name aside for each: nobody sweeps here what a killed process left, but the next push writes over it
            write_file(path, json.dumps(descriptor.to_json()).encode(), f".{os.path.basename(path)}.new")


class _Counted(io.RawIOBase):
    """A file that tells how much of it was read."""

    def __init__(self, file: BinaryIO, tell: Callable[[int], None]) -> None:
        self._file = file
        self._tell = tell
        self._done = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._done += len(data)
        if data:
            self._tell(self._done)
        return data

    def close(self) -> None:
        self._file.close()
        super().close()
