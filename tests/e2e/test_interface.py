"""The terminal interface in a real terminal: keys in, screen out."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import Cli
from tests.e2e.tmux import Tmux

pytestmark = pytest.mark.root

BASE = "pyctr/base"
WRITER = "echo hello > /greeting; while true; do echo tick; sleep 0.2; done"


def test_a_commit_by_keypress_becomes_an_image_that_runs(terminal: Callable[..., Tmux], cli: Cli) -> None:
    cli("run", "-d", "--name", "writer", BASE, "sh", "-c", WRITER)
    tmux = terminal()
    tmux.run("pyctr-tui")
    tmux.wait_for("Containers", "writer", "pyctr/base")
    tmux.press("C")
    tmux.wait_for("/greeting")
    tmux.press("C-u")
    tmux.type("kept:1")
    tmux.press("Enter")
    tmux.wait_for("Images · 2", "Layers of kept:1")
    tmux.press("q")
    tmux.wait_for_prompt()
    assert cli("run", "--rm", "kept:1", "cat", "/greeting").stdout == "hello\n"
    assert cli.rows("ps")[0]["State"] == "running"


def test_what_another_terminal_does_appears_by_itself(terminal: Callable[..., Tmux], cli: Cli) -> None:
    tmux = terminal(80, 24)
    tmux.run("pyctr-tui")
    tmux.wait_for("Containers")
    cli("run", "-d", "--name", "newcomer", BASE, "sleep", "1000")
    tmux.wait_for("newcomer")
    cli("rm", "-f", "newcomer")
    tmux.wait_gone("newcomer")


def test_killing_the_interface_harms_no_container(terminal: Callable[..., Tmux], cli: Cli) -> None:
    cli("run", "-d", "--name", "writer", BASE, "sh", "-c", WRITER)
    tmux = terminal(200, 60)
    tmux.run("pyctr-tui")
    tmux.wait_for("writer", "Containers")
    os.kill(tmux.process(), signal.SIGKILL)
    tmux.wait_gone("Containers")
    tmux.type("stty -a | head -c 20; echo sane\n")
    tmux.wait_for("sane")
    assert cli("exec", "writer", "cat", "/greeting").stdout == "hello\n"
    tmux.run("pyctr-tui")
    tmux.wait_for("writer", "Containers")


def test_up_opens_the_interface_on_the_stack(terminal: Callable[..., Tmux], cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "duo.yaml"
    file.write_text(
        "name: duo\nservices:\n"
        f"  a: {{image: {BASE}, command: sleep 1000, stop_grace_period: 0s}}\n"
        f"  b: {{image: {BASE}, command: sleep 1000, stop_grace_period: 0s}}\n"
    )
    tmux = terminal()
    tmux.run("pyctr-tui", "up", str(file))
    tmux.wait_for("Containers", "duo", "2/2")
    tmux.press("q")
    tmux.wait_for_prompt()
    assert len(cli.rows("ps", "--stack", "duo")) == 2
    cli("down", "duo")


def test_the_terminal_is_left_as_it_was(terminal: Callable[..., Tmux], cli: Cli) -> None:
    tmux = terminal()
    tmux.type("echo before\n")
    tmux.wait_for("\nbefore")
    tmux.run("pyctr-tui")
    tmux.wait_for("Containers")
    tmux.press("q")
    assert "\nbefore" in tmux.wait_for_prompt()
