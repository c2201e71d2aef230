"""Keys as the user wants them: presets, remaps, and a check that no key does two things where both could be meant.

An action is named as in `pyctr_tui.bindings`, blanks and all (``view stacks``); one that works in
several panes can have other keys in one of them: ``images.run``, ``logs.remove``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from pyctr_engine.record import dataclass, replace
from pyctr_tui.bindings import ALL, COMMANDS, HOME
from pyctr_tui.home_layout import LISTS
from pyctr_tui.keymap import EVERYWHERE, Command, Keymap, key_name

NEEDED = ("help", "palette", "quit", "back", "open")
"""Actions that can have other keys, but not none: without them nobody finds the way."""

Scoped = tuple[str, tuple[str, ...], frozenset[str] | None]

PRESETS: Mapping[str, tuple[Scoped, ...]] = {
    "default": (),
    "lazydocker": (
        (
            "menu",
            ("x",),
            HOME | {"stacks", "plan", "volumes", "files", "networks", "members", "checkpoints", "unused"},
        ),
        ("tab -1", ("left_square_bracket",), HOME),
        ("tab 1", ("right_square_bracket",), HOME),
        ("scroll_time -1", ("left_curly_bracket",), None),
        ("scroll_time 1", ("right_curly_bracket",), None),
        ("show_logs", ("m", "l"), None),
        ("exec_full", ("E",), None),
        ("bulk", ("b",), HOME),
    ),
    "k9s": (
        ("show_all", ("0",), frozenset(LISTS)),
        ("inspect", ("d", "i"), None),
        ("exec", ("s",), None),
        ("start_stop", ("ctrl+s",), None),
        ("remove", ("ctrl+d", "delete"), None),
        ("remove_image", ("ctrl+d", "delete"), None),
        ("down", ("D",), None),
        ("kill", ("ctrl+k", "K"), None),
    ),
}
"""For each action its keys, and the panes in which (``None``: wherever it works). Others lose the key there."""


@dataclass(frozen=True, slots=True)
class NoKey:
    """Why something is no key."""

    why: str


_WRITTEN = {
    " ": "space", "/": "slash", ":": "colon", "?": "question_mark", "+": "plus", "-": "minus", "=": "equals_sign",
    "*": "asterisk", "!": "exclamation_mark", "\\": "backslash", "[": "left_square_bracket",
    "]": "right_square_bracket", "%": "percent_sign", ",": "comma", ".": "full_stop", ";": "semicolon", "@": "at",
    "#": "number_sign", "$": "dollar_sign", "&": "ampersand", "'": "apostrophe", '"': "quotation_mark",
    "(": "left_parenthesis", ")": "right_parenthesis", "<": "less_than_sign", ">": "greater_than_sign",
    "^": "circumflex_accent", "_": "underscore", "`": "grave_accent", "|": "vertical_line",
    "{": "left_curly_bracket", "}": "right_curly_bracket", "~": "tilde",
}  # fmt: skip
_WORDS = {
    "esc": "escape", "escape": "escape", "enter": "enter", "return": "enter", "tab": "tab", "space": "space",
    "up": "up", "down": "down", "left": "left", "right": "right", "↑": "up", "↓": "down", "←": "left", "→": "right",
    "pgup": "pageup", "pageup": "pageup", "pgdn": "pagedown", "pagedown": "pagedown", "home": "home", "end": "end",
    "del": "delete", "delete": "delete", "ins": "insert", "insert": "insert", "backspace": "backspace",
    **{f"f{number}": f"f{number}" for number in range(1, 13)},
}  # fmt: skip
_SAME = {"ctrl+i": "Tab", "ctrl+m": "Enter", "ctrl+[": "Esc", "ctrl+h": "Backspace"}


def key_from(text: str) -> str | NoKey:
    """Textual's name of a key as people write it (``Ctrl+D``, ``/``, ``PgDn``), or why there is none."""
    if len(text) == 1:
        return _WRITTEN.get(text) or _WORDS.get(text) or (text if text.isprintable() else NoKey("that is no key"))
    if text in _WRITTEN.values():
        return text
    *modifiers, last = text.split("+") if not text.endswith("++") else [*text[:-2].split("+"), "+"]
    modifiers = [modifier.strip().lower() for modifier in modifiers]
    last = last.strip()
    if not last or any(modifier not in ("ctrl", "alt", "shift") for modifier in modifiers):
        return NoKey(f"there is no key {text}")
    base = _WORDS.get(last.lower()) or (last if len(last) == 1 else "")
    if not base:
        return NoKey(f"there is no key {text}")
    if not modifiers:
        return base
    if "+".join((*modifiers, last.lower())) in _SAME:
        return NoKey(f"a terminal sends {text} as {_SAME['+'.join((*modifiers, last.lower()))]}")
    if modifiers == ["shift"] and len(base) == 1:
        return base.upper() if base.isalpha() else NoKey(f"there is no key {text}; write the character itself")
    if len(base) == 1:
        base = base.lower() if base.isalnum() else _WRITTEN.get(base, base)
    return "+".join((*(modifier for modifier in ("alt", "ctrl", "shift") if modifier in modifiers), base))


