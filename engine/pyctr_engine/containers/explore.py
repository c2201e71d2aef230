"""What is in images, and how any two of images, layers' states, containers and checkpoints differ.

References: ``container``, ``container@checkpoint``, ``image``, ``image@3`` (its state after its third layer). A
container's name goes before an image's.
"""

from __future__ import annotations

import contextlib
import difflib
import os
import stat
from collections.abc import Iterator, Sequence

from pyctr_engine.containers import listing
from pyctr_engine.containers.context import Context
from pyctr_engine.errors import InvalidValue, NotFound, from_os_error
from pyctr_engine.images.explore import Explorer as ImageExplorer
from pyctr_engine.images.explore import to_the_end
from pyctr_engine.linux import stack
from pyctr_engine.model.explore import VOLUME, Directory, DirectoryEntry, FileDifference, FileState
from pyctr_engine.model.image import FileType
from pyctr_engine.snapshots.overlay import Snapshot

MAX_TEXT = 1 << 20
"""Bytes of a file that is compared line by line."""
_MAX_WORK = 20_000_000
"""Lines of one text times lines of the other, where they differ: beyond that, the time is better spent."""


class Explorer(ImageExplorer):
    """See `images.explore.Explorer`; here with what joins images and containers."""

    def __init__(self, context: Context) -> None:
        super().__init__(context.images)
        self._context = context

    def compare(self, one: str, other: str, path: str = "/") -> Iterator[FileDifference]:
        """What differs from ``one`` to ``other`` at and below ``path``, in the order of a walk.

        Layers that both have are not walked. Times alone are no difference. Of a running container, what is there as
        each directory is read.

        Raises:
            NotFound: one of them, or the path in both.
            EngineError: something can't be read.
        """
        with self._both(one, other, path) as (before, after, at):
            try:
                for pair in stack.compare_at(before, after, at):
                    yield _difference(pair)
            except OSError as error:
                raise from_os_error(error, f"compare {one} with {other}") from error

    def text_difference(self, one: str, other: str, path: str) -> list[str]:
        """A unified diff of one file, a line each, without their ends; one line that says so where there is none.

        Bytes that aren't UTF-8 are surrogate escapes. Raises NotFound.
        """
        with self._both(one, other, path) as (before, after, _at):
            try:
                return _text_difference(_contents(before), _contents(after), f"{one}:{path}", f"{other}:{path}")
            except OSError as error:
                raise from_os_error(error, f"compare {path}") from error

    @contextlib.contextmanager
    def _both(
        self, one: str, other: str, path: str
    ) -> Iterator[tuple[stack.Found | None, stack.Found | None, bytes]]:
        parts = [part for part in os.fsencode(path).split(b"/") if part not in (b"", b".")]
        if b".." in parts:
            raise InvalidValue(f"{path!r} leads upwards", "name it from the root")
        with contextlib.ExitStack() as opened:
            found = [self._at(opened, ref, path) for ref in (one, other)]
            if found == [None, None]:
                raise NotFound(f"neither {one} nor {other} has {path}", "paths are those inside")
            yield found[0], found[1], b"/".join(parts)

    def _at(self, opened: contextlib.ExitStack, ref: str, path: str) -> stack.Found | None:
        try:
            view = opened.enter_context(self._view(ref))
        except OSError as error:
            raise from_os_error(error, f"open {ref}") from error
        try:
            return opened.enter_context(view.find(path, follow=False))
        except NotFound:
            return None

    def read(self, ref: str, path: str) -> Iterator[bytes]:
        """The contents of a file of any of them, in pieces; symlinks lead wherever they do inside."""
        try:
            with self._view(ref) as view, view.find(path) as found:
                fd = self._file(found, path)
        except OSError as error:
            raise from_os_error(error, f"read {path} of {ref}") from error
        return to_the_end(fd)

    def directory(self, ref: str, path: str = "/", most: int = 10_000) -> Directory:
        """What is in a directory of any of them, or of a volume (``volume://NAME``), at most so many names.

        Symlinks on the way are followed inside. Raises NotFound, InvalidValue when it is no directory.
        """
        try:
            with self._view(ref) as view, view.find(path) as found:
                if not found.inside:
                    raise InvalidValue(f"{path} is no directory", "`layers cat` prints files")
                names = sorted({name for place in found.inside for name in place.names()})
                entries = [entry for name in names[:most] if (entry := _entry(found.inside, name)) is not None]
        except OSError as error:
            raise from_os_error(error, f"read {path} of {ref}") from error
        return Directory(path, tuple(entries), len(names) > most)

    def tar(self, ref: str, path: str) -> Iterator[bytes]:
        """See `images.explore.Explorer.tar`; InvalidValue for what may change meanwhile, as a container may."""
        if self._directories(ref)[1]:
            raise InvalidValue(f"the files of {ref} may change", "`pyctr-tui cp` copies out of containers")
        return super().tar(ref, path)

    def _view(self, ref: str) -> stack.View:
        directories, live = self._directories(ref)
        return stack.View(directories, live)

    def _directories(self, ref: str) -> tuple[Sequence[str], bool]:
        """The directories that make what is meant, topmost first, and whether the topmost may change meanwhile."""
        if ref.startswith(VOLUME):
            return [self._context.volumes.get(ref.removeprefix(VOLUME)).mountpoint], True
        name, at, checkpoint = ref.partition("@")
        context = self._context
        try:
            spec = listing.find(context, name)
        except NotFound as error:
            try:
                return self._lowers(ref), False
            except NotFound as other:
                hint = other.hint if at else error.hint
                raise NotFound(f"there is no container or image {ref}", hint) from other
        snapshot = Snapshot(context.paths.container(spec.id))
        own = snapshot.at(checkpoint) if at else snapshot.uppers
        return [*own, *(f"{context.paths.layers}/{link}" for link in spec.chain)], not at


