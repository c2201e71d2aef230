"""Unpacked layers, as overlayfs stacks them: ``layers/<chain id hex>/{fs,layer.json}`` and short links ``l/<short>``.

A layer's directory is complete or absent: it is unpacked under a dotted name and renamed when all is on disk.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import json
import os
from collections.abc import Iterator, Sequence

from pyctr_engine.errors import StoreError
from pyctr_engine.images.layout import ASIDE, write_file
from pyctr_engine.linux.tree import remove_tree, spread_directories, sync_directory
from pyctr_engine.record import dataclass

_SHORT = 6
"""Characters of a short link, unless taken: mount(2) takes a page of options, so each byte counts."""


@dataclass(frozen=True, slots=True)
class Layer:
    """An unpacked layer.

    Attributes:
        chain: The chain id, hex: the layer with all below it (image-spec, config.md).
        diff_id: ``sha256:…`` of the uncompressed tar.
        link: Its short link, relative to the layers directory: ``l/AB12CD``.
        size: Bytes of its files.
        entries: How many files, directories and so on.
        ids: Runs ``(first, count)`` of user and group ids from 65,536 on.
        opaque: Whether its root hides all layers below.
    """

    chain: str
    diff_id: str
    link: str
    size: int
    entries: int
    ids: tuple[tuple[int, int], ...] = ()
    opaque: bool = False


def chain_ids(diff_ids: Sequence[str]) -> list[str]:
    """The chain id (hex) of each layer, lowest first. Source: image-spec, config.md, Layer ChainID."""
    import hashlib

    chains: list[str] = []
    for diff_id in diff_ids:
        chains.append(
            hashlib.sha256(f"sha256:{chains[-1]} {diff_id}".encode()).hexdigest()
            if chains
            else diff_id.removeprefix("sha256:")
        )
    return chains


def link_name(chain: str) -> str:
    """What short links to a layer are the beginning of."""
    return base64.b32encode(bytes.fromhex(chain)).decode().rstrip("=")


class LayerStore:
    """The layers directory."""

    def __init__(self, directory: str) -> None:
        self.directory = directory

    def read(self, chain: str) -> Layer | None:
        """A layer's record; ``None`` when it isn't unpacked."""
        try:
            with open(f"{self.directory}/{chain}/layer.json", "rb") as file:
                data = json.loads(file.read())
            ids = tuple((int(first), int(count)) for first, count in data["ids"])
            return Layer(chain, data["diff_id"], data["link"], data["size"], data["entries"], ids, data["opaque"])
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(
                f"layer {chain[:12]} has a damaged layer.json: {error}",
                "`pyctr-tui system check` examines the store",
            ) from error

    def chain_of(self, link: str) -> str:
        """The chain id (hex) of the layer that a short link leads to; empty when there is no such link."""
        try:
            return os.readlink(f"{self.directory}/{link}").removeprefix("../").removesuffix("/fs")
        except OSError:
            return ""

    def fs(self, chain: str) -> str:
        """The layer's files."""
        return f"{self.directory}/{chain}/fs"

    @contextlib.contextmanager
    def staged(self) -> Iterator[str]:
        """A directory aside with an empty ``fs`` in it; removed at the end unless it was published."""
        os.makedirs(f"{self.directory}/l", mode=0o700, exist_ok=True)
        spread_directories(self.directory)
        aside = f"{self.directory}/{ASIDE}{os.urandom(8).hex()}"
        os.mkdir(aside, 0o700)
        try:
            os.mkdir(f"{aside}/fs", 0o755)
            os.chmod(f"{aside}/fs", 0o755)  # noqa: S103  an image's root, whatever the umask
            yield aside
        finally:
            remove_tree(aside)

    def publish(self, aside: str, layer: Layer) -> Layer:
        """Give a staged layer its place and its link. If another process was first, its layer stays."""
        link = self._link(layer.chain)
        record = {
            "diff_id": layer.diff_id,
            "link": link,
            "size": layer.size,
            "entries": layer.entries,
            "ids": layer.ids,
            "opaque": layer.opaque,
        }
        write_file(f"{aside}/layer.json", json.dumps(record).encode())
        try:
            os.rename(aside, f"{self.directory}/{layer.chain}")
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
        sync_directory(self.directory)
        return self.read(layer.chain) or layer

    def _link(self, chain: str) -> str:
        """A short link to the layer: as few characters of its chain id as nobody else has."""
        target = f"../{chain}/fs"
        name = link_name(chain)
        for length in range(_SHORT, len(name) + 1):
            link = f"l/{name[:length]}"
            try:
                os.symlink(target, f"{self.directory}/{link}")
            except FileExistsError:
                if os.readlink(f"{self.directory}/{link}") != target:
                    continue
            return link
        raise StoreError(f"no link left for layer {chain}")

    def chains(self) -> list[str]:
        """All layers that are there, sorted."""
        try:
            return sorted(name for name in os.listdir(self.directory) if name != "l" and not name.startswith("."))
        except FileNotFoundError:
            return []

    def leftovers(self) -> list[str]:
        """Directories left aside by a crash. Only right while nobody is adding."""
        try:
            return sorted(name for name in os.listdir(self.directory) if name.startswith(ASIDE))
        except FileNotFoundError:
            return []

    def remove(self, name: str) -> None:
        """Remove a layer (or a leftover): out of sight at once, then from disk."""
        aside = f"{self.directory}/{ASIDE}{os.urandom(8).hex()}"
        layer = self.read(name) if not name.startswith(ASIDE) else None
        if layer is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{self.directory}/{layer.link}")
        with contextlib.suppress(FileNotFoundError):
            os.rename(f"{self.directory}/{name}", aside)
            remove_tree(aside)

    def dangling_links(self) -> list[str]:
        """Paths of short links whose layer is gone. Only right while nobody is adding."""
        try:
            paths = [f"{self.directory}/l/{name}" for name in os.listdir(f"{self.directory}/l")]
        except FileNotFoundError:
            return []
        return sorted(path for path in paths if not os.path.exists(path))

    def remove_dangling_links(self) -> None:
        """Remove them."""
        for path in self.dangling_links():
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
