"""Files of the host that are written whole, or stay as they were."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Iterator
from typing import BinaryIO

NOT_HERE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY)
ASIDE = ".pyctr-"
"""What the name of a file begins with that is not yet whole; it stands in the same directory."""


@contextlib.contextmanager
def saved_file(path: str) -> Iterator[BinaryIO]:
    """Write a file that takes the place of what is at a path when it is whole, with the owner and mode of that.

    What is no regular file (a pipe, a device), and a file in a directory where none can be made or replaced, is
    written as it is. Raises OSError.
    """
    place = os.path.realpath(path)
    try:
        there = os.stat(path)
    except FileNotFoundError:
        there = None
    if there is not None and not stat.S_ISREG(there.st_mode):
        with open(path, "wb") as file:
            yield file
        return
    if there is not None:
        os.close(os.open(place, os.O_WRONLY | os.O_CLOEXEC))  # what may not be written to is not replaced either
    aside = os.path.join(os.path.dirname(place), f"{ASIDE}{os.urandom(8).hex()}")
    try:
        file = open(aside, "xb")  # noqa: SIM115 - closed below
    except OSError as error:
        if there is None or error.errno not in NOT_HERE:
            raise
        with open(place, "wb") as file:
            yield file
        return
    try:
        with file:
            if there is not None:
                with contextlib.suppress(PermissionError):
                    os.fchown(file.fileno(), there.st_uid, there.st_gid)
                os.fchmod(file.fileno(), stat.S_IMODE(there.st_mode))
            yield file
            file.flush()
            os.fsync(file.fileno())
        _put_in_place(aside, place, there is not None)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(aside)
        raise


def _put_in_place(aside: str, place: str, exists: bool) -> None:
    """Rename; what can't be replaced, as a mount point or another's file in /tmp, is written over."""
    try:
        os.rename(aside, place)
    except OSError as error:
        if not exists or error.errno not in NOT_HERE:
            raise
        with open(aside, "rb") as whole, open(place, "wb") as file:
            shutil.copyfileobj(whole, file)
        os.unlink(aside)
