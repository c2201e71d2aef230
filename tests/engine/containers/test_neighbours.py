"""One that takes all it can get, beside one that serves: that goes on, and so does the host."""

from __future__ import annotations

import subprocess
from dataclasses import replace

import pytest

from pyctr_engine.model.stats import Stats
from pyctr_engine.model.status import Container, State
from tests import hogs
from tests.engine.containers.conftest import Bench
from tests.engine.containers.test_lifecycle import until
from tests.patience import PATIENCE

pytestmark = pytest.mark.root

ASKED = 50
SLOW = 1000.0
"""Milliseconds: half of the answers must take less. Undisturbed they take a few; a starved server takes seconds."""


def address(bench: Bench, container: Container) -> str:
    return str(bench.engine.inspect(container.id)["NetworkSettings"]["IPAddress"])


def is_at_it(name: str, before: Stats, now: Stats) -> bool:
    """Whether a hog has come to its limit."""
    if name == "fork bomb":
        return now.pids == now.pids_limit
    if name == "memory hog":
        return (now.oom_kills or 0) > 0
    if name == "io hog":
        return (now.write_bytes or 0) > 8 * hogs.MIB
    return (now.throttled_periods or 0) - (before.throttled_periods or 0) > 3


@pytest.mark.parametrize("name", ["fork bomb", "memory hog", "io hog", "cpu hog"])
def test_a_neighbour_goes_on_to_serve(bench: Bench, name: str) -> None:
    if name not in hogs.hogs():
        pytest.skip("this machine has no disk")
    server = bench.start_when("ready", "python3", "-c", hogs.SERVER)
    where = address(bench, server)
    hogs.ask(where)
    hog = hogs.hogs()[name]
    resources = replace(hog.resources, cpus=0.1) if name == "cpu hog" else hog.resources  # even on a busy machine
    greedy = bench.start("python3", "-c", hog.script, resources=resources)
    first = bench.engine.stats(greedy.id)
    until(lambda: is_at_it(name, first, bench.engine.stats(greedy.id)), 30)
    before = bench.engine.stats(greedy.id)
    took = sorted(hogs.ask(where) for _ in range(ASKED))
    after = bench.engine.stats(greedy.id)
    assert took[ASKED // 2] < SLOW * PATIENCE, f"milliseconds of the {ASKED} answers: {took}"
    _within_limits(name, before, after)
    # the host, the engine and the neighbour's own tools
    assert subprocess.run(["true"], check=False).returncode == 0
    assert bench.exec(server, "true").code == 0
    assert {container.state for container in bench.engine.containers()} == {State.RUNNING}
    assert bench.run("echo", "still there").out == "still there\n"
    assert bench.engine.stats(server.id).oom_kills in (0, None)
    bench.engine.stop(greedy.id, timeout=0)
    assert bench.engine.container(greedy.id).state is State.EXITED
    hogs.ask(where)


def _within_limits(name: str, before: Stats, after: Stats) -> None:
    seconds = after.time - before.time
    assert (after.pids or 0) <= (after.pids_limit or 0)
    assert (after.memory or 0) <= (after.memory_limit or 0)
    if seconds > 1:  # a quota holds for each period of 0.1 s, and one may be half over
        assert (after.cpu_usec - before.cpu_usec) / 1e6 <= 0.5 * (seconds + 0.3) * 1.2
    if name == "io hog":
        written = (after.write_bytes or 0) - (before.write_bytes or 0)
        assert written <= hogs.WRITE_BPS * (seconds + 1.0) * 1.2
