"""What state a container is in, and which states may follow."""

from __future__ import annotations

from enum import StrEnum

from pyctr_engine.model.spec import ContainerSpec, Port
from pyctr_engine.record import dataclass


class State(StrEnum):
    """A container's state, docker's words."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    RESTARTING = "restarting"
    EXITED = "exited"
    DEAD = "dead"

    @property
    def is_alive(self) -> bool:
        """Whether there is a monitor looking after it."""
        return self in (State.RUNNING, State.PAUSED, State.RESTARTING)

    @property
    def can_start(self) -> bool:
        """Whether `start` makes sense."""
        return self in (State.CREATED, State.EXITED)

    def may_become(self, other: State) -> bool:
        """Whether ``other`` may follow.

        ::

            created ──▶ running ◀──▶ paused
               │         │ ▲ │          │
               │         ▼ │ └────────┐ │
               │      restarting ────▶ ▼▼
               └─────────────────────▶ exited ──▶ running, or dead: its removal failed half way
        """
        return other in _FOLLOWING[self]

    @property
    def can_exec(self) -> bool:
        """Whether a further program can be run in it."""
        return self is State.RUNNING


_FOLLOWING: dict[State, tuple[State, ...]] = {
    State.CREATED: (State.RUNNING, State.EXITED, State.DEAD),
    State.RUNNING: (State.PAUSED, State.RESTARTING, State.EXITED),
    State.PAUSED: (State.RUNNING, State.RESTARTING, State.EXITED),
    State.RESTARTING: (State.RUNNING, State.EXITED),
    State.EXITED: (State.RUNNING, State.EXITED, State.DEAD),
    State.DEAD: (State.DEAD,),
}


@dataclass(frozen=True, slots=True)
class ContainerStatus:
    """Where a container is in its life.

    Attributes:
        state: One of docker's states.
        pid: Its first process as the host numbers it; 0 when not running.
        exit_code: 0 to 255; 128+n after signal n; ``None`` before the first end.
        started_at, finished_at: Seconds since the epoch; 0 for never.
        signal: The signal that its first process ended of; 0 for none.
        oom_killed: Whether the kernel killed something in it for want of memory.
        restart_count: How often it was started again under its policy, since it was started.
        restart_at: When it will be, in state ``restarting``; seconds since the epoch.
        health: ``starting``, ``healthy`` or ``unhealthy``; empty without checks, and when it doesn't run.
        health_streak: Probes that failed in a row.
        stopped_by: Who ended it on purpose: ``stop``, ``kill`` or ``rm``; empty when it ended by itself.
        error: Why the last start failed; empty otherwise.
        monitor_pid: Its monitor; 0 when there is none.
        interface: The host's end of its veth pair; empty without one.
        start_ms: How long its last start took, milliseconds.
        plain_binds: Mounts whose file systems could not be idmapped: in them, ids are the host's.
    """

    state: State
    pid: int = 0
    exit_code: int | None = None
    started_at: float = 0.0
    finished_at: float = 0.0
    oom_killed: bool = False
    error: str = ""
    monitor_pid: int = 0
    interface: str = ""
    start_ms: float = 0.0
    signal: int = 0
    restart_count: int = 0
    restart_at: float = 0.0
    health: str = ""
    health_streak: int = 0
    stopped_by: str = ""
    plain_binds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Container:
    """A snapshot of one container: what it is, and how it is. ``ports`` are as really published."""

    spec: ContainerSpec
    status: ContainerStatus
    ports: tuple[Port, ...] = ()

    @property
    def id(self) -> str:
        """64 hex digits."""
        return self.spec.id

    @property
    def name(self) -> str:
        """Its unique name."""
        return self.spec.name

    @property
    def stack(self) -> str:
        """Its stack's name; empty when it belongs to none."""
        return self.spec.request.stack

    @property
    def service(self) -> str:
        """Its service's name in the stack."""
        return self.spec.request.service

    @property
    def state(self) -> State:
        """Short for ``status.state``."""
        return self.status.state
