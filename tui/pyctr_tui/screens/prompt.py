"""What is typed in the last line: the filter, which the list follows, and what to look for in the log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pyctr_tui.query import parse
from pyctr_tui.widgets.line_edit import LineEdit

if TYPE_CHECKING:
    from pyctr_tui.screens.home import HomeScreen

FILTER_HINT = "state: stack: image: cpu> mem>   Enter keeps  Esc clears"
SEARCH_HINT = "Enter searches backwards  n older  N newer"


class Prompt:
    """Takes the keys while it is open; the footer shows the line."""

    def __init__(self, home: HomeScreen) -> None:
        self._home = home
        self._kind: Literal["", "filter", "search"] = ""
        self._hint = ""
        self.edit = LineEdit()

    @property
    def is_open(self) -> bool:
        """Whether a line is being typed."""
        return self._kind != ""

    def filter(self) -> None:
        """Begin with the filter in use."""
        self._open("filter", LineEdit(self._home.store.query.text, "words"), FILTER_HINT)

    def search(self) -> None:
        """Begin with what was looked for before."""
        self._open("search", LineEdit(self._home.logs.needle, "text in the log"), SEARCH_HINT)

    def key(self, key: str, character: str | None) -> None:
        """Take a key."""
        if key in ("escape", "ctrl+c"):
            self._close(accepted=False)
        elif key == "enter":
            self._close(accepted=True)
        elif key in ("up", "down") and self._kind == "filter":
            self._home.containers.move(1 if key == "down" else -1)
        elif self.edit.key(key, character):
            self._changed()

    def paste(self, text: str) -> None:
        """Paste into the line, if one is being typed."""
        if self.is_open:
            self.edit.insert(text)
            self._changed()

    def _open(self, kind: Literal["filter", "search"], edit: LineEdit, hint: str) -> None:
        self._kind, self.edit, self._hint = kind, edit, hint
        self._home.footer.show_edit("/", edit, hint)

    def _changed(self) -> None:
        if self._kind == "filter":
            self._filter_by(self.edit.value)
        self._home.footer.show_edit("/", self.edit, self._hint)

    def _close(self, accepted: bool) -> None:
        kind, self._kind = self._kind, ""
        self._home.footer.show_edit("", None)
        if kind == "search":
            self._home.logs.search(self.edit.value if accepted else "")
        elif not accepted:
            self._filter_by("")

    def _filter_by(self, text: str) -> None:
        self._home.store.query = parse(text)
        self._home.containers.update_rows()
