"""Capabilities: names, sets, dropping. Source: capabilities(7)."""

from __future__ import annotations

import ctypes

from pyctr_engine.linux.libc import syscall
from pyctr_engine.linux.namespaces import PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, PR_CAPBSET_DROP, prctl

NAMES = (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE "
    "NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT "
    "SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP "
    "MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
).split()
"""In the kernel's order: index is number."""

DEFAULT = frozenset(
    (
        "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT "
        "KILL AUDIT_WRITE"
    ).split()
)
"""What a container keeps: docker's default set."""

_VERSION_3 = 0x20080522


class _Header(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _Data(ctypes.Structure):
    _fields_ = [
        (f"{name}{part}", ctypes.c_uint32) for part in (0, 1) for name in ("effective", "permitted", "inheritable")
    ]


def mask(names: frozenset[str]) -> int:
    """A set of names as a bit mask."""
    return sum(1 << NAMES.index(name) for name in names)


def last_capability() -> int:
    """The highest capability that this kernel knows."""
    with open("/proc/sys/kernel/cap_last_cap", "rb") as file:
        return int(file.read())


def drop_bounding(keep: int, last: int) -> None:
    """Drop all but ``keep`` from the bounding set, and clear the ambient set; needs CAP_SETPCAP."""
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    for number in range(last + 1):
        if not keep >> number & 1:
            prctl(PR_CAPBSET_DROP, number)


def set_capabilities(effective: int, permitted: int, inheritable: int = 0) -> None:
    """Set this process's capability sets. Source: capset(2)."""
    low = 0xFFFFFFFF
    data = _Data(
        effective & low, permitted & low, inheritable & low, effective >> 32, permitted >> 32, inheritable >> 32
    )
    syscall("capset", _Header(_VERSION_3, 0), data)


def permitted() -> int:
    """This process's permitted set, as a mask."""
    data = _Data()
    syscall("capget", _Header(_VERSION_3, 0), data)
    return int(data.permitted0) | int(data.permitted1) << 32
