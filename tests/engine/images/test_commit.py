"""Commit: the new image, mounted alone, is what the container saw; its layer holds nothing else."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyctr_engine.errors import InvalidValue, NotFound
from pyctr_engine.images import garbage, layers
from pyctr_engine.images.store import Image, ImageStore
from pyctr_engine.model.oci import ImageConfig
from pyctr_engine.model.progress import Progress
from pyctr_engine.model.spec import CommitRequest
from pyctr_engine.snapshots.overlay import Snapshot
from tests.engine.images.tars import entry, tar, write
from tests.engine.images.view import Tree, look

pytestmark = pytest.mark.root

DIRECTORY, SYMLINK, LINK = tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE

ROOTFS = [
    entry("./", DIRECTORY, mode=0o755),
    entry("etc", DIRECTORY, mode=0o750, gid=8),
    entry("etc/kept", data=b"kept"),
    entry("etc/edited", data=b"before"),
    entry("etc/gone", data=b"gone"),
    entry("srv", DIRECTORY),
    entry("srv/replaced", DIRECTORY),
    entry("srv/replaced/old", data=b"old"),
    entry("srv/replaced/both", data=b"both"),
    entry("srv/replaced/sub", DIRECTORY),
    entry("srv/replaced/sub/deep", data=b"deep"),
    entry("srv/removed", DIRECTORY),
    entry("srv/removed/x", data=b"x"),
    entry("one", data=b"two names"),
    entry("two", LINK, linkname="one"),
    entry("link", SYMLINK, linkname="etc/kept"),
    entry("becomes-file", DIRECTORY),
    entry("becomes-file/x", data=b"x"),
    entry("becomes-directory", data=b"file"),
    entry("untouched", DIRECTORY),
    entry("untouched/x", data=b"x"),
]

ACTS = r"""
import shutil, socket
def write(path, text):
    with open(path, "w") as file: file.write(text)
write("etc/edited", "after"); os.chown("etc/edited", 70000, 70001)
os.unlink("etc/gone")
shutil.rmtree("srv/replaced"); os.mkdir("srv/replaced", 0o711)
write("srv/replaced/both", "both"); os.mkdir("srv/replaced/sub"); write("srv/replaced/new", "new")
shutil.rmtree("srv/removed")
write("a", "hard"); os.chmod("a", 0o6755); os.link("a", "b"); os.setxattr("a", "user.x", b"\x00\xff")
os.setxattr("a", "user.overlay.mine", b"z")
os.setxattr("a", "security.capability", bytes.fromhex("0100000200200000000000000000000000000000"))
os.unlink("link"); os.symlink(b"\xff/nowhere", "link")
shutil.rmtree("becomes-file"); write("becomes-file", "f")
os.unlink("becomes-directory"); os.mkdir("becomes-directory"); write("becomes-directory/x", "x")
os.mkfifo("fifo"); os.utime("fifo", ns=(1, 1234567890123456789))
os.mkdir("new"); os.mkdir("new/empty", 0o700)
write(b"raw-\xff", "raw"); write("x" * 200, "long name")
os.mkdir("passage-was-touched"); os.rmdir("passage-was-touched")
s = socket.socket(socket.AF_UNIX); s.bind("socket"); s.close()
with open("etc/kept", "r+"): pass
"""


@pytest.fixture
def base(store: ImageStore, tmp_path: Path) -> Image:
    return store.import_tar(write(tmp_path / "rootfs.tar", tar(*ROOTFS)), "base", ["CMD old", "ENV A=1"])


def lowers(store: ImageStore, image: Image) -> list[str]:
    return [f"{store.layers_on_disk.directory}/{link}" for link in image.chain]


def prepared(store: ImageStore, image: Image, tmp_path: Path, name: str = "snapshot") -> Snapshot:
    snapshot = Snapshot(str(tmp_path / name))
    snapshot.prepare(lowers(store, image))
    return snapshot


def commit(
    store: ImageStore,
    base: Image,
    snapshot: Snapshot,
    config: ImageConfig,
    request: CommitRequest,
    created_by: str,
    progress: Callable[[Progress], None] | None = None,
) -> Image:
    """Committed, and unpacked."""
    return store.commit(base, snapshot.uppers, config, request, created_by, progress)


def act(store: ImageStore, image: Image, snapshot: Snapshot, acts: str) -> Tree:
    return look(lowers(store, image), snapshot.upper, snapshot.work, acts)


def without_overlay_traces(tree: Tree) -> Tree:
    """A container's own ``user.overlay.*`` attributes and sockets are the two things that a layer leaves out."""
    tree = {path: told for path, told in tree.items() if not told[0].startswith("s")}
    for told in tree.values():
        told[-1] = [pair for pair in told[-1] if not pair[0].startswith("user.overlay.")]
    return tree


