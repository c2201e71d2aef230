"""The terminal pane under ``yes``: ``python -m tests.bench.term``. Prints figures, asserts nothing.

How fast the emulator is by itself, and how long a key takes from the driver to the program while a flood is drawn.
On two busy cores the emulator took 0.3 MB/s (lines of one letter) to 1.2 MB/s, and 2.3 MB/s of the former with the
lines left out that only scroll away; keys took 1.5 ms at the median and 24 ms at most, whatever the flood. So it
stays in the interface's process: a helper would cost memory and copies, and could gain only what is not felt.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import threading
import time

from textual import events

from pyctr_tui.terminal.connection import PIECE
from pyctr_tui.terminal.emulator import Emulator
from tests.tui.harness import running
from tests.tui.shells import ShellEngine

KEYS = 100
NAME = "crawler-fetch-1"
FLOODS = {
    "yes": b"y\r\n" * 40_000,
    "plain lines": b"lorem ipsum dolor sit amet, consectetur adipiscing elit\r\n" * 3_000,
    "coloured lines": b"\x1b[32mINFO\x1b[0m \x1b[1mcrawler\x1b[0m fetched a page in 12 ms\r\n" * 3_000,
    "wide characters": "日本語のコンテナ\r\n".encode() * 3_000,
}


def speeds() -> None:
    for name, data in FLOODS.items():
        emulator = Emulator(80, 24)
        began = time.thread_time()
        for at in range(0, len(data), PIECE):
            emulator.feed(data[at : at + PIECE])
        whole = time.thread_time() - began
        emulator, began = Emulator(80, 24), time.thread_time()
        emulator.feed(emulator.skim(data))
        skimmed = time.thread_time() - began
        print(f"{name:16} {len(data) / whole / 1e6:6.2f} MB/s   skimmed {len(data) / skimmed / 1e6:6.2f} MB/s")


async def keys(flood: bytes) -> list[float]:
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
        for number in range(KEYS):
            began = time.monotonic()
            it.app.home.term.post_message(events.Key("a", "a"))
            while len(shell.typed) <= number:
                await asyncio.sleep(0.001)
            took.append((time.monotonic() - began) * 1000)
            await asyncio.sleep(0.03)
        stop.set()
    return took


def main() -> int:
    speeds()
    for name, flood in FLOODS.items():
        took = sorted(asyncio.run(keys(flood)))
        print(f"{name:16} key p50 {statistics.median(took):5.1f} ms  p99 {took[-2]:5.1f} ms  max {took[-1]:5.1f} ms")
    return 0


if __name__ == "__main__":
    sys.exit(main())
