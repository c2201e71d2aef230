"""What is typed in the last line: the filter, which the list follows, and what is wanted of the log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pyctr_tui.logs.query import BadQuery, parse_query
from pyctr_tui.query import complete
from pyctr_tui.widgets.line_edit import LineEdit

if TYPE_CHECKING:
    from pyctr_tui.panes.listing import ListPane
    from pyctr_tui.screens.home import HomeScreen

FILTER_HINT = "Tab completes  Enter keeps  Esc clears"
SEARCH_HINT = "Enter searches backwards  n older  N newer"
ONLY_HINT = "a regular expression, !what to leave out, level:warn, stream:stderr   Enter shows only these"

Kind = Literal["filter", "search", "only"]


class Prompt:
    """Takes the keys while it is open; the footer shows the line."""

    def __init__(self, home: HomeScreen) -> None:
        self._home = home
        self._kind: Kind | None = None
        self._hint = ""
        self.edit = LineEdit()
        self._pane: ListPane[Any] = home.containers
        self._plain = ""
        self._past: list[str] = []
        self._at = 0

    @property
    def is_open(self) -> bool:
        """Whether a line is being typed."""
        return self._kind is not None

    def filter(self, pane: ListPane[Any]) -> None:
        """Begin with the filter a list has."""
        self._pane = pane
        self._at = len(self._past)
        text = self._home.store.query.text if pane is self._home.containers else pane.filtering.text
        fields = " ".join([f"{name}:" for name in pane.known()][:4] + [f"{name}>" for name in pane.figures][:2])
        self._plain = f"{fields}   {FILTER_HINT}".strip()
        self._open("filter", LineEdit(text, "words"), self._plain)

    def search(self) -> None:
        """Begin with what was looked for before."""
        self._open("search", LineEdit(self._home.logs.needle, "text in the log"), SEARCH_HINT)

    def only(self) -> None:
        """Begin with what is shown of the log."""
        self._open("only", LineEdit(self._home.logs.only_text, "which lines"), ONLY_HINT)

    def key(self, key: str, character: str | None) -> None:
        """Take a key."""
        if key in ("escape", "ctrl+c"):
            self._close(accepted=False)
        elif key == "enter":
            self._close(accepted=True)
        elif key in ("up", "down") and self._kind == "filter":
            self._remember(1 if key == "down" else -1)
        elif key == "tab" and self._kind == "filter":
            self._complete()
        elif self.edit.key(key, character):
            self._changed()

    def paste(self, text: str) -> None:
        """Paste into the line, if one is being typed."""
        if self.is_open:
            self.edit.insert(text)
            self._changed()

    def _open(self, kind: Kind, edit: LineEdit, hint: str) -> None:
        self._kind, self.edit, self._hint = kind, edit, hint
        self._show()

    def _show(self) -> None:
        self._home.footer.show_edit("&" if self._kind == "only" else "/", self.edit, self._hint)

    def _changed(self) -> None:
        if self._kind == "filter":
            self._filter_by(self.edit.value)
        elif self._kind == "only":
            self._hint = self._problem() or ONLY_HINT
        self._show()

    def _problem(self) -> str:
        """Why what is typed says nothing about lines; empty when it does."""
        try:
            parse_query(self.edit.value)
        except BadQuery as problem:
            return str(problem)
        return ""

    def _close(self, accepted: bool) -> None:
        if self._kind == "only" and accepted and (problem := self._problem()):
            self._hint = problem
            self._show()
            return
        kind, self._kind = self._kind, None
        self._home.footer.show_edit("", None)
        if kind == "search":
            self._home.logs.search(self.edit.value if accepted else "")
        elif kind == "only":
            if accepted:
                self._home.logs.show_only(parse_query(self.edit.value), self.edit.value.strip())
        elif not accepted:
            self._filter_by("")
        elif text := self.edit.value.strip():
            self._past = [*(one for one in self._past if one != text), text]

    def _filter_by(self, text: str) -> None:
        pane = self._pane
        pane.filter_by(text)
        query = self._home.store.query if pane is self._home.containers else pane.filtering
        crowded = len(text) + len(self._plain) + 12 > self._home.size.width
        self._hint = query.problem or ("" if crowded else self._plain)

    def _remember(self, by: int) -> None:
        """Walk through what was filtered by before; past the newest stands an empty line."""
        self._at = max(0, min(self._at + by, len(self._past)))
        self._set(self._past[self._at] if self._at < len(self._past) else "")

    def _complete(self) -> None:
        pane = self._pane
        self._set(complete(self.edit.value, pane.known(), pane.figures))

    def _set(self, text: str) -> None:
        self.edit = LineEdit(text, "words")
        self._changed()
