"""Checkpoints on disk: what is shared, what is swept, and that no kill at any step loses a state."""

from __future__ import annotations

import contextlib
import itertools
import mmap
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pyctr_engine.errors import Conflict, StoreError
from pyctr_engine.snapshots import checkpoints, copying, stack
from pyctr_engine.snapshots.overlay import Snapshot

pytestmark = pytest.mark.root


@pytest.fixture
def snapshot(tmp_path: Path) -> Snapshot:
    snapshot = Snapshot(str(tmp_path / "snapshot"))
    snapshot.prepare([])
    return snapshot


def write(snapshot: Snapshot, name: str, text: str) -> Path:
    path = Path(snapshot.upper, name)
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def seen(directories: list[str], name: str) -> str:
    """What a merge of the directories has under a name; only for names in one flat directory."""
    return next((path.read_text() for path in (Path(top, name) for top in directories) if path.exists()), "")


def test_a_copy_keeps_everything(snapshot: Snapshot, tmp_path: Path) -> None:
    path = write(snapshot, "d/file", "x")
    os.chown(path, 70000, 5)
    path.chmod(0o4711)
    os.setxattr(path, "user.mine", b"\0\xff")
    os.utime(path, ns=(1, 1234567890123456789))
    os.link(path, f"{snapshot.upper}/again")
    os.mknod(f"{snapshot.upper}/whiteout", 0o20000, 0)
    os.setxattr(f"{snapshot.upper}/d", "user.overlay.opaque", b"y")
    os.symlink(b"\xff/nowhere", f"{snapshot.upper}/link")
    os.mkfifo(f"{snapshot.upper}/fifo", 0o600)
    with open(f"{snapshot.upper}/sparse", "wb") as file:
        file.seek(50 << 20)
        file.write(b"end")
    target = str(tmp_path / "copy")
    size = copying.copy(snapshot.upper, target, "")
    assert size == (50 << 20) + 3 + 1
    for name in ("d", "d/file", "again", "whiteout", "link", "fifo", "sparse"):
        one, other = (os.lstat(f"{top}/{name}") for top in (snapshot.upper, target))
        wanted = ("st_mode", "st_uid", "st_gid", "st_rdev", "st_mtime_ns", "st_nlink")
        assert [getattr(one, field) for field in wanted] == [getattr(other, field) for field in wanted], name
    assert os.getxattr(f"{target}/d/file", "user.mine") == b"\0\xff"
    assert os.getxattr(f"{target}/d", "user.overlay.opaque") == b"y"
    assert os.readlink(os.fsencode(f"{target}/link")) == b"\xff/nowhere"
    assert os.stat(f"{target}/sparse").st_blocks * 512 < 1 << 20
    assert os.path.samefile(f"{target}/again", f"{target}/d/file")


def test_only_what_is_surely_the_same_is_shared(snapshot: Snapshot, tmp_path: Path) -> None:
    for name in ("same", "grown", "rewritten", "touched"):
        write(snapshot, name, "text")
    time.sleep(0.1)
    one, two = str(tmp_path / "one"), str(tmp_path / "two")
    copying.copy(snapshot.upper, one, "")
    write(snapshot, "grown", "text and more")
    before = os.stat(f"{snapshot.upper}/rewritten")
    write(snapshot, "rewritten", "TEXT")
    os.utime(f"{snapshot.upper}/rewritten", ns=(before.st_atime_ns, before.st_mtime_ns))
    os.utime(f"{snapshot.upper}/touched", ns=(1, 1))
    copying.copy(snapshot.upper, two, one)
    shared = copying.writes_back(snapshot.upper)
    assert os.path.samefile(f"{one}/same", f"{two}/same") == shared
    for name in ("grown", "rewritten", "touched"):
        assert not os.path.samefile(f"{one}/{name}", f"{two}/{name}")
    assert Path(two, "rewritten").read_text() == "TEXT"
    assert Path(one, "rewritten").read_text() == "text"
    assert os.stat(f"{two}/touched").st_mtime_ns == 1


