"""What the interface knows: the last snapshot, the past of each container, events, and what the user marked."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from pyctr_tui.feed import Happened, Known, Message, Snapshot
from pyctr_tui.query import Query, parse
from pyctr_tui.samples import HostSample, Ring, Sample, reading

if TYPE_CHECKING:
    from pyctr_engine.model.host import HostInfo
    from pyctr_tui.view import ContainerView, EventView, ImageView

EVENTS_KEPT = 500


class Store:
    """Changed on the interface's thread only.

    Attributes:
        rings: The past by container id; ``host_ring`` is the machine's cpu.
        marks: Ids of marked containers; ``closed`` names of collapsed stacks.
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
        self.host_ring = Ring(("cpu",))
        self.host: HostSample | None = None
        self.info: HostInfo | None = None
        self.error = ""
        self.marks: set[str] = set()
        self.closed: set[str] = set()
        self.query: Query = parse("")
        self.sort = "name"
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
        if snapshot.error and not snapshot.containers:
            self.loaded = True
            return
        self.loaded = True
        self.containers = snapshot.containers
        self.by_id = {container.id: container for container in snapshot.containers}
        self.marks &= self.by_id.keys()
        for gone in self.rings.keys() - self.by_id.keys():
            del self.rings[gone]
        if snapshot.host is None:
            self.samples = {id: self.samples[id] for id in self.samples if id in self.by_id and self.by_id[id].is_up}
            return
        self.host = snapshot.host
        second = int(snapshot.time)
        self.host_ring.append(second, {"cpu": snapshot.host.cpu})
        self.samples = dict(snapshot.samples)
        for id, sample in self.samples.items():
            self.rings.setdefault(id, Ring()).append(second, reading(sample))

    def remember(self, id: str, past: Sequence[tuple[int, Mapping[str, float]]]) -> None:
        """Put what was recorded before the interface was opened in front of what it saw itself."""
        if past and id in self.by_id:
            self.rings[id] = self.rings.get(id, Ring()).preceded_by(past)

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
