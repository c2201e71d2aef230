"""The terminal pane under floods like ``yes``: keys from the driver to the program, and how fast it is drawn.

On two busy cores the emulator took 0.3 MB/s (lines of one letter) to 1.2 MB/s, and 2.3 MB/s of the former with the
lines left out that only scroll away; keys took 1.5 ms at the median and 24 ms at most, whatever the flood. So it
stays in the interface's process: a helper would cost memory and copies, and could gain only what is not felt.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator

from textual import events

from pyctr_tui.terminal.connection import PIECE
from pyctr_tui.terminal.emulator import Emulator
from tests.bench.figures import Figure
from tests.tui.harness import running
from tests.tui.shells import ShellEngine

NAME = "crawler-fetch-1"
FLOODS = {
    "yes": b"y\r\n" * 40_000,
    "plain lines": b"lorem ipsum dolor sit amet, consectetur adipiscing elit\r\n" * 3_000,
    "coloured lines": b"\x1b[32mINFO\x1b[0m \x1b[1mcrawler\x1b[0m fetched a page in 12 ms\r\n" * 3_000,
    "wide characters": "日本語のコンテナ\r\n".encode() * 3_000,
}


def floods(quick: bool) -> Iterator[Figure]:
    """Keys typed into a program that floods its terminal, and the emulator by itself."""
    for name, data in FLOODS.items():
        samples = asyncio.run(_keys(data, 20 if quick else 100))
        ordered = sorted(samples)
        yield Figure(f"key to the program, its terminal flooded, {name}", samples)
        yield Figure(f"  its 99th percentile, {name}", (ordered[int(len(ordered) * 0.99)],), target=60)
        yield Figure(f"  the emulator, {name}", (_speed(data, skims=False),), "MB/s")
        yield Figure(f"  what only scrolls away left out, {name}", (_speed(data, skims=True),), "MB/s")


def _speed(data: bytes, skims: bool) -> float:
    emulator, began = Emulator(80, 24), time.thread_time()
    if skims:
        emulator.feed(emulator.skim(data))
    else:
        for at in range(0, len(data), PIECE):
            emulator.feed(data[at : at + PIECE])
    return len(data) / (time.thread_time() - began) / 1e6


async def _keys(flood: bytes, number: int) -> tuple[float, ...]:
    """Milliseconds from each key's event to the program."""
    took: list[float] = []
    async with running(120, 36, engine=ShellEngine()) as it:
        await it.press("e")
        engine = it.engine
        assert isinstance(engine, ShellEngine)
        await it.until(lambda: NAME in engine.shells)
        shell = engine.shells[NAME][0]
        shell.echoes = False
        stop = threading.Event()

        def write() -> None:
            while not stop.wait(0.001):
                connection = it.app.home.term.current and it.app.home.term.current.connection
                if connection and connection.waiting < 200_000:
                    shell.write(flood[:60_000])

        threading.Thread(target=write, daemon=True).start()
        await asyncio.sleep(1)
        for at in range(number):
            began = time.monotonic()
            it.app.home.term.post_message(events.Key("a", "a"))
            while len(shell.typed) <= at:
                await asyncio.sleep(0.001)
            took.append((time.monotonic() - began) * 1000)
            await asyncio.sleep(0.03)
        stop.set()
    return tuple(took)
