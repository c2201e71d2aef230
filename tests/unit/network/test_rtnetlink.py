from __future__ import annotations

import errno
import struct
import subprocess
import sys

import pytest

from pyctr_engine.linux import rtnetlink


def test_a_name_is_new_for_each_start_tells_whose_it_is_and_fits() -> None:
    names = {rtnetlink.unique_name("0123456789abcdef") for _ in range(100)}
    assert len(names) == 100
    assert all(name.startswith("pv0123456") and len(name) <= rtnetlink.NAME_MAX for name in names)


@pytest.mark.parametrize("name", ["", "a" * 16, "é" * 8, "a/b", "a b", ".", "..", "a\n"])
def test_a_name_that_the_kernel_would_refuse_or_cut_is_refused_here(name: str) -> None:
    with rtnetlink.Socket() as netlink, pytest.raises(OSError, match="1 to 15 bytes") as caught:
        netlink.delete_link(name)
    assert caught.value.errno == errno.EINVAL


@pytest.mark.parametrize("address", ["10.0.0.2/0", "10.0.0.2/33", "10.0.0/8", "::1/64"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with rtnetlink.Socket() as netlink, pytest.raises(OSError) as caught:
        netlink.add_address(1, address)
    assert caught.value.errno == errno.EINVAL


def test_attributes_are_padded_to_four_bytes_but_their_length_is_not() -> None:
    assert rtnetlink._attribute(3, b"lo\0") == struct.pack("=HH", 7, 3) + b"lo\0" + b"\0"


def acknowledgement(number: int, flags: int, rest: bytes) -> bytes:
    return struct.pack("=IHHIIi", 0, 2, flags, 1, 0, -number) + rest


def test_an_acknowledgement_without_an_error_is_none() -> None:
    assert rtnetlink._failure(acknowledgement(0, 0, bytes(16)), 0, "x") is None


@pytest.mark.parametrize("capped", [True, False])
def test_the_kernels_own_words_are_kept(capped: bool) -> None:
    flags = 0x200 | (0x100 if capped else 0)
    request = struct.pack("=IHHII", 16 + 5, 16, 0, 1, 0) + (b"" if capped else b"hello\0\0\0")
    words = rtnetlink._attribute(2, struct.pack("=I", 20)) + rtnetlink._attribute(1, b"no such bridge\0")
    failure = rtnetlink._failure(acknowledgement(errno.EINVAL, flags, request + words), flags, "pv0")
    assert failure is not None
    assert (failure.errno, failure.filename) == (errno.EINVAL, "pv0")
    assert failure.strerror == "Invalid argument: no such bridge"


def test_it_imports_next_to_nothing() -> None:
    """The monitor and init import it: each module more is paid for by every container."""
    script = (
        "import sys; before = set(sys.modules); import socket, struct, os; allowed = set(sys.modules);"
        "import pyctr_engine.linux.rtnetlink; print(*sorted(set(sys.modules) - allowed))"
    )
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert set(printed.split()) <= {
        "__future__",
        "errno",
        "pyctr_engine",
        "pyctr_engine.linux",
        "pyctr_engine.linux.rtnetlink",
    }
