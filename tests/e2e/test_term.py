"""Terminals in the interface, on real containers."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import Cli
from tests.e2e.tmux import Tmux

pytestmark = pytest.mark.root

BASE = "pyctr/base"


@pytest.fixture
def tmux(terminal: Callable[..., Tmux], cli: Cli) -> Tmux:
    """The interface, open, with the container “box” selected."""
    cli("run", "-d", "--name", "box", "-v", f"{shutil.which('busybox')}:/bin/busybox:ro", BASE, "sleep", "1000")
    tmux = terminal()
    tmux.run("pyctr-tui")
    tmux.wait_for("Containers", "box")
    return tmux


def sessions(cli: Cli) -> list[dict[str, object]]:
    """What runs in the box beside its own program."""
    found: list[dict[str, object]] = json.loads(cli("exec", "--list", "--format", "json", "box").stdout)
    return found


def test_a_session_survives_the_interface_and_comes_back_with_its_screen(tmux: Tmux, cli: Cli) -> None:
    tmux.press("e")
    tmux.wait_for("1 shell", "every key is its own")
    tmux.type("x=kept; i=0; while [ $i -lt 60 ]; do i=$((i+1)); echo line-$i; done\n")
    tmux.wait_for("line-60")
    os.kill(tmux.process(), signal.SIGKILL)
    tmux.wait_gone("Containers")
    tmux.press("Enter")  # the shell may have prompted before the guardian left the interface's screen
    tmux.wait_for_prompt()
    (session,) = sessions(cli)
    assert session["Status"] == "running"
    tmux.run("pyctr-tui")
    tmux.wait_for("Containers", "box")
    tmux.press("9")
    tmux.wait_for("line-60", "1 shell")
    tmux.type("echo still-$x\n")
    tmux.wait_for("still-kept")
    tmux.press("C-]", "d")
    tmux.wait_for("it runs on")
    tmux.press("q")
    tmux.wait_for_prompt()
    assert sessions(cli)[0]["Viewers"] == 0


def test_full_screen_programs_have_their_keys_and_their_screen(tmux: Tmux) -> None:
    tmux.press("e")
    tmux.wait_for("1 shell", "every key is its own")
    tmux.type("seq 1 300 > /f; busybox vi /f\n")
    tmux.wait_for("/f 1/300")
    tmux.type("G")
    tmux.wait_for("/f 300/300")
    tmux.type("ohello")
    tmux.press("Escape")
    tmux.wait_for("- /f [Modified]")
    tmux.type(":wq\n")
    tmux.wait_for("# ")
    tmux.type("clear; tail -1 /f\n")
    tmux.wait_for("hello")
    tmux.type("less /f\n")
    tmux.wait_gone("hello")
    tmux.type("G")
    tmux.wait_for("hello")
    tmux.type("q")
    tmux.type('clear; old=$(stty size); while [ "$old" = "$(stty size)" ]; do sleep 0.1; done; echo re\'\'sized\n')
    tmux.resize(100, 30)
    tmux.wait_for("resized")
    tmux.type("exit\n")
    tmux.wait_for("Enter opens another")


def test_full_screen_and_the_pane_are_the_same_session(tmux: Tmux, cli: Cli) -> None:
    tmux.press("E")
    tmux.wait_for("Ctrl+] d leaves")
    tmux.type("x=same; echo in-$x\n")
    tmux.wait_for("in-same")
    tmux.press("C-]", "d")
    tmux.wait_for("runs on", "Containers")
    tmux.press("e")
    tmux.wait_for("in-same", "1 shell")
    tmux.press("C-]", "E")
    tmux.wait_gone("Containers")
    tmux.type("echo again-$x\n")
    tmux.wait_for("again-same")
    cli("kill", "box")
    tmux.wait_for("Containers", "exit code 137")


def test_the_terminal_comes_back_when_the_monitor_is_killed(tmux: Tmux, cli: Cli) -> None:
    tmux.press("E")
    tmux.wait_for("Ctrl+] d leaves")
    (session,) = sessions(cli)
    with open(f"/proc/{session['Pid']}/status") as file:
        monitor = next(int(line.split()[1]) for line in file if line.startswith("PPid:"))
    os.kill(monitor, signal.SIGKILL)
    tmux.wait_for("Containers", "its monitor has gone")


def test_a_flood_is_left_with_a_key(tmux: Tmux) -> None:
    tmux.press("e")
    tmux.wait_for("1 shell", "every key is its own")
    tmux.type("yes\n")
    tmux.wait_for("y ")
    tmux.press("C-]", "o")
    tmux.press("4")
    tmux.wait_for("logs")
    tmux.press("9")
    tmux.press("C-c")
    tmux.wait_for("^C")
    tmux.type("echo do''ne\n")
    tmux.wait_for("done")


def test_the_recorded_tour_is_played_and_left(terminal: Callable[..., Tmux]) -> None:
    tour = Path(__file__).parents[2] / "screenshots" / "tour.cast"
    tmux = terminal(124, 40)
    tmux.run("pyctr-tui", "replay", str(tour))
    tmux.wait_for("Containers", "plays", "Space pauses")
    tmux.press("Space")
    tmux.wait_for("paused")
    tmux.press("C-z")
    tmux.wait_for_prompt()
    tmux.run("fg")
    tmux.wait_for("paused", "Space goes on")
    tmux.press("End")
    tmux.wait_for("over")
    tmux.press("Escape")
    tmux.wait_gone("Space goes on")
    tmux.wait_for_prompt()
