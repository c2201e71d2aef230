"""The processes of a container, read from /proc. Sources: proc_pid_stat(5), user_namespaces(7)."""

from __future__ import annotations

import os
from collections.abc import Iterable

from pyctr_engine.host import files
from pyctr_engine.model.host import ProcessInfo


def processes(pids: Iterable[int], proc: str = "/proc") -> list[ProcessInfo]:
    """Those of ``pids`` that are still there, in their order.

    ``command`` is what the process says of itself, raw: whoever shows it must make it safe. ``user`` is the number
    of its effective user id in its own user namespace, ``nobody`` where that has no number for it.
    """
    boot = _boot_time(files.read(f"{proc}/stat"))
    found = (_process(f"{proc}/{pid}", pid, boot) for pid in pids)
    return [process for process in found if process is not None]


def _process(directory: str, pid: int, boot: int) -> ProcessInfo | None:
    stat = files.read(f"{directory}/stat")
    # The name is in parentheses and may hold spaces and parentheses itself.
    name = stat[stat.find("(") + 1 : stat.rfind(")")]
    fields = stat[stat.rfind(")") + 1 :].split()
    if len(fields) < 22:
        return None
    hertz = os.sysconf("SC_CLK_TCK")
    arguments = files.read(f"{directory}/cmdline").rstrip("\0").replace("\0", " ")
    return ProcessInfo(
        pid=pid,
        ppid=int(fields[1]),
        user=_user(directory),
        state=fields[0],
        started_at=boot + int(fields[19]) / hertz,
        cpu_seconds=(int(fields[11]) + int(fields[12])) / hertz,
        rss=int(fields[21]) * os.sysconf("SC_PAGESIZE"),
        command=arguments or f"[{name}]",
    )


def _user(directory: str) -> str:
    for line in files.read(f"{directory}/status").split("\n"):
        if line.startswith("Uid:"):
            return _inside(int(line.split()[2]), files.read(f"{directory}/uid_map"))
    return ""


def _inside(uid: int, uid_map: str) -> str:
    """A host id as the process's user namespace numbers it; lines are: first inside, first outside, count."""
    for line in uid_map.split("\n"):
        words = line.split()
        if len(words) == 3:
            inside, outside, count = map(int, words)
            if outside <= uid < outside + count:
                return str(uid - outside + inside)
    return "nobody"


def _boot_time(text: str) -> int:
    start = text.find("\nbtime ")
    return int(text[start + 7 :].split(None, 1)[0]) if start >= 0 else 0
