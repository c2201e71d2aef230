"""What doctor makes of what it finds: the level, and that every lack has a cost and a remedy."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyctr_engine.cgroups.layout import Layout
from pyctr_engine.host import control_groups, kernel, network, rootless, storage
from pyctr_engine.host.doctor import doctor, probe
from pyctr_engine.model.host import Finding
from pyctr_engine.paths import Paths

GIB = 1 << 30
ALL_OK = dict.fromkeys((*kernel._SINCE, "userns", "idmap", "overlay", "veth", "bridge", "nftables"), ("ok", ""))


@pytest.mark.parametrize(
    ("release", "level"),
    [
        ("6.1.0-18-amd64", "ok"),
        ("5.15.0-91-generic", "warn"),
        ("5.12", "warn"),
        ("5.4.0", "fail"),
        ("4.18.0-x", "fail"),
    ],
)
def test_kernel_versions(release: str, level: str) -> None:
    assert kernel.version(release).level == level


def test_root_without_capabilities_is_told_which() -> None:
    finding = kernel.privileges("Name:\tx\nCapEff:\t00000000a80425fb\n")
    assert finding.level == "fail"
    assert finding.detail == "root without CAP_SYS_ADMIN, CAP_NET_ADMIN"
    assert kernel.privileges("CapEff:\t000001ffffffffff\n").level == "ok"


def test_a_missing_system_call_is_named_with_its_version() -> None:
    finding = kernel.system_calls({**ALL_OK, "openat2": ("ENOSYS", "function not implemented")})
    assert (finding.level, finding.detail) == ("fail", "missing: openat2 (Linux 5.6)")


def test_a_file_system_that_cannot_be_idmapped() -> None:
    finding = kernel.idmapped("/", {"idmap": ("EINVAL", "invalid argument")})
    assert finding.level == "fail"
    assert "--state-dir" in finding.cost


@pytest.mark.parametrize(("allowed", "level"), [("1\t0\n", "warn"), ("0\t2147483647\n", "ok"), ("", "warn")])
def test_who_may_ping(allowed: str, level: str) -> None:
    finding = rootless.ping(allowed)
    assert finding.level == level
    assert (level == "ok") is not ("ping_group_range" in finding.cost)


@pytest.mark.parametrize("result", ["ENODEV", "EINVAL", "EPERM", "failed"])
def test_an_overlay_that_cannot_be_mounted(result: str) -> None:
    assert kernel.overlay({"overlay": (result, "…")}).level == "fail"
    assert kernel.overlay({}).level == "fail"


def test_seccomp_needs_the_kernel_and_the_library() -> None:
    assert kernel.seccomp("kill_process kill_thread trap errno log allow", True).level == "ok"
    assert kernel.seccomp("kill_process errno", False).level == "fail"
    assert kernel.seccomp("", True).level == "warn"


def test_the_file_system_of_a_path_is_the_nearest_mount_above_it(tmp_path: Path) -> None:
    table = "1 0 254:0 / / rw - ext4 /dev/vda rw\n"
    table += f"2 1 0:5 / {tmp_path} rw - tmpfs t rw\n3 1 0:6 / {tmp_path}x rw - xfs x rw\n"
    assert kernel.file_system(str(tmp_path / "a"), table) == "tmpfs"
    assert kernel.file_system("/elsewhere", table) == "ext4"


@pytest.mark.parametrize(
    ("free", "inodes", "level"),
    [(10 * GIB, 10**6, "ok"), (GIB, 10**6, "warn"), (GIB // 10, 10**6, "fail"), (10 * GIB, 5, "warn")],
)
def test_disk_space(free: int, inodes: int, level: str) -> None:
    assert storage.space("/s", free, inodes, 10**7).level == level


def test_file_systems_without_a_table_of_inodes_have_enough() -> None:
    assert storage.space("/s", 10 * GIB, 0, 0).level == "ok"


def test_id_ranges() -> None:
    assert storage.id_ranges("", "alice:100000:65536\n").level == "ok"
    two = "root:100000:131072\n"
    assert storage.id_ranges(two, two).detail == "room for 2 containers in /etc/subuid and /etc/subgid"
    assert storage.id_ranges(two, "").level == "warn"
    assert storage.id_ranges("root:1:100\n", "root:1:100\n").level == "warn"


def test_dockers_forward_policy_and_what_it_costs() -> None:
    docker = "chain FORWARD { type filter hook forward priority filter; policy drop; jump DOCKER-USER }"
    finding = network.foreign_firewall(docker, True, "pyctr0")
    assert finding.level == "warn"
    assert "other containers" in finding.cost
    assert "iptables -I DOCKER-USER -i pyctr0 -j ACCEPT" in finding.cost
    assert network.foreign_firewall(docker.replace("drop", "accept"), True, "pyctr0").level == "ok"
    assert network.foreign_firewall("", False, "pyctr0").level == "ok"


def test_missing_controllers_say_what_they_cost(tmp_path: Path) -> None:
    here = Layout("v2", str(tmp_path), frozenset({"cpu", "io", "pids", "cpuset"}), {})
    found = control_groups.controllers(here)
    assert [(finding.level, finding.subject) for finding in found] == [
        ("ok", "controllers"),
        ("warn", "memory controller"),
    ]
    assert "cgroup_enable=memory" in found[1].cost


def test_controllers_that_are_not_delegated_to_a_user_say_what_they_cost_and_how_they_are(tmp_path: Path) -> None:
    host = Layout("v2", str(tmp_path), frozenset({"cpu", "io", "memory", "pids", "cpuset"}), {})
    usual = Layout("v2", str(tmp_path), frozenset({"memory", "pids"}), {})
    (finding,) = rootless.delegated(usual, host)
    assert finding.level == "warn"
    assert finding.detail == "delegated to this user: memory, pids, not cpu, io, cpuset"
    assert "cpuset) is refused" in finding.cost and rootless.DELEGATION in finding.cost
    assert [finding.level for finding in rootless.delegated(host, host)] == ["ok"]
    lacks_one = Layout("v2", str(tmp_path), frozenset({"cpu", "io", "pids", "cpuset"}), {})
    assert [(finding.level, finding.subject) for finding in rootless.delegated(lacks_one, lacks_one)] == [
        ("ok", "control groups"),
        ("warn", "memory controller"),
    ]


def test_killing_at_once_needs_the_unified_tree_and_5_14() -> None:
    v2, v1 = Layout("v2", "/c", frozenset(), {}), Layout("v1", "", frozenset(), {"freezer": "/c/freezer"})
    assert control_groups.kill(v2, "6.1.0").level == "ok"
    assert control_groups.kill(v2, "5.10.0").level == "warn"
    assert control_groups.kill(v1, "6.1.0").level == "warn"


def every_lack_has_a_cost(findings: list[Finding]) -> None:
    for finding in findings:
        assert finding.subject and finding.detail
        assert bool(finding.cost) == (finding.level != "ok"), finding


def test_every_lack_has_a_cost() -> None:
    paths = Paths("/var/lib/x", "/run/x")
    none: dict[str, tuple[str, str]] = {}
    refused = dict.fromkeys(ALL_OK, ("EPERM", "operation not permitted"))
    for outcomes in (none, refused, ALL_OK):
        every_lack_has_a_cost([*kernel.check(paths, outcomes), *network.check(paths, outcomes)])


def test_doctor_leaves_nothing_behind(tmp_path: Path) -> None:
    findings = doctor(Paths(str(tmp_path / "state"), str(tmp_path / "run")))
    every_lack_has_a_cost(findings)
    assert len(findings) >= 15
    assert os.listdir(tmp_path) == []


@pytest.mark.root
def test_this_machine_can_run_containers(tmp_path: Path) -> None:
    """What the engine's other tests rely on."""
    failed = [finding for finding in doctor(Paths(str(tmp_path), str(tmp_path))) if finding.level == "fail"]
    assert failed == []


