"""What it looks like from inside, for the container's program and for those of exec, with and without a terminal.

Nothing of the host's is there, but what can't be avoided: the directories that binds come from stand in mountinfo.
"""

from __future__ import annotations

import pwd
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from pyctr_engine.linux import capabilities
from pyctr_engine.model.spec import Security
from tests.engine.containers.conftest import Bench
from tests.engine.isolation.attacks import attack, attack_by_exec

pytestmark = pytest.mark.root

LOOK = """
told["status"] = dict(line.split(":\\t", 1) for line in read("/proc/self/status").splitlines() if ":\\t" in line)
told["mounts"] = read("/proc/self/mountinfo").splitlines()
told["descriptors"] = {fd: os.readlink(f"/proc/self/fd/{fd}") for fd in ("0", "1", "2")}
told["more descriptors"] = [fd for fd in os.listdir("/proc/self/fd") if int(fd) > 3]
told["environment"] = dict(os.environ)
told["cgroup"] = read("/proc/self/cgroup").splitlines()
told["hostname"] = [socket.gethostname(), read("/proc/sys/kernel/hostname").strip(), os.uname().nodename]
told["domain"] = read("/proc/sys/kernel/domainname").strip()
told["links"] = sorted(os.listdir("/sys/class/net"))
told["net"] = [line.split(":")[0].strip() for line in read("/proc/net/dev").splitlines()[2:]]
told["listening"] = len(read("/proc/net/tcp").splitlines()) - 1
told["unix"] = len(read("/proc/net/unix").splitlines()) - 1
told["processes"] = {name: read(f"/proc/{name}/comm").strip() for name in os.listdir("/proc") if name.isdigit()}
told["session"] = [os.getsid(0), os.getpgrp(), os.getppid()]
told["terminal"] = [os.isatty(fd) for fd in (0, 1, 2)]
told["limits"] = read("/proc/self/limits")
told["keys"] = read("/proc/keys")
told["shared memory"] = read("/proc/sysvipc/shm").splitlines()[1:]
told["queues"] = os.listdir("/dev/mqueue")
told["signals"] = [told["status"]["SigBlk"], told["status"]["SigIgn"]]
told["nice"] = os.getpriority(os.PRIO_PROCESS, 0)
told["directory"] = os.getcwd()
told["loginuid"] = read("/proc/self/loginuid") if os.path.exists("/proc/self/loginuid") else ""
told["root"] = sorted(os.listdir("/"))
told["timens"] = read("/proc/self/timens_offsets") if os.path.exists("/proc/self/timens_offsets") else ""
"""


