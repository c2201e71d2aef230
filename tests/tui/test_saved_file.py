"""Files of the host that are written whole, or stay as they were."""

from __future__ import annotations

import os
import stat
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pyctr_engine.errors import Cancelled
from pyctr_tui.saved_file import saved_file

NOBODY = 65534


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with saved_file(str(path)) as file:
        file.write(b"one ")
        file.flush()
        assert not path.exists()
        file.write(b"two")
    assert path.read_text() == "one two"
    assert os.listdir(tmp_path) == ["file"]


def test_what_is_given_up_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("older")
    with pytest.raises(Cancelled), saved_file(str(path)) as file:
        file.write(b"half")
        raise Cancelled("cancelled")
    assert path.read_text() == "older"
    assert os.listdir(tmp_path) == ["file"]


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_text("older")

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"), saved_file(str(path)) as file:
        file.write(b"half")
    assert path.read_text() == "older"
    assert os.listdir(tmp_path) == ["file"]


def test_mode_owner_and_links_stay(tmp_path: Path) -> None:
    path, link = tmp_path / "file", tmp_path / "link"
    path.write_text("older")
    path.chmod(0o640)
    owner = (1234, 1235) if os.geteuid() == 0 else (os.getuid(), os.getgid())
    os.chown(path, *owner)
    link.symlink_to("file")
    with saved_file(str(link)) as file:
        file.write(b"newer")
    found = path.stat()
    assert (stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid) == (0o640, *owner)
    assert link.is_symlink()
    assert path.read_text() == "newer"


def test_a_link_to_nothing_gets_its_file(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("file")
    with saved_file(str(tmp_path / "link")) as file:
        file.write(b"newer")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "newer"


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    path, read = tmp_path / "pipe", []
    os.mkfifo(path)
    reader = threading.Thread(target=lambda: read.append(path.read_bytes()), daemon=True)
    reader.start()
    with saved_file(str(path)) as file:
        file.write(b"through")
    reader.join(10)
    assert read == [b"through"]
    assert stat.S_ISFIFO(path.stat().st_mode)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A directory of somebody's who may not write everywhere, as root may."""
    with tempfile.TemporaryDirectory() as made:
        if os.geteuid() == 0:
            os.chown(made, NOBODY, NOBODY)
        yield Path(made)


def as_nobody(do: Callable[[], None]) -> None:
    """Do it in a process of theirs."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            do()
            code = 0
        except BaseException:  # noqa: BLE001 - told, and the test fails
            traceback.print_exc()
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_where_no_file_can_be_made_what_is_there_is_written(folder: Path) -> None:
    path = folder / "file"

    def write() -> None:
        path.write_text("older")
        folder.chmod(0o500)
        with saved_file(str(path)) as file:
            file.write(b"newer")
        with pytest.raises(PermissionError), saved_file(str(folder / "other")):
            pass

    as_nobody(write)
    assert path.read_text() == "newer"
    assert os.listdir(folder) == ["file"]
    folder.chmod(0o700)


def test_what_may_not_be_written_to_is_not_replaced(folder: Path) -> None:
    path = folder / "file"

    def write() -> None:
        path.write_text("older")
        path.chmod(0o400)
        with pytest.raises(PermissionError), saved_file(str(path)):
            pass

    as_nobody(write)
    assert path.read_text() == "older"
