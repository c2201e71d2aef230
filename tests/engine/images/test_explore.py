"""Looking into images: what the indexes tell is what the kernel shows, layer by layer."""

from __future__ import annotations

import io
import os
import stat
import struct
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyctr_engine.errors import Cancelled, Conflict, InvalidValue, NotFound, StoreError
from pyctr_engine.images import index
from pyctr_engine.images.commit import store_image
from pyctr_engine.images.explore import Explorer
from pyctr_engine.images.ingest import ingest
from pyctr_engine.images.layer_store import chain_ids
from pyctr_engine.images.store import Image, ImageStore
from pyctr_engine.linux import stack
from pyctr_engine.model.explore import FileState, State, StateEntry
from pyctr_engine.model.oci import History, ImageConfig
from pyctr_engine.model.progress import Progress
from tests.engine.images.tars import Entry, entry, tar
from tests.engine.images.view import look

pytestmark = pytest.mark.root

DIRECTORY, SYMLINK, LINK = tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE


def image(store: ImageStore, *layers: Sequence[Entry], name: str = "img") -> Image:
    """An image of these layers, lowest first."""
    descriptors, diff_ids = [], []
    with store.layout.adding():
        for entries in layers:
            made = ingest(store.layout, store.layers_on_disk, [tar(*entries)], tuple(diff_ids))
            descriptors.append(made.descriptor)
            diff_ids.append(made.layer.diff_id)
        history = tuple(History(created_by=f"step {number}") for number in range(len(layers)))
        config = ImageConfig(diff_ids=tuple(diff_ids), history=history)
        return store.open(store_image(store, config, tuple(descriptors), name))


THREE = (
    [
        entry("etc", DIRECTORY),
        entry("etc/motd", data=b"one\n"),
        entry("etc/gone", data=b"12345"),
        entry("opt", DIRECTORY),
        entry("opt/a", data=b"a" * 10),
        entry("opt/sub", DIRECTORY),
        entry("opt/sub/b", data=b"b" * 20),
        entry("srv", DIRECTORY),
        entry("srv/old", data=b"old"),
        entry("bin", SYMLINK, linkname="usr/bin"),
        entry("usr", DIRECTORY),
        entry("usr/bin", DIRECTORY),
        entry("usr/bin/sh", data=b"shell"),
        entry("usr/bin/bash", LINK, linkname="usr/bin/sh"),
    ],
    [
        entry("etc", DIRECTORY, mode=0o750),
        entry("etc/motd", data=b"two, longer\n", uid=7),
        entry("etc/.wh.gone"),
        entry("srv/.wh..wh..opq"),
        entry("srv/new", data=b"new"),
    ],
    [entry(".wh.opt"), entry("etc/motd", data=b"3\n"), entry("etc/gone", SYMLINK, linkname="/etc/motd")],
)


def told(explorer: Explorer, ref: str, number: int) -> list[tuple[str, str, int]]:
    return [(change.kind, change.path, change.replaces) for change in explorer.changes(ref, number)]


def test_what_each_layer_does(store: ImageStore) -> None:
    image(store, *THREE)
    explorer = Explorer(store)
    assert {kind for kind, _, _ in told(explorer, "img", 1)} == {"A"}
    assert told(explorer, "img", 2) == [
        ("C", "/etc", 1),
        ("D", "/etc/gone", 1),
        ("C", "/etc/motd", 1),
        ("C", "/srv", 1),
        ("A", "/srv/new", 0),
        ("D", "/srv/old", 1),
    ]
    assert told(explorer, "img", 3) == [("A", "/etc/gone", 0), ("C", "/etc/motd", 2), ("D", "/opt", 1)]
    assert [change.path for change in explorer.changes("img", 2, "/srv")] == ["/srv", "/srv/new", "/srv/old"]
    with pytest.raises(InvalidValue, match="no layer 4"):
        explorer.changes("img", 4)