def test_a_write_to_a_page_that_is_written_already_is_seen(snapshot: Snapshot, tmp_path: Path) -> None:
    """By mmap(2), which tells the kernel nothing: only a page that was written out tells again."""
    path = write(snapshot, "mapped", "." * 8192)
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 8192) as memory:
        memory[:3] = b"one"
        time.sleep(0.1)
        one, two = str(tmp_path / "one"), str(tmp_path / "two")
        copying.copy(snapshot.upper, one, "")
        memory[:3] = b"two"
        copying.copy(snapshot.upper, two, one)
    assert [Path(top, "mapped").read_bytes()[:3] for top in (one, two)] == [b"one", b"two"]


def test_what_was_written_a_moment_ago_is_not_trusted(snapshot: Snapshot, tmp_path: Path) -> None:
    """Within one tick of the clock a file may change and keep its change time."""
    write(snapshot, "new", "text")
    copying.copy(snapshot.upper, str(tmp_path / "one"), "")
    assert os.listxattr(tmp_path / "one" / "new") == []


def test_the_fresh_upper_is_like_the_one_before(snapshot: Snapshot) -> None:
    os.chmod(snapshot.upper, 0o2711)
    os.chown(snapshot.upper, 9, 10)
    os.utime(snapshot.upper, ns=(5, 5))
    before = snapshot.upper
    checkpoints.take(snapshot, "a", "")
    status = os.stat(snapshot.upper)
    assert snapshot.upper != before
    assert (status.st_mode & 0o7777, status.st_uid, status.st_gid, status.st_mtime_ns) == (0o2711, 9, 10, 5)
    assert os.listdir(snapshot.upper) == []


def test_there_is_an_end_to_stacking(snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack, "MAX_DELTAS", 3)
    for name in "abc":
        checkpoints.take(snapshot, name, "")
    with pytest.raises(Conflict, match="3 checkpoints"):
        checkpoints.take(snapshot, "d", "")


def test_a_damaged_record_is_told(snapshot: Snapshot) -> None:
    checkpoints.take(snapshot, "a", "")
    Path(snapshot.directory, "checkpoints.json").write_text("{}")
    with pytest.raises(StoreError, match="damaged"):
        Snapshot(snapshot.directory)


@pytest.mark.parametrize("deed", ["take", "copy", "go back", "forget"])
def test_killed_at_any_step_the_old_state_or_the_new_one_holds(tmp_path: Path, deed: str) -> None:
    for number in range(100):
        snapshot = Snapshot(str(tmp_path / f"{number}"))
        snapshot.prepare([])
        write(snapshot, "f", "one")
        checkpoints.take(snapshot, "a", "")
        write(snapshot, "f", "two")
        write(snapshot, "g", "two")
        pid = os.fork()
        if not pid:
            _die_at(number)
            with contextlib.suppress(BaseException):
                _do(deed, snapshot)
                os._exit(0)
            os._exit(1)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        assert code in (0, -signal.SIGKILL)
        now = Snapshot(snapshot.directory)
        assert all(os.path.isdir(f"{now.directory}/{name}") for name in now.stack.referenced())
        done = now.stack != snapshot.stack
        assert seen(now.uppers, "f") == ("one" if deed == "go back" and done else "two")
        if any(point.name == "a" for point in now.stack.points):
            assert seen(now.at("a"), "f") == "one"
        if any(point.name == "b" for point in now.stack.points):
            assert seen(now.at("b"), "f") == "two"
        checkpoints.take(now, "after", "")
        names = {"upper", *(f"d/{name}" for name in os.listdir(f"{now.directory}/d"))}
        assert names == now.stack.referenced() | {"upper"}
        assert seen(now.at("after"), "g") == ("" if deed == "go back" and done else "two")
        if code == 0:
            break
    assert number >= 3


def _do(deed: str, snapshot: Snapshot) -> None:
    match deed:
        case "take":
            checkpoints.take(snapshot, "b", "")
        case "copy":
            checkpoints.take(snapshot, "b", "", contextlib.nullcontext())
        case "go back":
            checkpoints.go_back(snapshot, "a")
        case _:
            checkpoints.forget(snapshot, "a")


def _die_at(number: int) -> None:
    """End this process the hard way at its ``number``-th step of writing."""
    steps = itertools.count()

    def counting(call: Callable[..., object]) -> Callable[..., object]:
        def counted(*arguments: object, **named: object) -> object:
            if next(steps) == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **named)

        return counted

    for name in ("rename", "fsync", "unlink", "mkdir", "rmdir", "utime", "chown", "copy_file_range", "link"):
        setattr(os, name, counting(getattr(os, name)))
