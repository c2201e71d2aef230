"""The installed program without any container: help, version, mistakes."""

from __future__ import annotations

from collections.abc import Callable

from tests.e2e.conftest import Cli
from tests.e2e.tmux import Tmux


def test_version(cli: Cli) -> None:
    assert cli("--version").stdout.startswith("pyctr-tui 0.")


def test_help_in_a_terminal(terminal: Callable[..., Tmux]) -> None:
    tmux = terminal(100, 90)
    tmux.run("pyctr-tui", "--help")
    tmux.wait_for("Usage: pyctr-tui", "stack config", "--version")


def test_mistakes_end_with_docker_s_code(cli: Cli) -> None:
    done = cli("run", "--nmae", "x", "img", code=125)
    assert "did you mean --name?" in done.stderr
    assert done.stdout == ""


def test_without_a_terminal_there_is_no_interface(cli: Cli) -> None:
    assert "needs a terminal" in cli(code=1).stderr
