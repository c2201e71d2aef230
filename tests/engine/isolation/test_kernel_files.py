"""The kernel's own files: what would run a program as the host's root, stop the host, or tell its secrets."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pyctr_engine.errors import InvalidValue
from pyctr_engine.model.spec import Security
from tests.engine.containers.conftest import Bench
from tests.engine.isolation.attacks import attack, attack_by_exec
from tests.engine.isolation.conftest import Weaken

pytestmark = pytest.mark.root

HOST = Security(userns="host")
PRIVILEGED = Security(privileged=True)
NO_READ_ONLY_PATHS = "from pyctr_engine.runtime import rootfs; rootfs.ReadOnly.execute = lambda self: None"
NO_MASKS = "from pyctr_engine.runtime import rootfs; rootfs.Mask.execute = lambda self: None"

HELPERS = """
for path in ("/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sys/kernel/hotplug",
             "/proc/sys/fs/binfmt_misc/register", "/sys/kernel/uevent_helper", "/proc/sysrq-trigger",
             "/proc/sys/kernel/sysrq", "/proc/sys/vm/drop_caches", "/proc/sys/vm/panic_on_oom",
             "/proc/sys/fs/suid_dumpable", "/proc/sys/kernel/kptr_restrict", "/proc/irq/default_smp_affinity",
             "/sys/power/state", "/sys/kernel/mm/ksm/run", "/proc/mtrr", "/proc/self/timerslack_ns",
             "/sys/kernel/debug/x", "/sys/module/overlay/parameters/redirect_max"):
    if os.path.lexists(path):
        attempt(path, open_for_writing, path)
told["core_pattern is"] = read("/proc/sys/kernel/core_pattern").strip()
"""
"""Opened, never written: where it works it is the host's own."""

HELD = (
    "/proc/sys/kernel/core_pattern",
    "/proc/sys/kernel/modprobe",
    "/proc/sys/kernel/hotplug",
    "/proc/sys/fs/binfmt_misc/register",
    "/sys/kernel/uevent_helper",
    "/proc/sysrq-trigger",
    "/proc/sys/kernel/sysrq",
    "/proc/sys/vm/drop_caches",
)
"""Those of which engine/README says that two things hold them; what this kernel lacks is not there to be opened."""


def opened(told: dict[str, str]) -> list[str]:
    return [path for path, answer in told.items() if answer == "done" and not path.startswith("/proc/self")]


def test_no_helper_of_the_kernel_can_be_named(bench: Bench) -> None:
    """core_pattern, modprobe, hotplug, uevent_helper and binfmt_misc each run a program as root on the host."""
    told = attack(bench, HELPERS)
    assert "/proc/sys/kernel/core_pattern" in told
    assert opened(told) == []


def test_two_things_hold_each_of_them_and_either_is_enough(bench: Bench, weaken: Weaken) -> None:
    read_only = attack(bench, HELPERS, security=HOST)
    weak = weaken(NO_READ_ONLY_PATHS)
    others_ids = attack(weak, HELPERS)
    there = [path for path in HELD if path in read_only]
    assert {"/proc/sys/kernel/core_pattern", "/proc/sys/vm/drop_caches"} <= set(there)
    assert {path: read_only[path] for path in there} == dict.fromkeys(there, "EROFS")
    assert {path: others_ids[path] for path in there} == dict.fromkeys(there, "EACCES")
    assert set(there) <= set(opened(attack(weak, HELPERS, security=HOST))), "without either they open"


def test_a_privileged_exec_in_a_container_that_is_not_wins_nothing(bench: Bench) -> None:
    """All capabilities and no filter, but in the container's own user namespace."""
    container = bench.start()
    assert opened(attack_by_exec(bench, container, HELPERS, privileged=True)) == []
    told = attack_by_exec(bench, container, UNMASK, privileged=True)
    assert (told["unmount"], told["core_pattern"]) == ("done", "EACCES")


def test_privileged_opens_them(bench: Bench) -> None:
    assert "/proc/sys/kernel/core_pattern" in opened(attack(bench, HELPERS, security=PRIVILEGED))


def test_a_sysctl_that_would_be_the_hosts_is_refused(bench: Bench) -> None:
    path = Path("/proc/sys/net/ipv4/ip_default_ttl")
    before = path.read_text()
    wanted = {"net.ipv4.ip_default_ttl": "33"}
    assert bench.run("cat", str(path), network="none", sysctls=wanted).out == "33\n"
    with pytest.raises(InvalidValue, match="network namespace is that of the host"):
        bench.run("true", network="host", sysctls=wanted)
    for name in (
        "kernel.core_pattern",
        "vm.drop_caches",
        "net/../kernel/core_pattern",
        "net.ipv4/../../vm.swappiness",
    ):
        with pytest.raises(InvalidValue, match="not a namespaced one"):
            bench.run("true", sysctls={name: "0"})
    assert path.read_text() == before


SECRETS = """
for path in ("/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/kmsg", "/proc/slabinfo", "/proc/vmallocinfo",
             "/proc/kpageflags", "/proc/interrupts", "/sys/firmware/acpi/tables/DSDT", "/proc/sched_debug"):
    if os.path.exists(path):
        def look():
            fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
            if not os.read(fd, 16):
                raise OSError(errno.ENODATA, "")
        attempt(path, look)
attempt("kernel log", call, "syslog", 3, ctypes.create_string_buffer(1000), 1000)
addresses = {line.split()[0] for line in read("/proc/kallsyms").splitlines()[:50]}
told["addresses"] = "hidden" if addresses <= {"0" * 16} else "told"
"""


