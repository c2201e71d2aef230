"""``cp``: docker's rules, both ways, running or not; and nothing inside leads anywhere else."""

from __future__ import annotations

import io
import os
import stat
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from pyctr_engine.errors import Cancelled, EngineError, InvalidValue, NotFound
from pyctr_engine.model.progress import Progress
from pyctr_engine.model.spec import ContainerRequest, Mount, RestartPolicy, Security
from pyctr_engine.model.status import Container, State
from tests.engine.containers.conftest import IMAGE, Bench
from tests.engine.containers.test_lifecycle import until

pytestmark = pytest.mark.root

MAKE = (
    "mkdir -p /d/sub; echo one > /d/f; echo two > /d/sub/g; ln -s /etc/passwd /d/link; ln /d/f /d/hard; mkfifo /d/p"
)


@pytest.fixture(params=["running", "stopped"])
def made(request: pytest.FixtureRequest, bench: Bench) -> Container:
    """A container with some files, that runs, or has ended."""
    container = bench.start_when("ready", "sh", "-c", f"{MAKE}; echo ready; exec sleep 1000")
    if request.param == "stopped":
        bench.engine.stop(container.id, timeout=0)
    return bench.engine.container(container.id)


def test_a_directory_comes_out_as_it_is(bench: Bench, made: Container, tmp_path: Path) -> None:
    bench.engine.copy_out(made.id, "/d", str(tmp_path / "new"))
    new = tmp_path / "new"
    assert sorted(os.listdir(new)) == ["f", "hard", "link", "p", "sub"]
    assert (new / "f").read_text() == "one\n"
    assert (new / "sub" / "g").read_text() == "two\n"
    assert os.readlink(new / "link") == "/etc/passwd"
    assert (new / "hard").stat().st_ino == (new / "f").stat().st_ino
    assert stat.S_ISFIFO((new / "p").stat().st_mode)
    bench.engine.copy_out(made.id, "/d", str(new))
    assert (new / "d" / "f").read_text() == "one\n"
    bench.engine.copy_out(made.id, "/d/sub/.", str(new))
    assert (new / "g").read_text() == "two\n"


def test_a_file_comes_out_under_its_name_or_another(bench: Bench, made: Container, tmp_path: Path) -> None:
    bench.engine.copy_out(made.id, "/d/f", str(tmp_path))
    bench.engine.copy_out(made.id, "d/sub/g", str(tmp_path / "other"))
    bench.engine.copy_out(made.id, "/d/f", str(tmp_path / "other"))
    assert (tmp_path / "f").read_text() == (tmp_path / "other").read_text() == "one\n"
    bench.engine.copy_out(made.id, "/d/link", str(tmp_path))
    assert os.readlink(tmp_path / "link") == "/etc/passwd"
    os.unlink(tmp_path / "link")
    bench.engine.copy_out(made.id, "/d/link", str(tmp_path / "followed"), follow=True)
    assert (tmp_path / "followed").read_text().startswith("root:x:0:0")
    with pytest.raises(NotFound, match=r"there is no .*:/d/nothing"):
        bench.engine.copy_out(made.id, "/d/nothing", str(tmp_path))
    with pytest.raises(InvalidValue, match="there is no such directory"):
        bench.engine.copy_out(made.id, "/d/f", f"{tmp_path}/nowhere/")
    with pytest.raises(InvalidValue, match="it is a file, and what is copied is a directory"):
        bench.engine.copy_out(made.id, "/d", str(tmp_path / "f"))


def test_what_goes_in_is_root_s_and_there(bench: Bench, made: Container, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "sub").mkdir(parents=True)
    (source / "a").write_text("A")
    os.chown(source / "a", 1234, 1234)
    (source / "a").chmod(0o4711)
    (source / "sub" / "b").write_text("B" * 3_000_000)
    bench.engine.copy_in(made.id, str(source), "/in")
    bench.engine.copy_in(made.id, str(source), "/in")
    bench.engine.copy_in(made.id, str(source) + "/.", "/d")
    bench.engine.copy_in(made.id, str(source / "a"), "/owned", owners=True)
    if not made.state.is_alive:
        bench.engine.start(made.id)
    listed = bench.exec(made, "stat", "-c", "%n %u %a %s", "/in/a", "/in/source/sub/b", "/d/a", "/d/f", "/owned").out
    assert listed.splitlines() == [
        "/in/a 0 711 1",
        "/in/source/sub/b 0 644 3000000",
        "/d/a 0 711 1",
        "/d/f 0 644 4",
        "/owned 1234 4711 1",
    ]
    with pytest.raises(NotFound, match="there is no /no/such/file here"):
        bench.engine.copy_in(made.id, "/no/such/file", "/in")
    with pytest.raises(InvalidValue, match="there is no such directory"):
        bench.engine.copy_in(made.id, str(source / "a"), "/nowhere/")
    with pytest.raises(InvalidValue, match="it is a file"):
        bench.engine.copy_in(made.id, str(source), "/d/f")


