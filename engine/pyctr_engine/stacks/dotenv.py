"""``.env`` files and ``env_file:``: ``NAME=value`` lines, as Compose reads them.

``export`` is allowed before a name. A value in single quotes is literal; in double quotes it knows variables and
backslash escapes (newline, tab, return, quote, backslash, dollar); both may span lines. Without quotes it ends at the
line's end or at a `` #``, and knows variables. A name alone takes its value from the environment.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping

from pyctr_engine.stacks import document, interpolate

_NAME = re.compile(r"(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*")
_BLANK = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\n|\Z)")
_SPACE = re.compile(r"[ \t]*")
_SINGLE = re.compile(r"'([^']*)'")
_DOUBLE = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_BARE = re.compile(r"[^\n]*")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\", "$": "$$"}


def read(path: str, variables: Mapping[str, str], warn: Callable[[document.Mark, str], None]) -> dict[str, str]:
    """The variables of a file. Later lines may use earlier ones; ``variables`` win over both.

    Raises:
        NotFound: there is no such file.
        InvalidStack: a line that can't be read, with its place.
    """
    return parse(document.read_text(path), path, variables, warn)


def parse(
    text: str, file: str, variables: Mapping[str, str], warn: Callable[[document.Mark, str], None]
) -> dict[str, str]:
    """The variables of ``text``, named ``file`` in errors. See `read`."""
    text = text.replace("\r\n", "\n")
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        if blank := _BLANK.match(text, at):
            at = blank.end()
            continue
        start = _skip(text, at)
        mark = document.Mark(file, text.count("\n", 0, start) + 1, start - text.rfind("\n", 0, start))
        name = _NAME.match(text, start)
        if name is None:
            raise mark.error("expected NAME=value", "a comment begins with #")
        at = name.end()
        if text.startswith("=", at):
            template, at = _value(text, at + 1, mark)
            known = {**found, **variables}
            try:
                found[name[1]] = interpolate.substitute(template, known, functools.partial(warn, mark))
            except interpolate.BadTemplate as error:
                raise mark.error(str(error), "write single quotes around a value with dollar signs") from None
        elif name[1] in variables:
            found[name[1]] = variables[name[1]]
        rest = _BLANK.match(text, at)
        if rest is None:
            raise mark.error(f"something follows the value of {name[1]}", "put the whole value in quotes")
        at = rest.end()
    return found


def _skip(text: str, at: int) -> int:
    """The first position from ``at`` on that is neither space nor tab."""
    space = _SPACE.match(text, at)
    return space.end() if space else at


def _value(text: str, at: int, mark: document.Mark) -> tuple[str, int]:
    """The template of the value that begins at ``at``, and where it ends."""
    at = _skip(text, at)
    quote = text[at : at + 1]
    if quote == "'":
        if single := _SINGLE.match(text, at):
            return single[1].replace("$", "$$"), single.end()
    elif quote == '"':
        if double := _DOUBLE.match(text, at):
            unescaped = re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[0]), double[1], flags=re.DOTALL)
            return unescaped, double.end()
    else:
        bare = _BARE.match(text, at)
        line = bare.group() if bare else ""
        return re.split(r"(?:^|[ \t])#", line, maxsplit=1)[0].strip(), at + len(line)
    raise mark.error(f"the {quote} has no end", "close the quote")
