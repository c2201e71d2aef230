"""What people do most, on real containers: keys in, screen out, and what came of it."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import Cli
from tests.e2e.tmux import Tmux

pytestmark = pytest.mark.root

BASE = "pyctr/base"
STACK = """
name: shop
services:
  web:
    image: pyctr/base
    command: sh -c 'echo web is up; exec sleep 1000'
    stop_grace_period: 0s
    volumes: ["data:/data"]
  db:
    image: pyctr/base
    command: sh -c 'echo db is up; exec sleep 1000'
    stop_grace_period: 0s
volumes:
  data:
"""


@pytest.fixture
def opened(terminal: Callable[..., Tmux], cli: Cli) -> Callable[..., Tmux]:
    """Opens the interface on a container “box” that prints, writes and waits."""

    def open_it(columns: int = 120, rows: int = 36) -> Tmux:
        program = "seq -f 'line %g' 1 300; echo ERROR: out of cheese; echo kept > /notes; exec sleep 1000"
        cli("run", "-d", "--stop-timeout", "1", "--name", "box", BASE, "sh", "-c", program)
        tmux = terminal(columns, rows)
        tmux.run("pyctr-tui")
        tmux.wait_for("Containers", "box")
        return tmux

    return open_it


def state(cli: Cli, name: str = "box") -> object:
    """The container's state as `ps` tells it."""
    return next((row["State"] for row in cli.rows("ps", "-a") if row["Names"] == name), None)


def test_logs_are_read_and_searched(opened: Callable[..., Tmux]) -> None:
    tmux = opened()
    tmux.press("l")
    tmux.wait_for("line 300", "out of cheese")
    tmux.type("/line 4")
    tmux.press("Enter")
    tmux.wait_for("line 49")
    tmux.press("n")
    tmux.wait_for("line 48")
    tmux.press("G")
    tmux.wait_for("out of cheese")
    tmux.type("|")
    tmux.wait_for("Give the log of box to", "less")
    tmux.press("C-u")
    tmux.type("grep -c line\n")
    tmux.wait_for("300", "Enter goes back")
    tmux.press("Enter")
    tmux.wait_for("Containers", "grep -c line ended")


def test_it_is_stopped_started_and_restarted(opened: Callable[..., Tmux], cli: Cli) -> None:
    tmux = opened()
    tmux.press("s")
    tmux.wait_for("exit 137", patience=30)
    assert state(cli) == "exited"
    tmux.press("s")
    tmux.wait_gone("exit 137")
    assert state(cli) == "running"
    before = cli("inspect", "-f", "{{.State.StartedAt}}", "box").stdout
    tmux.press("r")
    tmux.wait_for("restarted", patience=30)
    assert state(cli) == "running"
    assert cli("inspect", "-f", "{{.State.StartedAt}}", "box").stdout != before


def test_it_is_paused_killed_and_removed(opened: Callable[..., Tmux], cli: Cli) -> None:
    tmux = opened()
    tmux.press("p")
    tmux.wait_for("paused")
    assert state(cli) == "paused"
    tmux.press("p")
    tmux.wait_gone("paused")
    tmux.press("K")
    tmux.wait_for("Kill box?", "$ pyctr-tui kill box")
    tmux.press("y")
    tmux.wait_for("exit 137")
    tmux.press("d")
    tmux.wait_for("Remove box?")
    tmux.press("n")
    tmux.wait_gone("Remove box?")
    assert state(cli) == "exited"
    tmux.press("d")
    tmux.wait_for("Remove box?")
    tmux.press("y")
    tmux.wait_for("no containers yet")
    assert state(cli) is None


def test_it_is_found_by_a_filter(opened: Callable[..., Tmux], cli: Cli) -> None:
    tmux = opened()
    for name in ("other", "third"):
        cli("run", "-d", "--name", name, "--label", f"of={name}", BASE, "sleep", "1000")
        tmux.wait_for(name)
    cli("stop", "-t", "0", "third")
    tmux.type("/state:exited")
    tmux.press("Enter")
    tmux.wait_until(lambda screen: "third" in screen and "other" not in screen and "● box" not in screen)
    tmux.press("Escape")
    tmux.wait_for("other", "third", "● box")
    tmux.type("/label:of=other")
    tmux.wait_until(lambda screen: "other" in screen and "third" not in screen)


def test_what_it_is_and_changed_and_runs_is_looked_at(opened: Callable[..., Tmux]) -> None:
    tmux = opened()
    tmux.press("x")
    tmux.wait_for("+ /notes")
    tmux.press("i")
    tmux.wait_for("State", "Running")
    tmux.press("8")
    tmux.wait_for("PID", "sleep 1000")
    tmux.press("4")
    tmux.wait_for("cpu", "memory")
    tmux.press("L")
    tmux.wait_for("Layers of box", "not committed")


