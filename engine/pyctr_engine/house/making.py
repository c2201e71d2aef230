"""Making the house. What the front process and its child say to each other::

    front                                   child
                                            unshares user and mount namespace
          ◀──────────────────── "u" ─────   (or the errno)
      newuidmap, newgidmap
          ───────────────────── "m" ────▶   furnishes: see `_furnish`
                                            forks the keeper, records it
          ◀──────────────────── "k" ─────   (or what went wrong)

The keeper goes on by itself. Sources: user_namespaces(7), mount_namespaces(7), newuidmap(1).
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
import time
from typing import NoReturn

from pyctr_engine.errors import Unsupported
from pyctr_engine.house import ids, keeper, obstacles
from pyctr_engine.linux import mount, namespaces, rtnetlink
from pyctr_engine.paths import HOUSE_VARIABLE, House

IDLE_SECONDS = "60"
"""The keeper leaves when nobody else has been in the house for this long."""

_PROGRAM = (
    "import sys; sys.path.insert(0, sys.argv[1]); from pyctr_engine.house import keeper; keeper.main(*sys.argv[2:])"
)
_ANSWER_SECONDS = 3.0
_INERT = mount.MS_NOSUID | mount.MS_NODEV | mount.MS_NOEXEC


def make(house: House) -> None:
    """Make it, or let a new keeper into one that has lost its own. The caller holds the lock alone.

    Raises Unsupported where this host or its administrator doesn't let the user, EngineError else.
    """
    survivors = _survivors(house)
    if survivors:
        if not _ask_keeper(house, survivors):
            _readopt(house, survivors)
        return
    users, groups = ids.maps(os.geteuid(), os.getegid())
    programs = {}
    for name in ("newuidmap", "newgidmap"):
        programs[name] = ids.program(name)
        if not programs[name]:
            raise Unsupported(f"{name} is not installed", "as root: `apt-get install uidmap passt`")
    mine, childs = os.pipe2(os.O_CLOEXEC)
    go, told = os.pipe2(os.O_CLOEXEC)
    child = os.fork()
    if child == 0:
        _child(house, childs, go)
    os.close(childs)
    os.close(go)
    try:
        _hear(mine, b"u", "make namespaces")
        _map(programs["newuidmap"], child, users)
        _map(programs["newgidmap"], child, groups)
        os.write(told, b"m")
        _hear(mine, b"k", "set up the user's namespaces")
    finally:
        os.close(mine)
        os.close(told)  # else it would wait for ever
        os.waitpid(child, 0)


def _hear(fd: int, expected: bytes, doing: str) -> None:
    message = os.read(fd, 4096)
    if message == expected:
        return
    number, _, what = message.decode(errors="replace").partition(" ")
    code = int(number) if number.isdigit() else 0
    raise obstacles.explain(code, f"{doing}{f' ({what})' if what else ''}")


def _map(program: str, pid: int, lines: list[tuple[int, int, int]]) -> None:
    reading, writing = os.pipe2(os.O_CLOEXEC)
    try:
        child = os.posix_spawn(
            program,
            [program, str(pid), *ids.as_arguments(lines)],
            dict(os.environ),
            file_actions=[(os.POSIX_SPAWN_DUP2, writing, 2)],
        )
    except OSError as error:
        os.close(reading)
        raise obstacles.explain(error.errno or 0, f"run {program}") from error
    finally:
        os.close(writing)
    said = b""
    while piece := os.read(reading, 4096):
        said += piece
    os.close(reading)
    if os.waitpid(child, 0)[1]:
        raise obstacles.unmapped(program, said.decode(errors="replace").strip())


def _child(house: House, answer: int, go: int) -> NoReturn:
    step = ""
    try:
        namespaces.unshare(namespaces.CLONE_NEWUSER | namespaces.CLONE_NEWNS)
        os.write(answer, b"u")
        if os.read(go, 1) != b"m":
            os._exit(1)
        step = "its mounts"
        _furnish(house)
        step = "its keeper"
        _let_in(house)
        os.write(answer, b"k")
        os._exit(0)
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        os.write(answer, f"{error.errno or errno.EIO} {step}{where}".encode())
    except BaseException as error:  # noqa: BLE001 - the last frame of this process: report, then go
        os.write(answer, f"{errno.EIO} {type(error).__name__}: {error}".encode())
    os._exit(1)


def _furnish(house: House) -> None:
    """A network namespace, mounted at `House.network`, and a /sys that shows it; the host's cgroups stay in it.

    This process stays in the host's network namespace, as does whoever enters: nobody can go back into it.
    """
    mount.mount("", "/", "", mount.MS_REC | mount.MS_SLAVE)
    keeper.make_place(house)
    cgroups = mount.open_tree("/sys/fs/cgroup", recursive=True) if os.path.isdir("/sys/fs/cgroup") else -1
    helper = os.fork()
    if helper == 0:
        code = 1
        try:
            namespaces.unshare(namespaces.CLONE_NEWNET)
            mount.mount("/proc/self/ns/net", house.network, "", mount.MS_BIND)
            with rtnetlink.Socket() as netlink:
                netlink.set_loopback_up()
            mount.mount("sysfs", "/sys", "sysfs", _INERT)
            if cgroups >= 0:
                mount.attach_tree(cgroups, "/sys/fs/cgroup")
            code = 0
        except OSError as error:
            code = error.errno or errno.EIO
        finally:
            os._exit(code)
    code = namespaces.exit_code(os.waitpid(helper, 0)[1])
    if code:
        raise OSError(code, os.strerror(code), house.network)


def _let_in(house: House) -> None:
    """Fork the keeper, which is recorded before it is at work: its namespaces are there already."""
    reading, writing = os.pipe2(os.O_CLOEXEC)
    if os.fork() == 0:
        try:
            os.setsid()
            os.chdir("/")
            os.umask(0o022)
            own = os.getpid()
            with open(f"{house.identity}.new", "w") as file:
                file.write(f"{own} {namespaces.start_time(own)}")
            os.rename(f"{house.identity}.new", house.identity)
            os.write(writing, b"k")
            _become_keeper(house)
        finally:
            os._exit(1)
    os.close(writing)
    recorded = os.read(reading, 1)
    os.close(reading)
    if not recorded:
        raise OSError(errno.EIO, os.strerror(errno.EIO), house.identity)


def _become_keeper(house: House) -> NoReturn:
    null = os.open("/dev/null", os.O_RDWR)
    log = os.open(house.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    for target, fd in ((0, null), (1, null), (2, log)):
        os.dup2(fd, target, inheritable=True)
    namespaces.close_from(3)
    for number in (signal.SIGHUP, signal.SIGUSR1):  # it is asked by these, and can't answer yet
        signal.signal(number, signal.SIG_IGN)
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    idle = os.environ.get("PYCTR_HOUSE_IDLE", IDLE_SECONDS)
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
    environment[HOUSE_VARIABLE] = f"{_outer_id()}:{house.run}"
    arguments = [sys.executable, "-I", "-S", "-c", _PROGRAM, root, house.run, idle]
    os.execve(sys.executable, arguments, environment)


def _outer_id() -> int:
    """The user's id outside: what 0 is mapped to."""
    with open("/proc/self/uid_map") as file:
        return int(file.readline().split()[1])


