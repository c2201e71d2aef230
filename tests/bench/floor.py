"""The floor: the least that a container's start can cost on this kernel, in a small process of its own.

Run as a program (``python -I -S floor.py ENGINE LOWERS DIRECTORY PROGRAM…``). For each line ``rounds idle`` on its
standard input it answers with one line of that many durations, in milliseconds, from the fork to the reaped end.
One round forks, moves into new namespaces of every kind, mounts an overlay of the image's layers and a /proc,
pivots into it and executes the program. Nothing else: no network interface, no cgroup, no ids but one, no /dev.
"""

from __future__ import annotations

import os
import sys
import time

sys.path.insert(0, sys.argv[1])

from pyctr_engine.linux import mount as m
from pyctr_engine.linux import namespaces as ns

_ALL = (
    ns.CLONE_NEWUSER
    | ns.CLONE_NEWNS
    | ns.CLONE_NEWPID
    | ns.CLONE_NEWNET
    | ns.CLONE_NEWUTS
    | ns.CLONE_NEWIPC
    | ns.CLONE_NEWCGROUP
)


def child(options: str, root: str, argv: list[str]) -> None:
    """Become the program in namespaces of its own; the pid namespace needs one more fork."""
    ns.unshare(_ALL)
    for path, text in (("setgroups", b"deny"), ("uid_map", b"0 0 1"), ("gid_map", b"0 0 1")):
        fd = os.open(f"/proc/self/{path}", os.O_WRONLY)
        os.write(fd, text)
        os.close(fd)
    pid = os.fork()
    if pid:
        os._exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    m.mount("", "/", "", m.MS_REC | m.MS_PRIVATE)
    m.mount("overlay", root, "overlay", 0, options)
    m.mount("proc", f"{root}/proc", "proc", m.MS_NOSUID | m.MS_NODEV | m.MS_NOEXEC)
    os.chdir(root)
    m.pivot_root(".", ".")
    m.umount(".", m.MNT_DETACH)
    os.execv(argv[0], argv)


def once(options: str, root: str, argv: list[str]) -> float:
    """Milliseconds of one start and end."""
    began = time.perf_counter()
    pid = os.fork()
    if pid == 0:
        try:
            child(options, root, argv)
        finally:
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    took = time.perf_counter() - began
    if status:
        sys.exit(f"the floor's program ended with {os.waitstatus_to_exitcode(status)}")
    return took * 1000


def serve(lowers: str, directory: str, argv: list[str]) -> None:
    """Answer until the input ends."""
    for name in ("upper", "work", "root"):
        os.makedirs(f"{directory}/{name}", exist_ok=True)
    options = f"lowerdir={lowers},upperdir={directory}/upper,workdir={directory}/work,userxattr"
    for line in sys.stdin:
        rounds, idle = line.split()
        taken = []
        for _ in range(int(rounds)):
            time.sleep(float(idle))
            taken.append(once(options, f"{directory}/root", argv))
        print(*(f"{duration:.4f}" for duration in taken), flush=True)


if __name__ == "__main__":
    serve(sys.argv[2], sys.argv[3], sys.argv[4:])
