"""What the host can do, and what it lacks."""

from __future__ import annotations

from typing import Literal

from pyctr_engine.record import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of `doctor` or `system check`.

    Attributes:
        level: ``ok``, ``warn`` (works, with less) or ``fail`` (does not work).
        subject: What was looked at, two or three words.
        detail: What was found.
        cost: What the lack costs and what to do; empty when ok.
    """

    level: Literal["ok", "warn", "fail"]
    subject: str
    detail: str
    cost: str = ""


@dataclass(frozen=True, slots=True)
class HostInfo:
    """What the top line shows; ``cgroup_mode`` is ``v2``, ``hybrid`` or ``v1``."""

    hostname: str
    user: str
    cgroup_mode: str


@dataclass(frozen=True, slots=True)
class ProcessInfo:
    """One process of a container, as `top` shows it; ``pid`` is the host's, ``user`` the id inside."""

    pid: int
    ppid: int
    user: str
    state: str
    started_at: float
    cpu_seconds: float
    rss: int
    command: str
