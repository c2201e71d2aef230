"""Both ends of ``cp``: a tree to a tar, a tar to a tree; and the child that does one of them inside a container.

The child runs as ``python -I -S`` with nothing but this (see `copying`). All that it needs is imported before it goes
inside, and users' names are never looked up: that would load what the image calls its C library's modules.
"""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import signal
import stat
import sys
import tarfile
from collections.abc import Collection, Iterator
from typing import IO, Any, NamedTuple, NoReturn

from pyctr_engine.images import confinement, tree_tar
from pyctr_engine.linux import mount, namespaces

tarfile.pwd = tarfile.grp = None  # type: ignore[attr-defined]

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO)
_CHUNK = 1 << 20
_DOT = "."
_KERNELS = ("/proc", "/sys", "/dev")
"""What is in these is the kernel's, not the container's."""


class Refused(Exception):
    """What can't be copied there, and why."""


class Place(NamedTuple):
    """Where a copy goes.

    Attributes:
        path: An absolute path, or one relative to the root inside.
        must_be_directory: It was given with a slash at its end.
        contents: What is copied is what a directory holds, not the directory itself.
        tar: The caller's own tar is unpacked there as it is.
    """

    path: str
    must_be_directory: bool = False
    contents: bool = False
    tar: bool = False


# -- a tree to a tar ------------------------------------------------------------------------------------------------


def pack(stream: IO[bytes], path: str, follow: bool, without: Collection[str] = ()) -> None:
    """Write what is at ``path`` as a tar: a directory as its own entry ``name/`` with what is in it.

    ``without``: directories below it that are left empty, as full paths.

    Raises OSError for ``path`` itself; what goes away meanwhile is left out.
    """
    status = os.stat(path) if follow else os.lstat(path)
    name = os.path.basename(os.path.normpath(path)) or _DOT
    if name == "..":
        name = os.path.basename(os.path.realpath(path)) or _DOT
    links: dict[tuple[int, int], str] = {}
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT, bufsize=_CHUNK, dereference=False) as tar:
        root = os.path.realpath(path) if follow else path
        _add(tar, root, name, status, links)
        if stat.S_ISDIR(status.st_mode):
            for full, relative, found in _walk(root, name, without):
                with _leaving_out_what_went():
                    _add(tar, full, relative, found, links)


def _walk(root: str, name: str, without: Collection[str]) -> Iterator[tuple[str, str, os.stat_result]]:
    """All below a directory: path, name in the tar, status; each directory before what is in it."""
    waiting = [(root, name)]
    while waiting:
        directory, prefix = waiting.pop()
        with _leaving_out_what_went():
            below = []
            with os.scandir(directory) as entries:
                listed = sorted(entries, key=lambda entry: entry.name)
            for entry in listed:
                with _leaving_out_what_went():
                    found = entry.stat(follow_symlinks=False)
                    relative = f"{prefix}/{entry.name}"
                    yield entry.path, relative, found
                    if stat.S_ISDIR(found.st_mode) and entry.path not in without:
                        below.append((entry.path, relative))
            waiting += reversed(below)


@contextlib.contextmanager
def _leaving_out_what_went() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _GONE:
            raise


def _add(
    tar: tarfile.TarFile, path: str, name: str, status: os.stat_result, links: dict[tuple[int, int], str]
) -> None:
    member = tarfile.TarInfo(name)
    member.mode, member.uid, member.gid = stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid
    member.mtime = status.st_mtime
    mode = status.st_mode
    if stat.S_ISREG(mode):
        first = links.setdefault((status.st_dev, status.st_ino), name) if status.st_nlink > 1 else name
        if first != name:
            member.type, member.linkname = tarfile.LNKTYPE, first
            tar.addfile(member)
            return
        fd = os.open(path, _READ)
        with open(fd, "rb", buffering=0) as file:
            now = os.fstat(fd)
            if not stat.S_ISREG(now.st_mode):
                return
            if not now.st_size and (data := file.read(_CHUNK)):  # the kernel's, which has no size until it is read
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
                return
            member.size = now.st_size
            tar.addfile(member, _Exactly(file, now.st_size))  # type: ignore[arg-type]
    elif stat.S_ISDIR(mode):
        member.type = tarfile.DIRTYPE
        tar.addfile(member)
    elif stat.S_ISLNK(mode):
        member.type, member.linkname = tarfile.SYMTYPE, os.readlink(path)
        tar.addfile(member)
    elif stat.S_ISFIFO(mode):
        member.type = tarfile.FIFOTYPE
        tar.addfile(member)
    # sockets mean nothing elsewhere, and devices are not for copying


