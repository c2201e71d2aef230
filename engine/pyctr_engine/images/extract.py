"""The confined child: a layer's tar on standard input becomes files below its root (image-spec, layer.md).

Runs as ``python -I -S`` with nothing but this, started by `unpack`. An entry that can't be what an honest tool wrote
ends it with an error that names the entry; the parent then removes what was made. Whiteouts become overlayfs's own:
a character device 0:0, and ``user.overlay.opaque`` (the overlay is mounted with ``userxattr``).
"""

from __future__ import annotations

import errno
import json
import os
import stat
import sys
import tarfile
from typing import BinaryIO

from pyctr_engine.images import confinement
from pyctr_engine.images.layer_format import OPAQUE, SPEC_DEVICES, WHITEOUT, keeps_xattr
from pyctr_engine.images.tar_reader import CHUNK, Refused, Source, Tar, mtime, split
from pyctr_engine.linux.tree import remove_tree, sync_file_system

OPAQUE_XATTR = "user.overlay.opaque"

_XATTR = "SCHILY.xattr."

_FIRST_EXTRA_ID = 65536
_MAX_ID = 0xFFFFFFFE
_MAX_NOTES = 20


class Extractor:
    """Makes files of entries, below the current root directory. Names are bytes, relative, ``b""`` is the root."""

    def __init__(self, max_entries: int, max_size: int, bottom: bool) -> None:
        self._max_entries = max_entries
        self._max_size = max_size
        self._bottom = bottom
        self._directories = {b""}
        self._whiteouts: set[bytes] = set()
        self._times: dict[bytes, int] = {b"": 0}
        self._ids: set[int] = set()
        self._implicit: dict[bytes, None] = {b"": None}
        self._notes: list[str] = []
        self._entries = 0
        self._size = 0
        self._opaque = False

    def add(self, member: tarfile.TarInfo, source: Source) -> None:
        """Make one entry; raises Refused, OSError."""
        self._entries += 1
        if self._entries > self._max_entries:
            raise Refused(f"more than {self._max_entries} entries")
        path = split(member.name)
        parent, _, name = path.rpartition(b"/")
        for above in parent.split(b"/"):
            if above.startswith(WHITEOUT * 2):
                return  # AUFS's own bookkeeping
            if above.startswith(WHITEOUT):
                raise Refused("a name below a whiteout")
        if name.startswith(WHITEOUT):
            self._white_out(parent, name)
            return
        self._check_owner(member)
        if not path:
            if not member.isdir():
                raise Refused("the root is not a directory")
            self._implicit.pop(path, None)
            self._attributes(path, member)
            return
        self._need_parent(path)
        if member.isdir():
            self._make_directory(path)
            self._implicit.pop(path, None)
            self._attributes(path, member)
        elif member.isreg():
            self._make_file(path, member, source)
        elif member.islnk():
            self._make_link(path, split(member.linkname))
        elif member.issym():
            self._make_symlink(path, member)
        elif member.isfifo() or member.ischr() or member.isblk():
            self._make_special(path, member)
        else:
            raise Refused(f"unknown type {member.type!r}")

    def finish(self) -> dict[str, object]:
        """Set the directories' times, make all last, and tell what there is."""
        for path, time in self._times.items():
            os.utime(path or b".", ns=(time, time), follow_symlinks=False)
        sync_file_system("/")
        return {
            "size": self._size,
            "entries": self._entries,
            "ids": runs(self._ids),
            "opaque": self._opaque,
            "implicit": [os.fsdecode(path) for path in self._implicit],
            "notes": self._notes,
        }

    def _check_owner(self, member: tarfile.TarInfo) -> None:
        for owner in (member.uid, member.gid):
            if not 0 <= owner <= _MAX_ID:
                raise Refused(f"impossible owner {owner}")
            if owner >= _FIRST_EXTRA_ID:
                self._ids.add(owner)

    def _need_parent(self, path: bytes) -> None:
        """Every directory above must be one that this layer made: nothing is reached through a symlink."""
        parent = path.rpartition(b"/")[0]
        if parent in self._directories:
            return
        self._need_parent(parent)
        if parent not in self._whiteouts and os.path.lexists(parent):
            raise Refused(f"{parent!r} above it is not a directory")
        self._make_directory(parent)
        os.chmod(parent, 0o755)  # noqa: S103  a directory's usual mode, until the parent knows the one below
        self._implicit[parent] = None
        self._times[parent] = 0

    def _clear(self, path: bytes) -> bool:
        """Remove what an earlier entry made there; whether it was a whiteout."""
        if path in self._directories:
            remove_tree(path)
            below = path + b"/"
            self._directories = {kept for kept in self._directories if kept != path and not kept.startswith(below)}
            self._whiteouts = {kept for kept in self._whiteouts if not kept.startswith(below)}
            for known in (self._times, self._implicit):
                for gone in [key for key in known if key == path or key.startswith(below)]:
                    del known[gone]
            return False
        os.unlink(path)
        if path in self._whiteouts:
            self._whiteouts.remove(path)
            return True
        return False

    def _make_directory(self, path: bytes) -> None:
        if path in self._directories:
            return
        hidden = False
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            hidden = self._clear(path)
            os.mkdir(path, 0o700)
        self._directories.add(path)
        if hidden:  # replaced, so that nothing of the one below may show through
            os.setxattr(path, OPAQUE_XATTR, b"y")

    def _attributes(self, path: bytes, member: tarfile.TarInfo) -> None:
        """A directory's."""
        where = path or b"."
        os.chown(where, member.uid, member.gid, follow_symlinks=False)
        os.chmod(where, member.mode & 0o7777)
        for name, value in self._xattrs(member):
            self._set_xattr(where, name, value)
        self._times[path] = mtime(member)

    def _make_file(self, path: bytes, member: tarfile.TarInfo, source: Source) -> None:
        self._size += member.size
        if self._size > self._max_size:
            raise Refused(f"more than {self._max_size} bytes of files")
        fd = self._create(path)
        try:
            self._fill(fd, member, source)
            os.fchown(fd, member.uid, member.gid)
            os.fchmod(fd, member.mode & 0o7777)
            for name, value in self._xattrs(member):
                self._set_xattr(fd, name, value)
            time = mtime(member)
            os.utime(fd, ns=(time, time))
        finally:
            os.close(fd)

    def _create(self, path: bytes) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            return os.open(path, flags, 0o600)
        except FileExistsError:
            self._clear(path)
            return os.open(path, flags, 0o600)

    def _fill(self, fd: int, member: tarfile.TarInfo, source: Source) -> None:
        """Write the contents; of a sparse file (GNU) only what it holds."""
        sparse: list[tuple[int, int]] | None = getattr(member, "sparse", None)
        for offset, length in [(0, member.size)] if sparse is None else sparse:
            if sparse is not None:
                if offset + length > member.size:
                    raise Refused("a sparse file whose pieces lie outside of it")
                os.lseek(fd, offset, os.SEEK_SET)
            while length > 0:
                data = source.read(min(CHUNK, length))
                if not data:
                    raise Refused("the tar ends early")
                length -= len(data)
                while data:
                    data = data[os.write(fd, data) :]
        if sparse is not None:
            os.ftruncate(fd, member.size)

    def _make_link(self, path: bytes, target: bytes) -> None:
        reachable = target.rpartition(b"/")[0] in self._directories
        if not reachable or target in self._directories or target in self._whiteouts:
            raise Refused(f"a hard link to {target!r}, which is no file of this layer")
        if target == path:
            return
        if os.path.lexists(path):
            self._clear(path)
        try:
            os.link(target, path, follow_symlinks=False)
        except FileNotFoundError:
            raise Refused(f"a hard link to {target!r}, which is no file of this layer") from None

    def _make_symlink(self, path: bytes, member: tarfile.TarInfo) -> None:
        target = member.linkname.encode("utf-8", "surrogateescape")
        if not target or b"\0" in target:
            raise Refused("a symlink to nothing")
        if os.path.lexists(path):
            self._clear(path)
        os.symlink(target, path)
        self._finish_special(path, member)

    def _make_special(self, path: bytes, member: tarfile.TarInfo) -> None:
        """A fifo, or a device that every container has. Others: none outside /dev, which containers never see."""
        device = (member.devmajor, member.devminor)
        if not member.isfifo() and (not member.ischr() or device not in SPEC_DEVICES):
            if not path.startswith(b"dev/"):
                raise Refused(f"a device node {device[0]}:{device[1]}")
            self._note(f"left out device node {member.name}")
            return
        if os.path.lexists(path):
            self._clear(path)
        kind = stat.S_IFIFO if member.isfifo() else stat.S_IFCHR
        os.mknod(path, kind | 0o600, 0 if member.isfifo() else os.makedev(*device))
        os.chmod(path, member.mode & 0o7777)
        self._finish_special(path, member)

    def _finish_special(self, path: bytes, member: tarfile.TarInfo) -> None:
        time = mtime(member)
        os.chown(path, member.uid, member.gid, follow_symlinks=False)
        if not member.issym():
            os.chmod(path, member.mode & 0o7777)  # chown takes setuid away
        os.utime(path, ns=(time, time), follow_symlinks=False)

    def _white_out(self, parent: bytes, name: bytes) -> None:
        """layer.md, Whiteouts: act on lower layers only, whatever their place in the tar."""
        hidden = name.removeprefix(WHITEOUT)
        path = parent + b"/" + hidden if parent else hidden
        if name == OPAQUE:
            self._need_parent(path)
            if parent:
                os.setxattr(parent, OPAQUE_XATTR, b"y")
            else:
                self._opaque = True
        elif hidden.startswith(WHITEOUT):
            return  # AUFS's own bookkeeping
        elif hidden in (b"", b".", b".."):
            raise Refused("a whiteout of nothing")
        else:
            self._need_parent(path)
            if self._bottom:
                return  # nothing to hide; readdir(2) in a directory of one layer would show it
            if path in self._directories:
                os.setxattr(path, OPAQUE_XATTR, b"y")
            elif not os.path.lexists(path):
                os.mknod(path, stat.S_IFCHR, os.makedev(0, 0))
                self._whiteouts.add(path)

    def _xattrs(self, member: tarfile.TarInfo) -> list[tuple[str, bytes]]:
        """Those that a layer keeps."""
        found = []
        for key, value in member.pax_headers.items():
            name = key.removeprefix(_XATTR)
            if name != key and keeps_xattr(name):
                found.append((name, value.encode("utf-8", "surrogateescape")))
        return found

    def _set_xattr(self, where: int | bytes, name: str, value: bytes) -> None:
        try:
            os.setxattr(where, name, value)
        except OSError as error:
            if error.errno not in (errno.ENOTSUP, errno.EINVAL, errno.E2BIG, errno.ERANGE):
                raise
            self._note(f"left out extended attribute {name}: {os.strerror(error.errno)}")

    def _note(self, text: str) -> None:
        if len(self._notes) < _MAX_NOTES:
            self._notes.append(text)


