"""Looking into images: trees, what each layer does, every version of a path, and files taken out of any layer."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from pyctr_engine.errors import Conflict, InvalidValue, NotFound, from_os_error
from pyctr_engine.images import strata
from pyctr_engine.images.index import Index
from pyctr_engine.images.layer_store import chain_ids
from pyctr_engine.images.layers import layer_tar, single_tar
from pyctr_engine.images.streams import read_file
from pyctr_engine.images.unpack import Unpacker
from pyctr_engine.linux import stack
from pyctr_engine.linux.tree import remove_tree
from pyctr_engine.model.explore import Efficiency, FileState, LayerChange, StateEntry, TreeEntry
from pyctr_engine.model.progress import Progress

if TYPE_CHECKING:
    from pyctr_engine.images.store import Image, ImageStore


class State:
    """An image's state after a layer; see `model.explore.State`."""

    def __init__(self, state: strata.State, number: int) -> None:
        self._state = state
        self._number = number

    @property
    def root(self) -> StateEntry:
        """The top; its own mode and owner are not known."""
        place = self._state.root
        size, paths, changed, changes = self._state.sum(place)
        entries = self._state.entries(place)
        return StateEntry(
            "/", self._number, None, _ROOT, size, paths, changed, changes, entries, place.now, place.before
        )

    def inside(self, entry: StateEntry) -> tuple[StateEntry, ...]:
        """What is directly in a directory, or was, sorted by name."""
        place = strata.Inside(_relative(entry.path), entry.merged, entry.merged_before)
        return tuple(map(self._told, self._state.inside(place)))

    def _told(self, found: strata.Found) -> StateEntry:
        path, now, before, inside = found
        kind = found.kind
        held = now or before
        assert held is not None
        if kind == "D":
            gone = self._state.sum(strata.Inside(path, inside.before, inside.before))
            return StateEntry(strata.shown(path), self._number, kind, strata.state(held[1]), held[1].size + gone.size)
        size, paths, changed, changes = self._state.sum(inside)
        own = held[1].size
        return StateEntry(
            strata.shown(path), held[0], kind, strata.state(held[1]),
            own + size, paths, changed + (own if kind else 0), changes,
            self._state.entries(inside), inside.now, inside.before,
        )  # fmt: skip


