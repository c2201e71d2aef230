"""How a container is: what its monitor wrote, checked against the processes that are really there."""

from __future__ import annotations

import json
import os
import time
from typing import Any

from pyctr_engine.linux import namespaces
from pyctr_engine.model.status import ContainerStatus, State
from pyctr_engine.paths import Paths

CREATED = ContainerStatus(State.CREATED)
DEAD = ContainerStatus(State.DEAD, error="its removal failed half way")


class Seen(dict[str, Any]):
    """A state as it was read, which remembers whether its monitor was there: that is asked again and again."""

    lives: bool | None = None


def read_state(paths: Paths, id: str) -> Seen:
    """``state.json`` as its monitor last wrote it; empty when it was never started.

    The copy in the run directory is the live one; the durable one serves after a reboot.
    """
    state = _read(paths, id)
    if state and State(state["state"]).is_alive and not monitor_lives(state):
        return _read(paths, id)  # it may have ended, and said so, since it was read
    return state


def _read(paths: Paths, id: str) -> Seen:
    for directory in (paths.run_container(id), paths.container(id)):
        try:
            with open(f"{directory}/state.json", "rb") as file:
                return Seen(json.loads(file.read()))
        except (OSError, ValueError):
            continue
    return Seen()


def write_dead(paths: Paths, id: str, state: dict[str, Any]) -> None:
    """Record, in the place of a monitor that can't any more, that its container has ended."""
    ended = {**state, "state": "exited", "pid": 0, "exit_code": 137, "finished_at": time.time()}
    ended["error"] = "the machine went down while it ran" if is_of_another_boot(state) else "its monitor was killed"
    for directory in (paths.run_container(id), paths.container(id)):
        os.makedirs(directory, 0o700, exist_ok=True)
        with open(f"{directory}/state.json.new", "w") as file:
            json.dump(ended, file)
        os.rename(f"{directory}/state.json.new", f"{directory}/state.json")


def is_alive(paths: Paths, id: str) -> bool:
    """Whether a container has processes."""
    return status_of(read_state(paths, id)).state.is_alive


def monitor_lives(state: dict[str, Any]) -> bool:
    """Whether the monitor that wrote this state is still there; of one that was `Seen`, whether it was then."""
    if isinstance(state, Seen) and state.lives is not None:
        return state.lives
    lives = not is_of_another_boot(state) and namespaces.is_running(
        int(state.get("monitor_pid", 0)), int(state.get("monitor_start", 0))
    )
    if isinstance(state, Seen):
        state.lives = lives
    return lives


def is_of_another_boot(state: dict[str, Any]) -> bool:
    """Whether the machine has been started anew since: pids and start times of then mean nothing now."""
    return bool(state.get("boot")) and state["boot"] != namespaces.boot_id()


def status_of(state: dict[str, Any], frozen: bool = False) -> ContainerStatus:
    """The status that a state file means. One that says running without its monitor means the container is dead."""
    if not state:
        return CREATED
    name = State(state["state"])
    exit_code = state.get("exit_code")
    finished = float(state.get("finished_at", 0.0))
    if name.is_alive and not monitor_lives(state):
        name, exit_code = State.EXITED, 137
    if name is State.RUNNING and frozen:
        name = State.PAUSED
    alive = name.is_alive
    return ContainerStatus(
        state=name,
        pid=int(state.get("pid", 0)) if alive else 0,
        exit_code=None if exit_code is None else int(exit_code),
        started_at=float(state.get("started_at", 0.0)),
        finished_at=0.0 if alive and name is not State.RESTARTING else finished,
        oom_killed=bool(state.get("oom_killed", False)),
        error=str(state.get("error", "")),
        monitor_pid=int(state.get("monitor_pid", 0)) if alive else 0,
        interface=str(state.get("interface", "")) if alive else "",
        start_ms=float(state.get("start_ms", 0.0)),
        signal=int(state.get("signal", 0)),
        restart_count=int(state.get("restart_count", 0)),
        restart_at=float(state.get("restart_at", 0.0)) if name is State.RESTARTING else 0.0,
        health=str(state.get("health", "")) if alive and name is not State.RESTARTING else "",
        health_streak=int(state.get("health_streak", 0)),
        stopped_by=str(state.get("stopped_by", "")),
        plain_binds=tuple(state.get("plain_binds", ())) if alive else (),
    )
