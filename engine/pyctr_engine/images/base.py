"""The built-in image ``pyctr/base``: a small system made of the host's own files, offline.

A shell, the core utilities and Python, the libraries that these need (found by reading them), and an /etc of our
own. The same host gives the same digest: entries are sorted, times are zero, owners are root.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator

from pyctr_engine.errors import NotFound
from pyctr_engine.images.base_files import Tree, collect
from pyctr_engine.images.commit import store_image
from pyctr_engine.images.ingest import gathered, ingest
from pyctr_engine.images.platform import architecture
from pyctr_engine.images.store import BASE, ImageStore, Stored
from pyctr_engine.images.tar_writer import END, header, padding
from pyctr_engine.model.oci import History, ImageConfig

EPOCH = "1970-01-01T00:00:00Z"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def ensure(store: ImageStore) -> Stored:
    """The image, made now if it isn't there; of several processes at once one makes it."""
    try:
        return store.find(BASE)
    except NotFound:
        pass
    store.layout.ensure()
    fd = os.open(f"{store.layout.directory}/.base", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        try:
            return store.find(BASE)
        except NotFound:
            return build(store)
    finally:
        os.close(fd)


def build(store: ImageStore) -> Stored:
    """Make the image of what the host has now."""
    with store.layout.adding():
        done = ingest(store.layout, store.layers_on_disk, gathered(tar_of(collect())), ())
        return store_image(store, configuration(done.layer.diff_id), (done.descriptor,), BASE)


def configuration(diff_id: str) -> ImageConfig:
    """How to run it."""
    return ImageConfig(
        architecture=architecture(),
        created=EPOCH,
        env=(f"PATH={PATH}", "LANG=C.UTF-8"),
        cmd=("/bin/sh",),
        diff_ids=(diff_id,),
        history=(History(EPOCH, "pyctr-tui: made of the host's own files"),),
    )


def tar_of(tree: Tree) -> Iterator[bytes]:
    """The tree as a tar, always the same for the same tree."""
    for path, entry in sorted(tree.items()):
        if entry.source:
            with open(entry.source, "rb") as file:
                data = file.read()
        else:
            data = entry.data
        yield header(
            path.encode("utf-8", "surrogateescape"),
            kind=entry.kind,
            mode=entry.mode,
            size=len(data),
            target=entry.target.encode("utf-8", "surrogateescape"),
            xattrs=entry.xattrs,
        )
        yield data + padding(len(data))
    yield END
