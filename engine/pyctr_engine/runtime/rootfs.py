"""A container's root file system as a list of printable mount operations.

Init first makes the container's overlay the root, lets go of the host's (`enter_root`), and only then runs the list,
so that every path in it is resolved by the kernel inside the container's own root: whatever symlinks an image holds,
they lead nowhere else. What comes from the host (binds, devices) arrives as detached mounts by descriptor; so do
/proc and /sys, because the kernel lets a user namespace mount them only while the host's can still be seen.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from pyctr_engine.linux import mount as m
from pyctr_engine.runtime.protocol import StartRequest, Tmpfs

DEVICES = ("null", "zero", "full", "random", "urandom", "tty")

_KERNELS = ("/proc", "/sys", "/dev")
"""What is in these is the kernel's and the engine's, not the image's."""
_NO_EXEC = m.MS_NOSUID | m.MS_NODEV | m.MS_NOEXEC
_SCRATCH = ("/tmp", "/run", "/mnt", "/usr", "/etc")


class Operation(Protocol):
    """One step of making the root file system."""

    def describe(self) -> str:
        """One line, as `mount` would be typed."""

    def execute(self) -> None:
        """Do it; raises OSError."""


class Mount(NamedTuple):
    """Mount a file system; with ``optional``, a kernel that refuses it is no failure."""

    fstype: str
    target: str
    flags: int = 0
    options: str = ""
    optional: bool = False

    def describe(self) -> str:
        """As `mount` would be typed."""
        return f"mount -t {self.fstype} -o {self.options or 'defaults'},{self.flags:#x} {self.fstype} {self.target}"

    def execute(self) -> None:
        """Make the mount point if need be, and mount."""
        make_directory(self.target)
        place = open_place(self.target)
        try:
            m.mount(self.fstype, f"/proc/self/fd/{place}", self.fstype, self.flags, self.options)
        except OSError:
            if not self.optional:
                raise
        finally:
            os.close(place)


class Attach(NamedTuple):
    """Attach a detached mount; ``directory`` says what the mount point must be."""

    tree: int
    target: str
    directory: bool

    def describe(self) -> str:
        """As `mount` would be typed."""
        return f"mount --move fd:{self.tree} {self.target}"

    def execute(self) -> None:
        """Make the mount point if need be, resolve it inside the root, attach."""
        if self.directory:
            make_directory(self.target)
        else:
            make_file(self.target)
        place = open_place(self.target)
        try:
            m.attach_tree(self.tree, directory=place)
        finally:
            os.close(place)
            os.close(self.tree)


class Symlink(NamedTuple):
    """Make a symbolic link."""

    target: str
    path: str

    def describe(self) -> str:
        """As `ln` would be typed."""
        return f"ln -s {self.target} {self.path}"

    def execute(self) -> None:
        """Make it."""
        os.symlink(self.target, self.path)


class Mask(NamedTuple):
    """Hide a file behind /dev/null, a directory behind an empty read-only tmpfs; absent paths need none."""

    path: str

    def describe(self) -> str:
        """What is hidden."""
        return f"mask {self.path}"

    def execute(self) -> None:
        """Hide it, and check that what hides it is what it should be."""
        try:
            is_directory = stat.S_ISDIR(os.stat(self.path).st_mode)
        except (FileNotFoundError, NotADirectoryError):
            return
        if is_directory:
            m.mount("tmpfs", self.path, "tmpfs", m.MS_RDONLY | _NO_EXEC, "size=0k,nr_inodes=1")
            return
        tree = m.open_tree("/dev/null")  # what is looked at is what is mounted, whatever becomes of the path
        try:
            null = os.fstat(tree)
            if not stat.S_ISCHR(null.st_mode) or null.st_rdev != os.makedev(1, 3):
                raise OSError(errno.EINVAL, "not the null device", "/dev/null")
            m.attach_tree(tree, self.path)
        finally:
            os.close(tree)


class ReadOnly(NamedTuple):
    """Make a path read-only where it is."""

    path: str

    def describe(self) -> str:
        """As `mount` would be typed."""
        return f"mount -o bind,ro {self.path} {self.path}"

    def execute(self) -> None:
        """Bind it onto itself, keep the flags that are locked, add read-only."""
        if not os.path.exists(self.path):
            return
        m.mount(self.path, self.path, "", m.MS_BIND | m.MS_REC)
        flags = _NO_EXEC if self.path.startswith("/proc") else 0
        m.mount("", self.path, "", m.MS_BIND | m.MS_REMOUNT | m.MS_RDONLY | flags)


