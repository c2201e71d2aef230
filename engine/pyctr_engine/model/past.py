"""What is known of a container's past: what it used, how it ended, and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pyctr_engine.model.event import Event
from pyctr_engine.model.image import Change
from pyctr_engine.model.log import LogLine
from pyctr_engine.model.stats import Stats
from pyctr_engine.model.status import ContainerStatus
from pyctr_engine.record import dataclass


@dataclass(frozen=True, slots=True)
class History:
    """What it used, as its monitor noted it; both oldest first.

    The ``time`` of these readings is the wall clock's, seconds since the epoch: they outlive the monotonic one.

    Attributes:
        fine: The last hour, every 2 s.
        coarse: The last day, every minute.
    """

    fine: tuple[Stats, ...] = ()
    coarse: tuple[Stats, ...] = ()


@dataclass(frozen=True, slots=True)
class PastProcess:
    """A process that ran near the end: pids are the host's of then, ``rss`` bytes."""

    pid: int
    ppid: int
    cpu_seconds: float
    rss: int
    command: str


def as_tree(processes: Sequence[PastProcess]) -> Iterator[tuple[int, PastProcess]]:
    """Each with how deep it stands: a process, then those that it started, in the order given."""
    pids = {process.pid for process in processes}
    children: dict[int, list[PastProcess]] = {}
    for process in processes:
        children.setdefault(process.ppid if process.ppid in pids - {process.pid} else 0, []).append(process)
    left = [(0, process) for process in reversed(children.get(0, ()))]
    while left:
        depth, process = left.pop()
        yield depth, process
        left += [(depth + 1, child) for child in reversed(children.get(process.pid, ()))]


@dataclass(frozen=True, slots=True)
class HealthResult:
    """One probe: times in seconds since the epoch, the first 4 KiB that it printed, -1 when it took too long."""

    started: float
    ended: float
    exit_code: int
    output: str


@dataclass(frozen=True, slots=True)
class Session:
    """A further program in a container (`exec`), with those who watch it.

    Attributes:
        id: Twelve hex digits, by which it is attached to.
        argv: Its command line.
        tty: Whether it has a terminal.
        pid: The host's number of it; 0 when it has ended.
        started, ended: Seconds since the epoch; ``ended`` is 0 while it runs.
        exit_code: ``None`` while it runs.
        viewers: Who is attached now.
    """

    id: str
    argv: tuple[str, ...]
    tty: bool
    pid: int
    started: float
    ended: float
    exit_code: int | None
    viewers: int


@dataclass(frozen=True, slots=True)
class PostMortem:
    """Why a container is as it is: what its monitor kept of its last run.

    Attributes:
        verdict: One sentence; ``details`` are more, each a fact that supports or qualifies it.
        status: Its status.
        limits: How often each limit held it back: ``memory``, ``memory_high``, ``pids``, ``cpu``;
            ``oom`` counts what the OOM killer took.
        logs: The last lines.
        usage: The last minutes' readings, oldest first.
        processes: Who ran in it when that was last looked at, at ``processes_at`` (seconds since the epoch).
        changes: What it had changed on disk, largest first, bounded; ``changed`` is how much in all.
        events: What happened to it, oldest first.
        health: The last probes.
        trace: The steps of its last start: name, begin and end in milliseconds.
    """

    verdict: str
    details: tuple[str, ...]
    status: ContainerStatus
    limits: tuple[tuple[str, int], ...]
    logs: tuple[LogLine, ...]
    usage: tuple[Stats, ...]
    processes: tuple[PastProcess, ...]
    processes_at: float
    changes: tuple[Change, ...]
    changed: int
    events: tuple[Event, ...]
    health: tuple[HealthResult, ...]
    trace: tuple[tuple[str, float, float], ...]
