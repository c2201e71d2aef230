"""Allocated bytes, each inode once."""

from __future__ import annotations

import os
from pathlib import Path

from pyctr_engine.linux.diskusage import DiskUsage, allocated


def blocks(path: Path) -> int:
    return path.lstat().st_blocks * 512


def test_a_file_with_several_names_takes_its_room_once(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "one").write_bytes(os.urandom(100_000))
    os.link(tmp_path / "a" / "one", tmp_path / "a" / "two")
    expected = blocks(tmp_path / "a") + blocks(tmp_path / "a" / "one")
    assert allocated(str(tmp_path / "a")) == expected
    assert expected >= 100_000


def test_holes_take_nothing_and_links_lead_nowhere(tmp_path: Path) -> None:
    with open(tmp_path / "holes", "wb") as file:
        file.truncate(1 << 30)
    os.symlink("/usr", tmp_path / "link")
    assert allocated(str(tmp_path)) < 1 << 20
    assert allocated(str(tmp_path / "nothing")) == 0


def test_what_has_another_name_elsewhere_is_not_freed(tmp_path: Path) -> None:
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    (tmp_path / "here" / "file").write_bytes(os.urandom(50_000))
    os.link(tmp_path / "here" / "file", tmp_path / "there" / "file")
    here, there = DiskUsage(), DiskUsage()
    here.add(str(tmp_path / "here"))
    there.add(str(tmp_path / "there"))
    size = blocks(tmp_path / "here" / "file")
    assert here.allocated == size + blocks(tmp_path / "here")
    assert here.freed_if_removed == blocks(tmp_path / "here")
    here.merge(there)
    assert here.allocated == here.freed_if_removed == size + blocks(tmp_path / "here") + blocks(tmp_path / "there")
    assert here.entries == 4
