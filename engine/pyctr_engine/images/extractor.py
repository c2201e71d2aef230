"""From a tar's entries to files below the root directory, inside the confined child (image-spec, layer.md).

An entry that can't be what an honest tool wrote is refused. Whiteouts become overlayfs's own: a character device 0:0,
and ``user.overlay.opaque`` (the overlay is mounted with ``userxattr``).
"""

from __future__ import annotations

import errno
import os
import stat

from pyctr_engine.images import tar_format
from pyctr_engine.images.holes import fill
from pyctr_engine.images.layer_format import OPAQUE, SPEC_DEVICES, WHITEOUT, keeps_xattr
from pyctr_engine.images.tar_format import CHARACTER, DIRECTORY, FIFO, FILE, LINK, SYMLINK, Entry, Refused
from pyctr_engine.images.tar_reader import TarReader
from pyctr_engine.linux.tree import change_directory, remove_tree

OPAQUE_XATTR = "user.overlay.opaque"

_DEFAULT_ACL = "system.posix_acl_default"
_FIRST_EXTRA_ID = 65536
_MAX_ID = 0xFFFFFFFE
_MAX_TIME = 253_402_300_799 * 10**9
"""The end of the year 9999; a file system has a nearer end of its own."""
_MAX_NOTES = 20
_MAX_IMPLICIT = 32 << 20
"""Bytes of the names of directories that no entry describes: they are told to the parent in one piece."""

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class OverLimit(Refused):
    """More than the limits allow."""


class Unmapped(Refused):
    """An owner that an ordinary user has no id for."""

    def __init__(self, owner: int, known: int) -> None:
        super().__init__(f"the owner {owner}, and this user has {known} ids,")
        self.owner = owner


class Directory:
    """What is remembered of a directory that the layer made: names in it that matter later, and what is set last."""

    __slots__ = ("cut", "default_acl", "directories", "hides", "implicit", "time", "whiteouts")

    def __init__(self) -> None:
        self.directories: set[bytes] | None = None
        self.whiteouts: set[bytes] | None = None
        self.default_acl = b""
        self.cut = False  # nothing that is below in it shows through
        self.hides = False  # nor does it itself have to do with one below
        self.implicit = True
        self.time = 0


