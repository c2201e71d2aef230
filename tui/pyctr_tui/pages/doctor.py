"""What the host can do and what it lacks, and on demand whether the store is whole; mended from here."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from textwrap import wrap
from typing import TYPE_CHECKING

from rich.segment import Segment

from pyctr_engine.record import dataclass
from pyctr_tui import glyphs
from pyctr_tui.figures import count
from pyctr_tui.pages.page import Page
from pyctr_tui.panes.listing import ListPane
from pyctr_tui.query import Subject, of_anything
from pyctr_tui.safe_text import safe
from pyctr_tui.widgets.draw import Line, cells, gap

if TYPE_CHECKING:
    from textual import events

    from pyctr_engine.model.host import Finding
    from pyctr_engine.model.tidy import Repair
    from pyctr_tui.details import Answer
    from pyctr_tui.jobs import Job
    from pyctr_tui.screens.home import HomeScreen

LEVELS = {
    "fail": (glyphs.FAILED, "bad", "missing"),
    "warn": (glyphs.WARNING, "warn", "with less"),
    "ok": (glyphs.MARK, "good", "well"),
}
SUBJECT = 24


@dataclass(frozen=True, slots=True)
class Row:
    """A line: a finding's first (with its ``level``), one that continues it, or a heading (of no finding)."""

    number: int
    level: str
    subject: str
    text: str
    finding: Finding | None = None
    hint: bool = False


class DoctorPane(ListPane[Row]):
    """Findings, the worst first, wrapped to the width."""

    has_header = False

    def __init__(self) -> None:
        super().__init__(id="doctor")
        self.groups: list[tuple[str, Sequence[Finding]]] = []
        self.error = ""

    def key(self, item: Row) -> str:
        """Its place."""
        return str(item.number)

    def show_groups(self, groups: list[tuple[str, Sequence[Finding]]]) -> None:
        """Show these findings under their headings."""
        self.groups, self.error = groups, ""
        self.show(list(self._rows(self.inner_size[0])))

    def show_error(self, text: str) -> None:
        """Say why there are none."""
        self.error = text
        self.repaint()

    def on_resize(self, event: events.Resize) -> None:
        """Wrap at the new width."""
        if self.groups:
            self.show_groups(self.groups)
        super().on_resize(event)

    def seen_by_filter(self, item: Row) -> Subject:
        """The whole finding, so that all of its lines pass."""
        return of_anything(item.finding or item.subject)

    def title(self) -> Line:
        """How well the host is."""
        palette = self.palette
        line = [Segment("Doctor", palette.strong)]
        for level, (_, tone, word) in LEVELS.items():
            many = sum(finding.level == level for _, found in self.groups for finding in found)
            if many:
                line += [Segment(f" {glyphs.DOT} ", palette.dim), Segment(f"{many} {word}", getattr(palette, tone))]
        return line

    def _rows(self, width: int) -> Iterator[Row]:
        order = list(LEVELS)
        room = max(width - SUBJECT - 6, 20)
        number = itertools.count()
        for heading, found in self.groups:
            if heading != self.groups[0][0]:
                yield Row(next(number), "more", "", "")
            yield Row(next(number), "", heading, "")
            for finding in sorted(found, key=lambda one: order.index(one.level)):
                level: str = finding.level
                subject = safe(finding.subject)
                lines = [(text, False) for text in wrap(safe(finding.detail), room) or [""]]
                for text, hint in [*lines, *((text, True) for text in wrap(safe(finding.cost), room))]:
                    yield Row(next(number), level, subject, text, finding, hint)
                    level, subject = "more", ""

    def draw(self, item: Row, width: int) -> Line:
        """A finding's line, or a heading."""
        palette = self.palette
        if not item.level:
            return [gap(1), Segment(item.subject, palette.accent)]
        symbol, tone, _ = LEVELS.get(item.level, (" ", "dim", ""))
        text = palette.dim if item.hint else palette.text if item.level != "ok" else palette.dim
        return [
            gap(1),
            Segment(f"{symbol} ", getattr(palette, tone)),
            cells(item.subject, SUBJECT, palette.strong),
            gap(1),
            cells(item.text, max(width - SUBJECT - 5, 4), text),
        ]

    def empty(self, width: int) -> list[Line]:
        """Looking, or why nothing was seen."""
        if self.error:
            return [[gap(1), cells(self.error, max(width - 2, 1), self.palette.bad)]]
        return [[gap(1), Segment(f"examining the host {glyphs.ELLIPSIS}", self.palette.dim)]]


class DoctorPage(Page):
    """The host at once; the store when it is asked for, for that reads much."""

    cli = "doctor"

    def __init__(self, home: HomeScreen) -> None:
        super().__init__(home)
        self.list = DoctorPane()
        self.panes = (self.list,)
        self._host: Sequence[Finding] = ()
        self._store: Sequence[Finding] | None = None

    def opened(self) -> None:
        """Examine the host."""
        self.application.details.call("doctor", self.application.engine.doctor, self._examined)

    def _examined(self, answer: Answer) -> None:
        if answer.error:
            self.list.show_error(answer.error)
            return
        self._host = answer.value
        self._show()

    def _show(self) -> None:
        groups: list[tuple[str, Sequence[Finding]]] = [("This host", self._host)]
        if self._store is not None:
            groups.append(("The store, the database, and what the kernel holds", self._store))
        self.list.show_groups(groups)

    def action_refresh(self) -> None:
        """Examine the host again."""
        self.opened()

    def action_check_store(self) -> None:
        """Look through the store, the database, and what the kernel holds."""
        engine = self.application.engine

        def then(found: object) -> None:
            assert isinstance(found, list)
            self._store = found
            self._show()

        self.application.jobs.run("checking the store", lambda job: engine.check(), "checked", "system check", then)

    def action_repair_store(self) -> None:
        """Mend what can be, after asking."""
        from pyctr_tui.dialogs.confirm import ConfirmDialog

        broken = [finding for finding in self._store or () if finding.level != "ok"]
        lines = [f"{safe(finding.subject)}: {safe(finding.detail)}" for finding in broken]
        if self._store is None:
            lines = ["The store is checked first."]
        elif not broken:
            self.home.notify_line("there is nothing to mend", "good")
            return
        lines += ["", "Layers are unpacked again from their blobs; images that can't be had any more are dropped,",
                  "and what belongs to nobody is removed. What a container needs stays.",
                  "", "$ pyctr-tui system check --repair"]  # fmt: skip
        engine = self.application.engine

        def work(job: Job) -> str:
            done: list[Repair] = engine.repair()
            self._store = engine.check()
            mended = sum(one.done for one in done)
            left = [one for one in done if not one.done]
            said = f"{count(mended, 'thing')} mended"
            return said + (f", {len(left)} can't be: {left[0].subject}, {left[0].detail}" if left else "")

        def answered(yes: bool | None) -> None:
            if yes:
                self.application.jobs.run(
                    "mending the store", work, "mended", "system check --repair", lambda _: self._show(), images=True
                )

        self.home.app.push_screen(ConfirmDialog("Mend the store?", lines, "mend"), answered)

    def action_copy(self) -> None:
        """Copy the command in a finding's hint, or the hint."""
        row = self.list.selected
        if row is None or row.finding is None:
            return
        finding = row.finding
        _, tick, rest = finding.cost.partition("`")
        text = rest.partition("`")[0] if tick else finding.cost or finding.detail
        self.home.copy_text(safe(text))
