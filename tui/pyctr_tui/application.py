"""The Textual application: it owns the store, the threads and the theme, and hands what they find to the screens."""

from __future__ import annotations

import gc
import signal
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from textual.app import App

from pyctr_tui import remaps
from pyctr_tui.configured import Configured
from pyctr_tui.details import Answer, Details
from pyctr_tui.feed import Feed
from pyctr_tui.jobs import Jobs
from pyctr_tui.logs.news import Batch, Merged
from pyctr_tui.logs.reader import LogReader
from pyctr_tui.reverts import Reverts
from pyctr_tui.screens.home import HomeScreen
from pyctr_tui.settings.settings import Settings
from pyctr_tui.store import Store
from pyctr_tui.terminal.credit import Credit
from pyctr_tui.terminal.driver import Driver, adopt, is_reading
from pyctr_tui.themes import Themes

if TYPE_CHECKING:
    import asyncio

    from pyctr_engine.engine import Engine
    from pyctr_tui.palette import Depth

RECENT = 6
"""Names of what was chosen in the palette that stand first in it."""
THRESHOLDS = (5_000, 20, 1_000)
"""Of the garbage collector: all there is, it looks through when it is told to."""
COLLECT_EVERY, QUIET = 30.0, 1.0
"""Seconds between two collections, and without a key before one."""
HUNG_UP = 1.0
"""Seconds to leave in order after SIGHUP or SIGTERM before leaving at once (a dead terminal can block a write)."""


class Application(App[int], inherit_bindings=False):
    """One engine, one home screen, and dialogs over it.

    Attributes:
        engine: Called from threads only.
        clock: Seconds since the epoch; tests give their own.
        recent: What was chosen in the palette, by name, the newest first.
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
        settings: Settings | None = None,
    ) -> None:
        super().__init__(driver_class=Driver, ansi_color=depth != "true")
        # Nothing shows Textual's toasts or tooltips: without them, each screen has two widgets less to lay out.
        self._disable_notifications = self._disable_tooltips = True
        self.settings = settings if settings is not None else Settings()
        self.ascii_asked = ascii_only
        adopt(self, depth, ascii_only or self.settings.value("ascii"))
        self.engine = engine
        self.clock = clock
        self.depth = depth
        self.themes = Themes(depth, self.settings.value("themes"))
        self.palette = self.themes.palette(self.settings.value("theme"))
        self.keymap, said = remaps.keymap(self.settings.value("key_preset"), self.settings.value("keys"))
        self.settings.problems += said
        self.store = Store(clock)
        self.feed = feed if feed is not None else Feed(engine, clock)
        self.details = Details(engine, lambda answer: self.from_thread(self._answered, answer))
        self.log_reader = LogReader(engine, lambda batch: self.from_thread(self._lines_read, batch))
        self._loop_to_call: asyncio.AbstractEventLoop | None = None
        self._stack = stack
        self._batches: list[Batch | Merged] = []
        self.jobs = Jobs(self)
        self.reverts = Reverts(self)
        self.credit = Credit(self)
        self.home = HomeScreen(self)
        self.jobs.changed = self.home.job_changed
        self.configured = Configured(self)
        self.recent: list[str] = []
        self._collected = 0.0

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
            if isinstance(self._driver, Driver):
                self._driver.filter = self.credit.filter
                self._driver.settle = self.credit.settle
                self._driver.means = lambda name: self.keymap.means(name)
        self.call_later(self.configured.tell_problems)
        self.feed.connect(lambda: self.from_thread(self.credit.live, "feed", self._deliver))

    # -- threads ------------------------------------------------------------------------------------------------

    def from_thread(self, call: Callable[..., object], *arguments: Any) -> None:
        """Call something on the interface's thread, soon; nothing happens when the interface is gone."""
        loop = self._loop_to_call
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._call_in_app, call, arguments)

    def _call_in_app(self, call: Callable[..., object], arguments: tuple[Any, ...]) -> None:
        if self.is_running:
            self.home.call_next(call, *arguments)

    def catch_up(self) -> None:
        """Show what the feed has found, however slow the line is."""
        self._deliver()

    def _deliver(self) -> None:
        first = not self.store.loaded
        self.home.deliver(self.feed.take())
        if not first and isinstance(self._driver, Driver):
            self._collect(time.monotonic(), self._driver.typed)
        if first and self.store.loaded and self._stack:
            self.home.containers.select(f"stack:{self._stack}")

    def _collect(self, now: float, typed: float) -> None:
        """Collect garbage while nobody types: it takes a tenth of a second."""
        if now - self._collected > COLLECT_EVERY and now - typed > QUIET:
            gc.collect()
            if not self._collected:
                gc.freeze()  # what there is now stays: to look through it again and again would hold up keys
                gc.set_threshold(*THRESHOLDS)
            self._collected = now

    def _answered(self, answer: Answer) -> None:
        if answer.then is not None:
            answer.then(answer)
            return
        self.home.answered(answer)
        dialog = self.screen
        if dialog is not self.home and hasattr(dialog, "answered"):
            dialog.answered(answer)

    def _lines_read(self, batch: Batch | Merged) -> None:
        self._batches.append(batch)
        self.credit.live("lines", self._show_lines)

    def _show_lines(self) -> None:
        batches, self._batches = self._batches, []
        for batch in batches:
            self._show_batch(batch)

    def _show_batch(self, batch: Batch | Merged) -> None:
        if isinstance(batch, Merged):
            self.home.log_strip.take(batch)
        else:
            self.home.log_batch(batch)
        self.log_reader.taken()

    def remember(self, name: str) -> None:
        """Keep what was chosen in the palette, the newest first."""
        self.recent = [name, *(one for one in self.recent if one != name)][:RECENT]

    def suspends(self, key: str, character: str | None) -> bool:
        """Suspend if a key says so where text is typed or a dialog has the keys: Ctrl+Z does, no letter can there."""
        command = self.keymap.lookup("*", key)
        if command is None or command.action != "suspend" or (character is not None and character.isprintable()):
            return False
        self.action_suspend_process()
        return True

    # -- theme and leaving --------------------------------------------------------------------------------------

    def next_theme(self) -> str:
        """Change to the next theme and name it."""
        names = self.themes.short(self.configured.first_theme)
        name = names[(names.index(self.palette.name) + 1) % len(names)] if self.palette.name in names else names[0]
        return self.choose_theme(name)

    def choose_theme(self, name: str) -> str:
        """Change to a theme at once and remember it; its name, and how long it stays where that needs saying."""
        if self.depth in ("16", "none"):
            return self.palette.name
        said = self.configured.choose("theme", name)
        return f"{self.palette.name} · {said}" if said else self.palette.name

    def show_theme(self, name: str) -> None:
        """Draw everything in a theme."""
        self.palette = self.themes.palette(name)
        self.home.repaint_all()
        self.home.refresh()

    def leave(self, code: int = 0) -> None:
        """End the interface; containers go on."""
        self.configured.look(tell=False)
        self.feed.stop()
        self.details.stop()
        self.log_reader.stop()
        self.home.term.tabs.close()
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
