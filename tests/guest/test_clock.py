"""A clock that is set back: nothing of containers' lives goes by it."""

from __future__ import annotations

import json

import pytest

from tests.guest.conftest import states
from tests.guest.machine import Machine

pytestmark = pytest.mark.root


def inspect(machine: Machine, name: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(machine.run("pyctr-tui", "inspect", name).out)[0]
    return found


def test_a_clock_that_is_set_back_changes_nothing(machine: Machine) -> None:
    crashing = "n=$(cat /n 2>/dev/null || echo 0); echo $((n + 1)) > /n; [ $n -ge 3 ] && exec sleep 1000; exit 1"
    run = ("pyctr-tui", "run", "-d", "--stop-timeout", "1")
    healthy = ("--health-cmd", "true", "--health-interval", "1s", "--health-retries", "2")
    machine.run(*run, "--name", "healthy", *healthy, "pyctr/base", "sleep", "1000")
    machine.run("sh", "-c", "until pyctr-tui ps | grep -q '(healthy)'; do sleep 1; done")
    try:
        machine.run("date", "-s", "-2 days")
        # Restarts go on, with the pauses of their policy, and health checks too.
        machine.run(*run, "--name", "crashing", "--restart", "always", "pyctr/base", "sh", "-c", crashing)
        counted = "$(pyctr-tui inspect --format '{{.RestartCount}}' crashing)"
        machine.run("sh", "-c", f"until [ {counted} = 3 ]; do sleep 1; done")
        machine.run("pyctr-tui", "exec", "healthy", "true")
        machine.run("sh", "-c", "sleep 8")
        state = inspect(machine, "healthy")["State"]
        assert isinstance(state, dict)
        assert state["Status"] == "running"
        assert state["Health"]["Status"] == "healthy"
        # What is looked back on is in the order in which it was.
        events = machine.run("sh", "-c", "cat /var/lib/pyctr-tui/events/*").out.splitlines()
        starts = [found["name"] for found in map(json.loads, events) if found["action"] == "start"]
        assert starts.index("healthy") < starts.index("crashing")
        machine.run("pyctr-tui", "stop", "healthy", "crashing")
        assert states(machine) == {"healthy": "exited", "crashing": "exited"}
        assert machine.run("pyctr-tui", "system", "check").code == 0
    finally:
        machine.run("date", "-s", "2 days")
