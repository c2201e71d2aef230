"""Playing a recording: through the emulator, so that nothing in it reaches the user's own terminal raw."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.segment import Segment

from pyctr_tui import glyphs
from pyctr_tui.dialogs.dialog import Dialog
from pyctr_tui.terminal.asciicast import Event, Header, size_of
from pyctr_tui.terminal.cells import draw_row
from pyctr_tui.terminal.connection import PIECE
from pyctr_tui.terminal.emulator import Emulator
from pyctr_tui.widgets.draw import Line
from pyctr_tui.widgets.pane import Pane

if TYPE_CHECKING:
    from textual import events

IDLE = 2.0
"""Seconds that a pause lasts at most, unless the recording says something else."""
TICK = 1 / 30
BUDGET = 0.008
"""Seconds of drawing in one tick."""
SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
STEP = 5.0


class Player:
    """A recording and where it is played. Times are those of the recording, long pauses shortened."""

    def __init__(self, header: Header, events: Sequence[Event], idle: float = 0.0) -> None:
        self.header = header
        self.emulator = Emulator(header.columns, header.rows)
        self.speed = 1.0
        self.paused = False
        self.at = 0.0
        self.next = 0
        self._rest = b""
        limit = idle or header.idle or IDLE
        self.events: list[Event] = []
        now = before = 0.0
        for event in events:
            now += min(max(event.at - before, 0.0), limit)
            before = max(event.at, before)
            self.events.append(Event(now, event.kind, event.data))
        self.length = now

    @property
    def is_over(self) -> bool:
        """Whether all has been shown."""
        return self.next >= len(self.events) and not self._rest

    def advance(self, seconds: float, budget: float = BUDGET) -> bool:
        """Play so many seconds on; whether anything was drawn. A flood takes as long as drawing it takes."""
        until = time.monotonic() + budget
        drawn = False
        target = min(self.at + seconds, self.length)
        while True:
            while self._rest:
                self.emulator.feed(self._rest[:PIECE])
                self._rest = self._rest[PIECE:]
                drawn = True
                if time.monotonic() >= until:
                    return True
            if self.next >= len(self.events) or self.events[self.next].at > target:
                break
            event = self.events[self.next]
            self.next += 1
            self.at = event.at
            if event.kind == "o":
                self._rest = event.data.encode("utf-8", "replace")
            elif (size := size_of(event.data)) is not None:
                self.emulator.resize(*size)
                drawn = True
        self.at = max(self.at, target)
        return drawn

    def seek(self, at: float) -> None:
        """Go to a time: backwards means from the beginning on."""
        if at < self.at:
            self.emulator = Emulator(self.header.columns, self.header.rows)
            self.next, self._rest, self.at = 0, b"", 0.0
        self.advance(max(0.0, min(at, self.length)) - self.at, budget=30.0)

    def faster(self, by: int) -> None:
        """The next speed."""
        self.speed = SPEEDS[max(0, min(SPEEDS.index(self.speed) + by, len(SPEEDS) - 1))]


class _ReplayPane(Pane):
    def __init__(self, player: Player) -> None:
        super().__init__()
        self.player = player

    def title(self) -> Line:
        return [Segment(self.player.header.title or "recording", self.palette.strong)]

    def subtitle(self) -> Line:
        player, palette = self.player, self.palette
        state = "over" if player.is_over else "paused" if player.paused else "plays"
        where = (f"{_clock(player.at)} of {_clock(player.length)}", state, f"{player.speed:g}×")
        keys = ("Space goes on" if player.paused else "Space pauses", "← →", "+ -", "Esc")
        dot = f" {glyphs.DOT} "
        return [Segment(dot.join(where), palette.text), Segment("  " + dot.join(keys), palette.dim)]

    def paint(self, width: int, height: int) -> list[Line]:
        emulator = self.player.emulator
        lines = [draw_row(row, width, emulator.is_reversed) for row in emulator.rows()[:height]]
        if self.player.is_over and height > 2 and not any(emulator.text()):
            lines[0] = [Segment("(an empty screen)", self.palette.faint)]
        return lines


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


class ReplayDialog(Dialog[None]):
    """Plays a recording from its beginning."""

    def __init__(self, header: Header, events: Sequence[Event], speed: float = 1.0, idle: float = 0.0) -> None:
        player = self.player = Player(header, events, idle)
        player.speed = min(SPEEDS, key=lambda one: abs(one - speed))
        self._pane = _ReplayPane(player)
        super().__init__(self._pane)

    def wanted_size(self, width: int, height: int) -> tuple[int, int]:
        """As big as what was recorded."""
        columns, rows = self.player.emulator.size
        return min(max(columns + 2, 60), width), min(rows + 2, height)

    def on_mount(self) -> None:
        """Begin."""
        super().on_mount()
        self._before = time.monotonic()
        self.set_interval(TICK, self._tick)

    def _tick(self) -> None:
        now = time.monotonic()
        passed, self._before = now - self._before, now
        if self.player.paused or self.player.is_over:
            return
        self.player.advance(passed * self.player.speed)
        self._pane.repaint()

    def key(self, event: events.Key) -> None:
        """Pause, speed, and moving in time."""
        player = self.player
        if event.key in ("escape", "q", "ctrl+c"):
            self.dismiss(None)
        elif event.key in ("space", "p"):
            if player.is_over:
                player.seek(0.0)
                player.paused = False
            else:
                player.paused = not player.paused
        elif event.key in ("plus", "equals_sign", "up"):
            player.faster(1)
        elif event.key in ("minus", "down"):
            player.faster(-1)
        elif event.key in ("right", "l", "left", "h"):
            player.seek(player.at + (STEP if event.key in ("right", "l") else -STEP))
        elif event.key in ("home", "g", "0"):
            player.seek(0.0)
        elif event.key in ("end", "G"):
            player.seek(player.length)
        self._pane.repaint()
