"""Mounts: mount(2), the mount API by descriptors (Linux 5.2), idmapped mounts (5.12), openat2(2) (5.6)."""

from __future__ import annotations

import ctypes
import os

from pyctr_engine.linux.libc import syscall

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18
MS_SLAVE = 1 << 19
MS_SHARED = 1 << 20
MNT_DETACH = 2

_FSOPEN_CLOEXEC = 1
_FSMOUNT_CLOEXEC = 1
_FSCONFIG_CMD_CREATE = 6
OPEN_TREE_CLONE = 1
AT_EMPTY_PATH = 0x1000
AT_RECURSIVE = 0x8000
AT_FDCWD = -100
MOVE_MOUNT_F_EMPTY_PATH = 0x4
MOVE_MOUNT_T_EMPTY_PATH = 0x40

MOUNT_ATTR_RDONLY = 0x1
MOUNT_ATTR_NOSUID = 0x2
MOUNT_ATTR_NODEV = 0x4
MOUNT_ATTR_NOEXEC = 0x8
MOUNT_ATTR_IDMAP = 0x00100000

RESOLVE_NO_XDEV = 0x01
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_BENEATH = 0x08
RESOLVE_IN_ROOT = 0x10


class _MountAttr(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("attr_set", "attr_clr", "propagation", "userns_fd")]


class _OpenHow(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("flags", "mode", "resolve")]


def mount(source: str, target: str, fstype: str, flags: int = 0, options: str = "") -> None:
    """Mount a file system, or change a mount. Source: mount(2)."""
    syscall(
        "mount",
        os.fsencode(source) or None,
        os.fsencode(target),
        fstype.encode() or None,
        flags,
        os.fsencode(options) or None,
        path=target,
    )


def umount(target: str, flags: int = 0) -> None:
    """Unmount. Source: umount2(2)."""
    syscall("umount2", os.fsencode(target), flags, path=target)


def pivot_root(new: str, old: str) -> None:
    """Make ``new`` the root and move the old one to ``old``; both may be ``"."``. Source: pivot_root(2)."""
    syscall("pivot_root", os.fsencode(new), os.fsencode(old), path=new)


def new_tree(fstype: str, attributes: int) -> int:
    """A file system of its own as a detached mount, with default options. Source: fsopen(2), fsmount(2)."""
    context = syscall("fsopen", fstype.encode(), _FSOPEN_CLOEXEC)
    try:
        syscall("fsconfig", context, _FSCONFIG_CMD_CREATE, None, None, 0, path=fstype)
        return syscall("fsmount", context, _FSMOUNT_CLOEXEC, attributes, path=fstype)
    finally:
        os.close(context)


def open_tree(path: str, recursive: bool = False, directory: int = AT_FDCWD, propagation: int = MS_PRIVATE) -> int:
    """A detached copy of the mount at ``path``, as a descriptor. Source: open_tree(2).

    What is mounted in either of them later does not appear in the other, unless ``propagation`` says so
    (``MS_SLAVE``: what is mounted there appears here; ``MS_SHARED``: both ways). Under systemd every mount is shared:
    a container that mounts something on a bind, or hides a file behind another, would do so on the host.
    """
    flags = OPEN_TREE_CLONE | os.O_CLOEXEC | (AT_RECURSIVE if recursive else 0)
    if not path:
        flags |= AT_EMPTY_PATH
    tree = syscall("open_tree", directory, os.fsencode(path), flags, path=path)
    try:
        if propagation != MS_SHARED:  # as it is, where that of the host is
            set_attributes(tree, recursive=recursive, propagation=propagation)
    except OSError:
        os.close(tree)
        raise
    return tree


def attach_tree(tree: int, target: str = "", directory: int = AT_FDCWD) -> None:
    """Attach a detached mount onto ``target``, or onto the file that ``directory`` is. Source: move_mount(2)."""
    flags = MOVE_MOUNT_F_EMPTY_PATH
    if not target:
        flags |= MOVE_MOUNT_T_EMPTY_PATH
    syscall("move_mount", tree, b"", directory, os.fsencode(target), flags, path=target)


def set_attributes(
    tree: int, set: int = 0, clear: int = 0, userns: int = -1, recursive: bool = False, propagation: int = 0
) -> None:
    """Change a detached mount's attributes, and its propagation; ``userns`` also maps its ids by that user namespace.

    Source: mount_setattr(2).
    """
    attributes = _MountAttr(attr_set=set, attr_clr=clear, propagation=propagation)
    if userns >= 0:
        attributes.attr_set |= MOUNT_ATTR_IDMAP
        attributes.userns_fd = userns
    flags = AT_EMPTY_PATH | (AT_RECURSIVE if recursive else 0)
    syscall("mount_setattr", tree, b"", flags, attributes, ctypes.sizeof(attributes))


def open_in_one_mount(directory: int, path: str, flags: int) -> int:
    """Open ``path`` below a directory, crossing no mount. Source: openat2(2)."""
    how = _OpenHow(flags=flags | os.O_CLOEXEC, resolve=RESOLVE_BENEATH | RESOLVE_NO_XDEV)
    return syscall("openat2", directory, os.fsencode(path), how, ctypes.sizeof(how), path=path)


def open_in_root(root: int, path: str, flags: int, mode: int = 0) -> int:
    """Open ``path`` as if ``root`` were ``/``: no ``..``, symlink or magic link leads out. Source: openat2(2)."""
    how = _OpenHow(flags=flags | os.O_CLOEXEC, mode=mode, resolve=RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)
    return syscall("openat2", root, os.fsencode(path), how, ctypes.sizeof(how), path=path)
