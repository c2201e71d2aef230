"""Asking before something is destroyed: says what goes and which command line does it; No is the default."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.segment import Segment

from pyctr_engine.record import dataclass
from pyctr_tui import glyphs
from pyctr_tui.dialogs.dialog import Dialog
from pyctr_tui.safe_text import safe
from pyctr_tui.terminal.driver import arrange_again
from pyctr_tui.widgets.draw import Line, cells, fill, gap, width_of
from pyctr_tui.widgets.pane import Pane

if TYPE_CHECKING:
    from textual import events


@dataclass(frozen=True, slots=True)
class Choice:
    """Something to choose before saying yes.

    Attributes:
        key: The key that goes to the next of ``values``; neither y nor n.
        label: What is chosen, its name in the answer.
        values: The first one is chosen until another is.
    """

    key: str
    label: str
    values: tuple[str, ...]


Chosen = Mapping[str, str]
Lines = Callable[[Chosen], Sequence[str]]


class _ConfirmPane(Pane):
    def __init__(
        self, question: str, lines: Lines, word: str, choices: Sequence[Choice], cli: Callable[[Chosen], str]
    ) -> None:
        super().__init__()
        self.question = question
        self.lines = lines
        self.word = word
        self.choices = tuple(choices)
        self.cli = cli
        self.chosen = {choice.label: choice.values[0] for choice in choices}
        self.yes = False
        self.buttons: list[tuple[int, int, bool]] = []
        self.buttons_line = 0

    def title(self) -> Line:
        return [Segment(self.question, self.palette.bad)]

    def paint(self, width: int, height: int) -> list[Line]:
        palette = self.palette
        cli = safe(self.cli(self.chosen))
        below: list[Line] = [self._choice(choice, width) for choice in self.choices]
        below += [[]] if below else []
        below += [[gap(2), cells(f"$ pyctr-tui {cli}", max(width - 4, 1), palette.faint)], []] if cli else []
        if height < len(below) + 7:
            below = [line for line in below if line][: max(height - 6, 0)]
        lines: list[Line] = [[]]
        lines += [
            [gap(2), cells(text, max(width - 4, 1), palette.text)] for text in self._fitting(height - 4 - len(below))
        ]
        lines += [[] for _ in range(height - len(lines) - len(below) - 2)]
        return [*lines, *below, self._answers(height), []]

    def _fitting(self, room: int) -> Sequence[str]:
        """The lines there is room for: what is lost is said last, so the end is kept, and as many names as fit."""
        shown = list(self.lines(self.chosen))
        if len(shown) > room > 0:
            tail = shown[shown.index("") :] if "" in shown else []
            names = max(0, room - len(tail) - 1)
            more = f"{glyphs.ELLIPSIS} and {len(shown) - len(tail) - names} more"
            shown = [*shown[:names], more, *tail][-room:]
        return shown

    def _choice(self, choice: Choice, width: int) -> Line:
        palette = self.palette
        line: Line = [
            gap(2),
            Segment(choice.key, palette.accent),
            Segment(f" {choice.label} ", palette.dim),
        ]
        for value in choice.values:
            picked = value == self.chosen[choice.label]
            line += [Segment(f" {value} ", palette.selected + palette.bold if picked else palette.dim)]
        return fill(line, width)

    def _answers(self, height: int) -> Line:
        palette = self.palette
        yes = f" {self.word} (y) "
        no = " no (n) "
        chosen = palette.selected + palette.bold
        self.buttons = [(2, 2 + len(no), False), (4 + len(no), 4 + len(no) + width_of(yes), True)]
        self.buttons_line = height - 2
        return [
            gap(2),
            Segment(no, chosen if not self.yes else palette.dim),
            gap(2),
            Segment(yes, chosen + palette.bad if self.yes else palette.bad),
        ]


class ConfirmDialog(Dialog[bool]):
    """Returns whether the user said yes; `chosen` is what was chosen meanwhile, by the choices' labels."""

    def __init__(
        self,
        question: str,
        lines: Sequence[str] | Lines,
        word: str,
        choices: Sequence[Choice] = (),
        cli: str | Callable[[Chosen], str] = "",
    ) -> None:
        self._pane = _ConfirmPane(
            question,
            lines if callable(lines) else lambda chosen: lines,
            word,
            choices,
            cli if callable(cli) else lambda chosen: cli,
        )
        super().__init__(self._pane)

    @property
    def chosen(self) -> Chosen:
        """What is chosen now."""
        return self._pane.chosen

    def changed(self) -> None:
        """Its lines have more to say: show them."""
        if self.is_mounted:
            arrange_again(self)
            self._pane.repaint()

    def wanted_size(self, width: int, height: int) -> tuple[int, int]:
        """As wide as its longest line, as tall as its lines."""
        pane = self._pane
        lines, cli = pane.lines(pane.chosen), pane.cli(pane.chosen)
        choices = [f"   {choice.label}  {'  '.join(choice.values)}    " for choice in pane.choices]
        longest = max((width_of(line) for line in (*lines, *choices, pane.question + "    ")), default=20)
        if cli:
            longest = max(longest, min(width_of(cli) + 12, 76))
        more = (len(choices) + 1 if choices else 0) + (2 if cli else 0)
        return max(36, min(longest + 6, width - 4)), min(len(lines) + 6 + more, max(8, height - 4))

    def key(self, event: events.Key) -> None:
        """y and n, or a choice and Enter."""
        pane = self._pane
        typed = event.character or event.key
        choice = next((choice for choice in pane.choices if choice.key == typed), None)
        if event.key in ("y", "Y"):
            self.dismiss(True)
        elif event.key in ("n", "N", "escape", "q", "ctrl+c"):
            self.dismiss(False)
        elif choice is not None:
            at = choice.values.index(pane.chosen[choice.label])
            pane.chosen[choice.label] = choice.values[(at + 1) % len(choice.values)]
            self.changed()
        elif event.key in ("left", "right", "tab", "shift+tab", "h", "l"):
            pane.yes = not pane.yes
            pane.repaint()
        elif event.key == "enter":
            self.dismiss(pane.yes)

    def on_click(self, event: events.Click) -> None:
        """A click on an answer gives it."""
        region = self._pane.region
        if event.screen_y == region.y + 1 + self._pane.buttons_line:
            at = event.screen_x - region.x - 1
            for start, end, yes in self._pane.buttons:
                if start <= at < end:
                    self.dismiss(yes)
                    return
        super().on_click(event)
