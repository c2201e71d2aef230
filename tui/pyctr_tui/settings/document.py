"""Reading the user's file: every mistake has its line and column, and what is right applies all the same.

YAML is imported here, and this module only when there is a file: the first paint doesn't wait for it otherwise.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from typing import Any

import yaml

from pyctr_engine.record import dataclass
from pyctr_tui.palette import ROLES
from pyctr_tui.quoting import template_refusal
from pyctr_tui.remaps import command_names, key_from
from pyctr_tui.settings.table import (
    BY_NAME,
    OBJECTS,
    OWN_THEMES,
    RUNS,
    SHOWS,
    TEXTUAL_THEMES,
    CustomCommand,
    Setting,
    UserTheme,
    Values,
)

LARGEST = 1 << 20
"""Bytes of a file that is read; a larger one is no settings file."""
_COLOUR = re.compile("#[0-9A-Fa-f]{6}")


@dataclass(frozen=True, slots=True)
class Problem:
    """A mistake in the file. ``line`` and ``column`` count from 1; 0 when it is about the whole file."""

    path: str
    line: int
    column: int
    message: str
    hint: str = ""

    @property
    def where(self) -> str:
        """``file:line:column``."""
        return f"{self.path}:{self.line}:{self.column}" if self.line else self.path

    def __str__(self) -> str:
        """In one line."""
        return f"{self.where}: {self.message}" + (f" · {self.hint}" if self.hint else "")


def read(path: str) -> tuple[Values, list[Problem]]:
    """What a file says, and what is wrong with it; one that isn't there says nothing."""
    try:
        with open(path, "rb") as file:
            data = file.read(LARGEST + 1)
    except FileNotFoundError:
        return Values(path), []
    except OSError as error:
        return Values(path), [Problem(path, 0, 0, f"cannot be read: {(error.strerror or 'error').lower()}")]
    if len(data) > LARGEST:
        return Values(path), [Problem(path, 0, 0, "is larger than a megabyte", "settings are a few lines of YAML")]
    return parse(data, path)


def parse(data: bytes, path: str) -> tuple[Values, list[Problem]]:
    """The same of a file's contents."""
    try:
        root = yaml.compose(data.decode(), Loader=yaml.SafeLoader)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return Values(path), [Problem(path, line, 1, "this is not UTF-8 text", "save it as UTF-8")]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        return Values(path), [
            Problem(path, line, column, f"this is not YAML: {error.problem}", "nothing of it applies")
        ]
    except (yaml.YAMLError, RecursionError) as error:
        said = str(error).splitlines()[0] if str(error) else "nested too deeply"
        return Values(path), [Problem(path, 0, 0, f"is not YAML: {said}", "nothing of it applies")]
    reader = _Reader(path)
    if root is not None:
        reader.read(root)
    return reader.values, reader.problems


