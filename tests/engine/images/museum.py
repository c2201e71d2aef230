"""A tree with one of everything that a layer can hold, and its tar as GNU tar writes it."""

from __future__ import annotations

import os
import socket
import stat
import struct
import subprocess
from pathlib import Path

CAPABILITY = struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0)
"""cap_net_raw+ep, as ``struct vfs_cap_data`` of revision 2."""

ACL = struct.pack("<I", 2) + b"".join(
    struct.pack("<HHI", tag, permissions, id)
    for tag, permissions, id in (
        (0x01, 7, 0xFFFFFFFF), (0x02, 5, 1234), (0x04, 5, 0xFFFFFFFF), (0x10, 5, 0xFFFFFFFF), (0x20, 0, 0xFFFFFFFF)
    )
)  # fmt: skip
"""``user::rwx,user:1234:r-x,group::r-x,mask::r-x,other::---``."""

LONG = b"a-name-of-two-hundred-bytes-".ljust(200, b"x")


def build(root: Path) -> None:
    """Make the tree below ``root``, which must be empty."""
    here = os.open(root, os.O_RDONLY)
    os.fchmod(here, 0o751)
    for directory, mode in (("bin", 0o755), ("etc", 0o2775), ("tmp", 0o1777), ("private", 0o700), ("dev", 0o755)):
        os.mkdir(root / directory)
        os.chmod(root / directory, mode)
    _files(root)
    _names(os.fsencode(root))
    os.setxattr(root / "private", "system.posix_acl_default", ACL)
    (root / "private" / "made-before").write_text("has no ACL of its own")
    os.removexattr(root / "private" / "made-before", "system.posix_acl_access")
    os.chmod(root / "private" / "made-before", 0o640)
    os.chown(root / "private", 12, 13)
    for number, (directory, _, _) in enumerate(sorted(os.walk(root), reverse=True)):
        os.utime(directory, ns=(0, 1_500_000_000_123_456_789 + number))
    os.close(here)


def _files(root: Path) -> None:
    program = root / "bin" / "ping"
    program.write_bytes(b"\x7fELF" + os.urandom(3000))
    os.chown(program, 0, 65534)
    os.chmod(program, 0o6755)
    os.setxattr(program, "security.capability", CAPABILITY)
    os.setxattr(program, "user.note", b"\x00\xff=\n")
    os.setxattr(program, "user.empty", b"")
    os.link(program, root / "bin" / "ping4")
    os.link(program, root / "etc" / "ping-elsewhere")
    (root / "etc" / "empty").touch()
    (root / "etc" / "old").write_text("from before the epoch")
    os.utime(root / "etc" / "old", ns=(0, -86_400_000_000_000 * 365 + 7))
    (root / "etc" / "late").write_text("from after 2242")
    os.utime(root / "etc" / "late", ns=(0, 10_000_000_000 * 10**9 + 1))
    (root / "etc" / "far").write_text("a user beyond octal")
    os.chown(root / "etc" / "far", 1_000_000_000, 2_000_000_000)
    (root / "etc" / "acl").write_text("more than a mode")
    os.setxattr(root / "etc" / "acl", "system.posix_acl_access", ACL)
    with (root / "etc" / "holes").open("wb") as file:
        file.truncate(3 << 20)
        file.seek(1 << 20)
        file.write(b"in the middle")
    os.symlink("/nowhere/../at all", root / "etc" / "dangling")
    os.chown(root / "etc" / "dangling", 7, 8, follow_symlinks=False)
    os.utime(root / "etc" / "dangling", ns=(0, 1_234_567_890_987_654_321), follow_symlinks=False)
    os.symlink(b"x" * 150 + b"/" + b"y" * 150, os.fsencode(root / "etc" / "long-link"))
    os.symlink(b"raw-\xfe", os.fsencode(root / "etc" / "raw-link"))
    os.mkfifo(root / "tmp" / "fifo", 0o620)
    os.mknod(root / "dev" / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.chmod(root / "dev" / "null", 0o666)


def _names(root: bytes) -> None:
    """Names in any bytes, of any length that one path can have."""
    for name in (
        b"raw-\xff\xfe",
        b"new\nline",
        b" spaces ",
        b"quote'\"",
        b"\xc3\xa9",
        b"-rf",
        b"..dots",
        b"back\\slash",
        b"tab\t",
    ):
        with open(root + b"/tmp/" + name, "wb") as file:
            file.write(name)
    with open(root + b"/tmp/" + b"n" * 255, "wb") as file:
        file.write(b"the longest name")
    directory = root + b"/" + LONG
    os.mkdir(directory)
    os.mkdir(directory + b"/" + LONG)
    with open(directory + b"/" + LONG + b"/file", "wb") as file:
        file.write(b"at the end of more than 255 bytes")


def build_deep(root: Path) -> None:
    """Add paths of more than 4,096 bytes, which few tools can handle."""
    os.mkdir(root / "deep")
    here = os.open(root / "deep", os.O_RDONLY)
    for _ in range(22):
        os.mkdir(LONG, dir_fd=here)
        below = os.open(LONG, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    with open(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=here), "wb") as file:
        file.write(b"far down")
    os.link("file", "again", src_dir_fd=here, dst_dir_fd=here)
    os.symlink("file", "link", dir_fd=here)
    os.close(here)


def pack(root: Path, archive: Path) -> None:
    """GNU tar's idea of the tree."""
    options = "--format=posix --numeric-owner --xattrs --xattrs-include=* --sort=name".split()
    subprocess.run(["tar", "-C", root, *options, "-cf", archive, "."], check=True)


def bind_socket(path: Path) -> None:
    """A socket, which no tar can hold."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
