"""Logs in a real terminal: very long ones, those of a stack, and what happened meanwhile."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.e2e.conftest import Cli
from tests.e2e.tmux import Tmux

pytestmark = pytest.mark.root

BASE = "pyctr/base"
MILLIONS = 10
MOST_GROWN = 24 << 20
"""Bytes the interface may grow by while it looks through a log of half a gigabyte."""
STACK = """
name: shop
services:
  web:
    image: pyctr/base
    command: sh -c 'i=0; while sleep 0.2; do i=$$((i+1)); echo "INFO web $$i"; done'
    stop_grace_period: 0s
  db:
    image: pyctr/base
    command: sh -c 'i=0; while sleep 0.3; do i=$$((i+1)); echo "WARN db $$i"; done'
    stop_grace_period: 0s
"""


def pane(screen: str) -> list[str]:
    """The lines of the pane of logs, which is at the right."""
    return [found.group(1).strip() for line in screen.splitlines() if (found := re.search(r"│([^│]*)│$", line))]


def test_ten_million_lines_are_searched_and_filtered(terminal: Callable[..., Tmux], cli: Cli) -> None:
    program = f"seq {MILLIONS}000000; exec sleep 1000"
    cli("run", "-d", "--stop-timeout", "0", "--log-opt", "max-size=2g", "--name", "long", BASE, "sh", "-c", program)
    tmux = terminal(120, 36)
    tmux.run("pyctr-tui")
    tmux.wait_for("Containers", "long")
    tmux.press("l")
    tmux.wait_for(f"{MILLIONS}000000 ", patience=120)
    interface = psutil.Process(tmux.process())
    before = interface.memory_info().rss
    tmux.type("/1234567\n")  # nine tenths of the way back
    tmux.wait_for(" 1234567 ", " 1234570 ", "staying", patience=60)
    tmux.press("n")
    tmux.wait_for("no further line with “1234567”", patience=60)
    tmux.press("Escape")
    tmux.wait_gone("1234567”")
    tmux.type("&^[0-9]*77777$\n")
    tmux.wait_until(lambda screen: sum(line.endswith("77777") for line in pane(screen)) > 20, "the filter", 60)
    tmux.press("g")
    first = [f"{number or ''}77777" for number in range(30)]
    tmux.wait_until(lambda screen: [line.split()[-1] for line in pane(screen)[:30] if line] == first, "the first", 60)
    tmux.wait_gone("looking")
    tmux.press("Escape")
    tmux.wait_for(" 3077777 ", " 3077778 ")  # around the last line that was in sight
    tmux.press("g")
    tmux.wait_until(lambda screen: pane(screen)[0].endswith(" 1"), "the beginning")
    tmux.press("G")
    tmux.wait_for(f"{MILLIONS}000000 ", "following")
    assert interface.memory_info().rss - before < MOST_GROWN
    tmux.press("q")
    tmux.wait_for_prompt()
    assert not [
        one for one in psutil.process_iter(["cmdline"]) if "logs.matcher" in " ".join(one.info["cmdline"] or ())
    ]


def test_a_stack_s_logs_are_followed_as_one_and_filtered_by_level(
    terminal: Callable[..., Tmux], cli: Cli, tmp_path: Path
) -> None:
    path = tmp_path / "shop.yaml"
    path.write_text(STACK)
    cli("up", "-d", str(path))
    tmux = terminal(120, 36)
    tmux.run("pyctr-tui")
    tmux.wait_for("Containers", "web-1")
    tmux.press("g", "5")
    tmux.wait_for("shop · 2 containers", "web-1 INFO web 9", "db-1  WARN db 6")
    tmux.type("&level:warn\n")
    tmux.wait_until(lambda screen: "INFO web" not in screen and "WARN db 7" in screen, "warnings only")
    tmux.press("f")
    tmux.wait_for("staying")
    tmux.type("b")
    tmux.wait_for("── ◆ marked ·")
    cli("kill", "shop-db-1")
    tmux.press("Escape", "G")
    tmux.wait_for("── ✖ shop-db-1 ended with exit code 137")
    tmux.type("[")
    tmux.wait_for("── ✖ shop-db-1 ended", " at ")
    tmux.type("[")
    tmux.wait_for("── ◆ marked ·", " at ")
    tmux.press("C-s", "C-u")
    tmux.type(f"{tmp_path}/both\n")
    tmux.wait_for("of shop")
    tmux.press("q")
    tmux.wait_for_prompt()
    saved = (tmp_path / "both").read_text().splitlines()
    assert {"web-1 | INFO web 1", "db-1  | WARN db 1"} <= set(saved)
    webs = [line for line in saved if line.startswith("web")]
    assert webs == [f"web-1 | INFO web {number}" for number in range(1, len(webs) + 1)]
    cli("down", str(path))
