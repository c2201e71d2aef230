"""Figures of containers' lives: many at once, what is recorded of them, logs in floods, pipes, events, restarts."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pyctr_engine.model.spec import ContainerRequest, RestartPolicy
from tests import leaks
from tests.bench.figures import Figure, ratio
from tests.bench.place import IMAGE, Place

if TYPE_CHECKING:
    from tests.bench.measures import Effort

_TICK = os.sysconf("SC_CLK_TCK")
_LINES = 50_000
"""Lines a second of a flood."""
_FLOOD = (
    "import sys, time\n"
    "line = b'2026-11-28 12:00:00 INFO request handled in 12 ms by a worker of the pool\\n' * 500\n"
    "began = time.monotonic()\n"
    f"for number in range({_LINES} // 500 * 4):\n"
    "    sys.stdout.buffer.write(line); sys.stdout.flush()\n"
    f"    time.sleep(max(0, began + (number + 1) * 500 / {_LINES} - time.monotonic()))\n"
)


def many(place: Place, effort: Effort) -> Iterator[Figure]:
    """Hundreds, each started by a call of its own."""
    count = effort.many
    began = time.perf_counter()
    for number in range(count):
        place.cli("run", "-d", "--name", f"many-{number}", IMAGE, "sleep", "100000")
    took = time.perf_counter() - began
    yield Figure(f"start of {count}, one CLI call after the other, each", (took * 1000 / count,))
    monitors = [container.status.monitor_pid for container in place.engine.containers()]
    yield Figure(f"memory per monitor of {count} (PSS)", tuple(map(pss, monitors)), "MB", 1.2)
    yield Figure(f"ps by CLI, {count} running", tuple(place.cli("ps") for _ in range(effort.calls)), target=150)
    recorder = next(pid for pid in leaks.processes(place.paths) if _name(pid) == "pyctr-recorder")
    before = cpu_seconds(recorder)
    time.sleep(10)
    share = (cpu_seconds(recorder) - before) / 10 * 100
    yield Figure(f"recording {count}: share of a core", (share,), "%", 2.0 * max(1.0, count / 100))
    names = [f"many-{number}" for number in range(count)]
    yield Figure(f"stop all {count} by one CLI call", (place.cli("stop", "-t", "0", *names) / 1000,), "s", 10.0)
    yield Figure(f"rm all {count} by one CLI call", (place.cli("rm", *names) / 1000,), "s")


def flood(place: Place, effort: Effort) -> Iterator[Figure]:
    """A container that writes 50,000 lines a second for four seconds."""
    request = ContainerRequest(IMAGE, command=("python3", "-c", _FLOOD), name="flood")
    began = time.perf_counter()
    place.engine.start(place.engine.create(request).id)
    monitor = place.engine.container("flood").status.monitor_pid
    spent = 0.0
    while place.engine.container("flood").state.is_alive:
        with contextlib.suppress(OSError):
            spent = cpu_seconds(monitor)
        time.sleep(0.05)
    took = time.perf_counter() - began
    yield Figure(f"log of {_LINES} lines/s: share of a core", (spent / took * 100,), "%", 20)
    yield Figure("  and how long its 4 s took", (took,), "s", 5.0)
    reading = [_timed(lambda: sum(1 for _ in place.engine.logs("flood"))) for _ in range(effort.screens)]
    yield Figure("  reading those 200,000 lines back", tuple(reading))
    tail = [_timed(lambda: list(place.engine.logs("flood", tail=100))) for _ in range(effort.calls)]
    yield Figure("  the last 100 of them", tuple(tail))
    place.engine.remove("flood", force=True)


def pipe(place: Place, effort: Effort) -> Iterator[Figure]:
    """A gigabyte through ``exec -i CONTAINER cat``, beside ``cat | cat``."""
    id = place.start("pipe")
    size = effort.pipe_bytes
    plain, through = [], []
    for _ in range(3):
        plain.append(_pump("cat", size, place))
        through.append(_pump(f"{place.program} exec -i {id} cat", size, place))
    bare = Figure(f"{size >> 20} MiB through cat | cat", tuple(plain))
    yield bare
    ours = Figure(f"{size >> 20} MiB through exec -i … cat", tuple(through))
    yield ours
    yield ratio("  to the plain pipe", ours, bare, 3.0)
    place.engine.remove(id, force=True)


def _pump(command: str, size: int, place: Place) -> float:
    script = f"head -c {size} /dev/zero | {command} | cat > /dev/null"
    began = time.perf_counter()
    subprocess.run(["sh", "-c", script], env=place.environment, check=True)
    return (time.perf_counter() - began) * 1000


def exec_cli(place: Place, effort: Effort) -> Iterator[Figure]:
    """``exec CONTAINER true`` as a whole process."""
    id = place.start("exec-cli")
    place.cli("exec", id, "true")
    yield Figure("exec by CLI", tuple(place.cli("exec", id, "true") for _ in range(effort.calls)), target=120)
    place.engine.remove(id, force=True)


def events(place: Place, effort: Effort) -> Iterator[Figure]:
    """From an event that another process appends to the viewer that has it."""
    arrived: list[float] = []
    following = place.engine.events(follow=True)

    def follow() -> None:
        for event in following:
            arrived.append(time.time() - event.time)
            if len(arrived) >= effort.calls:
                return

    viewer = threading.Thread(target=follow, daemon=True)
    viewer.start()
    time.sleep(0.3)
    for number in range(effort.calls):
        place.cli("create", "--name", f"event-{number}", IMAGE)
    viewer.join(5)
    yield Figure("an event, until another process sees it", tuple(value * 1000 for value in arrived), target=50)
    for number in range(effort.calls):
        place.engine.remove(f"event-{number}")


def restarts(place: Place, effort: Effort) -> Iterator[Figure]:
    """A restart by the monitor, and what a container costs that crashes for ever."""
    request = ContainerRequest(IMAGE, command=("false",), name="loop", restart=RestartPolicy("always"))
    place.engine.start(place.engine.create(request).id)
    took: list[float] = []
    while len(took) < 5:
        status = place.engine.container("loop").status
        if status.restart_count > len(took):
            took.append(status.start_ms)
        time.sleep(0.02)
    yield Figure("restart in the same namespaces", tuple(took))
    monitor = place.engine.container("loop").status.monitor_pid
    before, began = cpu_seconds(monitor), time.perf_counter()
    time.sleep(20)
    share = (cpu_seconds(monitor) - before) / (time.perf_counter() - began) * 100
    yield Figure("crash loop, after its first seconds: share of a core", (share,), "%", 1.0)
    place.engine.remove("loop", force=True)


def pss(pid: int) -> float:
    """A process's share of memory in MB (2**20 bytes). Source: proc_pid_smaps(5)."""
    with open(f"/proc/{pid}/smaps_rollup") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Pss:")) / 1024


def cpu_seconds(pid: int) -> float:
    """What a process has used, with the children that it waited for. Source: proc_pid_stat(5)."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return sum(int(fields[at]) for at in (11, 12, 13, 14)) / _TICK


def _timed(work: object) -> float:
    began = time.perf_counter()
    assert callable(work)
    work()
    return (time.perf_counter() - began) * 1000


def _name(pid: int) -> str:
    with contextlib.suppress(OSError), open(f"/proc/{pid}/comm") as file:
        return file.read().strip()
    return ""
