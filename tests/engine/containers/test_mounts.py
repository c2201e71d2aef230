"""What is mounted into a container: binds, volumes, devices, and whose files they are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pyctr_engine.errors import Conflict, InvalidValue
from pyctr_engine.model.spec import ContainerRequest, Device, Mount
from tests.engine.containers.conftest import Bench

pytestmark = pytest.mark.root


def test_a_bind_shows_the_hosts_files_with_their_ids(bench: Bench, host_directory: Path) -> None:
    file = host_directory / "f"
    file.write_text("host\n")
    os.chown(file, 1000, 1000)
    mount = Mount("bind", str(host_directory), "/data")
    outcome = bench.run("sh", "-c", "cat /data/f; stat -c %u:%g /data/f; echo new > /data/g", mounts=(mount,))
    assert outcome.out == "host\n1000:1000\n"
    made = (host_directory / "g").stat()
    assert (made.st_uid, made.st_gid) == (0, 0), "as in docker: root inside makes root's files on a bind"


def test_a_read_only_bind_refuses_writes(bench: Bench, host_directory: Path) -> None:
    mount = Mount("bind", str(host_directory), "/data", read_only=True)
    outcome = bench.run("sh", "-c", "echo x > /data/x", mounts=(mount,))
    assert "Read-only file system" in outcome.err
    assert list(host_directory.iterdir()) == []


def test_a_file_can_be_bound_over_a_file(bench: Bench, host_directory: Path) -> None:
    (host_directory / "motd").write_text("mine\n")
    mount = Mount("bind", str(host_directory / "motd"), "/etc/os-release")
    assert bench.run("cat", "/etc/os-release", mounts=(mount,)).out == "mine\n"


def test_the_whole_host_can_be_shown_read_only(bench: Bench) -> None:
    mount = Mount("bind", "/", "/host", read_only=True)
    script = "cat /host/etc/hostname; ls /host/proc/1 >/dev/null && echo proc; (echo x > /host/x) 2>&1"
    script += "; stat -c %u /host/etc"
    lines = bench.run("sh", "-c", script, mounts=(mount,)).out.splitlines()
    with open("/etc/hostname") as file:
        assert lines[0] == file.read().strip()
    assert "proc" in lines
    assert any("Read-only file system" in line for line in lines)
    assert lines[-1] == "0"


def test_a_volume_keeps_files_between_containers_and_their_owners(bench: Bench) -> None:
    mount = Mount("volume", "kept", "/data")
    bench.run("sh", "-c", "echo v > /data/v; chown 33:33 /data/v", mounts=(mount,))
    assert bench.run("sh", "-c", "cat /data/v; stat -c %u:%g /data/v", mounts=(mount,)).out == "v\n33:33\n"
    [volume] = bench.engine.volumes()
    assert (volume["name"], volume["used_by"]) == ("kept", [])
    assert Path(volume["mountpoint"], "v").stat().st_uid == 33, "on disk ids are the container's own"
    bench.engine.remove_volume("kept")
    assert bench.engine.volumes() == []


def test_a_new_volume_is_filled_from_the_image_once(bench: Bench) -> None:
    mount = Mount("volume", "filled", "/etc")
    container = bench.start(mounts=(mount,))
    assert "root:" in bench.exec(container, "cat", "/etc/passwd").out
    bench.exec(container, "rm", "/etc/passwd")
    other = bench.start(mounts=(mount,))
    assert bench.exec(other, "test", "-e", "/etc/passwd").code == 1
    with pytest.raises(Conflict, match="in use"):
        bench.engine.remove_volume("filled")
    for each in (container, other):
        bench.engine.remove(each.id, force=True)
    bench.engine.remove_volume("filled")


def test_anonymous_volumes_go_with_their_container(bench: Bench) -> None:
    bench.run("touch", "/data/x", mounts=(Mount("volume", "", "/data"),))
    assert bench.engine.volumes() == []


def test_a_tmpfs_is_empty_and_bounded(bench: Bench) -> None:
    mount = Mount("tmpfs", "", "/scratch", size=1 << 20)
    outcome = bench.run("sh", "-c", "stat -f -c %T /scratch; head -c 3000000 /dev/zero > /scratch/x", mounts=(mount,))
    assert outcome.out == "tmpfs\n"
    assert "No space left" in outcome.err


def test_programs_in_a_tmpfs_run_only_if_that_is_asked_for(bench: Bench) -> None:
    script = "cp /bin/echo /scratch/; /scratch/echo ran"
    assert "Permission denied" in bench.run("sh", "-c", script, mounts=(Mount("tmpfs", "", "/scratch"),)).err
    asked = Mount("tmpfs", "", "/scratch", executable=True)
    assert bench.run("sh", "-c", script, mounts=(asked,)).out == "ran\n"


def test_a_device_of_the_host_appears_under_another_name(bench: Bench) -> None:
    outcome = bench.run(
        "sh", "-c", "echo gone > /dev/x; stat -c %t:%T /dev/x", devices=(Device("/dev/null", "/dev/x"),)
    )
    assert outcome.out == "1:3\n"
    with pytest.raises(InvalidValue, match="no such device"):
        bench.run("true", devices=(Device("/dev/no-such", "/dev/x"),))


def test_mount_points_leave_no_change_behind(bench: Bench, host_directory: Path) -> None:
    mounts = (Mount("bind", str(host_directory), "/made/for/this"), Mount("tmpfs", "", "/another"))
    container = bench.start(mounts=mounts)
    assert bench.engine.changes(container.id) == []


def test_a_target_behind_a_hostile_symlink_stays_inside(bench: Bench, host_directory: Path) -> None:
    """CVE-2021-30465 and its kin: the image points a mount's target at the host."""
    container = bench.start("sleep", "1000", name="evil")
    bench.exec(container, "sh", "-c", f"ln -s /../../../..{host_directory} /escape")
    from pyctr_engine.model.spec import CommitRequest

    bench.engine.commit("evil", CommitRequest(name="evil:1"))
    request = ContainerRequest(
        "evil:1",
        command=("sh", "-c", "echo in > /escape/sub/file; sleep 1000"),
        mounts=(Mount("tmpfs", "", "/escape/sub"),),
    )
    other = bench.engine.start(bench.engine.create(request).id)
    assert bench.exec(other, "cat", "/escape/sub/file").out == "in\n"
    assert list(host_directory.iterdir()) == []
    bench.engine.remove(other.id, force=True)
    bench.engine.remove("evil", force=True)
    bench.engine.remove_image("evil:1")


def test_what_cannot_be_mounted_is_said(bench: Bench) -> None:
    with pytest.raises(InvalidValue, match="no such file"):
        bench.run("true", mounts=(Mount("bind", "/no/such", "/x"),))
    with pytest.raises(InvalidValue, match="mounted twice"):
        bench.run("true", mounts=(Mount("tmpfs", "", "/x"), Mount("tmpfs", "", "/x/")))
    assert bench.engine.containers() == []
