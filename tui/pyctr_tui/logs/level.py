"""How bad a line is, by what programs write: ``ERROR``, ``[warn]``, ``level=info``, klog's ``E0102``, JSON lines.

Standard library only: the child that matches lines imports it too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from enum import IntEnum
from functools import lru_cache
from typing import Any, Literal

from pyctr_engine.record import dataclass

LOOKED_AT = 240
"""Characters from the beginning of a line in which its level is looked for."""
LONGEST_JSON = 64 << 10


class Level(IntEnum):
    """From what nobody reads to what wakes people up; `NONE` when a line says nothing about it."""

    NONE = 0
    TRACE = 1
    DEBUG = 2
    INFO = 3
    WARN = 4
    ERROR = 5
    FATAL = 6


_WORDS = {
    **dict.fromkeys(("trace", "verbose"), Level.TRACE),
    **dict.fromkeys(("debug", "dbg"), Level.DEBUG),
    **dict.fromkeys(("info", "information", "informational", "notice"), Level.INFO),
    **dict.fromkeys(("warn", "warning"), Level.WARN),
    **dict.fromkeys(("error", "err", "severe"), Level.ERROR),
    **dict.fromkeys(("fatal", "critical", "crit", "panic", "alert", "emerg", "emergency"), Level.FATAL),
}
_SHOUTED = "|".join(
    (
        *("FATAL", "CRITICAL", "CRIT", "PANIC", "EMERGENCY", "EMERG", "ALERT", "SEVERE", "ERROR", "ERR"),
        *("WARNING", "WARN", "NOTICE", "INFO", "DEBUG", "DBG", "TRACE", "VERBOSE"),
    )
)
_SAID = "|".join(
    (
        *("fatal", "critical", "crit", "panic", "emerg", "alert", "error", "err", "warning", "warn", "notice"),
        *("informational", "information", "info", "debug", "dbg", "trace"),
    )
)
_SIGNS = re.compile(
    rf"\b(?P<shouted>{_SHOUTED})\b"
    rf"|(?i:[\[<(](?P<bracketed>{_SAID})[\])>])"
    rf"|(?i:\b(?:level|lvl|severity|loglevel)[=:]\s?\"?(?P<field>{_SAID})\b)"
    rf"|(?i:(?:^|[:\]] )(?P<said>{_SAID}): )"
    r"|^(?P<klog>[IWEF])\d{4} \d\d:\d\d:\d\d"
    r"|^(?P<raised>Traceback \(most recent call last\)|Exception in thread|[\w.]*(?:Error|Exception)(?=:))"
    r"|\bHTTP/\d(?:\.\d)?\"? (?P<status>[45])\d\d\b"
)
_KLOG = {"I": Level.INFO, "W": Level.WARN, "E": Level.ERROR, "F": Level.FATAL}
_NUMBERS = {
    **dict.fromkeys((0, 1, 2), Level.FATAL), 3: Level.ERROR, 4: Level.WARN, 5: Level.INFO, 6: Level.INFO,
    7: Level.DEBUG,
    10: Level.TRACE, 20: Level.DEBUG, 30: Level.INFO, 40: Level.WARN, 50: Level.ERROR, 60: Level.FATAL,
    100: Level.DEBUG, 200: Level.INFO, 250: Level.INFO, 300: Level.WARN, 400: Level.ERROR, 500: Level.FATAL,
    550: Level.FATAL, 600: Level.FATAL,
}  # fmt: skip
"""Of syslog and GELF, of bunyan and pino, of Monolog."""

LEVEL_KEYS = ("level_name", "level", "lvl", "severity", "levelname", "log.level", "loglevel", "@level", "levelName")
MESSAGE_KEYS = ("msg", "message", "@message", "event", "text")
TIME_KEYS = ("time", "ts", "timestamp", "@timestamp", "t", "datetime", "asctime")


def named(word: str) -> Level:
    """The level a word means, in any case of letters; `Level.NONE` for other words."""
    return _WORDS.get(word.lower(), Level.NONE)


def level_of(text: str) -> tuple[Level, int, int]:
    """A line's level, and where the word stands that says so (0, 0 when there is none)."""
    found = _SIGNS.search(text, 0, LOOKED_AT)
    if found is None:
        return Level.NONE, 0, 0
    kind = str(found.lastgroup)
    word = found.group(kind)
    start, end = found.span(kind)
    if kind == "klog":
        return _KLOG[word], start, end
    if kind == "raised":
        return Level.ERROR, start, end
    if kind == "status":
        return (Level.ERROR if word == "5" else Level.WARN), start, start + 3
    return named(word), start, end


Kind = Literal["time", "level", "message", "key", "value"]


@dataclass(frozen=True, slots=True)
class Record:
    """A line that is a JSON object, as people read it: its level, and pieces of text, each with what it is."""

    level: Level
    pieces: tuple[tuple[Kind, str], ...]

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(text for _, text in self.pieces)


def record_of(text: str) -> Record | None:
    """Read a line as a record of a structured log; ``None`` for what is no JSON object with a message or a level."""
    if text[:1] != "{" or text[-1:] != "}" or len(text) > LONGEST_JSON:
        return None
    return _record(text)


@lru_cache(maxsize=1024)
def _record(text: str) -> Record | None:
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        return None
    message_key = _first(fields, MESSAGE_KEYS, str)
    level_key = _first(fields, LEVEL_KEYS, (str, int))
    if not message_key and not level_key:
        return None
    level = _level_in(fields.get(level_key))
    pieces: list[tuple[Kind, str]] = []
    if level_key:
        pieces.append(("level", f"{level.name.lower() if level else fields[level_key]} "))
    if message_key:
        pieces.append(("message", str(fields[message_key])))
    time_key = _first(fields, TIME_KEYS, (str, int, float))
    for key, value in fields.items():
        if key not in (message_key, level_key, time_key):
            pieces += [("key", f" {key}="), ("value", _shown(value))]
    return Record(level, tuple(pieces))


def _first(fields: Mapping[str, Any], keys: tuple[str, ...], kind: Any) -> str:
    return next((key for key in keys if isinstance(fields.get(key), kind)), "")


def _level_in(value: object) -> Level:
    if isinstance(value, int):
        return _NUMBERS.get(value, Level.NONE)
    return named(value) if isinstance(value, str) else Level.NONE


def _shown(value: object) -> str:
    if isinstance(value, str) and value and not any(character in value for character in ' "='):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
