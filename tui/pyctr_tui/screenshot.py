"""The screen as an SVG picture: text in runs at their cells, braille as dots, box drawing as lines.

Fonts seldom have braille at the width of a cell, and renderers ignore the widths of runs, so nothing here is left
to them that has to line up. A line is any sequence of rich segments.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape
from itertools import groupby

from rich.color import ColorType
from rich.segment import Segment
from rich.style import Style
from rich.terminal_theme import TerminalTheme

from pyctr_tui.widgets.draw import width_of

FONT_SIZE = 15.0
CELL = FONT_SIZE * 0.60205
"""Width of a cell: DejaVu Sans Mono's advance."""
LINE = 19.0
PAD = 8.0
BAR = 30.0
FONTS = "'DejaVu Sans Mono','Liberation Mono',Menlo,Consolas,monospace"

THEME = TerminalTheme(
    (16, 21, 28), (211, 218, 226),
    [(16, 21, 28), (229, 115, 104), (127, 201, 138), (224, 174, 93), (143, 165, 242), (169, 161, 211), (79, 184, 196),
     (211, 218, 226)],
    [(72, 82, 94), (240, 140, 130), (150, 220, 160), (240, 200, 120), (165, 185, 255), (190, 182, 235),
     (110, 205, 215), (255, 255, 255)],
)  # fmt: skip

_LINES: dict[str, str] = {
    "─": "lr", "│": "ud", "╭": "dr", "╮": "dl", "╰": "ur", "╯": "ul", "├": "udr", "┤": "udl", "━": "LR", "┃": "UD",
    "┬": "dlr", "┴": "ulr", "┼": "udlr",
}  # fmt: skip
_DASHED = "╌"
_DOTS = ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3))


def svg(lines: Sequence[Iterable[Segment]], width: int, title: str = "") -> str:
    """The lines as an SVG document with a window's title bar when ``title`` is given."""
    top = (BAR if title else 0.0) + PAD
    total_width = width * CELL + 2 * PAD
    total_height = len(lines) * LINE + PAD + top
    back = _commonest(lines)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total_width:.1f} {total_height:.1f}" '
        f'width="{total_width:.0f}" height="{total_height:.0f}">',
        f"<style>.dots{{stroke-width:2.5;stroke-linecap:round;stroke-dasharray:0 {CELL / 2:.4f}}}</style>",
        f"<desc>{escape(_text(lines))}</desc>",
        f'<rect width="100%" height="100%" rx="8" fill="{back}" stroke="#30363d"/>',
    ]
    if title:
        out += _title_bar(title, total_width)
    out.append(f'<g font-family="{FONTS}" font-size="{FONT_SIZE}" xml:space="preserve">')
    for row, line in enumerate(lines):
        _draw_line(out, line, top + row * LINE, back)
    out.append("</g></svg>")
    return "\n".join(out)


def _commonest(lines: Sequence[Iterable[Segment]]) -> str:
    """The background of most cells: what the picture as a whole is painted with."""
    counted: Counter[str] = Counter()
    for line in lines:
        for text, style, control in line:
            if not control:
                counted[_colours(style)[1] or _hex(None, False)] += len(text)
    return counted.most_common(1)[0][0] if counted else _hex(None, False)


def _text(lines: Sequence[Iterable[Segment]]) -> str:
    """What stands on the screen, for readers of the source."""
    return "\n".join("".join(text for text, _, control in line if not control).rstrip() for line in lines)


def _title_bar(title: str, width: float) -> list[str]:
    lights = "".join(
        f'<circle cx="{20 + 20 * index}" cy="{BAR / 2}" r="6" fill="{colour}"/>'
        for index, colour in enumerate(("#e57368", "#e0ae5d", "#7fc98a"))
    )
    return [
        f'<path d="M0 8a8 8 0 0 1 8-8H{width - 8:.1f}a8 8 0 0 1 8 8V{BAR}H0Z" fill="#262a2f"/>',
        lights,
        f'<text x="{width / 2:.1f}" y="{BAR / 2 + 5}" text-anchor="middle" font-family="{FONTS}" font-size="13" '
        f'font-weight="bold" fill="#c8ced6">{escape(title)}</text>',
    ]


def _draw_line(out: list[str], line: Iterable[Segment], y: float, base: str) -> None:
    column = 0
    for text, style, control in line:
        if control or not text:
            continue
        fore, back = _colours(style)
        cells = width_of(text)
        x = PAD + column * CELL
        if back is not None and back != base:
            wide, tall = cells * CELL + 0.3, LINE + 0.3
            out.append(f'<rect x="{x:.2f}" y="{y:.1f}" width="{wide:.2f}" height="{tall}" fill="{back}"/>')
        _draw_text(out, text, style or Style.null(), fore, column, y)
        column += cells


