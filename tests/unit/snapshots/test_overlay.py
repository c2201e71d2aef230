"""What an upper directory says, read without mounting anything."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from pyctr_engine.errors import StoreError
from pyctr_engine.model.image import Change
from pyctr_engine.snapshots.overlay import Snapshot

pytestmark = pytest.mark.root


@pytest.fixture
def lower(tmp_path: Path) -> Path:
    lower = tmp_path / "lower"
    (lower / "d").mkdir(parents=True)
    (lower / "d" / "file").write_text("same")
    return lower


@pytest.fixture
def snapshot(tmp_path: Path, lower: Path) -> Snapshot:
    snapshot = Snapshot(str(tmp_path / "snapshot"))
    snapshot.prepare([str(lower)])
    return snapshot


def copy_up(snapshot: Snapshot, lower: Path, text: str = "same") -> Path:
    """What overlayfs leaves when a file was opened for writing: same contents, same times."""
    upper = Path(snapshot.upper, "d")
    upper.mkdir()
    (upper / "file").write_text(text)
    status = (lower / "d" / "file").stat()
    os.utime(upper / "file", ns=(status.st_atime_ns, status.st_mtime_ns))
    return upper / "file"


def whiteout(path: str) -> None:
    os.mknod(path, stat.S_IFCHR, 0)


def changes(snapshot: Snapshot, *lowers: Path) -> list[tuple[str, str]]:
    return [(change.kind, change.path) for change in snapshot.changes([str(lower) for lower in lowers])]


def test_a_file_copied_up_but_as_it_was_is_no_change(snapshot: Snapshot, lower: Path) -> None:
    copy_up(snapshot, lower)
    assert changes(snapshot, lower) == []


def test_a_time_stamp_set_back_hides_nothing(snapshot: Snapshot, lower: Path) -> None:
    copy_up(snapshot, lower, "SAME")
    assert changes(snapshot, lower) == [("C", "/d"), ("C", "/d/file")]


@pytest.mark.parametrize("act", ["chmod", "chown", "utime", "xattr"])
def test_attributes_count(snapshot: Snapshot, lower: Path, act: str) -> None:
    path = copy_up(snapshot, lower)
    if act == "chmod":
        path.chmod(0o600)
    elif act == "chown":
        os.chown(path, 1, 1)
    elif act == "utime":
        os.utime(path, (1, 1))
    else:
        os.setxattr(path, "user.x", b"1")
    assert ("C", "/d/file") in changes(snapshot, lower)


def test_overlays_own_attributes_do_not_count(snapshot: Snapshot, lower: Path) -> None:
    path = copy_up(snapshot, lower)
    os.setxattr(path, "user.overlay.origin", b"1")
    os.setxattr(path.parent, "user.overlay.impure", b"y")
    assert changes(snapshot, lower) == []


def test_a_whiteout_of_what_a_layer_between_deleted_is_no_change(
    snapshot: Snapshot, lower: Path, tmp_path: Path
) -> None:
    between = tmp_path / "between"
    (between / "d").mkdir(parents=True)
    whiteout(f"{between}/d/file")
    Path(snapshot.upper, "d").mkdir()
    whiteout(f"{snapshot.upper}/d/file")
    assert changes(snapshot, between, lower) == []
    assert changes(snapshot, lower) == [("C", "/d"), ("D", "/d/file")]


def test_below_an_opaque_layer_nothing_is_seen(snapshot: Snapshot, lower: Path, tmp_path: Path) -> None:
    between = tmp_path / "between"
    (between / "d").mkdir(parents=True)
    os.setxattr(between / "d", "user.overlay.opaque", b"y")
    copy_up(snapshot, lower)
    assert changes(snapshot, between, lower) == [("C", "/d"), ("A", "/d/file")]


def test_a_socket_in_a_files_place_is_a_deletion(snapshot: Snapshot, lower: Path) -> None:
    import socket

    Path(snapshot.upper, "d").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        os.chdir(f"{snapshot.upper}/d")
        server.bind("file")
        os.chdir("/")
    assert changes(snapshot, lower) == [("C", "/d"), ("D", "/d/file")]


def test_kinds_and_sizes(snapshot: Snapshot, lower: Path) -> None:
    Path(snapshot.upper, "x").write_text("12345")
    os.mknod(f"{snapshot.upper}/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    assert snapshot.changes([str(lower)]) == [Change("/null", "A", 0, "device"), Change("/x", "A", 5, "file")]


def test_a_snapshot_that_is_gone_has_no_changes(snapshot: Snapshot, lower: Path) -> None:
    snapshot.remove()
    assert changes(snapshot, lower) == []


def test_a_tree_too_deep_is_an_error_not_a_crash(snapshot: Snapshot, lower: Path) -> None:
    os.makedirs(f"{snapshot.upper}/" + "d/" * 300)
    with pytest.raises(StoreError, match="levels deep"):
        snapshot.changes([str(lower)])
    snapshot.remove()
