"""Take the README's pictures from a real session: ``python -m screenshots.take``.

The example stacks are brought up in directories of this script's own, the program is opened in a real terminal
(tmux) and driven by keys; what the terminal shows is written as SVG and PNG. Takes two minutes, mostly waiting for
graphs to have a past.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from rich.ansi import AnsiDecoder
from rich.console import Console
from tests import leaks
from tests.conftest import end_spawner
from tests.e2e.tmux import Tmux

from pyctr_engine.engine import Engine
from pyctr_engine.model.spec import ContainerRequest, ExecRequest, Resources
from pyctr_engine.paths import Paths
from pyctr_tui.screenshot import svg

HERE = Path(__file__).parent
STACKS = ("hello", "limits", "shop")
PORTS = {"HELLO_PORT": 8080, "SHOP_PORT": 8081}
"""Variables of the stacks' published ports, and what they are unless that is taken."""
PAST = 110.0
"""Seconds that the graphs get to fill."""
TOOLS = {"tmux": "tmux", "rsvg-convert": "librsvg2-bin", "pngquant": "pngquant"}
"""Programs, and the Debian packages that have them."""
SETTLED = 0.7
"""Seconds after which the screen is as the last key left it."""


def main() -> int:
    """Take all pictures."""
    parser = argparse.ArgumentParser(prog="python -m screenshots.take", description=main.__doc__)
    parser.add_argument("--past", type=float, default=PAST, help="seconds that the graphs get to fill")
    parser.add_argument("--into", type=Path, default=HERE, help="where the pictures go")
    asked = parser.parse_args()
    if os.geteuid():
        sys.exit("pictures are taken of real containers, which needs root")
    if missing := [package for tool, package in TOOLS.items() if not shutil.which(tool)]:
        sys.exit(f"programs are missing: apt-get install {' '.join(missing)}")
    with session() as (paths, engine), contextlib.closing(Tmux(paths, 120, 36)) as terminal:
        Pictures(terminal, asked.into).take_all(engine, asked.past)
    return 0


@contextlib.contextmanager
def session() -> Iterator[tuple[Paths, Engine]]:
    """The example stacks, running; all is taken away afterwards, whatever happens."""
    with contextlib.ExitStack() as undo:
        state = undo.enter_context(tempfile.TemporaryDirectory(prefix="pyctr-pictures-"))
        paths = Paths(f"{state}/state", f"{state}/run")
        undo.callback(leaks.settled, paths, leaks.held(paths))  # who still ends would write into what is removed
        undo.callback(end_spawner, paths)
        engine = Engine(paths)
        undo.callback(engine.close)
        for variable, port in PORTS.items():
            os.environ[variable] = str(_free_port(port))
        shutil.copytree(HERE.parent / "stacks", f"{state}/stacks")
        for name in STACKS:
            undo.callback(engine.down, name, volumes=True)
            engine.up(engine.load_stack(f"{state}/stacks/{name}.yaml"))
        yield paths, engine


def _free_port(wanted: int) -> int:
    """This port of the loopback interface, or another when it is taken."""
    with socket.socket() as held:
        try:
            held.bind(("127.0.0.1", wanted))
        except OSError:
            held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


