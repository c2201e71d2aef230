"""What the interface knows: the last snapshot, the past of each container, events, and what the user marked."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from pyctr_tui.feed import Happened, Known, Message, Snapshot
from pyctr_tui.past import COARSE, Past, Recorded
from pyctr_tui.query import Query, parse
from pyctr_tui.samples import HOST_METRICS, HostSample, Ring, Sample, reading
from pyctr_tui.totals import Totals

if TYPE_CHECKING:
    from pyctr_engine.model.host import HostInfo
    from pyctr_tui.view import ContainerView, EventView, ImageView

EVENTS_KEPT = 500
HOST = "host:"
"""Stands for the machine where a container's id does."""
Basis = Literal["cpu", "limit", "host"]
BASES: tuple[Basis, ...] = ("cpu", "limit", "host")


class Store:
    """Changed on the interface's thread only.

    Attributes:
        rings: The past by container id; ``host_ring`` is the machine's cpu.
        totals: What several of them used together.
        pasts: What was recorded of those that were looked at, further back than ``rings``; the machine's is `HOST`.
        past_events: What happened to them before the interface was opened, oldest first.
        basis: What 100% of cpu is: ``cpu`` (one CPU), ``limit`` or ``host`` (all CPUs).
        marks, image_marks: Ids of marked containers, of marked images; ``closed`` names of collapsed stacks.
        columns: The columns of the list of containers to choose from as there is room; all when empty.
        loaded: Whether the first snapshot has come.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.loaded = False
        self.containers: tuple[ContainerView, ...] = ()
        self.by_id: dict[str, ContainerView] = {}
        self.samples: dict[str, Sample] = {}
        self.images: tuple[ImageView, ...] = ()
        self.images_loaded = False
        self.events: deque[EventView] = deque(maxlen=EVENTS_KEPT)
        self.rings: dict[str, Ring] = {}
        self.totals = Totals(self.series)
        self.host_ring = Ring(("cpu",))
        self.pasts: dict[str, Past] = {HOST: Past(HOST_METRICS)}
        self.past_events: dict[str, tuple[EventView, ...]] = {}
        self.basis: Basis = "cpu"
        self.host: HostSample | None = None
        self.info: HostInfo | None = None
        self.error = ""
        self.marks: set[str] = set()
        self.image_marks: set[str] = set()
        self.closed: set[str] = set()
        self.query: Query = parse("")
        self.columns: tuple[str, ...] = ()
        self.sort = "name"
        self.reverse = False
        self.running_only = False

    def apply(self, message: Message) -> None:
        """Take in what the feed found."""
        if isinstance(message, Snapshot):
            self._take(message)
        elif isinstance(message, Happened):
            self.events.extend(message.events)
        elif isinstance(message, Known):
            self.info = message.host

    def _take(self, snapshot: Snapshot) -> None:
        self.error = snapshot.error
        if snapshot.images is not None:
            self.images = snapshot.images
            self.images_loaded = True
            self.image_marks &= {image.id for image in snapshot.images}
        if snapshot.error and not snapshot.containers:
            self.loaded = True
            return
        self.loaded = True
        self.containers = snapshot.containers
        self.by_id = {container.id: container for container in snapshot.containers}
        self.marks &= self.by_id.keys()
        for gone in self.rings.keys() - self.by_id.keys() - {HOST}:
            del self.rings[gone]
        for gone in self.pasts.keys() - self.by_id.keys() - {HOST}:
            del self.pasts[gone]
            self.past_events.pop(gone, None)
        if snapshot.host is None:
            self.samples = {id: self.samples[id] for id in self.samples if id in self.by_id and self.by_id[id].is_up}
            return
        self.host = snapshot.host
        second = int(snapshot.time)
        self.host_ring.append(second, {"cpu": snapshot.host.cpu})
        if snapshot.host.used:
            self.rings.setdefault(HOST, Ring(HOST_METRICS)).append(second, snapshot.host.used)
            self.pasts[HOST].add(second, snapshot.host.used)
        self.totals.renew()
        self.samples = dict(snapshot.samples)
        for id, sample in self.samples.items():
            read = reading(sample)
            self.rings.setdefault(id, Ring()).append(second, read)
            if id in self.pasts:
                self.pasts[id].add(second, read)

    def keep(self, found: Mapping[str, Recorded]) -> None:
        """Keep all that was recorded of some containers, before what was seen of them."""
        known = [id for id, recorded in found.items() if recorded.past.first]
        for id in found.keys() & self.by_id.keys():
            recorded = found[id]
            self.past_events[id] = recorded.events
            past = self.pasts[id] = recorded.past
            ring = self.rings.get(id)
            if ring is not None:
                past.follow(ring)
            if len(recorded.near):
                self.rings[id] = recorded.near if ring is None else ring.preceded_by(recorded.near)
        self.totals.forget(known)

    def series(self, id: str, metric: str, step: int, columns: int, end: int) -> list[float]:
        """A metric's past as `Ring.buckets` gives it, from whatever knows it best; NaN where nothing is known."""
        ring, past = self.rings.get(id), self.pasts.get(id)
        if ring is not None and metric not in ring.values:
            return [math.nan] * columns  # the machine has no limits
        near = ring.buckets(metric, step, columns, end) if ring is not None else [math.nan] * columns
        if past is None:
            return near
        if step < COARSE and ring is not None and len(ring):
            first = end // step - columns + 1
            early = max(0, -(-ring.start // step) - first)  # columns that begin before the ring
            seen = sum(near[early : (ring.start + len(ring) - 1) // step - first + 1])
            if not early or (early < columns and seen == seen):  # it isn't a number where anything is unknown
                far = past.buckets(metric, step, early, end - (columns - early) * step) if early else []
                return [a if a == a else b for a, b in zip(near[:early], far, strict=True)] + near[early:]
        far = past.buckets(metric, step, columns, end)
        better, other = (far, near) if step >= COARSE else (near, far)
        return [a if a == a else b for a, b in zip(better, other, strict=True)]

    def first_second(self, ids: Sequence[str]) -> int:
        """The first second anything is known of."""
        known = [ring.start for id in ids if (ring := self.rings.get(id)) is not None and len(ring)]
        known += [past.first for id in ids if (past := self.pasts.get(id)) is not None and past.first]
        return min(known, default=int(self.clock()))

    def counts(self) -> dict[str, int]:
        """How many containers are up, paused, killed for want of memory, failed."""
        from pyctr_engine.model.status import State

        counted = {"up": 0, "paused": 0, "oom": 0, "failed": 0, "exited": 0}
        for container in self.containers:
            if container.state is State.PAUSED:
                counted["paused"] += 1
            elif container.is_up:
                counted["up"] += 1
            elif container.oom:
                counted["oom"] += 1
            elif container.failed:
                counted["failed"] += 1
            elif container.state is State.EXITED:
                counted["exited"] += 1
        return counted
