"""The Python of the built-in image: the host's own /usr/bin/python3, or else the interpreter that runs this.

Its standard library is compiled beforehand to hash-based ``.pyc`` files (PEP 552), so that programs start fast and
leave no ``__pycache__`` behind in a container that did nothing else.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass

_LEFT_OUT = frozenset(
    "test tests idlelib ensurepip lib2to3 tkinter turtledemo pydoc_data distutils venv site-packages dist-packages "
    "__pycache__ turtle.py EXTERNALLY-MANAGED sitecustomize.py".split()
)
_LEFT_OUT_PREFIXES = tuple("config- _test _ctypes_test _tkinter _xx xx nis. _dbm. _gdbm. ossaudiodev.".split())
"""Tests, and extension modules whose libraries are larger than their use."""


@dataclass(frozen=True, slots=True)
class Python:
    """An interpreter to copy: ``files`` maps places in the image to the host's, ``compiled`` places to contents."""

    program: str
    program_place: str
    files: dict[str, str]
    compiled: dict[str, bytes]


def find_python() -> Python | None:
    """The best interpreter of this host; ``None`` when there is none with a whole standard library."""
    system = os.path.realpath("/usr/bin/python3")
    name = os.path.basename(system)
    if name.startswith("python3.") and os.path.isdir(f"/usr/lib/{name}/asyncio"):
        return _copy(system, f"/usr/lib/{name}", "/usr")
    library = os.path.dirname(os.path.realpath(os.__file__))
    program = os.path.realpath(sys.executable)
    if os.path.isdir(f"{library}/asyncio") and os.path.isfile(program):
        return _copy(program, library, "/usr/local")
    return None


def _copy(program: str, library: str, prefix: str) -> Python:
    name = os.path.basename(library)  # python3.11
    place = f"{prefix}/lib/{name}"
    files = {f"{place}/{path}": f"{library}/{path}" for path in sorted(_walk(library))}
    return Python(program, f"{prefix}/bin/{name}", files, _compile(program, files, place))


def _walk(library: str) -> Iterator[str]:
    """Paths below ``library`` that are kept."""
    for root, directories, names in os.walk(library):
        directories[:] = sorted(name for name in directories if _kept(name))
        for name in names:
            if _kept(name) and not os.path.islink(f"{root}/{name}"):
                yield os.path.relpath(f"{root}/{name}", library)


def _kept(name: str) -> bool:
    return name not in _LEFT_OUT and not name.startswith(_LEFT_OUT_PREFIXES)


def _compile(program: str, files: dict[str, str], place: str) -> dict[str, bytes]:
    """The ``.pyc`` of each module, the same each time; none when the interpreter won't."""
    scratch = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # a thousand small files
    with tempfile.TemporaryDirectory(prefix="pyctr-base-", dir=scratch) as directory:
        for path, source in files.items():
            if path.endswith(".py"):
                copy = directory + path
                os.makedirs(os.path.dirname(copy), exist_ok=True)
                os.symlink(source, copy)
        arguments = ["-q", "-j0", "-s", directory, "-p", "/", "--invalidation-mode", "unchecked-hash"]
        done = subprocess.run(
            [program, "-S", "-s", "-m", "compileall", *arguments, directory + place],
            env={"PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8"},
            cwd="/",
            capture_output=True,
            check=False,
        )
        if done.returncode not in (0, 1):  # 1: a module that can't be compiled, such as a bad example
            return {}
        return dict(_compiled(directory, place))


def _compiled(directory: str, place: str) -> Iterator[tuple[str, bytes]]:
    for root, _directories, names in os.walk(directory + place):
        for name in sorted(names):
            if name.endswith(".pyc"):
                with open(f"{root}/{name}", "rb") as file:
                    yield f"{root}/{name}".removeprefix(directory), file.read()
