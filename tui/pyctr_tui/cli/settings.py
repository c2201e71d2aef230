"""``settings path``, ``settings schema`` and ``settings check``: the interface's settings, without the interface."""

from __future__ import annotations

from collections.abc import Sequence

from pyctr_tui.cli import output
from pyctr_tui.cli.call import Call
from pyctr_tui.cli.options import Grammar

_PATH = Grammar("settings path", "", "Print where the interface's settings file is, whether or not it is there.")
_SCHEMA = Grammar(
    "settings schema",
    "",
    "Print the file's JSON Schema; editors check by it: `# yaml-language-server: $schema=FILE` in its first line.",
)
_CHECK = Grammar(
    "settings check", "[FILE]", "Check the settings; the exit code is 1 when something is wrong.", most=1
)


def path(call: Call, words: Sequence[str]) -> int:
    """``settings path``."""
    from pyctr_tui.settings.settings import file_path

    _PATH.parse(words)
    output.line(file_path())
    return 0


def schema(call: Call, words: Sequence[str]) -> int:
    """``settings schema``."""
    from pyctr_tui.settings.table import schema as made

    _SCHEMA.parse(words)
    output.json_value(made())
    return 0


def check(call: Call, words: Sequence[str]) -> int:
    """``settings check``."""
    import os

    from pyctr_engine.errors import NotFound
    from pyctr_tui.remaps import keymap
    from pyctr_tui.settings.document import read
    from pyctr_tui.settings.settings import file_path

    parsed = _CHECK.parse(words)
    where = parsed.arguments[0] if parsed.arguments else file_path()
    if not os.path.lexists(where):
        if parsed.arguments:
            raise NotFound(f"there is no file {where}")
        output.line(f"{where}: not there; the defaults apply")
        return 0
    values, problems = read(where)
    _, said = keymap(values.values.get("key_preset", "default"), values.values.get("keys", {}))
    for problem in [*map(str, problems), *(f"{where}: {line}" for line in said)]:
        output.line(problem)
    if not problems and not said:
        output.line(f"{where}: fine")
    return 1 if problems or said else 0
