"""What every engine begins with."""

from __future__ import annotations

import os
import stat
import threading
import time
from pathlib import Path

import pytest

from pyctr_engine.containers.context import Context
from pyctr_engine.errors import NotFound
from pyctr_engine.paths import Paths


def test_the_state_directory_is_ours_alone(tmp_path: Path) -> None:
    """Set-user-id programs of images lie in it, and belong to the host's root there."""
    before = os.umask(0)
    try:
        context = Context(Paths(str(tmp_path / "a" / "state"), str(tmp_path / "run")))
        assert stat.S_IMODE(os.stat(context.paths.state).st_mode) == 0o700
        assert context.images.list() == []
        assert context.database.connection is not None
        assert stat.S_IMODE(os.stat(context.paths.state).st_mode) == 0o700
    finally:
        os.umask(before)


def test_what_was_removed_while_one_waited_for_it_is_gone(tmp_path: Path) -> None:
    """A restart that waits for a removal must not begin once there is nothing left to start."""
    context = Context(Paths(str(tmp_path / "state"), str(tmp_path / "run")))
    directory = Path(context.paths.container("x"))
    directory.mkdir(parents=True)
    found: list[str] = []

    def opened() -> int:
        links = [os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")]
        return links.count(str(directory))

    def wait() -> None:
        try:
            with context.container_lock("x"):
                found.append("entered")
        except NotFound:
            found.append("gone")

    waiting = threading.Thread(target=wait)
    with context.container_lock("x"):
        waiting.start()
        while opened() < 2:
            time.sleep(0.001)
        directory.rmdir()
    waiting.join()
    assert found == ["gone"]
    with pytest.raises(NotFound), context.container_lock("x"):
        pass
