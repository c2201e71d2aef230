"""Strings that strangers could put into names, labels, logs, paths and commands."""

from __future__ import annotations

CORPUS: tuple[str, ...] = (
    "\x1b]52;c;c3RvbGVu\x07",  # fill the clipboard
    "\x1b]0;owned\x07",  # set the title
    "\x1b[2J\x1b[H",  # clear the screen
    "\x9b31mred",  # CSI as one C1 character
    "\x90q\x9c",  # DCS
    "\x00\x07\x08\x7f",
    "over\rwritten",
    "two\nlines",
    "tab\there",
    "\u202egnp.exe\u202c",  # right-to-left override
    "\u2066\u2069\u200f\u061c",
    "zero\u200bwidth\u200d\u2060\ufeff",
    "a" + "\u0301" * 300,  # a flood of accents
    "\u0301leading",
    "[/nope] [bold]x[/bold] [@click=app.exit]y[/]",  # markup
    "👨\u200d👩\u200d👧\u200d👦 👍🏽 ❤\ufe0f 🇩🇪",
    "日本語のコンテナ",
    "\ud800\udfff \udc80\udcff",  # undecodable bytes
    "\ue000\U000f0000\U000e0041",  # private use, tags
    "ﷺ" * 5,
    "x" * 5000,
    "\u2028line\u2029paragraph\u0085next",
    "",
    " ",
)

FORBIDDEN = frozenset(
    [chr(code) for code in (*range(32), *range(0x7F, 0xA0))]
    + list("\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff\u061c")
    + list("\u2028\u2029\ufe0f")
)


def harmless(text: str) -> bool:
    """Whether no character of ``text`` does more than stand in its cell."""
    if any(character in FORBIDDEN or "\ud800" <= character <= "\udfff" for character in text):
        return False
    run = 0
    for character in text:
        run = run + 1 if "\u0300" <= character <= "\u036f" else 0
        if run > 2:
            return False
    return True
