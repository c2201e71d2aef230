"""Readings of containers' cgroups: the same figures on every layout.

What 500 containers use is to be read once a second for a few hundredths of one CPU, so most of the work is in what is
not read: files stay open (`kept`), and one that can't have changed is left alone.

- A container that has used no CPU time since the last reading has done nothing. Others may have reclaimed its memory,
  or killed it: every `WHOLE_EVERY`-th reading looks. Averages of stalls are followed until they have faded.
- Nothing in a container can have been killed, have stalled for memory or for I/O, or have used a disk, while the same
  counter of the whole machine stood still (`_Machine`).
- The parts of memory are read anew when their sum has changed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Set

from pyctr_engine.cgroups import cpu, io, memory, pids, pressure
from pyctr_engine.cgroups.layout import Layout
from pyctr_engine.errors import NotFound
from pyctr_engine.linux import kept
from pyctr_engine.model.spec import Resources
from pyctr_engine.model.stats import Stats

WHOLE_EVERY = 10

_UNLIMITED = Resources()


Traffic = tuple[int, int, int, int]
"""Bytes received and sent, packets received and sent; a cgroup knows nothing of them."""


def read(
    layout: Layout, parent: str, id: str, resources: Resources = _UNLIMITED, traffic: Traffic = (0, 0, 0, 0)
) -> Stats:
    """What a running container uses; raises NotFound when it has no cgroup.

    ``resources`` are its limits: knowing them saves reading them back.
    """
    found = Reader(layout, parent, kept.Descriptors()).read(id, resources, traffic)
    if found is None:
        raise NotFound(f"container {id[:12]} has no cgroup: it isn't running", "start it first")
    return found


class Reader:
    """Reads many containers again and again. Not for several threads at once."""

    def __init__(self, layout: Layout, parent: str, descriptors: kept.Descriptors | None = None) -> None:
        self._layout = layout
        self._parent = parent
        self._descriptors = kept.allowed() if descriptors is None else descriptors
        self._machine = _Machine(self._descriptors)
        self._groups: dict[str, _Group] = {}

    def turn(self) -> None:
        """Begin a new round of readings: look at the machine first."""
        self._machine.look()

    def read(self, id: str, resources: Resources = _UNLIMITED, traffic: Traffic = (0, 0, 0, 0)) -> Stats | None:
        """One reading; ``None`` when it has no cgroup, or none any more."""
        group = self._groups.get(id)
        if group is not None:
            try:
                return group.read(self._machine, resources, traffic)
            except OSError:  # ENODEV: it is gone, or another was made in its place
                self.forget(id)
        try:
            group = self._groups[id] = _Group(self._layout, self._parent, id, self._descriptors)
            return group.read(self._machine, resources, traffic)
        except OSError:
            self.forget(id)
            return None

    def is_first(self, id: str) -> bool:
        """Whether its cgroup has been read once only: it is new, or it was made anew."""
        group = self._groups.get(id)
        return group is not None and group.rounds == 1

    def forget(self, id: str) -> None:
        """Let go of its files."""
        group = self._groups.pop(id, None)
        if group is not None:
            group.close()

    def keep_only(self, ids: Set[str]) -> None:
        """Let go of the files of all others."""
        for id in self._groups.keys() - ids:
            self.forget(id)

    def close(self) -> None:
        """Let go of everything."""
        self.keep_only(frozenset())
        self._machine.close()


class _Machine:
    """Counters of the whole machine; each has a version, which grows when it has changed.

    Attributes:
        killed: Kills by the OOM killer. memory, io: Stalls. disks: I/O of all disks.
        swaps: Whether there is any swap.
    """

    __slots__ = ("_files", "disks", "io", "killed", "memory", "swaps")

    def __init__(self, descriptors: kept.Descriptors) -> None:
        self.killed = self.memory = self.io = self.disks = 0
        self.swaps = True
        names = ("vmstat", "pressure/memory", "pressure/io", "diskstats", "swaps")
        self._files = [kept.File(f"/proc/{name}", descriptors, 1 << 16) for name in names]

    def look(self) -> None:
        """Read them; one that can't be read counts as changed."""
        vmstat, memory, io, disks, swaps = self._files
        before = kept.value(vmstat.data, b"\noom_kill ")
        if _news(vmstat) and (kept.value(vmstat.data, b"\noom_kill ") != before or before is None):
            self.killed += 1
        self.memory += _news(memory)
        self.io += _news(io)
        self.disks += _news(disks)
        if _news(swaps):
            self.swaps = b"\n" in swaps.data.strip() or not swaps.data

    def close(self) -> None:
        for file in self._files:
            file.close()


