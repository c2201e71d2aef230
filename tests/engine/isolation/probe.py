"""What a container can do and see, told as JSON by a program inside it.

Runs by itself (``python3 -c``), in any runtime's container: nothing but the standard library, nothing that changes
anything outside. System calls are made with arguments that can't be right, each in a child of its own, so that what
comes back says whether the call was reached, not what it would do. Files are opened for writing, never written.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import json
import os
import platform
import resource
import select
import signal
import socket
import stat
import sys
from collections.abc import Callable
from typing import Any

LIBC = ctypes.CDLL(None, use_errno=True)
WRONG = (-1,) * 6
LAST_CALL = 470
PATIENCE = 0.5
PIDS_LIMITS = ("/sys/fs/cgroup/pids/pids.max", "/sys/fs/cgroup/pids.max")
"""Where the limit of processes stands on v1, and on v2."""
"""Seconds after which a call counts as one that waits, and so is allowed."""

TELLING = {56: (signal.SIGCHLD, 0, 0, 0, 0), 41: (1, 1, 0), 135: (0xFFFFFFFF,), 154: (0, 0, 0), 202: (0, 129, 0)}
"""For clone, socket, personality, modify_ldt, futex: wrong arguments are answered as if the call weren't there."""

NAMESPACE_FLAGS = {
    "time": 0x80,
    "mnt": 0x20000,
    "cgroup": 0x2000000,
    "uts": 0x4000000,
    "ipc": 0x8000000,
    "user": 0x10000000,
    "pid": 0x20000000,
    "net": 0x40000000,
}
SENSITIVE = (
    "/proc/acpi /proc/asound /proc/interrupts /proc/kcore /proc/keys /proc/latency_stats /proc/sched_debug "
    "/proc/scsi /proc/timer_list /proc/timer_stats /sys/devices/virtual/powercap /sys/firmware /sys/fs/selinux "
    "/proc/key-users /proc/kallsyms /proc/kmsg /proc/iomem /proc/ioports /proc/slabinfo /proc/vmallocinfo "
    "/proc/kpageflags /proc/kpagecount /proc/kpagecgroup /proc/pagetypeinfo /proc/config.gz /proc/cmdline "
    "/sys/kernel/debug /sys/kernel/tracing /sys/kernel/security /sys/module /sys/kernel/vmcoreinfo /sys/kernel/notes "
    "/sys/dev/block /sys/devices/system/cpu/cpu0/thermal_throttle /sys/fs/pstore /sys/fs/bpf"
).split()
NODES = {
    "memory": ("c", 1, 1),
    "ports": ("c", 1, 4),
    "kernel log": ("c", 1, 11),
    "disk": ("b", 253, 0),
    "loop": ("b", 7, 0),
    "loop-control": ("c", 10, 237),
    "fuse": ("c", 10, 229),
    "tun": ("c", 10, 200),
    "kvm": ("c", 10, 232),
    "userfaultfd": ("c", 10, 257),
    "null": ("c", 1, 3),
}


def attempt(act: Callable[[], object]) -> str:
    """``ok``, or the errno's name."""
    ctypes.set_errno(0)
    try:
        result = act()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error.errno))
    if isinstance(result, int) and result == -1 and ctypes.get_errno():
        return errno.errorcode.get(ctypes.get_errno(), str(ctypes.get_errno()))
    return "ok"


def call(number: int, *arguments: int | bytes) -> int:
    """A system call: numbers fill their registers."""
    words = [ctypes.c_long(word) if isinstance(word, int) else word for word in arguments]
    return int(LIBC.syscall(ctypes.c_long(number), *words))


def in_child(act: Callable[[], object]) -> str:
    """The same of what may wait, end or crash the process that does it: then ``waits``, ``ends``, a signal's name."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            mine = os.getpid()
            answer = attempt(act)
            if os.getpid() == mine:
                os.write(writing, answer.encode())
        finally:
            os._exit(0)
    os.close(writing)
    ready, _, _ = select.select([reading], [], [], PATIENCE)
    answer = os.read(reading, 100).decode() if ready else "waits"
    os.close(reading)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    if not answer:
        answer = signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else "ends"
    return answer


def calls() -> dict[int, str]:
    """Number → what became of it."""
    found = {}
    for number in range(LAST_CALL + 1):
        found[number] = in_child(functools.partial(call, number, *TELLING.get(number, WRONG)))
    return found


def variants() -> dict[str, str]:
    """Calls whose arguments a filter may look at."""
    found = {}
    for name, flag in NAMESPACE_FLAGS.items():
        found[f"unshare {name}"] = in_child(functools.partial(call, 272, flag))
        if name != "time":  # what clone takes for that is its signal
            found[f"clone {name}"] = in_child(functools.partial(call, 56, flag | signal.SIGCHLD, 0, 0, 0, 0))
    for family in range(46):
        kinds = (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET)
        answers = [attempt(functools.partial(_socket, family, kind)) for kind in kinds]
        found[f"socket {family}"] = "ok" if "ok" in answers else answers[0]
    for value in (0, 0x8, 0x20000, 0x20008, 0x40000, 0x400000, 0xFFFFFFFF):
        found[f"personality {value:#x}"] = in_child(functools.partial(call, 135, value))
    found["x32 getpid"] = in_child(lambda: call(0x40000000 + 39))
    found["TIOCSTI"] = in_child(lambda: call(16, os.open("/dev/null", os.O_RDWR), 0x5412, b"x"))
    found["userfaultfd"] = in_child(lambda: call(323, 0))
    found["userfaultfd user mode"] = in_child(lambda: call(323, 1))
    found["perf_event_open"] = in_child(lambda: call(298, bytes(128), 0, -1, -1, 0))
    found["keyctl get session"] = in_child(lambda: call(250, 0, -3, 0))
    return found


def _socket(family: int, kind: int) -> None:
    with socket.socket(family, kind):
        pass


def capabilities() -> dict[str, str]:
    """The sets, the filter's mode and whether privileges can be gained."""
    with open("/proc/self/status") as file:
        lines = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    return {key: lines[key].strip() for key in lines if key.startswith(("Cap", "Seccomp", "NoNew", "Groups"))}


