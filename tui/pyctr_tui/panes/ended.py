"""What a container that has ended shows in place of its graphs: how, when and why, and what to do."""

from __future__ import annotations

import time
from textwrap import wrap
from typing import TYPE_CHECKING

from rich.segment import Segment

from pyctr_tui import glyphs
from pyctr_tui.figures import age, count
from pyctr_tui.panes.details import draw_change
from pyctr_tui.widgets.draw import Line, fill, fit, gap

if TYPE_CHECKING:
    from pyctr_tui.palette import Palette
    from pyctr_tui.view import ContainerView, WhyView


def post_mortem(
    palette: Palette, why: WhyView | None, one: ContainerView, width: int, most: int | None = None
) -> list[Line]:
    """What the post-mortem adds: facts, who ran, what it had changed, the last lines; at ``most`` so many of each."""
    if why is None or why.id != one.id:
        return []
    lines: list[Line] = [[], *([Segment(detail, palette.text)] for detail in why.details)]
    if why.processes:
        lines += [[], [Segment("ran near its end", palette.dim)]]
        for cpu, memory, command in why.processes[:most]:
            figures = f"{cpu:>8}  {memory:>8}  "
            lines.append([Segment(figures, palette.dim), Segment(fit(command, width - 20), palette.text)])
    if why.changes:
        changes = why.changes[:most]
        more = f", the largest of {count(why.changed, 'path')}" if why.changed > len(changes) else ""
        lines += [[], [Segment(f"changed on disk{more}", palette.dim)]]
        lines += [draw_change(change, width, palette)[1:] for change in changes]
    if why.lines:
        lines += [[], [Segment("its last lines", palette.dim)]]
        lines += [[Segment(fit(line, width), palette.text)] for line in why.lines[-(most or len(why.lines)) :]]
    return [fill(line, width) for line in lines]


def ended(palette: Palette, why: WhyView | None, one: ContainerView, width: int, now: float) -> list[Line]:
    """Why there is nothing to draw, and what to do."""
    tone = palette.bad if one.failed or one.is_up else palette.dim
    known = why is not None and why.id == one.id
    told = [] if known else [gap(1), Segment(fate(one), palette.text)]
    lines: list[Line] = [[], [Segment(f"{one.symbol()} {one.name}", tone), *told]]
    if known:
        assert why is not None
        lines += [[Segment(line, palette.strong)] for line in wrap(why.verdict, max(20, width))]
    if one.finished_at:
        when = time.strftime("%H:%M:%S", time.localtime(one.finished_at))
        ran = f"{glyphs.DOT} ran {age(one.finished_at - one.started_at)}" if one.started_at else ""
        lines.append([Segment(f"at {when}, {age(now - one.finished_at)} ago {ran}", palette.dim)])
    if one.error:
        lines.append([Segment(one.error, palette.bad)])
    lines += [[], [Segment("command  ", palette.dim), Segment(one.command, palette.text)]]
    does = " stops it   " if one.is_up else " starts it   "
    lines += [[], [Segment("s", palette.accent), Segment(does, palette.dim)]]
    lines[-1] += [Segment("5", palette.accent), Segment(" its last words   ", palette.dim)]
    lines[-1] += [Segment("C", palette.accent), Segment(" keeps what it changed", palette.dim)]
    return [fill(line, width) for line in lines]


def fate(one: ContainerView) -> str:
    """How it ended, in words."""
    if one.oom:
        return "was killed by the kernel: out of memory"
    if one.exit_code is None:
        return "was never started"
    if one.exit_code > 128:
        return f"ended with exit code {one.exit_code} (signal {one.exit_code - 128})"
    return f"ended with exit code {one.exit_code}"
