"""The lowest layer, made by the engine: mount points, so that a start leaves the upper directory empty."""

from __future__ import annotations

import os
from collections.abc import Iterable

_DIRECTORIES = ("proc", "sys", "dev", "etc")
_FILES = ("etc/hosts", "etc/resolv.conf", "etc/hostname")


def make(directory: str, targets: Iterable[tuple[str, bool]]) -> None:
    """Make the stub layer below ``directory``; ``targets`` are (absolute path inside, whether a directory)."""
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
            if not os.path.exists(place):
                _touch(place)


def _touch(path: str) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644))