def test_every_version_of_a_path(store: ImageStore) -> None:
    image(store, *THREE)
    explorer = Explorer(store)
    found = explorer.versions("img", "/etc/motd")
    assert [(v.layer, v.kind, v.state.size, v.state.uid) for v in found] == [
        (1, "A", 4, 0), (2, "C", 12, 7), (3, "C", 2, 0)
    ]  # fmt: skip
    assert [(v.layer, v.kind, v.state.type) for v in explorer.versions("img", "etc/gone")] == [
        (1, "A", "file"), (2, "D", "file"), (3, "A", "symlink")
    ]  # fmt: skip
    assert [(v.layer, v.kind) for v in explorer.versions("img", "/opt/sub/b")] == [(1, "A"), (3, "D")]
    assert [v.layer for v in explorer.versions("img@2", "/etc/motd")] == [1, 2]
    with pytest.raises(NotFound):
        explorer.versions("img", "/never")


def test_the_state_after_any_layer(store: ImageStore) -> None:
    image(store, *THREE)
    explorer = Explorer(store)
    second = {found.path: found for found in explorer.tree("img@2")}
    assert second["/opt/sub/b"].layer == 1
    assert second["/etc/motd"].state.size == 12
    assert "/srv/old" not in second
    assert second["/usr/bin/sh"].state.target == "/usr/bin/bash"
    assert [found.path for found in explorer.tree("img", "/etc")] == ["/etc", "/etc/gone", "/etc/motd"]
    last = {found.path for found in explorer.tree("img")}
    assert not any(path.startswith("/opt") for path in last)
    assert b"".join(explorer.read("img", "/etc/gone")) == b"3\n"
    assert b"".join(explorer.read("img@1", "/bin/../bin/sh")) == b"shell"
    for ref, path in (("img@2", "/etc/gone"), ("img@1", "/usr/bin/sh/x"), ("img@3", "/opt/a")):
        with pytest.raises(NotFound):
            b"".join(explorer.read(ref, path))
    with pytest.raises(InvalidValue):
        b"".join(explorer.read("img", "/etc"))
    for ref in ("img@0", "img@4"):
        with pytest.raises(InvalidValue, match="no layer"):
            store.resolve(ref)


def test_efficiency_as_dive_counts_it(store: ImageStore) -> None:
    """Counted by hand. Versions: motd 4+12+2, gone 5+0+0, opt/a 10, opt/sub/b 20, /opt (deleted) 30, srv/old 3,
    srv/new 3, bin, bash 5, sh 0 (a link); the smallest of each: 2, 0, 10, 20, 30, 3, 3, 0, 5, 0."""
    image(store, *THREE)
    found = Explorer(store).efficiency("img")
    assert found.score == pytest.approx(73 / 94)
    assert [(waste.path, waste.count, waste.bytes) for waste in found.paths] == [
        ("/etc/motd", 3, 18),
        ("/etc/gone", 3, 5),
    ]
    assert found.wasted == 23
    assert found.share == pytest.approx(23 / (15 + 2))


def test_layers_tell_who_shares_them(store: ImageStore) -> None:
    image(store, *THREE)
    image(store, *THREE[:2], name="other:1")
    lines = store.layers("img")
    assert [(line.number, line.shared_with, line.created_by) for line in lines] == [
        (1, ("other:1",), "step 0"), (2, ("other:1",), "step 1"), (3, (), "step 2")
    ]  # fmt: skip
    assert lines[1].files == 5
    assert [line.number for line in store.layers("img@2")] == [1, 2]


def test_files_are_taken_out_as_they_are(store: ImageStore, tmp_path: Path) -> None:
    image(store, *THREE)
    explorer = Explorer(store)
    assert explorer.extract("img@1", "/opt", str(tmp_path)) == f"{tmp_path}/opt"
    assert (tmp_path / "opt" / "sub" / "b").read_bytes() == b"b" * 20
    explorer.extract("img@2", "/etc/motd", str(tmp_path / "motd"))
    assert ((tmp_path / "motd").read_text(), (tmp_path / "motd").stat().st_uid) == ("two, longer\n", 7)
    explorer.extract("img", "/etc/gone", str(tmp_path / "link"))
    assert os.readlink(tmp_path / "link") == "/etc/motd"
    with pytest.raises(Conflict):
        explorer.extract("img", "/etc", str(tmp_path / "motd"))
    with pytest.raises(NotFound):
        explorer.extract("img", "/opt", str(tmp_path / "none"))
    assert sorted(os.listdir(tmp_path)) == ["link", "motd", "opt", "state"]
    with tarfile.open(fileobj=io.BytesIO(b"".join(explorer.tar("img@1", "/opt")))) as archive:
        assert archive.getnames() == [".", "a", "sub", "sub/b"]


