"""What containers use: cgroup readings with their network figures, and their processes."""

from __future__ import annotations

import contextlib
import json

from pyctr_engine.cgroups import control
from pyctr_engine.cgroups import stats as readings
from pyctr_engine.containers import status
from pyctr_engine.containers.context import Context
from pyctr_engine.errors import Conflict, NotFound
from pyctr_engine.model.host import ProcessInfo
from pyctr_engine.model.spec import Resources
from pyctr_engine.model.stats import Stats
from pyctr_engine.model.status import Container
from pyctr_engine.record import replace

_COUNTERS = ("rx_bytes", "tx_bytes", "rx_packets", "tx_packets")


def stats(context: Context, container: Container) -> Stats:
    """One reading. Raises Conflict when it does not run."""
    if not container.state.is_alive:
        raise Conflict(f"container {container.name} is not running", f"start it: `pyctr-tui start {container.name}`")
    return _read(context, container.id, container.status.interface, container.spec.request.resources)


def all_stats(context: Context) -> dict[str, Stats]:
    """One reading of each running container, by id."""
    query = "SELECT id, json_extract(spec, '$.request.resources') FROM containers"
    with context.lock:
        rows = context.database.connection.execute(query).fetchall()
    found = {}
    for id, resources in rows:
        now = status.status_of(status.read_state(context.paths, id))
        if now.state.is_alive:
            # one that ended since then has no cgroup any more
            with contextlib.suppress(NotFound):
                found[id] = _read(context, id, now.interface, Resources(**json.loads(resources)))
    return found


def processes(context: Context, container: Container) -> list[ProcessInfo]:
    """Its processes, those of exec sessions too."""
    from pyctr_engine.host import processes as host_processes

    existing = context.cgroups.existing(context.cgroup_parent, container.id)
    inside = [path for path in existing if "/containers/" in path]
    return host_processes.processes(control.pids(inside[0])) if inside else []


def _read(context: Context, id: str, interface: str, resources: Resources) -> Stats:
    reading = readings.read(context.cgroups, context.cgroup_parent, id, resources)
    if not interface:
        return reading
    # what the host's end receives, the container has sent
    tx_bytes, rx_bytes, tx_packets, rx_packets = (_counter(interface, name) for name in _COUNTERS)
    return replace(reading, rx_bytes=rx_bytes, tx_bytes=tx_bytes, rx_packets=rx_packets, tx_packets=tx_packets)


def _counter(interface: str, name: str) -> int:
    try:
        with open(f"/sys/class/net/{interface}/statistics/{name}", "rb") as file:
            return int(file.read())
    except OSError:
        return 0
