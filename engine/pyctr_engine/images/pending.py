"""What the image store still owes: slips for garbage that may be there, and leases for what isn't named yet.

Both are files in a directory of the layout that other tools don't look at.

- A *slip* is put down before anything that may leave blobs or layers that nothing refers to, and taken away when it
  turns out that it left none. Slips outlive a killed process: whoever collects next knows that there is work to do.
- A *lease* keeps blobs and layers that no image names: what an interrupted pull had complete, so that the next one
  takes it up. It ends when the pull ends well, after `LEASE_SECONDS`, or with a `prune`.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterable

DIRECTORY = ".pending"
LEASE_SECONDS = 24 * 3600.0
_SLIP, _LEASE = "slip-", "lease-"


def put_slip(layout: str) -> str:
    """Say that there may be garbage soon; the slip's path. Raises OSError."""
    path = f"{layout}/{DIRECTORY}/{_SLIP}{os.urandom(8).hex()}"
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        os.makedirs(f"{layout}/{DIRECTORY}", mode=0o700, exist_ok=True)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    os.close(fd)
    return path


def take_slip(path: str) -> None:
    """There is none, after all."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def slips(layout: str) -> list[str]:
    """Paths of all slips."""
    return [f"{layout}/{DIRECTORY}/{name}" for name in _names(layout) if name.startswith(_SLIP)]


def lease(layout: str, name: str, digests: Iterable[str], chains: Iterable[str] = ()) -> None:
    """Keep blobs (``sha256:…``) and layers (chain ids, hex) for a while, though no image names them.

    Args:
        name: Whose they are, e.g. the reference that is pulled; a second lease of the same name replaces the first.

    Raises:
        OSError: it can't be written.
    """
    from pyctr_engine.images.layout import write_file

    os.makedirs(f"{layout}/{DIRECTORY}", mode=0o700, exist_ok=True)
    document = {"name": name, "blobs": sorted(set(digests)), "layers": sorted(set(chains))}
    write_file(_lease_path(layout, name), json.dumps(document).encode())


def end_lease(layout: str, name: str) -> None:
    """Keep them no longer; nothing happens when there is no such lease."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(_lease_path(layout, name))


def leased(layout: str) -> tuple[set[str], set[str]]:
    """Digests and chain ids under a lease that has not run out."""
    blobs: set[str] = set()
    chains: set[str] = set()
    for name in _names(layout):
        if not name.startswith(_LEASE):
            continue
        path = f"{layout}/{DIRECTORY}/{name}"
        with contextlib.suppress(FileNotFoundError, ValueError, KeyError, TypeError):
            if os.stat(path).st_mtime + LEASE_SECONDS < time.time():
                continue
            with open(path, "rb") as file:
                document = json.loads(file.read())
            blobs.update(map(str, document["blobs"]))
            chains.update(map(str, document["layers"]))
    return blobs, chains


def drop_leases(layout: str, only_ended: bool = True) -> None:
    """Forget leases that have run out, or all of them."""
    for name in _names(layout):
        path = f"{layout}/{DIRECTORY}/{name}"
        with contextlib.suppress(FileNotFoundError):
            if not name.startswith(_SLIP) and (
                not only_ended or os.stat(path).st_mtime + LEASE_SECONDS < time.time()
            ):
                os.unlink(path)


def _lease_path(layout: str, name: str) -> str:
    import hashlib

    return f"{layout}/{DIRECTORY}/{_LEASE}{hashlib.sha256(name.encode()).hexdigest()[:32]}"


def _names(layout: str) -> list[str]:
    try:
        return sorted(os.listdir(f"{layout}/{DIRECTORY}"))
    except FileNotFoundError:
        return []
