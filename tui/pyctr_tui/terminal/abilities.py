"""What the terminal can show: colours, characters, or nothing at all. Decided from the environment, once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyctr_tui.palette import Depth

_TRUE = ("truecolor", "24bit")
_TRUE_TERMS = ("-direct", "xterm-kitty", "xterm-ghostty", "alacritty", "wezterm", "foot", "contour")
_SIXTEEN = ("linux", "screen", "xterm", "vt100", "vt220", "ansi", "tmux", "rxvt", "cygwin", "sun-color")


def depth(environ: Mapping[str, str] | None = None) -> Depth:
    """How many colours to use.

    ``NO_COLOR`` (https://no-color.org) means none. SSH drops COLORTERM, so 256 is the normal case; terminals
    whose name says that they have true colour are believed.
    """
    given = os.environ if environ is None else environ
    if given.get("NO_COLOR"):
        return "none"
    term = given.get("TERM", "")
    if given.get("COLORTERM", "").lower() in _TRUE:
        return "true"
    if any(mark in term for mark in _TRUE_TERMS):
        return "true"
    if "256color" in term:
        return "256"
    if term.endswith("-mono") or term in ("", "dumb", "vt100", "vt220"):
        return "none"
    return "16" if term in _SIXTEEN else "256"


def is_ascii(environ: Mapping[str, str] | None = None) -> bool:
    """Whether only ASCII may be shown: asked for, or the locale's character set is not UTF-8."""
    given = os.environ if environ is None else environ
    wish = given.get("PYCTR_ASCII", "")
    if wish:
        return wish != "0"
    if environ is not None:
        return False
    import locale

    try:
        locale.setlocale(locale.LC_CTYPE, "")
    except locale.Error:
        return True
    return locale.nl_langinfo(locale.CODESET).replace("-", "").upper() != "UTF8"


def refusal(environ: Mapping[str, str], stdin: bool, stdout: bool, stderr: bool) -> tuple[str, str] | None:
    """Why there can be no interface (a sentence and a hint), or ``None``. The flags say which are terminals."""
    hint = "`pyctr-tui ps`, `pyctr-tui stats` and `pyctr-tui logs` print plain lines"
    for name, is_terminal in (("input", stdin), ("output", stdout), ("error output", stderr)):
        if not is_terminal:
            return f"the interface needs a terminal, but standard {name} is none", hint
    if environ.get("TERM", "") in ("", "dumb"):
        return f"the interface can't be drawn on a terminal of type “{environ.get('TERM', '')}”", hint
    return None
