"""The interface on the made-up engine, as the bench opens it: ``python -m tests.bench.tui.program CASE COPIES RATE``.

CASE says what changes: ``still`` nothing that is seen, ``tenth`` the figures of every tenth container, ``all`` all.
RATE is lines a second into the log of the container that is selected first.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from dataclasses import replace

from pyctr_engine.model.stats import HostStats, Stats
from pyctr_tui.app import run_app
from tests.tui.fake import FakeEngine, writer


class Engine(FakeEngine):
    """Figures of a share of the containers change, those of the others and of the machine don't."""

    every = 1

    def stats_at(self, id: str, at: float) -> Stats:
        """One in ``every`` (0: none) changes."""
        if self.every and int(id[:8], 16) % self.every == 0:
            return super().stats_at(id, at)
        known = self._counters.get(id)
        now = replace(known, time=at) if known is not None else replace(super().stats_at(id, at), time=at)
        self._counters[id] = now
        return now

    def host_stats(self) -> HostStats:
        """The same, but for those who want movement."""
        if self.every == 1:
            return super().host_stats()
        self._host_calls = 1
        return super().host_stats()


def main() -> int:
    """Run it until it is left."""
    case, copies, rate = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    engine = Engine(time.time, copies=copies)
    engine.every = {"still": 0, "tenth": 10, "all": 1}[case]
    for container in engine.containers():  # "41s" would be another thing to see each second
        status = replace(container.status, started_at=container.status.started_at - 3600)
        engine._containers[container.id] = replace(container, status=status)
    stop = threading.Event()
    if rate and os.fork() == 0:  # who writes the log is another process, as in life
        writer(engine, ["crawler-fetch-1"], rate, _Parent(os.getppid()))
        os._exit(0)
    try:
        return run_app(engine)
    finally:
        stop.set()


class _Parent(threading.Event):
    """Set when the parent is gone."""

    def __init__(self, pid: int) -> None:
        super().__init__()
        self._pid = pid

    def wait(self, timeout: float | None = None) -> bool:
        """Sleep, and look."""
        time.sleep(timeout or 0)
        return os.getppid() != self._pid


if __name__ == "__main__":
    sys.exit(main())
