"""However large a layer, only a piece of it is in memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import zstandard

from pyctr_engine.images.tar_writer import END, header

pytestmark = pytest.mark.root

SIZE = 300 << 20
BOUND = 110 << 20
"""Bytes of resident memory, of the caller and of the confined child; an interpreter with its modules is a third."""

CODE = """
import os, resource, sys
from pyctr_engine.images.store import ImageStore
from pyctr_engine.paths import Paths
work = sys.argv[1]
store = ImageStore(Paths(work + "/state", "/nonexistent"))
getattr(store, sys.argv[2])(*sys.argv[3:])
for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
    print(resource.getrusage(who).ru_maxrss << 10)
"""


def peak(work: Path, method: str, *arguments: str) -> int:
    """The most memory that any process of the call had."""
    if method == "save":
        code = CODE.replace("(*sys.argv[3:])", "(sys.argv[3:4], sys.argv[4], None, sys.argv[5])")
    else:
        code = CODE
    shell = ["sh", "-c", '"$@"; exit $?', "sh"]  # in between: a process's figure begins with that of its parent
    command = [*shell, sys.executable, "-c", code, str(work), method, *arguments]
    return max(map(int, subprocess.run(command, capture_output=True, check=True, text=True).stdout.split()))


def test_in_and_out_again(tmp_path: Path) -> None:
    packer = zstandard.ZstdCompressor(1).compressobj()
    with (tmp_path / "layer.tar.zst").open("wb") as file:
        file.write(packer.compress(header(b"zeros", size=SIZE)))
        for _ in range(SIZE >> 20):
            file.write(packer.compress(bytes(1 << 20)))
        file.write(packer.compress(END) + packer.flush())
    assert peak(tmp_path, "import_tar", str(tmp_path / "layer.tar.zst"), "big") < BOUND
    assert peak(tmp_path, "save", "big", str(tmp_path / "docker.tar"), "docker") < BOUND
    assert (tmp_path / "docker.tar").stat().st_size > SIZE
    assert peak(tmp_path / "other", "load", str(tmp_path / "docker.tar")) < BOUND
    (layer,) = [path for path in (tmp_path / "other" / "state" / "layers").iterdir() if path.name != "l"]
    assert (layer / "fs" / "zeros").stat().st_size == SIZE
    assert (layer / "fs" / "zeros").stat().st_blocks == 0, "nothing but a hole"
