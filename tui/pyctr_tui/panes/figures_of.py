"""What stands above a graph: its figures, the fullest way to say them first.

100% of cpu is one CPU unless chosen otherwise; which it is, is always said.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich.segment import Segment
from rich.style import Style

from pyctr_tui import glyphs
from pyctr_tui.figures import cpus, percent, size
from pyctr_tui.panes.charts import PRESSURES
from pyctr_tui.widgets.draw import Line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyctr_tui.palette import Hue
    from pyctr_tui.panes.charts import Charts

Texts = tuple[list[Line], list[Line]]
"""Ways to say it, at the left and at the right; of each the first that fits is taken."""


def texts_of(charts: Charts, hue: Hue) -> Texts:
    """The figures of a graph."""
    return _TEXTS[hue](charts)


def _cpu(charts: Charts) -> Texts:
    palette, store = charts.palette, charts.store
    used, limit = charts.value("cpu"), charts.limit("cpu_limit")
    host = charts.host.cpus if charts.host else 0
    shares = {"cpu": f"{percent(used * 100)} of 1 CPU"}
    if limit and not charts.subject.is_host:
        whose = "its limit" if charts.subject.is_one else "their limits"
        shares["limit"] = f"{percent(100 * used / limit)} of {whose} {cpus(limit)}"
    if host:
        its = f"its {host} CPUs" if charts.subject.is_host else f"the host's {host}"
        shares["host"] = f"{percent(100 * used / host)} of {its}"
    first = store.basis if store.basis in shares else "cpu"
    if charts.subject.is_host and host:
        first = "host"
    said = [shares.pop(first), *shares.values()]
    busy = used >= 0.0005
    texts: list[Line] = []
    for count in range(len(said), 0, -1):
        line: Line = [Segment(said[0], palette.strong if busy else palette.dim)]
        line += [Segment(f" {glyphs.DOT} {text}", palette.text if busy else palette.dim) for text in said[1:count]]
        texts.append(line)
    texts.append([Segment(said[0].partition(" ")[0], palette.strong if busy else palette.dim)])
    throttled = charts.value("throttled")
    if throttled >= 0.05:
        return texts, [[Segment(f"throttled {percent(throttled)}", palette.bad)]]
    if charts.subject.is_host:
        return texts, [_share_of_containers(charts, "cpu"), charts.top_text("cpu")]
    return texts, [charts.top_text("cpu")]


def _share_of_containers(charts: Charts, metric: str) -> Line:
    values = [charts.value(metric, id) for id in charts.store.by_id]
    total = sum(value for value in values if value == value)
    told = percent(total * 100) if metric == "cpu" else size(total) if metric == "memory" else f"{total:.0f}"
    return [Segment(f"containers {told}", charts.palette.dim)]


def _memory(charts: Charts) -> Texts:
    palette = charts.palette
    used, limit = charts.value("memory"), charts.limit("memory_limit")
    full = limit is not None and used > 0.85 * limit
    text: Line = [Segment(size(used), palette.bad if full else palette.strong)]
    if limit is not None:
        text.append(Segment(f" of {size(limit)}", palette.text))
    texts = [text]
    if limit:
        texts.insert(0, [*text, Segment(f" {glyphs.DOT} {percent(100 * used / limit)}", palette.text)])
    if charts.subject.is_host:
        return texts, [_share_of_containers(charts, "memory")]
    anon, file, kernel = (size(charts.value(part)) for part in ("anon", "file", "kernel"))
    dot = glyphs.DOT
    # The first cell of each is the texture of its band.
    parts = (
        f"⣿ anon {anon} {dot} ⡪ file {file} {dot} ⣒ kernel {kernel}",
        f"anon {anon} {dot} file {file} {dot} kernel {kernel}",
        f"anon {anon} {dot} file {file}",
        f"anon {anon}",
    )
    return texts, [[Segment(part, palette.dim)] for part in parts]


def _io(charts: Charts) -> Texts:
    return _both(charts, "io", ("r", "read"), ("w", "write"))


def _net(charts: Charts) -> Texts:
    return _both(charts, "net", (glyphs.DOWN, "rx"), (glyphs.UP, "tx"))


def _both(charts: Charts, hue: Hue, first: tuple[str, str], second: tuple[str, str]) -> Texts:
    palette = charts.palette
    one, two = charts.value(first[1]), charts.value(second[1])
    line: Line = [
        Segment(f"{first[0]} {rate(one)}", palette.strong if one >= 1 else palette.dim),
        Segment(f" {glyphs.DOT} ", palette.dim),
        Segment(f"{second[0]} {rate(two)}", palette.strong if two >= 1 else palette.dim),
    ]
    top = charts.top_text(hue)
    texture = Segment(f"⣿ {first[0]} ⡪ {second[0]}", palette.faint)
    if one >= 1 and two >= 1:
        return [line], [[texture, Segment("  ", palette.faint), *top] if top else [texture], top]
    return [line], [top]


def _pids(charts: Charts) -> Texts:
    palette = charts.palette
    limit = charts.limit("pids_limit")
    text = [Segment(f"{charts.value('pids'):.0f}", palette.strong)]
    if limit is not None:
        text.append(Segment(f" of {limit:.0f}", palette.text))
    if charts.subject.is_host:
        return [[*text, Segment(" tasks", palette.text)], text], [_share_of_containers(charts, "pids")]
    return [text], [charts.top_text("pids")]


def _pressure(charts: Charts) -> Texts:
    palette = charts.palette
    short: Line = []
    long: Line = []
    for of in PRESSURES:
        some, full = charts.value(f"psi_{of}"), charts.value(f"full_{of}")
        name = "mem" if of == "memory" else of
        style = palette.strong if some >= 0.05 else palette.dim
        for line in (short, long):
            if line:
                line.append(Segment(f" {glyphs.DOT} ", palette.dim))
            line.append(Segment(f"{name} {glyphs.DASH if math.isnan(some) else f'{some:.1f}'}", style))
        if full >= 0.05:
            long.append(Segment(f" all {full:.1f}", palette.bad))
    return [long, short], [[Segment("% of 10 s some waited", palette.faint)], [Segment("% waiting", palette.faint)]]


_TEXTS = {"cpu": _cpu, "memory": _memory, "io": _io, "net": _net, "pids": _pids, "pressure": _pressure}


def legend(charts: Charts, hue: Hue, styles: Sequence[Style]) -> Line:
    """Of each line its number, whose it is, and its figure; how many there was no room for."""
    line: Line = []
    by_id = charts.store.by_id
    for number, id in enumerate(charts.drawn):
        if line:
            line.append(Segment("  ", None))
        name = by_id[id].label if id in by_id else id[:12]
        line.append(Segment(f"{number + 1} {name} ", styles[number % len(styles)]))
        line.append(Segment(figure(charts, hue, id), charts.palette.text))
    more = sum(id in charts.store.rings for id in charts.subject.ids) - len(charts.drawn)
    if more:
        line.append(Segment(f"  +{more} not drawn", charts.palette.dim))
    return line


def figure(charts: Charts, hue: Hue, id: str) -> str:
    """One container's figure in a graph, short."""
    if hue in ("io", "net"):
        names = ("read", "write") if hue == "io" else ("rx", "tx")
        return rate(sum(value for name in names if (value := charts.value(name, id)) == value))
    if hue == "pressure":
        worst = max((v for of in PRESSURES if (v := charts.value(f"psi_{of}", id)) == v), default=math.nan)
        return glyphs.DASH if math.isnan(worst) else f"{worst:.1f}%"
    value = charts.value(hue, id)
    if math.isnan(value):
        return glyphs.DASH
    if hue == "cpu":
        basis = charts.store.basis
        whole = charts.value("cpu_limit", id) if basis == "limit" else math.nan
        if basis != "cpu" and not whole > 0:
            whole = charts.host.cpus if charts.host else math.nan
        return percent(100 * value / whole if whole > 0 else 100 * value)
    return size(value) if hue == "memory" else f"{value:.0f}"


def rate(value: float) -> str:
    """Bytes a second; ``0`` when nothing moves."""
    if math.isnan(value):
        return glyphs.DASH
    return f"{size(value)}/s" if value >= 1 else "0"
