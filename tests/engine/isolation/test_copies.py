"""CVE-2018-15664, CVE-2019-14271: ``cp`` while a container swaps the path, and the code that an image offers it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest

from pyctr_engine.containers import copying
from pyctr_engine.errors import EngineError
from pyctr_engine.model.spec import CommitRequest, ContainerRequest, Mount, Security
from tests.engine.containers.conftest import Bench

pytestmark = pytest.mark.root

SWAP = """
import itertools, os
os.makedirs("/real/sub", exist_ok=True)
for name in ("/real/secret", "/real/sub/secret"):
    with open(name, "w") as file:
        file.write("the container's")
os.mkdir("/race")
os.makedirs("%(outside)s", exist_ok=True)
with open("%(outside)s/inner", "w") as file:
    file.write("the container's")
print("ready", flush=True)
targets = ("/real", "%(outside)s", "/../../../../%(outside)s", "/proc/1/root%(outside)s")
for number, target in enumerate(itertools.cycle(targets)):
    try:
        os.symlink(target, "/race/new"); os.rename("/race/new", "/race/way")
        if number %% 8 == 7:
            os.unlink("/race/way"); os.mkdir("/race/way"); os.rmdir("/race/way")
    except OSError:
        for act in (os.unlink, os.rmdir):
            try:
                act("/race/way")
            except OSError:
                pass
"""


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A directory of the host's, with what a container shall neither get nor overwrite."""
    directory = tmp_path / "outside"
    directory.mkdir()
    (directory / "secret").write_text("the host's")
    return directory


@pytest.mark.parametrize("security", [Security(), Security(userns="host")], ids=["own ids", "host's ids"])
@pytest.mark.parametrize("way", ["out", "in"])
def test_a_path_that_is_swapped_all_the_time_leads_to_nothing_of_the_hosts(
    bench: Bench, outside: Path, tmp_path: Path, way: Literal["out", "in"], security: Security
) -> None:
    script = SWAP % {"outside": outside}
    container = bench.start_when("ready", "python3", "-c", script, security=security)
    source = tmp_path / "source"
    source.mkdir()
    (source / "secret").write_text("overwritten")
    (source / "more").write_text("made")
    copied = 0
    for number in range(400):
        if number >= 24 and copied:
            break
        try:
            if way == "out":
                place = tmp_path / f"got-{number}"
                path = ("/race/way/secret", "/race/way", "/race/way/.", "/race/way/sub/../secret")[number % 4]
                bench.engine.copy_out(container.id, path, str(place), follow=bool(number & 1))
                found = [place] if place.is_file() else list(place.rglob("*")) if place.is_dir() else []
                assert "the host's" not in [file.read_text() for file in found if file.is_file()]
            else:
                path = ("/race/way/", "/race/way/secret", "/race/way/.")[number % 3]
                bench.engine.copy_in(container.id, str(source / "secret") if number & 1 else f"{source}/.", path)
            copied += 1
        except EngineError:
            continue  # it was there, and then it was not
    assert copied, "not once was there something to copy: nothing was shown"
    assert os.listdir(outside) == ["secret"]
    assert (outside / "secret").read_text() == "the host's"
    assert sorted(os.listdir(source)) == ["more", "secret"], "what is copied is not changed"


def test_a_path_looked_up_from_the_host_would_be_the_hosts(bench: Bench, outside: Path, tmp_path: Path) -> None:
    """The same link, followed by a process that stays outside: what docker's ``cp`` did then."""
    script = f"mkdir -p {outside}; echo inside > {outside}/secret; ln -s {outside} /way; echo ready; exec sleep 1000"
    container = bench.start_when("ready", "sh", "-c", script)
    assert Path(f"/proc/{container.status.pid}/root/way/secret").read_text() == "the host's"
    bench.engine.copy_out(container.id, "/way/secret", str(tmp_path / "got"))
    assert (tmp_path / "got").read_text() == "inside\n"


IMPORTING = """
from pyctr_engine.containers import copier
real = copier.pack
def pack(*arguments):
    import image_module
    return real(*arguments)
copier.pack = pack
"""
OPEN = "copier._import_nothing_more = lambda: None;"


