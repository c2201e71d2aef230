"""Any layers, stacked, show what the specification says; any tree becomes any other by a layer."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pyctr_engine.images.ingest import ingest
from pyctr_engine.images.store import ImageStore
from pyctr_engine.model.spec import CommitRequest
from pyctr_engine.snapshots.overlay import Snapshot
from tests.engine.images import model
from tests.engine.images.tars import write
from tests.engine.images.view import look

pytestmark = pytest.mark.root

few = settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # to shrink one takes minutes
    report_multiple_bugs=False,
)


@few
@given(st.lists(model.layers, min_size=1, max_size=4))
def test_stacked_layers_show_what_they_mean(store: ImageStore, layers: list[model.Layer]) -> None:
    diff_ids: tuple[str, ...] = ()
    expected: model.Tree = {}
    seen: list[str] = []
    with store.layout.adding():
        for layer in layers:
            done = ingest(store.layout, store.layers_on_disk, [model.tar(layer)], diff_ids)
            diff_ids = (*diff_ids, done.layer.diff_id)
            seen = [store.layers_on_disk.fs(done.layer.chain), *([] if done.layer.opaque else seen)]
            expected = model.apply(expected, layer)
    with tempfile.TemporaryDirectory() as stub:  # as a container has it; one layer alone is no overlay
        shown = look([*seen, stub])
    assert model.comparable(shown) == model.view(expected)


MAKE = """
import shutil
def remove(path):
    if os.path.isdir(path) and not os.path.islink(path): shutil.rmtree(path)
    else: os.unlink(path)
for path in GONE:
    if os.path.lexists(path): remove(path)
for path, kind, mode, uid, gid, mtime, data, xattrs, first in MADE:
    if kind == "directory":
        if not os.path.isdir(path): os.mkdir(path)
        for name in os.listxattr(path): os.removexattr(path, name)
    elif first != path: os.link(first, path); continue
    elif kind == "symlink": os.symlink(data, path)
    elif kind == "fifo": os.mkfifo(path)
    else:
        with open(path, "wb") as file: file.write(data)
    os.chown(path, uid, gid, follow_symlinks=False)
    if kind != "symlink": os.chmod(path, mode)
    for name, value in xattrs: os.setxattr(path, name, value)
    os.utime(path, ns=(mtime, mtime), follow_symlinks=False)
"""


def acts(before: model.Tree, after: model.Tree) -> str:
    """Python that makes one tree of the other, in place: what is the same is left alone."""
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    changed |= {path for path in before.keys() & after.keys() if after[path].group or before[path].group}
    gone = [
        path
        for path in sorted(before, reverse=True)
        if path in changed and not (path in after and after[path].kind == before[path].kind == "directory")
    ]
    groups: dict[int, str] = {}
    made = []
    for path in sorted(changed & after.keys()):
        node = after[path]
        first = groups.setdefault(node.group, path) if node.group else path
        row = (path, node.kind, node.mode, node.uid, node.gid, node.mtime, node.data, node.xattrs, first)
        made.append(row)
    return f"GONE = {gone!r}\nMADE = {made!r}\n{MAKE}"


@few
@given(model.trees, model.trees)
def test_any_tree_becomes_any_other(store: ImageStore, before: model.Tree, after: model.Tree) -> None:
    with tempfile.TemporaryDirectory() as directory:
        archive = write(Path(directory, "before.tar"), model.tar(model.Layer(before, (), (), 0)))
        base = store.import_tar(archive, "")
        lowers = [f"{store.layers_on_disk.directory}/{link}" for link in base.chain]
        snapshot = Snapshot(f"{directory}/snapshot")
        snapshot.prepare(lowers)
        live = look(lowers, snapshot.upper, snapshot.work, acts(before, after))
        assert model.comparable(live) == model.view(after)
        image = store.commit(base, snapshot.upper, base.config, CommitRequest(), "")
        shown = look([f"{store.layers_on_disk.directory}/{link}" for link in image.chain])
        assert model.comparable(shown) == model.view(after)
        assert shown["."] == live["."]
