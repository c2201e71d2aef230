"""A real reboot, and who comes back after it."""

from __future__ import annotations

import pytest

from tests.guest.conftest import states
from tests.guest.machine import Machine

pytestmark = pytest.mark.root


def test_a_reboot_brings_back_what_its_policy_says(machine: Machine) -> None:
    start = ("pyctr-tui", "run", "-d", "--stop-timeout", "2")
    body = "trap 'echo told to stop; exit 0' TERM; echo started; while :; do sleep 0.2; done"
    machine.run(*start, "--name", "always", "--restart", "always", "-p", "8080:80", "pyctr/base", "sh", "-c", body)
    machine.run(*start, "--name", "unless", "--restart", "unless-stopped", "pyctr/base", "sh", "-c", body)
    machine.run(*start, "--name", "stopped", "--restart", "unless-stopped", "pyctr/base", "sh", "-c", body)
    machine.run(*start, "--name", "never", "pyctr/base", "sh", "-c", body)
    machine.run("pyctr-tui", "stop", "stopped")
    machine.run("pyctr-tui", "service", "install")

    machine.reboot()

    machine.run("sh", "-c", "while [ $(systemctl is-active pyctr-tui.service) = activating ]; do sleep 1; done")
    machine.run("sh", "-c", "systemctl is-active pyctr-tui.service || { journalctl -b -u pyctr-tui; exit 1; }")
    assert states(machine) == {"always": "running", "unless": "running", "stopped": "exited", "never": "exited"}
    # systemd ends every process of the scope by itself, what the shell waits for as well: it says so ("Terminated").
    said = [line for line in machine.run("pyctr-tui", "logs", "always").out.splitlines() if line != "Terminated"]
    assert said == ["started", "told to stop", "started"]  # it was asked to stop, and had the time to
    where = machine.run("sh", "-c", "cat /proc/$(pyctr-tui inspect --format '{{.State.Pid}}' always)/cgroup").out
    assert where.startswith("0::/system.slice/pyctr-tui.scope/containers/")
    machine.run("systemctl", "restart", "pyctr-tui.service")  # harms nobody
    assert states(machine)["always"] == "running"
    assert machine.run("pyctr-tui", "system", "check").code == 0
