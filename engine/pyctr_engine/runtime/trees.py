"""Detached mounts for init: the image's layers, the container's own directories, and what is bound from the host."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from pyctr_engine.linux import mount as m
from pyctr_engine.linux import namespaces
from pyctr_engine.runtime import passing
from pyctr_engine.runtime.protocol import Bind

# Kernels answer these where a file system can't be idmapped, or is already: bind it plainly instead.
_NOT_IDMAPPABLE = (errno.EINVAL, errno.EPERM, errno.EOPNOTSUPP)
_PROPAGATIONS = {"": m.MS_PRIVATE, "private": m.MS_PRIVATE, "slave": m.MS_SLAVE, "shared": m.MS_SHARED}


class Tree(NamedTuple):
    """A detached mount, where it goes, whether it is a directory, and whether its ids are mapped."""

    fd: int
    target: str
    is_directory: bool
    mapped: bool


def open_store(path: str, userns: int) -> int:
    """A tree of our own store, idmapped (``userns`` -1: as it is). Raises OSError when it can't be mapped."""
    tree = m.open_tree(path)
    if userns >= 0:
        m.set_attributes(tree, userns=userns)
    return tree


def open_bind(bind: Bind, userns: int) -> Iterator[Tree]:
    """The trees of one bind: one, and one for each mount below it.

    Each mount is cloned by itself, because an idmap is refused for a whole tree when one mount in it can't have it,
    and can't be set on a mount that already has a parent.
    """
    source = os.path.realpath(bind.source)
    try:
        tree = _open_one(source, bind, bind.target, userns)
    except OSError as error:
        if error.errno != errno.EINVAL or not bind.recursive or userns >= 0:
            raise
        # In a user namespace the host's mounts are locked to each other: they come all together, or not at all.
        yield _open_one(source, bind, bind.target, userns, recursive=True)
        return
    yield tree
    if bind.recursive and os.path.isdir(source):
        for path in mounts_below(source):
            try:
                yield _open_one(path, bind, bind.target.rstrip("/") + path[len(source.rstrip("/")) :], userns)
            except (PermissionError, FileNotFoundError):
                continue  # a mount that went, or that even root may not look at (FUSE of another user)


def _open_one(path: str, bind: Bind, target: str, userns: int, recursive: bool = False) -> Tree:
    is_bound = target == bind.target  # else a mount below: one that is not shared has nothing to follow
    wanted = bind.propagation if is_bound or bind.propagation.startswith("r") else ""
    propagation = _PROPAGATIONS[wanted.removeprefix("r")]
    if is_bound and propagation != m.MS_PRIVATE and not is_shared(path):
        raise OSError(errno.EINVAL, f"{wanted} needs a mount that is shared (mount --make-shared makes it one)", path)
    tree = m.open_tree(path, recursive, propagation=propagation)
    mapped = False
    if userns >= 0 and bind.idmap:
        try:
            m.set_attributes(tree, userns=userns)
            mapped = True
        except OSError as error:
            if error.errno not in _NOT_IDMAPPABLE:
                raise
            if bind.strict:
                raise OSError(
                    error.errno, "its file system can't be idmapped, and the configuration refuses that", path
                ) from error
    attributes = (m.MOUNT_ATTR_RDONLY if bind.read_only else 0) | (0 if bind.devices else m.MOUNT_ATTR_NODEV)
    if attributes:
        m.set_attributes(tree, set=attributes, recursive=recursive)
    return Tree(tree, target, stat.S_ISDIR(os.stat(path).st_mode), mapped)


