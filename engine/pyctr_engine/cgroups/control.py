"""Doing it: make cgroups, write limits, join, kill, freeze, remove, and notice the OOM killer.

Plain functions over plain paths, stdlib only and light: the monitor of every container imports this file. What to do
was decided by `pyctr_engine.cgroups.layout`; "the container's directories" are its plan's ``directories``.

Sources: admin-guide/cgroup-v2.rst, admin-guide/cgroup-v1/{cgroups,freezer-subsystem,memory}.rst, cgroups(7).
"""

from __future__ import annotations

import contextlib
import os
import select
import time
from collections.abc import Iterable, Sequence
from errno import EACCES, EBUSY, EEXIST, EINVAL, ENODEV, ENOENT, EOPNOTSUPP, EPERM, EROFS, errorcode

from pyctr_engine.cgroups import files
from pyctr_engine.errors import EngineError, NotPermitted, StartError, Unsupported

Writes = Sequence[Sequence[str]]  # (path, value) pairs, as lists when they come from JSON

_GONE = (ENOENT, ENODEV)


def prepare(
    parents: Sequence[tuple[str, Writes]],
    directories: Sequence[str],
    settings: Writes = (),
    defaults: Writes = (),
    either: Sequence[Writes] = (),
) -> None:
    """Make a plan's cgroups and write its limits; undoes what it made when a step fails.

    A directory that a killed predecessor left is removed and made again, so that counters start from nothing.

    Raises:
        NotPermitted: the cgroups may not be written.
        StartError: any other failure; the message names the file, the value and the errno.
    """
    made: list[str] = []
    try:
        for _ in range(100):  # a parent may be removed (`remove_shared`) just before ours is made in it
            if _make(parents, directories, made):
                break
        else:
            raise StartError(f"cannot make the cgroup {directories[0]}: its parent keeps vanishing", "try again")
        limit(settings, defaults, either)
    except EngineError:
        remove(made, timeout=0.1)
        raise


def limit(settings: Writes, defaults: Writes = (), either: Sequence[Writes] = ()) -> None:
    """Write limits; of ``defaults`` those whose file is there, of each group of ``either`` at least one.

    Raises as `prepare`; Unsupported for a group of which none can be written here.
    """
    for path, value in settings:
        write(path, value)
    for path, value in defaults:
        if os.path.exists(path):
            write(path, value)
    for group in either:
        if not [path for path, value in group if offered(path, value)]:
            raise none_of(group)


def offered(path: str, value: str) -> bool:
    """Write a limit, unless this kernel or the disk's scheduler has none; whether it did. Raises as `prepare`."""
    try:
        files.write(path, value)
    except OSError as error:
        if error.errno in (ENOENT, EOPNOTSUPP):
            return False
        raise failure(f"write {value!r} to {path}", error) from error
    return True


def none_of(group: Writes) -> Unsupported:
    """What to say of a limit that several files serve, of which none is here."""
    hint = "leave it out, or let bfq schedule the disk: `echo bfq > /sys/block/DISK/queue/scheduler`"
    value = group[0][1]
    if ":" in value:
        device = value.split()[0]
        return Unsupported(f"the weight of the disk {device} can't be kept: its scheduler heeds none, bfq does", hint)
    names = " nor ".join(os.path.basename(path) for path, _ in group)
    return Unsupported(f"the weight can't be kept: this kernel has neither {names}", hint)


def _make(parents: Sequence[tuple[str, Writes]], directories: Sequence[str], made: list[str]) -> bool:
    """Make parents and directories, noting what was made; false when a parent vanished meanwhile."""
    try:
        for path, _ in parents:
            _mkdir(path)
        for path in directories:
            if path in made:
                continue
            if not _mkdir(path):
                left = remove([path], timeout=0.2)
                if left or not _mkdir(path):
                    raise StartError(
                        f"the cgroup {path} is still in use by an earlier run", "stop what runs in it, then try again"
                    )
            made.append(path)
        # Only now, when ours hold the parents in place; a parent takes controllers with children as well.
        for path, writes in parents:
            for name, value in writes:
                _settle(f"{path}/{name}", value)
    except FileNotFoundError:
        return False
    return True


def _mkdir(path: str) -> bool:
    """Whether it was made; false when it was there. FileNotFoundError is the caller's."""
    try:
        os.mkdir(path, 0o755)
    except OSError as error:
        if error.errno in _GONE:
            raise FileNotFoundError(path) from error
        if error.errno == EEXIST or (error.errno == EROFS and os.path.isdir(path)):
            return False
        raise failure(f"make the cgroup {path}", error) from error
    return True


def _settle(path: str, value: str) -> None:
    """Give a parent what it must hold, unless it has it: then it may even belong to somebody else (delegation)."""
    try:
        held = files.read(path).split()
        if path.endswith("/cgroup.subtree_control"):
            value = " ".join(word for word in value.split() if word.lstrip("+") not in held)
        elif held:
            value = ""
        if value:
            files.write(path, value)
    except OSError as error:
        if error.errno in _GONE and not os.path.exists(path):
            raise FileNotFoundError(path) from error
        raise failure(f"write {value!r} to {path}", error) from error


