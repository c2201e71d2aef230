"""Every key and what it does: the one table that keys, footer, help and palette are made from."""

from __future__ import annotations

from dataclasses import dataclass

LISTS = frozenset({"containers", "images", "layers", "diff", "ps"})
ALL = frozenset({"containers", "images", "layers", "graphs", "logs", "diff", "info", "ps", "term"})
FILTER = 17
"""The footer place of the first command that is kept when room is short."""
SUBJECT = ALL - {"images"}
"""Panes in which keys act on the selected container."""


@dataclass(frozen=True, slots=True)
class Command:
    """Something a key does.

    Attributes:
        action: The home screen's method is ``action_<action>``; an argument may follow after a blank.
        keys: Textual's names of the keys.
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
    scopes: frozenset[str] = ALL
    footer: int = 0
    cli: str = ""


def _only(*names: str) -> frozenset[str]:
    return frozenset(names)


COMMANDS: tuple[Command, ...] = (
    # what is done to a container
    Command("show_logs", ("l",), "logs", "follow its logs", SUBJECT - {"logs"}, 10, "logs -f {}"),
    Command(
        "exec", ("e", "E"), "exec", "open a shell in it, full screen (Ctrl+] d leaves)", SUBJECT, 11, "exec -it {} sh"
    ),
    Command(
        "start_stop", ("s",), "start/stop", "stop it when it runs, start it when it doesn't", SUBJECT, 12, "stop {}"
    ),
    Command("restart", ("r",), "restart", "stop it and start it", SUBJECT, 13, "restart {}"),
    Command("commit", ("C",), "commit", "keep its changed files as an image", SUBJECT, 14, "commit {} NAME"),
    Command("remove", ("d", "delete"), "remove", "remove it, after asking", SUBJECT, 15, "rm {}"),
    Command(
        "remove_image", ("d", "delete"), "remove", "remove the image, after asking", _only("images"), 15, "rmi {}"
    ),
    Command("pause", ("p",), "pause", "freeze it, or let it go on", SUBJECT, 0, "pause {}"),
    Command("kill", ("K",), "kill", "kill it, after asking", SUBJECT, 0, "kill {}"),
    Command("down", ("D",), "down", "stop and remove its stack, after asking", SUBJECT, 0, "down"),
    Command("inspect", ("i",), "inspect", "everything about it", ALL, 0, "inspect {}"),
    Command("show_diff", ("x",), "changes", "what it changed against its image", SUBJECT, 0, "diff {}"),
    Command("show_layers", ("L",), "layers", "the layers of its image", ALL, 0, "layers {}"),
    # lists
    Command("mark", ("space",), "mark", "mark it, to act on several at once", _only("containers"), 16),
    Command("filter", ("slash",), "filter", "filter: words, state: stack: image: cpu> mem>", ALL - {"logs"}, 17),
    Command("sort", ("o",), "sort", "sort by the next column", _only("containers")),
    Command("running", ("A",), "all/running", "show all containers, or the running ones only", _only("containers")),
    Command("collapse", ("left", "h"), "collapse", "collapse the stack", _only("containers")),
    Command("expand", ("right",), "expand", "expand the stack", _only("containers")),
    Command("next_match", ("n",), "next", "next match", _only("logs", "containers")),
    Command("previous_match", ("N",), "previous", "previous match", _only("logs", "containers")),
    Command("copy", ("y",), "copy", "copy its name (or the line) to the terminal's clipboard (OSC 52)"),
    # logs
    Command("search", ("slash",), "search", "search the log; n older, N newer", _only("logs"), 20),
    Command("follow", ("f",), "follow", "follow the end of the log", _only("logs"), 21),
    Command("wrap", ("w",), "wrap", "wrap long lines, or cut them", _only("logs"), 22),
    Command("timestamps", ("T",), "times", "show or hide the time of each line", _only("logs"), 23),
    Command("shift -8", ("left", "h"), "left", "show columns further left", _only("logs", "info")),
    Command("shift 8", ("right",), "right", "show columns further right", _only("logs", "info")),
    # getting around
    Command("open", ("enter",), "open", "open it", ALL),
    Command("back", ("escape",), "back", "back: leave zoom, filter, marks, then the pane", ALL),
    Command("move 1", ("j", "down"), "down", "down one line"),
    Command("move -1", ("k", "up"), "up", "up one line"),
    Command("first", ("g", "home"), "first", "to the first line"),
    Command("last", ("G", "end"), "last", "to the last line"),
    Command("page 1", ("pagedown", "ctrl+f"), "page down", "down one page"),
    Command("page -1", ("pageup", "ctrl+b"), "page up", "up one page"),
    Command("page 0.5", ("ctrl+d",), "half down", "down half a page"),
    Command("page -0.5", ("ctrl+u",), "half up", "up half a page"),
    Command("next_pane", ("tab",), "next pane", "to the next pane"),
    Command("previous_pane", ("shift+tab",), "previous pane", "to the pane before"),
    Command("pane containers", ("1",), "containers", "to the containers"),
    Command("pane images", ("2",), "images", "to the images"),
    Command("pane layers", ("3",), "layers", "to the layers"),
    Command("pane graphs", ("4",), "graphs", "graphs of what it uses"),
    Command("pane logs", ("5",), "logs", "what it printed"),
    Command("pane diff", ("6",), "diff", "files it changed"),
    Command("pane info", ("7",), "info", "everything about it"),
    Command("pane ps", ("8",), "ps", "its processes"),
    Command("pane term", ("9",), "term", "a terminal in it"),
    # the screen
    Command("grow 1", ("plus", "equals_sign"), "wider", "more of the past; a wider left side", ALL),
    Command("grow -1", ("minus",), "narrower", "less of the past; a narrower left side", ALL),
    Command("zoom", ("z",), "zoom", "give the pane the whole screen, or take it back"),
    Command("theme", ("t",), "theme", "the next theme"),
    Command("refresh", ("R",), "refresh", "read everything again"),
    Command("palette", ("colon",), "palette", "all actions by name; containers, images and stacks too", ALL, 90),
    Command("help", ("question_mark",), "help", "the keys of where you are", ALL, 91),
    Command("suspend", ("ctrl+z",), "suspend", "back to the shell; fg returns"),
    Command("quit", ("q", "ctrl+q"), "quit", "leave; containers go on"),
)

_NAMES = {
    "slash": "/", "colon": ":", "question_mark": "?", "space": "Space", "plus": "+", "minus": "-", "equals_sign": "=",
    "enter": "Enter", "escape": "Esc", "tab": "Tab", "shift+tab": "Shift+Tab", "up": "↑", "down": "↓", "left": "←",
    "right": "→", "pagedown": "PgDn", "pageup": "PgUp", "home": "Home", "end": "End", "delete": "Del",
}  # fmt: skip


def key_name(key: str) -> str:
    """A key as people write it."""
    if key.startswith("ctrl+"):
        return f"Ctrl+{key[5:].upper()}"
    return _NAMES.get(key, key)


class Keymap:
    """Looks up keys. ``lookup`` is called for every key press."""

    def __init__(self, commands: tuple[Command, ...] = COMMANDS) -> None:
        self.commands = commands
        self._by_key: dict[tuple[str, str], Command] = {}
        for command in commands:
            for scope in command.scopes:
                for key in command.keys:
                    if (scope, key) in self._by_key:
                        raise ValueError(f"{key} does two things in {scope}")
                    self._by_key[scope, key] = command

    def lookup(self, scope: str, key: str) -> Command | None:
        """What a key does in a pane."""
        return self._by_key.get((scope, key))

    def of(self, scope: str) -> list[Command]:
        """All that can be done in a pane."""
        return [command for command in self.commands if scope in command.scopes]

    def footer(self, scope: str, width: int) -> list[tuple[str, str]]:
        """Keys and words for a pane's footer: what fits, general ones (`FILTER` and above) before special ones."""
        shown = sorted((command for command in self.of(scope) if command.footer), key=lambda command: command.footer)
        items = [(command.footer, key_name(command.keys[0]), command.label) for command in shown]
        while items and sum(len(key) + len(word) + 3 for _, key, word in items) > width:
            special = [item for item in items if item[0] < FILTER]
            items.remove(max(special) if special else items[0])
        return [(key, word) for _, key, word in items]
