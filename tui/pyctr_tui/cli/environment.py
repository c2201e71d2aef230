"""``--env`` and ``--env-file``."""

from __future__ import annotations

import os

from pyctr_engine.errors import from_os_error
from pyctr_tui.cli.options import UsageError


def environment(files: list[str], given: list[str]) -> tuple[str, ...]:
    """``KEY=value`` pairs of the files, then those given; a bare ``KEY`` takes the caller's value, if it has one."""
    pairs = []
    for path in files:
        pairs += _of_file(path)
    for text in given:
        pairs += _pair(text, f"--env: {text!r}")
    return tuple(pairs)


def _of_file(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
    except OSError as error:
        raise from_os_error(error, "read the environment file") from error
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not UTF-8 text") from None
    pairs = []
    for number, line in enumerate(lines, start=1):
        text = line.lstrip()
        if text and not text.startswith("#"):
            pairs += _pair(text, f"{path}:{number}")
    return pairs


def _pair(text: str, where: str) -> list[str]:
    name, equals, _ = text.partition("=")
    if not name or any(letter.isspace() for letter in name):
        raise UsageError(f"{where}: a variable's name is not empty and has no spaces", "variables are like KEY=value")
    if equals:
        return [text]
    return [f"{name}={os.environ[name]}"] if name in os.environ else []