class _Reader:
    def __init__(self, path: str) -> None:
        self.values = Values(path)
        self.problems: list[Problem] = []

    def wrong(self, node: yaml.Node, message: str, hint: str = "") -> None:
        """Note a mistake."""
        mark = node.start_mark
        self.problems.append(Problem(self.values.path, mark.line + 1, mark.column + 1, message, hint))

    def read(self, root: yaml.Node) -> None:
        """The whole document."""
        for name, key, value in self._entries(root, "the file"):
            setting = BY_NAME.get(name)
            if setting is None:
                self.wrong(key, f"there is no setting {name}", _nearest(name, BY_NAME))
                continue
            readers = {"keys": self._keys, "commands": self._commands, "themes": self._themes}
            if setting.kind in readers:
                self.values.values[name] = readers[setting.kind](value)
            else:
                self._simple(setting, value)
        self._known_theme(root)

    def _known_theme(self, root: yaml.Node) -> None:
        theme = self.values.values.get("theme")
        known = (*OWN_THEMES, *TEXTUAL_THEMES, *self.values.values.get("themes", {}))
        if theme is not None and theme not in known:
            del self.values.values["theme"]
            node = next(value for name, _, value in self._entries(root, "") if name == "theme")
            self.wrong(node, f"there is no theme {theme}", _nearest(theme, known))

    def _simple(self, setting: Setting, node: yaml.Node) -> None:
        value = self._plain(node)
        refused = setting.refusal(value)
        if refused:
            near = _nearest(str(value), setting.choices) if setting.choices else ""
            if setting.kind == "bool":
                near = f"write `{setting.name}: true` or `{setting.name}: false`"
            self.wrong(node, refused, near)
        else:
            self.values.values[setting.name] = tuple(value) if isinstance(value, list) else value

    def _keys(self, node: yaml.Node) -> dict[str, tuple[str, ...]]:
        names = command_names()
        found: dict[str, tuple[str, ...]] = {}
        for name, key, value in self._entries(node, "keys"):
            if name not in names:
                self.wrong(key, f"there is no action {name}", _nearest(name, names))
                continue
            items = value.value if isinstance(value, yaml.SequenceNode) else [value]
            keys = []
            for item in items:
                text = str(item.value) if isinstance(item, yaml.ScalarNode) else ""
                pressed = key_from(text)
                if isinstance(pressed, str):
                    keys.append(pressed)
                else:
                    self.wrong(item, pressed.why, "keys are like d, D, Ctrl+D, F5, Space, PgDn, /")
            if keys or not items:
                found[name] = tuple(dict.fromkeys(keys))
        return found

    def _commands(self, node: yaml.Node) -> dict[str, tuple[CustomCommand, ...]]:
        found: dict[str, tuple[CustomCommand, ...]] = {}
        for object, key, value in self._entries(node, "commands"):
            if object not in OBJECTS:
                self.wrong(key, f"there is no kind of object {object}", f"there are {', '.join(OBJECTS)}")
            elif not isinstance(value, yaml.SequenceNode):
                self.wrong(value, f"the commands of a {object} are a list", "each begins with `- name:`")
            else:
                made = (self._command(object, item) for item in value.value)
                found[object] = tuple(command for command in made if command is not None)
        return found

    def _command(self, object: str, node: yaml.Node) -> CustomCommand | None:
        parts: dict[str, str] = {}
        before = len(self.problems)
        choices = {"runs": RUNS if object == "container" else RUNS[:1], "shows": SHOWS}
        for name, key, value in self._entries(node, "a command"):
            text = value.value.strip() if isinstance(value, yaml.ScalarNode) else ""
            if name not in ("name", "command", "runs", "shows"):
                self.wrong(key, f"a command has no {name}", _nearest(name, ("name", "command", "runs", "shows")))
            elif not text:
                self.wrong(value, f"{name} is a text")
            elif text not in choices.get(name, (text,)):
                only = " (only a container can run something in it)" if name == "runs" and text in RUNS else ""
                self.wrong(value, f"{name} is one of {', '.join(choices[name])}{only}")
            elif name == "command" and (refused := template_refusal(text)):
                self.wrong(value, refused[0], refused[1])
            else:
                parts[name] = text
        if len(self.problems) > before:
            return None
        if not {"name", "command"} <= parts.keys():
            self.wrong(node, "a command has a name and a command", "- {name: top, command: top}")
            return None
        return CustomCommand(
            parts["name"], parts["command"], parts.get("runs", "host"), parts.get("shows", "background")
        )

    def _themes(self, node: yaml.Node) -> dict[str, UserTheme]:
        found: dict[str, UserTheme] = {}
        bases = OWN_THEMES + TEXTUAL_THEMES
        for theme, key, value in self._entries(node, "themes"):
            if theme in bases:
                self.wrong(
                    key, f"{theme} is a theme already", "give yours a name of its own, and `base: " + theme + "`"
                )
                continue
            base, colours = "night", {}
            for role, key_node, colour in self._entries(value, "a theme"):
                text = str(colour.value) if isinstance(colour, yaml.ScalarNode) else ""
                if role == "base":
                    if text in bases:
                        base = text
                    else:
                        self.wrong(colour, f"there is no theme {text} to begin with", _nearest(text, bases))
                elif role not in ROLES:
                    self.wrong(key_node, f"a theme has no colour {role}", _nearest(role, ROLES))
                elif not _COLOUR.fullmatch(text):
                    self.wrong(colour, f"{role} is a colour", 'colours are like "#4fb8c4", in quotes')
                else:
                    colours[role] = text
            found[theme] = UserTheme(base, colours)
        return found

    def _entries(self, node: yaml.Node, what: str) -> Iterator[tuple[str, yaml.Node, yaml.Node]]:
        if not isinstance(node, yaml.MappingNode):
            empty = isinstance(node, yaml.ScalarNode) and node.tag.endswith(":null")
            if what and not empty:
                self.wrong(node, f"{what} is a mapping of names to values", "lines like `name: value`")
            return
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value) if isinstance(key, yaml.ScalarNode) else ""
            if name in seen:
                if what:
                    self.wrong(key, f"{name} is there twice", "the first one applies")
                continue
            seen.add(name)
            yield name, key, value

    def _plain(self, node: yaml.Node) -> Any:
        if isinstance(node, yaml.SequenceNode):
            return [self._plain(item) for item in node.value]
        if isinstance(node, yaml.ScalarNode) and node.tag.endswith(":bool"):
            return node.value.lower() in ("true", "yes", "on")
        if isinstance(node, yaml.ScalarNode) and not node.tag.endswith(":null"):
            return node.value
        return None


def _nearest(name: str, names: Iterable[str]) -> str:
    known = list(names)
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"did you mean {near[0]}?"
    return f"there are {', '.join(known)}" if len(known) <= 8 else "`pyctr-tui settings schema` names them all"
