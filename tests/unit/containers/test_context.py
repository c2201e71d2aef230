"""What every engine begins with."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from pyctr_engine.containers.context import Context
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
