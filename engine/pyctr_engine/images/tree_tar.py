"""The confined child: an overlay of directories, mounted read-only as its root, becomes a tar on standard output.

Runs as ``python -I -S`` with nothing but this, started by `export`. The container may go on meanwhile: what it takes
away is left out, a file that shrinks is filled up with zeros, and what it swaps for a symlink leads nowhere else.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import sys
from typing import NoReturn

from pyctr_engine.images import confinement
from pyctr_engine.images.layers import kept_xattrs
from pyctr_engine.images.tar_writer import END, Kind, header, padding
from pyctr_engine.linux import mount
from pyctr_engine.linux.tree import change_directory

_CHUNK = 1 << 20
_SMALL = 1 << 16
_GONE = (errno.ENOENT, errno.ELOOP, errno.ENXIO, errno.ENOTDIR)
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_SCRATCH = ("/run", "/tmp", "/mnt", "/usr")
_KINDS: dict[int, Kind] = {
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFCHR: "char",
    stat.S_IFBLK: "block",
}


class Writer:
    """Writes the tree below the root directory to ``fd``, in the order of a sorted walk."""

    def __init__(self, fd: int) -> None:
        self.path = b""
        self._fd = fd
        self._waiting: list[bytes] = []
        self._size = 0
        self._links: dict[tuple[int, int], bytes] = {}

    def write(self) -> None:
        """All of it; raises OSError, with `path` where it was."""
        self._entry(b".", b"", os.lstat("/"))
        stack = [(b"", self._names(b""))]
        while stack:
            directory, names = stack[-1]
            if not names:
                stack.pop()
                if stack:
                    change_directory(b"/" + stack[-1][0])
                continue
            name = names.pop()
            path = directory + b"/" + name if directory else name
            try:
                status = os.lstat(name)
                self._entry(name, path, status)
                if stat.S_ISDIR(status.st_mode):
                    stack.append((path, self._names(path)))
            except OSError as error:
                if error.errno not in _GONE:
                    raise
                change_directory(b"/" + directory)
        self._put(END)
        self._flush()

    def _names(self, directory: bytes) -> list[bytes]:
        """What is in a directory, last first; it is the working directory from now on."""
        self.path = directory
        change_directory(b"/" + directory)
        return sorted(os.listdir(b"."), reverse=True)

    def _entry(self, name: bytes, path: bytes, status: os.stat_result) -> None:
        self.path = path
        if stat.S_ISREG(status.st_mode):
            self._file(name, path)
            return
        kind = _KINDS.get(stat.S_IFMT(status.st_mode))
        if kind is None:
            return  # a socket
        first = self._link(path, status) if kind != "directory" else None
        if first is not None:
            self._header(path, "link", status, target=first)
        elif kind == "symlink":
            self._header(path, kind, status, target=os.readlink(name))
        elif kind == "directory":
            fd = os.open(name, _READ | os.O_DIRECTORY)
            try:
                self._header(path, kind, status, xattrs=kept_xattrs(fd))
            finally:
                os.close(fd)
        else:
            device = (os.major(status.st_rdev), os.minor(status.st_rdev))
            self._header(path, kind, status, device=(0, 0) if kind == "fifo" else device)

    def _link(self, path: bytes, status: os.stat_result) -> bytes | None:
        """The first name of the same file, if this is another."""
        if status.st_nlink < 2:
            return None
        first = self._links.setdefault((status.st_dev, status.st_ino), path)
        return None if first is path else first

    def _file(self, name: bytes, path: bytes) -> None:
        fd = os.open(name, _READ)
        try:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                return
            first = self._link(path, status)
            if first is not None:
                self._header(path, "link", status, target=first)
                return
            self._header(path, "file", status, size=status.st_size, xattrs=kept_xattrs(fd))
            if status.st_size <= _SMALL:
                data = os.read(fd, status.st_size) if status.st_size else b""
                self._put(data.ljust(status.st_size, b"\0"))
            else:
                self._flush()
                self._contents(fd, status.st_size)
            self._put(padding(status.st_size))
        finally:
            os.close(fd)

    def _contents(self, fd: int, left: int) -> None:
        """Exactly so many bytes, without a copy in this process where the kernel can do it."""
        send = True
        while left:
            done = 0
            if send:
                try:
                    done = os.sendfile(self._fd, fd, None, min(_CHUNK, left))
                except OSError as error:
                    if error.errno not in (errno.EINVAL, errno.ENOSYS):
                        raise
                    send = False  # e.g. a file opened for appending
                    continue
            else:
                data = os.read(fd, min(_CHUNK, left))
                _write_all(self._fd, data)
                done = len(data)
            if not done:  # it shrank
                data = bytes(min(_CHUNK, left))
                _write_all(self._fd, data)
                done = len(data)
            left -= done

    def _header(
        self,
        path: bytes,
        kind: Kind,
        status: os.stat_result,
        size: int = 0,
        target: bytes = b"",
        device: tuple[int, int] = (0, 0),
        xattrs: dict[str, bytes] | None = None,
    ) -> None:
        mode, owner, time = stat.S_IMODE(status.st_mode), (status.st_uid, status.st_gid), status.st_mtime_ns
        self._put(header(path, kind, mode, *owner, size, time, target, device, xattrs))

    def _put(self, data: bytes) -> None:
        self._waiting.append(data)
        self._size += len(data)
        if self._size >= _CHUNK:
            self._flush()

    def _flush(self) -> None:
        _write_all(self._fd, b"".join(self._waiting))
        self._waiting.clear()
        self._size = 0


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def mount_overlay(layers: str, data: str, uppers: list[str], links: list[str], work: str = "") -> str:
    """Mount a container's file system in a mount namespace of this process's own; where it is.

    It is read-only, unless ``work`` names a directory in ``data`` for the overlay to work in.

    Layers and the container's directory get short names: mount(2) takes a page of options.
    """
    confinement.separate()
    trees = [(mount.open_tree(layers), "layers"), (mount.open_tree(data), "data")]
    scratch = next(filter(os.path.isdir, _SCRATCH))
    mount.mount("tmpfs", scratch, "tmpfs")
    for tree, name in trees:
        os.mkdir(f"{scratch}/{name}")
        mount.attach_tree(tree, f"{scratch}/{name}")
    os.chdir(f"{scratch}/layers")
    root = f"{scratch}/root"
    os.mkdir(root)
    directories = [f"../data/{upper}" for upper in uppers] + links
    if work:
        upper, *lowers = directories
        options = f"userxattr,index=off,lowerdir={':'.join(lowers)},upperdir={upper},workdir=../data/{work}"
        mount.mount("overlay", root, "overlay", 0, options)
    elif len(directories) == 1:
        mount.mount(directories[0], root, "", mount.MS_BIND)
    else:
        # It can't be written to, so its inode index is of no use; with one, directories that a running container
        # has mounted would be refused.
        options = f"userxattr,index=off,lowerdir={':'.join(directories)}"
        mount.mount("overlay", root, "overlay", mount.MS_RDONLY, options)
    return root


def main() -> NoReturn:
    """``argv[1]``: JSON of `mount_overlay`'s arguments. Ends the process; what went wrong is JSON on stderr."""
    options = json.loads(sys.argv[1])
    writer = Writer(1)
    try:
        confinement.enter(mount_overlay(**options))
        writer.write()
    except OSError as error:
        path = "/" + os.fsdecode(writer.path) if writer.path else ""
        report = {"errno": error.errno or 0, "error": os.strerror(error.errno or 0), "path": path}
        os.write(2, json.dumps(report).encode())
        os._exit(1)
    os._exit(0)
