"""Ids: what root inside is outside, and that no way leads to another id."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pyctr_engine.model.spec import Mount, Security
from tests.engine.containers.conftest import Bench
from tests.engine.isolation.attacks import attack, attack_by_exec

pytestmark = pytest.mark.root

IDS = """
def write(path, text):
    with open(path, "w") as file:
        file.write(text)
attempt("another map", write, "/proc/self/uid_map", "0 0 1\\n")
attempt("another group map", write, "/proc/self/gid_map", "0 0 1\\n")
attempt("setgroups", write, "/proc/self/setgroups", "deny")
attempt("an id beyond", lambda: in_fork(os.setuid, 65536))
attempt("the overflow id", lambda: in_fork(os.setuid, 4294967294))
attempt("a group beyond", lambda: in_fork(os.setgroups, [65536]))
attempt("chown beyond", lambda: os.chown("/tmp", 65536, -1))
attempt("any id it has", lambda: in_fork(os.setuid, 65535))
attempt("any group it has", lambda: in_fork(os.setgroups, [65535, 0]))
"""
IN_FORK = """
def in_fork(act, *arguments):
    pid = os.fork()
    if pid == 0:
        try:
            act(*arguments)
        except OSError as error:
            os._exit(error.errno)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code:
        raise OSError(code, "")
"""


def test_no_id_but_its_own_can_be_had(bench: Bench) -> None:
    for told in (
        attack(bench, IN_FORK + IDS),
        attack(bench, IN_FORK + IDS, security=Security(cap_add=("ALL",))),
        attack_by_exec(bench, bench.start(), IN_FORK + IDS),
    ):
        assert (told.pop("any id it has"), told.pop("any group it has")) == ("done", "done")
        assert set(told.values()) <= {"EPERM", "EINVAL", "EACCES"}


def test_a_users_groups_are_dropped_and_cannot_be_taken_back(bench: Bench) -> None:
    """The spawner's groups are the host's: setgroups(0) comes before all else."""
    script = 'told["groups"] = os.getgroups()\nattempt("more", os.setgroups, [0, 1])'
    assert attack(bench, script, user="1000") == {"groups": [], "more": "EPERM"}
    assert attack(bench, script, user="1000", security=Security(userns="host"))["more"] == "EPERM"


def test_the_hosts_files_belong_to_nobody_inside(bench: Bench, host_directory: Path) -> None:
    """Where ids aren't mapped, root inside is one of the others; a set-user-id program of its own is nobody's."""
    script = """
attempt("shadow", read, "/host/etc/shadow")
attempt("write", open_for_writing, "/host/etc/passwd")
told["owner"] = os.stat("/host/proc/1").st_uid if os.path.exists("/host/proc/1") else 65534
"""
    mounts = (Mount("bind", "/proc", "/host/proc"),)
    told = attack(bench, script, mounts=mounts)
    assert told["owner"] == 65534
    program = host_directory / "su"
    program.write_bytes(Path("/bin/true").read_bytes())
    program.chmod(0o4755)
    bench.run(
        "sh", "-c", "cp /usr/bin/id /volume/id; chmod 4755 /volume/id", mounts=(Mount("volume", "own", "/volume"),)
    )
    placed = Path(bench.engine.paths.state, "volumes", "own", "_data", "id")
    assert placed.stat().st_mode & 0o4000, "root's set-user-id program, as the container sees it"
    for directory in (bench.engine.paths.state, bench.engine.paths.run):
        assert os.stat(directory).st_mode & 0o077 == 0, "but no user of the host gets there to run it"


def test_sysfs_without_a_network_of_its_own_cannot_be_written(bench: Bench) -> None:
    """With the host's network, /sys shows the host's devices: read-only, or not there at all."""
    script = """
links = os.listdir("/sys/class/net") if os.path.isdir("/sys/class/net") else []
paths = [f"/sys/class/net/{name}/mtu" for name in links[:3]]
for path in paths + ["/sys/kernel/mm/ksm/run", "/proc/sys/net/ipv4/ip_forward", "/proc/sys/kernel/hostname"]:
    if os.path.exists(path):
        attempt(path, open_for_writing, path)
"""
    for options in ({"network": "host"}, {"network": "none"}, {"security": Security(userns="host")}):
        told = attack(bench, script, **options)
        assert told
        assert set(told.values()) <= {"EROFS", "EACCES"}
    joined = bench.start(name="first")
    told = attack(bench, script, network=f"container:{joined.id}")
    assert set(told.values()) <= {"EROFS", "EACCES"}


def test_root_inside_is_no_id_of_the_hosts_users(bench: Bench) -> None:
    container = bench.start()
    outside = os.stat(f"/proc/{container.status.pid}").st_uid
    assert outside >= 65536
    with open("/etc/passwd") as file:
        assert outside not in {int(line.split(":")[2]) for line in file}
