"""Take the README's pictures from a real session: ``python -m screenshots.take``.

The example stacks are brought up in directories of this script's own, the program is opened in a real terminal
(tmux) and driven by keys; what the terminal shows is written as SVG and PNG. Takes two minutes, mostly waiting for
graphs to have a past.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from rich.ansi import AnsiDecoder
from rich.console import Console
from tests.conftest import end_spawner
from tests.e2e.tmux import Tmux

from pyctr_engine.engine import Engine
from pyctr_engine.model.spec import ExecRequest
from pyctr_engine.paths import Paths
from pyctr_tui.screenshot import svg

HERE = Path(__file__).parent
STACKS = ("hello", "limits", "shop")
PAST = 100.0
"""Seconds that the graphs get to fill."""


def main() -> int:
    """Take all pictures."""
    if not shutil.which("rsvg-convert"):
        sys.exit("rsvg-convert is missing: apt-get install librsvg2-bin")
    with session() as (paths, engine):
        terminal = Tmux(paths, 120, 36)
        try:
            take_all(terminal, engine)
        finally:
            terminal.close()
    return 0


@contextlib.contextmanager
def session() -> Iterator[tuple[Paths, Engine]]:
    """The example stacks, running; all is taken away afterwards."""
    with tempfile.TemporaryDirectory(prefix="pyctr-pictures-") as state:
        run = tempfile.mkdtemp(prefix="pp-", dir="/run")
        paths = Paths(f"{state}/state", run)
        engine = Engine(paths)
        try:
            for name in STACKS:
                engine.up(engine.load_stack(str(HERE.parent / "stacks" / f"{name}.yaml")))
            yield paths, engine
        finally:
            for name in STACKS:
                engine.down(name, volumes=True)
            engine.close()
            end_spawner(paths)
            shutil.rmtree(run, ignore_errors=True)


def take_all(terminal: Tmux, engine: Engine) -> None:
    """Open the program, let the graphs fill, and go through its views."""
    terminal.type("exec env TERM=tmux-256color COLORTERM=truecolor pyctr-tui\n")
    terminal.wait_for("hello")
    change_something(engine)
    select(terminal, "breath")
    time.sleep(PAST)
    take(terminal, "home-120x36")
    terminal.type("5")
    time.sleep(2)
    take(terminal, "logs-120x36")
    select(terminal, "worker")
    terminal.type("6")
    time.sleep(2)
    take(terminal, "diff-120x36")
    terminal.type("C")
    time.sleep(2)
    take(terminal, "commit-120x36")
    terminal.press("Escape")
    time.sleep(1)
    terminal.type("4?")
    time.sleep(1)
    take(terminal, "help-120x36")
    terminal.press("Escape")
    select(terminal, "breath")
    terminal.resize(200, 60)
    time.sleep(4)
    take(terminal, "home-200x60")
    terminal.resize(80, 24)
    time.sleep(3)
    take(terminal, "home-80x24")


def change_something(engine: Engine) -> None:
    """Let one container differ from its image, so that there is something to see and to commit."""
    script = "mkdir -p /srv/site && head -c 300000 /dev/urandom > /srv/site/data.bin && echo new >> /etc/motd"
    script += " && rm /etc/profile"
    worker = next(container for container in engine.containers() if container.service == "worker")
    engine.exec(worker.id, ExecRequest(("sh", "-c", script))).wait()


def select(terminal: Tmux, name: str) -> None:
    """Go to a container's row by the palette."""
    terminal.type("1:")
    time.sleep(0.7)
    terminal.type(name)
    time.sleep(0.7)
    terminal.press("Enter")
    time.sleep(1.5)


def take(terminal: Tmux, name: str) -> None:
    """Write what the terminal shows."""
    console = Console(width=400, color_system="truecolor", legacy_windows=False)
    decoder = AnsiDecoder()
    captured = terminal.screen(colours=True).split("\n")[:-1]
    lines = [list(decoder.decode_line(line).render(console, end="")) for line in captured]
    width = int(name.rpartition("-")[2].partition("x")[0])
    (HERE / f"{name}.svg").write_text(svg(lines, width, "pyctr-tui"))
    subprocess.run(["rsvg-convert", "-o", str(HERE / f"{name}.png"), str(HERE / f"{name}.svg")], check=True)
    print(f"screenshots/{name}.svg and .png", flush=True)


if __name__ == "__main__":
    if os.geteuid():
        sys.exit("pictures are taken of real containers, which needs root")
    sys.exit(main())
