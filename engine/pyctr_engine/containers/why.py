"""The post-mortem: what its monitor and the event log kept of a container's last run, made into a verdict."""

from __future__ import annotations

import contextlib
import signal as signals
from collections import deque

from pyctr_engine import events
from pyctr_engine.containers import commit, history, logs, status
from pyctr_engine.containers.context import Context
from pyctr_engine.errors import EngineError
from pyctr_engine.model.event import Event
from pyctr_engine.model.log import LogLine
from pyctr_engine.model.past import PostMortem
from pyctr_engine.model.stats import Stats
from pyctr_engine.model.status import Container, ContainerStatus, State

LOG_LINES = 12
USAGE_SECONDS = 300.0
_MOST_CHANGES = 10
_MOST_EVENTS = 12


def post_mortem(context: Context, container: Container) -> PostMortem:
    """Gather what there is; works for a running container as well: then it says how it is, and how it was before."""
    spec, now = container.spec, container.status
    directory = context.paths.container(spec.id)
    state = status.read_state(context.paths, spec.id)
    readings = history.read(context, spec).fine
    last = readings[-1].time if readings else 0.0
    usage = tuple(reading for reading in readings if reading.time >= last - USAGE_SECONDS)
    when, processes = history.processes(context.paths.run_container(spec.id))
    lines: list[LogLine] = []
    with contextlib.suppress(OSError):
        lines = list(logs.read(directory, False, LOG_LINES, None, lambda: False))
    changes = []
    with contextlib.suppress(EngineError, OSError):
        changes = commit.changes(context, spec)
    past = deque(
        (event for event in events.read(context.paths.events, 0.0, False) if event.id == spec.id), maxlen=_MOST_EVENTS
    )
    limits = {str(name): int(count) for name, count in dict(state.get("limit_events", {})).items()}
    return PostMortem(
        verdict=verdict(container, past),
        details=tuple(_details(container, usage_peak(usage), limits)),
        status=now,
        limits=tuple(sorted(limits.items())),
        logs=tuple(lines),
        usage=usage,
        processes=processes,
        processes_at=when,
        changes=tuple(sorted(changes, key=lambda change: -change.size)[:_MOST_CHANGES]),
        changed=len(changes),
        events=tuple(past),
        health=history.health(context.paths.run_container(spec.id), directory),
        trace=history.trace(directory),
    )


def verdict(container: Container, past: deque[Event]) -> str:
    """One sentence: what ended it, or how it is."""
    now = container.status
    if now.state is State.CREATED:
        return "It was made, and never started."
    if now.state is State.DEAD:
        return "Its removal failed half way; `pyctr-tui rm` finishes it."
    if now.state in (State.RUNNING, State.PAUSED):
        return _running(now)
    again = ""
    if now.state is State.RESTARTING:
        again = f" It has been restarted {_times(now.restart_count)}, and will be again."
    elif now.restart_count:
        again = f" It had been restarted {_times(now.restart_count)}."
    return _end(container, past) + again


def _running(now: ContainerStatus) -> str:
    how = {"unhealthy": f", but its last {now.health_streak} health checks failed", "healthy": ", and is healthy"}
    paused = " (paused)" if now.state is State.PAUSED else ""
    before = f"; it was restarted {_times(now.restart_count)}" if now.restart_count else ""
    killed = "; the kernel killed something in it for want of memory" if now.oom_killed else ""
    return f"It runs{paused}{how.get(now.health, '')}{before}{killed}."


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _end(container: Container, past: deque[Event]) -> str:
    now, asked = container.status, container.spec.request
    code = now.exit_code or 0
    if now.error:
        return f"It could not be started or kept: {now.error}."
    if now.oom_killed and code == _KILLED:
        limit = f" of {asked.resources.memory >> 20} MiB" if asked.resources.memory else ""
        return f"It ran out of memory: the kernel killed it at its limit{limit} (exit code {code})."
    if now.stopped_by == "stop":
        if now.signal == signals.SIGKILL and container.spec.stop_signal not in ("SIGKILL", "KILL", "9"):
            return "It was stopped, and killed as it had not ended within its grace."
        return f"It was stopped, and ended with exit code {code}."
    if now.stopped_by:
        return f"It was ended by `{now.stopped_by}` (exit code {code})."
    sent = next((event.attributes.get("signal", "") for event in reversed(past) if event.action == "kill"), "")
    if now.signal:
        name = signal_name(now.signal)
        if now.signal == signals.SIGSYS:
            return f"It made a system call that its filter forbids, and was killed ({name})."
        if str(now.signal) == sent:
            return f"It ended of {name}, which `kill` had sent."
        if now.signal in _CRASHES:
            return f"It crashed: {_CRASHES[now.signal]} ({name}, exit code {code})."
        return f"It was killed by {name} (exit code {code}), which neither `stop` nor `kill` had sent."
    after = ", after the kernel had killed something in it for want of memory" if now.oom_killed else ""
    if code == 0:
        return f"Its program ended by itself, with exit code 0{after}."
    return f"Its program ended by itself, with exit code {code}{_MEANINGS.get(code, '')}{after}."


_CRASHES = {
    int(signals.SIGSEGV): "it touched memory that is not its own",
    int(signals.SIGABRT): "it gave itself up",
    int(signals.SIGBUS): "it touched memory that could not be had",
    int(signals.SIGILL): "it ran an instruction that this processor does not know",
    int(signals.SIGFPE): "an impossible calculation",
    int(signals.SIGTRAP): "a trap that nobody waited for",
}
_KILLED = 137  # 128 + SIGKILL
_MEANINGS = {
    126: ": a program that could not be executed",
    127: ": a program that was not found",
    130: ": interrupted (128 + SIGINT)",
    137: ": something in it was killed (128 + SIGKILL)",
    139: ": something in it crashed (128 + SIGSEGV)",
    143: ": it was asked to end (128 + SIGTERM)",
}


def signal_name(number: int) -> str:
    """``SIGTERM`` of 15; the number itself for one without a name."""
    try:
        return signals.Signals(number).name
    except ValueError:
        return f"signal {number}"


def usage_peak(usage: tuple[Stats, ...]) -> int:
    """The most memory of some readings, bytes."""
    return max((reading.memory or 0 for reading in usage), default=0)


def _details(container: Container, peak: int, limits: dict[str, int]) -> list[str]:
    """Facts beside the verdict."""
    now, asked = container.status, container.spec.request
    found = []
    if now.state in (State.EXITED, State.RESTARTING) and now.started_at:
        found.append(f"It had run for {max(0.0, now.finished_at - now.started_at):.1f} s.")
    if peak:
        limit = f" of {asked.resources.memory >> 20} MiB" if asked.resources.memory else ""
        found.append(f"At most {peak >> 20} MiB of memory{limit} in its last minutes.")
    said = {
        "memory": "Its memory limit held it back {}.",
        "memory_high": "It was slowed down for its memory {}.",
        "oom": "The kernel killed something in it for want of memory {}.",
        "pids": "It wanted more processes than it may have {}.",
        "cpu": "It was throttled in {} of 0.1 s.",
    }
    for name, count in limits.items():
        if name in said:
            words = f"{count} periods" if name == "cpu" else _times(count)
            found.append(said[name].format(words))
    if now.state is State.EXITED and asked.restart.name != "no" and not now.stopped_by:
        found.append(f"Its restart policy ({asked.restart.name}) did not start it again.")
    return found
