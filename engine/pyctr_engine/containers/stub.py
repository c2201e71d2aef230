"""The lowest layer, made by the engine: mount points, so that a start leaves the upper directory empty.

Containers without mounts of their own share one; the others each have theirs.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterable

from pyctr_engine.model.spec import ContainerSpec
from pyctr_engine.paths import Paths

_DIRECTORIES = ("proc", "sys", "dev", "etc")
_FILES = ("etc/hosts", "etc/resolv.conf", "etc/hostname")
_SHARED = ".stub"


def link(spec: ContainerSpec) -> str:
    """Where init finds it, relative to the short links of the layers."""
    return "../../data/stub" if spec.mounts else f"../{_SHARED}"


def directory(paths: Paths, spec: ContainerSpec) -> str:
    """Where it lies."""
    return f"{paths.container(spec.id)}/stub" if spec.mounts else f"{paths.layers}/{_SHARED}"


def prepare(paths: Paths, spec: ContainerSpec) -> None:
    """Make it, unless it is the shared one and there. Raises OSError."""
    place = directory(paths, spec)
    if spec.mounts:
        make(place, [(mount.target, mount.type != "bind" or os.path.isdir(mount.source)) for mount in spec.mounts])
    elif not os.path.isdir(place):
        _make_shared(place)


def _make_shared(place: str) -> None:
    from pyctr_engine.linux.tree import remove_tree

    aside = f"{place}-{os.urandom(8).hex()}"
    make(aside, ())
    try:
        os.rename(aside, place)
    except OSError as error:
        remove_tree(aside)
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
            raise  # else another was first


def leftovers(paths: Paths) -> list[str]:
    """Shared stubs that were never finished. Only right while nobody is creating a container."""
    try:
        names = os.listdir(paths.layers)
    except FileNotFoundError:
        return []
    return [f"{paths.layers}/{name}" for name in names if name.startswith(f"{_SHARED}-")]


def make(directory: str, targets: Iterable[tuple[str, bool]]) -> None:
    """Make a stub at ``directory``; ``targets`` are (absolute path inside, whether a directory)."""
    os.mkdir(directory, 0o755)
    for name in _DIRECTORIES:
        os.mkdir(f"{directory}/{name}", 0o755)
    for name in _FILES:
        _touch(f"{directory}/{name}")
    for path, is_directory in targets:
        place = directory + path
        if is_directory:
            os.makedirs(place, 0o755, exist_ok=True)
        else:
            os.makedirs(os.path.dirname(place), 0o755, exist_ok=True)
            with contextlib.suppress(FileExistsError):
                _touch(place)


def _touch(path: str) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644))