def test_taking_out_is_told_and_can_be_ended(store: ImageStore, tmp_path: Path) -> None:
    image(store, *THREE)
    told: list[Progress] = []
    Explorer(store).extract("img@1", "/opt", str(tmp_path / "all"), told.append)
    assert [one.subject for one in told] == ["/opt"] * len(told)
    assert [one.done for one in told] == sorted({one.done for one in told})
    assert told[-1].done > 20

    def end(step: Progress) -> None:
        raise Cancelled("cancelled")

    with pytest.raises(Cancelled):
        Explorer(store).extract("img@1", "/opt", str(tmp_path / "part"), end)
    assert sorted(os.listdir(tmp_path)) == ["all", "state"]


def test_nothing_is_reached_outside(store: ImageStore, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    image(
        store,
        [
            entry("absolute", SYMLINK, linkname=f"{tmp_path}/secret"),
            entry("up", SYMLINK, linkname="../" * 30 + f"{tmp_path}/secret"),
            entry("directory", SYMLINK, linkname=str(tmp_path)),
            entry("loop", SYMLINK, linkname="loop"),
        ],
    )
    explorer = Explorer(store)
    for path in ("/absolute", "/up", "/directory/secret", "/../../.." + str(tmp_path) + "/secret"):
        with pytest.raises(NotFound):
            b"".join(explorer.read("img", path))
    with pytest.raises(InvalidValue, match="symlinks"):
        b"".join(explorer.read("img", "/loop"))


def test_names_in_any_bytes(store: ImageStore) -> None:
    names = ["new\nline", "esc\x1b[2J", "raw\udcff", "x" * 200, "dir.x", "dir", "dir/x", "dir-x"]
    image(store, [entry(name, DIRECTORY if name == "dir" else tarfile.REGTYPE) for name in names])
    explorer = Explorer(store)
    assert {found.path for found in explorer.tree("img")} == {f"/{name}" for name in names}
    assert [found.path for found in explorer.tree("img", "/dir")] == ["/dir", "/dir/x"]
    assert explorer.versions("img", "/raw\udcff")[0].path == "/raw\udcff"


def test_an_index_is_made_when_it_is_missing_and_refused_when_damaged(store: ImageStore) -> None:
    image(store, *THREE)
    explorer = Explorer(store)
    whole = list(explorer.tree("img"))
    places = [Path(store.layers_on_disk.directory, chain, index.NAME) for chain in store.layers_on_disk.chains()]
    for place in places:
        place.unlink()
    assert list(explorer.tree("img")) == whole
    assert all(place.exists() for place in places)
    places[0].write_bytes(places[0].read_bytes()[:-3] + struct.pack("<I", 1))
    places[1].write_bytes(b"nonsense")
    with pytest.raises(StoreError):
        list(explorer.tree("img"))


def every(state: State, entry: StateEntry) -> Iterator[StateEntry]:
    for found in state.inside(entry):
        yield found
        yield from every(state, found)


def test_a_state_is_read_directory_by_directory(store: ImageStore) -> None:
    made = image(store, *THREE)
    explorer = Explorer(store)
    state = explorer.state("img@2")
    root = {found.path: found for found in state.inside(state.root)}
    assert (state.root.changes, state.root.changed) == (6, 15)
    srv = root["/srv"]
    assert (srv.layer, srv.kind, srv.size, srv.paths, srv.changed, srv.changes) == (2, "C", 3, 2, 3, 2)
    assert [(found.path, found.kind, found.layer, found.size) for found in state.inside(srv)] == [
        ("/srv/new", "A", 2, 3), ("/srv/old", "D", 2, 3)
    ]  # fmt: skip
    assert (root["/opt"].kind, root["/opt"].size, root["/opt"].paths, root["/opt"].changes) == (None, 30, 3, 0)
    assert root["/usr"].state.mode == 0o755
    plain = explorer.state("img@2", marked=False)
    assert (plain.root.changes, plain.root.size) == (0, state.root.size)
    assert not any(found.kind for found in every(plain, plain.root))
    last = explorer.state("img")
    gone = next(found for found in last.inside(last.root) if found.path == "/opt")
    assert (gone.kind, gone.size, last.inside(gone)) == ("D", 30, ())
    assert explorer.state(made.id) is last
    store.remove("img")
    assert [found.path for found in state.inside(root["/opt"])] == ["/opt/a", "/opt/sub"]


NAMES = st.sampled_from(["a", "b", "a/x", "a/y", "b/x", "a/x/deep", "a.b"])
ONE = st.one_of(
    st.builds(lambda name, data: entry(name, data=data), NAMES, st.binary(max_size=3)),
    st.builds(lambda name, mode: entry(name, DIRECTORY, mode=mode), NAMES, st.sampled_from([0o700, 0o755])),
    st.builds(lambda name: entry(name, SYMLINK, linkname="a"), NAMES),
    st.builds(lambda name: entry("/".join([*name.split("/")[:-1], ".wh." + name.split("/")[-1]])), NAMES),
    st.builds(lambda name: entry(f"{name}/.wh..wh..opq"), st.sampled_from(["a", "b", "a/x"])),
)


def honest(entries: list[Entry]) -> list[Entry]:
    """Without entries below what is no directory in the same layer, which unpacking refuses."""
    kinds: dict[str, bool] = {}
    kept: dict[str, Entry] = {}
    for member, data in entries:
        parts = member.name.split("/")
        above = ["/".join(parts[:count]) for count in range(1, len(parts))]
        if any(kinds.get(path) is False for path in above) or member.name in kept:
            continue
        if not member.isdir() and ".wh." not in member.name and kinds.get(member.name):
            continue
        for path in above:
            kinds[path] = True
        if ".wh." not in parts[-1]:
            kinds[member.name] = member.isdir()
        kept[member.name] = (member, data)
    return list(kept.values())


def effective(layers: list[list[Entry]]) -> list[list[Entry]]:
    """Without whiteouts in directories that have nothing below them: overlayfs lists those as files."""
    seen: dict[str, bool] = {}
    kept = []
    for entries in layers:
        names = {member.name.removesuffix("/.wh..wh..opq") for member, _ in entries if member.name.endswith("opq")}
        deleted = {member.name.replace(".wh.", "") for member, _ in entries if ".wh." in member.name} | names
        layer = []
        for member, data in entries:
            *above, name = member.name.split("/")
            parents = ["/".join(above[:count]) for count in range(1, len(above) + 1)]
            merged = all(seen.get(parent) and parent not in deleted for parent in parents)
            if name.startswith(".wh.") and not name.endswith("opq") and not merged:
                continue
            layer.append((member, data))
        for path in [path for path in seen if any(path == gone or path.startswith(f"{gone}/") for gone in deleted)]:
            del seen[path]
        for member, _ in layer:
            if ".wh." in member.name:
                continue
            for path in [path for path in seen if path.startswith(f"{member.name}/") and not member.isdir()]:
                del seen[path]
            seen[member.name] = member.isdir()
            seen.update(
                {"/".join(member.name.split("/")[:count]): True for count in range(1, member.name.count("/") + 1)}
            )
        kept.append(layer)
    return kept


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.lists(ONE, max_size=8).map(honest), min_size=1, max_size=4).map(effective))
def test_any_layers_are_told_as_the_kernel_shows_them(store: ImageStore, layers: list[list[Entry]]) -> None:
    made = image(store, *layers)
    explorer = Explorer(store)
    states = []
    for number in range(1, len(layers) + 1):
        ref = f"{made.id}@{number}"
        chain = store.resolve(ref).chain
        with tempfile.TemporaryDirectory(dir=store.layers_on_disk.directory) as empty:
            seen = look([*(f"{store.layers_on_disk.directory}/{link}" for link in chain), empty])
        state = {found.path: found.state for found in explorer.tree(ref)}
        kinds = {"file": "-", "directory": "d", "symlink": "l"}
        assert {path[1:]: kinds[found.type] + stat.filemode(found.mode)[1:] for path, found in state.items()} == {
            path: shown[0] for path, shown in seen.items() if path != "."
        }
        states.append(state)
    for number, (before, after) in enumerate(zip([{}, *states], states, strict=False), 1):
        changed = {change.path: change.kind for change in explorer.changes(made.id, number)}
        assert {path for path, kind in changed.items() if kind == "A"} == after.keys() - before.keys()
        gone = before.keys() - after.keys()
        assert {path for path, kind in changed.items() if kind == "D"} == {
            path for path in gone if not any(path.startswith(f"{other}/") for other in gone)
        }
        if number > 1:
            lowers = [
                [f"{store.layers_on_disk.directory}/{link}" for link in store.resolve(f"{made.id}@{at}").chain]
                for at in (number - 1, number)
            ]
            with stack.View(lowers[0]) as one, stack.View(lowers[1]) as other:
                pairs = {os.fsdecode(b"/" + pair.path): pair for pair in stack.compare(one, other)}
            assert {path for path, pair in pairs.items() if pair.before is None} == after.keys() - before.keys()
            assert {path for path, pair in pairs.items() if pair.after is None} == gone
            for path in before.keys() & after.keys():
                old, new = before[path], after[path]
                same = (old.type, old.mode, old.size, old.target) == (new.type, new.mode, new.size, new.target)
                assert same or path in pairs


