"""Filling a new volume with what its image has at the mount point.

Done by a child process in a mount namespace of its own, which mounts the image's layers read-only and copies without
following anything out of them.
"""

from __future__ import annotations

import os
import sys

from pyctr_engine.errors import EngineError, told_as
from pyctr_engine.model.spec import ContainerSpec
from pyctr_engine.paths import Paths

_PROGRAM = """
import os, sys, shutil
sys.path.insert(0, sys.argv[1])
from pyctr_engine.linux import mount as m, namespaces as n
root, lowers, target, volume = sys.argv[2:6]
n.unshare(n.CLONE_NEWNS)
m.mount("", "/", "", m.MS_REC | m.MS_PRIVATE)
os.chdir(root)
m.mount("overlay", "mnt", "overlay", m.MS_RDONLY, "lowerdir=" + lowers + ",userxattr")
top = os.open("mnt", os.O_PATH | os.O_DIRECTORY)
try:
    source = m.open_in_root(top, target, os.O_RDONLY | os.O_DIRECTORY)
except (FileNotFoundError, NotADirectoryError):
    sys.exit(0)
os.chdir("/")
os.set_inheritable(source, True)
os.execvp("cp", ["cp", "-a", "--sparse=auto", "-T", "/proc/self/fd/%d/." % source, volume])
"""


def fill(paths: Paths, spec: ContainerSpec, target: str, volume: str) -> None:
    """Copy what the image has at ``target`` into the empty directory ``volume``, attributes and all."""
    lowers = [f"{paths.layers}/{link}" for link in spec.chain]
    if not any(os.path.lexists(lower + target) for lower in lowers) and not _has_symlink(lowers, target):
        return
    import subprocess

    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    scratch = f"{paths.container(spec.id)}/copyup"
    os.makedirs(f"{scratch}/mnt")
    directory = f"{scratch}/lowers"
    os.symlink(f"{paths.layers}/l", directory)
    empty = f"{scratch}/empty"
    os.mkdir(empty)
    names = ":".join([*(f"lowers/{os.path.basename(link)}" for link in spec.chain), "empty"])
    try:
        with told_as("start the process that fills a volume"):
            done = subprocess.run(
                [sys.executable, "-I", "-S", "-c", _PROGRAM, root, scratch, names, target, volume],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
            )
    finally:
        for path in (f"{scratch}/mnt", empty):
            os.rmdir(path)
        os.unlink(directory)
        os.rmdir(scratch)
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise EngineError(f"cannot fill the volume for {target} from the image: {reason[0]}", "is the disk full?")


def _has_symlink(lowers: list[str], target: str) -> bool:
    """Whether something on the way to ``target`` is a symbolic link in some layer."""
    parts = target.strip("/").split("/")
    paths = ["/" + "/".join(parts[: count + 1]) for count in range(len(parts))]
    return any(os.path.islink(lower + path) for lower in lowers for path in paths)
