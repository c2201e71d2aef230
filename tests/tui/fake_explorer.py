"""What is in the made-up images: enough layers and files to look into."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pyctr_engine.errors import NotFound
from pyctr_engine.model.explore import (
    Directory,
    DirectoryEntry,
    Efficiency,
    FileDifference,
    FileState,
    LayerChange,
    StateEntry,
    TreeEntry,
    Waste,
)
from pyctr_engine.model.image import FileType

K, M = 1 << 10, 1 << 20

# path, layer, size, type
FILES: tuple[tuple[str, int, int, FileType], ...] = (
    ("/app", 2, 0, "directory"), ("/app/main.py", 4, 12 * K, "file"), ("/app/settings.py", 4, 3 * K, "file"),
    ("/app/static", 4, 0, "directory"), ("/app/static/logo.svg", 4, 40 * K, "file"),
    ("/bin", 1, 0, "symlink"), ("/etc", 1, 0, "directory"), ("/etc/hosts", 1, 200, "file"),
    ("/etc/passwd", 2, 900, "file"), ("/etc/resolv.conf.bak", 1, 70, "file"), ("/usr", 1, 0, "directory"),
    ("/usr/bin", 1, 0, "directory"), ("/usr/bin/bash", 1, 1200 * K, "file"), ("/usr/bin/python3", 2, 6 * M, "file"),
    ("/usr/lib", 1, 0, "directory"), ("/usr/lib/libc.so", 1, 2 * M, "file"), ("/usr/lib/libssl.so", 3, 5 * M, "file"),
    ("/var", 1, 0, "directory"), ("/var/log", 1, 0, "directory"), ("/var/log/fetch.log", 4, 1 * M, "file"),
)  # fmt: skip
CONTENTS = {
    "/app/main.py": b"import sys\n\n\ndef main():\n\treturn 0\n\n\nsys.exit(main())\n",
    "/usr/bin/bash": b"\x7fELF\x02\x01\x01\x00" + bytes(range(200)),
    "/postgresql.conf": b"# settings\nmax_connections = 100\n",
    "/etc/hosts": b"127.0.0.1 localhost\n\x1b]0;owned\x07\x1b[2Jgone\n",
}


def state(size: int, type: FileType, target: str = "") -> FileState:
    return FileState(type, 0o755 if type == "directory" else 0o644, 0, 0, size, 10**18, target)


class FakeState:
    """A state made of all its entries at once, and of what changed in it."""

    def __init__(self, number: int, entries: Iterable[TreeEntry], changes: Iterable[LayerChange] = ()) -> None:
        self._number = number
        self._entries = {entry.path: entry for entry in entries}
        self._changes = {change.path: change for change in changes}
        self._inside: dict[str, set[str]] = {}
        for path in [*self._entries, *self._changes]:
            while path != "/":
                above = path.rpartition("/")[0] or "/"
                self._inside.setdefault(above, set()).add(path)
                path = above

    @property
    def root(self) -> StateEntry:
        return self._told("/")

    def inside(self, entry: StateEntry) -> tuple[StateEntry, ...]:
        return tuple(map(self._told, sorted(self._inside.get(entry.path, ()))))

    def _told(self, path: str) -> StateEntry:
        change, entry = self._changes.get(path), self._entries.get(path)
        what = change.state if change else entry.state if entry else state(0, "directory")
        layer = change.layer if change else entry.layer if entry else 1
        inside = [self._told(below) for below in self._inside.get(path, ())]
        left = [one for one in inside if one.kind != "D"]
        return StateEntry(
            path, layer, change.kind if change else None, what,
            what.size + sum(one.size for one in left),
            len(inside) + sum(one.paths for one in inside),
            sum(one.changed for one in left) + (what.size if change and change.kind != "D" else 0),
            sum(one.changes + (one.kind is not None) for one in inside),
            len(inside),
        )  # fmt: skip


class FakeExplorer:
    """The engine's explorer, of `FILES` and four layers, whatever the image."""

    layers = 4

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.extra: list[TreeEntry] = []
        self.names: list[str] = []

    def _number(self, ref: str) -> int:
        if "nothing" in ref:
            raise NotFound(f"there is no container or image {ref}", "`pyctr-tui images` lists them")
        return int(ref.rpartition("@")[2]) if "@" in ref else self.layers

    def state(self, ref: str, marked: bool = True) -> FakeState:
        number = self._number(ref)
        return FakeState(number, self.tree(ref), self.changes(ref, number) if marked else ())

    def tree(self, ref: str, path: str = "/") -> Iterator[TreeEntry]:
        number = self._number(ref)
        yield from (
            TreeEntry(name, layer, state(size, type, "usr/bin" if type == "symlink" else ""))
            for name, layer, size, type in FILES
            if layer <= number
        )
        yield from self.extra

    def changes(self, ref: str, number: int, path: str = "/") -> Iterator[LayerChange]:
        for name, layer, size, type in FILES:
            if layer == number:
                kind = "C" if name == "/etc/passwd" else "A"
                yield LayerChange(name, layer, kind, state(size, type), 1 if kind == "C" else 0)  # type: ignore[arg-type]
        if number == 3:
            yield LayerChange("/usr/share/doc", 3, "D", state(0, "directory"), 1)

    def versions(self, ref: str, path: str) -> list[LayerChange]:
        if path == "/etc/passwd":
            return [
                LayerChange(path, 1, "A", state(839, "file")), LayerChange(path, 2, "C", state(900, "file"), 1),
            ]  # fmt: skip
        raise NotFound(f"no layer of {ref} holds {path}", "paths are absolute")

    def efficiency(self, ref: str) -> Efficiency:
        return Efficiency(0.87, 900 + 839, 0.05, (Waste("/etc/passwd", 2, 1739), Waste("/app/main.py", 2, 24 * K)))

    def read(self, ref: str, path: str) -> Iterator[bytes]:
        self.calls.append(("read", ref, path))
        if path not in CONTENTS:
            raise NotFound(f"{path} is gone", "look again")
        yield CONTENTS[path]

    def directory(self, ref: str, path: str = "/", most: int = 10_000) -> Directory:
        if path == "/gone":
            raise NotFound(f"{path} is gone", "look again")
        names = {"/": ("base", "gone", "logs"), "/base": ("16384", "current"), "/logs": ()}.get(path, ())
        entries = [DirectoryEntry(name, state(0, "directory")) for name in names]
        if path == "/":
            entries += [
                DirectoryEntry("PG_VERSION", state(3, "file")), DirectoryEntry("socket", state(0, "socket")),
                DirectoryEntry("postgresql.conf", state(29 * K, "file")),
                DirectoryEntry("latest", state(0, "symlink", "logs/1.log")),
            ]  # fmt: skip
            entries += [DirectoryEntry(name, state(1, "file")) for name in self.names]
        return Directory(path, tuple(entries), more=path == "/base")

    def extract(self, ref: str, path: str, destination: str, progress: object = None) -> str:
        self.calls.append(("extract", ref, path, destination))
        return destination

    def compare(self, one: str, other: str, path: str = "/") -> Iterator[FileDifference]:
        self._number(one), self._number(other)
        yield FileDifference("/app/main.py", "C", ("contents", "mode"), state(10, "file"), state(12 * K, "file"))
        yield FileDifference("/tmp/new", "A", (), None, state(5, "file"))

    def text_difference(self, one: str, other: str, path: str) -> list[str]:
        return [f"--- {one}:{path}", f"+++ {other}:{path}", "@@ -1 +1,2 @@", " same", "-old", "+new"]
