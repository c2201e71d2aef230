"""Parts of blobs that are still coming: ``oci/partial/<hex>``, each locked (flock) by who writes it."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator

KEPT_SECONDS = 7 * 24 * 3600.0
"""How long a part is kept that nobody goes on with."""


def directory(layout: str) -> str:
    """Where they lie: files that can be removed while nobody pulls."""
    return f"{layout}/partial"


def path(layout: str, digest: str) -> str:
    """Where the part of a blob is, or would be."""
    return f"{directory(layout)}/{digest.removeprefix('sha256:')}"


def paths(layout: str) -> list[str]:
    """All that are there."""
    try:
        return [f"{directory(layout)}/{name}" for name in sorted(os.listdir(directory(layout)))]
    except FileNotFoundError:
        return []


def idle(layout: str, older_than: float = KEPT_SECONDS) -> Iterator[str]:
    """Those that nobody writes, and nobody went on with for so many seconds; each is locked while it is looked at."""
    import fcntl

    for part in paths(layout):
        with contextlib.suppress(FileNotFoundError, BlockingIOError), open(part, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if older_than <= 0 or time.time() - os.fstat(file.fileno()).st_mtime >= older_than:
                yield part


def remove_idle(layout: str, older_than: float = KEPT_SECONDS) -> None:
    """Remove those."""
    for part in idle(layout, older_than):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(part)