def hidden() -> dict[str, str]:
    """Path → absent, hidden (empty, or refused) or readable."""
    return {path: look(path) for path in SENSITIVE}


def look(path: str) -> str:
    """absent, hidden or readable."""
    try:
        if stat.S_ISDIR(os.stat(path).st_mode):
            return "readable" if os.listdir(path) else "hidden"
        with open(path, "rb", buffering=0) as file:
            os.set_blocking(file.fileno(), False)
            return "readable" if file.read(16) else "hidden"
    except FileNotFoundError:
        return "absent"
    except OSError:
        return "hidden"


def writable(top: str) -> list[str]:
    """Files below that can be opened for writing; processes' own are left out."""
    found = []
    for directory, below, names in os.walk(top):
        if directory == "/proc":
            below[:] = [name for name in below if not name.isdigit() and name not in ("self", "thread-self")]
        for name in names:
            path = f"{directory}/{name}"
            with contextlib.suppress(OSError):
                if stat.S_ISREG(os.lstat(path).st_mode):
                    os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
                    found.append(path)
    return sorted(found)


def devices() -> dict[str, list[str]]:
    """Path below /dev → its numbers, and whether it opens."""
    found = {}
    for directory, _, names in os.walk("/dev"):
        for name in names:
            path = f"{directory}/{name}"
            status = os.stat(path, follow_symlinks=False)
            if stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
                numbers = f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
                found[path] = [numbers, in_child(functools.partial(_open, path))]
    return found


def _open(path: str) -> None:
    os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))


def made_nodes() -> dict[str, str]:
    """Device nodes of our own making: whether they can be made, and opened."""
    found = {}
    for name, (kind, major, minor) in NODES.items():
        path = f"/tmp/node-{major}-{minor}"
        mode = stat.S_IFCHR if kind == "c" else stat.S_IFBLK
        made = attempt(functools.partial(os.mknod, path, mode | 0o600, os.makedev(major, minor)))
        if made == "ok":
            made = in_child(functools.partial(_open, path))
            made = "opens" if made == "ok" else f"made, then {made}"
            os.unlink(path)
        found[name] = made
    return found


def mounts() -> dict[str, dict[str, Any]]:
    """Mount point → file system, flags, and what part of it."""
    found = {}
    with open("/proc/self/mountinfo") as file:
        for line in file:
            before, _, after = line.partition(" - ")
            fields = before.split()
            found[fields[4]] = {"type": after.split()[0], "flags": sorted(fields[5].split(",")), "root": fields[3]}
    return found


def read(path: str) -> str:
    """A file's text, or why not."""
    try:
        with open(path) as file:
            return file.read().strip("\0\n ")
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error.errno))


def main() -> None:
    """Tell all."""
    names = [name for name in dir(resource) if name.startswith("RLIMIT_") and name != "RLIMIT_OFILE"]
    json.dump(
        {
            "machine": platform.machine(),
            "status": capabilities(),
            "calls": calls(),
            "variants": variants(),
            "hidden": hidden(),
            "writable": writable("/proc") + writable("/sys"),
            "devices": devices(),
            "nodes": made_nodes(),
            "mounts": mounts(),
            "namespaces": {
                name: os.readlink(f"/proc/self/ns/{name}") for name in sorted(os.listdir("/proc/self/ns"))
            },
            "uid_map": read("/proc/self/uid_map").split(),
            "gid_map": read("/proc/self/gid_map").split(),
            "setgroups": read("/proc/self/setgroups"),
            "limits": {name[7:].lower(): resource.getrlimit(getattr(resource, name)) for name in names},
            "label": read("/proc/self/attr/current"),
            "cgroup": read("/proc/self/cgroup").splitlines(),
            "descriptors": sorted(int(fd) for fd in os.listdir("/proc/self/fd"))[:-1],
            "environment": sorted(os.environ),
            "hostname": socket.gethostname(),
            "umask": f"{os.umask(0):04o}",
            "oom_score_adj": read("/proc/self/oom_score_adj"),
            "processes": sum(name.isdigit() for name in os.listdir("/proc")),
            "pids_limit": read(next(path for path in PIDS_LIMITS if os.path.exists(path))),
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
