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

    @property
    def can_exec(self) -> bool:
        """Whether a further program can be run in it."""
        return self is State.RUNNING


@dataclass(frozen=True, slots=True)
class ContainerStatus:
    """Where a container is in its life.

    Attributes:
        state: One of docker's states.
        pid: Its first process as the host numbers it; 0 when not running.
        exit_code: 0 to 255; 128+n after signal n; ``None`` before the first end.
        started_at, finished_at: Seconds since the epoch; 0 for never.
        oom_killed: Whether the kernel killed it for want of memory.
        error: Why the last start failed; empty otherwise.
        monitor_pid: Its monitor; 0 when there is none.
        interface: The host's end of its veth pair; empty without one.
        start_ms: How long its last start took, milliseconds.
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
