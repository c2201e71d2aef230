"""Settings on a real terminal: the file, the editor, own commands, the mouse in copy mode."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from pyctr_engine.paths import Paths
from tests.e2e.conftest import Cli
from tests.e2e.tmux import Tmux

pytestmark = pytest.mark.root

FILE = """\
sort: colour
commands:
  container:
    - {name: host, command: "echo on host {name}; read x; echo got $x", shows: terminal}
    - {name: inside, command: "echo first; cat /etc/hostname; ls /", runs: container, shows: pager}
    - {name: short, command: "echo a; echo b 2>&1", runs: container}
"""


def test_settings_commands_and_copy_mode(cli: Cli, paths: Paths) -> None:
    folder = Path(paths.state) / ".config/pyctr-tui"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tui.yaml").write_text(FILE)
    cli("run", "-d", "--name", "set-web", "pyctr/base", "sleep", "600")
    terminal = Tmux(paths, 120, 30)
    try:
        terminal.type("EDITOR='sed -i s/colour/cpu/' pyctr-tui\n")
        terminal.wait_for("set-web", "tui.yaml:1:7: sort is one of")
        terminal.press("c")
        terminal.wait_for("For set-web")
        terminal.press("1")
        terminal.wait_for("on host set-web")
        terminal.type("hello\n")
        terminal.wait_for("got hello", "Enter goes back")
        terminal.press("Enter")
        terminal.wait_for("1 Containers", "host ended")
        terminal.press("c")
        terminal.wait_for("For set-web")
        terminal.press("2")
        terminal.wait_for("inside · set-web", "first", "proc")
        terminal.press("Escape")
        terminal.wait_gone("inside · set-web")
        terminal.press("c")
        terminal.wait_for("For set-web")
        terminal.press("3")
        terminal.wait_for("short: b")
        terminal.press(",")
        terminal.wait_for("1 wrong in the file")
        terminal.press("e")
        terminal.wait_for("the settings were read again")
        assert "sort: cpu" in (folder / "tui.yaml").read_text()
        terminal.press("Space")
        terminal.wait_for("theme: paper")
        assert _mouse(terminal) == "1"
        terminal.press("C-y")
        terminal.wait_for("Esc goes back")
        terminal.wait_until(lambda _: _mouse(terminal) == "0", "the mouse to be the terminal's")
        terminal.press("Escape")
        terminal.wait_until(lambda _: _mouse(terminal) == "1", "the mouse to be ours")
        terminal.press("q")
        shown = terminal.wait_for("1 container goes on")
        assert "got hello" in shown  # what was printed on the main screen is not written over
        state = Path(paths.state) / ".local/state/pyctr-tui/tui-state.json"
        assert json.loads(state.read_text()) == {"theme": "paper"}
    finally:
        terminal.close()
        cli("rm", "-f", "set-web")
        for path in (folder / "tui.yaml", Path(paths.state) / ".local/state/pyctr-tui/tui-state.json"):
            if path.exists():
                os.unlink(path)


def test_the_mouse_can_be_left_to_the_terminal(cli: Cli, paths: Paths) -> None:
    folder = Path(paths.state) / ".config/pyctr-tui"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tui.yaml").write_text("mouse: false\nascii: true\ntheme: nord\n")
    terminal = Tmux(paths, 120, 30)
    try:
        terminal.type("pyctr-tui\n")
        assert terminal.wait_for("Containers").isascii()
        assert _mouse(terminal) == "0"
        terminal.press(",")
        terminal.wait_for("SETTING")
        terminal.press("j", "j", "Space")
        terminal.wait_until(lambda _: _mouse(terminal) == "1", "the mouse to be ours")
        terminal.press("q")
        terminal.wait_until(lambda _: _mouse(terminal) == "0", "the mouse to be given back")
    finally:
        terminal.close()
        (folder / "tui.yaml").unlink()
        state = Path(paths.state) / ".local/state/pyctr-tui/tui-state.json"
        if state.exists():
            state.unlink()


def _mouse(terminal: Tmux) -> str:
    return terminal._tmux("display-message", "-p", "#{mouse_any_flag}").strip()
