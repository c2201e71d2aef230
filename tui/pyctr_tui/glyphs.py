"""The few symbols the interface is drawn with, and what stands for them where only ASCII can be shown."""

from __future__ import annotations

BRAILLE = 0x2800

RUNNING = "●"
PAUSED = "◐"
FAILED = "✖"
EXITED = "○"
CREATED = "◌"
RESTARTING = "↻"
WARNING = "▲"
NAMED = "◆"
UNUSED = "◇"
OPEN = "▾"
CLOSED = "▸"
MARK = "✓"
DASH = "–"
UP = "↑"
DOWN = "↓"
ELLIPSIS = "…"
DOT = "·"
HEALTHY = "♥"
UNHEALTHY = "✚"
LIMIT = "╌"
EVENT_LINE = "│"
BAR = "━"
BAR_REST = "─"
THUMB = "┃"
PIPE = "│"

_PLAIN = {
    "●": "*", "◐": "=", "✖": "X", "○": "o", "◌": ".", "↻": "@", "▲": "!", "◆": "#", "◇": "-", "▾": "v", "▸": ">",
    "✓": "+", "–": "-", "—": "-", "↑": "^", "↓": "v", "→": ">", "←": "<", "…": "~", "·": ".", "╌": "-", "│": "|",
    "━": "=", "─": "-", "┃": "#", "╭": "+", "╮": "+", "╰": "+", "╯": "+", "├": "|", "┤": "|", "×": "x", "♥": "+",
    "█": "#", "░": ".", "−": "-", "␤": "$", "␛": "^", "✚": "!",
}  # fmt: skip


def _plain_braille(code: int) -> str:
    """Something about as dark as the braille cell ``code`` (0 to 255)."""
    dots = code.bit_count()
    return " " if dots == 0 else "." if dots <= 2 else ":" if dots <= 5 else "#"


ASCII: dict[int, str] = {
    **{ord(symbol): plain for symbol, plain in _PLAIN.items()},
    **{BRAILLE + code: _plain_braille(code) for code in range(256)},
    **{0x2400 + code: "^" for code in range(0x20)},
}
"""For ``str.translate``: one cell for one cell."""
