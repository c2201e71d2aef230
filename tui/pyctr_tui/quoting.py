"""Templates of the user's commands: what stands in braces is quoted by us, and only where quotes are a shell's.

A value in quotes is one word of the shell's wherever quotes mean quotes. Inside the user's own quotes, in a here
document, in backquotes or in arithmetic they don't, and a hostile name would be a command: such templates are
refused, with what to write in their place.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping

PLACES = ("name", "id", "image", "stack")
_PLACE = re.compile(r"\{(name|id|image|stack)\}")
_LIKE_ONE = re.compile(r"\{([A-Za-z_]+)\}")


def fill(template: str, values: Mapping[str, str]) -> str:
    """The command line: each place filled with its value, quoted; a value that isn't there is an empty word."""
    return _PLACE.sub(lambda match: shlex.quote(values.get(match[1], "")), template)


def template_refusal(template: str) -> tuple[str, str] | None:
    """What is wrong with a template, a sentence and a hint; ``None`` when it can be filled safely."""
    if "\0" in template:
        return "a command has no NUL in it", ""
    placed = _PLACE.search(template) is not None
    if placed:
        for odd, what in (
            ("<<", "a here document"),
            ("$'", "$'…'"),
            ("`", "backquotes"),
            ("((", "arithmetic"),
            ("$[", "arithmetic"),
        ):
            if odd in template:
                return f"{what} and {{name}} don't go together", "write $(…) for backquotes; or call a script"
        if "${" in template:
            return "${…} and {name} don't go together", "write $NAME; or call a script"
    quote = ""
    at = 0
    while at < len(template):
        letter = template[at]
        if letter == "\\" and quote != "'":
            if _PLACE.match(template, at + 1):
                return "a backslash before {name} takes its quotes apart", "leave it out: the value is quoted for you"
            at += 2
            continue
        if quote:
            if _PLACE.match(template, at):
                place = _PLACE.match(template, at)
                named = place[0] if place else ""
                return f"{named} stands in quotes", f"write {named} without quotes: it is quoted for you"
            if letter == quote:
                quote = ""
        elif letter in "'\"":
            quote = letter
        elif (like := _LIKE_ONE.match(template, at)) and like[1] not in PLACES and template[at - 1 : at] != "$":
            return f"there is no {like[0]}", "there are " + " ".join(f"{{{place}}}" for place in PLACES)
        at += 1
    if quote:
        return f"a quote {quote} is not closed", ""
    if placed and re.search(r"(?<![\w$])#.*\{", template):
        return "a place in a comment says nothing", "leave the comment out"
    return None