def open_devices(sources: Sequence[str], ids: Sequence[Sequence[int]], gids: Sequence[Sequence[int]]) -> list[int]:
    """Device nodes as detached mounts, with the ids inside that they have outside.

    The host's own nodes would belong to nobody inside a user namespace, and without one mode and owner could be
    changed: so others are made, on a file system of our own, for one of the container's can't be for devices.
    """
    found = [os.stat(source) for source in sources]
    for source, one in zip(sources, found, strict=True):
        if not (stat.S_ISCHR(one.st_mode) or stat.S_ISBLK(one.st_mode)):
            raise OSError(errno.ENODEV, "not a device", source)

    def make() -> list[int]:
        # in a mount namespace of its own: a detached mount can't be opened again before Linux 6.15
        namespaces.unshare(namespaces.CLONE_NEWNS)
        m.mount("", "/", "", m.MS_REC | m.MS_PRIVATE)
        m.mount("tmpfs", "/dev", "tmpfs", m.MS_NOSUID | m.MS_NOEXEC)
        for number, one in enumerate(found):
            os.mknod(f"/dev/{number}", one.st_mode, one.st_rdev)
            os.chown(f"/dev/{number}", outside(one.st_uid, ids), outside(one.st_gid, gids))
            os.chmod(f"/dev/{number}", stat.S_IMODE(one.st_mode))  # whatever the umask
        return [m.open_tree(f"/dev/{number}") for number in range(len(found))]

    try:
        return _from_child(make, ", ".join(sources)) if sources else []
    except PermissionError:  # not the host's root: then it is the host's nodes, or none
        trees = [m.open_tree(os.path.realpath(source)) for source in sources]
        for tree in trees:
            m.set_attributes(tree, set=m.MOUNT_ATTR_RDONLY)
        return trees


def outside(id: int, extents: Sequence[Sequence[int]]) -> int:
    """The host's number for an id inside; that of root inside where it has none."""
    for wanted in (id, 0):
        for first, host, count in extents:
            if first <= wanted < first + count:
                return host + wanted - first
    return id


def open_of_process(pid: int, path: str) -> int:
    """What is mounted at ``path`` in the mount namespace of another container's process, as a detached mount."""

    def enter() -> list[int]:
        namespaces.setns(os.pidfd_open(pid), namespaces.CLONE_NEWNS)
        return [m.open_tree(path)]

    return _from_child(enter, path)[0]


def _from_child(make: Callable[[], list[int]], path: str) -> list[int]:
    """Descriptors that only a process in another mount namespace can open; ``path`` is what an error is about."""
    ours, theirs = passing.pair()
    with ours, theirs:
        child = os.fork()
        if child == 0:
            try:
                passing.tell(theirs, b"f", make())
            except OSError as error:
                passing.tell(theirs, b"e%d" % (error.errno or errno.EIO))
            finally:
                os._exit(0)
        theirs.close()
        message, fds = passing.receive(ours)
        with contextlib.suppress(ChildProcessError):  # starters leave that to the kernel
            os.waitpid(child, 0)
    if not fds:
        number = int(message[1:] or b"0") or errno.ESRCH
        raise OSError(number, os.strerror(number), path)
    return fds


def mounts_below(path: str) -> list[str]:
    """Mount points strictly below ``path``, parents first, each place once. Source: proc_pid_mountinfo(5)."""
    prefix = path.rstrip("/") + "/"
    points: dict[str, None] = {}
    with open("/proc/self/mountinfo", "rb") as file:
        for line in file:
            point = os.fsdecode(_unescape(line.split(b" ", 5)[4]))
            if point.startswith(prefix) and point != prefix:
                points[point] = None
    return sorted(points, key=lambda point: point.count("/"))


def is_shared(path: str) -> bool:
    """Whether the mount that ``path`` is in is shared, or a slave of one that is. Source: proc_pid_mountinfo(5)."""
    best, shared = "", False
    with open("/proc/self/mountinfo", "rb") as file:
        for line in file:
            fields = line.split(b" ")
            point = os.fsdecode(_unescape(fields[4]))
            inside = path == point or path.startswith(point.rstrip("/") + "/")
            if inside and len(point) >= len(best):  # of two at one place the later covers the other
                best = point
                shared = any(tag.startswith((b"shared:", b"master:")) for tag in fields[6 : fields.index(b"-")])
    return shared


def _unescape(field: bytes) -> bytes:
    if b"\\" not in field:
        return field
    for code, character in ((b"\\040", b" "), (b"\\011", b"\t"), (b"\\012", b"\n"), (b"\\134", b"\\")):
        field = field.replace(code, character)
    return field
