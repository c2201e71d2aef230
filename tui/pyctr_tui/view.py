"""What the panes show: the engine's snapshots made harmless and short, once, on the sampler's thread.

This is the border of the model. Behind it every string has been through `safe_text`; ``id`` and ``ref`` are the
only raw ones, made of hex digits, and serve to call the engine back.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pyctr_engine.model.past import as_tree
from pyctr_engine.model.status import State
from pyctr_engine.record import dataclass
from pyctr_tui import glyphs
from pyctr_tui.figures import age, exact_size
from pyctr_tui.safe_text import safe

if TYPE_CHECKING:
    from pyctr_engine.model.event import Event
    from pyctr_engine.model.host import ProcessInfo
    from pyctr_engine.model.image import Change, ImageSummary, LayerInfo
    from pyctr_engine.model.past import PostMortem
    from pyctr_engine.model.spec import Port
    from pyctr_engine.model.status import Container


@dataclass(frozen=True, slots=True)
class ContainerView:
    """One container. ``label`` is its name without the stack's, ``state`` docker's word, times since the epoch."""

    id: str
    name: str
    label: str
    stack: str
    service: str
    image: str
    image_id: str
    state: State
    exit_code: int | None
    oom: bool
    error: str
    command: str
    started_at: float
    finished_at: float
    ports: str
    start_ms: float
    health: str = ""
    restarts: int = 0
    labels: tuple[tuple[str, str], ...] = ()
    networks: tuple[str, ...] = ()

    @property
    def is_up(self) -> bool:
        """Whether it runs, paused or not."""
        return self.state.is_alive

    @property
    def has_ended(self) -> bool:
        """Whether nothing of it runs: also between two starts, when it dies again and again."""
        return not self.is_up or self.state is State.RESTARTING

    @property
    def failed(self) -> bool:
        """Whether it ended badly."""
        return self.state is State.DEAD or (self.state is State.EXITED and (self.oom or bool(self.exit_code)))

    def symbol(self) -> str:
        """The state as a shape."""
        if self.failed:
            return glyphs.FAILED
        return _SYMBOLS[self.state]

    @property
    def is_unwell(self) -> bool:
        """Whether it runs, and its health checks fail."""
        return self.state is State.RUNNING and self.health == "unhealthy"

    def word(self, now: float) -> str:
        """The state in at most eight cells: ``3h``, ``3h ♥``, ``paused``, ``exit 0``, ``OOM 137``, ``retry 4``."""
        if self.state is State.RUNNING:
            sign = _HEALTH.get(self.health, "")
            return age(now - self.started_at) + (f" {sign}" if sign else "")
        if self.state is State.RESTARTING:
            return f"retry {self.restarts + 1}"[:8]
        if self.state is State.EXITED:
            code = "" if self.exit_code is None else str(self.exit_code)
            return f"OOM {code}" if self.oom else f"exit {code}".rstrip()
        return _WORDS.get(self.state, str(self.state))


_SYMBOLS = {
    State.CREATED: glyphs.CREATED,
    State.RUNNING: glyphs.RUNNING,
    State.PAUSED: glyphs.PAUSED,
    State.RESTARTING: glyphs.RESTARTING,
    State.EXITED: glyphs.EXITED,
    State.DEAD: glyphs.FAILED,
}
_WORDS: dict[State, str] = {}
_HEALTH = {"healthy": glyphs.HEALTHY, "unhealthy": glyphs.UNHEALTHY, "starting": glyphs.ELLIPSIS}


@dataclass(frozen=True, slots=True)
class ImageView:
    """One image. ``label`` is its first name, or a short id."""

    id: str
    label: str
    names: tuple[str, ...]
    size: int
    layers: int
    created: float | None
    used_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LayerView:
    """One step of an image's history; ``number`` counts from the lowest, 1."""

    number: int
    size: int
    made_by: str
    created: float | None
    empty: bool
    digest: str


@dataclass(frozen=True, slots=True)
class ChangeView:
    """One changed path; ``raw`` is the path as the engine takes it."""

    path: str
    raw: str
    kind: str
    size: int
    file_type: str


@dataclass(frozen=True, slots=True)
class EventView:
    """One event. ``tone`` is ``good``, ``warn``, ``bad`` or ``accent``; ``container`` whom a commit was made of."""

    time: float
    type: str
    action: str
    id: str
    symbol: str
    tone: str
    name: str
    text: str
    container: str = ""


