"""How long it takes to find something in a very long log, beside grep on the same file, and its cost in memory."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from typing import Any, cast

from pyctr_tui.logs.news import Batch, Merged
from pyctr_tui.logs.query import Query, parse_query
from pyctr_tui.logs.reader import LogReader
from tests.bench.figures import Figure, ratio

LINES = 10_000_000
SOURCES = (("log", "log"),)
_PIECE = 100_000


def logs(quick: bool) -> Iterator[Figure]:
    """Search and filters over all of a log; each looks for what is in its first line alone."""
    count = LINES // 20 if quick else LINES
    with tempfile.TemporaryDirectory(prefix="pyctr-bench-") as directory:
        path = f"{directory}/container.jsonl"
        _write(path, count)
        size = os.path.getsize(path) / 1e6
        grep = Figure(f"grep -c in {count:,} lines, {size:.0f} MB", tuple(_grep(path) for _ in range(3)))
        yield grep
        before = _resident()
        for name, query, needle in (
            ("search for a text", Query(), "needle in it"),
            ("only lines of a pattern with a text in it", parse_query("needle .* it"), ""),
            ("only lines of a pattern without one", parse_query("(needle|thread)"), ""),
            ("only warnings and worse", parse_query("level:fatal"), ""),
        ):
            took = Figure(f"{name}: all of it", (_look(path, query, needle),))
            yield took
            yield ratio("  to grep", took, grep)
        yield Figure("the interface's memory grew by", ((_resident() - before) / (1 << 20),), "MiB")


def _write(path: str, count: int) -> None:
    with open(path, "w") as file:
        file.write('{"t":1000.000000,"s":"stdout","m":"FATAL a needle in it"}\n')
        for first in range(1, count, _PIECE):
            file.writelines(
                f'{{"t":{1000 + number / 1e4:.6f},"s":"stdout","m":"INFO request {number} in {number % 977} ms"}}\n'
                for number in range(first, min(first + _PIECE, count))
            )


def _grep(path: str) -> float:
    began = time.perf_counter()
    subprocess.run(["grep", "-c", "needle in it", path], check=True, capture_output=True)
    return (time.perf_counter() - began) * 1000


def _look(path: str, query: Query, needle: str) -> float:
    """Milliseconds until the first line, which is the last to be found, was delivered."""
    found = threading.Event()

    def taken(batch: Batch | Merged) -> None:
        if isinstance(batch, Batch) and any(entry.at == 0 for entry in batch.lines):
            found.set()
        reader.taken()

    class Engine:
        def log_file(self, ref: str) -> str:
            return path

    reader = LogReader(cast("Any", Engine()), taken)
    began = time.perf_counter()
    reader.watch(SOURCES, query)
    if needle:
        reader.find(needle, (os.path.getsize(path),), True)
    if not found.wait(300):
        raise TimeoutError("it was not found")
    took = (time.perf_counter() - began) * 1000
    reader.stop()
    return took


def _resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