class Extractor:
    """Makes files of entries, below the current root directory. Paths are bytes, relative, ``b""`` is the root.

    The working directory is the one that holds the entry, so that names are short however long paths are.
    ``ids``: how many ids an ordinary user has, from 0 on; 0 for root, who has all.
    """

    def __init__(self, entries: int, size: int, path: int, bottom: bool, ids: int = 0) -> None:
        self._known_ids = ids
        self._max_entries = entries
        self._max_size = size
        self._max_path = path
        self._bottom = bottom
        self._directories = {b"": Directory()}
        self._here = b""
        self._ids: set[int] = set()
        self._notes: list[str] = []
        self._entries = 0
        self._size = 0
        self._opaque = False
        self._implicit_bytes = 0

    def add(self, entry: Entry, reader: TarReader) -> None:
        """Make one entry; raises Refused, OSError."""
        self._entries += 1
        if self._entries > self._max_entries:
            raise OverLimit(f"more than {self._max_entries} entries")
        path = self._split(entry.name)
        parent, _, name = path.rpartition(b"/")
        if WHITEOUT in path and self._is_white(parent, name):
            return
        self._check_owner(entry)
        kind = entry.kind
        if not path:
            if kind != DIRECTORY:
                raise Refused("the root is not a directory")
            self._enter(b"")
            self._describe(b".", self._directories[b""], entry)
            return
        directory = self._directories.get(parent) or self._make_parents(parent)
        self._enter(parent)
        if kind == FILE:
            self._make_file(name, path, entry, reader)
        elif kind == DIRECTORY:
            self._describe(name, self._make_directory(name, path, directory), entry)
        elif kind == SYMLINK:
            self._make_symlink(name, path, entry)
        elif kind == LINK:
            self._make_link(name, path, self._split(entry.target))
        elif kind in (FIFO, CHARACTER, tar_format.BLOCK_DEVICE):
            self._make_special(name, path, entry)
        else:
            raise Refused(f"an unknown type {kind!r}")

    def finish(self) -> dict[str, object]:
        """Set what comes last of each directory, and tell what there is."""
        whiteouts = []
        for path, directory in self._directories.items():  # each after the one that holds it
            self._enter(path)
            if path:
                parent = self._directories[path.rpartition(b"/")[0]]
                directory.hides = directory.hides or parent.cut or parent.hides
            if directory.whiteouts:
                if directory.cut or directory.hides:
                    for name in directory.whiteouts:
                        os.unlink(name)
                else:
                    whiteouts.append(os.fsdecode(path))
            if directory.default_acl:  # before now, what was made inside would have inherited it
                self._set_xattr(b".", _DEFAULT_ACL, directory.default_acl)
            os.utime(b".", ns=(directory.time, directory.time))
        return {
            "size": self._size,
            "entries": self._entries,
            "ids": runs(self._ids),
            "opaque": self._opaque,
            "implicit": [
                os.fsdecode(path)
                for path, directory in self._directories.items()
                if directory.implicit and not directory.hides and not self._opaque
            ],
            "whiteouts": whiteouts,
            "notes": self._notes,
        }

    # -- names --------------------------------------------------------------------------------------------------

    def _split(self, name: bytes) -> bytes:
        """A name as a path below the root; raises Refused for one that isn't."""
        if len(name) > self._max_path:
            raise OverLimit(f"a path of more than {self._max_path} bytes")
        if name.startswith(b"/"):
            raise Refused("an absolute name")
        if b"\0" in name:
            raise Refused("a name with a zero byte")
        parts = [part for part in name.split(b"/") if part not in (b"", b".")]
        if b".." in parts:
            raise Refused("a name that leads out of the layer")
        return b"/".join(parts)

    def _enter(self, path: bytes) -> None:
        here = self._here
        if path == here:
            return
        if here and path.startswith(here) and path[len(here) : len(here) + 1] == b"/":
            change_directory(path[len(here) + 1 :])
        else:
            change_directory(b"/" + path)
        self._here = path

    def _check_owner(self, entry: Entry) -> None:
        for owner in (entry.uid, entry.gid):
            if not 0 <= owner <= _MAX_ID:
                raise Refused(f"an impossible owner {owner}")
            if 0 < self._known_ids <= owner:
                raise Unmapped(owner, self._known_ids)
            if owner >= _FIRST_EXTRA_ID:
                self._ids.add(owner)

    def _make_parents(self, path: bytes) -> Directory:
        """Every directory above must be one that this layer made: nothing is reached through a symlink."""
        missing = []
        while path not in self._directories:
            missing.append(path)
            path = path.rpartition(b"/")[0]
        directory = self._directories[path]
        for below in reversed(missing):
            above, _, name = below.rpartition(b"/")
            self._enter(above)
            if name not in (directory.whiteouts or ()) and os.path.lexists(name):
                raise Refused(f"{below!r} above it is not a directory")
            self._implicit_bytes += len(below)
            if self._implicit_bytes > _MAX_IMPLICIT:
                raise OverLimit("too many directories that it does not describe")
            directory = self._make_directory(name, below, directory)
            os.chown(name, 0, 0)  # not the group of a directory above that gives its own
            os.chmod(name, 0o755)  # noqa: S103  the usual mode, until the parent knows the one below
        return directory

    def _clear(self, name: bytes, path: bytes) -> bool:
        """Remove what an earlier entry made there; whether it was a whiteout."""
        parent = self._directories[path.rpartition(b"/")[0]]
        if path in self._directories:
            self._forget(path)
            assert parent.directories is not None
            parent.directories.discard(name)
            remove_tree(name)
            return False
        os.unlink(name)
        if name in (parent.whiteouts or ()):
            assert parent.whiteouts is not None
            parent.whiteouts.discard(name)
            return True
        return False

    def _forget(self, path: bytes) -> None:
        gone = [path]
        while gone:
            path = gone.pop()
            gone += [path + b"/" + name for name in self._directories.pop(path).directories or ()]

    # -- kinds --------------------------------------------------------------------------------------------------

    def _make_directory(self, name: bytes, path: bytes, parent: Directory) -> Directory:
        known = self._directories.get(path)
        if known is not None:
            return known
        hidden = False
        try:
            os.mkdir(name, 0o700)
        except FileExistsError:
            hidden = self._clear(name, path)
            os.mkdir(name, 0o700)
        if parent.directories is None:
            parent.directories = set()
        parent.directories.add(name)
        made = self._directories[path] = Directory()
        if hidden:
            made.hides = True
            self._cut(name, made)
        return made

    def _cut(self, name: bytes, directory: Directory) -> None:
        directory.cut = True
        if not self._bottom:
            os.setxattr(name, OPAQUE_XATTR, b"y")

    def _describe(self, name: bytes, directory: Directory, entry: Entry) -> None:
        os.chown(name, entry.uid, entry.gid)
        os.chmod(name, entry.mode)
        for key, value in self._xattrs(entry):
            if key == _DEFAULT_ACL:
                directory.default_acl = value
            else:
                self._set_xattr(name, key, value)
        directory.time = _time(entry)
        directory.implicit = False

    def _make_file(self, name: bytes, path: bytes, entry: Entry, reader: TarReader) -> None:
        self._size += entry.size
        if self._size > self._max_size:
            raise OverLimit(f"more than {self._max_size} bytes of files")
        try:
            fd = os.open(name, _CREATE, 0o600)
        except FileExistsError:
            self._clear(name, path)
            fd = os.open(name, _CREATE, 0o600)
        try:
            if entry.size:
                fill(fd, entry, reader)
            os.fchown(fd, entry.uid, entry.gid)
            os.fchmod(fd, entry.mode)
            for key, value in self._xattrs(entry):
                self._set_xattr(fd, key, value)
            time = _time(entry)
            os.utime(fd, ns=(time, time))
        finally:
            os.close(fd)

    def _make_link(self, name: bytes, path: bytes, target: bytes) -> None:
        above, _, target_name = target.rpartition(b"/")
        holder = self._directories.get(above)
        if holder is None or target in self._directories or target_name in (holder.whiteouts or ()):
            raise Refused(f"a hard link to {target!r}, which is no file of this layer")
        if target == path:
            if not os.path.lexists(name):
                raise Refused("a hard link to itself")
            return
        self._enter(above)
        source = os.open(b".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._enter(path.rpartition(b"/")[0])
            if os.path.lexists(name):
                self._clear(name, path)
            os.link(target_name, name, src_dir_fd=source, follow_symlinks=False)
        except FileNotFoundError:
            raise Refused(f"a hard link to {target!r}, which is no file of this layer") from None
        finally:
            os.close(source)

    def _make_symlink(self, name: bytes, path: bytes, entry: Entry) -> None:
        if not entry.target or b"\0" in entry.target:
            raise Refused("a symlink to nothing")
        if os.path.lexists(name):
            self._clear(name, path)
        os.symlink(entry.target, name)
        time = _time(entry)
        os.chown(name, entry.uid, entry.gid, follow_symlinks=False)
        os.utime(name, ns=(time, time), follow_symlinks=False)

    def _make_special(self, name: bytes, path: bytes, entry: Entry) -> None:
        """A fifo, or a device that every container has. Others: none outside /dev, which containers never see."""
        fifo = entry.kind == FIFO
        if not fifo and (entry.kind != CHARACTER or entry.device not in SPEC_DEVICES):
            if not path.startswith(b"dev/"):
                raise Refused("a device node {}:{}".format(*entry.device))
            self._note(f"left out device node {os.fsdecode(entry.name)}")
            return
        if not fifo and self._known_ids:  # only root makes device nodes
            self._note(f"left out device node {os.fsdecode(entry.name)}")
            return
        if os.path.lexists(name):
            self._clear(name, path)
        os.mknod(name, (stat.S_IFIFO if fifo else stat.S_IFCHR) | 0o600, 0 if fifo else os.makedev(*entry.device))
        os.chown(name, entry.uid, entry.gid)
        os.chmod(name, entry.mode)
        for key, value in self._xattrs(entry):
            self._set_xattr(name, key, value)
        time = _time(entry)
        os.utime(name, ns=(time, time))

    # -- whiteouts ----------------------------------------------------------------------------------------------

    def _is_white(self, parent: bytes, name: bytes) -> bool:
        """Whether it was a whiteout, and is done; raises Refused for one that can't be."""
        for above in parent.split(b"/"):
            if above.startswith(WHITEOUT * 2):
                return True  # AUFS's own bookkeeping
            if above.startswith(WHITEOUT):
                raise Refused("a name below a whiteout")
        if not name.startswith(WHITEOUT):
            return False
        self._white_out(parent, name)
        return True

    def _white_out(self, parent: bytes, name: bytes) -> None:
        """layer.md, Whiteouts: act on lower layers only, whatever their place in the tar."""
        hidden = name.removeprefix(WHITEOUT)
        if hidden in (b"", b".", b".."):
            raise Refused("a whiteout of nothing")
        if hidden.startswith(WHITEOUT) and name != OPAQUE:
            return  # AUFS's own bookkeeping
        directory = self._directories.get(parent) or self._make_parents(parent)
        self._enter(parent)
        if name == OPAQUE:
            if parent:
                self._cut(b".", directory)
            else:
                self._opaque = directory.cut = True
        elif self._bottom:
            pass  # nothing to hide; readdir(2) in a directory of one layer would show it
        elif hidden in (directory.directories or ()):
            below = self._directories[parent + b"/" + hidden if parent else hidden]
            below.hides = True
            self._cut(hidden, below)
        elif not os.path.lexists(hidden):
            os.mknod(hidden, stat.S_IFCHR, os.makedev(0, 0))
            if directory.whiteouts is None:
                directory.whiteouts = set()
            directory.whiteouts.add(hidden)

    # -- attributes ---------------------------------------------------------------------------------------------

    def _xattrs(self, entry: Entry) -> list[tuple[str, bytes]]:
        """Those that a layer keeps."""
        return [pair for pair in entry.xattrs if keeps_xattr(pair[0])] if entry.xattrs else entry.xattrs

    def _set_xattr(self, where: int | bytes, name: str, value: bytes) -> None:
        try:
            os.setxattr(where, name, value)
        except OSError as error:
            special = error.errno == errno.EPERM and name.startswith("user.")  # only files and directories have these
            full = error.errno == errno.ENOSPC and os.statvfs("/").f_bavail  # what is full is the inode
            if not (special or full or error.errno in (errno.ENOTSUP, errno.EINVAL, errno.E2BIG, errno.ERANGE)):
                raise
            self._note(f"left out extended attribute {name}: {os.strerror(error.errno or 0)}")

    def _note(self, text: str) -> None:
        if len(self._notes) < _MAX_NOTES:
            self._notes.append(text)


def _time(entry: Entry) -> int:
    return max(-_MAX_TIME, min(entry.mtime, _MAX_TIME))


def runs(ids: set[int]) -> list[tuple[int, int]]:
    """Ids as runs ``(first, count)``, sorted."""
    found: list[tuple[int, int]] = []
    for number in sorted(ids):
        if found and sum(found[-1]) == number:
            found[-1] = (found[-1][0], found[-1][1] + 1)
        else:
            found.append((number, 1))
    return found
