"""How changed cells are written to the terminal: those alone, and no more colour than changed.

Textual sends a changed widget's line from its left edge, each piece with its whole style and a reset after it. Here
a line begins where it changed, and a style tells only how it differs from the one before: a third of the bytes,
which is what counts on a slow line. Takes the place of a private method, so it leans on the pinned release.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from rich.style import Style
from textual import screen as textual_screen
from textual._compositor import ChopsUpdate
from textual.screen import Screen

if TYPE_CHECKING:
    from rich.color import ColorSystem
    from rich.console import Console

Codes = tuple[str, str, str]
"""SGR parameters of attributes, foreground and background; empty for none."""

RESET = "\x1b[0m"
FRAME = 1 / 120
"""Seconds between two frames. Textual's 1/60 holds up what a key did for up to two frames after the one before."""


@lru_cache(maxsize=4096)
def codes(style: Style, system: ColorSystem) -> Codes:
    """A style's SGR parameters. Source: ECMA-48, 8.3.117."""
    front = ";".join(style.color.downgrade(system).get_ansi_codes()) if style.color is not None else ""
    back = ";".join(style.bgcolor.downgrade(system).get_ansi_codes(foreground=False)) if style.bgcolor else ""
    return style.without_color._make_ansi_codes(system), front, back


@lru_cache(maxsize=8192)
def change(before: Codes | None, after: Codes) -> str:
    """The sequence that makes one style of another; ``before`` is ``None`` after a reset."""
    if before == after:
        return ""
    if before is None or before[0] != after[0]:
        given = ";".join(part for part in after if part)
        if before is None and not given:
            return ""
        return f"\x1b[{'0;' if before is not None else ''}{given}m" if given else RESET
    parts = []
    if before[1] != after[1]:
        parts.append(after[1] or "39")
    if before[2] != after[2]:
        parts.append(after[2] or "49")
    return f"\x1b[{';'.join(parts)}m"


def render(update: ChopsUpdate, console: Console) -> str:
    """What to write for an update of parts of the screen."""
    out: list[str] = []
    style: Codes | None = None
    system = console._color_system
    plain = ("", "", "")
    for y, first, last in update.spans:
        for end, (x, strip) in zip(update.chop_ends[y], update.chops[y].items(), strict=False):
            if strip is None or x >= last or end <= first:
                continue
            start = max(x, first)
            out.append(f"\x1b[{y + 1};{start + 1}H")
            for segment in strip.crop(start - x, min(end, last) - x):
                if segment.control or not segment.text:
                    continue
                after = codes(segment.style, system) if segment.style and system is not None else plain
                out.append(change(style, after))
                out.append(segment.text)
                style = after
    if style not in (None, plain):
        out.append(RESET)
    return "".join(out)


def refresh(screen: Screen[Any]) -> None:
    """Take the place of `Screen._compositor_refresh`: of what is under a dialog only what has changed is drawn.

    Textual draws the whole screen for each such change: 63 KB for a clock that moves on.
    """
    app, changed = screen.app, screen._compositor._dirty_regions
    if app.is_inline or screen is app.screen or screen not in app._background_screens:
        _refresh(screen)
    elif changed:
        regions = tuple(changed)
        changed.clear()
        screen._dirty_widgets.clear()
        top = app.screen  # not its `refresh`: that forgets what else of the dialog waits to be drawn
        top._set_dirty(*regions)
        top._dirty_widgets.add(top)
        top._update_timer.resume()


_refresh = Screen._compositor_refresh


def install() -> None:
    """Have Textual write updates so."""
    textual_screen.UPDATE_PERIOD = FRAME  # type: ignore[misc]
    ChopsUpdate.render_segments = render  # type: ignore[method-assign,assignment]
    Screen._compositor_refresh = refresh  # type: ignore[method-assign,assignment]
