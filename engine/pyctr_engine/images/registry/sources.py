"""Where a repository is to be had: its registry's mirrors, then the registry itself; and one call's connections."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

from pyctr_engine.errors import NotPermitted
from pyctr_engine.images.registry import settings
from pyctr_engine.images.registry.client import Registry, Repository
from pyctr_engine.images.registry.transport import Transport
from pyctr_engine.model.reference import Reference

_POLL = 0.1


@contextlib.contextmanager
def connections(cancel: threading.Event | None) -> Iterator[Transport]:
    """What one call exchanges by; ended at once when ``cancel`` is set, and when the block is left by an error."""
    transport = Transport(settings.load())
    over = threading.Event()

    def watch() -> None:
        while cancel is not None and not over.is_set():
            if cancel.wait(_POLL):
                transport.cancel()
                return

    watcher = threading.Thread(target=watch, name="cancel", daemon=True)
    watcher.start()
    try:
        yield transport
    except BaseException:
        transport.cancel()
        raise
    finally:
        over.set()
        watcher.join()
        transport.close()


def registry_repository(transport: Transport, reference: Reference) -> Repository:
    """A repository on its own registry, for pushes. Raises NotPermitted when it is blocked."""
    if transport.settings.host(reference.domain).blocked:
        raise NotPermitted(
            f"the registry {reference.domain} is blocked here",
            "registries.toml says so",
        )
    return Repository(Registry(transport, reference.domain), reference.path)


def repositories(transport: Transport, reference: Reference) -> list[Repository]:
    """All places to pull from, in the order to ask them. Raises NotPermitted when there is none."""
    found = []
    host = transport.settings.host(reference.domain)
    for mirror in host.mirrors:
        parts = urlsplit(mirror if "://" in mirror else f"https://{mirror}")
        path = f"{parts.path.strip('/')}/{reference.path}".lstrip("/")
        registry = Registry(transport, parts.netloc, f"{parts.scheme}://{parts.netloc}")
        found.append(Repository(registry, path))
    if not found or not host.blocked:
        found.append(registry_repository(transport, reference))
    return found
