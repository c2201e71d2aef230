"""Options and arguments, by docker's rules: ``-it``, ``-eA=b``, ``--env=A=b``, ``--rm=false``, ``--``.

Not argparse: that costs 15 ms of every call, abbreviates options, and can't be told that options after the image
belong to the container's command.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pyctr_engine.errors import InvalidValue

_TRUE = ("1", "t", "true", "yes", "on")
_FALSE = ("0", "f", "false", "no", "off")
_NO_LIMIT = 1 << 30


class UsageError(InvalidValue):
    """A command line that breaks its command's grammar; 125 as in docker."""

    exit_code = 125


class HelpRequested(Exception):
    """``--help`` was among the options; the argument is the text to print."""


class Option(NamedTuple):
    """One option.

    Attributes:
        names: As the help shows them: ``-e, --env``; the last one, without dashes, is its key.
        help: What it does, a phrase.
        value: What stands for its value in the help; empty for a flag.
        many: Whether it may be given several times (else the last one wins).
    """

    names: str
    help: str
    value: str = ""
    many: bool = False

    @property
    def key(self) -> str:
        """The name that commands ask for: the long one, without dashes."""
        return self.names.rpartition(" ")[2].lstrip("-")


class Parsed:
    """What was given."""

    __slots__ = ("_given", "arguments")

    def __init__(self, given: dict[str, list[str]], arguments: list[str]) -> None:
        self._given = given
        self.arguments = arguments

    def __contains__(self, key: str) -> bool:
        return key in self._given

    def flag(self, key: str, default: bool = False) -> bool:
        """A flag's value."""
        given = self._given.get(key)
        return given[-1] == "true" if given else default

    def value(self, key: str, default: str = "") -> str:
        """The last value given."""
        given = self._given.get(key)
        return given[-1] if given else default

    def values(self, key: str) -> list[str]:
        """All values given, in their order."""
        return self._given.get(key, [])


class Grammar:
    """What one command takes.

    Attributes:
        command: Its name as typed, ``volume rm``.
        usage: Its arguments as the help shows them.
        least, most: How many arguments it takes; ``most`` ``None`` for any number.
        interspersed: Whether options may follow the first argument (not so for ``run`` and ``exec``).
    """

    def __init__(
        self,
        command: str,
        usage: str,
        summary: str,
        *options: Option,
        least: int = 0,
        most: int | None = 0,
        interspersed: bool = True,
        note: str = "",
    ) -> None:
        self.command = command
        self.usage = usage
        self.summary = summary
        self.options = options
        self.least = least
        self.most = most
        self.interspersed = interspersed
        self.note = note
        self._by_name = {name: option for option in options for name in option.names.split(", ")}

    def parse(self, words: Sequence[str]) -> Parsed:
        """Sort ``words`` into options and arguments. Raises UsageError, HelpRequested."""
        given: dict[str, list[str]] = {}
        arguments: list[str] = []
        rest = iter(words)
        for word in rest:
            if word == "--":
                arguments += rest
            elif not word.startswith("-") or word == "-":
                arguments.append(word)
                if not self.interspersed:
                    arguments += rest
            elif word.startswith("--"):
                self._long(word, rest, given)
            else:
                self._short(word, rest, given)
        self._check_count(len(arguments))
        return Parsed(given, arguments)

    def error(self, message: str, hint: str = "") -> UsageError:
        """An error in this command's use."""
        return UsageError(message, hint or f"`pyctr-tui {self.command} --help` shows how it is used")

    def help(self) -> str:
        """The text that ``--help`` prints."""
        options = " [OPTIONS]" if self.options else ""
        usage = f" {self.usage}" if self.usage else ""
        lines = [f"Usage: pyctr-tui {self.command}{options}{usage}", "", self.summary]
        if self.note:
            lines += ["", self.note]
        if self.options:
            shown = [(_names(option), option.help) for option in self.options]
            width = max(len(names) for names, _ in shown)
            lines += ["", "Options:", *(f"  {names:<{width}}  {text}" for names, text in shown)]
        return "\n".join(lines) + "\n"

    def _long(self, word: str, rest: Iterator[str], given: dict[str, list[str]]) -> None:
        name, equals, value = word.partition("=")
        option = self._find(name)
        if not equals:
            value = self._next(name, rest) if option.value else "true"
        self._store(option, name, value, given)

    def _short(self, word: str, rest: Iterator[str], given: dict[str, list[str]]) -> None:
        """``-it``, ``-p80:80``, ``-e=A``: flags until one takes the remainder as its value."""
        for position, letter in enumerate(word[1:], start=2):
            name = f"-{letter}"
            option = self._find(name, word)
            remainder = word[position:]
            if option.value:
                value = remainder.removeprefix("=") if remainder else self._next(name, rest)
                self._store(option, name, value, given)
                return
            if remainder.startswith("="):
                self._store(option, name, remainder[1:], given)
                return
            self._store(option, name, "true", given)

    def _store(self, option: Option, name: str, value: str, given: dict[str, list[str]]) -> None:
        if not option.value:
            if value.lower() not in _TRUE + _FALSE:
                raise self.error(f"{name} is a flag: {value!r} is neither true nor false")
            value = "true" if value.lower() in _TRUE else "false"
        if option.many:
            given.setdefault(option.key, []).append(value)
        else:
            given[option.key] = [value]

    def _find(self, name: str, word: str = "") -> Option:
        option = self._by_name.get(name)
        if option is not None:
            return option
        if name in ("--help", "-h"):
            raise HelpRequested(self.help())
        inside = f" in {word}" if len(word) > 2 else ""
        from pyctr_tui.cli.docker import option_elsewhere

        hint = option_elsewhere(self.command, name)
        if hint:
            raise self.error(f"docker's {name} is not here", hint)
        raise self.error(f"{self.command} has no option {name}{inside}", self._nearest(name))

    def _nearest(self, name: str) -> str:
        import difflib

        if not name.startswith("--"):
            return ""  # every letter is like every other
        known = [other for other in self._by_name if other.startswith("--")]
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.75)
        return f"did you mean {near[0]}? `pyctr-tui {self.command} --help` lists all" if near else ""

    def _next(self, name: str, rest: Iterator[str]) -> str:
        value = next(rest, None)
        if value is None:
            raise self.error(f"{name} needs a value")
        return value

    def _check_count(self, count: int) -> None:
        most = _NO_LIMIT if self.most is None else self.most
        if self.least <= count <= most:
            return
        if most == 0:
            takes = "takes no arguments"
        elif count > most:
            takes = f"takes at most {_counted(most)}"
        else:
            takes = f"needs {'' if self.least == most else 'at least '}{_counted(self.least)}"
        error = self.error(f"{self.command} {takes}", f"usage: pyctr-tui {self.command} {self.usage}".rstrip())
        error.exit_code = 1
        raise error


def _counted(count: int) -> str:
    return f"{count} argument" if count == 1 else f"{count} arguments"


def _names(option: Option) -> str:
    indent = "" if option.names.startswith("-") and not option.names.startswith("--") else "    "
    return f"{indent}{option.names} {option.value}".rstrip()