def test_nothing_secret_of_the_kernel_can_be_read(bench: Bench) -> None:
    told = attack(bench, SECRETS)
    assert told.pop("addresses") == "hidden"
    assert told.pop("kernel log") == "EPERM"
    assert set(told) >= {"/proc/keys", "/proc/timer_list"}
    assert {path: answer for path, answer in told.items() if answer not in ("ENODATA", "EACCES", "EPERM")} == {}


def test_without_masks_some_of_it_could(bench: Bench, weaken: Weaken) -> None:
    weak = weaken(NO_MASKS)
    assert attack(weak, SECRETS, security=HOST)["/proc/timer_list"] == "done"
    assert attack(bench, SECRETS, security=PRIVILEGED)["kernel log"] == "done"


UNMASK = """
attempt("unmount", call, "umount2", b"/proc/timer_list", 2)
attempt("a new proc", call, "mount", b"proc", b"/tmp", b"proc", 0, None)
attempt("write again", call, "mount", None, b"/proc/sys", None, 0x20 | 0x1000, None)
attempt("through /proc/self/root", open_for_writing, "/proc/self/root/proc/sys/kernel/core_pattern")
attempt("through /proc/thread-self", open_for_writing, "/proc/thread-self/root/proc/sys/kernel/core_pattern")
attempt("core_pattern", open_for_writing, "/proc/sys/kernel/core_pattern")
"""


def test_what_hides_cannot_be_taken_away(bench: Bench) -> None:
    assert set(attack(bench, UNMASK).values()) <= {"EPERM", "EACCES"}


def test_with_every_right_inside_the_user_namespace_holds(bench: Bench) -> None:
    """An added SYS_ADMIN takes the masks away, and nothing of the host is won by it."""
    told = attack(bench, UNMASK, security=Security(cap_add=("ALL",), seccomp="unconfined"))
    assert told["unmount"] == "done"
    assert told["core_pattern"] == "EACCES"
    assert attack(bench, UNMASK, security=Security(cap_add=("SYS_ADMIN",), userns="host"))["core_pattern"] == "done"


NESTED = """
def nest():
    call("unshare", NEWUSER | NEWNS | NEWPID)
in_child("a user namespace", nest)
def nested_proc():
    nest()
    if os.fork() == 0:
        try:
            call("mount", b"proc", b"/tmp", b"proc", 0, None)
            os._exit(0)
        except OSError as error:
            os._exit(error.errno)
    code = os.waitstatus_to_exitcode(os.wait()[1])
    if code:
        raise OSError(code, "")
in_child("a new proc in it", nested_proc)
def nested_cgroups():
    call("unshare", NEWUSER | NEWNS | NEWCGROUP)
    call("mount", b"cgroup", b"/tmp", b"cgroup", 0, b"memory")
in_child("cgroups in it", nested_cgroups)
def release_agent():
    call("unshare", NEWUSER | NEWNS | NEWCGROUP)
    call("mount", b"cgroup", b"/tmp", b"cgroup", 0, b"memory")
    open_for_writing("/tmp/release_agent")
in_child("release_agent in it", release_agent)
def context():
    call("unshare", NEWUSER | NEWNS)
    call("fsopen", b"tmpfs", 0)
in_child("a file system context in it", context)
attempt("a file system context", call, "fsopen", b"ext4", 0)
attempt("release_agent", open_for_writing, "/sys/fs/cgroup/memory/release_agent")
attempt("cgroup.procs", open_for_writing, "/sys/fs/cgroup/memory/cgroup.procs")
attempt("devices", open_for_writing, "/sys/fs/cgroup/devices/devices.allow")
attempt("a cgroup", os.mkdir, "/sys/fs/cgroup/memory/x")
"""


def test_release_agent_and_contexts_are_out_of_reach(bench: Bench) -> None:
    """CVE-2022-0492 begins with cgroups mounted in a new user namespace, CVE-2022-0185 with fsopen in one."""
    told = attack(bench, NESTED)
    assert {
        name: answer for name, answer in told.items() if answer not in ("EPERM", "EROFS", "ENOENT", "EACCES")
    } == {}
    assert told["a user namespace"] == told["a file system context"] == "EPERM"


def test_without_the_filter_the_kernel_lets_them_begin(bench: Bench) -> None:
    told = attack(bench, NESTED, security=Security(seccomp="unconfined"))
    assert told["a user namespace"] == told["a file system context in it"] == "done"
    assert told["a new proc in it"] == "EPERM", "while something in /proc is masked, no fresh one is to be had"
    assert told["release_agent in it"] != "done"


@pytest.mark.skipif(not os.path.exists("/sys/fs/cgroup/memory/release_agent"), reason="there is none on cgroup v2")
def test_release_agent_is_held_by_three_things(bench: Bench, weaken: Weaken) -> None:
    """The user namespace, the read-only mount, and a cgroup namespace, where the root's files are not to be seen."""
    script = """
attempt("release_agent", open_for_writing, "/sys/fs/cgroup/memory/release_agent")
"""
    assert attack(bench, script, security=PRIVILEGED)["release_agent"] == "ENOENT"
    weak = weaken(
        "from pyctr_engine.linux import namespaces\n"
        "real = namespaces.unshare\n"
        "namespaces.unshare = lambda flags: None if flags == namespaces.CLONE_NEWCGROUP else real(flags)"
    )
    assert attack(weak, script)["release_agent"] == "ENOENT", "it may not even mount the host's cgroups"
    assert attack(weak, script, security=HOST)["release_agent"] == "EROFS"
    assert attack(weak, script, security=PRIVILEGED)["release_agent"] == "done"