class _Exactly:
    """As many bytes as were promised: a file that shrinks is filled up with zeros."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file = file
        self._left = size

    def read(self, size: int) -> bytes:
        wanted = min(size, self._left)
        data = self._file.read(wanted)
        while len(data) < wanted:
            more = self._file.read(wanted - len(data))
            data += more or bytes(wanted - len(data))
        self._left -= wanted
        return data


# -- a tar to a tree ------------------------------------------------------------------------------------------------


def unpack(stream: IO[bytes], place: Place, owners: bool, strict: bool) -> None:
    """Make what the tar holds at a place.

    ``owners``: keep them, where that is permitted. ``strict``: nothing is reached through a symlink below the place.
    Raises Refused, OSError.
    """
    with tarfile.open(fileobj=stream, mode="r|*", bufsize=_CHUNK) as tar:
        first: tarfile.TarInfo | None = tar.firstmember  # type: ignore[attr-defined]
        if first is None:
            if place.tar:
                return
            raise Refused("it is a device or a socket; files, directories and links can be copied")
        target, top = _target(place, first)
        writer = _Writer(target, top, owners, strict)
        member: tarfile.TarInfo | None = first
        while member is not None:
            writer.add(tar, member)
            member = _next(tar)
        writer.finish()


def _next(tar: tarfile.TarFile) -> tarfile.TarInfo | None:
    """The next entry, ``None`` at the end. Raises Refused where the tar is cut or damaged.

    ``TarFile.next`` takes any bad header but the first for the end: half a tar would be a success.
    """
    try:
        tar.fileobj.seek(tar.offset)
        member = tarfile.TarInfo.fromtarfile(tar)
    except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
        return None
    except (tarfile.HeaderError, tarfile.StreamError, EOFError) as error:
        raise Refused(f"the tar is cut short or damaged: {error}") from error
    return member


def _target(place: Place, first: tarfile.TarInfo) -> tuple[str, str | None]:
    """Where the tar's topmost entry goes, and its name in the tar, ``None`` for a tar that is unpacked as it is."""
    path = place.path
    if os.path.islink(path):  # the caller named it: what it leads to is meant, as with cp(1)
        path = os.path.realpath(path)
    is_directory = os.path.isdir(path)
    if place.tar:
        if not is_directory:
            raise Refused("a tar is unpacked into a directory, and this is none")
        return path, None
    name = first.name.rstrip("/")
    if first.isdir():
        if is_directory:
            return (path if place.contents else os.path.join(path, os.path.basename(name))), name
        if os.path.lexists(path):
            raise Refused("it is a file, and what is copied is a directory")
        return path, name
    if is_directory:
        return os.path.join(path, os.path.basename(name)), name
    if place.must_be_directory:
        raise Refused("there is no such directory")
    if not os.path.isdir(os.path.dirname(path) or "/"):
        raise Refused("the directory that it would be in is not there")
    return path, name


def _is_file(path: str) -> bool:
    with contextlib.suppress(OSError):
        return stat.S_ISREG(os.lstat(path).st_mode)
    return False


