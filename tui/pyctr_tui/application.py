"""The Textual application: it owns the store, the threads and the theme, and hands what they find to the screens."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from textual.app import App

from pyctr_tui.details import Answer, Details
from pyctr_tui.feed import Feed
from pyctr_tui.keymap import Keymap
from pyctr_tui.logs.reader import Batch, LogReader, Merged
from pyctr_tui.palette import palette, themes
from pyctr_tui.screens.home import HomeScreen
from pyctr_tui.store import Store
from pyctr_tui.terminal.driver import Driver, adopt, is_reading

if TYPE_CHECKING:
    import asyncio

    from pyctr_engine.engine import Engine
    from pyctr_tui.palette import Depth

HUNG_UP = 1.0
"""Seconds to leave in order after SIGHUP or SIGTERM before leaving at once (a dead terminal can block a write)."""


class Application(App[int], inherit_bindings=False):
    """One engine, one home screen, and dialogs over it.

    Attributes:
        engine: Called from threads only.
        clock: Seconds since the epoch; tests give their own.
    """

    TITLE = "pyctr-tui"
    ENABLE_COMMAND_PALETTE = False
    CSS = "HomeScreen { background: ansi_default; } Dialog { background: transparent; }"

    def __init__(
        self,
        engine: Engine,
        stack: str | None = None,
        depth: Depth = "true",
        ascii_only: bool = False,
        clock: Callable[[], float] = time.time,
        feed: Feed | None = None,
    ) -> None:
        super().__init__(driver_class=Driver, ansi_color=depth != "true")
        adopt(self, depth, ascii_only)
        self.engine = engine
        self.clock = clock
        self.depth = depth
        self.palette = palette(themes(depth)[0], depth)
        self.keymap = Keymap()
        self.store = Store(clock)
        self.feed = feed if feed is not None else Feed(engine, clock)
        self.details = Details(engine, lambda answer: self.from_thread(self._answered, answer))
        self.log_reader = LogReader(engine, lambda batch: self.from_thread(self._lines_read, batch))
        self._loop_to_call: asyncio.AbstractEventLoop | None = None
        self._stack = stack
        self.home = HomeScreen(self)

    def get_default_screen(self) -> HomeScreen:
        """The home screen."""
        return self.home

    def on_mount(self) -> None:
        """Connect the threads and the signals."""
        import asyncio

        self._loop_to_call = asyncio.get_running_loop()
        if is_reading(self):
            for number in (signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, self._told_to_leave)
        self.feed.connect(lambda: self.from_thread(self._deliver))

    # -- threads ------------------------------------------------------------------------------------------------

    def from_thread(self, call: Callable[..., object], *arguments: Any) -> None:
        """Call something on the interface's thread, soon; nothing happens when the interface is gone."""
        loop = self._loop_to_call
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._call_in_app, call, arguments)

    def _call_in_app(self, call: Callable[..., object], arguments: tuple[Any, ...]) -> None:
        if self.is_running:
            self.home.call_next(call, *arguments)

    def _deliver(self) -> None:
        first = not self.store.loaded
        self.home.deliver(self.feed.take())
        if first and self.store.loaded and self._stack:
            self.home.containers.select(f"stack:{self._stack}")

    def _answered(self, answer: Answer) -> None:
        self.home.answered(answer)
        dialog = self.screen
        if dialog is not self.home and hasattr(dialog, "answered"):
            dialog.answered(answer)

    def _lines_read(self, batch: Batch | Merged) -> None:
        if isinstance(batch, Merged):
            self.home.log_strip.take(batch)
        else:
            self.home.log_batch(batch)
        self.log_reader.taken()

    # -- theme and leaving --------------------------------------------------------------------------------------

    def next_theme(self) -> str:
        """Change to the next theme and name it."""
        names = themes(self.depth)
        name = names[(names.index(self.palette.name) + 1) % len(names)] if self.palette.name in names else names[0]
        self.palette = palette(name, self.depth)
        self.home.repaint_all()
        self.home.refresh()
        return name

    def leave(self, code: int = 0) -> None:
        """End the interface; containers go on."""
        self.feed.stop()
        self.details.stop()
        self.log_reader.stop()
        self.exit(code)

    def _told_to_leave(self, number: int, _: object) -> None:
        """SIGTERM and SIGHUP: leave in order, or after `HUNG_UP` seconds without it.

        Not the loop's own signal handling: the loop may be waiting for a terminal that takes no more output,
        and only a plain handler interrupts that. The guardian resets the terminal when we leave out of order.
        """
        import os

        signal.signal(signal.SIGALRM, lambda *_: os._exit(128 + number))
        signal.setitimer(signal.ITIMER_REAL, HUNG_UP)
        if self._loop_to_call is not None and not self._loop_to_call.is_closed():
            self._loop_to_call.call_soon_threadsafe(self.leave, 128 + number)