def _draw_text(out: list[str], text: str, style: Style, fore: str, column: int, y: float) -> None:
    """Plain runs as text; every other character alone, at its own cell; a rule as one stroke."""
    run, start = "", column
    dots: list[tuple[int, int]] = []
    for character, group in groupby(text):
        repeated = len(list(group))
        if character == " " or character.isascii():
            if not run:
                start = column
            run += character * repeated
            column += repeated
            continue
        _put_run(out, run, style, fore, start, y)
        run = ""
        width = width_of(character)
        if "\u2800" <= character <= "\u28ff":
            dots += [(column + at, ord(character) - 0x2800) for at in range(repeated)]
        elif character in "─━" or character in _DASHED:
            out.append(_box(character, fore, column, y, repeated))
        elif character in _LINES:
            out += [_box(character, fore, column + at, y, 1) for at in range(repeated)]
        else:
            for at in range(repeated):
                _put_run(out, character, style, fore, column + at * width, y)
        column += width * repeated
    _put_run(out, run, style, fore, start, y)
    if dots:
        out.append(_braille(dots, fore, y))


def _put_run(out: list[str], text: str, style: Style, fore: str, column: int, y: float) -> None:
    column += len(text) - len(text.lstrip(" "))
    text = text.strip(" ")
    if not text:
        return
    weight = ' font-weight="bold"' if style.bold else ""
    line = ' text-decoration="underline"' if style.underline else ""
    faint = ' opacity="0.6"' if style.dim else ""
    x = PAD + column * CELL
    out.append(
        f'<text x="{x:.2f}" y="{y + LINE * 0.75:.1f}" fill="{fore}"{weight}{line}{faint}>{escape(text)}</text>'
    )


def _braille(cells: Sequence[tuple[int, int]], fore: str, y: float) -> str:
    """Cells (column, code) of one colour as dotted strokes: neighbouring dots of a row are one stroke."""
    rows: list[list[int]] = [[], [], [], []]
    for column, code in cells:
        for bit, (across, down) in enumerate(_DOTS):
            if code & (1 << bit):
                rows[down].append(2 * column + across)
    path = []
    for down, places in enumerate(rows):
        places.sort()
        start = 0
        for at in range(1, len(places) + 1):
            if at == len(places) or places[at] != places[at - 1] + 1:
                x = PAD + (places[start] / 2 + 0.25) * CELL
                long = (places[at - 1] - places[start]) * CELL / 2 + 0.05
                path.append(f"M{x:.1f} {y + LINE * (0.125 + 0.25 * down):.1f}h{long:.1f}")
                start = at
    return f'<path d="{"".join(path)}" stroke="{fore}" class="dots"/>' if path else ""


def _box(character: str, fore: str, column: int, y: float, repeated: int) -> str:
    left, middle, right = (PAD + (column + part) * CELL for part in (0, 0.5, 1))
    upper, centre, lower = y, y + LINE / 2, y + LINE
    if character in "─━" or character in _DASHED:
        dash = ' stroke-dasharray="2.4 2.1"' if character in _DASHED else ""
        heavy = 2.6 if character == "━" else 1.1
        path = f"M{left:.1f} {centre:.1f}h{repeated * CELL:.1f}"
        return f'<path d="{path}" stroke="{fore}" stroke-width="{heavy}"{dash}/>'
    ways = _LINES[character]
    heavy = 2.6 if ways.isupper() else 1.1
    ends = {"l": f"H{left:.1f}", "r": f"H{right:.1f}", "u": f"V{upper:.1f}", "d": f"V{lower:.1f}"}
    path = "".join(f"M{middle:.1f} {centre:.1f}{ends[way]}" for way in ways.lower())
    if character in "╭╮╰╯":
        vertical = lower if "d" in ways else upper
        side = right if "r" in ways else left
        path = f"M{middle:.1f} {vertical:.1f}Q{middle:.1f} {centre:.1f} {side:.1f} {centre:.1f}"
    return f'<path d="{path}" stroke="{fore}" stroke-width="{heavy}" fill="none"/>'


def _colours(style: Style | None) -> tuple[str, str | None]:
    if style is None:
        return _hex(None, True), None
    fore, back = _hex(style, True), _hex(style, False)
    if style.reverse:
        return back, fore
    has_back = style.bgcolor is not None and style.bgcolor.type is not ColorType.DEFAULT
    return fore, back if has_back else None


def _hex(style: Style | None, foreground: bool) -> str:
    colour = None if style is None else style.color if foreground else style.bgcolor
    if colour is None:
        return (THEME.foreground_color if foreground else THEME.background_color).hex
    return colour.get_truecolor(THEME, foreground=foreground).hex
