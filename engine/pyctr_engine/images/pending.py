"""What the image store still owes: slips for garbage that may be there, and leases for what isn't named yet.

Both are files in a directory of the layout that other tools don't look at.

- A *slip* is put down before anything that may leave blobs or layers that nothing refers to, and taken away when it
  turns out that it left none. Slips outlive a killed process: whoever collects next knows that there is work to do.
- A *lease* keeps blobs and layers that no image names: what an interrupted pull had complete, so that the next one
  takes it up. It ends when the pull ends well or its name is removed, with a `prune`, and with the first collection
  after `LEASE_SECONDS`; it is a debt from then on.
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


def owes(layout: str) -> bool:
    """Whether there may be something to collect: a slip, or a lease that has run out."""
    return any(name.startswith(_SLIP) or _has_run_out(f"{layout}/{DIRECTORY}/{name}") for name in _names(layout))


def lease(layout: str, name: str, digests: Iterable[str], chains: Iterable[str] = ()) -> None:
    """Keep blobs (``sha256:…``) and layers (chain ids, hex) for a while, though no image names them.

    Args:
        name: Whose they are, e.g. the reference that is pulled; a second lease of the same name replaces the first,
            and leaves a slip if that kept more.

    Raises:
        OSError: it can't be written.
    """
    from pyctr_engine.images.layout import write_file

    os.makedirs(f"{layout}/{DIRECTORY}", mode=0o700, exist_ok=True)
    path = _lease_path(layout, name)
    blobs, layers = set(digests), set(chains)
    before = _kept(path)
    if before[0] - blobs or before[1] - layers:
        put_slip(layout)
    write_file(path, json.dumps({"name": name, "blobs": sorted(blobs), "layers": sorted(layers)}).encode())


def end_lease(layout: str, name: str) -> bool:
    """Keep them no longer; whether there was such a lease. What no image names is to be collected then."""
    try:
        os.unlink(_lease_path(layout, name))
    except FileNotFoundError:
        return False
    return True


def leased(layout: str) -> tuple[set[str], set[str]]:
    """Digests and chain ids under a lease; under one that has run out as well, until it is dropped."""
    blobs: set[str] = set()
    chains: set[str] = set()
    for name in _names(layout):
        if name.startswith(_LEASE):
            more = _kept(f"{layout}/{DIRECTORY}/{name}")
            blobs |= more[0]
            chains |= more[1]
    return blobs, chains


def drop_leases(layout: str, only_ended: bool = True) -> None:
    """Forget leases that have run out, or all of them, and what who was killed left aside; while nobody is adding."""
    for name in _names(layout):
        path = f"{layout}/{DIRECTORY}/{name}"
        is_aside = not name.startswith((_SLIP, _LEASE))
        if is_aside or (name.startswith(_LEASE) and (not only_ended or _has_run_out(path))):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)


def _kept(path: str) -> tuple[set[str], set[str]]:
    """What a lease keeps; nothing if there is none, or none that can be read."""
    with contextlib.suppress(FileNotFoundError, ValueError, KeyError, TypeError):
        with open(path, "rb") as file:
            document = json.loads(file.read())
        return set(map(str, document["blobs"])), set(map(str, document["layers"]))
    return set(), set()


def _has_run_out(path: str) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return os.stat(path).st_mtime + LEASE_SECONDS < time.time()
    return False


def _lease_path(layout: str, name: str) -> str:
    import hashlib

    return f"{layout}/{DIRECTORY}/{_LEASE}{hashlib.sha256(name.encode()).hexdigest()[:32]}"


def _names(layout: str) -> list[str]:
    try:
        return sorted(os.listdir(f"{layout}/{DIRECTORY}"))
    except FileNotFoundError:
        return []
