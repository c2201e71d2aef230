"""Keys as Textual names them, as the bytes that xterm sends for them (ctlseqs, "PC-Style Function Keys")."""

from __future__ import annotations

from pyctr_engine.record import dataclass

ESC = "\x1b"
PASTE_BEGIN, PASTE_END = "\x1b[200~", "\x1b[201~"


@dataclass(frozen=True, slots=True)
class Modes:
    """What a program asked its terminal for that concerns input.

    Attributes:
        cursor_keys: Application cursor keys (DECCKM).
        bracketed_paste: Pasted text is marked as such (mode 2004).
        focus: It is told when the terminal gets or loses the focus (mode 1004).
    """

    cursor_keys: bool = False
    bracketed_paste: bool = False
    focus: bool = False


PLAIN = Modes()
_CURSOR = {"up": "A", "down": "B", "right": "C", "left": "D", "home": "H", "end": "F"}
_TILDE = {
    "insert": 2, "delete": 3, "pageup": 5, "pagedown": 6, "f5": 15, "f6": 17, "f7": 18, "f8": 19, "f9": 20,
    "f10": 21, "f11": 23, "f12": 24, "f13": 25, "f14": 26, "f15": 28, "f16": 29, "f17": 31, "f18": 32, "f19": 33,
    "f20": 34,
}  # fmt: skip
_PF = {"f1": "P", "f2": "Q", "f3": "R", "f4": "S"}
_CONTROL = {
    "@": 0, "at": 0, "space": 0, "left_square_bracket": 27, "backslash": 28, "right_square_bracket": 29,
    "circumflex_accent": 30, "underscore": 31, "slash": 31, "minus": 31,
}  # fmt: skip
_BITS = {"shift": 1, "alt": 2, "ctrl": 4, "meta": 8, "super": 0, "hyper": 0}
_SIMPLE = {"enter": "\r", "tab": "\t", "escape": ESC, "backspace": "\x7f", "space": " "}


def encode(key: str, character: str | None, modes: Modes = PLAIN) -> bytes:
    """The bytes of a key press; none for keys that no terminal sends."""
    *held, name = key.split("+") if key not in ("+", "ctrl++") else [key]
    bits = 0
    for modifier in held:
        if modifier not in _BITS:
            return b""
        bits |= _BITS[modifier]
    text = _special(name, bits, modes)
    if text is None:
        text = _typed(name, bits, character)
    return text.encode("utf-8", "surrogateescape")


def _special(name: str, bits: int, modes: Modes) -> str | None:
    """Keys that stand for no character."""
    if name in _CURSOR:
        if bits:
            return f"{ESC}[1;{bits + 1}{_CURSOR[name]}"
        return f"{ESC}{'O' if modes.cursor_keys else '['}{_CURSOR[name]}"
    if name in _PF:
        return f"{ESC}[1;{bits + 1}{_PF[name]}" if bits else f"{ESC}O{_PF[name]}"
    if name in _TILDE:
        return f"{ESC}[{_TILDE[name]};{bits + 1}~" if bits else f"{ESC}[{_TILDE[name]}~"
    if name == "tab" and bits & 1:
        return f"{ESC}[Z"
    return None


def _typed(name: str, bits: int, character: str | None) -> str:
    """Characters, and the control characters."""
    alt = ESC if bits & 2 else ""
    if bits & 4:
        if len(name) == 1 and "a" <= name.lower() <= "z":
            return alt + chr(ord(name.lower()) & 0x1F)
        if name in _CONTROL:
            return alt + chr(_CONTROL[name])
        return alt + (character or _SIMPLE.get(name, ""))
    if name == "backspace" and character:
        return alt + character  # Ctrl+H where the terminal tells the two apart
    if len(name) == 1 and not character:
        character = name.upper() if bits & 1 else name
    if name in _SIMPLE:
        return alt + _SIMPLE[name]
    return alt + character if character else ""


def paste(text: str, modes: Modes) -> bytes:
    """What pasting sends: line ends as Enter; marked if the program asked for it, with no mark in the text."""
    text = text.replace("\r\n", "\n").replace("\n", "\r")
    if modes.bracketed_paste:
        text = text.replace(ESC, "\N{SYMBOL FOR ESCAPE}").replace("\x9b", "")
        return f"{PASTE_BEGIN}{text}{PASTE_END}".encode("utf-8", "replace")
    return text.replace(ESC, "").replace("\x9b", "").encode("utf-8", "replace")
