"""As root, become an ordinary user for whom this machine is as another would be: run as a program.

``python login.py '{"user": …}' PROGRAM ARGUMENT…``. In a mount namespace of its own, so that nothing of the machine
is changed: /dev/net/tun can be opened, as udev has it elsewhere, and the interpreter and this checkout can be
reached, wherever they lie.
"""

from __future__ import annotations

import grp
import json
import os
import pwd
import stat
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
sys.path[:0] = [f"{ROOT}/engine"]

from pyctr_engine.linux import mount, namespaces  # noqa: E402


def main() -> None:
    """Options: ``user``, ``environment``, ``resolv`` (a file to be seen as /etc/resolv.conf), ``tun``, ``hide``."""
    options = json.loads(sys.argv[1])
    namespaces.unshare(namespaces.CLONE_NEWNS)
    mount.mount("", "/", "", mount.MS_REC | mount.MS_PRIVATE)
    mount.mount("tmpfs", "/dev/net", "tmpfs", 0, "mode=755")
    os.mknod("/dev/net/tun", stat.S_IFCHR | 0o600, os.makedev(10, 200))
    os.chmod("/dev/net/tun", 0o666 if options.get("tun", True) else 0o600)
    if options.get("resolv"):
        mount.mount(options["resolv"], os.path.realpath("/etc/resolv.conf"), "", mount.MS_BIND)
    for path in options.get("hide", ()):
        mount.mount("/dev/null", os.path.realpath(path), "", mount.MS_BIND)
    make_reachable({os.path.realpath(path) for path in (sys.base_prefix, sys.prefix, ROOT)})
    user = pwd.getpwnam(options["user"])
    os.setgroups([group.gr_gid for group in grp.getgrall() if user.pw_name in group.gr_mem])
    os.setresgid(user.pw_gid, user.pw_gid, user.pw_gid)
    os.setresuid(user.pw_uid, user.pw_uid, user.pw_uid)
    os.chdir(user.pw_dir)
    environment = {"HOME": user.pw_dir, "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TERM": "xterm-256color"}
    environment.update(options.get("environment", {}))
    os.execve(sys.argv[2], sys.argv[2:], environment)


def make_reachable(wanted: set[str]) -> None:
    """Cover each directory that is closed to others, on the way to ``wanted``, with one that holds those alone."""
    closed: dict[str, list[str]] = {}
    for path in sorted(wanted):
        above = "/"
        for name in path.split("/")[1:-1]:
            above = os.path.join(above, name)
            if not os.stat(above).st_mode & stat.S_IXOTH:
                closed.setdefault(above, []).append(path)
                break
    for directory, paths in closed.items():
        opened = {path: os.open(path, os.O_PATH | os.O_DIRECTORY) for path in paths}
        mount.mount("tmpfs", directory, "tmpfs", 0, "mode=755")
        for path, fd in opened.items():
            os.makedirs(path, 0o755, exist_ok=True)
            mount.mount(f"/proc/self/fd/{fd}", path, "", mount.MS_BIND | mount.MS_REC)
            os.close(fd)


if __name__ == "__main__":
    main()
