"""A dialog of a few fields, for whatever an action has to know: names, paths, choices, yes or no."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.segment import Segment

from pyctr_engine.record import dataclass
from pyctr_tui import glyphs
from pyctr_tui.dialogs.dialog import Dialog
from pyctr_tui.safe_text import safe
from pyctr_tui.terminal.driver import arrange_again
from pyctr_tui.widgets.draw import Line, cells, fill, gap, width_of
from pyctr_tui.widgets.line_edit import LineEdit
from pyctr_tui.widgets.pane import Pane

if TYPE_CHECKING:
    from textual import events


SAID_MOST = 4
"""Lines of a command line or a sentence below the fields."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field.

    Attributes:
        name: Its key in the answer.
        label: What stands before it.
        value: What it holds at first. A switch holds ``yes`` or nothing, a choice one of ``choices``.
        hint: What is shown while it is empty; of a switch, what it means.
        choices: What Space and the arrows go through; empty for a field to type in.
        switch: Whether it is a box to tick.
        needed: Whether it must not be empty.
        secret: Whether what is typed is not to be seen.
    """

    name: str
    label: str
    value: str = ""
    hint: str = ""
    choices: tuple[str, ...] = ()
    switch: bool = False
    needed: bool = False
    secret: bool = False


Answers = Mapping[str, str]


class _FormPane(Pane):
    def __init__(
        self,
        heading: str,
        fields: Sequence[Field],
        notes: Sequence[str],
        word: str,
        cli: Callable[[Answers], str],
        remark: Callable[[Answers], str],
    ) -> None:
        super().__init__()
        self.heading = heading
        self.fields = tuple(fields)
        self.notes = tuple(notes)
        self.word = word
        self.cli = cli
        self.remark = remark
        self.edits = {field.name: LineEdit(field.value, field.hint) for field in fields}
        self.at = 0
        self.error = ""
        self.label = max((width_of(field.label) for field in fields), default=0) + 3

    @property
    def field(self) -> Field:
        """The one with the cursor."""
        return self.fields[self.at]

    def answers(self) -> dict[str, str]:
        """What has been filled in."""
        return {name: edit.value.strip() for name, edit in self.edits.items()}

    def title(self) -> Line:
        return [Segment(self.heading, self.palette.strong)]

    def subtitle(self) -> Line:
        keys = "Tab next · " if len(self.fields) > 1 else ""
        return [Segment(f"{keys}Enter {self.word} · Esc", self.palette.dim)]

    def paint(self, width: int, height: int) -> list[Line]:
        palette = self.palette
        lines: list[Line] = [[]]
        lines += [[gap(1), cells(note, max(width - 2, 1), palette.dim)] for note in self.notes]
        lines += [[]] if self.notes else []
        lines += [self._draw(field, at == self.at, width) for at, field in enumerate(self.fields)]
        state = self.state(width)
        room = max(height - len(state) - 1, len(self.fields) and 1)
        first = max(0, len(lines) - len(self.fields) + self.at + 1 - room)  # the field with the cursor is in sight
        lines = lines[first : first + room]
        lines += [[] for _ in range(height - len(state) - len(lines))]
        return [*lines, *state]

    def _draw(self, field: Field, focused: bool, width: int) -> Line:
        palette = self.palette
        edit = self.edits[field.name]
        room = max(width - self.label - 1, 4)
        label = cells(f" {field.label}", self.label, palette.accent if focused else palette.dim)
        chosen = palette.selected + palette.strong if focused else palette.text
        if field.switch:
            mark = Segment(f"[{glyphs.MARK if edit.value else ' '}]", chosen)
            return [label, mark, cells(f" {field.hint}", room - 3, palette.dim)]
        if field.choices:
            line: Line = [label]
            for choice in field.choices:
                picked = choice == edit.value
                line += [Segment(f" {choice} ", chosen + palette.bold if picked else palette.dim), gap(1)]
            return fill(line, width)
        if field.secret and edit.value:
            hidden = LineEdit("*" * len(edit.value))
            hidden.cursor = edit.cursor
            edit = hidden
        return [label, *edit.paint(room, palette, focused)]

    def state(self, width: int) -> list[Line]:
        """An error, what is to be known of what is typed, or the command line: in as many lines as it takes."""
        remark, cli = safe(self.remark(self.answers())), safe(self.cli(self.answers()))  # of raw answers
        said = (
            (self.error, self.palette.bad),
            (remark, self.palette.warn),
            (f"$ pyctr-tui {cli}", self.palette.faint),
        )
        text, style = next(((text, style) for text, style in said[: 3 if cli else 2] if text), ("", None))
        pieces = textwrap.wrap(text, max(width - 2, 8), break_on_hyphens=False)[:SAID_MOST] or [""]
        return [fill([gap(1), Segment(piece, style)], width) for piece in pieces]


class FormDialog(Dialog[Answers]):
    """Returns what was filled in, by field, or ``None``. Without fields it only shows its notes.

    ``check`` may refuse the answers with a sentence; ``cli`` says which command line does the same; ``remark`` says
    what is to be known of what is typed.
    """

    def __init__(
        self,
        heading: str,
        fields: Sequence[Field],
        word: str,
        notes: Sequence[str] = (),
        check: Callable[[Answers], str] = lambda answers: "",
        cli: Callable[[Answers], str] = lambda answers: "",
        remark: Callable[[Answers], str] = lambda answers: "",
    ) -> None:
        self._pane = _FormPane(heading, fields, notes, word, cli, remark)
        self._check = check
        super().__init__(self._pane)

    def wanted_size(self, width: int, height: int) -> tuple[int, int]:
        """The fields and notes, and a line for what is being typed."""
        pane = self._pane
        longest = max((width_of(note) + 4 for note in pane.notes), default=0)
        lines = len(pane.fields) + len(pane.notes) + (1 if pane.notes else 0)
        wide = min(max(72, longest), width - 4)
        return wide, min(lines + 4 + len(pane.state(wide - 2)), height - 2)

    def key(self, event: events.Key) -> None:
        """Fields, and Enter."""
        pane = self._pane
        if event.key in ("escape", "ctrl+c") or (not pane.fields and event.key in ("enter", "q")):
            self.dismiss(None)
            return
        if pane.fields:
            self._field_key(event)

    def _field_key(self, event: events.Key) -> None:
        pane = self._pane
        field, edit = pane.field, pane.edits[pane.field.name]
        if event.key == "enter":
            self._finish()
        elif event.key in ("tab", "down", "shift+tab", "up"):
            pane.at = (pane.at + (1 if event.key in ("tab", "down") else -1)) % len(pane.fields)
        elif field.switch:
            if event.key in ("space", "left", "right"):
                edit.value = "" if edit.value else "yes"
        elif field.choices:
            if event.key in ("space", "right", "left"):
                by = -1 if event.key == "left" else 1
                at = field.choices.index(edit.value) if edit.value in field.choices else -1
                edit.value = field.choices[(at + by) % len(field.choices)]
        elif edit.key(event.key, event.character):
            pane.error = ""
        arrange_again(self)
        pane.repaint()

    def on_paste(self, event: events.Paste) -> None:
        """Paste into the field."""
        pane = self._pane
        if pane.fields and not pane.field.switch and not pane.field.choices:
            pane.edits[pane.field.name].insert(event.text)
            pane.repaint()

    def _finish(self) -> None:
        pane = self._pane
        answers = pane.answers()
        missing = next((at for at, field in enumerate(pane.fields) if field.needed and not answers[field.name]), None)
        if missing is not None:
            pane.at, pane.error = missing, f"{pane.fields[missing].label} is needed"
        elif refusal := self._check(answers):
            pane.error = refusal
        else:
            self.dismiss(answers)
