"""The sampler: the threads that ask the engine, so that the interface never waits for the kernel.

One thread reads containers and figures once a second, at once when an event says that something changed; another
follows the event log; a third answers questions about what is selected. What they find waits until the interface
has time for it, in bounded memory however long that is: while a shell has the terminal, nobody takes anything.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from pyctr_engine.record import dataclass, replace
from pyctr_tui.safe_text import safe_error
from pyctr_tui.samples import HostSample, Sample, host_sample, sample
from pyctr_tui.trouble import told
from pyctr_tui.view import ContainerView, EventView, ImageView, container_view, event_view, image_view

if TYPE_CHECKING:
    from pyctr_engine.engine import Engine
    from pyctr_engine.model.host import HostInfo
    from pyctr_engine.model.stats import HostStats, Stats

PERIOD = 1.0
PAST = 3600.0
"""Seconds of events to show at the start."""
BACKLOG = 900
"""States kept for an interface that doesn't fetch them (it is suspended): as many as a graph shows."""
SAMPLES = 60_000
"""Samples kept in those states, some 30 MB: with very many containers the states go back less far."""
EVENTS = 500
"""Events kept for it: as many as the store keeps."""
TOLD_AGAIN = 60.0
"""Seconds after which it is told again that events can't be read."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The engine at one moment. ``images`` is ``None`` when they are as before.

    Attributes:
        time: Seconds since the epoch.
        samples: What each running container uses, by id; empty for a reading that looked at names only.
        error: Why a part is missing; empty otherwise.
    """

    time: float
    containers: tuple[ContainerView, ...]
    samples: Mapping[str, Sample]
    host: HostSample | None
    images: tuple[ImageView, ...] | None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Happened:
    """Events since the last time, oldest first."""

    events: tuple[EventView, ...]


@dataclass(frozen=True, slots=True)
class Known:
    """Whose engine this is."""

    host: HostInfo


Message = Snapshot | Happened | Known


