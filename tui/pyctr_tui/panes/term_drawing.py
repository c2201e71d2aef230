"""What the terminal pane draws beside a program's screen: the sessions' tabs, hints, and the line after Ctrl+]."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.segment import Segment

from pyctr_tui import glyphs
from pyctr_tui.figures import count
from pyctr_tui.widgets.draw import Line, cells, fill, fit, gap, length

if TYPE_CHECKING:
    from pyctr_tui.palette import Palette
    from pyctr_tui.terminal.copymode import CopyMode
    from pyctr_tui.terminal.tabs import Tab
    from pyctr_tui.view import ContainerView
    from pyctr_tui.widgets.line_edit import LineEdit

PREFIX_KEYS: tuple[tuple[str, str], ...] = (
    ("o", "leave"), ("d", "detach"), ("z", "zoom"), ("E", "full screen"), ("[", "look back"), ("c", "new"),
    ("n p", "other"), ("x", "end"), ("r", "record"), ("y", "take its copy"), ("R", "replay"), ("]", "send it"),
)  # fmt: skip
"""What may follow Ctrl+], the nearest first."""
LONGEST = 24


def _name(number: int, tab: Tab) -> str:
    name = f" {number} {tab.label if len(tab.label) <= LONGEST else fit(tab.label, LONGEST)}"
    return name + (" [rec]" if tab.recorder is not None else "") + marker(tab) + " "


def marker(tab: Tab) -> str:
    """What is to be known of a session that isn't simply watched here."""
    if tab.state == "away":
        return " (away)"
    if tab.state in ("ended", "lost"):
        return f" ({tab.exit_code if tab.state == 'ended' else 'lost'})"
    return f" ({count(tab.viewers, 'viewer')})" if tab.viewers > 1 else ""


def session_tabs(palette: Palette, tabs: Sequence[Tab], current: Tab | None, width: int) -> Line:
    """The sessions' names in a row; when there are too many for it, those around the one in sight."""
    shown = list(enumerate(tabs, 1))

    def drawn() -> Line:
        line: Line = []
        for number, tab in shown:
            tone = palette.tab if tab is current else palette.dim
            if tab is not current and tab.recorder is not None:
                tone = palette.bad
            line.append(Segment(_name(number, tab), tone))
        return line

    line = drawn()
    while length(line) > width and len(shown) > 1:
        at = next((at for at, (_, tab) in enumerate(shown) if tab is current), 0)
        shown.pop(0 if at > len(shown) // 2 or at == len(shown) - 1 else -1)
        line = drawn()
    return line


def tab_under(line: Line, tabs: Sequence[Tab], x: int, framed_width: int) -> Tab | None:
    """The session whose name is drawn at column ``x``; ``framed_width`` is the frame's, 0 for none."""
    at = framed_width - 3 - length(line) if framed_width else 0
    for segment in line:
        end = at + len(segment.text)
        if at <= x < end:
            number = segment.text.split()[0]
            return tabs[int(number) - 1] if number.isdigit() and int(number) <= len(tabs) else None
        at = end
    return None


def hints(palette: Palette, one: ContainerView | None, opening: bool) -> list[Line]:
    """What to do where there is no session."""
    if one is None:
        return [[], [gap(2), Segment("select a container to open a shell in it", palette.dim)]]
    if not one.state.can_exec:
        word = "paused: p lets it go on" if one.is_up else "not running: s starts it"
        return [[], [gap(2), Segment(one.name, palette.strong), Segment(f" is {word}", palette.dim)]]
    if opening:
        return [[], [gap(2), Segment(f"opening a shell in {one.name} {glyphs.ELLIPSIS}", palette.dim)]]
    keys = (
        ("e", f"a shell in {one.name}, here"),
        ("Ctrl+E", "another command, as another user"),
        ("E", "a shell over the whole screen"),
    )
    inside = (
        ("Ctrl+] o", "back to the lists; the shell runs on"),
        ("Ctrl+] d", "detaches: it runs on, also when this program ends"),
        ("Ctrl+] [", "looks back: search, select, copy"),
        ("Ctrl+]", "alone shows the rest"),
    )
    lines: list[Line] = [[]]
    lines += [[gap(2), cells(key, 11, palette.accent), Segment(text, palette.text)] for key, text in keys]
    lines += [[], [gap(2), Segment("In it every key is the program's, but", palette.dim)]]
    lines += [[gap(2), cells(key, 11, palette.accent), Segment(text, palette.dim)] for key, text in inside]
    return [*lines, [], [gap(2), Segment(f"$ pyctr-tui exec -it {one.name} sh", palette.faint)]]


def overlay(palette: Palette, tab: Tab, mode: str, copy: CopyMode | None, edit: LineEdit, width: int) -> list[Line]:
    """The last lines where something has to be said over the program's screen; none where nothing has."""
    if mode == "prefix":
        return _prefix(palette, width)
    if copy is not None:
        if mode == "search":
            return [fill([Segment(" /", palette.accent), *edit.paint(max(width - 3, 4), palette)], width)]
        return [_copying(palette, copy, width)]
    if tab.state == "opening" and tab.id:
        return [_bar(palette, f" coming back to {tab.label} {glyphs.ELLIPSIS}", width)]
    if tab.state == "away":
        return [_bar(palette, f" {tab.label} runs on {glyphs.DOT} Enter comes back to it", width)]
    if not tab.is_alive:
        return [_bar(palette, f" {tab.said} {glyphs.DOT} Enter opens another", width)]
    return []


def _bar(palette: Palette, text: str, width: int) -> Line:
    return [cells(text, width, palette.selected + palette.strong)]


def _prefix(palette: Palette, width: int) -> list[Line]:
    """All that may follow Ctrl+], in columns, over as many lines as that takes."""
    back, badge = palette.selected, " Ctrl+] "
    column = max(len(key) + len(word) for key, word in PREFIX_KEYS) + 4
    many = max((width - len(badge) - 1) // column, 1)
    lines: list[Line] = []
    for at in range(0, len(PREFIX_KEYS), many):
        line: Line = [gap(len(badge), back) if lines else Segment(badge, palette.badge), gap(1, back)]
        for key, word in PREFIX_KEYS[at : at + many]:
            line += [Segment(f" {key}", back + palette.accent)]
            line += [cells(f" {word}", column - len(key) - 1, back + palette.text)]
        lines.append([*line, gap(width - length(line), back)])
    return lines


def _copying(palette: Palette, copy: CopyMode, width: int) -> Line:
    back = palette.selected
    said = copy.said or ("selecting" if copy.anchor is not None else "")
    line: Line = [Segment(" look back ", palette.badge), Segment(f"  {said}", back + palette.warn)]
    where = f"line {copy.y + 1} of {len(copy.rows)} "
    free = width - length(line) - len(where)
    return [*line, gap(free, back), Segment(where, back + palette.text)] if free > 0 else fill(line, width)