def test_code_of_the_image_is_not_loaded(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The image has a module where the copying process looks for its own; loaded, it would be root inside, and more.

    What was docker's C library's module of users' names is in ours whatever Python imports late.
    """
    place = copying._PACKAGES
    script = (
        f"mkdir -p {place}; echo \"open('/loaded', 'w').close()\" > {place}/image_module.py; "
        "echo ready; exec sleep 1000"
    )
    container = bench.start_when("ready", "sh", "-c", script)

    def copies(patch: str) -> bool:
        before, _, after = COPIER.partition("main()")
        monkeypatch.setattr(copying, "_PROGRAM", f"{before.rstrip()} exec({patch!r}); main(){after}")
        with contextlib.suppress(EngineError):
            bench.engine.copy_out(container.id, "/etc/hostname", str(tmp_path / "got"))
        return bench.exec(container, "test", "-e", "/loaded").code == 0

    assert not copies(IMPORTING), "nothing can be imported any more when the container's files are the root"
    assert copies(IMPORTING + OPEN), "were that allowed, the image's own code would run"


COPIER = copying._PROGRAM


def test_the_child_that_copies_can_do_little(bench: Bench, tmp_path: Path) -> None:
    """While it copies a file without end it can be looked at: no network to reach, few capabilities, no way back."""
    container = bench.start_when("ready", "sh", "-c", "truncate -s 4G /endless; echo ready; exec sleep 1000")
    paths = bench.engine.paths
    program = "import sys; from pyctr_tui.cli.main import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", program, "--state-dir", paths.state, "--run-dir", paths.run, "cp"]
    with subprocess.Popen([*command, f"{container.name}:/endless", "-"], stdout=subprocess.PIPE) as caller:
        assert caller.stdout is not None
        assert caller.stdout.read(1024)
        try:
            found = [pid for pid in os.listdir("/proc") if pid.isdigit() and _is_copier(pid)]
            mine = [pid for pid in found if _in_mounts_of(pid, container.status.pid)]
            assert len(mine) == 1
            status = dict(
                line.split(":\t", 1)
                for line in Path(f"/proc/{mine[0]}/status").read_text().splitlines()
                if ":\t" in line
            )
            assert int(status["CapEff"], 16).bit_count() <= 6
            assert status["CapBnd"] == status["CapEff"]
            assert status["NoNewPrivs"] == "1"
            assert status["Uid"].split()[0] != "0", "root inside only"
            opened = {fd: os.readlink(f"/proc/{mine[0]}/fd/{fd}") for fd in os.listdir(f"/proc/{mine[0]}/fd")}
            assert sorted(opened) == ["0", "1", "2", "3"]
            assert opened["3"] == "/endless", "what it copies"
            assert mine[0] not in bench.exec(container, "sh", "-c", "cd /proc; echo [0-9]*").out.split()
        finally:
            caller.kill()


def _is_copier(pid: str) -> bool:
    try:
        return "copier" in Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return False


def _in_mounts_of(pid: str, init: int) -> bool:
    try:
        return os.readlink(f"/proc/{pid}/ns/mnt") == os.readlink(f"/proc/{init}/ns/mnt")
    except OSError:
        return False


def test_a_new_volume_is_filled_from_the_image_whatever_it_points_at(
    bench: Bench, outside: Path, tmp_path: Path
) -> None:
    """The image has a symlink where the volume belongs, and symlinks in what is copied: all of them stay inside."""
    script = f"ln -s {outside} /data; mkdir /full; ln -s {outside} /full/link; ln -s {outside}/secret /full/file"
    container = bench.start("sh", "-c", f"{script}; echo ready; exec sleep 1000", name="evil")
    assert any(line.text == "ready" for line in bench.engine.logs(container.id, follow=True))
    bench.engine.commit("evil", CommitRequest(name="evil:1"))
    try:
        mounts = (Mount("volume", "filled-data", "/data"), Mount("volume", "filled-full", "/full"))
        made = bench.engine.create(ContainerRequest("evil:1", command=("true",), mounts=mounts))
        volumes = Path(bench.engine.paths.volumes)
        assert os.listdir(volumes / "filled-data" / "_data") == []
        assert os.readlink(volumes / "filled-full" / "_data" / "link") == str(outside)
        assert os.readlink(volumes / "filled-full" / "_data" / "file") == f"{outside}/secret"
        assert (outside / "secret").read_text() == "the host's"
        bench.engine.remove(made.id, force=True)
        for name in ("filled-data", "filled-full"):
            bench.engine.remove_volume(name)
    finally:
        bench.engine.remove("evil", force=True)
        bench.engine.remove_image("evil:1")
