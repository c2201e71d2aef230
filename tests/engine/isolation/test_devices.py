"""Devices, disks and files beyond what a container was given."""

from __future__ import annotations

import ctypes
import os
import struct
from pathlib import Path

import pytest

from pyctr_engine.model.spec import Device, Mount, Security
from tests.engine.containers.conftest import Bench
from tests.engine.isolation.attacks import attack, attack_by_exec
from tests.engine.isolation.conftest import Weaken

pytestmark = pytest.mark.root

HOST = Security(userns="host")
PRIVILEGED = Security(privileged=True)


def disk() -> tuple[str, int, int]:
    """A block device of this host: its node and numbers."""
    name = sorted(os.listdir("/sys/class/block"))[0]
    major, _, minor = Path(f"/sys/class/block/{name}/dev").read_text().strip().partition(":")
    return f"/dev/{name}", int(major), int(minor)


NODES = """
def node(kind, major, minor):
    path = f"/tmp/node-{major}-{minor}"
    os.mknod(path, kind | 0o666, os.makedev(major, minor))
    os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
attempt("disk", node, stat.S_IFBLK, %d, %d)
attempt("memory", node, stat.S_IFCHR, 1, 1)
attempt("ports", node, stat.S_IFCHR, 1, 4)
attempt("kernel log", node, stat.S_IFCHR, 1, 11)
attempt("tun", node, stat.S_IFCHR, 10, 200)
attempt("fuse", node, stat.S_IFCHR, 10, 229)
attempt("null", node, stat.S_IFCHR, 1, 3)
"""


def test_no_node_can_be_made(bench: Bench) -> None:
    """Not even /dev/null: in a user namespace none would open. Without one, rules say which may be opened."""
    script = NODES % disk()[1:]
    for security in (Security(), Security(cap_add=("ALL",))):
        assert set(attack(bench, script, security=security).values()) == {"EPERM"}
    told = attack(bench, script, security=HOST)
    assert told.pop("null") == "done"
    assert set(told.values()) == {"EPERM"}


def test_without_the_rules_they_could_be_opened(bench: Bench, weaken: Weaken) -> None:
    told = attack(
        weaken("from pyctr_engine.cgroups import devices; devices.guard = lambda *_: None"),
        NODES % disk()[1:],
        security=HOST,
    )
    assert told["disk"] not in ("EPERM", "EACCES")


def test_privileged_makes_and_opens_them(bench: Bench) -> None:
    told = attack(bench, NODES % disk()[1:], security=PRIVILEGED)
    assert told["null"] == told["kernel log"] == "done"
    assert told["disk"] not in ("EPERM", "EACCES")


FOUND = """
for name in os.listdir("/found"):
    path = f"/found/{name}"
    if stat.S_ISBLK(os.lstat(path).st_mode) or name in ("kmsg", "mem", "port"):
        attempt(name, lambda: os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK)))
"""


def test_the_hosts_nodes_bound_into_it_do_not_open(bench: Bench) -> None:
    mounts = (Mount("bind", "/dev", "/found"),)
    for security in (Security(), HOST):
        told = attack(bench, FOUND, mounts=mounts, security=security)
        assert "EACCES" in told.values()
        assert set(told.values()) <= {"EACCES", "EPERM"}
    assert "done" in attack(bench, FOUND, mounts=mounts, security=PRIVILEGED).values()


def test_one_that_was_given_opens_and_no_other(bench: Bench, tmp_path: Path) -> None:
    script = """
attempt("given", lambda: os.close(os.open("/dev/given", os.O_RDONLY)))
attempt("up from it", lambda: os.open("/dev/given/..", os.O_RDONLY))
"""
    told = attack(bench, script, devices=(Device("/dev/full", "/dev/given"),))
    assert told == {"given": "done", "up from it": "ENOTDIR"}


DISKS = """
attempt("mount a disk", call, "mount", b"%s", b"/tmp", b"ext4", 1, None)
attempt("mount by loop", call, "mount", b"/dev/loop0", b"/tmp", b"ext4", 1, None)
attempt("the devices' tree", call, "mount", b"devtmpfs", b"/tmp", b"devtmpfs", 0, None)
attempt("debugfs", call, "mount", b"debugfs", b"/tmp", b"debugfs", 0, None)
attempt("securityfs", call, "mount", b"securityfs", b"/tmp", b"securityfs", 0, None)
attempt("a bpf file system", call, "mount", b"bpf", b"/tmp", b"bpf", 0, None)
"""


def test_no_disk_can_be_mounted(bench: Bench) -> None:
    script = DISKS % disk()[0]
    assert set(attack(bench, script).values()) == {"EPERM"}
    told = attack(bench, script, security=Security(cap_add=("ALL",), seccomp="unconfined"))
    hosts = ("mount a disk", "mount by loop", "the devices' tree", "debugfs", "securityfs")
    assert {told[name] for name in hosts} <= {"EPERM", "EACCES", "ENOENT", "ENODEV"}
    assert attack(bench, script, security=PRIVILEGED)["the devices' tree"] == "done"


