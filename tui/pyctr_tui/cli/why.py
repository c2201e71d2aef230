"""``inspect --why``: the post-mortem of a container, for people or as JSON."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from pyctr_engine.model.past import as_tree
from pyctr_engine.model.rates import between
from pyctr_engine.record import asdict
from pyctr_tui.cli import output, text, views
from pyctr_tui.cli.call import Call

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyctr_engine.model.past import PostMortem
    from pyctr_engine.model.stats import Stats
    from pyctr_engine.model.status import Container

_BARS = "▁▂▃▄▅▆▇█"
_ASCII_BARS = "_.-=+*#@"
_WIDTH = 60


def why(call: Call, names: Sequence[str], format: str) -> int:
    """Show each one's; with ``--format json`` as one array."""
    found = [(call.engine.container(name), call.engine.why(name)) for name in names]
    if format:
        rows = [{"Id": container.id, "Name": container.name, **asdict(mortem)} for container, mortem in found]
        if format == "json":
            output.json_value(rows)
        else:
            output.rows(rows, format, ())
        return 0
    for number, (container, mortem) in enumerate(found):
        if number:
            output.line("")
        output.lines(_lines(container, mortem, call.ascii))
    return 0


def _lines(container: Container, mortem: PostMortem, ascii: bool) -> Iterator[str]:
    now = time.time()
    yield f"{container.name}  {views.status_text(container, now)}"
    yield f"  {mortem.verdict}"
    for detail in mortem.details:
        yield f"  {detail}"
    if len(mortem.usage) > 1:
        yield ""
        yield f"Use, the last {text.duration(mortem.usage[-1].time - mortem.usage[0].time).lower()}:"
        yield from _graphs(mortem.usage, ascii)
    if mortem.processes:
        yield ""
        yield f"Processes, {_moment(mortem.processes_at)}:"
        width = max(len(str(process.pid)) for process in mortem.processes)
        for depth, process in as_tree(mortem.processes):
            spent, held = f"{process.cpu_seconds:.1f} s", text.binary_size(process.rss)
            command = "  " * depth + text.harmless(process.command)
            yield f"  {process.pid:>{width}}  {spent:>9}  {held:>9}  {command}"
    if mortem.health:
        yield ""
        yield "Health checks:"
        for result in mortem.health:
            said = result.output.strip().splitlines()
            yield f"  {_moment(result.started)}  {result.exit_code:>3}  {said[0] if said else ''}"
    if mortem.changes:
        yield ""
        yield f"Changed on disk, {mortem.changed} in all, the largest:"
        for change in mortem.changes:
            yield f"  {change.kind} {text.size(change.size):>8}  {change.path}"
    if mortem.logs:
        yield ""
        yield "Its last lines:"
        for line in mortem.logs:
            yield f"  {_moment(line.time)}  {text.harmless(line.text)}"
    if mortem.events:
        yield ""
        yield "What happened:"
        for event in mortem.events:
            told = ", ".join(f"{key}={value}" for key, value in sorted(event.attributes.items()))
            yield f"  {_moment(event.time)}  {event.action}{f' ({told})' if told else ''}"


def _moment(when: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(when)) if when else "-"


def _graphs(usage: Sequence[Stats], ascii: bool) -> Iterator[str]:
    """A line of bars for CPU and for memory, scaled to their own highest."""
    cpu = [between(before, after).cpu for before, after in pairwise(usage)]
    memory = [float(reading.memory or 0) for reading in usage]
    yield f"  cpu     {_bars(cpu, ascii)}  at most {max(cpu) * 100:.0f}% of a CPU"
    limit = usage[-1].memory_limit
    yield (
        f"  memory  {_bars(memory, ascii)}  at most {text.binary_size(max(memory))}"
        + (f" of {text.binary_size(limit)}" if limit else "")
    )


def _bars(values: Sequence[float], ascii: bool) -> str:
    shown = list(values[-_WIDTH:])
    top = max(*shown, 1e-9)
    bars = _ASCII_BARS if ascii else _BARS
    return "".join(bars[min(len(bars) - 1, int(value / top * len(bars)))] for value in shown)