# -- a house whose keeper was killed --------------------------------------------------------------------------------


def _survivors(house: House) -> list[int]:
    """The pids of our processes (keeper, spawner, monitors…) in a house of this run directory.

    Its command line is the spawner's, which names the run directory, and the keeper's does too.
    """
    found = []
    own, wanted = os.stat("/proc/self/ns/user").st_ino, os.fsencode(house.run)
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            if os.stat(f"/proc/{name}").st_uid != os.geteuid():
                continue
            with open(f"/proc/{name}/cmdline", "rb") as file:
                words = file.read().split(b"\0")
            if wanted not in words or b"-I" not in words[:3]:
                continue
            with open(f"/proc/{name}/environ", "rb") as file:
                if not any(item.startswith(HOUSE_VARIABLE.encode() + b"=") for item in file.read().split(b"\0")):
                    continue
            if os.stat(f"/proc/{name}/ns/user").st_ino != own and namespaces.start_time(int(name)):
                found.append(int(name))
        except OSError:  # it has gone, or is not ours
            continue
    return found


def _ask_keeper(house: House, survivors: list[int]) -> bool:
    """Have the keeper, if it is there, record itself again: somebody wiped the run directory."""
    for pid in survivors:
        if _comm(pid) != "pyctr-house":
            continue
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGHUP)
        deadline = time.monotonic() + _ANSWER_SECONDS
        while time.monotonic() < deadline:
            if os.path.exists(house.identity):
                return True
            time.sleep(0.005)
    return False


def _comm(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm") as file:
            return file.read().strip()
    except OSError:
        return ""


def _readopt(house: House, survivors: list[int]) -> None:
    """Let a new keeper into the namespaces that ``survivors`` are in.

    The network's are mounted there; if the run directory was wiped as well, a starter is still in it.
    """
    starter = next((pid for pid in survivors if _comm(pid) == "pyctr-starter"), 0)
    reading, writing = os.pipe2(os.O_CLOEXEC)
    child = os.fork()
    if child == 0:
        try:
            pidfd = os.pidfd_open(survivors[0])
            namespaces.setns(pidfd, namespaces.CLONE_NEWUSER | namespaces.CLONE_NEWNS)
            if not _is_network(house.network):
                if not starter:
                    raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), house.network)
                keeper.make_place(house)
                mount.mount(f"/proc/{starter}/ns/net", house.network, "", mount.MS_BIND)
            _let_in(house)
            os.write(writing, b"k")
        except OSError as error:
            os.write(writing, f"{error.errno or errno.EIO} {error.filename or ''}".encode())
        finally:
            os._exit(0)
    os.close(writing)
    try:
        _hear(reading, b"k", "enter the namespaces of this user's containers")
    finally:
        os.close(reading)
        os.waitpid(child, 0)


def _is_network(path: str) -> bool:
    """Whether a network namespace is mounted there."""
    try:
        return os.stat(path).st_dev == os.stat("/proc/self/ns/net").st_dev
    except OSError:
        return False