def runs(ids: set[int]) -> list[tuple[int, int]]:
    """Ids as runs ``(first, count)``, sorted."""
    found: list[tuple[int, int]] = []
    for number in sorted(ids):
        if found and sum(found[-1]) == number:
            found[-1] = (found[-1][0], found[-1][1] + 1)
        else:
            found.append((number, 1))
    return found


def extract(raw: BinaryIO, extractor: Extractor) -> dict[str, object]:
    """Unpack a whole tar; what there is, or which entry was refused and why."""
    name: str | None = None
    try:
        source = Source(raw)
        tar = Tar(source)
        while member := tar.next():
            name = member.name
            extractor.add(member, source)
            name = None
        source.drain()
        return extractor.finish()
    except Refused as error:
        return {"error": str(error), "entry": name}
    except tarfile.TarError as error:
        return {"error": f"the tar is damaged ({error})", "entry": name}
    except OSError as error:
        number = error.errno or 0
        return {"error": os.strerror(number).lower(), "errno": number, "entry": name}
    except (MemoryError, RecursionError, OverflowError, ValueError) as error:
        return {"error": f"the tar is damaged ({type(error).__name__})", "entry": name}


def main() -> None:
    """``argv[1]``: JSON of the target directory and the limits. Ends the process."""
    options = json.loads(sys.argv[1])
    try:
        confinement.enter(options["directory"])
        report = extract(sys.stdin.buffer, Extractor(options["entries"], options["size"], options["bottom"]))
    except OSError as error:
        report = {"error": f"cannot confine the unpacking process: {error}", "errno": error.errno, "entry": None}
    os.close(0)  # whoever still writes learns it now, before this waits for the report to be read
    sys.stdout.write(json.dumps(report))
    sys.stdout.flush()
    os._exit(1 if "error" in report else 0)