class Pictures:
    """One terminal, and the pictures that are taken of it."""

    def __init__(self, terminal: Tmux, folder: Path) -> None:
        self.terminal = terminal
        self.folder = folder

    def take_all(self, engine: Engine, past: float) -> None:
        """Open the program, let the graphs fill, and go through its views."""
        self.terminal.type("exec env TERM=tmux-256color COLORTERM=truecolor pyctr-tui\n")
        self.terminal.wait_for("limits", "breath-1")
        change_something(engine)
        self.go_to("limits-breath-1")
        time.sleep(past)
        self.take("home", 120, 36)
        self.keys("1:")
        self.terminal.type("hello")
        self.take("palette", 120, 36)
        self.keys("Escape")
        self.go_to("shop")
        self.keys("5")
        self.terminal.wait_for("following", "counter-1", "customer-1")
        self.take("logs", 120, 36)
        self.go_to("hello-worker-1")
        self.keys("6")
        self.terminal.wait_for("/data/result-10", "hello-worker-1 · C commits")
        self.take("diff", 120, 36)
        self.keys("C")
        self.terminal.wait_for("Commit hello-worker-1", "become one new layer")
        self.take("commit", 120, 36)
        self.keys("Enter")
        self.terminal.wait_gone("Commit hello-worker-1")
        self.keys("2")
        self.keys("g")
        self.terminal.wait_for("worker:new")
        self.take("layers", 120, 36)
        self.go_to("limits-breath-1")
        self.keys("4")
        self.keys("1")
        self.take("home", 200, 60)
        self.take("home", 80, 24)
        self.terminal.resize(120, 36)
        self.take_limits()
        self.take_graphs()
        self.take_pages()
        self.take_why(engine)
        self.take_terminal()

    def take_limits(self) -> None:
        """Limits that are moved by keys while the graphs show what becomes of it."""
        self.keys("M")
        self.terminal.wait_for("Limits of")
        self.terminal.press("C-Up")
        time.sleep(SETTLED)
        self.take("limits", 120, 36)
        self.keys("Escape")

    def take_why(self, engine: Engine) -> None:
        """What is told of one that was killed for its memory."""
        with killed(engine) as name:
            self.go_to(name)
            self.keys("4z")
            self.terminal.wait_for("out of memory", "its last lines")
            self.take("why", 120, 36)
            self.keys("z1")

    def take_graphs(self) -> None:
        """A cursor in the past of one container, and three containers as lines."""
        self.keys("4z")
        self.terminal.press(*["Left"] * 12)
        self.take("graphs-cursor", 120, 36)
        self.keys("Escape")
        self.keys("z1")
        self.keys("h")  # the stack's row
        self.terminal.press("Right")
        self.keys("4Oz")
        self.take("graphs-lines", 120, 36)
        self.keys("zO1")

    def take_pages(self) -> None:
        """Stacks with their plan, a volume's files, the layer explorer, and what the system pages show."""
        self.keys("S")
        self.terminal.wait_for("Plan of")
        self.keys("G")
        self.take("stacks", 120, 36)
        self.keys("e")
        self.terminal.wait_for("Ctrl+S")
        self.take("editor", 120, 36)
        self.keys("Escape")
        self.keys("V")
        self.terminal.wait_for("Volumes")
        self.take("volumes", 120, 36)
        self.go_to("hello-worker-1")
        self.keys("f")
        self.terminal.wait_for("srv/")
        self.keys("x")
        for _ in range(2):
            self.keys("G")
            self.terminal.press("Right")
        self.take("explorer", 120, 36)
        self.keys("1")
        for key, name, text in (("v", "events", "Events"), ("P", "disk", "CAN GO"), ("H", "doctor", "seccomp")):
            self.keys(key)
            self.terminal.wait_for(text)
            self.take(name, 120, 36)
        self.go_to("hello-worker-1")
        self.keys("F")
        self.terminal.wait_for("namespaces", "USUAL")
        self.take("trace", 120, 36)
        self.keys("1")

    def take_terminal(self) -> None:
        """A program that takes the whole pane."""
        self.go_to("hello-worker-1")
        self.keys("e")
        self.terminal.wait_for("every key is its own")
        self.terminal.type("clear; ls -l --color=always /; du -sh /data; python3 --version\n")
        self.take("term", 120, 36)
        self.terminal.press("C-]", "o")

    def keys(self, key: str) -> None:
        """Press a key, by tmux's name if it has one, and let the screen settle."""
        self.terminal.press(*([key] if key in ("Escape", "Enter", "Tab") else list(key)))
        time.sleep(SETTLED)  # a key that follows Esc at once would be Alt and that key

    def go_to(self, name: str) -> None:
        """Select a container or a stack by the palette."""
        self.keys("1:")
        self.terminal.type(name)
        time.sleep(SETTLED)
        self.keys("Enter")

    def take(self, name: str, columns: int, rows: int) -> None:
        """Write what the terminal shows at this size."""
        self.terminal.resize(columns, rows)
        time.sleep(3 * SETTLED)
        console = Console(width=columns, color_system="truecolor", legacy_windows=False)
        decoder = AnsiDecoder()
        captured = self.terminal.screen(colours=True).split("\n")[:-1]
        lines = [list(decoder.decode_line(line).render(console, end="")) for line in captured]
        path = self.folder / f"{name}-{columns}x{rows}"
        path.with_suffix(".svg").write_text(svg(lines, columns, "pyctr-tui"))
        subprocess.run(["rsvg-convert", "-o", f"{path}.png", f"{path}.svg"], check=True)
        subprocess.run(
            ["pngquant", "--force", "--strip", "--output", f"{path}.png", "256", f"{path}.png"], check=True
        )
        print(f"{path}.svg and .png", flush=True)


@contextlib.contextmanager
def killed(engine: Engine) -> Iterator[str]:
    """The name of a container that was killed for its memory."""
    program = "echo reading the catalogue; head -c 3000000 /dev/zero > /catalogue; sleep 3; tail /dev/zero; exit $?"
    request = ContainerRequest(
        "pyctr/base", command=("sh", "-c", program), name="catalogue", resources=Resources(memory=32 << 20)
    )
    made = engine.start(engine.create(request).id)
    try:
        engine.wait(made.id)
        yield made.name
    finally:  # else its network stays behind
        engine.remove(made.id, force=True)


def change_something(engine: Engine) -> None:
    """Let one container differ from its image, so that there is something to see and to commit."""
    script = "mkdir -p /srv/site && head -c 300000 /dev/urandom > /srv/site/data.bin && echo new >> /etc/motd"
    script += " && rm /etc/profile"
    worker = next(container for container in engine.containers() if container.service == "worker")
    engine.exec(worker.id, ExecRequest(("sh", "-c", script))).wait()


if __name__ == "__main__":
    sys.exit(main())