class ReadOnlyRoot(NamedTuple):
    """Make the root file system itself read-only; mounts below it keep their own mode."""

    def describe(self) -> str:
        """As `mount` would be typed."""
        return "mount -o remount,bind,ro /"

    def execute(self) -> None:
        """Remount it."""
        m.mount("", "/", "", m.MS_BIND | m.MS_REMOUNT | m.MS_RDONLY)


def enter_root(request: StartRequest, layers: int, data: int) -> None:
    """Mount the overlay from the two detached trees, make it this process's root, and let go of the host's mounts.

    Nothing of the image may be looked up before the host's root is gone: until then it lies stacked on the new
    one, and ``/..`` in an image's symlink would climb into it. Source: pivot_root(2), on ``pivot_root(".", ".")``.
    """
    scratch = next(path for path in _SCRATCH if os.path.isdir(path))
    m.mount("", "/", "", m.MS_REC | m.MS_PRIVATE)
    m.mount("tmpfs", scratch, "tmpfs", m.MS_NOSUID | m.MS_NODEV, "mode=0700,size=64k")
    os.chdir(scratch)
    for name in ("layers", "data", "root"):
        os.mkdir(name)
    m.attach_tree(layers, "layers")
    m.attach_tree(data, "data")
    os.close(layers)
    os.close(data)
    os.chdir("layers/l")
    upper, *deltas = (f"../../data/{name}" for name in request.uppers)
    lowers = ":".join([*deltas, *request.lowers])
    options = f"lowerdir={lowers},upperdir={upper},workdir=../../data/work,userxattr"
    m.mount("overlay", f"{scratch}/root", "overlay", 0, options)
    os.chdir(f"{scratch}/root")
    m.pivot_root(".", ".")
    m.umount(".", m.MNT_DETACH)
    os.chdir("/")


def open_kernel_trees(request: StartRequest) -> list[tuple[int, str, bool]]:
    """/proc and /sys as detached mounts, opened before the host's are out of sight.

    /sys shows the network namespace's devices: one that is shared may not be ours to show. Without a cgroup namespace
    the control groups are the host's, which only a copy of its own mounts shows.
    """
    attributes = m.MOUNT_ATTR_NOSUID | m.MOUNT_ATTR_NODEV | m.MOUNT_ATTR_NOEXEC
    trees = [(m.new_tree("proc", attributes), "/proc", True)]
    try:
        sysfs = m.new_tree("sysfs", attributes | (0 if request.privileged else m.MOUNT_ATTR_RDONLY))
        trees.append((sysfs, "/sys", True))
    except PermissionError:
        if request.net == "private":
            raise
    if not request.cgroupns:
        trees.append((_host_cgroups(request.privileged), "/sys/fs/cgroup", True))
    return trees


def _host_cgroups(writable: bool) -> int:
    tree = m.open_tree("/sys/fs/cgroup", recursive=True)
    if not writable:
        m.set_attributes(tree, set=m.MOUNT_ATTR_RDONLY, recursive=True)
    return tree


def open_device(name: str) -> int:
    """A node of the host's /dev as a detached mount, read-only: that holds its mode and owner, not what it is for.

    Without a user namespace root inside could take the host's /dev/null from everybody else.
    """
    tree = m.open_tree(f"/dev/{name}")
    try:
        m.set_attributes(tree, set=m.MOUNT_ATTR_RDONLY | m.MOUNT_ATTR_NOSUID | m.MOUNT_ATTR_NOEXEC)
    except OSError:
        os.close(tree)
        raise
    return tree


