"""Where the home screen's panes stand, from 20×8 to any size: a pure function of the terminal's size.

Three arrangements: *single* (one pane at a time under its tabs, with a peek of the selected container's figures),
*four* (lists at the left, the tabbed pane at the right) and *wide* (events and a live log join).
"""

from __future__ import annotations

from typing import Literal

from textual.geometry import Region

from pyctr_engine.record import dataclass

Arrangement = Literal["single", "four", "wide"]
LISTS = ("containers", "images", "layers")
TABS = ("graphs", "logs", "diff", "info", "ps", "term")
PANES = LISTS + TABS

PEEK = 7
"""A rule and six lines."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked of the layout.

    Attributes:
        tab: The tab shown in the right pane.
        focus: The pane with the focus.
        zoom: Whether it takes the whole body.
        containers, images, events: How many lines these would like inside their frames, header included.
        share: Tenths of the width given to or taken from the left side by ``+`` and ``-``.
    """

    tab: str = "graphs"
    focus: str = "containers"
    zoom: bool = False
    containers: int = 10
    images: int = 6
    events: int = 20
    share: int = 0


def arrangement(width: int, height: int) -> Arrangement:
    """Which of the three a terminal has room for."""
    if width < 100 or height < 28:
        return "single"
    return "wide" if width >= 160 and height >= 44 else "four"


def arrange(width: int, height: int, wish: Wish) -> dict[str, Region]:
    """Regions by pane; panes that aren't named aren't shown. ``top`` and ``foot`` are the first and last line."""
    regions = {"top": Region(0, 0, width, 1), "foot": Region(0, max(height - 1, 1), width, 1)}
    kind = arrangement(width, height)
    if kind == "single":
        regions |= _single(width, height, wish)
    elif wish.zoom:
        regions[wish.focus if wish.focus in PANES else wish.tab] = Region(0, 1, width, height - 2)
    else:
        regions |= _several(width, height, wish, wide=kind == "wide")
    return regions


def _single(width: int, height: int, wish: Wish) -> dict[str, Region]:
    regions = {"tabs": Region(0, 1, width, 1)}
    pane = wish.focus if wish.focus in PANES else wish.tab
    room = max(height - 3, 1)
    if pane in LISTS and height >= 20 and not wish.zoom:
        regions["peek"] = Region(0, height - 1 - PEEK, width, PEEK)
        room -= PEEK
    regions[pane] = Region(0, 2, width, room)
    return regions


def _several(width: int, height: int, wish: Wish, wide: bool) -> dict[str, Region]:
    body = height - 2
    left = round(width * ((0.485 if wide else 0.43) + wish.share / 20))
    left = max(40, min(left, width - 40))
    events = max(7, body // 6) if wide else 0
    lower = max(8, min(wish.images + 2, body // 3)) if wide else max(8, body - max(10, wish.containers + 2))
    lower = min(lower, max(8, body - events - 12), (body - events) * 2 // 5)
    upper = body - lower - events
    if wide and upper > wish.containers + 2:
        # Lists are as tall as their content; what is left shows more of the past.
        spare = upper - max(wish.containers + 2, 12)
        events += max(0, min(spare, wish.events + 2 - events))
        upper = body - lower - events
    images = max(18, left * 43 // 100)
    regions = {
        "containers": Region(0, 1, left, upper),
        "images": Region(0, 1 + upper, images, lower),
        "layers": Region(images, 1 + upper, left - images, lower),
    }
    strip = 0
    if wide:
        regions["events"] = Region(0, 1 + upper + lower, left, events)
        if wish.tab != "logs":
            strip = max(8, body * 3 // 10)
            regions["strip"] = Region(left, 1 + body - strip, width - left, strip)
    regions[wish.tab] = Region(left, 1, width - left, body - strip)
    return regions