def test_a_tar_both_ways(bench: Bench, made: Container) -> None:
    engine = bench.engine.paths
    program = "import sys; from pyctr_tui.cli.main import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", program, "--state-dir", engine.state, "--run-dir", engine.run, "cp"]
    out = subprocess.run([*command, f"{made.name}:/d", "-"], capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(out)) as tar:
        assert sorted(tar.getnames()) == ["d", "d/f", "d/hard", "d/link", "d/p", "d/sub", "d/sub/g"]
    subprocess.run([*command, "-", f"{made.name}:/tmp"], input=out, check=True)
    back = subprocess.run([*command, f"{made.name}:/tmp/d/sub/g", "-"], capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(back)) as tar:
        assert tar.extractfile("g").read() == b"two\n"  # type: ignore[union-attr]
    bad = subprocess.run(
        [*command, "-", f"{made.name}:/tmp"], input=b"no tar" * 1000, capture_output=True, check=False
    )
    assert bad.returncode == 1
    assert b"this is no tar" in bad.stderr


def test_volumes_and_binds_are_seen_as_inside(bench: Bench, host_directory: Path, tmp_path: Path) -> None:
    mounts = (Mount("volume", "cp-volume", "/vol"), Mount("bind", str(host_directory), "/bound"))
    container = bench.engine.create(ContainerRequest(IMAGE, command=("sleep", "1000"), mounts=mounts))
    (tmp_path / "x").write_text("x")
    bench.engine.copy_in(container.id, str(tmp_path / "x"), "/vol/")
    bench.engine.copy_in(container.id, str(tmp_path / "x"), "/bound/")
    assert (host_directory / "x").read_text() == "x"
    bench.engine.start(container.id)
    assert bench.exec(container, "cat", "/vol/x", "/bound/x").out == "xx"
    bench.exec(container, "sh", "-c", "echo later > /vol/y")
    bench.engine.copy_out(container.id, "/vol/y", str(tmp_path / "y"))
    assert (tmp_path / "y").read_text() == "later\n"
    bench.engine.remove(container.id, force=True)
    bench.engine.remove_volume("cp-volume")


def test_no_symlink_inside_leads_to_the_host(bench: Bench, tmp_path: Path) -> None:
    """CVE-2018-15664: the same names lead elsewhere on the host."""
    secret = tmp_path / "secret"
    secret.write_text("the host's")
    script = (
        f"mkdir -p /x{tmp_path}; ln -s / /root-link; ln -s {secret} /link; mkdir -p {tmp_path}; echo mine > {secret}"
    )
    for security in (Security(), Security(userns="host")):
        container = bench.start_when("ready", "sh", "-c", f"{script}; echo ready; exec sleep 1000", security=security)
        for inside in ("mine\n", "overwritten"):
            bench.engine.copy_out(container.id, "/link", str(tmp_path / "out"), follow=True)
            assert (tmp_path / "out").read_text() == inside
            bench.engine.copy_out(container.id, f"/root-link{secret}", str(tmp_path / "out"))
            assert (tmp_path / "out").read_text() == inside
            (tmp_path / "in").write_text("overwritten")
            bench.engine.copy_in(container.id, str(tmp_path / "in"), f"/root-link/../../../..{secret}")
            assert secret.read_text() == "the host's"
            bench.engine.stop(container.id, timeout=0)


def test_a_path_swapped_for_a_symlink_meanwhile_leads_nowhere(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "victim").mkdir()
    (tmp_path / "source").mkdir()
    for number in range(50):
        (tmp_path / "source" / f"f{number}").write_text("x")
    script = (
        f"mkdir -p /real {tmp_path}; echo ready; "
        f"while :; do ln -sfn {tmp_path}/victim /race; ln -sfn /real /race; rm /race; mkdir /race; rmdir /race; done"
    )
    container = bench.start_when("ready", "sh", "-c", script)
    for _ in range(10):
        try:
            bench.engine.copy_in(container.id, f"{tmp_path}/source/.", "/race")
        except (InvalidValue, NotFound):
            pass  # it was there, and then it was not
        except EngineError as error:
            assert "copy" in str(error)
    assert os.listdir(tmp_path / "victim") == []


def test_what_the_host_has_in_place_is_not_followed(bench: Bench, made: Container, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "elsewhere").mkdir()
    os.symlink(tmp_path / "elsewhere", tmp_path / "out" / "d")
    with pytest.raises(InvalidValue, match="it is no directory"):
        bench.engine.copy_out(made.id, "/.", str(tmp_path / "out"))
    assert os.listdir(tmp_path / "elsewhere") == []


def test_no_library_of_the_image_is_loaded_and_no_name_looked_up(bench: Bench, tmp_path: Path) -> None:
    """CVE-2019-14271."""
    script = (
        "mkdir -p /lib/x86_64-linux-gnu /usr/lib/x86_64-linux-gnu; "
        "for d in /lib/x86_64-linux-gnu /usr/lib/x86_64-linux-gnu; do echo bad > $d/libnss_files.so.2; done; "
        "echo 'passwd: evil' > /etc/nsswitch.conf; rm -f /etc/passwd; mkfifo /etc/passwd; echo ready; "
        "exec sleep 1000"
    )
    container = bench.start_when("ready", "sh", "-c", script)
    bench.engine.copy_out(container.id, "/etc/nsswitch.conf", str(tmp_path / "o"))
    bench.engine.copy_in(container.id, str(tmp_path / "o"), "/x")
    assert bench.exec(container, "cat", "/x", user="0").out == "passwd: evil\n"


