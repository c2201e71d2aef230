"""Export: the tar holds what the container sees as its own, whether it runs or not, and nothing of the host."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from pyctr_engine.errors import NotFound
from pyctr_engine.model.spec import Mount
from tests.engine.containers.conftest import Bench
from tests.engine.images.view import look

pytestmark = pytest.mark.root

ACTS = r"""
import os, socket
os.makedirs("/made/deep", 0o750)
open("/made/file", "w").write("hello")
os.chown("/made/file", 1000, 1001); os.chmod("/made/file", 0o6711)
os.utime("/made/file", ns=(0, 1234567890123456789))
os.link("/made/file", "/made/again"); os.symlink("/etc/shadow", "/made/link"); os.mkfifo("/made/fifo")
os.setxattr("/made/deep", "user.x", b"\x00\xff")
open("/made/program", "w").close()
os.setxattr("/made/program", "security.capability", bytes.fromhex("0100000200200000000000000000000000000000"))
open(b"/made/raw-\xff\n", "w").close()
with open("/made/holes", "wb") as file: file.truncate(1 << 20)
socket.socket(socket.AF_UNIX).bind("/made/socket")
os.unlink("/etc/passwd")
open("/data/in-the-volume", "w").close()
os.symlink("/", "/made/root")
"""


@pytest.mark.parametrize("running", [True, False])
def test_what_a_container_sees(bench: Bench, tmp_path: Path, running: bool) -> None:
    container = bench.start(mounts=(Mount("volume", "", "/data"),))
    assert bench.exec(container, "python3", "-c", ACTS).code == 0
    if not running:
        bench.engine.stop(container.id, 0)
    archive = tmp_path / "out.tar"
    bench.engine.export(container.id, str(archive))
    with tarfile.open(archive, encoding="utf-8", errors="surrogateescape") as tar:
        members = {member.name: member for member in tar}
    assert {"usr/bin/python3", "made/again", "made/raw-\udcff\n", "made/deep"} <= members.keys()
    assert (
        not {"etc/passwd", "data/in-the-volume", "made/socket", "etc/hosts", "proc/self", "dev/null"} & members.keys()
    )
    file = members["made/again"]
    assert (file.mode, file.uid, file.gid, file.size) == (0o6711, 1000, 1001, 5)
    assert file.pax_headers["mtime"] == "1234567890.123456789"
    assert (members["made/file"].islnk(), members["made/file"].linkname) == (True, "made/again")
    assert members["made/link"].linkname == "/etc/shadow"
    assert members["made/fifo"].isfifo()
    assert members["made/holes"].size == 1 << 20
    value = members["made/program"].pax_headers["SCHILY.xattr.security.capability"].encode("utf-8", "surrogateescape")
    assert value == struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0)
    image = bench.engine.import_image(str(archive), "")
    store = bench.engine._context.images
    directory = store.layers_on_disk.directory
    state = bench.engine.paths.container(container.id)
    lowers = [f"{directory}/{link}" for link in container.spec.chain]
    expected = look([f"{state}/upper", *lowers])
    del expected["made/socket"]
    shown = look([f"{directory}/{link}" for link in store.resolve(image.id).chain])
    assert shown.keys() == expected.keys()
    del shown["made/program"], expected["made/program"]  # its capability is bound to the container's ids in there
    assert shown == expected
    bench.engine.remove_image(image.id)


def test_what_lies_in_checkpoints_is_in_it(bench: Bench, tmp_path: Path) -> None:
    container = bench.start()
    assert bench.exec(container, "sh", "-c", "echo one > /one; echo gone > /gone").code == 0
    bench.engine.checkpoint(container.id)
    bench.engine.stop(container.id, 0)
    bench.engine.checkpoint(container.id)
    bench.engine.start(container.id)
    assert bench.exec(container, "sh", "-c", "echo two > /two; rm /gone").code == 0
    bench.engine.export(container.id, str(tmp_path / "out.tar"))
    with tarfile.open(tmp_path / "out.tar") as tar:
        names = set(tar.getnames())
    assert {"one", "two"} <= names
    assert "gone" not in names


def test_paths_of_any_length(bench: Bench, tmp_path: Path) -> None:
    container = bench.start()
    script = "import os\nfor _ in range(30): os.mkdir('0' * 200); os.chdir('0' * 200)\nopen('file', 'w').close()"
    assert bench.exec(container, "python3", "-c", script).code == 0
    bench.engine.export(container.id, str(tmp_path / "out.tar"))
    deep = "/".join(["0" * 200] * 30) + "/file"
    listed = subprocess.run(["tar", "-tf", tmp_path / "out.tar"], capture_output=True, text=True, check=True).stdout
    assert deep in listed.splitlines()


def test_to_standard_output_and_to_nowhere(bench: Bench, tmp_path: Path) -> None:
    container = bench.start()
    with pytest.raises(NotFound):
        bench.engine.export("nobody", str(tmp_path / "x"))
    with pytest.raises(NotFound, match="no such directory"):
        bench.engine.export(container.id, str(tmp_path / "nowhere" / "x"))
    command = [sys.executable, "-m", "pyctr_tui.cli.main", "--state-dir", bench.engine.paths.state, "--run-dir"]
    command += [bench.engine.paths.run, "export", container.name]
    piped = subprocess.run(command, capture_output=True, check=True)
    bench.engine.export(container.id, str(tmp_path / "out.tar"))
    assert piped.stdout == (tmp_path / "out.tar").read_bytes(), "the same file system gives the same bytes"
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.read(1000)
        child.stdout.close()
        assert child.stderr.read() == b"", "whoever reads may stop"
        assert child.wait() == 141
    with (tmp_path / "appended").open("ab") as file:
        subprocess.run(command, stdout=file, check=True)
    assert (tmp_path / "appended").read_bytes() == piped.stdout
    assert sorted(os.listdir(tmp_path)) == ["appended", "out.tar"]