@dataclass(frozen=True, slots=True)
class ProcessView:
    """One process of a container."""

    pid: int
    ppid: int
    user: str
    state: str
    started_at: float
    cpu_seconds: float
    rss: int
    command: str


def container_view(container: Container) -> ContainerView:
    """A container as the lists show it."""
    spec, status = container.spec, container.status
    name, stack = safe(container.name), safe(container.stack)
    return ContainerView(
        id=container.id,
        name=name,
        label=name.removeprefix(f"{stack}-") if stack else name,
        stack=stack,
        service=safe(container.service),
        image=short_image(safe(spec.image)),
        image_id=spec.image_id,
        state=status.state,
        exit_code=status.exit_code,
        oom=status.oom_killed,
        error=safe(status.error),
        command=safe(" ".join(spec.argv)),
        started_at=status.started_at,
        finished_at=status.finished_at,
        ports=safe(" ".join(_port(port) for port in container.ports)),
        start_ms=status.start_ms,
        health=status.health,
        restarts=status.restart_count,
        labels=tuple((safe(name), safe(value)) for name, value in spec.labels.items()),
        networks=(safe(spec.request.network),) if spec.request.network else (),
    )


CHANGES_TOLD = 4
"""Changes on disk that a post-mortem names."""
PROCESSES_TOLD, DEEPEST = 6, 8
"""Processes that it names, and the depth from which they are not set in any further."""


@dataclass(frozen=True, slots=True)
class WhyView:
    """A post-mortem: sentences, who ran near the end (``cpu``, ``memory``, command, as a tree), and the last lines.

    Attributes:
        changes: What it had changed on disk, the largest first; ``changed`` is how much in all.
    """

    id: str
    verdict: str
    details: tuple[str, ...]
    processes: tuple[tuple[str, str, str], ...]
    lines: tuple[str, ...]
    changes: tuple[ChangeView, ...] = ()
    changed: int = 0


def why_view(id: str, mortem: PostMortem) -> WhyView:
    """A post-mortem as the graphs' place shows it when there is nothing to draw."""
    return WhyView(
        id,
        safe(mortem.verdict),
        tuple(map(safe, mortem.details)),
        tuple(
            (f"{one.cpu_seconds:.1f}s", exact_size(one.rss), "  " * min(depth, DEEPEST) + safe(one.command))
            for depth, one in itertools.islice(as_tree(mortem.processes), PROCESSES_TOLD)
        ),
        tuple(safe(line.text) for line in mortem.logs[-6:]),
        change_views(mortem.changes[:CHANGES_TOLD]),
        mortem.changed,
    )


def short_image(name: str) -> str:
    """An image's name without ``:latest``, ids and digests short."""
    if name.startswith("sha256:"):
        return name[7:19]
    base, at, _ = name.partition("@sha256:")
    return base.removesuffix(":latest") if not at else f"{base}@"


def _port(port: Port) -> str:
    protocol = "" if port.protocol == "tcp" else f"/{port.protocol}"
    if not port.host_port:
        return f"{port.container_port}{protocol}"
    return f"{port.host_ip}:{port.host_port}→{port.container_port}{protocol}"


def image_view(image: ImageSummary) -> ImageView:
    """An image as the list shows it."""
    names = tuple(safe(name) for name in image.names)
    return ImageView(
        id=image.id,
        label=short_image(names[0]) if names else image.id.removeprefix("sha256:")[:12],
        names=names,
        size=image.size,
        layers=image.layers,
        created=image.created,
        used_by=tuple(image.used_by),
    )


def layer_views(layers: Sequence[LayerInfo]) -> tuple[LayerView, ...]:
    """Layers, the topmost first."""
    views = [
        LayerView(
            number=number,
            size=layer.size,
            made_by=made_by(safe(" ".join(layer.created_by.split())) or safe(layer.comment)),
            created=layer.created,
            empty=layer.empty,
            digest=layer.digest,
        )
        for number, layer in enumerate(layers, 1)
    ]
    return tuple(reversed(views))


def made_by(command: str) -> str:
    """A history entry without the builders' ceremony."""
    for prefix in ("/bin/sh -c #(nop) ", "/bin/sh -c #(nop)"):
        command = command.removeprefix(prefix)
    if command.startswith("/bin/sh -c "):
        command = "RUN " + command.removeprefix("/bin/sh -c ")
    return command.removesuffix("# buildkit").strip()


