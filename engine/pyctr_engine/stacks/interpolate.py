"""Variables in values: ``$V ${V} ${V:-d} ${V-d} ${V:?e} ${V?e} ${V:+r} ${V+r}`` and ``$$`` for a dollar sign.

Compose specification, "Interpolation". Keys are never touched; what an unset variable leaves is empty, with a
warning; the branch that isn't taken is parsed but not looked up.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from pyctr_engine.stacks import document

MAX_NESTING = 32
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPERATOR = re.compile(r":?[-?+]")

Warn = Callable[[str], None]


class BadTemplate(ValueError):
    """A template that can't be; the message says why."""


def substitute(template: str, variables: Mapping[str, str], warn: Warn) -> str:
    """``template`` with its variables replaced. ``warn`` gets a sentence for each that is not set.

    Raises:
        BadTemplate: a malformed ``$…``, or a required variable that is missing.
    """
    if "$" not in template:
        return template
    reader = _Reader(template, variables, warn)
    return reader.text(closing=False, live=True, depth=0)


@dataclass(slots=True)
class _Reader:
    """A recursive-descent reader over ``template``."""

    template: str
    variables: Mapping[str, str]
    warn: Warn
    at: int = 0

    def text(self, closing: bool, live: bool, depth: int) -> str:
        """Text up to the end, or up to (not including) the brace that closes the expression around it."""
        if depth > MAX_NESTING:
            raise BadTemplate(f"${{…}} is nested deeper than {MAX_NESTING} levels")
        parts: list[str] = []
        template = self.template
        while self.at < len(template):
            character = template[self.at]
            if closing and character == "}":
                return "".join(parts)
            if character != "$":
                parts.append(character)
                self.at += 1
            elif template.startswith("$$", self.at):
                parts.append("$")
                self.at += 2
            else:
                self.at += 1
                parts.append(self.variable(live, depth))
        if closing:
            raise BadTemplate("${ has no closing }")
        return "".join(parts)

    def variable(self, live: bool, depth: int) -> str:
        """What stands after a dollar sign."""
        braced = self.template.startswith("{", self.at)
        if braced:
            self.at += 1
        match = _NAME.match(self.template, self.at)
        if match is None:
            raise BadTemplate("a $ has no variable's name after it")
        name = match.group()
        self.at = match.end()
        if not braced:
            return self.plain(name, live)
        operator = _OPERATOR.match(self.template, self.at)
        if operator is None:
            self.close(name)
            return self.plain(name, live)
        self.at = operator.end()
        value = self.variables.get(name)
        # with the colon, an empty variable is as good as none
        present = value is not None if len(operator.group()) == 1 else bool(value)
        kind = operator.group()[-1]
        taken = live and present == (kind == "+")
        argument = self.text(closing=True, live=taken, depth=depth + 1)
        self.close(name)
        if not live:
            return ""
        if kind == "+":
            return argument if present else ""
        if present:
            return value or ""
        if kind == "?":
            raise BadTemplate(f"{name} must be set" + (f": {argument}" if argument else ""))
        return argument

    def close(self, name: str) -> None:
        """Step over the closing brace."""
        if self.at >= len(self.template):
            raise BadTemplate("${ has no closing }")
        if self.template[self.at] != "}":
            raise BadTemplate(f"{self.template[self.at]!r} can't follow ${{{name}")
        self.at += 1

    def plain(self, name: str, live: bool) -> str:
        """The variable's value; empty, with a warning, when it isn't set."""
        value = self.variables.get(name)
        if value is None:
            if live:
                self.warn(f"the variable {name} is not set; it is taken as empty")
            return ""
        return value


def interpolate(
    node: document.Node, variables: Mapping[str, str], warn: Callable[[document.Mark, str], None]
) -> document.Node:
    """The tree with the variables of its values replaced. Raises InvalidStack at the value that is wrong."""
    if isinstance(node, document.Sequence):
        return replace(node, items=tuple(interpolate(item, variables, warn) for item in node))
    if isinstance(node, document.Mapping):
        entries = tuple((key, interpolate(value, variables, warn)) for key, value in node)
        return replace(node, entries=entries)
    if not isinstance(node, document.Scalar) or "$" not in node.text:
        return node
    try:
        text = substitute(node.text, variables, functools.partial(warn, node.mark))
    except BadTemplate as error:
        hint = "" if "must be set" in str(error) else "write $$ for a dollar sign"
        raise node.error(str(error), hint or "set it in the environment or in the .env file") from None
    # a variable's value is a string even where it is empty or reads "null"
    return replace(node, text=text, plain=False)