def members(store: ImageStore, image: Image) -> list[str]:
    """The names in its topmost layer."""
    digest = store.layers(image.id)[-1].digest
    with tarfile.open(store.layout.path(digest), encoding="utf-8", errors="surrogateescape") as archive:
        return archive.getnames()


def test_the_image_is_what_the_container_saw(store: ImageStore, base: Image, tmp_path: Path) -> None:
    snapshot = prepared(store, base, tmp_path)
    view = act(store, base, snapshot, ACTS)
    assert view["socket"][0].startswith("s")
    image = commit(store, base, snapshot, base.config, CommitRequest(name="made:1"), "sh")
    assert look(lowers(store, image)) == without_overlay_traces(view)
    assert image.extra_ids == ((70000, 2),)


PATHS = st.sampled_from(["a", "b", "srv", "srv/a", "srv/replaced", "srv/replaced/old", "etc/kept", "etc/n"])
"""Not one of two hard-linked names: copying one of them up parts them in the view, and changes nothing else."""

ACT = st.one_of(
    st.builds("os.unlink({!r})".format, PATHS),
    st.builds("os.rmdir({!r})".format, PATHS),
    st.builds("shutil.rmtree({!r})".format, PATHS),
    st.builds("os.mkdir({!r})".format, PATHS),
    st.builds("write({!r}, {!r})".format, PATHS, st.sampled_from(["", "text"])),
    st.builds("os.link({!r}, {!r})".format, PATHS, PATHS),
    st.builds("os.symlink({!r}, {!r})".format, PATHS, PATHS),
    st.builds("shutil.move({!r}, {!r})".format, PATHS, PATHS),
    st.builds("os.chmod({!r}, {})".format, PATHS, st.sampled_from([0o600, 0o755, 0o4711])),
    st.builds("os.chown({!r}, {}, 0)".format, PATHS, st.sampled_from([0, 5, 100000])),
)
WRITE = "import shutil\ndef write(path, text):\n    with open(path, 'w') as file: file.write(text)\n"


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(ACT, min_size=1, max_size=25))
def test_whatever_it_did(store: ImageStore, base: Image, acts: list[str]) -> None:
    script = WRITE + "".join(f"try: {one}\nexcept (OSError, shutil.Error): pass\n" for one in acts)
    with tempfile.TemporaryDirectory() as directory:
        snapshot = prepared(store, base, Path(directory))
        view = act(store, base, snapshot, script)
        image = commit(store, base, snapshot, base.config, CommitRequest(), "")
        assert look(lowers(store, image)) == view


def test_the_layer_holds_the_changes_alone(store: ImageStore, base: Image, tmp_path: Path) -> None:
    snapshot = prepared(store, base, tmp_path)
    act(store, base, snapshot, ACTS)
    image = commit(store, base, snapshot, base.config, CommitRequest(name="made:1"), "sh")
    names = members(store, image)
    assert len(names) == len(set(names))
    assert "untouched" not in names
    assert "etc/kept" not in names
    assert "socket" not in names
    assert "passage-was-touched" not in names
    assert names.index("etc/.wh.gone") < names.index("etc/edited")
    assert "srv/replaced/.wh..wh..opq" in names
    assert not any(name.startswith("srv/replaced/.wh.") and not name.endswith("opq") for name in names)


