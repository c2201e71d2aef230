"""The settings as they are now, and where each one comes from.

Three say something, the later over the earlier:

1. the table's defaults;
2. what was chosen in the program (the theme by ``t``, the order, the columns, the basis, the page of settings), kept
   in the state file ``$XDG_STATE_HOME/pyctr-tui/tui-state.json``;
3. the user's file ``$XDG_CONFIG_HOME/pyctr-tui/tui.yaml`` (or PYCTR_TUI_CONFIG), for the settings it names.

A choice made in the program takes effect at once whatever the file says, but where the file names that setting, only
until the program is left or reads the file again; whoever chose is told so. The file is never written by the program.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from pyctr_tui.safe_text import safe
from pyctr_tui.settings.table import BY_NAME, SETTINGS, Values

if TYPE_CHECKING:
    from pyctr_tui.settings.document import Problem

Source = Literal["default", "chosen", "file", "session"]


def file_path(environ: Mapping[str, str] | None = None) -> str:
    """Where the user's file is, whether or not it is there."""
    given = os.environ if environ is None else environ
    asked = given.get("PYCTR_TUI_CONFIG", "")
    return os.path.abspath(asked) if asked else _under(given, "XDG_CONFIG_HOME", ".config", "tui.yaml")


def state_path(environ: Mapping[str, str] | None = None) -> str:
    """Where the program keeps what was chosen in it."""
    given = os.environ if environ is None else environ
    return _under(given, "XDG_STATE_HOME", ".local/state", "tui-state.json")


def _under(given: Mapping[str, str], variable: str, usual: str, name: str) -> str:
    base = given.get(variable, "")
    if not os.path.isabs(base):  # "All paths set in these environment variables must be absolute" (XDG)
        base = os.path.join(given.get("HOME") or os.path.expanduser("~"), usual)
    return os.path.join(base, "pyctr-tui", name)


class Settings:
    """What is set. Without paths: the defaults, and nothing is kept.

    Attributes:
        problems: Mistakes of the file, each as one line.
        trouble: Why the last choice can't be remembered; empty when it is.
    """

    def __init__(self, path: str = "", state: str = "") -> None:
        self.path = path
        self.state = state
        self.problems: list[str] = []
        self.trouble = ""
        self._file = Values(path)
        self._chosen: dict[str, Any] = {}
        self._session: dict[str, Any] = {}
        self._made: dict[str, Any] = {}

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read both files where they usually are."""
        settings = cls(file_path(environ), state_path(environ))
        settings.read()
        return settings

    def read(self) -> None:
        """Read both files again; what was chosen over the file is over."""
        self.problems = []
        self._session = {}
        self._file = Values(self.path)
        if self.path and os.path.lexists(self.path):
            from pyctr_tui.settings.document import read

            problems: list[Problem]
            self._file, problems = read(self.path)
            self.problems = [safe(str(problem)) for problem in problems]
        if self.state and os.path.lexists(self.state):
            self._read_state()

    def _read_state(self) -> None:
        self._chosen, problem = self._choices()
        if problem:
            self.problems.append(f"{self.state}: {problem}")

    def _choices(self) -> tuple[dict[str, Any], str]:
        """What the state file holds, and what is wrong with it."""
        import json

        try:
            with open(self.state, encoding="utf-8") as file:
                said = json.load(file)
        except FileNotFoundError:
            return {}, ""
        except OSError as error:
            return {}, f"cannot be read: {(error.strerror or 'error').lower()}"
        except ValueError:
            said = None
        if not isinstance(said, dict):
            return {}, "is damaged, and what was chosen is forgotten · choose it again"
        found = {}
        for name, value in said.items():
            setting = BY_NAME.get(name)
            # A newer program may have known more: what this one doesn't understand it leaves out.
            if setting is not None and setting.is_simple and not setting.refusal(value):
                found[name] = tuple(value) if isinstance(value, list) else value
        return found, ""

    # -- asking -------------------------------------------------------------------------------------------------

    def value(self, name: str) -> Any:
        """What a setting is now."""
        for said in (self._session, self._file.values, self._chosen):
            if name in said:
                return said[name]
        return BY_NAME[name].default

    def source(self, name: str) -> Source:
        """Who says so: ``session`` is a choice over the file, until the program is left."""
        if name in self._session:
            return "session"
        if name in self._file.values:
            return "file"
        return "chosen" if name in self._chosen else "default"

    # -- choosing -----------------------------------------------------------------------------------------------

    def choose(self, name: str, value: Any) -> str:
        """Set what was chosen in the program and remember it; a sentence when that goes only so far.

        Raises ValueError for a value that the setting can't have.
        """
        setting = BY_NAME[name]
        refused = setting.refusal(value) if setting.is_simple else f"{name} is set in the file"
        if refused:
            raise ValueError(refused)
        self._chosen[name] = self._made[name] = value
        trouble = self.trouble = self._write_state()
        if name not in self._file.values:
            return trouble
        if self._file.values[name] == value:
            self._session.pop(name, None)
            return trouble
        self._session[name] = value
        said = setting.text(self._file.values[name])
        return trouble or f"until you leave: {os.path.basename(self.path)} says {said}"

    def forget(self, name: str) -> None:
        """Forget what was chosen."""
        self._session.pop(name, None)
        if self._chosen.pop(name, None) is not None:
            self._made[name] = None
            self.trouble = self._write_state()

    def _write_state(self) -> str:
        """Write aside and rename, so that no reader and no crash sees half of it.

        What another interface has chosen in the meantime stays, but for what was chosen here.
        """
        if not self.state:
            return ""
        import json
        import tempfile

        kept = self._choices()[0] | self._made  # a damaged file was told of when it was read
        known = {one.name: kept[one.name] for one in SETTINGS if kept.get(one.name) is not None}
        text = json.dumps(known, indent=2) + "\n"
        try:
            os.makedirs(os.path.dirname(self.state), mode=0o700, exist_ok=True)
            handle, aside = tempfile.mkstemp(prefix=".tui-state-", dir=os.path.dirname(self.state))
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    file.write(text)
                os.replace(aside, self.state)
            except OSError:
                os.unlink(aside)
                raise
        except OSError as error:
            return f"it can't be remembered: {self.state}: {(error.strerror or 'error').lower()}"
        return ""
