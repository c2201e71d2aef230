"""What an ELF file needs to run, found by reading it: its interpreter and its shared libraries.

Never by running it (or ldd, which may). Sources: elf(5), ld.so(8), ldconfig(8).
"""

from __future__ import annotations

import glob
import mmap
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass

_PT_LOAD, _PT_DYNAMIC, _PT_INTERP = 1, 2, 3
_DT_NEEDED, _DT_STRTAB, _DT_RPATH, _DT_RUNPATH = 1, 5, 15, 29


@dataclass(frozen=True, slots=True)
class Elf:
    """What the dynamic linker would read.

    Attributes:
        interpreter: Absolute path of the dynamic linker; empty for a library or a static program.
        needed: Names of the libraries it asks for.
        search: Directories of its own (RUNPATH, else RPATH), ``$ORIGIN`` still in them.
        machine: ``e_machine`` and the class byte: libraries of another are passed over.
    """

    interpreter: str
    needed: tuple[str, ...]
    search: tuple[str, ...]
    machine: tuple[int, int]


def read(path: str) -> Elf | None:
    """Read a file's headers; ``None`` when it is no ELF file (or a damaged one)."""
    with open(path, "rb") as file:
        head = file.read(64)
        if head[:4] != b"\x7fELF" or len(head) < 52:
            return None
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            try:
                return _Reader(data).elf()
            except (struct.error, IndexError, ValueError):
                return None


class _Reader:
    """A file in memory, and the two layouts that ELF has."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self._wide = data[4] == 2
        self._order = "<" if data[5] == 1 else ">"

    def elf(self) -> Elf:
        machine = int(self._unpack("H", 18)[0])
        interpreter, dynamic, loads = "", b"", []
        for kind, offset, address, size in self._segments():
            if kind == _PT_INTERP:
                interpreter = os.fsdecode(self._data[offset : offset + size].rstrip(b"\0"))
            elif kind == _PT_DYNAMIC:
                dynamic = self._data[offset : offset + size]
            elif kind == _PT_LOAD:
                loads.append((address, offset, size))
        tags = list(self._tags(dynamic))
        strings = next((value for tag, value in tags if tag == _DT_STRTAB), 0)
        table = next((strings - a + o for a, o, size in loads if a <= strings < a + size), 0)
        needed = tuple(self._string(table + value) for tag, value in tags if tag == _DT_NEEDED)
        search = [self._string(table + value) for tag, value in tags if tag == _DT_RUNPATH] or [
            self._string(table + value) for tag, value in tags if tag == _DT_RPATH
        ]
        directories = tuple(part for text in search for part in text.split(":") if part)
        return Elf(interpreter, needed, directories, (machine, self._data[4]))

    def _unpack(self, layout: str, offset: int) -> tuple[int, ...]:
        return struct.unpack_from(self._order + layout, self._data, offset)

    def _segments(self) -> Iterator[tuple[int, int, int, int]]:
        """Program headers as (type, file offset, address, size in the file)."""
        (start,) = self._unpack("Q", 32) if self._wide else self._unpack("I", 28)
        size, count = self._unpack("HH", 54 if self._wide else 42)
        for index in range(count):
            at = start + index * size
            if self._wide:
                kind, _flags, offset, address, _physical, length = self._unpack("IIQQQQ", at)
            else:
                kind, offset, address, _physical, length = self._unpack("IIIII", at)
            yield kind, offset, address, length

    def _tags(self, dynamic: bytes) -> Iterator[tuple[int, int]]:
        layout = self._order + ("QQ" if self._wide else "II")
        usable = len(dynamic) // struct.calcsize(layout) * struct.calcsize(layout)
        for tag, value in struct.iter_unpack(layout, dynamic[:usable]):
            if tag == 0:
                return
            yield tag, value

    def _string(self, offset: int) -> str:
        return os.fsdecode(self._data[offset : self._data.find(b"\0", offset)])


class Closure:
    """All that a set of programs needs, as places in an image.

    ``files`` maps each library's path in the image to its file on the host. What a program finds by its own RUNPATH
    keeps its place. All else lands beside the C library, where the dynamic linker looks without being told, since
    the image has neither ld.so.conf nor a cache.
    """

    def __init__(self) -> None:
        self.files: dict[str, str] = {}
        self._directories = library_directories()
        self._seen: set[str] = set()
        self._home = ""

    def add(self, path: str) -> None:
        """Add what the program or library at ``path`` needs; not itself."""
        real = os.path.realpath(path)
        if real in self._seen:
            return
        self._seen.add(real)
        elf = read(real)
        if elf is None:
            return
        if elf.interpreter and os.path.exists(elf.interpreter):
            self.files[merged(elf.interpreter)] = os.path.realpath(elf.interpreter)
        own = [
            part.replace("$ORIGIN", os.path.dirname(real)).replace("${ORIGIN}", os.path.dirname(real))
            for part in elf.search
        ]
        for name in elf.needed:
            self._need(name, own, elf)

    def _need(self, name: str, own: list[str], elf: Elf) -> None:
        if "/" in name:
            found, place = name, merged(name)
        else:
            found = self._find(name, own, elf)
            place = merged(f"{os.path.realpath(os.path.dirname(found))}/{name}") if found else ""
        if not found:  # the host's own linker finds it already loaded, or not at all
            return
        if name.startswith(("libc.so", "libc.musl")):
            self._home = os.path.dirname(place)
        elif os.path.dirname(found) not in own and "/" not in name:
            place = f"{self.home}/{name}"
        self.files[place] = os.path.realpath(found)
        self.add(found)

    @property
    def home(self) -> str:
        """The directory of the C library."""
        if not self._home:
            found = next((d for d in self._directories if os.path.exists(f"{d}/libc.so.6")), "/usr/lib")
            self._home = merged(os.path.realpath(found))
        return self._home

    def _find(self, name: str, own: list[str], elf: Elf) -> str:
        for directory in [*own, *self._directories]:
            path = f"{directory}/{name}"
            if os.path.isfile(path):
                candidate = read(path)
                if candidate is not None and candidate.machine == elf.machine:
                    return path
        return ""


def library_directories() -> list[str]:
    """Where the host's dynamic linker looks: ld.so.conf with what it includes, then the usual places."""
    multiarch = glob.glob("/usr/lib/*-linux-gnu*")
    usual = [*sorted(multiarch), "/lib64", "/usr/lib64", "/lib", "/usr/lib"]
    return [path for path in [*usual, *_configured("/etc/ld.so.conf", 0)] if os.path.isdir(path)]


def _configured(path: str, depth: int) -> list[str]:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            lines = [line.partition("#")[0].strip() for line in file]
    except OSError:
        return []
    found: list[str] = []
    for line in lines:
        if line.startswith("include ") and depth < 8:
            pattern = os.path.join(os.path.dirname(path), line.removeprefix("include ").strip())
            for included in sorted(glob.glob(pattern)):
                found += _configured(included, depth + 1)
        elif line.startswith("/"):
            found.append(line)
    return found


def merged(path: str) -> str:
    """A path as it is where /bin, /sbin and /lib* are links into /usr."""
    first = path.split("/", 2)[1] if path.startswith("/") else ""
    return f"/usr{path}" if first in ("bin", "sbin", "lib", "lib32", "lib64", "libx32") else path
