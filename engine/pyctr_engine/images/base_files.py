"""Which of the host's files the built-in image is made of, and the files of its own."""

from __future__ import annotations

import contextlib
import os
import stat
from dataclasses import dataclass, field
from typing import Literal

from pyctr_engine.images.base_python import Python, find_python
from pyctr_engine.images.elf import Closure, merged

_PROGRAMS = """
    sh dash bash
    arch b2sum base32 base64 basename basenc cat chgrp chmod chown chroot cksum comm cp csplit cut date dd df dir
    dircolors dirname du echo env expand expr factor false fmt fold groups head hostid id install join link ln logname
    ls md5sum mkdir mkfifo mknod mktemp mv nice nl nohup nproc numfmt od paste pathchk pr printenv printf ptx pwd
    readlink realpath rm rmdir runcon seq sha1sum sha224sum sha256sum sha384sum sha512sum shred shuf sleep sort split
    stat stdbuf stty sum sync tac tail tee test timeout touch tr true truncate tsort tty uname unexpand uniq unlink
    users vdir wc who whoami yes [
    grep egrep fgrep sed awk mawk find xargs diff cmp tar gzip gunzip zcat xz less more which clear tput reset getopt
    getent ps top free kill pgrep pkill pidof uptime watch vmstat sysctl hostname dmesg mount umount mountpoint
    findmnt setpriv unshare nsenter su flock ionice taskset prlimit renice setsid tini ip ss ping
""".split()
_SEARCH = ("/usr/bin", "/bin", "/usr/sbin", "/sbin")
_SHELLS = frozenset({"sh", "bash", "dash", "env"})

_TERMINALS = """
    ansi dumb linux screen screen-256color tmux tmux-256color vt100 vt102 vt220 xterm xterm-color xterm-256color
""".split()
_TERMINFO = ("/lib/terminfo", "/usr/share/terminfo", "/etc/terminfo")
_LOCALES = ("/usr/lib/locale/C.utf8", "/usr/lib/locale/C.UTF-8")

