"""Namespaces that are shared: with the host, and with another container."""

from __future__ import annotations

import os
import time

import pytest

from pyctr_engine.errors import Conflict, InvalidValue
from pyctr_engine.model.spec import ContainerRequest, Namespaces, RestartPolicy, Security
from tests.engine.containers.conftest import IMAGE, Bench

pytestmark = pytest.mark.root

KINDS = ("user", "net", "pid", "ipc", "uts", "cgroup", "mnt", "time")
LINKS = f"for kind in {' '.join(KINDS)}; do readlink /proc/self/ns/$kind; done"


def links(text: str) -> dict[str, str]:
    return dict(zip(KINDS, text.split(), strict=True))


def own(pid: int | str = "self") -> dict[str, str]:
    return {kind: os.readlink(f"/proc/{pid}/ns/{kind}") for kind in KINDS}


def test_by_default_all_but_the_time_namespace_are_its_own(bench: Bench) -> None:
    inside, host = links(bench.run("sh", "-c", LINKS).out), own()
    assert {kind for kind in KINDS if inside[kind] == host[kind]} == {"time"}


@pytest.mark.parametrize(
    ("asked", "shared"),
    [
        ({"namespaces": Namespaces(pid="host")}, {"pid", "user"}),
        ({"namespaces": Namespaces(ipc="host")}, {"ipc", "user"}),
        ({"namespaces": Namespaces(uts="host")}, {"uts"}),
        ({"namespaces": Namespaces(cgroup="host")}, {"cgroup"}),
        ({"network": "host"}, {"net", "user"}),
        ({"security": Security(userns="host")}, {"user"}),
        ({"security": Security(privileged=True)}, {"user"}),
    ],
)
def test_what_is_asked_to_be_the_hosts_is_and_nothing_more(
    bench: Bench, asked: dict[str, object], shared: set[str]
) -> None:
    inside, host = links(bench.run("sh", "-c", LINKS, **asked).out), own()
    assert {kind for kind in KINDS if inside[kind] == host[kind]} == shared | {"time"}


@pytest.mark.parametrize("kind", ["pid", "ipc", "uts", "net", "user"])
def test_what_is_anothers_is_shared_with_the_user_namespace_it_belongs_to(bench: Bench, kind: str) -> None:
    other = bench.start(hostname="theother")
    mode = f"container:{other.name}"
    asked = {
        "net": {"network": mode},
        "user": {"security": Security(userns=mode)},
    }.get(kind) or {"namespaces": Namespaces(**{kind: mode})}
    mine = bench.start(**asked)
    theirs, ours = own(other.status.pid), own(mine.status.pid)
    assert {one for one in KINDS if ours[one] == theirs[one]} == {kind, "user", "time"}
    inside = bench.exec(mine, "sh", "-c", LINKS).out
    assert links(inside) == ours, "an exec is in the same ones"


def test_processes_of_another_container_are_seen_and_end_with_it_not_with_us(bench: Bench) -> None:
    other = bench.start("sleep", "4321")
    mode = Namespaces(pid=f"container:{other.name}")
    mine = bench.start("sh", "-c", "sleep 1234 & wait", namespaces=mode)
    seen = bench.exec(mine, "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '").out
    assert "sleep 4321" in seen
    assert "sleep 1234" in seen
    bench.engine.stop(mine.id)
    left = bench.exec(other, "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '").out
    assert "sleep 1234" not in left, "what it left in a namespace that goes on is killed"
    assert "sleep 4321" in left


def test_a_process_left_in_the_hosts_pid_namespace_is_killed_at_the_end(bench: Bench) -> None:
    container = bench.start("sh", "-c", "setsid sleep 98765 & exec sleep 2", namespaces=Namespaces(pid="host"))
    bench.engine.stop(container.id)
    assert not [pid for pid in os.listdir("/proc") if pid.isdigit() and b"98765" in _command(pid)]


def _command(pid: str) -> bytes:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read()
    except OSError:
        return b""


def test_ipc_is_shared_with_its_memory_files(bench: Bench) -> None:
    other = bench.start()
    bench.exec(other, "sh", "-c", "echo hello > /dev/shm/note")
    mine = bench.run("cat", "/dev/shm/note", namespaces=Namespaces(ipc=f"container:{other.name}"))
    assert mine.out == "hello\n"
    hosts = bench.run("sh", "-c", "stat -c %d /dev/shm", namespaces=Namespaces(ipc="host"))
    assert int(hosts.out) == os.stat("/dev/shm").st_dev
    none = bench.run("sh", "-c", "grep -c /dev/shm /proc/self/mounts; true", namespaces=Namespaces(ipc="none"))
    assert none.out == "0\n"


