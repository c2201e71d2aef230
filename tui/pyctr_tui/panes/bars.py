"""The first and the last line: the machine at a glance; keys, notices and what is being typed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.segment import Segment

from pyctr_tui import glyphs
from pyctr_tui.figures import percent, size
from pyctr_tui.home_layout import arrangement
from pyctr_tui.keymap import Keymap
from pyctr_tui.safe_text import safe
from pyctr_tui.widgets.braille import spark
from pyctr_tui.widgets.draw import Line, cells, fill, fit_tail, gap, length, spread, width_of
from pyctr_tui.widgets.line_edit import LineEdit
from pyctr_tui.widgets.pane import Pane

if TYPE_CHECKING:
    from pyctr_tui.store import Store

HOST_SPARK = 12


class TopLine(Pane, can_focus=False):
    """Whose engine, how many containers in which state, and how the machine is doing."""

    def __init__(self, store: Store) -> None:
        super().__init__(framed=False, id="top")
        self.store = store
        self.jobs = 0

    def paint(self, width: int, height: int) -> list[Line]:
        """One line; what matters least goes first where room is short."""
        for detail in (3, 2, 1, 0):
            left, right = self._left(detail), self._right(detail, width)
            if length(left) + length(right) + 2 <= width:
                break
        return [spread(left, right, width)]

    def _left(self, detail: int) -> Line:
        palette, store = self.palette, self.store
        line: Line = [Segment(" pyctr ", palette.badge)]
        if store.info is not None:
            line.append(Segment(f" {safe(store.info.hostname)}", palette.strong))
            if detail >= 2:
                mode = safe(store.info.cgroup_mode)
                who = f" {glyphs.DOT} {safe(store.info.user)} {glyphs.DOT} cgroup {mode}"
                line.append(Segment(who, palette.dim))
        if not store.loaded:
            return line
        counts = store.counts()
        tones = {"up": palette.good, "paused": palette.warn, "oom": palette.bad, "failed": palette.bad}
        for word, tone in (*tones.items(), ("exited", palette.dim)):
            if counts[word] and (detail >= 1 or word in ("up", "oom", "failed")):
                line += [Segment(f"  {counts[word]}", tone), Segment(f" {word}", palette.dim)]
        if not store.containers:
            line.append(Segment("  no containers", palette.dim))
        if self.jobs:
            line += [Segment(f"  {glyphs.RESTARTING} {self.jobs}", palette.accent)]
            line.append(Segment(" job" if self.jobs == 1 else " jobs", palette.dim))
        return line

    def _right(self, detail: int, width: int) -> Line:
        palette, host = self.palette, self.store.host
        clock = time.strftime("%H:%M", time.localtime(self.store.clock()))
        if host is None:
            return [Segment(clock + " ", palette.dim)]
        line: Line = [Segment("cpu ", palette.dim)]
        if detail >= 3 and arrangement(width, 99) != "single":
            values = self.store.host_ring.last("cpu", HOST_SPARK * 2)
            if len(values) % 2:
                values = values[1:]
            line += spark(values, HOST_SPARK, 100.0, palette.edge["cpu"], palette.body["cpu"])
        line.append(Segment(f"{percent(host.cpu):>4}", palette.strong))
        line += [
            Segment("  mem ", palette.dim),
            Segment(size(host.memory_used), palette.strong),
            Segment(f"/{size(host.memory_total)}", palette.dim),
        ]
        if host.pressure is not None and detail >= 2:
            tone = palette.bad if host.pressure >= 10 else palette.strong
            line += [Segment("  psi ", palette.dim), Segment(f"{host.pressure:.1f}%", tone)]
        return [*line, Segment(f"  {clock} ", palette.dim)]


_TYPING = {
    "typing": [("Ctrl+]", "o leaves, d detaches, [ looks back: all other keys are the program's")],
    "prefix": [("Esc", "back to the program")],
    "copy": [("j k g G", "move"), ("v", "select"), ("y", "copy"), ("/", "search"), ("n N", "next"), ("Esc", "leave")],
    "search": [("Enter", "search"), ("Esc", "back")],
}


class Footer(Pane, can_focus=False):
    """Keys of the focused pane, with the newest running job; a notice for a while; or the line being typed.

    Attributes:
        job: What the newest running job does and how far it is, and which key cancels it; empty for none.
        edit: The line being typed, with ``prompt`` before it; ``None`` when nothing is.
    """

    def __init__(self, keymap: Keymap) -> None:
        super().__init__(framed=False, id="foot")
        self.keymap = keymap
        self.where = "containers"
        self.cli = ""
        self.alive = True
        self.notice: tuple[str, str] | None = None
        self.prompt = ""
        self.aside = ""
        self.edit: LineEdit | None = None
        self.job = ("", "", "")
        self.typing = ""

    def show_job(self, title: str, figures: str, cancels: str) -> None:
        """Show a running job beside the keys: its title, how far it is, and the key that cancels it."""
        if (title, figures, cancels) != self.job:
            self.job = (title, figures, cancels)
            self.repaint()

    def show_typing(self, mode: str) -> None:
        """Whose the keys are while a terminal is typed into; an empty ``mode`` shows the focused pane's again."""
        if mode != self.typing:
            self.typing = mode
            self.repaint()

    def show_keys(self, where: str, cli: str, alive: bool) -> None:
        """Show the keys of a pane, and the command line for its subject (``alive`` or not) where there is room."""
        if (where, cli, alive) != (self.where, self.cli, self.alive):
            self.where, self.cli, self.alive = where, cli, alive
            self.repaint()

    def show_notice(self, text: str, tone: str = "text") -> None:
        """Show a sentence; an empty one shows the keys again."""
        notice = (text, tone) if text else None
        if notice != self.notice:
            self.notice = notice
            self.repaint()

    def show_edit(self, prompt: str, edit: LineEdit | None, aside: str = "") -> None:
        """Show the line being typed; ``None`` shows the keys again."""
        self.prompt, self.edit, self.aside = prompt, edit, aside
        self.repaint()

    def paint(self, width: int, height: int) -> list[Line]:
        """Whichever of the three it is."""
        palette = self.palette
        if self.edit is not None:
            line: Line = [Segment(f" {self.prompt}", palette.accent)]
            line += self.edit.paint(max(8, width - length(line) - len(self.aside) - 4), palette)
            return [spread(line, [Segment(self.aside + " ", palette.dim)] if self.aside else [], width)]
        if self.notice is not None:
            text, tone = self.notice
            return [fill([gap(1), Segment(text, getattr(palette, tone))], width)]
        line = []
        job = self._job(width)
        items = _TYPING[self.typing] if self.typing else self.keymap.footer(self.where, width - length(job))
        for key, word in items:
            if word == "start/stop":
                word = "stop" if self.alive else "start"
            line += [Segment(f" {key}", palette.accent), Segment(f" {word} ", palette.dim)]
        if job:
            return [spread(line, job, width)]
        free = width - length(line)
        cli = f"$ pyctr-tui {self.cli} " if self.cli else ""
        if cli and free > 16:
            return [spread(line, [Segment(fit_tail(cli, min(len(cli), free - 1)), palette.faint)], width)]
        return [line]

    def _job(self, width: int) -> Line:
        title, figures, cancels = self.job
        if not title:
            return []
        palette = self.palette
        tail: Line = [Segment(f" {figures}", palette.strong)] if figures else []
        if cancels and width >= 60:
            tail += [Segment(f"  {cancels}", palette.accent), Segment(" cancels", palette.dim)]
        room = min(width_of(title), max(width * 6 // 10 - length(tail) - 4, 12))
        head: Line = [Segment(f" {glyphs.RESTARTING} ", palette.accent), cells(title, room, palette.dim)]
        return [*head, *tail, gap(1)]
