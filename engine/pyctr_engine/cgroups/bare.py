"""What can be told of a container that has no control group (`layout.NOWHERE`): that of its processes, added up.

Its processes are its first one and those that its monitor runs in it, with all below them. Less exact than a control
group: memory that several share is counted once, as the largest such part; what programs of exec sessions used is
forgotten when they end; block I/O and pressure are not told. Source: proc_pid_stat(5).
"""

from __future__ import annotations

import os
import time

from pyctr_engine.model.stats import Stats

_TICK_USEC = 1_000_000 // os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGESIZE")
_FRESH_SECONDS = 0.2

_Children = dict[int, list[int]]
_seen: tuple[float, _Children] = (-1.0, {})


def pids(first: int, monitor: int) -> list[int]:
    """The processes of a container, by its first process and its monitor; empty when it has ended."""
    children = _children()
    if not os.path.exists(f"/proc/{first}"):
        return []
    here = _pid_namespace(monitor)
    found = [first]
    found += [pid for pid in children.get(monitor, ()) if pid != first and _pid_namespace(pid) not in (here, 0)]
    for pid in found:
        found += children.get(pid, ())
    return found


def read(first: int, monitor: int, traffic: tuple[int, int, int, int] = (0, 0, 0, 0)) -> Stats | None:
    """What a running container uses, with its bytes and packets received and sent; ``None`` when it has ended."""
    user = system = own = shared = tasks = 0
    for pid in pids(first, monitor):
        fields = _stat(pid)
        if not fields:
            continue
        # utime, stime, and those of the children it has waited for
        user += int(fields[11]) + int(fields[13])
        system += int(fields[12]) + int(fields[14])
        tasks += int(fields[17])
        try:
            with open(f"/proc/{pid}/statm", "rb") as file:
                _, resident, from_files, *_ = (int(word) for word in file.read().split())
        except (OSError, ValueError):
            continue
        own += resident - from_files
        shared = max(shared, from_files)
    if not tasks:
        return None
    rx_bytes, tx_bytes, rx_packets, tx_packets = traffic
    return Stats(
        time=time.monotonic(),
        cpu_usec=(user + system) * _TICK_USEC,
        user_usec=user * _TICK_USEC,
        system_usec=system * _TICK_USEC,
        memory=(own + shared) * _PAGE,
        anon=own * _PAGE,
        file=shared * _PAGE,
        pids=tasks,
        rx_bytes=rx_bytes,
        tx_bytes=tx_bytes,
        rx_packets=rx_packets,
        tx_packets=tx_packets,
    )


def _children() -> _Children:
    """Who has which children: one look at all processes, which serves all containers for a moment."""
    global _seen
    now = time.monotonic()
    if now - _seen[0] < _FRESH_SECONDS:
        return _seen[1]
    found: _Children = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and (fields := _stat(int(name))):
            found.setdefault(int(fields[1]), []).append(int(name))
    _seen = now, found
    return found


def _stat(pid: int) -> list[bytes]:
    """The fields from the third, the state, on; empty when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            stat = file.read()
    except OSError:
        return []
    return stat[stat.rindex(b")") + 2 :].split()


def _pid_namespace(pid: int) -> int:
    try:
        return os.stat(f"/proc/{pid}/ns/pid").st_ino
    except OSError:
        return 0