@pytest.fixture(params=["run", "run -t", "exec", "exec -t"])
def seen(request: pytest.FixtureRequest, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What a program tells of itself; the engine's caller has things that it must not see."""
    monkeypatch.setenv("HOST_SECRET", "x")
    tty = request.param.endswith("-t")
    if request.param.startswith("run"):
        return attack(bench, LOOK, tty=tty, hostname="inside") | {"way": "run", "tty": tty}
    container = bench.start(hostname="inside", tty=tty)
    return attack_by_exec(bench, container, LOOK, tty=tty) | {"way": "exec", "tty": tty}


def test_status_tells_of_no_more_rights_than_were_given(seen: dict[str, Any]) -> None:
    status = seen["status"]
    default = f"{capabilities.mask(capabilities.DEFAULT):016x}"
    assert [status[name] for name in ("CapPrm", "CapEff", "CapBnd")] == [default] * 3
    assert [status[name] for name in ("CapInh", "CapAmb")] == ["0" * 16] * 2
    assert (status["Seccomp"], status["Seccomp_filters"].strip()) == ("2", "1")
    assert status["Uid"].split() == status["Gid"].split() == ["0"] * 4
    assert status["Groups"].split() == []
    assert status["TracerPid"] == "0"
    assert status["NSpid"].split() == [status["Pid"]], "its pid in the host's namespace is not told"
    assert status["Umask"] == "0022"


def test_signals_and_limits_are_as_a_program_expects_them(seen: dict[str, Any]) -> None:
    blocked, ignored = (int(mask, 16) for mask in seen["signals"])
    assert blocked == 0
    pythons = 1 << signal.SIGPIPE - 1 | 1 << signal.SIGXFSZ - 1
    the_librarys = 1 << 32 - 1 | 1 << 33 - 1  # which nobody but the C library can set
    assert ignored & ~(pythons | the_librarys) == 0
    assert seen["nice"] == 0
    assert seen["directory"] == "/"


def test_its_descriptors_are_three(seen: dict[str, Any]) -> None:
    assert seen["more descriptors"] == []
    assert seen["terminal"] == [seen["tty"]] * 3
    if seen["tty"]:
        number = "0" if seen["way"] == "run" else "1"
        assert set(seen["descriptors"].values()) == {f"/dev/pts/{number}"}
    else:
        assert seen["descriptors"]["0"] == "/dev/null"
        assert {link.split(":")[0] for fd, link in seen["descriptors"].items() if fd != "0"} == {"pipe"}


def test_its_environment_is_the_images(seen: dict[str, Any]) -> None:
    assert set(seen["environment"]) - {"TERM", "LC_CTYPE"} == {"HOME", "LANG", "PATH"}


def test_its_cgroup_is_the_root_of_all(seen: dict[str, Any]) -> None:
    assert seen["cgroup"]
    assert [line for line in seen["cgroup"] if not line.endswith(":/")] == []


def test_it_has_names_of_its_own(seen: dict[str, Any]) -> None:
    assert set(seen["hostname"]) == {"inside"}
    assert socket.gethostname() not in seen["hostname"]
    assert seen["domain"] in ("", "(none)")


def test_its_network_is_its_own(seen: dict[str, Any]) -> None:
    assert set(seen["links"]) >= {"eth0", "lo"}
    assert {name for name in (*seen["links"], *seen["net"]) if name.startswith(("pyctr", "veth", "docker"))} == set()
    assert (seen["listening"], seen["unix"]) == (0, 0)


def test_it_sees_its_own_processes(seen: dict[str, Any]) -> None:
    assert len(seen["processes"]) <= 3
    assert "1" in seen["processes"]
    session, group, parent = seen["session"]
    assert session == group == int(seen["status"]["Pid"])
    assert parent == 0, "who made it is not there to be seen"


def test_it_has_no_keys_and_nothing_is_shared(seen: dict[str, Any]) -> None:
    assert (seen["keys"], seen["shared memory"], seen["queues"]) == ("", [], [])


def test_mountinfo_names_nothing_of_the_host_but_where_binds_come_from(seen: dict[str, Any], bench: Bench) -> None:
    """The three files of names come from the run directory: their paths show, as in docker; nothing else does."""
    paths = bench.engine.paths
    named = [line.split()[4] for line in seen["mounts"] if paths.state in line or paths.run in line]
    assert sorted(named) == ["/etc/hostname", "/etc/hosts", "/etc/resolv.conf"]
    roots = {line.split()[4]: line.split()[3] for line in seen["mounts"]}
    others = {point: root for point, root in roots.items() if point not in named and root != "/"}
    assert set(others.values()) <= {
        f"/{name}" for name in "null zero full random urandom tty bus fs irq sys 0 sysrq-trigger".split()
    }, others
    [root] = [line for line in seen["mounts"] if line.split()[4] == "/"]
    options = dict(item.partition("=")[::2] for item in root.split()[-1].split(","))
    for name in ("lowerdir", "upperdir", "workdir"):
        assert not options[name].startswith("/"), "layers are known by short names"


def test_a_bind_tells_where_it_comes_from(bench: Bench, host_directory: Path) -> None:
    """What can't be avoided: a mount knows which part of its file system it is."""
    from pyctr_engine.model.spec import Mount

    told = attack(bench, LOOK, mounts=(Mount("bind", str(host_directory), "/given"),))
    [line] = [line for line in told["mounts"] if line.split()[4] == "/given"]
    assert line.split()[3].endswith("/host")


def test_what_the_machine_is_can_be_told_but_not_who_uses_it(bench: Bench) -> None:
    """Files of /proc that know no namespaces; of users, processes and files of the host they say nothing."""
    script = """
told["texts"] = {}
for name in "cmdline version meminfo cpuinfo mounts locks swaps net/arp net/route net/tcp".split():
    try:
        told["texts"][name] = read("/proc/" + name)
    except OSError:
        pass
"""
    told = attack(bench, script)["texts"]
    everything = "\n".join(told.values())
    state = bench.engine.paths.state
    assert state not in everything
    assert told["locks"] == "" or all("0" not in line.split()[4:5] for line in told["locks"].splitlines())
    homes = {entry.pw_dir for entry in pwd.getpwall() if entry.pw_uid == 0 or entry.pw_uid >= 1000}
    assert "/root" in homes
    assert not [home for home in homes if home in told["mounts"]]


def test_with_the_hosts_ids_it_looks_the_same(bench: Bench) -> None:
    told = attack(bench, LOOK, security=Security(userns="host"))
    assert [line for line in told["cgroup"] if not line.endswith(":/")] == []
    assert told["keys"] == ""
    assert told["more descriptors"] == []
    assert told["status"]["CapEff"] == f"{capabilities.mask(capabilities.DEFAULT):016x}"
    assert told["status"]["Groups"].split() == []
