"""What of a layer depends on the layers below, and so is settled when it takes its place on top of them.

A tar with ``etc/motd`` alone still needs a directory ``etc`` to hold it, and in an overlay that directory's mode and
owner would hide those of the layers below. So they are taken over.

And a whiteout in a directory that is not there below hides nothing, but is seen: overlayfs leaves whiteouts out only
where it merges directories.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator, Sequence

from pyctr_engine.images.layer_format import keeps_xattr
from pyctr_engine.linux.overlay import attributes, is_whiteout, look_up

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def adopt_attributes(fs: str, paths: Sequence[str], lowers: Sequence[str]) -> None:
    """Give the directories ``paths`` (relative) of ``fs`` the attributes, owner and time they have in ``lowers``."""
    for path in paths:
        below = _directory_below(path, lowers)
        if below is not None:
            with _opened(os.fsdecode(below), "") as lower, _opened(fs, path) as fd:
                found = os.fstat(lower)
                os.fchown(fd, found.st_uid, found.st_gid)
                os.fchmod(fd, stat.S_IMODE(found.st_mode))
                for name, value in attributes(lower).items():
                    if keeps_xattr(name):
                        os.setxattr(fd, name, value)
                os.utime(fd, ns=(found.st_mtime_ns, found.st_mtime_ns))
                os.fsync(fd)


def drop_idle_whiteouts(fs: str, paths: Sequence[str], lowers: Sequence[str]) -> None:
    """Remove the whiteouts in those directories ``paths`` (relative) of ``fs`` that ``lowers`` don't have."""
    for path in paths:
        if _directory_below(path, lowers) is not None:
            continue
        with _opened(fs, path) as fd:
            time = os.fstat(fd).st_mtime_ns
            for name in os.listdir(fd):
                if is_whiteout(os.stat(name, dir_fd=fd, follow_symlinks=False)):
                    os.unlink(name, dir_fd=fd)
            os.utime(fd, ns=(time, time))
            os.fsync(fd)


def _directory_below(path: str, lowers: Sequence[str]) -> bytes | None:
    """The topmost directory of that path in ``lowers`` that is seen, if one is."""
    stack = [os.fsencode(lower) for lower in lowers]
    for part in _parts(path):
        try:
            _status, stack = look_up(stack, part)
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise
            return None
    return stack[0] if stack else None


def _parts(path: str) -> list[bytes]:
    return [os.fsencode(part) for part in path.split("/") if part not in ("", ".", "..")]


@contextlib.contextmanager
def _opened(fs: str, path: str) -> Iterator[int]:
    """By descriptors that follow no symlink: what was unpacked is still a stranger's."""
    fd = os.open(fs, _DIRECTORY)
    try:
        for part in _parts(path):
            child = os.open(part, _DIRECTORY, dir_fd=fd)
            os.close(fd)
            fd = child
        yield fd
    finally:
        os.close(fd)
