"""Longer pasts for the made-up engine: a day as a monitor records it, and the machine's last minutes."""

from __future__ import annotations

import math
from typing import Any

from pyctr_engine.model.event import Event
from pyctr_engine.model.past import History
from pyctr_engine.model.stats import Pressure, Stats
from pyctr_tui.samples import HOST_METRICS, Ring
from pyctr_tui.store import HOST
from tests.tui.fake import START, FakeEngine, G, M

DAY = 86400
OFF = (START - 5 * 3600, START - 4 * 3600)
"""When the recorded container did not run."""


def stats_then(at: float, cpu_usec: int, throttled: int) -> Stats:
    """A reading of the recorded container: a wave with a period of two hours, memory that grows to its limit."""
    grown = (at % 7200) / 7200
    anon = int((0.2 + 0.6 * grown) * G)
    return Stats(
        at, cpu_usec=cpu_usec, cpu_limit=2.0,
        periods=int((at - START + DAY) * 10), throttled_periods=throttled,
        memory=anon + int(90 * M + 60 * M * math.sin(at / 900)) + 14 * M, memory_limit=G, anon=anon,
        file=int(90 * M + 60 * M * math.sin(at / 900)), kernel=14 * M, pids=5 + int(3 * grown), pids_limit=128,
        read_bytes=int((at - START + DAY) * 0.4 * M), write_bytes=int((at - START + DAY) * 1.1 * M),
        rx_bytes=int((at - START + DAY) * 3 * M), tx_bytes=int((at - START + DAY) * 0.8 * M),
        cpu_pressure=Pressure(4 + 20 * grown, 2 * grown), memory_pressure=Pressure(30 * grown**4, 12 * grown**4),
        io_pressure=Pressure(1.5, 0.5),
    )  # fmt: skip


def record(engine: FakeEngine, name: str = "crawler-fetch-1") -> None:
    """Give a container a recorded day with a gap, and events in it."""
    fine, coarse = [], []
    used, throttled = 0.0, 0.0
    at = START - DAY
    while at < START:
        if not OFF[0] <= at < OFF[1]:
            busy = 1.2 + 0.9 * math.sin(at / 1150) + 0.2 * math.sin(at / 47)
            used += 2e6 * min(2.0, max(0.05, busy))
            throttled += 20 * max(0.0, busy - 1.8)
            reading = stats_then(at, int(used), int(throttled))
            if at >= START - 3600:
                fine.append(reading)
            if int(at - START) % 60 == 0:
                coarse.append(reading)
        at += 2
    container = engine._find(name)
    engine.recorded[container.id] = History(tuple(fine), tuple(coarse))

    def event(ago: float, action: str, **attributes: str) -> Event:
        return Event(START - ago, "container", action, container.id, name, attributes)

    engine._past[:0] = [
        event(20 * 3600, "start", image="crawler:4"),
        event(5 * 3600, "oom", limit=str(G)),
        event(4 * 3600, "start", image="crawler:4"),
        event(2 * 3600, "update"),
        event(5000, "checkpoint", checkpoint="before"),
        event(700, "health_status: unhealthy"),
        event(520, "health_status: healthy"),
        Event(
            START - 320, "image", "commit", "sha256:ab", "app:fixed", {"size": "4299161", "container": container.id}
        ),
    ]


def host_past(store: Any, seconds: int = 900) -> None:
    """Give the machine a past, as if the interface had been open."""
    ring = store.rings[HOST] = Ring(HOST_METRICS)
    for second in range(int(START) - seconds, int(START)):
        wave = math.sin(second / 83) * 0.4 + math.sin(second / 31) * 0.2
        ring.append(second, {
            "cpu": 2.7 + wave, "memory": 2.1 * G + wave * 300 * M, "read": 0.2 * M, "write": 1.3 * M * (1 + wave),
            "rx": 4.4 * M * (1 + wave), "tx": 0.1 * M, "pids": 412 + 9 * wave, "psi_cpu": 3 + 3 * wave,
            "psi_memory": 0.0, "psi_io": 0.3, "full_cpu": 0.0, "full_memory": 0.0, "full_io": 0.2,
        })  # fmt: skip
