"""``stats``: what running containers use, once or live."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pyctr_engine.errors import Conflict
from pyctr_tui.cli import output, text, views
from pyctr_tui.cli.call import Call, is_terminal
from pyctr_tui.cli.options import Grammar, Option

if TYPE_CHECKING:
    from pyctr_engine.model.stats import Stats
    from pyctr_engine.model.status import Container

INTERVAL = 1.0
"""Seconds between two readings."""

_GRAMMAR = Grammar(
    "stats",
    "[CONTAINER…]",
    "Show what running containers use, once a second. 100% of CPU is one CPU's worth of time.",
    Option("--no-stream", "Once"),
    Option("-a, --all", "Those that don't run as well"),
    Option("--no-trunc", "Shorten nothing"),
    output.LIST_FORMAT,
    most=None,
)
_COLUMNS = ("ID", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs")
_HOME_AND_CLEAR = "\x1b[H\x1b[J"

Readings = Mapping[str, "Stats"]


def stats(call: Call, words: Sequence[str]) -> int:
    """``stats``: a rate needs two readings, so the first answer takes a second."""
    parsed = _GRAMMAR.parse(words)
    wanted = [call.engine.container(ref) for ref in parsed.arguments]
    for container in wanted:
        if not container.state.is_alive and not parsed.flag("all"):
            raise Conflict(f"{container.name} does not run", f"`pyctr-tui start {container.name}`")
    ids = {container.id for container in wanted}
    memory = call.engine.host_stats().memory_total
    stream = not parsed.flag("no-stream")
    before = call.engine.all_stats()
    while True:
        time.sleep(INTERVAL)
        after = call.engine.all_stats()
        shown = [
            _row(container, before.get(container.id), after.get(container.id), memory, full=parsed.flag("no-trunc"))
            for container in call.engine.containers()
            if (container.id in ids or not ids) and (container.id in after or parsed.flag("all"))
        ]
        if stream and is_terminal(1):
            sys.stdout.write(_HOME_AND_CLEAR)
        output.rows(shown, parsed.value("format"), _COLUMNS, "CONTAINER ID")
        sys.stdout.flush()
        if not stream:
            return 0
        before = after


def _row(
    container: Container, before: Stats | None, after: Stats | None, host_memory: int, *, full: bool
) -> output.Row:
    names = {
        "ID": container.id if full else views.short(container.id),
        "Container": container.id if full else views.short(container.id),
        "Name": container.name,
    }
    if after is None:
        return {
            **names,
            "CPUPerc": "--",
            "MemUsage": "-- / --",
            "MemPerc": "--",
            "NetIO": "--",
            "BlockIO": "--",
            "PIDs": 0,
        }
    limit = after.memory_limit or host_memory
    return {
        **names,
        "CPUPerc": f"{_cpu_percent(before, after):.2f}%",
        "MemUsage": f"{text.binary_size(after.memory)} / {text.binary_size(limit)}",
        "MemPerc": f"{100 * after.memory / limit if limit else 0:.2f}%",
        "NetIO": f"{text.size(after.rx_bytes)} / {text.size(after.tx_bytes)}",
        "BlockIO": f"{text.size(after.read_bytes)} / {text.size(after.write_bytes)}",
        "PIDs": after.pids,
    }


def _cpu_percent(before: Stats | None, after: Stats) -> float:
    """Of one CPU, between two readings; 0 when it has just started or started anew."""
    if before is None or after.time <= before.time or after.cpu_usec < before.cpu_usec:
        return 0.0
    return (after.cpu_usec - before.cpu_usec) / (after.time - before.time) / 1e4
