"""All themes that can be chosen: ours, Textual's own mapped onto our roles, and the user's.

Textual's name a handful of colours; the greys, the metrics' two luminances and the selection are made from them here,
and moved towards black or white until they can be read (contrast as WCAG 2.2 computes it: 4.5 for text, 3 for what is
dim). For 256 colours each becomes the nearest one that can be read as well.
"""

from __future__ import annotations

import colorsys
from collections.abc import Callable, Mapping
from functools import lru_cache

from pyctr_tui.palette import HUES, ROLES, Depth, Palette, coloured, palette, table, themes
from pyctr_tui.settings.table import OWN_THEMES, TEXTUAL_THEMES, UserTheme

READABLE, VISIBLE = 4.5, 3.0
"""The least contrast of text with what is behind it, and of dim text and of marks."""
Rgb = tuple[int, int, int]

_LEAST: dict[str, float] = {
    "strong": 7.0, "text": READABLE, "dim": VISIBLE, "accent": READABLE, "good": READABLE, "warn": READABLE,
    "bad": READABLE, **dict.fromkeys(map(str, HUES), VISIBLE), "faint": 1.6, "frame": 1.2,
}  # fmt: skip


class Themes:
    """What there is at a colour depth. ``mine`` are the user's, by name."""

    def __init__(self, depth: Depth, mine: Mapping[str, UserTheme]) -> None:
        self.depth = depth
        self.mine = mine

    @property
    def names(self) -> tuple[str, ...]:
        """All of them; with 16 colours or none there is but one, the terminal's own."""
        own = themes(self.depth)
        return own if self.depth in ("16", "none") else (*own, *self.mine, *TEXTUAL_THEMES)

    def short(self, configured: str) -> tuple[str, ...]:
        """Those that the key goes through: ours, and the configured one."""
        own = themes(self.depth)
        return (*own, configured) if configured in self.names and configured not in own else own

    def palette(self, name: str) -> Palette:
        """The styles of a theme; an unknown name gives the first one's."""
        if self.depth in ("16", "none") or name not in self.names or name in OWN_THEMES:
            return palette(name, self.depth)
        theme = self.mine.get(name)
        colours = dict(_base(name, self.depth)) if theme is None else dict(_base(theme.base, self.depth))
        if theme is not None:
            colours.update(theme.colours if self.depth == "true" else _quantised_some(theme.colours))
        return coloured(name, self.depth, colours)


def _base(name: str, depth: Depth) -> Mapping[str, str]:
    if name in OWN_THEMES:
        return table(name, depth)
    colours = mapped(name)
    return colours if depth == "true" else quantised(colours)


# -- Textual's ----------------------------------------------------------------------------------------------------


@lru_cache(maxsize=32)
def mapped(name: str) -> Mapping[str, str]:
    """One of Textual's themes as a table of our roles, readable."""
    from textual.color import Color
    from textual.theme import BUILTIN_THEMES

    made = BUILTIN_THEMES[name].to_color_system().generate()

    def of(key: str) -> Rgb:
        return Color.parse(made[key]).rgb

    back, text = of("background"), of("foreground")
    text = readable(text, back, READABLE + 1.5)
    accent = readable(of("primary"), back, READABLE)
    good, warn, bad = (readable(of(key), back, READABLE) for key in ("success", "warning", "error"))
    colours: dict[str, Rgb] = {
        "back": back, "text": text, "strong": readable(text, back, 9.0), "accent": accent,
        "dim": readable(mix(text, back, 0.45), back, VISIBLE + 0.6),
        "faint": readable(mix(text, back, 0.68), back, 1.8),
        "frame": readable(mix(text, back, 0.8), back, 1.3), "good": good, "warn": warn, "bad": bad,
        "selected": _under(accent, text, back, (0.3, 0.26, 0.22, 0.18, 0.14, 0.1)),
        "away": _under(text, text, back, (0.1, 0.08, 0.06)),
        "match": _under(warn, text, back, (0.4, 0.32, 0.26, 0.2, 0.14)),
    }  # fmt: skip
    edges = (accent, of("secondary"), warn, good, of("accent"), bad)
    seen = [bad]
    for hue, edge in zip(HUES, edges, strict=True):
        if hue != "pressure":  # red is for harm, whatever else has come near it
            edge = _apart(edge, seen)
        edge = readable(edge, back, VISIBLE + 0.8)
        seen.append(edge)
        colours[hue], colours[f"{hue}_body"] = edge, mix(edge, back, 0.52)
    return {role: hexed(colours[role]) for role in ROLES}