def write(path: str, value: str) -> None:
    """Write one control file. Raises as `prepare`."""
    try:
        files.write(path, value)
    except OSError as error:
        raise failure(f"write {value!r} to {path}", error) from error


def failure(doing: str, error: OSError) -> EngineError:
    """What to say of a call on a cgroup that the kernel refused."""
    code = error.errno or 0
    message = f"cannot {doing}: {(error.strerror or '').lower()} ({errorcode.get(code, code)})"
    if code in (EACCES, EPERM, EROFS):
        return NotPermitted(message, "run as root, on a host whose /sys/fs/cgroup is mounted read-write")
    hint = "`pyctr-tui doctor` shows which controllers this host has"
    if code == EBUSY and doing.endswith("/cgroup.subtree_control"):
        hint = (
            "processes sit in that cgroup itself: move them into one below it, so that controllers can be handed on"
        )
    elif code == EINVAL:
        hint = "this kernel refuses the value: change the limit"
    return StartError(message, hint)


def attach(procs: Iterable[str], pid: int) -> None:
    """Move a process into cgroups, by their ``cgroup.procs``; pid 0 is the caller.

    The first move after some idle time waits 6–15 ms for the kernel (RCU); those right after it take 20 µs.
    Raises NotPermitted or StartError, as `prepare`; a process that is gone is a StartError with ESRCH.
    """
    for path in procs:
        write(path, str(pid))


def pids(directory: str) -> list[int]:
    """All processes in a cgroup and below it; none when it's gone."""
    found: list[int] = []
    for path in _tree(directory):
        try:
            with open(f"{path}/cgroup.procs", encoding="ascii") as lines:
                found += map(int, lines)
        except OSError as error:
            if error.errno not in (*_GONE, EOPNOTSUPP):  # EOPNOTSUPP: a threaded cgroup; its root lists the process
                raise
    return found


def kill(unified: str, directories: Sequence[str] = (), reuse: bool = False) -> None:
    """SIGKILL every process of a container; it has no way out, however fast it forks.

    ``cgroup.kill`` (Linux 5.14) where there is a unified tree, else the freezer holds them still meanwhile.
    Returns when all have been signalled; they may take a moment to be gone, which `remove` waits for.
    ``reuse``: something will be born in these cgroups again. A kernel (6.18) kills whatever is cloned into a cgroup
    that ``cgroup.kill`` was once written to: it compares how often that was done there and in the parent's own.
    """
    if unified and not reuse:
        try:
            files.write(f"{unified}/cgroup.kill", "1")
        except OSError as error:
            if error.errno not in _GONE:
                raise failure(f"kill the processes in {unified}", error) from error
            if not os.path.isdir(unified):
                return
        else:
            return
    where = unified or (directories[0] if directories else "")
    if not where:
        return
    held = _hold(unified, directories)
    try:
        _kill_all(where)
    finally:
        if held:
            thaw(unified, directories)
    _kill_all(where)  # without a freezer (or with one that would not close) some forked meanwhile


def _hold(unified: str, directories: Sequence[str]) -> bool:
    """Freeze what can be frozen; whether anything must be thawed again."""
    if not unified and not _freezer(directories):
        return False
    with contextlib.suppress(EngineError):  # some held still are better than none
        _freeze(unified, directories, timeout=0.2)
    return True


def _kill_all(directory: str) -> None:
    """Signal until a pass finds nobody new; bounded, since frozen processes stay listed until they are thawed."""
    import signal

    signalled: set[int] = set()
    for _ in range(1000):
        fresh = [pid for pid in pids(directory) if pid not in signalled]
        if not fresh:
            return
        for pid in fresh:
            signalled.add(pid)
            try:
                fd = os.pidfd_open(pid)
            except OSError:
                continue
            try:
                if pid in pids(directory):  # the number may have passed to a stranger before it was opened
                    signal.pidfd_send_signal(fd, signal.SIGKILL)
            except ProcessLookupError:
                pass
            finally:
                os.close(fd)


def freeze(unified: str, directories: Sequence[str] = (), timeout: float = 2.0) -> None:
    """Stop a container's processes where they are; returns when all are still.

    Raises EngineError after ``timeout`` seconds, and lets them go on: one of them waits in the kernel and can't be
    stopped.
    """
    try:
        _freeze(unified, directories, timeout)
    except EngineError:
        thaw(unified, directories)
        raise


def _freeze(unified: str, directories: Sequence[str], timeout: float) -> None:
    if unified:
        _freeze_unified(unified, timeout)
        return
    directory = _freezer(directories)
    if not directory:
        raise EngineError("cannot pause: this host has no freezer", "use a kernel with cgroup v2 or the v1 freezer")
    deadline = time.monotonic() + timeout
    while True:
        # A fork in flight can leave v1 at FREEZING for good; writing again settles it.
        write(f"{directory}/freezer.state", "FROZEN")
        if files.read(f"{directory}/freezer.state").strip() == "FROZEN":
            return
        if time.monotonic() > deadline:
            raise _not_frozen(directory)
        time.sleep(0.001)


