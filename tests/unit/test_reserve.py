"""Room kept for removals: set aside once, given up when the disk is full."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pyctr_engine import reserve


def allocated(path: Path) -> int:
    return (path / "reserve").stat().st_blocks * 512


def test_room_is_set_aside_and_given_up_only_when_it_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reserve.keep(str(tmp_path))
    assert allocated(tmp_path) >= reserve.SIZE
    assert not reserve.make_room(str(tmp_path)), "there is room enough"
    assert allocated(tmp_path) >= reserve.SIZE
    full = os.statvfs_result((4096, 4096, 100, 0, 0, 100, 1, 1, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda _path: full)
    assert reserve.make_room(str(tmp_path))
    assert not reserve.make_room(str(tmp_path)), "it can be given up once"
    reserve.keep(str(tmp_path))
    assert allocated(tmp_path) >= reserve.SIZE