def _under(tint: Rgb, text: Rgb, back: Rgb, shares: tuple[float, ...]) -> Rgb:
    """A background with as much of ``tint`` as text on it can bear."""
    for share in shares:
        under = mix(back, tint, share)
        if contrast(text, under) >= READABLE:
            return under
    return mix(back, tint, shares[-1])


def _apart(colour: Rgb, others: list[Rgb]) -> Rgb:
    """The colour, turned on the wheel until it is none of the others."""
    for turn in range(9):
        hue, light, saturation = colorsys.rgb_to_hls(*(part / 255 for part in colour))
        red, green, blue = colorsys.hls_to_rgb((hue + turn / 9) % 1, light, max(saturation, 0.3 if turn else 0))
        turned = (round(red * 255), round(green * 255), round(blue * 255))
        if all(_distance(turned, other) > 2500 for other in others):
            return turned
    return colour


# -- readable -----------------------------------------------------------------------------------------------------


def luminance(colour: Rgb) -> float:
    """Relative luminance, 0 to 1 (WCAG 2.2)."""
    linear = [part / 255 / 12.92 if part <= 10 else ((part / 255 + 0.055) / 1.055) ** 2.4 for part in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: Rgb, other: Rgb) -> float:
    """The contrast of two colours, 1 to 21 (WCAG 2.2)."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def readable(colour: Rgb, back: Rgb, least: float) -> Rgb:
    """The colour, moved towards black or white until its contrast with ``back`` is at least ``least``."""
    ends: tuple[Rgb, Rgb] = ((0, 0, 0), (255, 255, 255))
    end = max(ends, key=lambda one: contrast(one, back))
    for step in range(41):
        moved = mix(colour, end, step / 40)
        if contrast(moved, back) >= least:
            return moved
    return end


def mix(one: Rgb, other: Rgb, share: float) -> Rgb:
    """``one`` with a share of ``other`` in it."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


# -- 256 ----------------------------------------------------------------------------------------------------------


def rgb_of(colour: str) -> Rgb:
    """A colour of a table: ``#rrggbb``, or the number of one of 256 from 16 on."""
    if colour.startswith("#"):
        return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
    number = int(colour)
    if number >= 232:
        grey = 8 + (number - 232) * 10
        return grey, grey, grey
    number -= 16
    levels = (0, 95, 135, 175, 215, 255)
    return levels[number // 36], levels[number // 6 % 6], levels[number % 6]


def hexed(colour: Rgb) -> str:
    """A colour as ``#rrggbb``."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


_ALL = {str(number): rgb_of(str(number)) for number in range(16, 256)}


def _distance(one: Rgb, other: Rgb) -> int:
    """How far two colours are from each other to the eye, about."""
    return sum(weight * (a - b) ** 2 for weight, a, b in zip((2, 4, 3), one, other, strict=True)) // 3


def _nearest(colour: Rgb, fits: Callable[[str], bool] = lambda number: True) -> str:
    numbers = sorted(_ALL, key=lambda number: _distance(_ALL[number], colour))
    return next((number for number in numbers if fits(number)), numbers[0])


def _quantised_some(colours: Mapping[str, str]) -> dict[str, str]:
    return {role: _nearest(rgb_of(colour)) for role, colour in colours.items()}


def quantised(colours: Mapping[str, str]) -> Mapping[str, str]:
    """A table for 256 colours: the nearest that can be read, shades that have to differ kept apart."""
    wanted = {role: rgb_of(colour) for role, colour in colours.items()}
    out = {"back": _nearest(wanted["back"])}
    back = _ALL[out["back"]]
    for role, least in _LEAST.items():
        out[role] = _nearest(wanted[role], lambda number, least=least: contrast(_ALL[number], back) >= least)  # type: ignore[misc]
    text = _ALL[out["text"]]

    def under(*taken: str) -> Callable[[str], bool]:
        return lambda number: number not in taken and contrast(_ALL[number], text) >= READABLE

    out["selected"] = _nearest(wanted["selected"], under(out["back"]))
    out["away"] = _nearest(wanted["away"], under(out["back"], out["selected"]))
    out["match"] = _nearest(wanted["match"], under(out["back"], out["selected"], out["away"]))
    for hue in HUES:
        out[f"{hue}_body"] = _nearest(
            wanted[f"{hue}_body"],
            lambda number, hue=hue: number not in (out[hue], out["back"]),  # type: ignore[misc]
        )
    return {role: out[role] for role in ROLES}
