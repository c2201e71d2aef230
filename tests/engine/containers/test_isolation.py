"""What a container sees of the host, and what it may do to it: nothing."""

from __future__ import annotations

import itertools
import json
import os

import pytest

from pyctr_engine.linux import capabilities
from pyctr_engine.model.spec import ContainerRequest, Security
from tests.engine.containers.conftest import IMAGE, Bench

pytestmark = pytest.mark.root

SYSCALLS = """
import ctypes, errno, json, os
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *args):
    ctypes.set_errno(0)
    return [libc.syscall(number, *args), errno.errorcode.get(ctypes.get_errno(), "0")]
CLONE_NEWUSER, AF_ALG = 0x10000000, 38
print(json.dumps({
    "unshare": call(272, CLONE_NEWUSER), "mount": call(165, b"x", b"/tmp", b"tmpfs", 0, None),
    "setns": call(308, 0, 0), "bpf": call(321, 0, 0, 0), "keyctl": call(250, 0, 0), "clone3": call(435, 0, 0),
    "io_uring_setup": call(425, 1, 0), "kexec_load": call(246, 0, 0, 0, 0), "add_key": call(248, 0, 0, 0, 0, 0),
    "perf_event_open": call(298, 0, 0, 0, 0, 0), "socket_alg": call(41, AF_ALG, 5, 0),
    "clone_newuser": call(56, CLONE_NEWUSER | 17, 0, 0, 0, 0), "fsopen": call(430, b"tmpfs", 0),
    "open_by_handle_at": call(304, 0, 0, 0), "swapon": call(167, b"/x", 0), "pivot_root": call(155, b"/", b"/"),
    "getpid": [os.getpid(), "0"],
}))
"""


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the numbers are x86_64's")
def test_the_filter_refuses_what_no_container_needs(bench: Bench) -> None:
    results = json.loads(bench.run("python3", "-c", SYSCALLS).out)
    assert results.pop("getpid")[0] == 1
    assert results.pop("clone3") == [-1, "ENOSYS"]
    assert {name: result for name, result in results.items() if result != [-1, "EPERM"]} == {}


def test_without_the_filter_the_same_calls_fail_otherwise(bench: Bench) -> None:
    outcome = bench.run("python3", "-c", SYSCALLS, security=Security(seccomp="unconfined"))
    results = json.loads(outcome.out)
    assert results["unshare"] == [0, "0"], "with no filter, a user namespace can be made: the filter was what held"


def test_status_shows_the_default_capabilities_a_filter_and_no_ambient(bench: Bench) -> None:
    status = dict(
        line.split(":\t", 1) for line in bench.run("cat", "/proc/self/status").out.splitlines() if ":\t" in line
    )
    mask = f"{capabilities.mask(capabilities.DEFAULT):016x}"
    assert (status["CapBnd"], status["CapEff"], status["CapPrm"]) == (mask, mask, mask)
    assert (status["CapInh"], status["CapAmb"]) == ("0" * 16, "0" * 16)
    assert (status["Seccomp"], status["NoNewPrivs"]) == ("2", "0")
    assert status["Groups"].strip() in ("", "0")


def test_a_plain_user_has_no_capabilities(bench: Bench) -> None:
    out = bench.run("grep", "-E", "Cap(Eff|Prm)", "/proc/self/status", user="1000").out
    assert out.split() == ["CapPrm:", "0" * 16, "CapEff:", "0" * 16]


def test_capabilities_can_be_dropped_and_added(bench: Bench) -> None:
    security = Security(cap_drop=("ALL",), cap_add=("NET_ADMIN",))
    out = bench.run("grep", "CapEff", "/proc/self/status", security=security).out
    assert int(out.split()[1], 16) == capabilities.mask(frozenset({"NET_ADMIN"}))


def test_no_new_privileges_is_an_option(bench: Bench) -> None:
    out = bench.run(
        "grep", "-E", "NoNewPrivs|Seccomp:", "/proc/self/status", security=Security(no_new_privileges=True)
    ).out
    assert out.split() == ["NoNewPrivs:", "1", "Seccomp:", "2"]


def test_each_container_has_ids_of_its_own(bench: Bench) -> None:
    maps = [bench.exec(bench.start(), "cat", "/proc/self/uid_map").out.split() for _ in range(3)]
    starts = sorted(int(map[1]) for map in maps)
    assert all(map[0] == "0" and map[2] == "65536" for map in maps)
    assert starts[0] >= 65536
    assert all(b - a >= 65536 for a, b in itertools.pairwise(starts))


def test_it_sees_its_own_processes_only(bench: Bench) -> None:
    pids = bench.run("sh", "-c", "ls /proc | grep -c '^[0-9]'").out
    assert int(pids) <= 4


