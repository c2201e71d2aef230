"""Namespaces and processes: clone3(2), unshare(2), setns(2), and what belongs to a fresh process."""

from __future__ import annotations

import ctypes
import functools
import os
from collections.abc import Iterable

from pyctr_engine.linux.libc import prepared, syscall

CLONE_NEWTIME = 0x00000080
CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
CLONE_PIDFD = 0x00001000
CLONE_PARENT = 0x00008000
CLONE_INTO_CGROUP = 0x200000000

KINDS = {"user": CLONE_NEWUSER, "net": CLONE_NEWNET, "pid": CLONE_NEWPID, "ipc": CLONE_NEWIPC, "uts": CLONE_NEWUTS}
"""The namespaces that a container may share with another, by their names in /proc/<pid>/ns."""

SIGCHLD = 17

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_KEEPCAPS = 8
PR_SET_NAME = 15
PR_CAPBSET_DROP = 24
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_CLEAR_ALL = 4

CLOSE_RANGE_CLOEXEC = 4


class _CloneArgs(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_uint64)
        for name in (
            "flags",
            "pidfd",
            "child_tid",
            "parent_tid",
            "exit_signal",
            "stack",
            "stack_size",
            "tls",
            "set_tid",
            "set_tid_size",
            "cgroup",
        )
    ]


# Made once: whoever is cloned shares them, and what is made anew for each call would be memory of its own.
_pidfd = ctypes.c_int(-1)
_clone_args = _CloneArgs(pidfd=ctypes.addressof(_pidfd))
_clone = prepared("clone3", _clone_args, ctypes.sizeof(_clone_args))


def clone3(flags: int, cgroup_fd: int = -1) -> tuple[int, int]:
    """Fork with ``flags``; ``cgroup_fd`` is a cgroup v2 directory to be born in.

    Returns (0, -1) in the child, (pid, pidfd) in the parent. The caller must have one thread only, and the child
    must end in exec or ``os._exit``: no at-fork handlers run. Source: clone(2).
    """
    flags |= CLONE_PIDFD
    if cgroup_fd >= 0:
        flags |= CLONE_INTO_CGROUP
        _clone_args.cgroup = cgroup_fd
    _clone_args.flags = flags
    # with CLONE_PARENT, the exit signal is the parent's own and must be 0
    _clone_args.exit_signal = 0 if flags & CLONE_PARENT else SIGCHLD
    pid = _clone()
    return pid, _pidfd.value if pid else -1


def unshare(flags: int) -> None:
    """Move this process into new namespaces. Source: unshare(2)."""
    syscall("unshare", flags)


def setns(fd: int, flags: int) -> None:
    """Join the namespace that ``fd`` is, or those of a pidfd that ``flags`` name. Source: setns(2)."""
    syscall("setns", fd, flags)


def join_network(path: str) -> None:
    """Join the network namespace that is mounted at ``path``, with this thread. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        setns(fd, CLONE_NEWNET)
    finally:
        os.close(fd)


def prctl(option: int, argument: int = 0, argument3: int = 0) -> int:
    """Operate on this process. Source: prctl(2)."""
    return syscall("prctl", option, argument, argument3, 0, 0)


def set_name(name: str) -> None:
    """Name this process as ``ps`` shows it (15 bytes)."""
    buffer = ctypes.create_string_buffer(name.encode()[:15])
    syscall("prctl", PR_SET_NAME, buffer, 0, 0, 0)


def replace_arguments(shown: bytes) -> None:
    """Make ``shown`` this process's command line: a clone has that of whom it was cloned from, for all to read.

    Source: proc_pid_stat(5), fields 48 and 49.
    """
    with open("/proc/self/stat", "rb") as file:
        stat = file.read()
    start, end = (int(field) for field in stat[stat.rindex(b")") + 2 :].split()[45:47])
    ctypes.memset(start, 0, end - start)
    ctypes.memmove(start, shown, min(len(shown), end - start - 1))


def sethostname(name: str) -> None:
    """Set the UTS namespace's host name."""
    data = name.encode()
    syscall("sethostname", data, len(data))


def setdomainname(name: str) -> None:
    """Set the UTS namespace's NIS domain name."""
    data = name.encode()
    syscall("setdomainname", data, len(data))


def close_on_exec_from(first: int) -> None:
    """Mark all descriptors from ``first`` on close-on-exec. Source: close_range(2), Linux 5.11."""
    syscall("close_range", first, 0xFFFFFFFF, CLOSE_RANGE_CLOEXEC)


def close_from(first: int) -> None:
    """Close all descriptors from ``first`` on. Source: close_range(2)."""
    syscall("close_range", first, 0xFFFFFFFF, 0)


def close_all_but(kept: Iterable[int]) -> None:
    """Close every descriptor above 2 that is not among ``kept``."""
    first = 3
    for fd in sorted({*kept} - {0, 1, 2}):
        if fd > first:
            syscall("close_range", first, fd - 1, 0)
        first = fd + 1
    syscall("close_range", first, 0xFFFFFFFF, 0)


def join_new_session_keyring() -> None:
    """Leave the host's session keyring behind. Source: keyctl(2), KEYCTL_JOIN_SESSION_KEYRING."""
    syscall("keyctl", 1, None, 0, 0, 0)


def start_time(pid: int) -> int:
    """When a process started, in clock ticks since boot: with the pid, an identity. Raises OSError when it is gone.

    Source: proc_pid_stat(5), field 22.
    """
    with open(f"/proc/{pid}/stat", "rb") as file:
        stat = file.read()
    return int(stat[stat.rindex(b")") + 2 :].split()[19])


@functools.cache
def boot_id() -> str:
    """What this boot of the machine is named. Source: random(4), proc_sys_kernel(5)."""
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()


def is_running(pid: int, started: int) -> bool:
    """Whether the process of that pid and start time is there and no zombie."""
    fields = _stat(pid)
    return bool(fields) and int(fields[19]) == started and fields[0] not in (b"Z", b"X")


def is_ending(pid: int, started: int) -> bool:
    """Whether that process has ended or has begun to: its namespaces can't be joined any more.

    Source: proc_pid_stat(5), field 9, and PF_EXITING of the kernel's sched.h.
    """
    fields = _stat(pid)
    return not fields or int(fields[19]) != started or fields[0] in (b"Z", b"X") or bool(int(fields[6]) & 0x4)


def _stat(pid: int) -> list[bytes]:
    """The fields of /proc/<pid>/stat from the third, the state, on; empty when there is no such process."""
    if pid <= 0:
        return []
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            stat = file.read()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return stat[stat.rindex(b")") + 2 :].split()


def exit_code(status: int) -> int:
    """A wait status as docker tells it: the code, or 128+n after signal n."""
    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
