"""State files are replaced as a whole, or not at all."""

from __future__ import annotations

import json
import resource
from pathlib import Path

from pyctr_engine.runtime import statefile


def test_what_does_not_fit_leaves_the_old_one(tmp_path: Path) -> None:
    """A limit on the size of files cuts a write short, as a disk does that is nearly full."""
    statefile.write({"state": "running"}, str(tmp_path))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
    try:
        statefile.write({"state": "exited"}, str(tmp_path))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert json.loads((tmp_path / "state.json").read_text()) == {"state": "running"}