def _entry(places: Sequence[stack.Place], name: bytes) -> DirectoryEntry | None:
    """One name in a directory; ``None`` for one that went meanwhile, or is hidden."""
    found = stack.look(places, name)
    try:
        state = _state(found)
        return DirectoryEntry(os.fsdecode(name), state) if state is not None else None
    finally:
        stack.close(found.inside if found is not None else ())


def _difference(pair: stack.Pair) -> FileDifference:
    before, after = _state(pair.before), _state(pair.after)
    kind = "A" if before is None else "D" if after is None else "C"
    return FileDifference("/" + os.fsdecode(pair.path), kind, pair.what, before, after)  # type: ignore[arg-type]


def _state(found: stack.Found | None) -> FileState | None:
    if found is None or found.status is None:
        return None
    status, target = found.status, b""
    if stat.S_ISLNK(status.st_mode) and found.place is not None:
        with contextlib.suppress(OSError):  # replaced meanwhile
            target = found.place.readlink(found.name)
    size = status.st_size if stat.S_ISREG(status.st_mode) else 0
    return FileState(
        _type(status.st_mode),
        stat.S_IMODE(status.st_mode),
        status.st_uid,
        status.st_gid,
        size,
        status.st_mtime_ns,
        os.fsdecode(target),
    )


def _type(mode: int) -> FileType:
    kinds: dict[int, FileType] = {
        stat.S_IFDIR: "directory",
        stat.S_IFLNK: "symlink",
        stat.S_IFIFO: "fifo",
        stat.S_IFSOCK: "socket",
        stat.S_IFCHR: "device",
        stat.S_IFBLK: "device",
    }
    return kinds.get(stat.S_IFMT(mode), "file")


def _contents(found: stack.Found | None) -> bytes | None:
    """A regular file's; ``None`` for what is absent or none, and for what is too large."""
    if found is None:
        return b""
    if found.status is None or not stat.S_ISREG(found.status.st_mode):
        return None
    fd = stack.opened(found)
    try:
        data = b""
        while len(data) <= MAX_TEXT and (piece := os.read(fd, MAX_TEXT + 1)):
            data += piece
        return data if len(data) <= MAX_TEXT else None
    finally:
        os.close(fd)


def _text_difference(before: bytes | None, after: bytes | None, one: str, other: str) -> list[str]:
    if before is None or after is None:
        return [f"{one} and {other} are not two texts of at most {MAX_TEXT >> 20} MiB"]
    if before == after:
        return []
    if b"\0" in before or b"\0" in after:
        return [f"Binary files {one} and {other} differ"]
    old, new = _lines(before), _lines(after)
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    end = 0
    while end < min(len(old), len(new)) - start and old[-1 - end] == new[-1 - end]:
        end += 1
    if (len(old) - start - end) * (len(new) - start - end) > _MAX_WORK:
        return [f"{one} and {other} differ in too many lines to show how"]
    first = max(start - 3, 0)
    last = max(end - 3, 0)
    lines = difflib.unified_diff(old[first : len(old) - last], new[first : len(new) - last], one, other, lineterm="")
    moved = (_moved(line, first) if line.startswith("@@ ") else line for line in lines)
    return [part for line in moved for part in line.split("\n")]


def _lines(data: bytes) -> list[str]:
    """Without their ends; a last line that has none says so, as diff(1) does."""
    lines = os.fsdecode(data).split("\n")
    if lines[-1]:
        lines[-1] += "\n\\ No newline at end of file"
    else:
        lines.pop()
    return lines


def _moved(hunk: str, by: int) -> str:
    """``@@ -1,4 +1,5 @@`` of texts whose first ``by`` lines were left out."""
    _, old, new, _ = hunk.split(" ", 3)
    return f"@@ {_shifted(old, by)} {_shifted(new, by)} @@"


def _shifted(span: str, by: int) -> str:
    line, comma, count = span[1:].partition(",")
    return f"{span[0]}{int(line) + by}{comma}{count}"
