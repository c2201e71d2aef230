"""Entering the house, which is made if there is none: what the program does first as an ordinary user.

The caller must have one thread only: a user namespace is entered by whole processes (setns(2)).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Iterator

from pyctr_engine.errors import EngineError, NotPermitted, StoreError, from_os_error
from pyctr_engine.linux import namespaces
from pyctr_engine.paths import HOUSE_VARIABLE, House

_INTO = namespaces.CLONE_NEWUSER | namespaces.CLONE_NEWNS


def enter(run: str) -> None:
    """Be root of one's own things, where the engine's processes for the run directory ``run`` are.

    Nothing happens to root, and to who is inside already. From then on the environment says so
    (`paths.in_house`), for the programs that are started too.

    Raises:
        Unsupported: this host or its administrator gives the user no namespaces, or no ids; the hint says what to do.
        EngineError: any other failure.
    """
    if os.geteuid() == 0:
        return
    uid, here = os.geteuid(), _working_directory()
    house = House(run)
    _own(run, uid)
    with _locked(house.lock, fcntl.LOCK_SH):
        if _join(house):
            _settle(house, uid, here)
            return
    from pyctr_engine.house import making

    with _locked(house.lock, fcntl.LOCK_EX):
        if not _join(house):  # else another has made it meanwhile
            making.make(house)
            if not _join(house):
                raise StoreError("the namespaces of this user were made and are gone again", f"see {house.log}")
    _settle(house, uid, here)


def _join(house: House) -> bool:
    """Join its namespaces by its keeper; False when it has none."""
    try:
        with open(house.identity) as file:
            pid, started = (int(word) for word in file.read().split())
        pidfd = os.pidfd_open(pid)
    except (OSError, ValueError):
        return False
    try:
        if not namespaces.is_running(pid, started):
            return False
        namespaces.setns(pidfd, _INTO)
    except OSError as error:
        if error.errno == errno.ESRCH:
            return False
        if error.errno == errno.EINVAL:  # what setns(2) says to a process with threads
            raise EngineError(
                "a process that has threads can't enter the user's namespaces",
                "call `pyctr_engine.engine.enter` first of all, before any thread is started",
            ) from error
        raise from_os_error(error, "enter the user's namespaces") from error
    finally:
        os.close(pidfd)
    return True


def _settle(house: House, uid: int, directory: str) -> None:
    """Go back to where we were: joining a mount namespace leads to its root."""
    os.environ[HOUSE_VARIABLE] = f"{uid}:{house.run}"
    try:
        os.chdir(directory)
    except OSError as error:
        raise EngineError(
            f"the current directory {directory} can't be seen from the user's namespaces:"
            f" {(error.strerror or '').lower()}",
            "it was mounted after they were made: `cd` elsewhere, or stop all containers and wait two minutes",
        ) from error


def _working_directory() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:  # it was removed: no relative path means anything
        return "/"


def _own(run: str, uid: int) -> None:
    """Make the run directory, and see to it that it is the user's alone: /tmp may hold another's by that name."""
    try:
        os.makedirs(run, 0o700, exist_ok=True)
        for path in (run, os.path.dirname(run)):
            found = os.lstat(path)
            if found.st_uid == uid and not found.st_mode & 0o022:
                continue
            if path == run or (path.startswith("/tmp/") and not found.st_mode & stat.S_ISVTX):
                raise NotPermitted(
                    f"{path} is not this user's alone", "remove it, or name another: --run-dir DIR, XDG_RUNTIME_DIR"
                )
    except OSError as error:
        raise from_os_error(error, "use the run directory") from error


@contextlib.contextmanager
def _locked(path: str, how: int) -> Iterator[None]:
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise from_os_error(error, "use the run directory") from error
    try:
        fcntl.flock(fd, how)
        yield
    finally:
        os.close(fd)
