"""How long a container takes to answer, alone and beside others that take all they may."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pyctr_engine.model.spec import ContainerRequest
from tests import hogs
from tests.bench.figures import Figure
from tests.bench.place import IMAGE, Place

if TYPE_CHECKING:
    from tests.bench.measures import Effort

_BOUNDS = {"p50": 2.0, "p99": 5.0}
"""How many times its time alone each may become; the last in a hundred never needs to be below 10 ms."""
_LEAST_P99 = 10.0
_NOTE = (
    "Service time of a small server in a container (connect, read 64 KiB, hash it, answer), asked from the host one "
    "after the other, beside one at its limits: a fork bomb of 64 processes, a memory hog that is killed over "
    "and over, 32 spinning processes, a writer held to 8 MiB/s; half a CPU each."
)


def neighbours(place: Place, effort: Effort) -> Iterator[Figure]:
    """Alone, and beside each hog."""
    requested = ContainerRequest(IMAGE, command=("python3", "-c", hogs.SERVER), name="server", stop_grace=0.5)
    server = place.engine.start(place.engine.create(requested).id)
    while not list(place.engine.logs(server.id)):
        time.sleep(0.02)
    address = place.engine.inspect(server.id)["NetworkSettings"]["IPAddress"]
    count = 20 * effort.calls
    _times(address, count)
    alone = _percentiles(_times(address, count))
    for kind, value in alone.items():
        yield Figure(f"service time alone, {kind}", (value,))
    for name, hog in hogs.hogs().items():
        request = ContainerRequest(
            IMAGE, command=("python3", "-c", hog.script), name="hog", resources=hog.resources, stop_grace=0.5
        )
        greedy = place.engine.start(place.engine.create(request).id)
        time.sleep(2.0)
        found = _percentiles(_times(address, count))
        for kind, value in found.items():
            bound = max(_BOUNDS[kind] * alone[kind], _LEAST_P99 if kind == "p99" else 0.0)
            yield Figure(f"  beside a {name}, {kind}", (value,), target=round(bound, 2), note=_NOTE)
        place.engine.remove(greedy.id, force=True)
    place.engine.remove(server.id, force=True)


def _times(address: str, count: int) -> list[float]:
    found = []
    for _ in range(count):
        found.append(hogs.ask(address))
        time.sleep(0.003)
    return found


def _percentiles(times: list[float]) -> dict[str, float]:
    hundredths = statistics.quantiles(times, n=100)
    return {"p50": hundredths[49], "p99": hundredths[98]}
