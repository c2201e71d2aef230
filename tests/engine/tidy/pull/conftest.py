"""Images on a registry of this machine; what an engine owes to a pull that did not end well."""

from __future__ import annotations

import gzip
import os
import re
import time
from pathlib import Path

import pytest

from pyctr_engine.errors import RegistryError
from pyctr_engine.images import partial, pending
from pyctr_engine.model.spec import ContainerRequest
from tests.engine.registry.conftest import address, configure, faulty, publisher
from tests.engine.registry.publisher import Publisher, digest, files
from tests.engine.registry.servers import PATIENCE, Handler, Proxy, cuts, says
from tests.engine.tidy.conftest import Place, busybox

__all__ = ["address", "configure", "faulty", "published", "publisher"]

BASE = busybox() + bytes(10240)
"""As ``small``, but not the same layer."""


class Published:
    """A repository with the images ``1`` and ``2``: the same base, and a layer of its own each; none compresses."""

    def __init__(self, publisher: Publisher, proxy: Proxy) -> None:
        self.tars = {tag: (BASE, files(own=os.urandom(300_000))) for tag in ("1", "2")}
        base = gzip.compress(BASE, 1, mtime=0)
        self.blobs = {tag: (base, gzip.compress(tars[1], 1, mtime=0)) for tag, tars in self.tars.items()}
        self.sizes = {digest(blob)[7:]: len(blob) for blobs in self.blobs.values() for blob in blobs}
        self.own = {tag: digest(blobs[1])[7:] for tag, blobs in self.blobs.items()}
        for tag, tars in self.tars.items():
            publisher.image(tag, tars, blobs=self.blobs[tag])
        self.proxy = proxy
        self.direct = f"{publisher.address}/{publisher.path}"
        self.name = f"{proxy.address}/{publisher.path}"

    def fetched(self) -> dict[str, str]:
        """Blobs of layers that were asked for, with the range; forgets them."""
        seen = self.proxy.requests("GET", "/blobs/")
        self.proxy.seen.clear()
        found = [
            (re.sub(r".*/blobs/sha256:", "", request.path), request.headers.get("Range", "")) for request in seen
        ]
        assert len(dict(found)) == len(found), "none is fetched twice"
        return {hex: range for hex, range in found if hex in self.sizes}

    def missing(self, place: Place, tag: str) -> dict[str, str]:
        """What a pull has to ask for: neither what is whole, nor what there is a part of."""
        layout = place.paths.oci
        expected = {}
        for blob in self.blobs[tag]:
            hex = digest(blob)[7:]
            if os.path.exists(f"{layout}/blobs/sha256/{hex}"):
                continue
            part = partial.path(layout, hex)
            size = os.path.getsize(part) if os.path.exists(part) else 0
            if size < self.sizes[hex]:
                expected[hex] = f"bytes={size}-" if size else ""
        return expected


@pytest.fixture
def published(publisher: Publisher, faulty: Proxy) -> Published:
    """Two images; ask for them by the proxy, which counts, or directly."""
    return Published(publisher, faulty)


def owed(place: Place) -> list[str]:
    """Slips, leases and parts of blobs: nothing, when all has ended."""
    pledges = Path(place.paths.oci, pending.DIRECTORY)
    return [*partial.paths(place.paths.oci), *(str(path) for path in pledges.glob("*"))]


def cut(place: Place, published: Published, tag: str) -> None:
    """A pull that the network cuts for ever when the base has come, and 100,000 bytes of the other layer."""
    proxy, own = published.proxy, published.own[tag]

    def when_the_base_has_come(handler: Handler) -> bool:
        deadline = time.monotonic() + PATIENCE
        while not os.path.exists(f"{place.paths.layers}/{digest(published.tars[tag][0])[7:]}"):
            assert time.monotonic() < deadline, "the base does not come"
            time.sleep(0.01)
        return cuts(100_000)(handler)

    proxy.wrong("GET", own, when_the_base_has_come, times=1)
    proxy.wrong("GET", own, says(500))
    with pytest.raises(RegistryError):
        place.engine.pull(f"{published.name}:{tag}")
    proxy.faults.clear()
    proxy.seen.clear()


def runs(place: Place, name: str) -> None:
    """A container of an image that was pulled runs, and finds its files."""
    container, session = place.engine.run(ContainerRequest(name, command=("cat", "/data/seed")))
    assert session.wait() == 0
    session.close()
    place.engine.remove(container.id)
