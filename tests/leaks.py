"""What an engine holds of the machine: mounts, links, nft tables, cgroups and processes, by its own names.

Everything an engine makes carries its tag (`Paths.tag`) or lies below its directories, so that tests can run beside
other engines and still see all that is theirs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from dataclasses import dataclass, fields

from pyctr_engine.linux.namespaces import is_running
from pyctr_engine.paths import Paths
from tests.patience import PATIENCE

CGROUPS = "/sys/fs/cgroup"
LINKS = "/sys/class/net"


@dataclass(frozen=True, slots=True)
class Holdings:
    """Names of what is held; two of them are compared, ``before`` and ``after``."""

    mounts: frozenset[str]
    links: frozenset[str]
    tables: frozenset[str]
    cgroups: frozenset[str]
    processes: frozenset[str]
    run_containers: frozenset[str]

    def leaked_since(self, before: Holdings) -> dict[str, list[str]]:
        """What is held now and was not then, by kind; empty when nothing leaked."""
        extra = {f.name: sorted(getattr(self, f.name) - getattr(before, f.name)) for f in fields(self)}
        return {kind: names for kind, names in extra.items() if names}


def held(paths: Paths) -> Holdings:
    """What the engine of these directories holds now."""
    bridge = f"pyctr-{paths.tag}"
    return Holdings(
        mounts=frozenset(_mounts(paths)),
        links=frozenset(_links(bridge)),
        tables=frozenset(_tables(paths.tag)),
        cgroups=frozenset(_cgroups(paths.tag)),
        processes=frozenset(f"{pid} {_command(pid)}" for pid in processes(paths)),
        run_containers=frozenset(_names(paths.run_containers)),
    )


def processes(paths: Paths) -> list[int]:
    """Pids of this engine's spawner, monitors and containers' processes; this one is not among them.

    Found by cgroups that carry the tag, and by command lines that name one of the directories: a monitor has its
    spawner's.
    """
    found = []
    for name in _names("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        pid = int(name)
        tagged = bool(paths.tag) and f"pyctr-tui-{paths.tag}" in _read(f"/proc/{pid}/cgroup")
        named = any(directory in _command(pid) for directory in (paths.state, paths.run))
        if tagged or named:
            found.append(pid)
    return found


def spawner(paths: Paths) -> int:
    """The spawner's pid; 0 without one."""
    pid, _, started = _read(f"{paths.run}/spawner.pid").partition(" ")
    return int(pid) if pid and is_running(int(pid), int(started)) else 0


def settled(paths: Paths, before: Holdings, patience: float = 5.0) -> dict[str, list[str]]:
    """What is still held after the kernel had time to take links and processes down, which it does by itself."""
    deadline = time.monotonic() + patience * PATIENCE
    while True:
        leaked = held(paths).leaked_since(before)
        if not leaked or time.monotonic() > deadline:
            return leaked
        time.sleep(0.05)


def _mounts(paths: Paths) -> list[str]:
    lines = _read("/proc/self/mountinfo").splitlines()
    return [line.split()[4] for line in lines if paths.state in line or paths.run in line]


def _links(bridge: str) -> list[str]:
    ours = []
    for name in _names(LINKS):
        master = os.path.basename(os.path.realpath(f"{LINKS}/{name}/master"))
        if bridge in (name, master):
            ours.append(name)
    return ours


def _tables(tag: str) -> list[str]:
    if not tag or not shutil.which("nft"):
        return []
    listed = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=False).stdout
    return [line for line in listed.splitlines() if tag in line]


def _cgroups(tag: str) -> list[str]:
    return [directory for directory, _, _ in os.walk(CGROUPS) if tag and f"/pyctr-tui-{tag}" in directory]


def _command(pid: int) -> str:
    return _read(f"/proc/{pid}/cmdline").replace("\0", " ").strip() or _read(f"/proc/{pid}/comm").strip()


def _names(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except OSError:
        return []


def _read(path: str) -> str:
    try:
        with open(path, errors="replace") as file:
            return file.read()
    except OSError:
        return ""
