"""What containers use: cgroup readings with their network figures, and their processes."""

from __future__ import annotations

import json
import os
import threading

from pyctr_engine.cgroups import bare, control
from pyctr_engine.cgroups import stats as readings
from pyctr_engine.containers import status, store
from pyctr_engine.containers.context import Context
from pyctr_engine.errors import Conflict
from pyctr_engine.linux.traffic import NONE, Traffic
from pyctr_engine.model.host import ProcessInfo
from pyctr_engine.model.spec import Resources
from pyctr_engine.model.stats import Stats
from pyctr_engine.model.status import Container
from pyctr_engine.paths import Paths


def stats(context: Context, container: Container) -> Stats:
    """One reading. Raises Conflict when it does not run."""
    if not container.state.is_alive:
        raise Conflict(f"container {container.name} is not running", f"start it: `pyctr-tui start {container.name}`")
    now = container.status
    traffic = Traffic().of(now.interface) if now.interface else NONE
    if context.cgroups.mode == "none":
        reading = bare.read(now.pid, now.monitor_pid, traffic)
        if reading is None:
            raise Conflict(f"container {container.name} has just ended", f"`pyctr-tui logs {container.name}`")
        return reading
    return readings.read(
        context.cgroups, context.cgroup_parent, container.id, container.spec.request.resources, traffic
    )


def all_stats(context: Context) -> dict[str, Stats]:
    """One reading of each running container, by id. The first takes longest: then files are opened."""
    return context.usage.read()


class Usage:
    """Reads all containers again and again, for any thread; see `pyctr_engine.cgroups.stats`."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._reader: readings.Reader | None = None
        self._traffic = Traffic()
        self._version: tuple[int, int] = (-1, -1)
        self._known: dict[str, _Known] = {}

    def read(self) -> dict[str, Stats]:
        """One reading of each that runs."""
        context = self._context
        with self._lock:
            self._learn()
            if self._reader is None:
                self._reader = readings.Reader(context.cgroups, context.cgroup_parent)
            reader = self._reader
            reader.turn()
            self._traffic.look()
            found = {}
            for id, known in self._known.items():
                if not known.look(context.paths, id):
                    continue
                traffic = self._traffic.of(known.interface) if known.interface else NONE
                if context.cgroups.mode == "none":
                    reading = bare.read(known.pid, known.monitor, traffic)
                    if reading is None:
                        known.forget()
                    else:
                        found[id] = reading
                    continue
                reading = reader.read(id, known.resources, traffic)
                if reading is None or (not reading.pids and not known.is_attended(context.paths, id)):
                    known.forget()  # it has ended since, or nobody looks after it any more
                    continue
                if reader.is_first(id) and known.learn(context.paths, id) and known.interface:
                    # perhaps another start, with another interface
                    reading = reader.read(id, known.resources, self._traffic.of(known.interface)) or reading
                found[id] = reading
            reader.keep_only(found.keys())
            return found

    def _learn(self) -> None:
        """Who there is, and the limits of each, when the database has changed since."""
        with self._context.lock:
            connection = self._context.database.connection
            version = (connection.execute("PRAGMA data_version").fetchone()[0], connection.total_changes)
            if version == self._version:
                return
            query = "SELECT id, json_extract(spec, '$.request.resources') FROM containers"
            rows = connection.execute(query).fetchall()
        self._version = version
        before, self._known = self._known, {}
        for id, text in rows:
            known = self._known[id] = before.get(id) or _Known()
            if text != known.text:
                known.text, known.resources = text, store.resources(json.loads(text))

    def close(self) -> None:
        """Let go of all files."""
        with self._lock:
            if self._reader is not None:
                self._reader.close()
            self._reader = None
            self._traffic.close()


class _Known:
    """What is known of one container without asking again."""

    __slots__ = ("_stamp", "_state", "alive", "interface", "monitor", "pid", "resources", "text")

    def __init__(self) -> None:
        self.text = ""
        self.resources = Resources()
        self.interface = ""
        self.pid = self.monitor = 0
        self.alive = False
        self._stamp = -1
        self._state = status.Seen()

    def look(self, paths: Paths, id: str) -> bool:
        """Whether it runs. Of one that does, its cgroup says so; else its state is read when it was written anew."""
        return self.alive or self.learn(paths, id)

    def learn(self, paths: Paths, id: str) -> bool:
        """Look at its state; whether it runs."""
        try:
            stamp = os.stat(f"{paths.run_container(id)}/state.json").st_mtime_ns
        except OSError:  # it was never started here, or the run directory is gone
            stamp = 0
        if stamp != self._stamp:
            self._stamp = stamp
            self._state = status.read_state(paths, id)
            now = status.status_of(self._state)
            self.alive, self.interface = now.state.is_alive, now.interface
            self.pid, self.monitor = now.pid, now.monitor_pid
        return self.alive

    def forget(self) -> None:
        """Ask again how it is."""
        self.alive, self._stamp = False, -1

    def is_attended(self, paths: Paths, id: str) -> bool:
        """Whether one without processes runs still: it has a monitor, which does not say that it has ended."""
        if not self.learn(paths, id):
            return False
        self._state.lives = None
        return status.monitor_lives(self._state)


def processes(context: Context, container: Container) -> list[ProcessInfo]:
    """Its processes, those of exec sessions too."""
    from pyctr_engine.host import processes as host_processes

    if context.cgroups.mode == "none":
        now = container.status
        return host_processes.processes(bare.pids(now.pid, now.monitor_pid)) if now.pid else []
    existing = context.cgroups.existing(context.cgroup_parent, container.id)
    inside = [path for path in existing if "/containers/" in path]
    return host_processes.processes(control.pids(inside[0])) if inside else []
