"""How the commit dialog looks: the fields, what they leave of the changes, and each changed path with its growth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.segment import Segment

from pyctr_tui import glyphs
from pyctr_tui.figures import count, exact_size, size
from pyctr_tui.panes.details import draw_change
from pyctr_tui.widgets.braille import bar
from pyctr_tui.widgets.draw import Line, cells, fill, gap, spread
from pyctr_tui.widgets.pane import Pane

if TYPE_CHECKING:
    from pyctr_tui.dialogs.commit_form import CommitForm
    from pyctr_tui.jobs import Job
    from pyctr_tui.view import ChangeView, ContainerView
    from pyctr_tui.widgets.line_edit import LineEdit

LABEL = 12
GROWTH = 8
"""Cells of the column that says how a file has grown."""
SHOWN = 3
"""Lines of changes to the config in sight."""


class CommitPane(Pane):
    """Form and list.

    Attributes:
        at: The field with the cursor: ``name`` … ``files``, ``change0`` for the first change to the config.
        changes: ``None`` until they are known; ``left_out`` raw paths of those that will not be taken.
        error: What went wrong; ``wrong`` what is wrong with what is typed; ``remark`` what is to be known of it.
    """

    def __init__(self, container: ContainerView, form: CommitForm) -> None:
        super().__init__()
        self.container = container
        self.form = form
        self.at = "name"
        self.changes: Sequence[ChangeView] | None = None
        self.left_out: frozenset[str] = frozenset()
        self.cursor = self.top = 0
        self.error = self.wrong = self.remark = ""
        self.job: Job | None = None
        self._opened_with: dict[str, int] | None = None

    @property
    def busy(self) -> bool:
        """Whether it is being committed."""
        return self.job is not None and self.job.state == "running"

    @property
    def fields(self) -> list[str]:
        """All fields, from top to bottom."""
        changes = [f"change{number}" for number in range(len(self.form.changes))]
        return ["name", "author", "message", "pause", *changes, "only", "patterns", "files"]

    @property
    def edit(self) -> LineEdit | None:
        """The line with the cursor, where there is one."""
        if self.at.startswith("change"):
            return self.form.changes[int(self.at[6:])]
        lines = ("name", "author", "message", "only", "patterns")
        return getattr(self.form, self.at) if self.at in lines else None

    @property
    def head(self) -> int:
        """Lines above the list."""
        return 9 + min(len(self.form.changes), SHOWN)

    @property
    def room(self) -> int:
        """Lines of the list in sight."""
        return max(1, self.inner_size[1] - self.head - 2)

    @property
    def total(self) -> int:
        """Bytes that would be kept."""
        return sum(change.size for change in self.changes or () if not self.leaves_out(change.raw))

    def go(self, by: int) -> None:
        """To another field."""
        self.form.settle() if not self.at.startswith("change") else None
        fields = self.fields
        at = fields.index(self.at) if self.at in fields else 0
        self.at = fields[(at + by) % len(fields)]

    def show_changes(self, changes: Sequence[ChangeView]) -> None:
        """Show what has changed; growth is against the first time."""
        selected = self.changes[self.cursor].raw if self.changes and self.cursor < len(self.changes) else ""
        if self._opened_with is None:
            self._opened_with = {change.raw: change.size for change in changes}
        self.changes = changes
        self.cursor = next((at for at, change in enumerate(changes) if change.raw == selected), 0)

    def leaves_out(self, raw: str) -> bool:
        """Whether a path is left out, picked or by a pattern."""
        return raw in self.left_out or self.form.picked(raw)

    # -- painting -----------------------------------------------------------------------------------------------

    def title(self) -> Line:
        """Whose commit."""
        palette = self.palette
        return [Segment("Commit ", palette.dim), Segment(self.container.name, palette.strong)]

    def subtitle(self) -> Line:
        """The keys."""
        keys = "Tab next · Space leaves out · Enter commits · Esc"
        busy = "Ctrl+X cancels · Esc leaves it running"
        return [Segment(busy if self.busy else keys, self.palette.dim)]

    def highlight(self) -> tuple[int, object] | None:
        """The file with the cursor."""
        if self.at == "files" and self.changes:
            return self.head + self.cursor - self.top, self.palette.selected
        return None

    def paint(self, width: int, height: int) -> list[Line]:
        """Fields, total, list, and what is to be said."""
        form = self.form
        lines: list[Line] = [
            self._field("name", "name:tag", form.name, width),
            self._field("author", "author", form.author, width),
            self._field("message", "message", form.message, width),
            self._pause(width),
            *self._config(width),
            self._field("only", "take", form.only, width),
            self._field("patterns", "leave out", form.patterns, width),
            [],
            self._total(width),
            self._list_title(width),
        ]
        lines += self._files(width)
        lines = lines[: height - 2]
        lines += [[gap(width)] for _ in range(height - 2 - len(lines))]
        return [*lines, [], self._state(width)]

    def _label(self, focused: bool, text: str) -> Segment:
        return cells(f" {text}", LABEL, self.palette.accent if focused else self.palette.dim)

    def _field(self, name: str, label: str, edit: LineEdit, width: int) -> Line:
        focused = self.at == name
        shown = edit.paint(max(width - LABEL - 1, 4), self.palette, focused and not self.busy)
        return [self._label(focused, label), *shown]

    def _config(self, width: int) -> list[Line]:
        """The changes to the config in sight, the one with the cursor among them."""
        edits = self.form.changes
        at = int(self.at[6:]) if self.at.startswith("change") else len(edits) - 1
        start = max(0, min(at - SHOWN + 1, len(edits) - SHOWN))
        lines = []
        for number in range(start, min(start + SHOWN, len(edits))):
            label = "config" if number == start else ""
            lines.append(self._field(f"change{number}", label, edits[number], width))
        return lines

    def _pause(self, width: int) -> Line:
        palette = self.palette
        mark = f"[{glyphs.MARK if self.form.pause else ' '}]"
        text = "frozen while its files are read" if self.form.pause else "goes on: files may change under the reader"
        chosen = palette.selected if self.at == "pause" else palette.text
        line = [self._label(self.at == "pause", "pause"), Segment(mark, palette.strong + chosen)]
        return fill([*line, Segment(f" {text}", palette.dim)], width)

    def _total(self, width: int) -> Line:
        palette = self.palette
        if self.changes is None:
            return [gap(1), Segment("counting what has changed …", palette.dim)]
        kept = sum(not self.leaves_out(change.raw) for change in self.changes)
        line: Line = [
            gap(1),
            Segment(exact_size(self.total), palette.edge["memory"] + palette.bold),
            Segment(f" in {count(kept, 'path')} become one new layer of {self.container.image}", palette.text),
        ]
        aside: Line = []
        grown = sum(change.size for change in self.changes) - sum((self._opened_with or {}).values())
        if grown:
            aside.append(Segment(f"{signed(grown)} since opened ", palette.warn))
        if kept < len(self.changes):
            aside.append(Segment(f"{len(self.changes) - kept} left out ", palette.warn))
        return spread(line, aside, width)

    def _list_title(self, width: int) -> Line:
        palette = self.palette
        line = [self._label(self.at == "files", "files")]
        line.append(cells("SIZE", max(width - LABEL - 2 - GROWTH, 4), palette.dim, right=True))
        return [*line, cells("+/−", GROWTH, palette.dim, right=True), gap(2)]

    def _files(self, width: int) -> list[Line]:
        if not self.changes:
            text = "" if self.changes is None else "nothing has changed: the new image would be the same"
            return [[gap(1), Segment(text, self.palette.dim)]]
        self.top = max(min(self.top, self.cursor), self.cursor - self.room + 1, 0)
        return [self._file(change, width) for change in self.changes[self.top : self.top + self.room]]

    def _file(self, change: ChangeView, width: int) -> Line:
        palette = self.palette
        line = fill(draw_change(change, width - GROWTH, palette, self.leaves_out(change.raw)), width - GROWTH)
        before = (self._opened_with or {}).get(change.raw)
        if before is None:
            return [*line, cells("new", GROWTH - 2, palette.warn, right=True), gap(2)]
        grown = change.size - before
        return [*line, cells(signed(grown) if grown else "", GROWTH - 2, palette.warn, right=True), gap(2)]

    def _state(self, width: int) -> Line:
        palette = self.palette
        if self.job is not None and self.busy:
            figures = self.job.figures() or "beginning"
            line: Line = [
                gap(1),
                *bar(self.job.share or 0.0, min(30, max(width // 3, 4)), palette.accent, palette.frame),
            ]
            return fill([*line, Segment(f" {figures}", palette.text)], width)
        for text, tone in ((self.error, palette.bad), (self.wrong, palette.warn), (self.remark, palette.warn)):
            if text:
                return fill([gap(1), Segment(text, tone)], width)
        return fill([Segment(f" $ pyctr-tui {self.form.line(self.container.name)}", palette.faint)], width)


def signed(change: int) -> str:
    """Bytes with their sign: ``+1.2M``, ``−4K``."""
    return f"+{size(change)}" if change >= 0 else f"−{size(-change)}"