def test_changes_tell_the_same_story(store: ImageStore, base: Image, tmp_path: Path) -> None:
    snapshot = prepared(store, base, tmp_path)
    act(store, base, snapshot, ACTS)
    changes = {change.path: change for change in snapshot.changes(lowers(store, base))}
    kinds = {path: change.kind for path, change in changes.items()}
    assert (
        kinds.items()
        >= {
            "/etc": "C",
            "/etc/edited": "C",
            "/etc/gone": "D",
            "/srv/replaced": "C",
            "/srv/replaced/old": "D",
            "/srv/replaced/sub/deep": "D",
            "/srv/replaced/both": "C",
            "/srv/replaced/new": "A",
            "/srv/removed": "D",
            "/becomes-file": "C",
            "/becomes-directory": "C",
            "/becomes-directory/x": "A",
            "/new/empty": "A",
            "/raw-\udcff": "A",
        }.items()
    )
    assert not kinds.keys() & {"/", "/untouched", "/etc/kept", "/socket", "/srv/removed/x", "/one"}
    assert changes["/a"].size + changes["/b"].size == len("hard")
    assert changes["/fifo"].file_type == "fifo"
    assert changes["/new/empty"].file_type == "directory"
    assert changes["/link"].file_type == "symlink"
    assert list(kinds) == sorted(kinds)


def test_a_container_that_did_nothing_adds_no_layer(store: ImageStore, base: Image, tmp_path: Path) -> None:
    snapshot = prepared(store, base, tmp_path)
    act(store, base, snapshot, 'with open("etc/kept", "r+"): pass\nos.mkdir("x"); os.rmdir("x")')
    assert snapshot.changes(lowers(store, base)) == []
    request = CommitRequest(name="same", message="why", author="me", changes=("ENV B=2", 'CMD ["new"]'))
    image = commit(store, base, snapshot, base.config, request, "sh -c x")
    assert image.chain == base.chain
    assert image.config.env == ("A=1", "B=2")
    assert image.config.cmd == ("new",)
    step = image.config.history[-1]
    assert (step.empty_layer, step.comment, step.author, step.created_by) == (True, "why", "me", "sh -c x")
    assert [line.empty for line in store.layers("same")] == [False, True]


def test_excluded_paths_stay_out_with_all_below(store: ImageStore, base: Image, tmp_path: Path) -> None:
    snapshot = prepared(store, base, tmp_path)
    act(store, base, snapshot, 'os.makedirs("etc/secret"); open("etc/secret/key", "w"); open("etc/secretary", "w")')
    image = commit(store, base, snapshot, base.config, CommitRequest(exclude=("/etc/secret",)), "")
    assert members(store, image) == [".", "etc", "etc/secretary"]
    everything = CommitRequest(exclude=("/etc/secret", "/etc/secretary"))
    assert commit(store, base, snapshot, base.config, everything, "").chain == base.chain
    assert image.names == ()


def test_the_name_moves_to_the_new_image(store: ImageStore, base: Image, tmp_path: Path) -> None:
    snapshot = prepared(store, base, tmp_path)
    act(store, base, snapshot, 'open("x", "w")')
    image = commit(store, base, snapshot, base.config, CommitRequest(name="base"), "")
    assert store.resolve("base").id == image.id
    assert store.resolve(base.id).names == ()


def test_an_image_of_an_image(store: ImageStore, base: Image, tmp_path: Path) -> None:
    """Whiteouts of layers between count: what the second deleted the third may make again."""
    image, view = base, {}
    for number, acts in enumerate(
        (ACTS, 'open("etc/gone", "w"); import shutil; shutil.rmtree("srv"); os.mkdir("srv")', 'open("srv/x", "w")')
    ):
        snapshot = prepared(store, image, tmp_path, str(number))
        view = act(store, image, snapshot, acts)
        image = commit(store, image, snapshot, image.config, CommitRequest(name="chain"), "")
    assert len(image.chain) == 4
    assert look(lowers(store, image)) == without_overlay_traces(view)
    third = {change.path: change.kind for change in Snapshot(str(tmp_path / "1")).changes(lowers(store, image)[2:])}
    assert third["/etc/gone"] == "A"


