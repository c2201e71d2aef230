"""What settings do while the interface runs: taken from the files, changed at once, noticed when a key changes one.

Order, columns and basis belong to the store, and several keys and dialogs change them there; after each command the
store is looked at, and what differs is remembered as a choice.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from pyctr_tui import remaps
from pyctr_tui.settings.table import BY_NAME, SPANS
from pyctr_tui.terminal.driver import set_ascii, set_mouse
from pyctr_tui.themes import Themes

if TYPE_CHECKING:
    from pyctr_tui.application import Application

IN_STORE = {"columns": "columns", "sort": "sort", "reverse": "reverse", "cpu_basis": "basis"}
"""Settings that are attributes of the store, by its names."""


class Configured:
    """Between the settings and all that goes by them.

    Attributes:
        first_theme: The theme that was set at the beginning: the key for the next theme comes back to it.
    """

    def __init__(self, application: Application) -> None:
        self._application = application
        self._store = application.store
        self.first_theme: str = application.settings.value("theme")
        self._seen = self._in_store()
        for name in IN_STORE:
            if application.settings.source(name) != "default":
                self._put(name)
        self._put("graph_span")
        self._seen = self._in_store()

    def _in_store(self) -> dict[str, Any]:
        return {name: getattr(self._store, attribute) for name, attribute in IN_STORE.items()}

    # -- changing -----------------------------------------------------------------------------------------------

    def choose(self, name: str, value: Any) -> str:
        """Set, apply and remember; a sentence where that goes only so far. Raises ValueError for a wrong value."""
        said = self._application.settings.choose(name, value)
        self.apply(name)
        return said

    def forget(self, name: str) -> None:
        """Forget what was chosen for a setting: the file's word again, or the default."""
        self._application.settings.forget(name)
        self.apply(name)

    def apply(self, name: str) -> None:
        """Let a setting take effect."""
        application = self._application
        if name in ("key_preset", "keys"):
            settings = application.settings
            application.keymap, said = remaps.keymap(settings.value("key_preset"), settings.value("keys"))
            application.home.footer.keymap = application.keymap
            settings.problems = [line for line in settings.problems if not line.startswith("keys: ")] + said
            application.home.footer.repaint()
        elif name in ("theme", "themes"):
            application.themes = Themes(application.depth, application.settings.value("themes"))
            application.show_theme(application.settings.value("theme"))
        else:
            self._put(name)
            application.home.containers.update_rows()
            application.home.repaint_all()
            application.home.refresh()
        self._seen = self._in_store()

    def _put(self, name: str) -> None:
        application, value = self._application, self._application.settings.value(name)
        attribute = IN_STORE.get(name)
        if attribute is not None:
            setattr(self._store, attribute, value)
        elif name == "graph_span":
            application.home.graphs.wanted = SPANS[value]
            application.home.graphs.zoom = None
        elif name == "mouse":
            set_mouse(application, value)
        elif name == "ascii":
            set_ascii(application, value or application.ascii_asked)

    def look(self, tell: bool = True) -> None:
        """Remember what keys have changed in the store; ``tell`` when that can't be done."""
        now = self._in_store()
        for name, value in now.items():
            if value != self._seen[name]:
                self._application.settings.choose(name, value)
                if tell and self._application.settings.trouble:
                    self._application.home.notify_line(self._application.settings.trouble, "warn")
        self._seen = now

    # -- the file -----------------------------------------------------------------------------------------------

    def read_again(self) -> None:
        """Read the files again, apply all, and tell of mistakes."""
        settings = self._application.settings
        settings.read()
        for name in ("themes", *(one for one in BY_NAME if one not in ("keys", "themes"))):
            self.apply(name)
        if settings.problems:
            self.tell_problems()
        else:
            self._application.home.notify_line("the settings were read again", "good")

    def tell_problems(self) -> None:
        """Show the first mistake of the file, and how many there are."""
        problems = self._application.settings.problems
        if problems:
            more = f" · {len(problems) - 1} more" if len(problems) > 1 else ""
            key = self._application.keymap.key_of("view settings")
            shown = f" · {key} shows them" if key else ""
            folder = os.path.dirname(self._application.settings.path) + "/"
            said = problems[0].removeprefix(folder)
            self._application.home.notify_line(f"{said}{more}{shown}", "warn", 15.0)