class _Writer:
    """Makes entries below ``target``; ``top`` is what the tar calls that."""

    def __init__(self, target: str, top: str | None, owners: bool, strict: bool) -> None:
        self._target = target
        self._top = top
        self._owners = owners
        self._strict = strict
        self._directories: dict[str, tarfile.TarInfo] = {}

    def add(self, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        """One entry."""
        path = self._path(member.name)
        parent = os.path.dirname(path)
        if self._strict and path != self._target and parent not in self._directories:
            raise Refused(f"{member.name}: what it is in is no directory of this copy")
        if member.isdir():
            self._make_directory(path, member)
        elif member.isreg():
            self._clear(path, member)
            self._write(path, tar, member)
        elif member.issym():
            self._clear(path, member)
            os.symlink(member.linkname, path)
            self._own(path, member)
        elif member.islnk():
            self._clear(path, member)
            source = self._path(member.linkname)
            if self._strict and (os.path.dirname(source) not in self._directories or not _is_file(source)):
                raise Refused(f"{member.name}: a hard link to what is no file of this copy")
            os.link(source, path, follow_symlinks=False)
        elif member.isfifo():
            self._clear(path, member)
            os.mkfifo(path, self._mode(member))
            self._own(path, member)

    def finish(self) -> None:
        """What is set last: times and modes of directories, in which things were made until now."""
        for path, member in reversed(self._directories.items()):
            self._own(path, member)
            os.chmod(path, self._mode(member))
            os.utime(path, (member.mtime, member.mtime))

    def _path(self, name: str) -> str:
        parts = [part for part in name.split("/") if part not in ("", _DOT)]
        if ".." in parts:
            raise Refused(f"{name}: a name that leads out")
        if self._top is not None:
            top = [part for part in self._top.split("/") if part not in ("", _DOT)]
            if parts[: len(top)] != top:
                raise Refused(f"{name}: it is not part of {self._top}")
            parts = parts[len(top) :]
        return os.path.join(self._target, *parts)

    def _make_directory(self, path: str, member: tarfile.TarInfo) -> None:
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            is_link = os.path.islink(path)
            if not os.path.isdir(path) or (is_link and self._strict and path != self._target):
                raise Refused(f"{path}: it is no directory, and what is copied is one") from None
            if path != self._target:
                self._directories[path] = member
            else:
                self._directories.setdefault(path, member)
            return
        self._directories[path] = member

    def _clear(self, path: str, member: tarfile.TarInfo) -> None:
        if not self._strict and not os.path.isdir(os.path.dirname(path)):
            os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)  # a tar of somebody's own may leave them out
        if not os.path.lexists(path):
            return
        if os.path.isdir(path) and not os.path.islink(path):
            raise Refused(f"{path}: it is a directory, and what is copied ({member.name}) is none")
        os.unlink(path)

    def _write(self, path: str, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        source = tar.extractfile(member)
        assert source is not None
        fd = os.open(path, _CREATE, 0o600)
        with open(fd, "wb", buffering=0) as file:
            while data := source.read(_CHUNK):
                view = memoryview(data)
                while view:
                    view = view[file.write(view) :]
            self._own(fd, member)
            os.fchmod(fd, self._mode(member))
            os.utime(fd, (member.mtime, member.mtime))

    def _mode(self, member: tarfile.TarInfo) -> int:
        """Its permissions; without its owner it is no set-user-id program either: that would be another's."""
        return member.mode & (0o7777 if self._owners else 0o1777)

    def _own(self, where: str | int, member: tarfile.TarInfo) -> None:
        if not self._owners:
            return
        try:
            if isinstance(where, int):
                os.fchown(where, member.uid, member.gid)
            else:
                os.chown(where, member.uid, member.gid, follow_symlinks=False)
        except PermissionError:
            if os.geteuid() == 0:
                raise  # an id that this user namespace has no number for


# -- the child ------------------------------------------------------------------------------------------------------


def main() -> NoReturn:
    """``argv[1]``: JSON, see `copying`. Ends the process; what went wrong is JSON on standard error."""
    options: dict[str, Any] = json.loads(sys.argv[1])
    report: dict[str, Any] = {}
    try:
        if "pid" in options:
            try:
                _enter_running(options["pid"], options["started"], options["userns"])
            except ProcessLookupError:
                os.write(2, json.dumps({"kind": "ended", "path": ""}).encode())
                os._exit(1)
        else:
            _enter_stopped(options)
        if options["do"] == "get":
            with open(1, "wb", buffering=0) as out:
                path = options["path"]
                follow = options["follow"] or path.endswith(("/", "/."))  # what is in it: not the link to it
                pack(out, _inside(path), follow, _KERNELS)
        else:
            path = options["path"]
            place = Place(_inside(path), path.endswith(("/", "/.")), options["contents"], options["tar"])
            with open(0, "rb", buffering=0) as source:
                unpack(source, place, options["owners"], strict=False)
                while source.read(_CHUNK):
                    pass
    except Refused as error:
        report = {"kind": "refused", "error": str(error), "path": ""}
    except (tarfile.TarError, ValueError, OverflowError) as error:
        report = {"kind": "refused", "error": f"this is no tar: {error}", "path": ""}
    except OSError as error:
        missing = error.errno in (errno.ENOENT, errno.ENOTDIR) and options["do"] == "get"
        report = {
            "kind": "missing" if missing else "failed",
            "errno": error.errno or 0,
            "error": os.strerror(error.errno or 0),
            "path": error.filename if isinstance(error.filename, str) else "",
        }
    if report:
        os.write(2, json.dumps(report).encode())
    os._exit(1 if report else 0)


def _inside(path: str) -> str:
    """A path as seen from the root; the slash or dot at its end, which means something, is gone."""
    return os.path.normpath("/" + path).replace("//", "/")


def _import_nothing_more() -> None:
    sys.meta_path.clear()
    sys.path.clear()


def _enter_running(pid: int, started: int, userns: bool) -> None:
    """Become root in a running container's mount and user namespaces, with next to no capabilities.

    Its processes can't see this one (it stays out of their pid namespace), nor look into it.
    """
    pidfd = os.pidfd_open(pid)
    if not namespaces.is_running(pid, started):
        raise OSError(errno.ESRCH, "it has ended")
    _import_nothing_more()
    namespaces.prctl(namespaces.PR_SET_DUMPABLE, 0)
    namespaces.setns(pidfd, namespaces.CLONE_NEWNS | (namespaces.CLONE_NEWUSER if userns else 0))
    if userns:
        os.setgroups([])
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)
    os.chdir("/")
    namespaces.close_from(3)
    os.umask(0)
    confinement.drop_capabilities()
    namespaces.prctl(namespaces.PR_SET_PDEATHSIG, signal.SIGKILL)


def _enter_stopped(options: dict[str, Any]) -> None:
    """Mount a stopped container's file system, with its volumes and binds, and be confined to it."""
    trees = [(mount.open_tree(source, recursive=True), target, ro) for source, target, ro in options["binds"]]
    work = "work" if options["write"] else ""
    root = tree_tar.mount_overlay(options["layers"], options["data"], options["uppers"], options["links"], work)
    fd = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    for tree, target, read_only in trees:
        if read_only:
            mount.set_attributes(tree, set=mount.MOUNT_ATTR_RDONLY, recursive=True)
        try:
            place = mount.open_in_root(fd, target, os.O_PATH)
        except OSError:  # the container moved what it is mounted on: then it is not seen
            continue
        mount.attach_tree(tree, directory=place)
        os.close(place)
    os.close(fd)
    _import_nothing_more()
    confinement.enter(root, recursive=True)