def test_a_name_that_means_a_deletion_is_refused(store: ImageStore, base: Image, tmp_path: Path) -> None:
    snapshot = prepared(store, base, tmp_path)
    act(store, base, snapshot, 'open("etc/.wh.kept", "w")')
    with pytest.raises(InvalidValue, match=r"/etc/\.wh\.kept"):
        commit(store, base, snapshot, base.config, CommitRequest(name="bad"), "")
    with pytest.raises(NotFound):
        store.find("bad")
    assert store.layers_on_disk.leftovers() == []


@pytest.mark.parametrize("request_", [CommitRequest(name="Not A Name"), CommitRequest(changes=("RUN x",))])
def test_nonsense_is_refused_before_any_work(
    store: ImageStore, base: Image, tmp_path: Path, request_: CommitRequest
) -> None:
    with pytest.raises(InvalidValue):
        store.commit(base, [str(tmp_path / "absent")], base.config, request_, "")


def test_a_symlink_put_in_a_directorys_place_leads_nowhere(store: ImageStore, base: Image, tmp_path: Path) -> None:
    """A container that runs on may swap what is being read; nothing of the host gets into its image."""
    from pyctr_engine.linux import overlay

    secret = tmp_path / "host"
    secret.mkdir()
    (secret / "secret").write_text("secret")
    snapshot = prepared(store, base, tmp_path)
    act(store, base, snapshot, 'os.makedirs("d/e"); open("d/e/x", "w").write("x")')
    trap = Path(snapshot.upper, "d")
    told: list[bytes] = []
    for difference in overlay.differences(snapshot.upper, lowers(store, base)):
        told.append(difference.path)
        if difference.path == b"d/e":
            os.rename(trap, f"{snapshot.upper}/aside")
            os.symlink(secret, trap)
    assert b"d/e/x" in told, "what is being read is read to its end"
    assert not any(b"secret" in path for path in told)
    names = members(store, commit(store, base, snapshot, base.config, CommitRequest(name="x"), ""))
    assert "d/secret" not in names


def test_progress_is_told(store: ImageStore, base: Image, tmp_path: Path) -> None:
    snapshot = prepared(store, base, tmp_path)
    act(store, base, snapshot, 'open("big", "wb").write(bytes(5 << 20))')
    steps: list[Progress] = []
    commit(store, base, snapshot, base.config, CommitRequest(name="big"), "", steps.append)
    assert steps[-1].finished
    assert max(step.done for step in steps) > 5 << 20


def test_the_same_changes_make_the_same_layer(store: ImageStore, base: Image, tmp_path: Path) -> None:
    snapshot = prepared(store, base, tmp_path)
    act(store, base, snapshot, ACTS)
    one = commit(store, base, snapshot, base.config, CommitRequest(), "")
    two = commit(store, base, snapshot, base.config, CommitRequest(), "")
    assert one.config.diff_ids == two.config.diff_ids


def test_a_snapshot_takes_its_root_from_the_image_and_goes_without_a_trace(store: ImageStore, tmp_path: Path) -> None:
    image = store.import_tar(write(tmp_path / "r.tar", tar(entry("./", DIRECTORY, mode=0o2711, uid=9, gid=10))), "r")
    snapshot = prepared(store, image, tmp_path)
    status = os.stat(snapshot.upper)
    assert (status.st_mode & 0o7777, status.st_uid, status.st_gid) == (0o2711, 9, 10)
    act(store, image, snapshot, 'open("x", "w").write("12345"); os.mkdir("d")')
    assert snapshot.size() == 5
    snapshot.remove()
    snapshot.remove()
    assert os.listdir(snapshot.directory) == []


def test_several_uppers_are_committed_as_one(store: ImageStore, base: Image, tmp_path: Path) -> None:
    """What was done in one upper directory and what was done in two on each other make the same layer."""
    later = """
import shutil
shutil.rmtree("srv"); os.mkdir("srv"); open("srv/both", "w").close(); os.unlink("a")
shutil.move("new/empty", "moved")
os.unlink("becomes-file"); os.mkdir("becomes-file"); open("etc/gone", "w").write("again"); os.chmod("new", 0o700)
os.mkdir("untouched/y"); os.rmdir("untouched/y"); os.unlink("etc/edited")
"""
    one = prepared(store, base, tmp_path, "one")
    act(store, base, one, ACTS + later)
    below, above = prepared(store, base, tmp_path, "below"), prepared(store, base, tmp_path, "above")
    act(store, base, below, ACTS)
    look([below.upper, *lowers(store, base)], above.upper, above.work, later)
    for snapshot in (one, below, above):
        for top, directories, files in os.walk(os.fsencode(snapshot.upper)):
            for name in [*directories, *files, b"."]:
                os.utime(os.path.join(top, name), (5, 5), follow_symlinks=False)
    apart = store.commit(base, [above.upper, below.upper], base.config, CommitRequest(), "")
    assert commit(store, base, one, base.config, CommitRequest(), "").config.diff_ids == apart.config.diff_ids
    assert list(layers.layer_tar(one.upper, lowers(store, base))) == list(
        layers.layer_tar([above.upper, below.upper], lowers(store, base))
    )