def test_no_descriptor_of_ours_leaks_into_it(bench: Bench) -> None:
    out = bench.run("python3", "-c", "import os; print(sorted(os.listdir('/proc/self/fd')))").out
    assert out.strip() == "['0', '1', '2', '3']", "3 is the listing's own"
    # once it is loaded: until then the libraries that it maps are open one by one
    container = bench.start_when("ready", "sh", "-c", "echo ready; while :; do sleep 1; done")
    inside = os.listdir(f"/proc/{container.status.pid}/fd")
    assert sorted(inside) == ["0", "1", "2"]


def test_its_mounts_name_nothing_of_the_host_but_what_was_given(bench: Bench) -> None:
    points = {line.split()[4] for line in bench.run("cat", "/proc/self/mountinfo").out.splitlines()}
    files = {"/etc/hosts", "/etc/hostname", "/etc/resolv.conf"}
    assert {point for point in points if not point.startswith(("/proc", "/sys", "/dev"))} == {"/", *files}
    assert bench.run("ls", "/proc/1/root/").out == bench.run("ls", "/").out


def test_what_masks_and_protects_holds(bench: Bench) -> None:
    script = """
for path in /proc/kcore /proc/keys /proc/timer_list /proc/interrupts; do
    [ -e $path ] && [ -n "$(head -c1 $path 2>/dev/null)" ] && echo "readable $path"
done
for path in /proc/sys/kernel/core_pattern /proc/sysrq-trigger /sys/fs/cgroup/memory/memory.limit_in_bytes \
    /proc/sys/vm/drop_caches /sys/kernel/uevent_helper /proc/irq/default_smp_affinity; do
    (echo 1 > $path) 2>/dev/null && echo "writable $path"
done
ls /sys/firmware
true
"""
    assert bench.run("sh", "-c", script).out == ""


def test_devices_are_few_and_work(bench: Bench) -> None:
    out = bench.run(
        "sh", "-c", "ls /dev | tr '\\n' ' '; echo x > /dev/null; head -c 3 /dev/zero | od -An -c; mknod /x b 8 0"
    ).out
    assert out.startswith("core fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero ")
    assert out.split()[-3:] == ["\\0", "\\0", "\\0"]


def test_a_container_cannot_make_block_devices(bench: Bench) -> None:
    outcome = bench.run("mknod", "/disk", "b", "8", "0")
    assert outcome.code != 0
    assert "not permitted" in outcome.err


def test_it_cannot_reach_the_monitor_or_its_binary(bench: Bench) -> None:
    container = bench.start()
    script = "readlink /proc/1/exe; (echo x > /proc/1/exe) 2>&1; ls -A /run"
    program, refused, *others = bench.exec(container, "sh", "-c", script).out.splitlines()
    assert not [name for name in others if "pyctr" in name]
    assert "python" not in program
    assert "Text file busy" in refused


def test_a_read_only_root_refuses_writes_but_not_dev(bench: Bench) -> None:
    outcome = bench.run(
        "sh", "-c", "touch /x; echo ok > /dev/shm/y && cat /dev/shm/y", security=Security(read_only=True)
    )
    assert "Read-only file system" in outcome.err
    assert outcome.out == "ok\n"


def test_privileged_keeps_all_capabilities_and_the_hosts_ids(bench: Bench) -> None:
    out = bench.run(
        "sh", "-c", "grep CapEff /proc/self/status; cat /proc/self/uid_map", security=Security(privileged=True)
    ).out.split()
    assert int(out[1], 16) == capabilities.mask(frozenset(capabilities.NAMES)) & _own_bounding()
    assert out[2:] == ["0", "0", "4294967295"]


def _own_bounding() -> int:
    with open("/proc/self/status") as file:
        return next(int(line.split()[1], 16) for line in file if line.startswith("CapBnd"))


def test_a_start_leaves_no_change(bench: Bench) -> None:
    container = bench.start()
    assert bench.engine.changes(container.id) == []
    bench.engine.stop(container.id)
    assert bench.engine.changes(container.id) == []


def test_the_working_directory_cannot_be_a_leaked_descriptor(bench: Bench) -> None:
    """CVE-2024-21626: a working directory of /proc/self/fd/N that still led to the host."""
    for number in range(3, 12):
        request = ContainerRequest(
            IMAGE,
            command=("sh", "-c", "cat /proc/self/cwd/../../../../etc/hostname"),
            working_dir=f"/proc/self/fd/{number}",
            hostname="inside",
            auto_remove=True,
        )
        try:
            _, session = bench.engine.run(request)
        except Exception:  # noqa: BLE001 - refused: as good as can be
            continue
        from tests.engine.containers.conftest import collect

        assert collect(session).out in ("", "inside\n")