class Backlog:
    """What waits for the interface, coalesced: of all but figures and events only the newest counts.

    Figures are kept, for the graphs; of two states the older one's lists are of no use, and images that are read
    only when they change must not be lost with the state that brought them. May be used from any thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: Known | None = None
        self._events: deque[EventView] = deque(maxlen=EVENTS)
        self._states: deque[Snapshot] = deque()
        self._samples = 0

    def __bool__(self) -> bool:
        return bool(self._known or self._events or self._states)

    def put(self, message: Message) -> None:
        """Add the newest."""
        with self._lock:
            if isinstance(message, Known):
                self._known = message
            elif isinstance(message, Happened):
                self._events.extend(message.events)
            else:
                self._add(message)

    def take(self) -> list[Message]:
        """Empty it: whose engine it is, the events, then the states, oldest first."""
        with self._lock:
            taken: list[Message] = [self._known] if self._known is not None else []
            if self._events:
                taken.append(Happened(tuple(self._events)))
            lists = next((state.containers for state in reversed(self._states) if state.containers), ())
            taken += [
                replace(one, containers=lists) if one.host and not one.containers else one for one in self._states
            ]
            self._known, self._samples = None, 0
            self._events.clear()
            self._states.clear()
        return taken

    def _add(self, state: Snapshot) -> None:
        if self._states:
            before = self._states.pop()
            if state.images is None:
                state = replace(state, images=before.images)
            lists = bool(state.containers) or not state.error
            if before.host is not None and lists:
                self._states.append(replace(before, containers=(), images=None))
            elif not lists and (before.containers or not before.error):
                self._states.append(replace(before, images=None))  # its lists stay on the screen beside the error
        self._states.append(state)
        self._samples += len(state.samples)
        while len(self._states) > BACKLOG or (self._samples > SAMPLES and len(self._states) > 1):
            self._samples -= len(self._states.popleft().samples)


class Feed:
    """Reads the engine in threads of its own; see the module."""

    def __init__(self, engine: Engine, clock: Callable[[], float] = time.time) -> None:
        self._engine = engine
        self._clock = clock
        self._backlog = Backlog()
        self._notify: Callable[[], None] | None = None
        self._told = False
        self._wake = threading.Event()
        self._stopped = False
        self._images_due = True
        self._readings = 0
        self._awaited: deque[Callable[[], object]] = deque()
        self._aside = ""  # what went wrong beside the readings: the next one tells it
        self._before: dict[str, Stats] = {}
        self._host_before: HostStats | None = None

    # -- for the interface --------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to read. Threads are daemons: a call that hangs in the kernel doesn't keep the program alive."""
        threading.Thread(target=self._sample, name="sampler", daemon=True).start()
        threading.Thread(target=self._follow, name="events", daemon=True).start()

    def connect(self, notify: Callable[[], None]) -> None:
        """Call ``notify`` (from a thread, at most once per `take`) when there is something to take."""
        self._notify = notify
        if self._backlog:
            self._tell()

    def take(self) -> list[Message]:
        """All that came since the last time; see `Backlog.take`."""
        self._told = False
        return self._backlog.take()

    def refresh(self, images: bool = False, then: Callable[[], object] | None = None) -> None:
        """Read again at once; ``then`` is called, from a thread, when a reading that began later can be taken."""
        if images:
            self._images_due = True
        if then is not None:
            self._awaited.append(then)
        self._wake.set()

    def stop(self) -> None:
        """Read no more."""
        self._stopped = True
        self._wake.set()

    # -- the threads --------------------------------------------------------------------------------------------

    def _put(self, message: Message) -> None:
        self._backlog.put(message)
        self._tell()

    def _tell(self) -> None:
        if self._notify is not None and not self._told:
            self._told = True
            self._notify()

    def _sample(self) -> None:
        self._put(self.read(figures=False))
        try:
            self._put(Known(self._engine.host()))
        except Exception as trouble:  # noqa: BLE001 - it is told, and the readings go on
            self._aside = safe_error(told(trouble))
        due = time.monotonic()
        while not self._stopped:
            figures = time.monotonic() >= due
            if figures:
                # Rates need two readings: the second one comes soon.
                wait = PERIOD if self._readings else PERIOD / 4
                self._readings += 1
                due = max(due + wait, time.monotonic() + wait / 2)
            awaited = len(self._awaited)
            self._put(self.read(figures))
            for _ in range(awaited):
                self._awaited.popleft()()
            self._wake.wait(max(0.0, due - time.monotonic()))
            if self._wake.is_set():
                time.sleep(0.02)  # one reading for a burst of events
                self._wake.clear()

    def read(self, figures: bool = True) -> Snapshot:
        """One reading, with what each container uses or without."""
        error = ""
        containers: tuple[ContainerView, ...] = ()
        samples: dict[str, Sample] = {}
        host: HostSample | None = None
        images: tuple[ImageView, ...] | None = None
        try:
            containers = tuple(container_view(container) for container in self._engine.containers())
            if figures:
                samples, host = self._figures()
            if self._images_due:
                images = self._read_images()
        except Exception as trouble:  # noqa: BLE001 - it is told
            error = safe_error(told(trouble))
        if not error and (aside := self._aside):
            self._aside, error = "", aside
        return Snapshot(self._clock(), containers, samples, host, images, error)

    def _read_images(self) -> tuple[ImageView, ...]:
        self._images_due = False  # first: an event may ask for them again meanwhile
        try:
            return tuple(image_view(image) for image in self._engine.images())
        except Exception:
            self._images_due = True
            raise

    def _figures(self) -> tuple[dict[str, Sample], HostSample]:
        stats = self._engine.all_stats()
        samples = {id: sample(self._before.get(id), now) for id, now in stats.items()}
        self._before = stats
        now = self._engine.host_stats()
        host = host_sample(self._host_before, now)
        self._host_before = now
        return samples, host

    def _follow(self) -> None:
        since, said, when = self._clock() - PAST, "", 0.0
        while not self._stopped:
            try:
                for event in self._engine.events(since=since, follow=True):
                    since, said = max(since, event.time), ""
                    self._put(Happened((event_view(event),)))
                    if event.type == "image" or event.action in ("commit", "create", "destroy"):
                        self._images_due = True
                    self._wake.set()
                    if self._stopped:
                        return
            except Exception as trouble:  # noqa: BLE001 - it is told now and then, and tried again
                text, now = safe_error(told(trouble)), time.monotonic()
                if text != said or now - when > TOLD_AGAIN:
                    said, when = text, now
                    self._aside = f"events can't be read: {text}"
                    self._wake.set()
            time.sleep(PERIOD)