_DIRECTORIES = """
    dev etc home media mnt opt proc root run run/lock srv sys tmp usr/bin usr/lib usr/sbin usr/share usr/local/bin
    usr/local/lib usr/local/sbin usr/local/share var/cache var/lib var/log var/spool var/tmp
""".split()
_MODES = {"root": 0o700, "tmp": 0o1777, "var/tmp": 0o1777, "run/lock": 0o1777}
_LINKS = {
    "bin": "usr/bin",
    "sbin": "usr/sbin",
    "lib": "usr/lib",
    "etc/mtab": "../proc/self/mounts",
    "var/run": "../run",
    "var/lock": "../run/lock",
}
_ETC = {
    "passwd": """\
root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
bin:x:2:2:bin:/bin:/usr/sbin/nologin
www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
""",
    "group": """\
root:x:0:
daemon:x:1:
bin:x:2:
tty:x:5:
www-data:x:33:
users:x:100:
nogroup:x:65534:
""",
    "nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nservices: files\n",
    "profile": """\
if [ "$(id -u)" = 0 ]; then PS1='# '; else PS1='$ '; fi
[ -n "$BASH" ] && PS1='\\u@\\h:\\w\\$ '
export PS1
""",
    "shells": "/bin/sh\n/bin/bash\n",
    "os-release": 'ID=pyctr-base\nNAME="pyctr base"\nPRETTY_NAME="pyctr base (made of the host\'s files)"\n',
    "services": "ssh 22/tcp\ndomain 53/tcp\ndomain 53/udp\nhttp 80/tcp\nhttps 443/tcp\n",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One path of the image: a file of the host (``source``) or of our own (``data``), a directory, a symlink."""

    kind: Literal["file", "directory", "symlink"]
    mode: int = 0o644
    source: str = ""
    data: bytes = b""
    target: str = ""
    xattrs: dict[str, bytes] = field(default_factory=dict)


Tree = dict[str, Entry]


def collect() -> Tree:
    """All of the image's paths, without a slash in front; each directory has an entry of its own."""
    tree: Tree = {"": Entry("directory", 0o755)}
    closure = Closure()
    for name in _PROGRAMS:
        _add_program(tree, closure, name)
    python = find_python()
    if python is not None:
        _add_python(tree, closure, python)
    for path, source in closure.files.items():
        _add_file(tree, path, source)
    _add_data(tree)
    _add_own(tree)
    _add_parents(tree)
    return tree


def _find(name: str) -> str:
    for directory in _SEARCH:
        path = f"{directory}/{name}"
        if os.access(path, os.X_OK) and os.path.isfile(path):
            return path
    return ""


def _add_program(tree: Tree, closure: Closure, name: str) -> None:
    """The program under its own name; a name that is a link (awk, busybox's) stays one."""
    path = _find(name)
    if not path:
        return
    real = os.path.realpath(path)
    if not _can_run(real):
        return
    place, real_place = merged(path), merged(real)
    _add_file(tree, real_place, real)
    if place != real_place and place.strip("/") not in tree:
        _add_link(tree, place, real_place)
    closure.add(real)


def _can_run(path: str) -> bool:
    """Scripts run only where their interpreter is: those of a shell."""
    with open(path, "rb") as file:
        head = file.read(128)
    if not head.startswith(b"#!"):
        return True
    words = head[2:].split(b"\n")[0].split()
    return bool(words) and os.path.basename(os.fsdecode(words[0])) in _SHELLS and b"perl" not in words[-1]


def _add_python(tree: Tree, closure: Closure, python: Python) -> None:
    _add_file(tree, python.program_place, python.program)
    closure.add(python.program)
    for name in ("/usr/bin/python3", "/usr/bin/python"):
        if name != python.program_place:
            _add_link(tree, name, python.program_place)
    for path, source in python.files.items():
        _add_file(tree, path, source)
        if path.endswith(".so"):
            closure.add(source)
    for path, data in python.compiled.items():
        tree[path.strip("/")] = Entry("file", data=data)


def _add_data(tree: Tree) -> None:
    for directory in _TERMINFO:
        for name in _TERMINALS:
            path = f"{directory}/{name[0]}/{name}"
            if os.path.isfile(path):
                _add_file(tree, merged(path), os.path.realpath(path))
    for directory in _LOCALES:
        for root, _directories, files in os.walk(directory):
            for name in files:
                _add_file(tree, f"{root}/{name}", f"{root}/{name}")


def _add_own(tree: Tree) -> None:
    for path in _DIRECTORIES:
        tree[path] = Entry("directory", _MODES.get(path, 0o755))
    for path, target in _LINKS.items():
        tree[path] = Entry("symlink", 0o777, target=target)
    for name in ("lib32", "lib64", "libx32"):
        if any(path.startswith(f"usr/{name}/") for path in tree):
            tree[name] = Entry("symlink", 0o777, target=f"usr/{name}")
    for name, text in _ETC.items():
        tree[f"etc/{name}"] = Entry("file", data=text.encode())


def _add_parents(tree: Tree) -> None:
    for path in list(tree):
        parent = os.path.dirname(path)
        while parent and parent not in tree:
            tree[parent] = Entry("directory", 0o755)
            parent = os.path.dirname(parent)


def _add_file(tree: Tree, path: str, source: str) -> None:
    status = os.stat(source)
    if not stat.S_ISREG(status.st_mode):
        return
    xattrs: dict[str, bytes] = {}
    with contextlib.suppress(OSError):  # it has none, or the file system knows none
        xattrs["security.capability"] = os.getxattr(source, "security.capability")
    tree[path.strip("/")] = Entry("file", stat.S_IMODE(status.st_mode), source, xattrs=xattrs)


def _add_link(tree: Tree, path: str, to: str) -> None:
    target = os.path.relpath(to, os.path.dirname(path))
    tree[path.strip("/")] = Entry("symlink", 0o777, target=target)
