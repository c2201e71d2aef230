"""Colours by role: three greys, one accent, one hue per metric in two luminances, red for harm alone.

A theme is written once per depth the terminal may have (24 bit, 256, 16, none), because the nearest of 256
colours is often the same for two shades that have to differ. The tables hold colours as rich reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from rich.color import Color
from rich.style import Style

from pyctr_engine.record import dataclass

Depth = Literal["true", "256", "16", "none"]
Hue = Literal["cpu", "memory", "io", "net", "pids", "pressure"]
HUES: tuple[Hue, ...] = ("cpu", "memory", "io", "net", "pids", "pressure")


@dataclass(frozen=True, slots=True)
class Palette:
    """The styles a pane draws with. ``edge`` and ``body`` are a metric's two luminances, by its name."""

    name: str
    depth: Depth
    base: Style
    bold: Style
    strong: Style
    text: Style
    dim: Style
    faint: Style
    frame: Style
    accent: Style
    badge: Style
    selected: Style
    selected_away: Style
    tab: Style
    good: Style
    warn: Style
    bad: Style
    match: Style
    edge: Mapping[str, Style]
    body: Mapping[str, Style]


_NIGHT = {
    "back": "#10151c", "strong": "#f0f4f8", "text": "#d3dae2", "dim": "#7a8591", "faint": "#48525e",
    "frame": "#2f3945", "accent": "#4fb8c4", "selected": "#1c3a45", "away": "#19222b", "good": "#7fc98a",
    "warn": "#e0ae5d", "bad": "#e57368", "match": "#5c4a1e",
    "cpu": "#4fb8c4", "cpu_body": "#28616a", "memory": "#8fa5f2", "memory_body": "#48547f",
    "io": "#dba15c", "io_body": "#73562f", "net": "#82cc8d", "net_body": "#416b49",
    "pids": "#a9a1d3", "pids_body": "#575177", "pressure": "#e57368", "pressure_body": "#77403b",
}  # fmt: skip

_PAPER = {
    "back": "#fbfaf7", "strong": "#14181d", "text": "#2d343b", "dim": "#757e87", "faint": "#b4bbc1",
    "frame": "#cfd4d8", "accent": "#0f7583", "selected": "#d3e8ea", "away": "#eeefec", "good": "#2f8340",
    "warn": "#a66a00", "bad": "#c03529", "match": "#f6e3ac",
    "cpu": "#0f7583", "cpu_body": "#8fc3c9", "memory": "#3d56b8", "memory_body": "#a9b5e2",
    "io": "#a3620c", "io_body": "#dcbd92", "net": "#2f8340", "net_body": "#a0cda8",
    "pids": "#6a5fa8", "pids_body": "#bfb9de", "pressure": "#c03529", "pressure_body": "#e5aca6",
}  # fmt: skip

_NIGHT_256 = {
    "back": "233", "strong": "255", "text": "252", "dim": "245", "faint": "240", "frame": "237", "accent": "73",
    "selected": "23", "away": "235", "good": "114", "warn": "179", "bad": "167", "match": "58",
    "cpu": "73", "cpu_body": "23", "memory": "111", "memory_body": "60", "io": "179", "io_body": "94",
    "net": "114", "net_body": "65", "pids": "146", "pids_body": "60", "pressure": "167", "pressure_body": "88",
}  # fmt: skip

_PAPER_256 = {
    "back": "231", "strong": "232", "text": "236", "dim": "243", "faint": "250", "frame": "252", "accent": "30",
    "selected": "152", "away": "254", "good": "28", "warn": "130", "bad": "160", "match": "222",
    "cpu": "30", "cpu_body": "116", "memory": "61", "memory_body": "146", "io": "130", "io_body": "180",
    "net": "28", "net_body": "151", "pids": "97", "pids_body": "182", "pressure": "160", "pressure_body": "217",
}  # fmt: skip

_SIXTEEN = {
    "back": "default", "strong": "default", "text": "default", "dim": "default", "faint": "bright_black",
    "frame": "bright_black", "accent": "cyan", "selected": "", "away": "", "good": "green", "warn": "yellow",
    "bad": "red", "match": "", "cpu": "bright_cyan", "cpu_body": "cyan", "memory": "bright_blue",
    "memory_body": "blue", "io": "bright_yellow", "io_body": "yellow", "net": "bright_green", "net_body": "green",
    "pids": "bright_magenta", "pids_body": "magenta", "pressure": "bright_red", "pressure_body": "red",
}  # fmt: skip

_CONTRAST = {
    "back": "#000000", "strong": "#ffffff", "text": "#ffffff", "dim": "#c3c9cf", "faint": "#9aa3ac",
    "frame": "#7c858e", "accent": "#5fe3f0", "selected": "#0b4a6b", "away": "#2a2f35", "good": "#7df08c",
    "warn": "#ffd24d", "bad": "#ff8a7a", "match": "#6b5200",
    "cpu": "#5fe3f0", "cpu_body": "#1f7f8a", "memory": "#a9baff", "memory_body": "#5566b8",
    "io": "#ffc46b", "io_body": "#99701f", "net": "#7df08c", "net_body": "#2f8a3f",
    "pids": "#d3c8ff", "pids_body": "#7a6cb8", "pressure": "#ff8a7a", "pressure_body": "#a8443a",
}  # fmt: skip

