"""The recorder: writes every container's history (`history`), one small process for all of a state directory.

Not the monitors: reading a cgroup's files runs through code that each of them would have to itself, 0.9 MB more for
every container, while one process shares it with nobody and needs it once. It is a child of the spawner, which makes
another when it is killed; the spawner killed, it goes on until no container is left, and a later one waits for its
lock. It holds no facts: which containers there are is told by their cgroups, the rest by their ``state.json``.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import socket
import sys
import time
from typing import Any

from pyctr_engine.cgroups import control, cpu, files, layout, stats
from pyctr_engine.errors import EngineError
from pyctr_engine.linux import namespaces
from pyctr_engine.runtime import history

_SLICES = 4
"""A quarter of the containers at a time: hundreds at once would be felt."""
_REPEATS = 5
"""Who has used no CPU is read in full every so many times only: nothing of it changes by itself."""
_LIST_EVERY = 15


class Recorder:
    """Takes records of all containers of a state directory, whose cgroups lie below ``parent``."""

    def __init__(self, state_dir: str, run_dir: str, parent: str) -> None:
        self._state_dir = state_dir
        self._run_dir = run_dir
        self._parent = parent
        self._layout = layout.detect()
        unified = self._layout.unified
        self._base = f"{unified or self._layout.home('memory')[1]}/{parent}/containers"
        self._known: dict[str, _Container] = {}
        self._slice = 0

    def serve(self, spawner: socket.socket) -> None:
        """Go on while there is a spawner (the other end of the socket) or a container."""
        alone = False
        poller = select.poll()
        poller.register(spawner, select.POLLIN)
        due = time.monotonic()
        while True:
            due += history.PERIOD / _SLICES
            while (left := due - time.monotonic()) > 0:
                if alone:
                    time.sleep(left)
                elif poller.poll(left * 1000):
                    alone = True
            due = max(due, time.monotonic() - history.PERIOD)  # it was suspended: no use in catching up
            self._look()
            if alone and not self._known:
                return

    def _look(self) -> None:
        """See who is there, but for the spawner's reserve, and take a record of every fourth."""
        try:
            present = set(os.listdir(self._base))
        except OSError:
            present = set()
        for id in self._known.keys() - present:
            del self._known[id]
        for id in present - self._known.keys():
            if os.path.isdir(f"{self._state_dir}/containers/{id}"):
                self._known[id] = _Container(
                    f"{self._state_dir}/containers/{id}", f"{self._run_dir}/containers/{id}", f"{self._base}/{id}"
                )
        self._slice = (self._slice + 1) % _SLICES
        for id, container in self._known.items():
            if int(id[:2], 16) % _SLICES == self._slice:
                with contextlib.suppress(OSError, EngineError, ValueError):  # it has just ended
                    container.record(self._layout, self._parent, id)


class _Container:
    """One that is recorded."""

    def __init__(self, state_dir: str, run_dir: str, cgroup: str) -> None:
        self._run_dir = run_dir
        self._cgroup = cgroup
        self._ring = history.Ring(history.path(state_dir))
        self._stamp = 0
        self._interface = ""
        self._limits: list[float] = [0, 0, 0]
        self._count = 0
        self._spent = -1
        self._last: tuple[Any, ...] = ()
        self._pids = -1

    def record(self, hierarchy: layout.Layout, parent: str, id: str) -> None:
        self._refresh()
        self._count += 1
        spent = cpu.usage(self._cgroup, "", "", False).usage
        if spent != self._spent or not self._last or self._count % _REPEATS == 0:
            self._last = (stats.read(hierarchy, parent, id), *self._traffic())
        self._spent = spent
        read, received, sent = self._last
        self._ring.append(history.pack(time.time(), read, received, sent, self._limits))
        if read.pids != self._pids or self._count % _LIST_EVERY == 0:
            self._pids = read.pids
            self._list_processes()

    def _refresh(self) -> None:
        """Its interface and limits, when its monitor has written them anew."""
        path = f"{self._run_dir}/state.json"
        stamp = os.stat(path).st_mtime_ns
        if stamp == self._stamp:
            return
        with open(path, "rb") as file:
            state = json.load(file)
        self._stamp = stamp
        self._interface = state.get("interface", "")
        self._limits = state.get("limits") or [0, 0, 0]

    def _traffic(self) -> tuple[int, int]:
        """Bytes received and sent, as the container sees it: what the host's end sent and received."""
        if not self._interface:
            return 0, 0
        counters = f"/sys/class/net/{self._interface}/statistics"
        return files.number(f"{counters}/tx_bytes"), files.number(f"{counters}/rx_bytes")

    def _list_processes(self) -> None:
        """Note who runs in it, for when it has ended: in the run directory, for this is often."""
        found = history.processes(control.pids(self._cgroup))
        path = f"{self._run_dir}/processes.json"
        if found:
            with open(path + ".new", "w") as file:
                json.dump([time.time(), found], file)
            os.rename(path + ".new", path)


def main(spawner: socket.socket, state_dir: str, run_dir: str, parent: str) -> None:
    """Record until nobody needs it; wait first until an earlier one has gone."""
    namespaces.set_name("pyctr-recorder")
    try:
        with open(f"{run_dir}/recorder.lock", "a") as lock:
            if _take_over(lock.fileno(), spawner):
                Recorder(state_dir, run_dir, parent).serve(spawner)
    except (EngineError, OSError) as error:  # no cgroups here, or no run directory: another would fare no better
        sys.stderr.write(f"nothing is recorded: {error}\n")
        sys.stderr.flush()
        select.select([spawner], [], [])


def _take_over(lock: int, spawner: socket.socket) -> bool:
    """Wait for the lock; False when the spawner goes before."""
    poller = select.poll()
    poller.register(spawner, select.POLLIN)
    while True:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        if poller.poll(1000):
            return False