def _freeze_unified(unified: str, timeout: float) -> None:
    write(f"{unified}/cgroup.freeze", "1")
    if not _await(unified, "frozen 1", timeout):
        raise _not_frozen(unified)


def _await(unified: str, line: str, timeout: float) -> bool:
    """Wait until ``cgroup.events`` has a line; the kernel wakes us with POLLPRI whenever it changes."""
    deadline = time.monotonic() + timeout
    try:
        fd = os.open(f"{unified}/cgroup.events", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        poller = select.poll()
        poller.register(fd, select.POLLPRI)
        while True:
            if line in os.pread(fd, 256, 0).decode().splitlines():
                return True
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            poller.poll(left * 1000)
    except OSError:  # removed meanwhile
        return False
    finally:
        os.close(fd)


def _not_frozen(directory: str) -> EngineError:
    return EngineError(
        f"the processes in {directory} could not all be paused in time",
        "one of them waits for a device or a file system; try again",
    )


def thaw(unified: str, directories: Sequence[str] = ()) -> None:
    """Let frozen processes go on; nothing happens when the cgroup is gone."""
    path, value = thawing(unified, directories)
    if not path:
        return
    try:
        files.write(path, value)
    except OSError as error:
        if error.errno not in _GONE:
            raise failure(f"write {value!r} to {path}", error) from error


def thawing(unified: str, directories: Sequence[str] = ()) -> tuple[str, str]:
    """The file and what to write to it to let frozen processes go on; two empty strings where there is none."""
    if unified:
        return f"{unified}/cgroup.freeze", "0"
    directory = _freezer(directories)
    return (f"{directory}/freezer.state", "THAWED") if directory else ("", "")


def _freezer(directories: Sequence[str]) -> str:
    return next((path for path in directories if os.path.exists(f"{path}/freezer.state")), "")


def empty(unified: str, timeout: float) -> bool:
    """Wait until no process is left in a cgroup of the unified tree; false after ``timeout`` seconds."""
    return not os.path.isdir(unified) or _await(unified, "populated 0", timeout) or not os.path.isdir(unified)


def remove(directories: Iterable[str], timeout: float = 2.0) -> list[str]:
    """Remove cgroups and those that the container made below them; returns what is left after ``timeout`` seconds.

    The kernel answers EBUSY until the last process is really gone, a moment after it was killed.
    """
    left = list(directories)
    deadline = time.monotonic() + timeout
    pause = 0.0005
    while True:
        left = [path for path in left if not _removed(path)]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(pause)
        pause = min(2 * pause, 0.02)


def remove_shared(directories: Iterable[str]) -> None:
    """Remove the parents that are empty, innermost first (`Layout.shared`); those in use stay."""
    for path in directories:
        try:
            os.rmdir(path)
        except OSError:
            continue


def _removed(directory: str) -> bool:
    for path in reversed(_tree(directory)):
        try:
            os.rmdir(path)
        except OSError as error:
            if error.errno not in _GONE:
                return False
    return True


def _tree(directory: str) -> list[str]:
    """A cgroup and all below it, each after its parent."""
    found = [directory]
    for path in found:
        try:
            with os.scandir(path) as entries:
                found += [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
        except OSError:
            continue
    return found


def oom_kills(path: str) -> int:
    """How many processes of a container the OOM killer took; 0 when the file is gone. ``path`` is the plan's ``oom``.

    Read it before the cgroup is removed. On v1 a count belongs to one cgroup, on v2 it includes those below.
    """
    return max(0, files.pick(path, "oom_kill")[0]) if path else 0


def is_frozen(unified: str, directories: Sequence[str] = ()) -> bool:
    """Whether a container is held still; False when it is gone."""
    path = f"{unified}/cgroup.freeze" if unified else f"{_freezer(directories)}/freezer.state"
    with contextlib.suppress(OSError):
        return files.read(path).strip() in ("1", "FROZEN")
    return False


_LIMIT_EVENTS = (
    ("memory.events", "max", "memory"),
    ("memory.events", "high", "memory_high"),
    ("memory.events", "oom_kill", "oom"),
    ("memory.oom_control", "oom_kill", "oom"),
    ("pids.events", "max", "pids"),
    ("cpu.stat", "nr_throttled", "cpu"),
)


def limit_events(unified: str, directories: Sequence[str]) -> dict[str, int]:
    """How often each of its limits held a container back, those that ever did: memory, memory_high, pids, cpu;
    and as ``oom`` how many of its processes the OOM killer took.

    Read it before the cgroups are removed. v1 counts memory in ``memory.failcnt``.
    """
    found: dict[str, int] = {}
    for directory in directories:
        whole = directory == unified and len(directories) == 1  # v2: all controllers are here
        for file, key, name in _LIMIT_EVENTS:
            controller = file.partition(".")[0]
            if whole or (directory != unified and f"/{controller}" in directory):
                found[name] = max(found.get(name, 0), *files.pick(f"{directory}/{file}", key))
        if not whole and "/memory" in directory:
            for file in ("memory.failcnt", "memory.memsw.failcnt"):
                found["memory"] = max(found.get("memory", 0), files.number(f"{directory}/{file}"))
    return {name: count for name, count in found.items() if count > 0}
