"""A plan's lines: what would be done to which container, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.segment import Segment

from pyctr_tui.safe_text import safe
from pyctr_tui.widgets.draw import Line, cells, gap

if TYPE_CHECKING:
    from pyctr_engine.model.stack import Action
    from pyctr_tui.palette import Palette

KINDS = {
    "create": ("+", "good"),
    "start": ("+", "good"),
    "recreate": ("~", "warn"),
    "stop": ("-", "warn"),
    "remove": ("-", "bad"),
    "keep": ("=", "faint"),
}


def draw_action(action: Action, width: int, palette: Palette) -> Line:
    """One action as a line of a diff."""
    symbol, tone = KINDS[action.kind]
    style = getattr(palette, tone)
    name = max(8, min(24, width // 3))
    kept = action.kind == "keep"
    return [
        gap(1),
        Segment(f"{symbol} ", style),
        cells(action.kind, 9, style),
        cells(safe(action.container), name - 1, palette.dim if kept else palette.strong),
        gap(1),
        cells(safe(action.reason), max(width - name - 13, 4), palette.faint if kept else palette.dim),
    ]
