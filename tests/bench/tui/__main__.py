"""``python -m tests.bench.tui``: key to paint, bytes, processor time, first paint, memory; with the floor beside."""

from __future__ import annotations

import argparse
import asyncio
import compileall
import contextlib
import os
import random
import statistics
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator

import pyctr_engine
import pyctr_tui
import tests
from tests.bench.figures import Figure, table
from tests.bench.tui.explorer import explorer
from tests.bench.tui.floods import floods
from tests.bench.tui.logs import logs
from tests.bench.tui.terminal import Terminal

SELECTED = "48;2;28;58;69"
"""The background of the selected row in the night theme."""
SLOW_LINE = 12_500.0
"""Bytes a second."""


def main() -> None:
    """Measure and print; ends with 0 whatever the figures are."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.tui", description=main.__doc__)
    parser.add_argument("--quick", action="store_true", help="few repetitions: a glance, not a measurement")
    parser.add_argument("--only", action="append", choices=MEASURES, metavar="NAME", help=" ".join(MEASURES))
    asked = parser.parse_args()
    for package in (pyctr_engine, pyctr_tui, tests):  # PYTHONDONTWRITEBYTECODE may be set
        compileall.compile_dir(str(package.__path__[0]), quiet=2)
    found: list[Figure] = []
    for name in asked.only or MEASURES:
        try:
            for figure in MEASURES[name](asked.quick):
                found.append(figure)
                if sys.stderr.isatty():
                    print(f"  {'  '.join(figure.cells())}", file=sys.stderr, flush=True)
        except Exception:  # noqa: BLE001 - one measure that can't be taken must not take the others along
            print(f"\n{name} could not be measured:\n{traceback.format_exc()}", flush=True)
    print(f"\n{table(found)}")
    missed = [figure for figure in found if figure.verdict.startswith("MISSED")]
    load = " ".join(f"{number:.2f}" for number in os.getloadavg())
    print(f"\n{len(missed)} of {sum(f.target is not None for f in found)} targets missed. Load now: {load}.")


@contextlib.contextmanager
def opened(
    case: str,
    copies: int,
    rate: float = 0,
    columns: int = 120,
    rows: int = 36,
    speed: float = 0,
    answers: bool = True,
) -> Iterator[Terminal]:
    """The interface on the made-up engine; ready when its first row is there."""
    argv = (sys.executable, "-m", "tests.bench.tui.program", case, str(copies), str(rate))
    terminal = Terminal(argv, speed=speed, answers=answers)
    try:
        terminal.wait(lambda: "fetch-1" in terminal.text() and "MEM" in terminal.text())
        yield terminal
    finally:
        terminal.close()


# -- the floor ------------------------------------------------------------------------------------------------------


def floor(quick: bool) -> Iterator[Figure]:
    """What cannot be beaten on this machine: the interpreter, Textual's import, an echo through a pty."""
    rounds = 3 if quick else 7
    yield Figure("the bare interpreter", _run(rounds, "pass"))
    yield Figure("and Textual imported", _run(rounds, "import textual.app"))
    terminal = Terminal(("/bin/cat",), 80, 24)
    try:
        samples = []
        for number in range(20 if quick else 100):
            text = chr(ord("a") + number % 26)
            before = terminal.received
            pressed = terminal.press(text)
            samples.append((terminal.wait(lambda before=before: terminal.received > before) - pressed) * 1000)  # type: ignore[misc]
            time.sleep(0.01)
        yield Figure("echo of a key by the kernel", tuple(samples))
    finally:
        terminal.close()


def _run(rounds: int, code: str) -> tuple[float, ...]:
    samples = []
    for _ in range(rounds):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        samples.append((time.perf_counter() - began) * 1000)
    return tuple(samples)


# -- first paint ----------------------------------------------------------------------------------------------------


def start(quick: bool) -> Iterator[Figure]:
    """From exec to the first row, and to a key's answer, with 100 containers."""
    painted, answered = [], []
    for _ in range(3 if quick else 7):
        with opened("still", 89) as terminal:
            painted.append((terminal._painted - terminal.began) * 1000)
            terminal.wait(lambda: terminal.selected(SELECTED) > 0)
            first = terminal.selected(SELECTED)
            terminal.press("j")
            moved = terminal.wait(lambda first=first: terminal.selected(SELECTED) not in (first, -1))  # type: ignore[misc]
            answered.append((moved - terminal.began) * 1000)
    yield Figure("first rows, 100 containers, cold", tuple(painted))
    yield Figure("interactive: a key answered", tuple(answered), target=500)


# -- keys -----------------------------------------------------------------------------------------------------------