@lru_cache(maxsize=1)
def command_names() -> frozenset[str]:
    """What an action can be called in the user's file."""
    names = {command.action for command in COMMANDS}
    for command in COMMANDS:
        if command.scopes != EVERYWHERE:
            names |= {f"{scope}.{command.action}" for scope in command.scopes}
    return frozenset(names)


def keymap(preset: str, remaps: Mapping[str, Sequence[str]]) -> tuple[Keymap, list[str]]:
    """The keys of a preset with the user's over them, and a sentence for each of those that can't be had."""
    commands = list(COMMANDS)
    for action, keys, scopes in PRESETS[preset]:
        commands = _preset(commands, action, keys, scopes)
    for name in remaps:
        pane, _, action = name.partition(".")
        if pane in ALL and action:
            commands = [piece for command in commands for piece in _apart(command, action, pane)]
    said: list[str] = []
    wanted = _wanted(commands, remaps, said)
    while (clash := _clash(commands, wanted)) is not None:
        loser, holder, key, scope = clash
        del wanted[loser]
        label = commands[holder].label
        said.append(
            f"keys: {commands[loser].action}: {key_name(key)} is “{label}” {_where(scope)}"
            f" · give {commands[holder].action} another key"
        )
    return Keymap(tuple(replace(c, keys=wanted[i]) if i in wanted else c for i, c in enumerate(commands))), said


def _apart(command: Command, action: str, pane: str) -> list[Command]:
    """A command in two, one of them for a pane alone, where it is the action's there."""
    if command.action != action or pane not in command.scopes or len(command.scopes) == 1:
        return [command]
    return [replace(command, scopes=command.scopes - {pane}), replace(command, scopes=frozenset({pane}))]


def _where(scope: str) -> str:
    return "everywhere" if scope == "*" else f"in {scope}"


def _preset(
    commands: Sequence[Command], action: str, keys: tuple[str, ...], scopes: frozenset[str] | None
) -> list[Command]:
    """Give an action keys, and take them from whoever has them there."""
    out: list[Command] = []
    taken: set[tuple[str, str]] = set()
    for command in commands:
        if command.action == action:
            own = command.scopes if scopes is None else scopes
            taken |= {(scope, key) for scope in own for key in keys}
            out.append(replace(command, keys=keys, scopes=own))
        else:
            out.append(command)
    return [piece for command in out for piece in _without(command, action, taken)]


def _without(command: Command, action: str, taken: set[tuple[str, str]]) -> list[Command]:
    """A command less the keys that are taken, in several pieces where it keeps some in other panes."""
    if command.action == action and any((scope, key) in taken for scope in command.scopes for key in command.keys):
        return [command]
    everywhere = "*" in command.scopes
    hit = {scope for scope, key in taken if key in command.keys and (everywhere or scope in command.scopes)}
    if not hit and not any(("*", key) in taken for key in command.keys):
        return [command]
    gone = {key for _, key in taken if key in command.keys}
    rest = tuple(key for key in command.keys if key not in gone)
    if "*" in hit or any(("*", key) in taken for key in gone):
        return [replace(command, keys=rest)]
    others = (ALL if everywhere else command.scopes) - hit
    pieces = [replace(command, keys=rest, scopes=frozenset(hit))]
    return [replace(command, scopes=frozenset(others)), *pieces] if others else pieces


def _wanted(
    commands: Sequence[Command], remaps: Mapping[str, Sequence[str]], said: list[str]
) -> dict[int, tuple[str, ...]]:
    """The keys the user wants, by the command's place in the table."""
    wanted: dict[int, tuple[str, ...]] = {}
    for name, keys in sorted(remaps.items(), key=lambda item: "." in item[0]):  # those for a pane come last
        pane, dot, action = name.partition(".")
        if not dot or pane not in ALL:
            pane, action = "", name
        if action in NEEDED and not keys:
            said.append(f"keys: {action}: can't be without a key · give it another one")
            continue
        for at, command in enumerate(commands):
            if command.action == action and (not pane or pane in command.scopes):
                wanted[at] = tuple(keys)
    return wanted


def _clash(commands: Sequence[Command], wanted: Mapping[int, tuple[str, ...]]) -> tuple[int, int, str, str] | None:
    """The first key that would do two things: who asks for it in vain, who has it, the key, and where."""
    holders: dict[str, list[int]] = {}
    for at, command in enumerate(commands):
        for key in wanted.get(at, command.keys):
            holders.setdefault(key, []).append(at)
    for key, places in holders.items():
        for index, one in enumerate(places):
            for other in places[index + 1 :]:
                scope = _shared(commands[one].scopes, commands[other].scopes)
                if scope and (one in wanted or other in wanted):
                    loser, holder = (other, one) if other in wanted else (one, other)
                    return loser, holder, key, scope
    return None


def _shared(one: frozenset[str], other: frozenset[str]) -> str:
    """A pane in which both work; empty when there is none."""
    if "*" in one and "*" in other:
        return "*"
    both = other if "*" in one else one if "*" in other else one & other
    return min(both, default="")
