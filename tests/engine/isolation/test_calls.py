"""System calls that no container needs: refused by the filter, and mostly by the kernel as well."""

from __future__ import annotations

import os

import pytest

from pyctr_engine.model.spec import Security
from tests.engine.containers.conftest import Bench
from tests.engine.isolation.attacks import attack

pytestmark = pytest.mark.root

UNFILTERED = Security(seccomp="unconfined")
EVERYTHING = Security(cap_add=("ALL",))
"""All capabilities, and with them the calls that they are for; in a user namespace of its own."""

CALLS = """
def word(text):
    return ctypes.create_string_buffer(text)
attempt("io_uring", call, "io_uring_setup", 1, ctypes.create_string_buffer(120))
attempt("userfaultfd", call, "userfaultfd", 1)
attempt("keyctl", call, "keyctl", 0, -3, 0)
attempt("add_key", call, "add_key", b"user", b"x", b"y", 1, -3)
attempt("bpf", call, "bpf", 0, ctypes.create_string_buffer(120), 120)
attempt("perf", call, "perf_event_open", ctypes.create_string_buffer(128), 0, -1, -1, 0)
attempt("kexec", call, "kexec_load", 0, 0, 0, 0)
attempt("a module", call, "init_module", b"x", 1, b"")
attempt("swap", call, "swapon", b"/etc/hostname", 0)
attempt("ports", call, "iopl", 3)
attempt("some ports", call, "ioperm", 0x70, 2, 1)
attempt("accounting", call, "acct", b"/tmp/acct")
attempt("the clock", call, "settimeofday", struct.pack("qq", -1, -1), 0)
attempt("the host name", call, "sethostname", b"evil", 4)
attempt("reboot", call, "reboot", 0xFEE1DEAD, 672274793, 0, 0)
attempt("vsock", lambda: socket.socket(40, socket.SOCK_STREAM).close())
attempt("alg", lambda: socket.socket(38, socket.SOCK_SEQPACKET).close())
in_child("more rights", call, "unshare", NEWUSER)
in_child("rights by clone", lambda: call("clone", NEWUSER | 17, 0, 0, 0, 0) or os._exit(0))
attempt("a namespace", call, "setns", os.open("/proc/self/ns/net", os.O_RDONLY), 0)
attempt("mount", call, "mount", b"tmpfs", b"/tmp", b"tmpfs", 0, None)
attempt("a tree", call, "open_tree", -100, b"/", 1)
attempt("pivot_root", call, "pivot_root", b"/", b"/")
"""


def test_all_of_them_are_refused(bench: Bench) -> None:
    told = attack(bench, CALLS)
    assert {name: answer for name, answer in told.items() if answer != "EPERM"} == {}


def test_without_the_filter_some_are_reached(bench: Bench) -> None:
    told = attack(bench, CALLS, security=UNFILTERED)
    assert {name for name, answer in told.items() if answer == "done"} >= {
        "io_uring", "userfaultfd", "keyctl", "add_key", "more rights", "rights by clone"
    }  # fmt: skip
    assert told["vsock"] == "done", "the host's: sockets of this kind know no network namespace"
    held = ("kexec", "a module", "swap", "accounting", "the host name", "mount", "pivot_root", "a tree", "reboot")
    assert {told[name] for name in held} <= {"EPERM", "ENOSYS"}, "by the capabilities that are dropped"


def test_with_every_capability_they_count_in_its_own_namespace_only(bench: Bench) -> None:
    told = attack(bench, CALLS, security=EVERYTHING)
    assert {told[name] for name in ("mount", "a tree", "the host name", "more rights")} == {"done"}
    hosts = ("kexec", "a module", "swap", "ports", "some ports", "accounting")
    assert {told[name] for name in hosts} <= {"EPERM", "ENOSYS"}
    assert told["reboot"] == "EINVAL", "in a pid namespace it is the container that would end"
    assert told["the clock"] in ("EPERM", "EINVAL")
    assert told["io_uring"] == told["userfaultfd"] == told["keyctl"] == "EPERM", "for no capability's sake"


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the other ways into this kernel are x86_64's")
def test_no_other_calling_convention_goes_past_the_filter(bench: Bench) -> None:
    """32-bit calls have rules of their own (`test_security.py` tries some); there are none of x32's."""
    script = """
import mmap
def in_32_bits():
    memory = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    memory.write(bytes([0xB8, 20, 0, 0, 0, 0xCD, 0x80, 0xC3]))  # getpid by int 0x80
    function = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(memory)))
    if function() != os.getpid():
        raise OSError(errno.ENOSYS, "")
in_child("32 bits", in_32_bits)
NUMBERS["x32"] = 0x40000000 + 39
in_child("x32", call, "x32")
in_child("64 bits", call, "getpid")
"""
    told = attack(bench, script)
    assert told.pop("32 bits") in ("done", "killed"), "as this kernel has it"
    assert told == {"x32": "ENOSYS", "64 bits": "done"}
    told = attack(bench, script, security=UNFILTERED)
    assert told["32 bits"] in ("done", "ENOSYS", "killed"), "as this kernel has it"
    assert told["x32"] in ("done", "ENOSYS")


NETWORK = """
def audit():
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 9) as netlink:
        netlink.sendto(struct.pack("IHHII", 16 + 40, 1001, 5, 1, 0) + bytes(40), (0, 0))  # AUDIT_SET of nothing
        answer = netlink.recv(4096)
        (code,) = struct.unpack_from("i", answer, 16)
        if code:
            raise OSError(-code, "")
attempt("audit", audit)
attempt("forwarding", open_for_writing, "/proc/sys/net/ipv4/ip_forward")
def route():
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as netlink:  # RTM_NEWLINK: a bridge
        kind = struct.pack("HH", 4 + 7, 1) + b"bridge\\0\\0"
        info = struct.pack("HH", 4 + len(kind), 18) + kind
        body = bytes(16) + info
        netlink.sendto(struct.pack("IHHII", 16 + len(body), 16, 0x605, 1, 0) + body, (0, 0))
        (code,) = struct.unpack_from("i", netlink.recv(4096), 16)
        if code:
            raise OSError(-code, "")
attempt("a link", route)
attempt("a raw socket", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1).close())
"""


def test_the_network_cannot_be_set_up_anew_nor_audit_switched_off(bench: Bench) -> None:
    told = attack(bench, NETWORK)
    assert told["audit"] != "done"
    assert told["a link"] == "EPERM"
    assert told["forwarding"] in ("EACCES", "EROFS")
    assert told["a raw socket"] == "done", "ping works"
    assert attack(bench, NETWORK, security=Security(cap_add=("NET_ADMIN",)))["a link"] == "done"
    dropped = attack(bench, NETWORK, security=Security(cap_drop=("NET_RAW",)))
    assert dropped["a raw socket"] == "EPERM"