def change_views(changes: Sequence[Change]) -> tuple[ChangeView, ...]:
    """Changed paths in the engine's order."""
    return tuple(
        ChangeView(safe(change.path), change.path, change.kind, change.size, change.file_type) for change in changes
    )


def process_views(processes: Sequence[ProcessInfo]) -> tuple[ProcessView, ...]:
    """Processes in the engine's order."""
    return tuple(
        ProcessView(
            process.pid,
            process.ppid,
            safe(process.user),
            safe(process.state),
            process.started_at,
            process.cpu_seconds,
            process.rss,
            safe(process.command),
        )
        for process in processes
    )


_TONES = {
    "start": (glyphs.RUNNING, "good", "started"),
    "create": (glyphs.CREATED, "accent", "created"),
    "restart": (glyphs.RUNNING, "good", "restarted"),
    "unpause": (glyphs.RUNNING, "good", "goes on"),
    "pause": (glyphs.PAUSED, "warn", "paused"),
    "oom": (glyphs.FAILED, "bad", "killed by the kernel: out of memory"),
    "kill": (glyphs.WARNING, "warn", "was sent a signal"),
    "stop": (glyphs.EXITED, "dim", "stopped"),
    "die": (glyphs.EXITED, "dim", "ended"),
    "destroy": (glyphs.EXITED, "dim", "removed"),
    "commit": (glyphs.NAMED, "accent", "committed"),
    "update": (glyphs.OPEN, "accent", "limits changed"),
    "checkpoint": (glyphs.UNUSED, "accent", "checkpoint made"),
    "restore": (glyphs.NAMED, "good", "restored from a checkpoint"),
    "health_status": (glyphs.WARNING, "warn", "health changed"),
    "tag": (glyphs.NAMED, "accent", "tagged"),
    "untag": (glyphs.UNUSED, "dim", "untagged"),
    "delete": (glyphs.UNUSED, "dim", "deleted"),
    "import": (glyphs.NAMED, "accent", "imported"),
    "load": (glyphs.NAMED, "accent", "loaded"),
    "up": (glyphs.RUNNING, "good", "up"),
    "down": (glyphs.EXITED, "dim", "down"),
}


def event_view(event: Event) -> EventView:
    """An event as a line of the strip."""
    symbol, tone, text = _TONES.get(event.action, (glyphs.DOT, "dim", safe(event.action.replace("_", " "))))
    given = event.attributes
    code = safe(given.get("exitCode", ""))
    if event.action == "die" and code not in ("", "0"):
        symbol, tone, text = glyphs.FAILED, "bad", f"ended with exit code {code}"
    elif event.action == "die" and code:
        text = f"ended with exit code {code}"
    elif event.action == "kill" and given.get("signal"):
        text = f"was sent signal {safe(given['signal'])}"
    elif event.action == "oom" and given.get("limit", "").isdigit():
        text = f"killed by the kernel: out of memory ({exact_size(int(given['limit']))})"
    elif event.action == "commit" and given.get("size", "").isdigit():
        text = f"committed · +{exact_size(int(given['size']))}"
    if event.action == "start" and given.get("startMs"):
        text = f"started in {safe(given['startMs'])} ms"
    if given.get("image") and event.type == "container":
        text += f" · {short_image(safe(given['image']))}"
    if given.get("detail"):
        text += f" · {safe(given['detail'])}"
    name = safe(event.name) or safe(event.id)[:12]
    if event.action.startswith("health_status"):
        symbol, tone, text = _health(event)
    return EventView(
        event.time,
        safe(event.type),
        safe(event.action),
        event.id,
        symbol,
        tone,
        name,
        text,
        given.get("container", ""),
    )


def _health(event: Event) -> tuple[str, str, str]:
    """``health_status: unhealthy``, docker's word, or the state as an attribute."""
    _, _, told = event.action.partition(": ")
    state = safe(told or event.attributes.get("status", "") or event.attributes.get("health", ""))
    if state == "healthy":
        return glyphs.HEALTHY, "good", "healthy"
    return glyphs.UNHEALTHY, "bad" if state == "unhealthy" else "warn", state or "health changed"