@pytest.mark.root
def test_the_probe_notices_a_file_system_that_cannot_be_idmapped() -> None:
    result, _ = probe("/proc/self")["idmap"]
    assert result in errno.errorcode.values()


@pytest.fixture
def for_everybody() -> Iterator[str]:
    """A copy of the package that an ordinary user can read."""
    directory = tempfile.mkdtemp(prefix="pyctr-test-", dir="/tmp")
    os.chmod(directory, 0o755)
    package = os.path.dirname(os.path.dirname(control_groups.__file__))
    shutil.copytree(package, f"{directory}/pyctr_engine", ignore=shutil.ignore_patterns("__pycache__"))
    yield directory
    shutil.rmtree(directory)


@pytest.mark.root
def test_an_ordinary_user_gets_findings_not_tracebacks(for_everybody: str) -> None:
    # The interpreter of a virtual environment may lie in root's home; Debian's own does not.
    interpreter = next((path for path in ("/usr/bin/python3.11", "/usr/bin/python3") if os.path.exists(path)), "")
    if not interpreter:
        pytest.skip("no interpreter that an ordinary user can run")
    program = (
        f"import sys; sys.path.insert(0, {for_everybody!r});"
        "from pyctr_engine.host.doctor import doctor; from pyctr_engine.paths import Paths;"
        "found = doctor(Paths('/var/lib/nobody', '/tmp/nobody'));"
        "print(sum(f.level == 'fail' for f in found), all(f.cost for f in found if f.level != 'ok'))"
    )
    ran = subprocess.run(
        [interpreter, "-I", "-S", "-B", "-c", program],
        capture_output=True,
        text=True,
        user="nobody",
        group="nogroup",
        extra_groups=[],
        cwd="/",
        check=False,
    )
    assert ran.stderr == ""
    failures, every_lack_has_its_cost = ran.stdout.split()
    assert int(failures) >= 1  # nobody was given any ids
    assert every_lack_has_its_cost == "True"