def _news(file: kept.File) -> bool:
    try:
        return file.changed() or file.is_missing
    except OSError:
        return True


class _Group:
    """One container's files, and what they said last."""

    __slots__ = (
        "_cpu", "_disks", "_due", "_io", "_io_stalls", "_killed", "_memory", "_memory_stalls", "_pids", "_stalls",
        "rounds",
    )  # fmt: skip

    def __init__(self, layout: Layout, parent: str, id: str, descriptors: kept.Descriptors) -> None:
        def file(path: str) -> kept.File:
            return kept.File(path, descriptors, 8192 if path.endswith("/memory.stat") else 512)

        def wide(path: str) -> kept.File:  # a line for each of many disks
            return kept.File(path, descriptors, 1 << 14)

        def home(controller: str) -> tuple[int, str]:
            return layout.directory(controller, parent, id)

        _, unified = home("unified")
        memory_version, memory_dir = home("memory")
        cpu_version, cpu_dir = home("cpu")
        io_version, io_dir = home("io")
        _, pids_dir = home("pids")
        os.stat(unified or memory_dir or home("cpuacct")[1])  # raises FileNotFoundError where it has none
        self._cpu = cpu.Meter(file, unified, cpu_dir if cpu_version == 1 else "", home("cpuacct")[1])
        self._memory = memory.meter(file, memory_dir, memory_version) if memory_dir else None
        self._io = io.Meter(wide, io_dir, io_version) if io_dir else None
        self._pids = pids.Meter(file, pids_dir) if pids_dir else None
        self._stalls = [pressure.Meter(file(f"{unified}/{kind}.pressure")) for kind in ("cpu", "memory", "io")]
        if not unified:
            self._stalls = []
        self.rounds = 0
        self._due = int(id[:2], 16) % WHOLE_EVERY  # not all in the same round
        self._killed = self._memory_stalls = self._io_stalls = self._disks = -1

    def read(self, machine: _Machine, resources: Resources, traffic: Traffic) -> Stats:
        """Read what may have changed. Raises OSError when it is gone."""
        whole = not self.rounds or self.rounds % WHOLE_EVERY == self._due
        self.rounds += 1
        if self._cpu.has_run() or self.rounds == 1:
            self._read_rest(machine, resources, whole)
        else:
            if whole and self._memory:
                self._memory.read_parts()
            if whole and self._pids:
                self._pids.read()
            for meter in self._stalls:
                if meter.is_fading:
                    meter.read()
        used, charged, done = self._cpu.values, self._memory, self._io
        held = charged.values if charged else _NOTHING
        moved = done.values if done else _NOTHING
        return Stats(
            time.monotonic(),
            used[0] or 0,
            used[1] or 0,
            used[2] or 0,
            resources.cpu_limit,
            used[3],
            used[4],
            used[5],
            held[memory.CURRENT],
            resources.memory,
            held[memory.PEAK],
            held[memory.ANON],
            held[memory.FILE],
            held[memory.KERNEL],
            held[memory.SWAP],
            held[memory.WORKING_SET],
            held[memory.OOM],
            held[memory.OOM_KILL],
            held[memory.MAX],
            held[memory.HIGH],
            self._pids.value if self._pids else None,
            pids.limit(resources),
            moved[0],
            moved[1],
            moved[2],
            moved[3],
            done.devices if done else (),
            *traffic,
            *([meter.value for meter in self._stalls] or _NO_STALLS),
        )

    def _read_rest(self, machine: _Machine, resources: Resources, whole: bool) -> None:
        self._cpu.read_bandwidth(resources.cpu_limit is not None)
        if self._memory:
            limit = resources.memory_high or resources.memory
            self._memory.read(whole, limit, self._killed != machine.killed, machine.swaps)
            self._killed = machine.killed
        if self._pids:
            self._pids.read()
        if self._io and (whole or self._disks != machine.disks):
            self._disks = machine.disks
            self._io.read()
        if self._stalls:
            of_cpu, of_memory, of_io = self._stalls
            of_cpu.read()
            if whole or self._memory_stalls != machine.memory or of_memory.is_fading:
                self._memory_stalls = machine.memory
                of_memory.read()
            if whole or self._io_stalls != machine.io or of_io.is_fading:
                self._io_stalls = machine.io
                of_io.read()

    def close(self) -> None:
        files = list(self._cpu.files)
        for meter in (self._memory, self._io, self._pids):
            files += meter.files if meter else []
        files += [meter.file for meter in self._stalls]
        for file in files:
            file.close()


_NOTHING: list[None] = [None] * 11
_NO_STALLS = (pressure.UNKNOWN,) * 3