def test_squashed_it_is_one_layer_and_looks_the_same(store: ImageStore, base: Image, tmp_path: Path) -> None:
    snapshot = prepared(store, base, tmp_path)
    view = act(store, base, snapshot, ACTS)
    image = commit(store, base, snapshot, base.config, CommitRequest("flat:1", squash=True), "sh")
    assert len(image.config.diff_ids) == 1
    assert look(lowers(store, image)) == without_overlay_traces(view)
    assert [step.empty_layer for step in image.config.history] == [True, False]
    assert not any(".wh." in name for name in members(store, image))


@pytest.mark.parametrize(
    ("include", "exclude", "names"),
    [
        (("/srv/replaced",), (), [".", "srv", "srv/replaced", "srv/replaced/.wh..wh..opq", "srv/replaced/both"]),
        (("/srv/replaced/*old",), (), [".", "srv", "srv/replaced", "srv/replaced/.wh.old"]),
        (("*.log",), ("/var",), [".", "x.log"]),
        (("*.log",), (), [".", "var", "var/log", "var/log/a.log", "x.log"]),
        ((), ("*.log", "/srv"), [".", "var", "var/log", "var/log/b"]),
        (("/nothing",), (), []),
    ],
)
def test_only_what_is_chosen(
    store: ImageStore,
    base: Image,
    tmp_path: Path,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    names: list[str],
) -> None:
    snapshot = prepared(store, base, tmp_path)
    acts = """
import shutil
shutil.rmtree("srv/replaced"); os.mkdir("srv/replaced"); open("srv/replaced/both", "w").close()
os.makedirs("var/log")
for name in ("x.log", "var/log/a.log", "var/log/b"): open(name, "w").close()
"""
    act(store, base, snapshot, acts)
    image = commit(store, base, snapshot, base.config, CommitRequest(include=include, exclude=exclude), "")
    assert (members(store, image) if names else image.chain) == (names or base.chain)


def test_a_commit_killed_at_any_step_leaves_no_image(store: ImageStore, base: Image, tmp_path: Path) -> None:
    snapshot = prepared(store, base, tmp_path)
    act(store, base, snapshot, ACTS + '\nopen("big", "wb").write(os.urandom(9 << 20))')
    before = [stored.names for stored in store.all()]
    for number in range(200):
        pid = os.fork()
        if not pid:
            _die_at(number)
            with contextlib.suppress(BaseException):
                store.add_commit(base, snapshot.uppers, base.config, CommitRequest(name="killed:1"), "")
                os._exit(0)
            os._exit(1)
        ended = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if ended == 0:
            break
        assert ended == -signal.SIGKILL
        if [stored.names for stored in store.all()] != before:
            break  # it was killed after the image had got its name: that is one that is made
        assert all(finding.level != "fail" for finding in store.verify())
    assert number > 10
    assert look(lowers(store, store.resolve("killed:1")))["big"]
    garbage.collect(store)
    assert [finding.level for finding in store.verify()] == ["ok"]


def _die_at(number: int) -> None:
    """End this process the hard way at its ``number``-th step of writing."""
    steps = itertools.count()

    def counting(call: Callable[..., object]) -> Callable[..., object]:
        def counted(*arguments: object, **named: object) -> object:
            if next(steps) == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **named)

        return counted

    for name in ("write", "rename", "fsync", "unlink", "mkdir"):
        setattr(os, name, counting(getattr(os, name)))