def dive_counts(layers: list[list[index.Entry]], states: list[dict[str, FileState]]) -> dict[str, list[int]]:
    """The sizes of all that layers hold of each path, as `efficiency` says, path by path without any shortcut."""
    sizes: dict[str, list[int]] = {}
    for number, entries in enumerate(layers, 1):
        for held in entries:
            path, size = f"/{os.fsdecode(held.path)}", held.size
            if held.kind == index.WHITEOUT:
                before = states[number - 1]
                if path in before and before[path].type == "directory":
                    size = sum(state.size for name, state in before.items() if name.startswith(f"{path}/"))
            if held.kind != index.DIRECTORY:
                sizes.setdefault(path, []).append(size)
    return sizes


def walked(layer: index.Index, directory: bytes = b"") -> Iterator[index.Entry]:
    for held in layer.inside(directory):
        yield held
        if held.kind == index.DIRECTORY:
            yield from walked(layer, held.path)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.lists(ONE, max_size=8).map(honest), min_size=1, max_size=4).map(effective))
def test_what_directories_come_to_is_what_is_in_them(store: ImageStore, layers: list[list[Entry]]) -> None:
    made = image(store, *layers)
    explorer = Explorer(store)
    states: list[dict[str, FileState]] = [{}]
    for number in range(1, len(layers) + 1):
        ref = f"{made.id}@{number}"
        flat = {found.path: found for found in explorer.tree(ref)}
        changes = {change.path: change for change in explorer.changes(ref, number)}
        states.append({path: found.state for path, found in flat.items()})
        state = explorer.state(ref)
        told = {found.path: found for found in [state.root, *every(state, state.root)]}
        assert set(told) == {"/", *flat, *changes}
        for path, one in told.items():
            inside = f"{path.rstrip('/')}/"
            below = [found for name, found in flat.items() if name.startswith(inside)]
            changed = [change for name, change in changes.items() if name.startswith(inside)]
            own = changes.get(path)
            assert one.kind == (own.kind if own else None)
            if one.kind == "D":
                assert one.size == sum(f.size for n, f in states[-2].items() if n == path or n.startswith(inside))
                continue
            gone = sum(change.kind == "D" for change in changed)
            assert (one.paths, one.changes) == (len(below) + gone, len(changed))
            assert one.size == one.state.size + sum(found.state.size for found in below)
            marked = [change.state.size for change in [*changed, *([own] if own else [])] if change.kind != "D"]
            assert one.changed == sum(marked)
    indexes = [index.Index(f"{store.layers_on_disk.directory}/{chain}") for chain in chain_ids(made.config.diff_ids)]
    sizes = dive_counts([list(walked(one)) for one in indexes], states)
    found = explorer.efficiency(made.id)
    everything = sum(map(sum, sizes.values()))
    assert found.score == (sum(map(min, sizes.values())) / everything if everything else 1.0)
    assert {waste.path: (waste.count, waste.bytes) for waste in found.paths} == {
        path: (len(all_), sum(all_)) for path, all_ in sizes.items() if len(all_) > 1
    }
