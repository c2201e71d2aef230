"""Overlay views for tests: mount, act, and tell the whole tree, in a mount namespace of the child's own.

Run as a program: ``view.py UPPER WORK LOWER…`` with the acts (Python, in the view) on standard input; it prints
the tree as JSON.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

Tree = dict[str, Any]


def look(lowers: Sequence[str], upper: str = "", work: str = "", acts: str = "") -> Tree:
    """The tree seen through an overlay of ``lowers`` (topmost first) after ``acts`` were done in it."""
    done = subprocess.run(
        ["unshare", "-m", sys.executable, __file__, upper, work, *map(os.path.realpath, lowers)],
        input=acts,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    tree: Tree = json.loads(done.stdout)
    return tree


def tree_of(root: bytes) -> Tree:
    """Every path with all that a layer has to keep of it; no path is too long."""
    found: Tree = {}
    inodes: dict[int, str] = {}
    for directory, directories, files, fd in os.fwalk(root):
        for name in sorted(directories + files) + ([b"."] if directory == root else []):
            key = os.fsdecode(os.path.relpath(os.path.join(directory, name), root))
            found[key] = _told(b"/proc/self/fd/%d/" % fd + name, key, inodes)
    return found


def _told(path: bytes, key: str, inodes: dict[int, str]) -> list[Any]:
    status = os.lstat(path)
    entry: list[Any] = [stat.filemode(status.st_mode), status.st_uid, status.st_gid]
    if stat.S_ISREG(status.st_mode):
        with open(path, "rb") as file:
            entry.append(hashlib.sha256(file.read()).hexdigest())
        entry.append(inodes.setdefault(status.st_ino, key) if status.st_nlink > 1 else "")
    elif stat.S_ISLNK(status.st_mode):
        entry.append(os.fsdecode(os.readlink(path)))
    elif stat.S_ISCHR(status.st_mode):
        entry.append(status.st_rdev)
    if not stat.S_ISDIR(status.st_mode):
        entry.append(status.st_mtime_ns)
    names = os.listxattr(path, follow_symlinks=False)
    entry.append(sorted((name, os.getxattr(path, name, follow_symlinks=False).hex()) for name in names))
    return entry


def main() -> None:
    """See the module."""
    upper, work, *lowers = sys.argv[1:]
    with tempfile.TemporaryDirectory() as directory:
        if not upper and len(lowers) == 1:
            subprocess.run(["mount", "--bind", lowers[0], directory], check=True)
        else:
            options = ["userxattr", "lowerdir=" + ":".join(lowers)]
            if upper:
                options += [f"upperdir={upper}", f"workdir={work}"]
            subprocess.run(["mount", "-t", "overlay", "overlay", "-o", ",".join(options), directory], check=True)
        os.chdir(directory)
        exec(sys.stdin.read(), {"os": os})
        tree = tree_of(os.fsencode(directory))
        os.chdir("/")
        subprocess.run(["umount", directory], check=True)
    print(json.dumps(tree))


if __name__ == "__main__":
    main()
