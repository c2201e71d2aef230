"""Commands and the keys that give them: looking keys up, and telling people about them."""

from __future__ import annotations

from pyctr_engine.record import dataclass

EVERYWHERE = frozenset({"*"})
"""The scopes of a command that works in every pane."""
FILTER = 17
"""The footer place of the first command that is kept when room is short."""


@dataclass(frozen=True, slots=True)
class Command:
    """Something a key does.

    Attributes:
        action: A method ``action_<action>`` of the focused pane, its page, the home screen or the actions, whoever
            has it first; an argument may follow after a blank.
        keys: Textual's names of the keys; none for what the palette alone offers.
        label: One word for the footer.
        help: A phrase for help and palette.
        scopes: The panes it works in.
        footer: Its place in the footer, low ones first; 0 leaves it out.
        cli: The command line that does the same, ``{}`` for the subject; empty when there is none.
    """

    action: str
    keys: tuple[str, ...]
    label: str
    help: str
    scopes: frozenset[str] = EVERYWHERE
    footer: int = 0
    cli: str = ""


_NAMES = {
    "slash": "/", "colon": ":", "question_mark": "?", "space": "Space", "plus": "+", "minus": "-", "equals_sign": "=",
    "enter": "Enter", "escape": "Esc", "tab": "Tab", "shift+tab": "Shift+Tab", "up": "↑", "down": "↓", "left": "←",
    "right": "→", "pagedown": "PgDn", "pageup": "PgUp", "home": "Home", "end": "End", "delete": "Del",
    "asterisk": "*", "exclamation_mark": "!", "backslash": "\\",
    "left_square_bracket": "[", "right_square_bracket": "]", "percent_sign": "%", "comma": ",", "full_stop": ".",
    "semicolon": ";", "at": "@", "number_sign": "#", "dollar_sign": "$", "ampersand": "&", "apostrophe": "'",
    "quotation_mark": '"', "left_parenthesis": "(", "right_parenthesis": ")", "less_than_sign": "<",
    "greater_than_sign": ">", "circumflex_accent": "^", "underscore": "_", "grave_accent": "`", "vertical_line": "|",
    "left_curly_bracket": "{", "right_curly_bracket": "}", "tilde": "~", "insert": "Ins", "backspace": "Backspace",
}  # fmt: skip


def first_key(command: Command) -> str:
    """A command's first key as people write it; empty for one without keys."""
    return key_name(command.keys[0]) if command.keys else ""


def key_name(key: str) -> str:
    """A key as people write it."""
    if key in _NAMES:
        return _NAMES[key]
    for modifier in ("ctrl+", "alt+", "shift+"):
        if key.startswith(modifier):
            rest = key.removeprefix(modifier)
            return modifier.capitalize() + (
                rest.upper() if modifier == "ctrl+" and len(rest) == 1 else key_name(rest)
            )
    return key.upper() if key[:1] == "f" and key[1:].isdecimal() else key


class Keymap:
    """Looks up keys. ``lookup`` is called for every key press."""

    def __init__(self, commands: tuple[Command, ...]) -> None:
        self.commands = commands
        self._by_key: dict[tuple[str, str], Command] = {}
        for command in commands:
            for scope in command.scopes:
                for key in command.keys:
                    if (scope, key) in self._by_key:
                        raise ValueError(f"{key} does two things in {scope}")
                    self._by_key[scope, key] = command
        for scope, key in self._by_key:
            if scope != "*" and ("*", key) in self._by_key:
                raise ValueError(f"{key} does two things in {scope}")

    def lookup(self, scope: str, key: str) -> Command | None:
        """What a key does in a pane."""
        return self._by_key.get((scope, key)) or self._by_key.get(("*", key))

    def means(self, key: str) -> bool:
        """Whether a key does something somewhere."""
        return any(key in command.keys for command in self.commands)

    def key_of(self, action: str) -> str:
        """The first key of an action as people write it; empty when it has none."""
        return next(
            (first_key(command) for command in self.commands if command.action == action and command.keys), ""
        )

    def of(self, scope: str) -> list[Command]:
        """All that can be done in a pane."""
        return [command for command in self.commands if scope in command.scopes or "*" in command.scopes]

    def keyed(self, scope: str) -> list[Command]:
        """Those of them that have a key."""
        return [command for command in self.of(scope) if command.keys]

    def footer(self, scope: str, width: int) -> list[tuple[str, str]]:
        """Keys and words for a pane's footer: what fits, general ones (`FILTER` and above) before special ones."""
        shown = sorted(
            (command for command in self.keyed(scope) if command.footer), key=lambda command: command.footer
        )
        items = [(command.footer, key_name(command.keys[0]), command.label) for command in shown]
        while items and sum(len(key) + len(word) + 3 for _, key, word in items) > width:
            special = [item for item in items if item[0] < FILTER]
            items.remove(max(special) if special else items[0])
        return [(key, word) for _, key, word in items]
