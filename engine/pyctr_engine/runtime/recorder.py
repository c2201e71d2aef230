"""The recorder: writes every container's history (`history`), and hears of OOM kills as they happen (`cgroups.oom`):
then it has the container's monitor look. One small process for all of a state directory.

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

from pyctr_engine.cgroups import bare, control, oom, place, stats
from pyctr_engine.errors import EngineError
from pyctr_engine.linux import namespaces
from pyctr_engine.linux.traffic import NONE, Traffic
from pyctr_engine.model.spec import Resources
from pyctr_engine.runtime import history, protocol

_SLICES = 4
"""A quarter of the containers at a time: hundreds at once would be felt."""
_LIST_EVERY = 15
_BETWEEN = 1.0
"""Seconds between two words to a monitor of what was killed: some are killed again and again."""
_PATIENCE = 0.5
"""Seconds that a monitor may take to be spoken to."""


class Recorder:
    """Takes records of all containers of a state directory, whose cgroups lie below ``parent``."""

    def __init__(self, state_dir: str, run_dir: str, parent: str) -> None:
        self._state_dir = state_dir
        self._run_dir = run_dir
        self._parent = parent
        self._layout = place.here(parent)
        unified = self._layout.unified
        self._base = f"{unified or self._layout.home('memory')[1]}/{parent}/containers"
        bared = self._layout.mode == "none"
        if bared:
            self._base = f"{run_dir}/containers"
        self._reader = None if bared else stats.Reader(self._layout, parent)
        self._traffic = Traffic()
        self._known: dict[str, _Container] = {}
        self._slice = 0
        self._epoll = select.epoll()
        self._watched: dict[int, str] = {}
        self._rechecks: list[tuple[float, str, int]] = []

    def serve(self, spawner: socket.socket) -> None:
        """Go on while there is a spawner (the other end of the socket) or a container."""
        alone = False
        self._epoll.register(spawner, select.EPOLLIN)
        due = time.monotonic()
        while True:
            due += history.PERIOD / _SLICES
            while (left := due - time.monotonic()) > 0:
                soonest = min((at for at, _, _ in self._rechecks), default=due)
                for fd, _ in self._epoll.poll(max(0.0, min(left, soonest - time.monotonic()))):
                    if fd == spawner.fileno():
                        alone = True
                        self._epoll.unregister(spawner)
                    else:
                        self._heard(self._watched[fd], 0)
                self._recheck()
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
        if self._layout.mode == "none":
            present = {id for id in present if os.path.exists(f"{self._base}/{id}/monitor.sock")}
        for id in self._known.keys() - present:
            self._unwatch(self._known.pop(id))
            if self._reader is not None:
                self._reader.forget(id)
        for id in present - self._known.keys():
            if os.path.isdir(f"{self._state_dir}/containers/{id}"):
                self._known[id] = _Container(
                    f"{self._state_dir}/containers/{id}", f"{self._run_dir}/containers/{id}", f"{self._base}/{id}"
                )
                self._watch(id)
        self._slice = (self._slice + 1) % _SLICES
        if self._reader is not None:
            self._reader.turn()
        self._traffic.look()
        for id, container in self._known.items():
            if int(id[:2], 16) % _SLICES == self._slice:
                with contextlib.suppress(OSError, EngineError, ValueError):  # it has just ended
                    container.record(self._reader, self._traffic, id)

    # -- what is killed for want of memory ------------------------------------------------------------------------

    def _watch(self, id: str) -> None:
        """Hear of kills from now on, and tell of those that there were before."""
        container = self._known[id]
        try:
            container.watch = oom.Watch(self._layout.oom_file(self._parent, id))
        except OSError:  # without a memory controller or descriptors: each record tells how many there were
            return
        self._watched[container.watch.fd] = id
        self._epoll.register(container.watch.fd, container.watch.mask)
        self._heard(id, len(oom.RECHECKS))

    def _unwatch(self, container: _Container) -> None:
        if container.watch is not None:
            del self._watched[container.watch.fd]
            container.watch.close()  # epoll forgets it by itself
            container.watch = None

    def _heard(self, id: str, tries: int) -> None:
        """The kernel says that there is something, or it is time to look again whether there is."""
        container = self._known.get(id)
        if container is None or container.watch is None:
            return
        now = time.monotonic()
        try:
            if container.has_lost(container.watch.kills()):
                if container.may_tell_at <= now:
                    container.tell(now)
                elif not container.is_due:  # it is killed again and again: what a second brings is told together
                    container.is_due = True
                    self._rechecks.append((container.may_tell_at, id, len(oom.RECHECKS)))
                return
        except OSError:
            self._unwatch(container)
            return
        if container.watch.comes_early and tries < len(oom.RECHECKS):
            self._rechecks.append((now + oom.RECHECKS[tries], id, tries + 1))

    def _recheck(self) -> None:
        now = time.monotonic()
        due = [check for check in self._rechecks if check[0] <= now]
        self._rechecks = [check for check in self._rechecks if check[0] > now]
        for _, id, tries in due:
            self._heard(id, tries)


class _Container:
    """One that is recorded."""

    def __init__(self, state_dir: str, run_dir: str, cgroup: str) -> None:
        self._run_dir = run_dir
        self._cgroup = cgroup
        self._ring = history.Ring(history.path(state_dir))
        self._stamp = 0
        self._interface = ""
        self._processes = 0, 0
        self._limits: list[float] = [0, 0, 0]
        self._resources = Resources()
        self._count = 0
        self._pids: int | None = -1
        self._kills = self._told = 0
        self.may_tell_at = 0.0
        self.is_due = False
        self.watch: oom.Watch | None = None

    def has_lost(self, kills: int) -> bool:
        """Whether something was killed that its monitor was not told of."""
        self._kills = kills
        return kills > self._told

    def tell(self, now: float) -> None:
        """Have its monitor look."""
        self._told, self.may_tell_at, self.is_due = self._kills, now + _BETWEEN, False
        # one that is ending looks by itself
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as monitor:
            monitor.settimeout(_PATIENCE)
            with protocol.short_path(self._run_dir) as directory:
                monitor.connect(f"{directory}/monitor.sock")
            monitor.sendall(protocol.frame(protocol.LOOK))

    def record(self, reader: stats.Reader | None, traffic: Traffic, id: str) -> None:
        self._refresh()
        self._count += 1
        passed = traffic.of(self._interface) if self._interface else NONE
        read = reader.read(id, self._resources, passed) if reader else bare.read(*self._processes, passed)
        if read is None:  # it has just ended
            return
        if self.has_lost(read.oom_kills or 0) and self.may_tell_at <= time.monotonic():
            self.tell(time.monotonic())
        self._ring.append(history.pack(time.time(), read, read.rx_bytes, read.tx_bytes, self._limits))
        if read.pids != self._pids or self._count % _LIST_EVERY == 0:
            self._pids = read.pids
            self._list_processes(control.pids(self._cgroup) if reader else bare.pids(*self._processes))

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
        self._processes = int(state.get("pid", 0)), int(state.get("monitor_pid", 0))
        cpus, memory, pids = self._limits = state.get("limits") or [0, 0, 0]
        self._resources = Resources(cpus=cpus or None, memory=memory or None, pids=pids or None)

    def _list_processes(self, pids: list[int]) -> None:
        """Note who runs in it, for when it has ended: in the run directory, for this is often."""
        found = history.processes(pids)
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