def test_half_a_tar_is_no_success(bench: Bench, made: Container, tmp_path: Path) -> None:
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as tar:
        for name in ("one", "two"):
            member = tarfile.TarInfo(name)
            member.size = 1000
            tar.addfile(member, io.BytesIO(bytes(1000)))
    paths = bench.engine.paths
    program = "import sys; from pyctr_tui.cli.main import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", program, "--state-dir", paths.state, "--run-dir", paths.run, "cp"]
    for data in (whole.getvalue()[:700], whole.getvalue()[:1600], whole.getvalue()[:1536] + os.urandom(4096)):
        done = subprocess.run([*command, "-", f"{made.name}:/tmp"], input=data, capture_output=True, check=False)
        assert done.returncode == 1, done
        assert b"cannot copy to" in done.stderr


def test_a_user_s_program_does_not_become_root_s(bench: Bench, tmp_path: Path) -> None:
    script = (
        "mkdir /d; echo x > /d/su; chown 1000 /d/su; chmod 4755 /d/su; chmod 2755 /d; echo ready; exec sleep 1000"
    )
    container = bench.start_when("ready", "sh", "-c", script)
    bench.engine.copy_out(container.id, "/d", str(tmp_path / "out"))
    assert stat.S_IMODE((tmp_path / "out" / "su").stat().st_mode) == 0o755
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o755
    bench.engine.copy_out(container.id, "/d", str(tmp_path / "kept"), owners=True)
    kept = (tmp_path / "kept" / "su").stat()
    assert (kept.st_uid, stat.S_IMODE(kept.st_mode)) == (1000, 0o4755)


def test_links_that_are_named_are_followed_where_cp_follows_them(bench: Bench, tmp_path: Path) -> None:
    script = "mkdir /d; echo x > /d/f; ln -s /d /link; ln -s f /d/lf; echo ready; exec sleep 1000"
    container = bench.start_when("ready", "sh", "-c", script)
    bench.engine.copy_out(container.id, "/link/.", str(tmp_path / "out"))
    assert (tmp_path / "out" / "f").read_text() == "x\n"
    (tmp_path / "in").write_text("new")
    bench.engine.copy_in(container.id, str(tmp_path / "in"), "/d/lf")
    assert bench.exec(container, "sh", "-c", "cat /d/f; readlink /d/lf").out == "newf\n"
    with pytest.raises(InvalidValue, match="no such directory"):
        bench.engine.copy_in(container.id, str(tmp_path / "in"), "/nowhere/.")


def test_the_kernel_s_files_are_read_and_devices_refused(bench: Bench, tmp_path: Path) -> None:
    container = bench.start()
    bench.engine.copy_out(container.id, "/proc/1/status", str(tmp_path / "status"))
    assert "Name:" in (tmp_path / "status").read_text()
    with pytest.raises(InvalidValue, match="it is a device"):
        bench.engine.copy_out(container.id, "/dev/null", str(tmp_path / "null"))


def test_a_container_that_restarts_waits_for_the_copy(bench: Bench, tmp_path: Path) -> None:
    container = bench.start("sh", "-c", "test -e /fixed && exec sleep 1000", restart=RestartPolicy("always"))
    (tmp_path / "fixed").write_text("x" * (32 << 20))
    bench.engine.copy_in(container.id, str(tmp_path / "fixed"), "/fixed")
    until(lambda: bench.engine.container(container.id).state is State.RUNNING, 30)
    assert bench.exec(container, "stat", "-c", "%s", "/fixed").out == f"{32 << 20}\n"


@pytest.mark.parametrize("way", ["in", "out"])
def test_a_copy_tells_how_far_it_is_and_can_be_cancelled(
    bench: Bench, made: Container, tmp_path: Path, way: str
) -> None:
    size = 30 << 20
    if way == "in":
        (tmp_path / "big").write_bytes(os.urandom(1 << 20) * 30)
        arguments = (made.id, str(tmp_path / "big"), "/big")
        copy = bench.engine.copy_in
    else:
        (tmp_path / "first").write_bytes(os.urandom(1 << 20) * 30)
        bench.engine.copy_in(made.id, str(tmp_path / "first"), "/big")
        arguments = (made.id, "/big", str(tmp_path / "copied"))
        copy = bench.engine.copy_out
    steps: list[Progress] = []
    copy(*arguments, progress=steps.append)
    assert steps[-1].done >= size
    assert [step.done for step in steps] == sorted(step.done for step in steps)

    def stop(step: Progress) -> None:
        if step.done > size // 3:
            raise Cancelled("cancelled")

    with pytest.raises(Cancelled):
        copy(*arguments, progress=stop)
    bench.engine.copy_out(made.id, "/d/f", str(tmp_path / "after"))
    assert (tmp_path / "after").read_text() == "one\n", "it can be copied from and to as before"