def test_an_image_is_run_by_a_form_and_removed(terminal: Callable[..., Tmux], cli: Cli) -> None:
    cli("create", "--name", "seed", BASE)
    cli("commit", "seed", "mine:1")
    cli("rm", "seed")
    tmux = terminal()
    tmux.run("pyctr-tui")
    tmux.wait_for("Images · 2", "mine:1")
    tmux.press("2")
    tmux.type("/mine")
    tmux.press("Enter")
    tmux.wait_for("1 shown")
    tmux.press("r")
    tmux.wait_for("Run a new container")
    tmux.press("Tab")
    tmux.type("by-form")
    tmux.press("Tab")
    tmux.type("sleep 1000")
    tmux.wait_for("$ pyctr-tui run -d --name by-form mine:1 sleep 1000")
    tmux.press("Enter")
    tmux.wait_for("● by-form")
    assert state(cli, "by-form") == "running"
    cli("rm", "-f", "by-form")
    tmux.press("2", "d")
    tmux.wait_for("Remove", "mine:1", "rmi")
    tmux.press("y")
    tmux.wait_for("Images · 1")
    assert "mine" not in cli("images").stdout


def test_limits_are_changed_while_it_runs(opened: Callable[..., Tmux], cli: Cli) -> None:
    tmux = opened()
    tmux.press("M")
    tmux.wait_for("Limits of box", "memory")
    tmux.press("C-u")
    tmux.type("64m")
    tmux.wait_for("$ pyctr-tui update -m 64m box")
    tmux.press("Enter")
    tmux.wait_gone("Limits of box")
    limit = str(64 << 20)
    tmux.wait_until(lambda _: cli("inspect", "-f", "{{.HostConfig.Memory}}", "box").stdout.strip() == limit, limit)


def test_a_stack_is_brought_up_from_its_file_and_taken_down(
    terminal: Callable[..., Tmux], cli: Cli, tmp_path: Path
) -> None:
    file = tmp_path / "stack.yaml"
    file.write_text(STACK)
    tmux = terminal()
    tmux.run("pyctr-tui")
    tmux.wait_for("no containers yet")
    tmux.press("S")
    tmux.wait_for("no stacks yet")
    tmux.press("N")
    tmux.press("C-u")
    tmux.type(str(file))
    tmux.press("Enter")
    tmux.wait_for("2/2", "as the file says", patience=30)
    file.write_text(STACK.replace("db is up", "db is new"))
    tmux.wait_for("1 change", "recreate", "shop-db-1")
    tmux.press("u")
    tmux.wait_for("Bring up shop?")
    tmux.press("y")
    tmux.wait_for("as the file says", patience=30)
    assert "db is new" in cli("logs", "shop-db-1").stdout
    tmux.press("D")
    tmux.wait_for("Take down stack shop?", "shop_data", "$ pyctr-tui down -p shop")
    tmux.press("y")
    tmux.wait_for("no stacks yet", patience=30)
    assert not cli.rows("ps", "-a")
    assert "shop_data" in cli("volume", "ls").stdout
    cli("volume", "rm", "shop_data")


