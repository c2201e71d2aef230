"""Frame credit: a live frame is drawn when the terminal has got the one before, so that keys never queue behind them.

On a slow line with a large buffer in front of it, whatever is written is shown seconds later, and what a key does
after it. So each frame that nobody pressed a key for ends with a question to the terminal, and the next one waits for
the answer: at most one is ever under way. Where answers take long, a frame is one pane.

The question is DECRQM for mode 2026; terminals that don't know it are asked for their attributes (DA1), which all
answer but the oddest; those get a fixed rate. Source: the VT510 manual; the specification of synchronised output.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections import deque
from collections.abc import Callable, Iterable
from time import monotonic
from typing import TYPE_CHECKING

from pyctr_tui.terminal.driver import Driver, is_reading, is_synchronised, synchronise

if TYPE_CHECKING:
    from textual.timer import Timer

    from pyctr_tui.application import Application
    from pyctr_tui.widgets.pane import Pane

MODE, ATTRIBUTES = "\x1b[?2026$p", "\x1b[c"
ANSWER = re.compile(r"\x1b\[\?(?:2026;(\d)\$y|[\d;]*c)")
UNFINISHED = re.compile(r"\x1b(?:\[(?:\?[\d;]*\$?)?)?$")
PATIENCE = 5.0
"""Seconds until a terminal that used to answer is taken to have lost the question."""
FASTEST = 0.05
"""Seconds between two live frames, on the fastest line."""
TYPING = 1.0
"""Seconds since the last key in which another one is likely."""
BREATH = 0.002
"""Seconds between two panes of a frame, in which a key finds its way through the program."""
BLIND = 1.0
"""Seconds between two live frames for a terminal that never answers."""
SLOW = 0.15
"""Seconds until an answer from which on a line is slow."""
SETTLING = 2.0
"""Seconds to wait at most for the last answer before the terminal is given away: a slow line takes its time."""
SUPPORTED = ("1", "2", "3")
"""Answers about a mode that can be set. Source: the VT510 manual, DECRPM."""


class Credit:
    """Draws live frames, one at a time. All on the interface's thread, but `filter`."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._waiting: dict[str, Callable[[], object]] = {}
        self._panes: deque[Pane] = deque()
        self._next: deque[Pane] = deque()
        self._under_way = False
        self._answered_by: set[str] = set()
        self._written = 0
        self._asked = 0.0
        self._slow = False
        self._timer: Timer | None = None
        self._rest = ""
        self._passed = ""
        self._settled = threading.Event()
        self._settled.set()

    def live(self, kind: str, take: Callable[[], object]) -> None:
        """Take something in when the frame under way has come through; of a kind the newest counts."""
        self._waiting[kind] = take
        if not self._under_way:
            self._go()

    def paint(self, panes: Iterable[Pane]) -> None:
        """Repaint panes as part of a live frame: while somebody types, with room for keys in between; on a slow line,
        a frame each."""
        driver = self._driver()
        typing = driver is not None and monotonic() - driver.typed < TYPING
        for pane in panes:
            if driver is None:
                pane.repaint()
            elif self._slow:
                if pane not in self._panes:
                    self._panes.append(pane)
            elif not typing:
                self._application.home.call_later(pane.repaint)
            elif pane not in self._next:
                self._next.append(pane)
                if len(self._next) == 1:
                    self._soon()

    def _soon(self) -> None:
        """Paint the next pane when keys that have come have had their turn."""
        home = self._application.home
        asyncio.get_running_loop().call_later(BREATH, home.call_later, self._paint_next)

    def _paint_next(self) -> None:
        self._next.popleft().repaint()
        if self._next:
            self._soon()

    def filter(self, data: str) -> str:
        """What came from the terminal, without its answers; for the driver's input thread."""
        if "\x1b" not in data and not self._rest and not self._passed:
            return data
        passed, text = self._passed, self._passed + self._rest + data
        self._rest = ""
        for found in ANSWER.finditer(text):
            by = MODE if "$" in found.group() else ATTRIBUTES
            self._settled.set()
            self._application.from_thread(self._answered, by, found.group(1) in SUPPORTED)
        if not passed or ANSWER.match(text) is None:  # one that has begun to be passed is passed to its end
            text = ANSWER.sub("", text)
        text = text[len(passed) :] if passed else text
        cut = UNFINISHED.search(text)
        self._passed = cut.group() if cut is not None and len(cut.group()) <= 2 else ""  # a lone Esc is a key
        if cut is not None and not self._passed:
            self._rest = cut.group()
            text = text[: cut.start()]
        return text

    def settle(self) -> None:
        """Wait for the answer under way, or it would be typed into whatever gets the terminal next."""
        if self._answered_by:
            self._settled.wait(SETTLING)

    # -- the frame under way ------------------------------------------------------------------------------------

    def _answered(self, by: str, supported: bool) -> None:
        """The terminal has answered: all that was written before is on its screen.

        Textual's own question about the mode is answered here too: it would never hear that it may use it.
        """
        self._answered_by.add(by)
        if supported:
            synchronise(self._application)
        if self._under_way and self._asked:
            self._slow = monotonic() - self._asked > SLOW
            self._asked = 0.0
            self._wait(FASTEST, self._free)

    def _go(self) -> None:
        """Draw what waits: the store first, then a pane of those that are due."""
        driver = self._driver()
        while self._waiting or self._panes:
            if driver is not None:
                self._under_way = True
                self._written = driver.written
            if self._panes:
                self._panes.popleft().repaint()
            else:
                waiting, self._waiting = self._waiting, {}
                for take in waiting.values():
                    take()
            if driver is not None:
                self._wait(FASTEST / 2, self._sent)
                return

    def _driver(self) -> Driver | None:
        driver = self._application._driver
        return driver if isinstance(driver, Driver) and is_reading(self._application) else None

    def _sent(self) -> None:
        """The frame has been handed to the terminal."""
        driver = self._driver()
        if driver is None or driver.written == self._written:
            self._free()
            return
        known = self._answered_by
        if is_synchronised(self._application):
            known.add(MODE)
        self._settled.clear()
        driver.write(MODE if MODE in known else ATTRIBUTES if ATTRIBUTES in known else MODE + ATTRIBUTES)
        self._asked = monotonic()
        self._wait(PATIENCE if known else BLIND, self._free)

    def _wait(self, seconds: float, then: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.stop()
        self._timer = self._application.set_timer(seconds, then)

    def _free(self) -> None:
        self._timer = None
        self._under_way = False
        self._asked = 0.0
        self._go()