SHOCKER = """
told["names"] = sorted(os.listdir("/given"))
mount = os.open("/given", os.O_RDONLY)
handle = ctypes.create_string_buffer(bytes.fromhex("%s"))
def reach():
    fd = call("open_by_handle_at", mount, handle, 0)
    told["read"] = os.read(fd, 100).decode()
attempt("open by handle", reach)
"""


def handle_of(path: Path) -> str:
    """A file's handle as open_by_handle_at takes it, in hex. Source: name_to_handle_at(2)."""
    import pyseccomp

    number = pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, "name_to_handle_at")
    handle = ctypes.create_string_buffer(struct.pack("Ii", 128, 0) + bytes(128))
    mount = ctypes.c_int()
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.syscall(number, -100, str(path).encode(), handle, ctypes.byref(mount), 0) == 0, ctypes.get_errno()
    (size,) = struct.unpack_from("I", handle.raw)
    return handle.raw[: 8 + size].hex()


def test_no_file_beside_a_bound_directory_is_reached_by_its_handle(bench: Bench, host_directory: Path) -> None:
    """ "Shocker": handles know no mounts; one that is guessed leads to any file of the same file system."""
    secret = host_directory.parent / "secret"
    secret.write_text("the host's")
    secret.chmod(0o600)
    script = SHOCKER % handle_of(secret)
    mounts = (Mount("bind", str(host_directory), "/given"),)
    assert attack(bench, script, mounts=mounts)["open by handle"] == "EPERM"
    reading = ("DAC_READ_SEARCH",)
    inside = attack(bench, script, mounts=mounts, security=Security(cap_add=reading, seccomp="unconfined"))
    assert inside["open by handle"] == "EPERM", "in a user namespace the capability is not the host's"
    outside = attack(bench, script, mounts=mounts, security=Security(cap_add=reading, userns="host"))
    assert (outside["open by handle"], outside["read"]) == ("done", "the host's")


HOSTS_PROC = """
for name, path in (("root", "root/etc"), ("its own engine", "exe"), ("memory", "mem"), ("namespace", "ns/mnt")):
    attempt(name, lambda: os.close(os.open("/host/%(pid)d/" + path, os.O_RDONLY)))
def enter():
    call("setns", os.open("/host/%(pid)d/ns/mnt", os.O_RDONLY), 0)
in_child("enter", enter)
attempt("core_pattern", open_for_writing, "/host/sys/kernel/core_pattern")
attempt("sysrq", open_for_writing, "/host/sysrq-trigger")
attempt("priority", open_for_writing, "/host/%(pid)d/oom_score_adj")
attempt("kill", os.kill, 4194303, 0)
"""


def test_the_hosts_proc_bound_into_it_leads_nowhere(bench: Bench) -> None:
    """As monitoring agents have it: /proc of the host, read-only or not. What is tried is a process of the host's."""
    script = HOSTS_PROC % {"pid": os.getpid()}
    for read_only in (True, False):
        mounts = (Mount("bind", "/proc", "/host", read_only=read_only),)
        told = attack(bench, script, mounts=mounts)
        assert set(told.values()) <= {"EACCES", "EPERM", "EROFS", "ENOENT", "ESRCH"}, told
    mounts = (Mount("bind", "/proc", "/host", read_only=True),)
    told = attack(bench, script, mounts=mounts, security=HOST)
    assert {told[name] for name in ("root", "its own engine", "namespace", "enter")} <= {"EACCES", "EPERM"}
    told = attack(bench, script, mounts=(Mount("bind", "/proc", "/host"),), security=PRIVILEGED)
    assert {told[name] for name in ("root", "namespace", "enter", "core_pattern")} == {"done"}, told


CHANGE = """
before = os.stat("/dev/null")
for path in ("/dev/null", "/dev/tty", "/proc/keys"):
    attempt(f"mode of {path}", os.chmod, path, 0o666)
    attempt(f"owner of {path}", os.chown, path, 0, 0)
    attempt(f"times of {path}", lambda: os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns)))
attempt("mode of its input", os.fchmod, 0, 0o666)
attempt("mode of its input by name", os.chmod, "/proc/self/fd/0", 0o666)
def use():
    with open("/dev/null", "r+b", buffering=0) as file:
        file.write(b"x")
        file.read()
attempt("use it", use)
"""


def test_the_hosts_nodes_stay_as_they_are(bench: Bench) -> None:
    """What is in /dev is the host's: without a user namespace, root inside could take /dev/null from its users."""
    before = {path: os.stat(path) for path in ("/dev/null", "/dev/full", "/dev/tty")}
    given = (Device("/dev/full", "/dev/given"),)
    for options in ({}, {"security": HOST}, {"network": "host"}):
        told = attack(bench, CHANGE, **options)
        assert told.pop("use it") == "done"
        assert set(told.values()) <= {"EPERM", "EROFS"}, told
        told = attack_by_exec(bench, bench.start(**options), CHANGE)
        assert told.pop("use it") == "done"
        assert set(told.values()) <= {"EPERM", "EROFS"}, told
        told = attack(bench, 'attempt("given", os.chmod, "/dev/given", 0o666)', devices=given, **options)
        assert told["given"] == "done", "it has a node of its own"
    for path, then in before.items():
        now = os.stat(path)
        assert (now.st_mode, now.st_uid, now.st_ctime_ns) == (then.st_mode, then.st_uid, then.st_ctime_ns)
