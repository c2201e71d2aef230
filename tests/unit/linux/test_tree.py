"""Removing trees that others wrote."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from pyctr_engine.linux.tree import remove_tree, spread_directories


def test_nothing_there_is_fine(tmp_path: Path) -> None:
    remove_tree(str(tmp_path / "absent"))


def test_a_symlink_goes_and_what_it_points_to_stays(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").touch()
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "link").symlink_to(tmp_path / "kept")
    (tmp_path / "itself").symlink_to(tmp_path / "kept")
    remove_tree(str(tree))
    remove_tree(str(tmp_path / "itself"))
    assert os.listdir(tmp_path) == ["kept"]
    assert os.listdir(tmp_path / "kept") == ["file"]


@pytest.mark.parametrize("depth", [100, 129, 3000])
def test_no_tree_is_too_deep(tmp_path: Path, depth: int) -> None:
    """Deeper than a path may be long, than the stack, and than there are descriptors."""
    os.mkdir(tmp_path / "tree")
    directory = os.open(tmp_path / "tree", os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("deeper", dir_fd=directory)
        os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=directory))
        deeper = os.open("deeper", os.O_RDONLY, dir_fd=directory)
        os.close(directory)
        directory = deeper
    os.close(directory)
    remove_tree(os.fsencode(tmp_path / "tree"))
    assert os.listdir(tmp_path) == []


def test_spreading_directories_is_a_flag_that_stays_or_nothing(tmp_path: Path) -> None:
    """Whether ``tmp_path`` can have it is up to its file system; the flag is T of lsattr(1)."""
    settable = subprocess.run(["chattr", "+T", tmp_path], capture_output=True, check=False).returncode == 0
    subprocess.run(["chattr", "-T", tmp_path], capture_output=True, check=False)
    for _ in range(2):
        spread_directories(str(tmp_path))
        shown = subprocess.run(["lsattr", "-d", tmp_path], capture_output=True, text=True, check=False).stdout
        assert ("T" in shown.partition(" ")[0]) == settable
    spread_directories("/proc")