def test_a_stack_is_edited_and_applied(terminal: Callable[..., Tmux], cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "stack.yaml"
    file.write_text(STACK)
    cli("up", "-d", "-p", "store", str(file))
    tmux = terminal()
    tmux.run("env", "EDITOR=sed -i s/db.is/db.was/", "pyctr-tui")
    tmux.wait_for("store", "web")
    tmux.press("Y")
    tmux.wait_for("Plan of store", "nothing to do")
    os.kill(tmux.process(), signal.SIGTSTP)
    tmux.wait_for_prompt()
    tmux.run("fg")
    tmux.wait_for("Plan of store", "services:", "echo web is up")
    tmux.press("C-End")
    tmux.type("nonsense: 1")
    tmux.wait_for("line 15, column 1", "attribute nonsense")
    tmux.press("F5")
    tmux.wait_for("mend the error first")
    tmux.press(*["BSpace"] * 11)
    tmux.wait_for("nothing to do")
    tmux.press("F4")
    tmux.wait_for("db.was up", "1 change", "recreate", "store-db-1")
    tmux.press("F5")
    tmux.wait_for("Apply store?", "loses the files it changed", f"up -p store {file}"[:40])
    tmux.press("y")
    tmux.wait_for("store is up", patience=30)
    tmux.wait_until(lambda _: "db.was up" in cli("logs", "store-db-1").stdout, "what it prints")
    assert not [row for row in cli.rows("ps", "-a") if str(row["Names"]).startswith("shop")]
    cli("down", "-v", "-p", "store")
    assert not cli.rows("volume", "ls")


def test_layers_are_looked_into(opened: Callable[..., Tmux], cli: Cli) -> None:
    tmux = opened()
    tmux.press("f")
    tmux.wait_for("box, now", "Layers of box", "efficient")
    tmux.press("m")
    tmux.wait_for("What box changed", "notes")
    tmux.press("Enter")
    tmux.wait_for("kept", "line 1–1 of 1")
    tmux.press("Escape", "b")
    tmux.wait_for("Versions of /notes", "now", "added")
    tmux.press("Escape")
    cli("exec", "box", "sh", "-c", "head -c 4000 /dev/zero > /grown")
    tmux.wait_for("grown", "+3.9K")
    tmux.press("Tab", "j")
    tmux.wait_for("Layer 1 of box")
    tmux.press("e")
    tmux.wait_for("pyctr/base@1: Ctrl+] d leaves")
    tmux.type("ls /notes; echo in $((40 + 2))\n")
    tmux.wait_for("No such file", "in 42")
    tmux.type("exit\n")
    tmux.wait_for("the shell in pyctr/base@1 ended", "Layer 1 of box")
    assert [row["Names"] for row in cli.rows("ps", "-a")] == ["box"]


def test_files_of_a_volume_are_looked_at(terminal: Callable[..., Tmux], cli: Cli) -> None:
    cli("run", "--rm", "-v", "data:/data", BASE, "sh", "-c", "mkdir /data/in; echo deep down > /data/in/file")
    tmux = terminal()
    tmux.run("pyctr-tui")
    tmux.wait_for("Containers")
    tmux.press("V")
    tmux.wait_for("in/", "data:/")
    tmux.press("Tab", "Enter")
    tmux.wait_for("data:/in", "file")
    tmux.press("Enter")
    tmux.wait_for("deep down")
    tmux.press("Escape", "Escape", "1", "V", "d")
    tmux.wait_for("Remove", "volume rm data")
    tmux.press("y")
    tmux.wait_for("no volumes yet")
    assert not cli.rows("volume", "ls")


def test_what_is_not_used_is_pruned(terminal: Callable[..., Tmux], cli: Cli) -> None:
    cli("run", "--name", "done", BASE, "sh", "-c", "head -c 3000000 /dev/zero > /big")
    tmux = terminal(140, 40)
    tmux.run("pyctr-tui")
    tmux.wait_for("done", "exit 0")
    tmux.press("P")
    tmux.wait_for("done", "2.9M")
    tmux.press("Tab", "Space")
    tmux.wait_for("[✓] containers", "2.9 MiB")
    tmux.press("P")
    tmux.wait_for("$ pyctr-tui")
    tmux.press("y")
    tmux.wait_until(lambda _: state(cli, "done") is None, "the container to go")


def test_it_says_why_one_died(opened: Callable[..., Tmux], cli: Cli) -> None:
    tmux = opened()
    program = "echo loading everything; head -c 500000 /dev/zero > /loaded; sleep 2; tail /dev/zero; exit $?"
    cli("run", "-d", "--name", "hog", "--memory", "32m", BASE, "sh", "-c", program)
    tmux.wait_for("OOM 137", patience=40)
    tmux.type("/hog")
    tmux.press("Enter", "4", "z")
    tmux.wait_for(
        "hog",
        "out of memory",
        "tail /dev/zero",
        "/loaded",
        "its last lines",
        "loading everything",
        "5 its last words",
        "before it ended, to",
    )
    assert re.search(r"B  sh -c echo loading.*\n.*B    (sleep 2|tail)", tmux.screen())
    tmux.press("z", "7")
    tmux.wait_for("OOMKilled")
    tmux.press("5")
    tmux.wait_for("loading everything", "killed by the kernel: out of memory (32 MiB)")


def test_it_says_why_one_dies_again_and_again(terminal: Callable[..., Tmux], cli: Cli) -> None:
    cli("run", "-d", "--name", "loop", "--restart", "always", BASE, "sh", "-c", "echo no config; exit 3")
    tmux = terminal()
    tmux.run("pyctr-tui")
    tmux.wait_for("Containers", "loop")
    tmux.press("4")
    tmux.wait_for("its last lines", "no config", "code 3", "s stops it", patience=60)
    tmux.press("s")
    tmux.wait_for("s starts it", patience=30)
    assert state(cli, "loop") == "exited"