def test_a_restart_goes_back_into_the_namespaces_of_the_other(bench: Bench) -> None:
    other = bench.start()
    shared = Namespaces(pid=f"container:{other.name}", ipc=f"container:{other.name}")
    mine = bench.start("sh", "-c", "sleep 0.3; exit 1", namespaces=shared, restart=RestartPolicy("always"))
    deadline = time.monotonic() + 20
    while bench.engine.container(mine.id).status.restart_count < 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    while (now := bench.engine.container(mine.id).status).pid == 0:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    theirs, ours = own(other.status.pid), own(now.pid)
    assert {one for one in KINDS if ours[one] == theirs[one]} == {"pid", "ipc", "user", "time"}


def test_sharing_with_one_that_does_not_run_is_refused_with_what_to_do(bench: Bench) -> None:
    other = bench.engine.create(ContainerRequest(IMAGE, command=("true",)))
    mine = bench.engine.create(
        ContainerRequest(IMAGE, command=("true",), namespaces=Namespaces(pid=f"container:{other.name}"))
    )
    with pytest.raises(Conflict, match="is not running") as caught:
        bench.engine.start(mine.id)
    assert other.name in caught.value.hint


@pytest.mark.parametrize("kind", ["pid", "net", "user"])
def test_the_ids_of_a_removed_one_are_nobodys_while_another_is_in_its_user_namespace(bench: Bench, kind: str) -> None:
    other = bench.start()
    mode = f"container:{other.name}"
    asked = {"net": {"network": mode}, "user": {"security": Security(userns=mode)}}
    mine = bench.start(**asked.get(kind) or {"namespaces": Namespaces(pid=mode)})
    third = bench.start(security=Security(userns=mode))
    bench.engine.remove(other.id, force=True)
    fresh = bench.engine.create(ContainerRequest(IMAGE, command=("true",)))
    assert fresh.spec.ids != mine.spec.ids
    bench.engine.remove(mine.id, force=True)
    assert bench.engine.create(ContainerRequest(IMAGE, command=("true",))).spec.ids != mine.spec.ids
    bench.engine.remove(third.id, force=True)
    assert bench.engine.create(ContainerRequest(IMAGE, command=("true",))).spec.ids == mine.spec.ids


def test_two_in_different_user_namespaces_cannot_both_be_shared_with(bench: Bench) -> None:
    one, two = bench.start(), bench.start()
    request = ContainerRequest(
        IMAGE, network=f"container:{one.name}", namespaces=Namespaces(pid=f"container:{two.name}")
    )
    with pytest.raises(Conflict, match="different user namespaces"):
        bench.engine.create(request)


def test_a_rename_is_followed(bench: Bench) -> None:
    other = bench.start()
    mine = bench.engine.create(
        ContainerRequest(IMAGE, command=("hostname",), namespaces=Namespaces(uts=f"container:{other.name}"))
    )
    bench.engine.rename(other.id, "renamed")
    assert bench.engine.container(mine.id).spec.request.namespaces.uts == "container:renamed"
    assert bench.engine.start(mine.id)


def test_the_cgroups_of_the_host_are_seen_but_not_written(bench: Bench) -> None:
    script = "cat /proc/self/cgroup; ls /sys/fs/cgroup | head -3; mkdir /sys/fs/cgroup/*/x /sys/fs/cgroup/x"
    outcome = bench.run("sh", "-c", script, namespaces=Namespaces(cgroup="host"))
    assert "/containers/" in outcome.out
    assert "Read-only file system" in outcome.err
    assert len(outcome.out.splitlines()) > 1


def test_a_time_namespace_has_clocks_of_its_own(bench: Bench) -> None:
    asked = Namespaces(time="private", boottime=1_000_000)
    container = bench.start(namespaces=asked)
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    inside = float(bench.exec(container, "cut", "-d ", "-f1", "/proc/uptime").out)
    assert 1_000_000 - 1 < inside - before < 1_000_000 + 60
    assert own(container.status.pid)["time"] != own()["time"]


def test_the_domain_name_is_its_own(bench: Bench) -> None:
    asked = {"domainname": "example.org", "hostname": "web"}
    assert bench.run("cat", "/proc/sys/kernel/domainname", **asked).out == "example.org\n"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"namespaces": Namespaces(pid="shiny")}, "no pid namespace"),
        ({"namespaces": Namespaces(uts="host"), "hostname": "x"}, "host name can't be set"),
        ({"namespaces": Namespaces(boottime=1)}, "private time namespace only"),
        (
            {"namespaces": Namespaces(ipc="host"), "sysctls": {"kernel.shmmax": "1"}},
            "ipc namespace is that of the host",
        ),
        ({"network": "host", "sysctls": {"net.ipv4.ip_forward": "1"}}, "network namespace is that of the host"),
        ({"network": "host", "security": Security(userns="keep-id")}, "needs the host's user namespace"),
        ({"security": Security(userns="1:2")}, "no user namespace"),
        ({"security": Security(userns="0:0:65536")}, "root outside"),
    ],
)
def test_what_cannot_be_is_refused(bench: Bench, asked: dict[str, object], said: str) -> None:
    with pytest.raises(InvalidValue, match=said):
        bench.engine.create(ContainerRequest(IMAGE, **asked))  # type: ignore[arg-type]
