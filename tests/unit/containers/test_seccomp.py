"""Filters, compiled and looked at without a kernel; and their cache."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pyseccomp
import pytest

from pyctr_engine.containers import seccomp
from pyctr_engine.linux import capabilities
from pyctr_engine.linux import seccomp as compiling

AARCH64, ARM, X86_64 = (pyseccomp.Arch.AARCH64, pyseccomp.Arch.ARM, pyseccomp.Arch.X86_64)
ALLOW, EPERM, ENOSYS = 0x7FFF0000, 0x00050001, 0x00050026
NEW_USER_NAMESPACE, THREAD = 0x10000000, 0x3D0F00
AF_INET, AF_ALG = 2, 38


def answer(program: bytes, architecture: int, call: str | int, *arguments: int) -> int:
    """What a filter says to a call: the few instructions of classic BPF that filters are made of. seccomp(2)."""
    number = pyseccomp.resolve_syscall(architecture, call) if isinstance(call, str) else call
    assert number >= 0, f"{call} is no call of this architecture"
    words = (*arguments, *[0] * 6)[:6]
    data = struct.pack("<iIQ6Q", number, architecture, 0, *words)
    instructions = list(struct.iter_unpack("=HBBI", program))
    at = accumulator = 0
    while True:
        code, yes, no, value = instructions[at]
        at += 1
        if code == 0x20:
            (accumulator,) = struct.unpack_from("<I", data, value)
        elif code == 0x05:
            at += value
        elif code == 0x54:
            accumulator &= value
        elif code in (0x15, 0x25, 0x35):
            holds = {0x15: accumulator == value, 0x25: accumulator > value, 0x35: accumulator >= value}[code]
            at += yes if holds else no
        else:
            assert code == 0x06, f"unknown instruction {code:#x}"
            return int(value)


@pytest.fixture(scope="module", params=["x86_64", "aarch64"])
def machine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def default(machine: str) -> bytes:
    """Our own profile, compiled for a machine that need not be this one."""
    return seccomp.build(seccomp._own(), capabilities.DEFAULT, machine)


def test_the_default_filter_holds_the_same_on_both_machines(machine: str, default: bytes) -> None:
    own = {"x86_64": X86_64, "aarch64": AARCH64}[machine]
    assert len(default) % 8 == 0
    for call in ("read", "openat", "execve", "exit_group", "getpid", "futex", "clock_gettime", "rseq", "faccessat2"):
        assert answer(default, own, call) == ALLOW, call
    refused = (
        "mount umount2 unshare setns bpf keyctl init_module kexec_load reboot perf_event_open io_uring_setup "
        "userfaultfd open_by_handle_at swapon settimeofday pivot_root fsopen open_tree move_mount mount_setattr"
    )
    for call in refused.split():
        assert answer(default, own, call) == EPERM, call
    assert answer(default, own, "clone3") == ENOSYS, "so that libc falls back to clone"
    assert answer(default, own, "clone", THREAD) == ALLOW
    assert answer(default, own, "clone", NEW_USER_NAMESPACE) == EPERM
    assert answer(default, own, "socket", AF_INET) == ALLOW
    assert answer(default, own, "socket", AF_ALG) == EPERM
    assert answer(default, own, 600) == ENOSYS, "newer than the filter"


def test_32_bit_programs_of_arm_are_held_by_the_same_rules_and_others_get_nothing() -> None:
    program = seccomp.build(seccomp._own(), capabilities.DEFAULT, "aarch64")
    for call in ("read", "openat", "mmap2", "cacheflush", "set_tls"):
        assert answer(program, ARM, call) == ALLOW, call
    for call in ("mount", "unshare", "bpf"):
        assert answer(program, ARM, call) == EPERM, call
    assert answer(program, ARM, "clone3") == ENOSYS
    assert answer(program, X86_64, "read") == ENOSYS


def test_an_added_capability_brings_its_calls_back_on_both_machines(machine: str) -> None:
    own = {"x86_64": X86_64, "aarch64": AARCH64}[machine]
    program = seccomp.build(seccomp._own(), capabilities.DEFAULT | {"SYS_ADMIN"}, machine)
    for call in ("mount", "unshare", "clone3"):
        assert answer(program, own, call) == ALLOW, call


def test_the_cache_serves_the_library_that_filled_it_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = tmp_path / "libseccomp.so.2.5.4"
    library.write_text("old")
    cache = str(tmp_path / "cache")
    made = []

    def build(text: str, kept: frozenset[str]) -> bytes:
        made.append(library.read_text())
        return bytes(8)

    monkeypatch.setattr(seccomp, "build", build)
    monkeypatch.setattr(compiling, "library", lambda: str(library))
    for _ in range(2):
        assert seccomp.program(cache, seccomp.DEFAULT, capabilities.DEFAULT) == bytes(8)
    assert made == ["old"]
    library.write_text("replaced")
    for _ in range(2):
        assert seccomp.program(cache, seccomp.DEFAULT, capabilities.DEFAULT) == bytes(8)
    assert made == ["old", "replaced"]
    library = library.rename(tmp_path / "libseccomp.so.2.5.5")  # the old one has gone
    seccomp.program(cache, seccomp.DEFAULT, capabilities.DEFAULT)
    assert made == ["old", "replaced", "replaced"]
    assert len(os.listdir(cache)) == 1
    monkeypatch.setattr(compiling, "library", lambda: f"{library} (deleted)")  # replaced while we have it mapped
    for at in (4, 5):
        monkeypatch.setattr(seccomp, "build", lambda text, kept: made.append("mapped") or bytes(8))
        seccomp.program(str(tmp_path / "another"), seccomp.DEFAULT, capabilities.DEFAULT)
        assert len(made) == at


def test_the_library_that_compiles_is_found() -> None:
    path = compiling.library()
    assert os.path.basename(path).startswith("libseccomp.so")
    assert os.path.isfile(path)
