"""What is measured, a function each; `MEASURES` names them for ``--only``."""

from __future__ import annotations

import contextlib
import json
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.bench import lives, neighbours, readings, rootless, screen
from tests.bench.commits import commit, diff
from tests.bench.figures import Figure, ratio
from tests.bench.place import IMAGE, Place

IDLE = 0.1
"""Seconds of doing nothing before a reading that is called "after idle"."""

_RCU = (
    "After some idle time the kernel waits 6–15 ms for a grace period (RCU) when a process is moved into a cgroup, "
    "and that is most of the difference; where a process can be cloned into its cgroup (v2) it falls away."
)


@dataclass(frozen=True)
class Effort:
    """How often things are done."""

    rounds: int
    idle_rounds: int
    calls: int
    containers: int
    screens: int
    commits: int
    many: int
    pipe_bytes: int


FULL = Effort(rounds=60, idle_rounds=20, calls=20, containers=50, screens=7, commits=5, many=500, pipe_bytes=1 << 30)
QUICK = Effort(rounds=15, idle_rounds=6, calls=6, containers=50, screens=2, commits=2, many=100, pipe_bytes=1 << 28)


def start(place: Place, effort: Effort) -> Iterator[Figure]:
    """The floor and ``run --rm``, in turns, so that what disturbs one disturbs the other."""
    hot: dict[str, list[float]] = defaultdict(list)
    idle: dict[str, list[float]] = defaultdict(list)
    turns = 5
    with place.floor() as floor:
        floor.measure(3, 0.0)
        for _ in range(3):
            place.run()
        for _ in range(turns):
            hot["floor"] += floor.measure(-(-effort.rounds // turns), 0.0)
            hot["run"] += [place.run() for _ in range(-(-effort.rounds // turns))]
        for _ in range(effort.idle_rounds):
            idle["floor"] += floor.measure(1, IDLE)
            time.sleep(IDLE)
            idle["run"].append(place.run())
    bare, bare_idle = (Figure(f"floor, {how}", tuple(of["floor"])) for how, of in _how(hot, idle))
    run, run_idle = (Figure(f"run --rm by API, {how}", tuple(of["run"])) for how, of in _how(hot, idle))
    yield from (bare, bare_idle, run, ratio("  to the floor", run, bare, 2.5))
    yield from (run_idle, ratio("  to the floor, after idle", run_idle, bare_idle, note=_RCU))


def _how(*of: dict[str, list[float]]) -> Iterator[tuple[str, dict[str, list[float]]]]:
    yield from zip(("back to back", "after 0.1 s idle"), of, strict=True)


def steps(place: Place, effort: Effort) -> Iterator[Figure]:
    """Where a start's time goes: the monitor's own trace, steps of one name added up."""
    taken: dict[str, list[float]] = defaultdict(list)
    for number in range(effort.calls):
        id = place.start(f"step-{number}")
        sums: dict[str, float] = defaultdict(float)
        for name, begin, end in _trace(f"{place.paths.container(id)}/start-trace.json"):
            sums[name] += end - begin
        for name, duration in sums.items():
            taken[name].append(duration)
        place.engine.remove(id, force=True)
    for name, durations in taken.items():
        if statistics.median(durations) >= 0.1:
            yield Figure(f"  step: {name}", tuple(durations))


def _trace(path: str) -> list[tuple[str, float, float]]:
    """Steps with their begin and end, milliseconds; the monitor writes them a moment after it has answered."""
    for _ in range(1000):
        with contextlib.suppress(FileNotFoundError, ValueError), open(path) as file:
            return [(name, begin, end) for name, begin, end in json.load(file)]
        time.sleep(0.001)
    raise FileNotFoundError(path)


def cli(place: Place, effort: Effort) -> Iterator[Figure]:
    """``pyctr-tui run --rm`` as a whole process, with and without a spawner already there."""
    words = ("run", "--rm", IMAGE, "true")
    place.cli(*words)
    yield Figure("(the bare interpreter)", tuple(place.interpreter() for _ in range(effort.calls)))
    warm = tuple(place.cli(*words) for _ in range(effort.calls))
    yield Figure("run --rm by CLI, spawner there", warm, target=130)
    cold = []
    for _ in range(effort.calls):
        place.end_spawner()
        cold.append(place.cli(*words))
    yield Figure("run --rm by CLI, no spawner", tuple(cold), target=130)


def exec(place: Place, effort: Effort) -> Iterator[Figure]:
    """``exec CONTAINER true``."""
    id = place.start("exec")
    for _ in range(3):
        place.exec(id)
    yield Figure("exec by API, back to back", tuple(place.exec(id) for _ in range(effort.rounds)), target=10)
    idle = []
    for _ in range(effort.idle_rounds):
        time.sleep(IDLE)
        idle.append(place.exec(id))
    yield Figure("exec by API, after 0.1 s idle", tuple(idle), note=_RCU)
    place.engine.remove(id, force=True)


def crowd(place: Place, effort: Effort) -> Iterator[Figure]:
    """Many containers, each started by a call of its own: the monitors' memory, ``ps``, the interface."""
    many = effort.containers
    started = [
        place.cli("run", "-d", "--name", f"bench-{number}", IMAGE, "sleep", "100000") for number in range(many)
    ]
    yield Figure(f"run -d by CLI, up to {many} running", tuple(started))
    monitors = [container.status.monitor_pid for container in place.engine.containers()]
    yield Figure(f"memory per monitor of {many} (PSS)", tuple(map(lives.pss, monitors)), "MB", 1.5)
    yield Figure(f"ps by CLI, {many} running", tuple(place.cli("ps") for _ in range(effort.calls)), target=100)
    painted = []
    for _ in range(effort.screens):
        try:
            painted.append(screen.first_paint(place.program, place.environment, b"bench-") / 1000)
        except TimeoutError as error:
            yield Figure("TUI, first paint", (float("inf"),), "s", 0.8, str(error))
            return
    yield Figure(f"TUI, first paint with {many} running", tuple(painted), "s", 0.8)
    place.remove_all()


Measure = Callable[[Place, Effort], Iterator[Figure]]

MEASURES: dict[str, Measure] = {
    "start": start,
    "steps": steps,
    "cli": cli,
    "exec": exec,
    "crowd": crowd,
    "commit": commit,
    "diff": diff,
    "exec_cli": lives.exec_cli,
    "pipe": lives.pipe,
    "flood": lives.flood,
    "events": lives.events,
    "restarts": lives.restarts,
    "many": lives.many,
    "readings": readings.readings,
    "neighbours": neighbours.neighbours,
    "rootless": rootless.rootless,
}