def operations(
    request: StartRequest,
    kernel: Sequence[tuple[int, str, bool]],
    devices: Sequence[int],
    binds: Sequence[tuple[int, str, bool]],
) -> list[Operation]:
    """The list up to the cgroups; ``devices`` are trees of `DEVICES`, others (tree, target, is it a directory)."""
    steps: list[Operation] = [
        *(Attach(*tree) for tree in kernel),
        Mount("tmpfs", "/dev", m.MS_NOSUID | m.MS_NOEXEC, "mode=755,size=65536k"),
        *(Attach(tree, f"/dev/{name}", False) for name, tree in zip(DEVICES, devices, strict=True)),
        Mount("devpts", "/dev/pts", m.MS_NOSUID | m.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5"),
        Mount("mqueue", "/dev/mqueue", _NO_EXEC),
        *_shm(request),
        Symlink("pts/ptmx", "/dev/ptmx"),
        Symlink("/proc/self/fd", "/dev/fd"),
        Symlink("/proc/self/fd/0", "/dev/stdin"),
        Symlink("/proc/self/fd/1", "/dev/stdout"),
        Symlink("/proc/self/fd/2", "/dev/stderr"),
        Symlink("/proc/kcore", "/dev/core"),
    ]
    below: list[tuple[str, Operation]] = [(bind[1], Attach(*bind)) for bind in binds]
    below += [(item.target, _tmpfs(item)) for item in request.tmpfs]
    # A mount point may lie on another mount: shorter paths first, in the given order among equals.
    steps += [step for _, step in sorted(below, key=lambda item: item[0].rstrip("/").count("/"))]
    return steps


def closing_operations(request: StartRequest) -> list[Operation]:
    """What hides and protects, after sysctls are written and the cgroup namespace is entered."""
    steps: list[Operation] = [*_cgroups(request)] if request.cgroupns else []
    steps += [Mask(path) for path in request.masked]
    steps += [ReadOnly(path) for path in request.protected]
    if request.read_only:
        steps.append(ReadOnlyRoot())
    return steps


def _shm(request: StartRequest) -> list[Operation]:
    """/dev/shm, unless it is another container's, or there is none."""
    if request.shm != "own":
        return []
    return [Mount("tmpfs", "/dev/shm", _NO_EXEC, f"mode=1777,size={request.shm_size}")]


def _tmpfs(item: Tmpfs) -> Mount:
    options = f"mode={item.mode:o}" + (f",size={item.size}" if item.size else "")
    flags = (
        m.MS_NOSUID | m.MS_NODEV | (0 if item.executable else m.MS_NOEXEC) | (m.MS_RDONLY if item.read_only else 0)
    )
    return Mount("tmpfs", item.target, flags, options)


def _cgroups(request: StartRequest) -> list[Operation]:
    """/sys/fs/cgroup: on v2 the tree itself; else a directory per hierarchy, the container's own part of each."""
    flags = _NO_EXEC | (0 if request.privileged else m.MS_RDONLY)
    if request.cgroup.mode == "none":
        return []
    if request.cgroup.mode == "v2":
        return [Mount("cgroup2", "/sys/fs/cgroup", flags, optional=True)]
    steps: list[Operation] = [Mount("tmpfs", "/sys/fs/cgroup", _NO_EXEC, "mode=755,size=64k", optional=True)]
    for directory in sorted({hierarchy_name(path) for path in request.cgroup.directories}):
        if directory == "unified":
            steps.append(Mount("cgroup2", "/sys/fs/cgroup/unified", flags, optional=True))
        else:
            steps.append(Mount("cgroup", f"/sys/fs/cgroup/{directory}", flags, directory, optional=True))
    return steps


def hierarchy_name(path: str) -> str:
    """The hierarchy that a cgroup directory belongs to: ``/sys/fs/cgroup/<name>/…``."""
    return path.split("/")[4] if path.startswith("/sys/fs/cgroup/") else ""


def open_place(target: str) -> int:
    """Where a mount goes, as a descriptor. What the image has there may lead elsewhere, but only among its own files.

    Raises OSError: ELOOP where a symlink stands for /proc, /sys or /dev, or leads into one of them or to the root:
    what the engine later masks and writes there would be something else (CVE-2025-52881).
    """
    kernels = target in _KERNELS
    root = os.open("/", os.O_PATH | os.O_CLOEXEC)
    try:
        place = m.open_in_root(root, target, os.O_PATH | (os.O_NOFOLLOW if kernels else 0))
    finally:
        os.close(root)
    try:
        found = target if kernels else os.readlink(f"/proc/self/fd/{place}")
        if stat.S_ISLNK(os.fstat(place).st_mode) or (
            found != target and (found == "/" or (_is_kernels(found) and not _is_kernels(target)))
        ):
            raise OSError(errno.ELOOP, "a symlink stands where something is mounted", target)
    except OSError:
        os.close(place)
        raise
    return place


def _is_kernels(path: str) -> bool:
    return path.startswith(tuple(f"{top}/" for top in _KERNELS)) or path in _KERNELS


def make_directory(path: str) -> None:
    """Make a mount point and what leads to it, if need be; dangling symlinks are followed, inside the root."""
    if not os.path.isdir(path):
        os.makedirs(os.path.realpath(path), 0o755, exist_ok=True)


def make_file(path: str) -> None:
    """Make an empty file to mount onto, unless something is there that can be."""
    if os.path.lexists(path) and not os.path.islink(path):
        return
    make_directory(os.path.dirname(path))
    if not os.path.exists(path):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644))
