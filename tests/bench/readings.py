"""What it costs to read what hundreds of containers use, once a second, beside the kernel's own part of it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pyctr_engine.model.spec import ContainerRequest, Resources
from tests.bench.figures import Figure, ratio
from tests.bench.place import IMAGE, Place

if TYPE_CHECKING:
    from tests.bench.measures import Effort

_CHILD = "import time\nwhile True: time.sleep(0.4)"
_KINDS = {"asleep": ["sleep", "100000"], "active": ["python3", "-c", _CHILD]}
_NOTE = (
    "CPU time of the thread that reads, one reading a second; containers have limits of memory, CPU and processes. "
    "Asleep: nothing runs in them. Active: each wakes more than twice a second. The floor is one pread of each file "
    "that a reading in full needs, all open already, without looking at what they say."
)


def readings(place: Place, effort: Effort) -> Iterator[Figure]:
    """Of hundreds that sleep, and of hundreds that don't."""
    count = effort.many
    for kind, command in _KINDS.items():
        ids = _start(place, kind, command, count)
        time.sleep(1.0)
        began = time.thread_time()
        found = place.engine.all_stats()
        first = (time.thread_time() - began) * 1000
        assert len(found) == count
        floor = Figure(f"kernel's floor: preads of {count} {kind}", tuple(_floor(place, ids)))
        taken = []
        for _ in range(2 * effort.calls if effort.calls < 10 else effort.calls):
            time.sleep(1.0)
            began = time.thread_time()
            place.engine.all_stats()
            taken.append((time.thread_time() - began) * 1000)
        mean = Figure(f"reading {count} {kind}", (sum(taken) / len(taken),), note=_NOTE)
        yield Figure(f"the first reading of {count} {kind}", (first,))
        yield floor
        yield Figure(mean.name + ", one reading", tuple(taken))
        yield Figure(mean.name + ": share of a core", (mean.median / 10,), "%", 4.0 * count / 500, _NOTE)
        yield ratio("  to the floor", mean, floor)
        place.cli("rm", "-f", *ids)


def _start(place: Place, kind: str, command: list[str], count: int) -> list[str]:
    limits = Resources(memory=256 << 20, cpus=1.0, pids=100)
    requests = [
        ContainerRequest(IMAGE, command=tuple(command), name=f"{kind}-{number}", resources=limits, stop_grace=0.5)
        for number in range(count)
    ]
    return [place.engine.start(place.engine.create(request).id).id for request in requests]


def _floor(place: Place, ids: list[str]) -> Iterator[float]:
    """Milliseconds of CPU time for the preads alone, in several rounds."""
    from pyctr_engine.cgroups import stats
    from pyctr_engine.linux import kept

    context = place.engine._context
    paths: list[str] = []

    class Noting(kept.File):
        """Tells which files a reading in full reads."""

        def _opened(self) -> bool:
            changed = super()._opened()
            if not self.is_missing:
                paths.append(self._path)
            return changed

    for id in ids:
        before, kept.File = kept.File, Noting  # type: ignore[misc]
        try:
            stats.Reader(context.cgroups, context.cgroup_parent, kept.Descriptors()).read(
                id, Resources(memory=1, cpus=1)
            )
        finally:
            kept.File = before  # type: ignore[misc]
    files = [os.open(path, os.O_RDONLY) for path in paths]
    try:
        for _ in range(8):
            time.sleep(1.0)
            began = time.thread_time()
            for fd in files:
                os.pread(fd, 4096, 0)
            yield (time.thread_time() - began) * 1000
    finally:
        for fd in files:
            os.close(fd)