def keys(quick: bool) -> Iterator[Figure]:
    """A key to its paint: quiet, and with 200 containers and a flood of log lines behind."""
    number = 60 if quick else 300
    for name, rate, pane in (("quiet", 0.0, ""), ("50,000 log lines/s shown", 50_000.0, "51")):
        with opened("all", 189, rate) as terminal:
            terminal.press(pane)
            time.sleep(2.0)
            samples = list(moves(terminal, number))
        ordered = sorted(samples)
        yield Figure(f"key to paint, 200 containers, {name}", tuple(samples))
        yield Figure(f"  its 99th percentile, {name}", (ordered[int(len(ordered) * 0.99)],), target=50)


def moves(terminal: Terminal, number: int) -> Iterator[float]:
    """Milliseconds from j or k to the selection's move."""
    chance = random.Random(1)
    for at in range(number):
        before = terminal.selected(SELECTED)
        pressed = terminal.press("j" if at % 20 < 10 else "k")
        shown = terminal.wait(lambda before=before: terminal.selected(SELECTED) not in (before, -1))  # type: ignore[misc]
        yield (shown - pressed) * 1000
        time.sleep(chance.uniform(0.02, 0.12))


def escape(quick: bool) -> Iterator[Figure]:
    """A lone Esc closes the help."""
    samples = []
    with opened("still", 89) as terminal:
        for _ in range(10 if quick else 40):
            terminal.press("?")
            terminal.wait(lambda: "Keys in" in terminal.text())
            time.sleep(0.4)
            pressed = terminal.press("\x1b")
            samples.append((terminal.wait(lambda: "Keys in" not in terminal.text()) - pressed) * 1000)
            time.sleep(0.1)
    yield Figure("a lone Esc", tuple(samples), target=50)


def slow(quick: bool) -> Iterator[Figure]:
    """A key on a line of 12.5 KB/s behind a buffer of 64 KB, while all figures change."""
    for name, answers in (("", True), (", a terminal that never answers", False)):
        with opened("all", 89, speed=SLOW_LINE, answers=answers) as terminal:
            time.sleep(6.0)
            samples = tuple(moves(terminal, 10 if quick else 30))
        yield Figure(f"key on a 12.5 KB/s line{name}", samples, target=500 if answers else None)


# -- bytes and processor time ---------------------------------------------------------------------------------------


def traffic(quick: bool) -> Iterator[Figure]:
    """Bytes a second, and processor time, by what changes and what is shown."""
    seconds = 6.0 if quick else 20.0
    cases = (
        ("nothing visible changes", "still", "7", 0.2, None),
        ("nothing visible changes, under a dialog", "still", "7:", 0.2, None),
        ("10% of 100 rows change", "tenth", "7", 3.0, None),
        ("all of 100 rows change", "all", "7", None, None),
        ("all change, graphs open", "all", "", None, 3.0),
    )
    for name, case, pane, bytes_target, cpu_target in cases:
        with opened(case, 89) as terminal:
            terminal.press(pane if pane.endswith(":") else pane + "1")
            time.sleep(4.0)
            received, used, began = terminal.received, terminal.cpu(), time.perf_counter()
            time.sleep(seconds)
            passed = time.perf_counter() - began
            rate = (terminal.received - received) / passed / 1000
            share = (terminal.cpu() - used) / passed * 100
            yield Figure(f"bytes/s, {name}", (rate,), "KB/s", bytes_target)
            yield Figure(f"processor, {name}", (share,), "%", cpu_target)
            resident = terminal.memory() / (1 << 20)
    yield Figure("resident memory, 100 containers", (resident,), "MiB")


# -- memory ---------------------------------------------------------------------------------------------------------


def memory(quick: bool) -> Iterator[Figure]:
    """Growth over many cycles of start, stop and resize, in this process."""
    cycles = 1000 if quick else 10_000
    growth = asyncio.run(_cycles(cycles))
    yield Figure(f"memory grown over {cycles:,} start/stop/resize cycles", (growth,), "MiB", target=4)


async def _cycles(cycles: int) -> float:
    from tests.tui.harness import running

    readings = []
    async with running() as it:
        for number in range(cycles):
            it.engine.stop("crawler-fetch-1") if number % 2 else it.engine.start("crawler-fetch-1")
            it.app.home.deliver([it.app.feed.read()])
            if number % 10 == 0:
                await it.pilot.resize_terminal(100 + number % 7 * 10, 30 + number % 5 * 4)
            if number % (cycles // 20) == 0:
                await it.pilot.pause()
                it.engine.calls.clear()
                with open("/proc/self/statm") as file:
                    readings.append(int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20))
    settled = readings[len(readings) // 4 :]  # caches fill at first
    third = max(1, len(settled) // 3)
    return statistics.median(settled[-third:]) - statistics.median(settled[:third])


MEASURES: dict[str, Callable[[bool], Iterator[Figure]]] = {
    "floor": floor,
    "start": start,
    "keys": keys,
    "escape": escape,
    "slow": slow,
    "traffic": traffic,
    "memory": memory,
    "floods": floods,
    "logs": logs,
    "explorer": explorer,
}

if __name__ == "__main__":
    main()