class Explorer:
    """What can be asked of an image, or of its state after a layer (``image@3``).

    Answers that may be long are iterators, read from the layers' indexes as they are asked for: an image of any size
    takes little memory. Every method raises NotFound, InvalidValue and StoreError.
    """

    def __init__(self, store: ImageStore) -> None:
        self._store = store
        # By chain id, while somebody looks into them: what they are made of does not change.
        self._indexes: weakref.WeakValueDictionary[str, Index] = weakref.WeakValueDictionary()
        self._states: weakref.WeakValueDictionary[tuple[str, bool], State] = weakref.WeakValueDictionary()

    def state(self, ref: str, marked: bool = True) -> State:
        """The state, directory by directory; unless not ``marked``, with what its highest layer changed.

        It stays what it is, also when the image is removed.
        """
        image = self._store.resolve(ref)
        key = "".join(chain_ids(image.config.diff_ids)[-1:]), marked
        state = self._states.get(key)
        if state is None:
            number = len(image.config.diff_ids)
            state = self._states[key] = State(strata.State(self._layers(image), number, marked), number)
        return state

    def tree(self, ref: str, path: str = "/") -> Iterator[TreeEntry]:
        """The state: every path at and below ``path``, in the order of a walk."""
        image = self._store.resolve(ref)
        state = strata.State(self._layers(image), len(image.config.diff_ids), marked=False)
        found = state.walk(_relative(path))
        return (TreeEntry(strata.shown(one.path), one.now[0], strata.state(one.now[1])) for one in found if one.now)

    def changes(self, ref: str, number: int, path: str = "/") -> Iterator[LayerChange]:
        """What one layer adds, changes and deletes, at and below ``path``.

        Of what is deleted with all in it, the top alone. A directory that is as it was is no change.
        """
        image = self._store.resolve(ref)
        if not 1 <= number <= len(image.config.diff_ids):
            raise InvalidValue(
                f"{ref} has no layer {number}", f"it has {len(image.config.diff_ids)}; `pyctr-tui layers` lists them"
            )
        state = strata.State(self._layers(image), number)
        told = (strata.change(found, number) for found in state.walk(_relative(path), changed_only=True))
        return (change for change in told if change is not None)

    def versions(self, ref: str, path: str) -> list[LayerChange]:
        """Every version of one path, lowest layer first, its deletions too. Symlinks are not followed."""
        image = self._store.resolve(ref)
        found = strata.versions(self._layers(image), _relative(path), len(image.config.diff_ids))
        if not found:
            raise NotFound(f"no layer of {ref} holds {path}", "paths are absolute, and symlinks in them not followed")
        return found

    def efficiency(self, ref: str) -> Efficiency:
        """How much of what the layers hold is seen, and what wastes the most."""
        image = self._store.resolve(ref)
        sizes = [self._record_size(chain) for chain in chain_ids(image.config.diff_ids)]
        return strata.efficiency(self._layers(image), sum(sizes[1:]))

    def read(self, ref: str, path: str) -> Iterator[bytes]:
        """The contents of a file, in pieces; symlinks lead wherever they do inside."""
        with self._view(ref) as view, view.find(path) as found:
            fd = self._file(found, path)
        return to_the_end(fd)

    @staticmethod
    def _file(found: stack.Found, path: str) -> int:
        """A descriptor of a regular file. Raises InvalidValue for anything else."""
        if found.status is None or not _is_file(found.status.st_mode):
            raise InvalidValue(f"{path} is no regular file", "`layers extract` takes whole directories")
        return stack.opened(found)

    def extract(
        self, ref: str, path: str, destination: str, progress: Callable[[Progress], None] | None = None
    ) -> str:
        """Make a file, or a directory with all in it, at ``destination``; where it now is.

        An existing directory gets it inside, as cp(1) has it. Owners, modes and times are as there. It is unpacked
        in a confined child, aside, and given its place when complete. ``progress`` is told how many bytes have been
        read; what it raises ends it, and nothing was made.

        Raises:
            Conflict: something is there already.
            NoSpace, NotPermitted, EngineError: nothing was made.
        """
        name = path.rstrip("/").rpartition("/")[2] or "root"
        place = os.path.join(destination, name) if os.path.isdir(destination) else destination.rstrip("/")
        if os.path.lexists(place):
            raise Conflict(f"{place} exists", "choose another place, or remove it first")
        aside = os.path.join(os.path.dirname(os.path.abspath(place)), f".tmp-{os.urandom(8).hex()}")
        try:
            os.mkdir(aside, 0o700)
            try:
                os.rename(os.path.join(aside, self._unpack(ref, path, aside, progress)).rstrip("/"), place)
            finally:
                remove_tree(aside)
        except OSError as error:
            raise from_os_error(error, f"extract {path} to {place}") from error
        return place

    def tar(self, ref: str, path: str) -> Iterator[bytes]:
        """The same as an uncompressed tar: a directory as what is in it, anything else as one entry."""
        with self._view(ref) as view, view.find(path, follow=False) as found:
            if found.status is None or found.inside:
                yield from layer_tar([os.fsdecode(place.full) for place in found.inside], ())
                return
            assert found.place is not None
            directory = os.open(found.place.full, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                yield from single_tar(directory, found.name, found.status)
            finally:
                os.close(directory)

    def _view(self, ref: str) -> stack.View:
        """What is meant, opened."""
        return stack.View(self._lowers(ref))

    def _unpack(self, ref: str, path: str, aside: str, progress: Callable[[Progress], None] | None) -> str:
        """Unpack into a directory aside; the name in it of what was asked for, empty for the directory itself."""
        done = 0
        with Unpacker(aside, bottom=True) as unpacker:
            for piece in self.tar(ref, path):
                unpacker.write(piece)
                done += len(piece)
                if progress is not None:
                    progress(Progress(path, "extracting", done))
            unpacker.finish()
        with self._view(ref) as view, view.find(path, follow=False) as found:
            return "" if found.status is None or found.inside else os.fsdecode(found.name)

    def _layers(self, image: Image) -> strata.Layers:
        """Those of an image."""
        store = self._store.layers_on_disk
        chains = chain_ids(image.config.diff_ids)
        opaque = [number for number, chain in enumerate(chains, 1) if (record := store.read(chain)) and record.opaque]
        indexes = []
        for chain in chains:
            index = self._indexes.get(chain)
            if index is None:
                index = self._indexes[chain] = Index(f"{store.directory}/{chain}")
            indexes.append(index)
        return strata.Layers(indexes, opaque)

    def _lowers(self, ref: str) -> Sequence[str]:
        directory = self._store.layers_on_disk.directory
        return [f"{directory}/{link}" for link in self._store.resolve(ref).chain]

    def _record_size(self, chain: str) -> int:
        record = self._store.layers_on_disk.read(chain)
        return record.size if record else 0


_ROOT = FileState("directory", 0o755, 0, 0, 0, 0)


def _relative(path: str) -> bytes:
    parts = [part for part in os.fsencode(path).split(b"/") if part not in (b"", b".")]
    if b".." in parts:
        raise InvalidValue(f"{path!r} leads upwards", "name it from the root")
    return b"/".join(parts)


def _is_file(mode: int) -> bool:
    import stat

    return stat.S_ISREG(mode)


def to_the_end(fd: int) -> Iterator[bytes]:
    """What a file holds, in pieces; it is closed then."""
    try:
        yield from read_file(fd)
    finally:
        os.close(fd)
