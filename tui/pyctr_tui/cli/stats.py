"""``stats``: what running containers use, once or live."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pyctr_engine.errors import Conflict
from pyctr_engine.model.rates import between
from pyctr_tui.cli import output, text, views
from pyctr_tui.cli.call import Call, is_terminal
from pyctr_tui.cli.options import Grammar, Option

if TYPE_CHECKING:
    from pyctr_engine.model.stats import HostStats, Stats
    from pyctr_engine.model.status import Container

INTERVAL = 1.0
"""Seconds between two readings."""

_GRAMMAR = Grammar(
    "stats",
    "[CONTAINER…]",
    "Show what running containers use, once a second. 100% of CPU is one core busy all the time, as in docker: two\n"
    "busy cores are 200%. With --of-limit 100% is all that a container may have: its limit of CPU time, or all\n"
    "cores of this machine. Memory is the working set: what is charged but for file pages not used for a while.",
    Option("--of-limit", "CPU as a share of the container's limit, or of the whole machine"),
    Option("--no-stream", "Once"),
    Option("-a, --all", "Those that don't run as well"),
    Option("--no-trunc", "Shorten nothing"),
    output.LIST_FORMAT,
    most=None,
)
_COLUMNS = ("ID", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs")
_OF_LIMIT = tuple("CPULimitPerc" if column == "CPUPerc" else column for column in _COLUMNS)
_UNKNOWN = "--"
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
    host = call.engine.host_stats()
    columns = _OF_LIMIT if parsed.flag("of-limit") else _COLUMNS
    stream = not parsed.flag("no-stream")
    before = call.engine.all_stats()
    while True:
        time.sleep(INTERVAL)
        after = call.engine.all_stats()
        shown = [
            _row(container, before.get(container.id), after.get(container.id), host, full=parsed.flag("no-trunc"))
            for container in call.engine.containers()
            if (container.id in ids or not ids) and (container.id in after or parsed.flag("all"))
        ]
        if stream and is_terminal(1):
            sys.stdout.write(_HOME_AND_CLEAR)
        output.rows(shown, parsed.value("format"), columns, "CONTAINER ID")
        sys.stdout.flush()
        if not stream:
            return 0
        before = after


def _row(
    container: Container, before: Stats | None, after: Stats | None, host: HostStats, *, full: bool
) -> output.Row:
    names = {
        "ID": container.id if full else views.short(container.id),
        "Container": container.id if full else views.short(container.id),
        "Name": container.name,
    }
    if after is None:
        return {
            **names,
            "CPUPerc": _UNKNOWN,
            "CPULimitPerc": _UNKNOWN,
            "MemUsage": f"{_UNKNOWN} / {_UNKNOWN}",
            "MemPerc": _UNKNOWN,
            "NetIO": _UNKNOWN,
            "BlockIO": _UNKNOWN,
            "PIDs": 0,
        }
    rate = between(before, after)
    limit = after.memory_limit or host.memory_total
    used = after.memory if after.working_set is None else after.working_set
    return {
        **names,
        "CPUPerc": f"{rate.cpu_percent:.2f}%",
        "CPULimitPerc": f"{rate.cpu_percent_of(after.cpu_limit or host.cpus):.2f}%",
        "MemUsage": f"{_UNKNOWN if used is None else text.binary_size(used)} / {text.binary_size(limit)}",
        "MemPerc": _UNKNOWN if used is None else f"{100 * used / limit if limit else 0:.2f}%",
        "NetIO": f"{text.size(after.rx_bytes)} / {text.size(after.tx_bytes)}",
        "BlockIO": f"{_size(after.read_bytes)} / {_size(after.write_bytes)}",
        "PIDs": _UNKNOWN if after.pids is None else after.pids,
    }


def _size(value: int | None) -> str:
    return _UNKNOWN if value is None else text.size(value)
