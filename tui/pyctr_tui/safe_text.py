"""Outside text made harmless: the one door through which names, paths, logs and commands come to the screen.

What a container, an image or a stack file calls itself is chosen by strangers. Sent raw, it could move the
cursor, set the title, fill the clipboard, or turn the line around. Here every character that does more than
stand in its cell is shown as a symbol or dropped, so that a string's width is what the layout thinks it is.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyctr_engine.errors import EngineError

MAX_MARKS = 2
"""Combining marks kept on one character: enough for living languages, too few for a flood."""

REMEMBERED = 512
"""Characters of the longest text whose harmless form is remembered."""
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

_SGR = re.compile(r"\x1b\[[0-9;:]*m")
_DROPPED = frozenset("\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180e\u2060\u2061\u2062\u2063\u2064\u3164\ufeff\uffa0")
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_BIDI_SYMBOL = "\N{MIDDLE DOT}"
_LINE_BREAKS = {"\u2028": "\N{SYMBOL FOR NEWLINE}", "\u2029": "\N{SYMBOL FOR NEWLINE}"}
_REGIONAL_A = 0x1F1E6
_CONTROL_PICTURES = 0x2400


def safe(text: str) -> str:
    """The same text as one harmless line: controls as ``␛`` and the like, no bidi, no zero width, few marks."""
    if text.isascii() and text.isprintable():
        return text
    return _remembered(text) if len(text) <= REMEMBERED else _safe(text)


def safe_log(text: str, tab: int = 8) -> str:
    """As `safe`, for what a program prints: colours dropped, tabs expanded, ``\\r`` as a terminal would show it."""
    if text.isascii() and text.isprintable():
        return text
    if "\x1b" in text:
        text = _SGR.sub("", text)
    text = text.rstrip("\r")
    if "\r" in text:
        text = text.rpartition("\r")[2]
    if "\t" in text:
        text = text.expandtabs(tab)
    return safe(text)


def safe_error(error: EngineError) -> str:
    """The sentence of an error and its hint, in one harmless line."""
    return safe(f"{error.message} · {error.hint}" if error.hint else error.message)


def _safe(text: str) -> str:
    out: list[str] = []
    marks = 0
    for character in text:
        if character.isascii() and character.isprintable():
            out.append(character)
            marks = 0
            continue
        category = unicodedata.category(character)
        if category in ("Mn", "Me"):
            if _is_variation(character) or not out or marks >= MAX_MARKS:
                continue
            marks += 1
            out.append(character)
            continue
        shown = _symbol(character, category)
        if shown:
            marks = 0
            out.append(shown)
    return "".join(out)


_remembered = lru_cache(maxsize=4096)(_safe)


def _is_variation(character: str) -> bool:
    """Whether it only chooses a glyph: an emoji's width would change under the layout's feet."""
    return "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef"


def _symbol(character: str, category: str) -> str:
    """What to show for one character that is not plain ASCII and no combining mark."""
    code = ord(character)
    if category == "Cc":
        if code < 0x20:
            return chr(_CONTROL_PICTURES + code)
        return "\N{SYMBOL FOR DELETE}" if code == 0x7F else REPLACEMENT
    if character in _BIDI:
        return _BIDI_SYMBOL
    if character in _DROPPED:
        return ""
    if character in _LINE_BREAKS:
        return _LINE_BREAKS[character]
    if category == "Cf":
        return ""
    if category in ("Cs", "Co", "Cn"):
        return REPLACEMENT
    if category == "Zs":
        return " "
    if _REGIONAL_A <= code < _REGIONAL_A + 26:
        # A pair of these is one flag in some terminals and two letters in others.
        return chr(ord("A") + code - _REGIONAL_A)
    if 0x1F3FB <= code <= 0x1F3FF:
        return ""  # skin tones join the emoji before them in some terminals
    if 0x1160 <= code <= 0x11FF or 0xD7B0 <= code <= 0xD7FF:
        return REPLACEMENT  # Jamo that join into a syllable
    if category == "Mc":
        return REPLACEMENT  # spacing marks: terminals disagree about their width
    return character
