"""Every setting there is: the one table that validation, the JSON Schema and the page of settings are made from."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

from pyctr_engine.record import dataclass
from pyctr_tui.grouping import COLUMNS, SORTS
from pyctr_tui.palette import ROLES
from pyctr_tui.store import BASES

Kind = Literal["choice", "bool", "columns", "keys", "commands", "themes"]
Object = Literal["container", "image", "stack", "volume"]
OBJECTS: tuple[Object, ...] = ("container", "image", "stack", "volume")
RUNS = ("host", "container")
SHOWS = ("background", "terminal", "pager")
OWN_THEMES = ("night", "paper", "contrast")
TEXTUAL_THEMES = (
    "textual-dark", "textual-light", "nord", "gruvbox", "catppuccin-mocha", "dracula", "tokyo-night", "monokai",
    "flexoki", "catppuccin-latte", "catppuccin-frappe", "catppuccin-macchiato", "solarized-light", "solarized-dark",
    "rose-pine", "rose-pine-moon", "rose-pine-dawn", "atom-one-dark", "atom-one-light",
)  # fmt: skip
"""Textual's own, without its two that leave the colours to the terminal. Here, so that a file is read without it."""
SPANS = {"auto": 0, "5m": 300, "15m": 900, "1h": 3600, "6h": 21_600, "1d": 86_400}
"""Seconds of the past that graphs show by their names in the file; 0 is as much as is known."""


@dataclass(frozen=True, slots=True)
class UserTheme:
    """A theme of the user's: colours by role (``#rrggbb``) in place of those of ``base``."""

    base: str
    colours: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class CustomCommand:
    """A command of the user's for a kind of objects.

    Attributes:
        template: A shell's command line with ``{name} {id} {image} {stack}`` in it.
        runs: On the host, or in the container.
        shows: What becomes of its output; see the module `pyctr_tui.actions.custom`.
    """

    name: str
    template: str
    runs: str = "host"
    shows: str = "background"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting.

    Attributes:
        help: A phrase for the page and the schema.
        choices: For a choice, what it may be; for columns, which there are.
    """

    name: str
    kind: Kind
    default: Any
    help: str
    choices: tuple[str, ...] = ()

    @property
    def is_simple(self) -> bool:
        """Whether the program itself can change and remember it."""
        return self.kind in ("choice", "bool", "columns")

    def refusal(self, value: object) -> str:
        """Why a plain value can't be the setting's; empty when it can."""
        if self.kind == "bool":
            return "" if isinstance(value, bool) else f"{self.name} is true or false"
        if self.kind == "columns":
            good = isinstance(value, list | tuple) and all(one in self.choices for one in value)
            return "" if good else f"{self.name} is a list of {', '.join(self.choices)}"
        if isinstance(value, str) and (value in self.choices or (self.name == "theme" and value)):
            return ""
        return f"{self.name} is one of {', '.join(self.choices)}"

    def text(self, value: Any) -> str:
        """The value for people."""
        if isinstance(value, bool):
            return "on" if value else "off"
        if self.kind == "columns":
            return " ".join(value) if value else "auto"
        if self.kind == "commands":
            amount = sum(len(commands) for commands in value.values())
            return str(amount) if amount else "none"
        if self.kind in ("keys", "themes"):
            return str(len(value)) if value else "none"
        return str(value)


SETTINGS: tuple[Setting, ...] = (
    Setting("theme", "choice", "night", "the colours; a terminal with 16 keeps its own", OWN_THEMES + TEXTUAL_THEMES),
    Setting("ascii", "bool", False, "draw with ASCII only, also where the terminal can do more"),
    Setting("mouse", "bool", True, "take clicks and the wheel; off leaves the mouse to the terminal"),
    Setting("key_preset", "choice", "default", "the keys to begin with", ("default", "lazydocker", "k9s")),
    Setting("keys", "keys", {}, "other keys for actions, over those of the preset"),
    Setting("columns", "columns", (), "columns of the list of containers, as there is room; empty: all", COLUMNS),
    Setting("sort", "choice", "name", "what the list of containers is sorted by", SORTS),
    Setting("reverse", "bool", False, "sort the other way round"),
    Setting("cpu_basis", "choice", "cpu", "what 100% of cpu is: one CPU, the container's limit, the host", BASES),
    Setting("graph_span", "choice", "auto", "the past that graphs show; auto: all that is known", tuple(SPANS)),
    Setting("commands", "commands", {}, "commands of your own, by kind of object"),
    Setting("themes", "themes", {}, "themes of your own: a base, and a few colours in its place"),
)  # fmt: skip
BY_NAME: Mapping[str, Setting] = {setting.name: setting for setting in SETTINGS}


@dataclasses.dataclass(slots=True)
class Values:
    """What a file says: only the settings it names."""

    path: str = ""
    values: dict[str, Any] = dataclasses.field(default_factory=dict)


def _schema_of(setting: Setting) -> dict[str, Any]:
    colour = {"type": "string", "pattern": "^#[0-9A-Fa-f]{6}$"}
    if setting.kind == "bool":
        return {"type": "boolean"}
    if setting.kind == "columns":
        return {"type": "array", "items": {"enum": list(setting.choices)}}
    if setting.kind == "keys":
        from pyctr_tui.remaps import command_names

        key = {"type": "string", "minLength": 1}
        return {
            "type": "object",
            "propertyNames": {"enum": sorted(command_names())},
            "additionalProperties": {"anyOf": [key, {"type": "array", "items": key}]},
        }
    if setting.kind == "commands":
        command = {
            "type": "object",
            "required": ["name", "command"],
            "additionalProperties": False,
            "properties": {
                "name": {"type": "string", "minLength": 1},
                "command": {"type": "string", "minLength": 1},
                "runs": {"enum": list(RUNS), "default": "host"},
                "shows": {"enum": list(SHOWS), "default": "background"},
            },
        }
        lists = {object: {"type": "array", "items": command} for object in OBJECTS}
        return {"type": "object", "additionalProperties": False, "properties": lists}
    if setting.kind == "themes":
        roles = dict.fromkeys(ROLES, colour)
        theme = {
            "type": "object",
            "additionalProperties": False,
            "properties": {"base": {"enum": list(OWN_THEMES + TEXTUAL_THEMES), "default": "night"}, **roles},
        }
        return {"type": "object", "additionalProperties": theme}
    if setting.name == "theme":  # one of the user's, too
        return {"anyOf": [{"enum": list(setting.choices)}, {"type": "string", "minLength": 1}]}
    return {"enum": list(setting.choices)}


def schema() -> dict[str, Any]:
    """The file's JSON Schema (draft 2020-12)."""
    properties = {}
    for setting in SETTINGS:
        default = list(setting.default) if setting.kind == "columns" else setting.default
        properties[setting.name] = {"description": setting.help, "default": default, **_schema_of(setting)}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Settings of the interface of pyctr-tui",
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
    }