_CONTRAST_256 = {
    "back": "16", "strong": "231", "text": "231", "dim": "251", "faint": "247", "frame": "245", "accent": "87",
    "selected": "24", "away": "236", "good": "120", "warn": "221", "bad": "210", "match": "58",
    "cpu": "87", "cpu_body": "30", "memory": "147", "memory_body": "62", "io": "221", "io_body": "136",
    "net": "120", "net_body": "34", "pids": "189", "pids_body": "97", "pressure": "210", "pressure_body": "131",
}  # fmt: skip

ROLES = tuple(_NIGHT)
"""What a theme has a colour for."""

_TABLES: dict[str, dict[Depth, Mapping[str, str]]] = {
    "night": {"true": _NIGHT, "256": _NIGHT_256, "16": _SIXTEEN},
    "paper": {"true": _PAPER, "256": _PAPER_256, "16": _SIXTEEN},
    "contrast": {"true": _CONTRAST, "256": _CONTRAST_256, "16": _SIXTEEN},
}


def themes(depth: Depth) -> tuple[str, ...]:
    """The names of the themes this depth has; the first is the default."""
    if depth == "none":
        return ("mono",)
    return ("terminal",) if depth == "16" else ("night", "paper", "contrast")


def palette(name: str, depth: Depth) -> Palette:
    """The styles of theme ``name`` at a colour depth; a name the depth doesn't have gives its first theme."""
    if depth == "none":
        return _mono()
    if depth == "16":
        return _sixteen()
    return coloured(name if name in _TABLES else "night", depth, table(name, depth))


def table(name: str, depth: Depth) -> Mapping[str, str]:
    """The colours of one of our themes by role; an unknown name gives the first theme's."""
    return _TABLES.get(name, _TABLES["night"])[depth]


def coloured(name: str, depth: Depth, table: Mapping[str, str]) -> Palette:
    """The styles of a table of colours, one for each of `ROLES`: ``#rrggbb``, or the number of one of 256."""
    colours = {role: Color.parse(f"color({value})" if value.isdigit() else value) for role, value in table.items()}
    back = colours["back"]

    def ink(role: str) -> Style:
        return Style(color=colours[role])

    return Palette(
        name=name,
        depth=depth,
        base=Style(color=colours["text"], bgcolor=back),
        bold=Style(bold=True),
        strong=ink("strong"),
        text=ink("text"),
        dim=ink("dim"),
        faint=ink("faint"),
        frame=ink("frame"),
        accent=ink("accent"),
        badge=Style(color=back, bgcolor=colours["accent"], bold=True),
        selected=Style(bgcolor=colours["selected"]),
        selected_away=Style(bgcolor=colours["away"]),
        tab=Style(color=colours["strong"], bgcolor=colours["selected"], bold=True),
        good=ink("good"),
        warn=ink("warn"),
        bad=ink("bad"),
        match=Style(bgcolor=colours["match"]),
        edge={hue: ink(hue) for hue in HUES},
        body={hue: ink(f"{hue}_body") for hue in HUES},
    )


def _sixteen() -> Palette:
    """Sixteen colours on the terminal's own background: shades fall together, so selection is reverse video."""

    def ink(role: str, bold: bool | None = None) -> Style:
        return Style(color=_SIXTEEN[role], bold=bold)

    return Palette(
        name="terminal",
        depth="16",
        base=Style(color="default", bgcolor="default"),
        bold=Style(bold=True),
        strong=ink("strong", bold=True),
        text=ink("text"),
        dim=ink("dim"),
        faint=ink("faint"),
        frame=ink("frame"),
        accent=ink("accent"),
        badge=Style(color="black", bgcolor="cyan"),
        selected=Style(color="default", bgcolor="default", reverse=True),
        selected_away=Style(underline=True),
        tab=Style(reverse=True, bold=True),
        good=ink("good"),
        warn=ink("warn"),
        bad=ink("bad"),
        match=Style(reverse=True),
        edge={hue: ink(hue) for hue in HUES},
        body={hue: ink(f"{hue}_body") for hue in HUES},
    )


def _mono() -> Palette:
    """No colour at all (``NO_COLOR``): weight, underline and reverse video."""
    plain, bold, dim = Style(), Style(bold=True), Style(dim=True)
    return Palette(
        name="mono",
        depth="none",
        base=plain,
        bold=bold,
        strong=bold,
        text=plain,
        dim=dim,
        faint=dim,
        frame=dim,
        accent=bold,
        badge=Style(reverse=True, bold=True),
        selected=Style(reverse=True),
        selected_away=Style(underline=True),
        tab=Style(reverse=True, bold=True),
        good=plain,
        warn=bold,
        bad=Style(bold=True, underline=True),
        match=Style(reverse=True),
        edge=dict.fromkeys(HUES, bold),
        body=dict.fromkeys(HUES, plain),
    )
