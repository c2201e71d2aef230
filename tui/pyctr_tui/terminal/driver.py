"""All that leans on Textual's private parts: the driver's input loop, the colour depth, the filters.

Textual is pinned exactly because of this module; look here first when that pin moves.
"""

from __future__ import annotations

import os
import selectors
import signal
import time
from codecs import getincrementaldecoder
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rich.color import ColorSystem
from textual._parser import ParseError
from textual.drivers.linux_driver import LinuxDriver

from pyctr_tui.terminal import painting
from pyctr_tui.terminal.filters import AsciiFilter, ColourlessFilter, HarmlessFilter
from pyctr_tui.terminal.parser import Parser

if TYPE_CHECKING:
    from textual.app import App
    from textual.screen import Screen

    from pyctr_tui.palette import Depth

QUICK = 0.01
"""Seconds to wait for the rest of an escape sequence before looking whether its time is over."""
SLOW = 0.1
ALERT = 0.2
"""Seconds after a key in which the short wait is used: an idle terminal costs ten wake-ups a second."""


class Driver(LinuxDriver):
    """Textual's driver with an input loop that answers a lone Esc within ``ESCDELAY`` and a few milliseconds.

    Attributes:
        written: Characters written so far.
        typed: When something came in last that `filter` let through, by the monotonic clock.
        filter: Called in the input thread with all that comes in; what it gives back is parsed.
        means: Called in the input thread: whether a key with Alt does something.
        settle: Called before the terminal is given away, while its input is still read.
    """

    written = 0
    typed = 0.0
    filter: Callable[[str], str] = staticmethod(lambda data: data)
    means: Callable[[str], bool] = staticmethod(lambda name: False)
    settle: Callable[[], None] = staticmethod(lambda: None)

    def stop_application_mode(self) -> None:
        """Give the terminal back as it was."""
        self.settle()
        super().stop_application_mode()

    def run_input_thread(self) -> None:
        """Wait for input and hand it to the parser."""
        selector = selectors.SelectSelector()
        selector.register(self.fileno, selectors.EVENT_READ)
        parser = Parser(lambda name: self.means(name), self._debug)
        decode = getincrementaldecoder("utf-8")("replace").decode
        alert_until = 0.0
        try:
            while not self.exit_event.is_set():
                wait = QUICK if time.monotonic() < alert_until else SLOW
                if selector.select(wait):
                    raw = self._read()
                    if not raw:
                        os.kill(os.getpid(), signal.SIGHUP)  # the terminal is gone, whether or not the kernel says so
                        return
                    if data := self.filter(decode(raw)):  # an empty string would be the end for the parser
                        self.typed = time.monotonic()
                        alert_until = self.typed + ALERT
                        for event in parser.feed(data):
                            self.process_message(event)
                for event in parser.tick():
                    self.process_message(event)
        finally:
            selector.close()
            try:
                for _ in parser.feed(""):
                    pass
            except (EOFError, ParseError):
                pass

    def _get_terminal_size(self) -> tuple[int, int]:
        """The terminal's own word; ``COLUMNS`` and ``LINES`` in the environment are of the past after a resize."""
        try:
            size = os.get_terminal_size(2)
        except (OSError, ValueError):
            return super()._get_terminal_size()
        return size.columns or 80, size.lines or 24

    def _sigcont_application(self, *_: object) -> None:
        """Go on. After SIGSTOP, unlike SIGTSTP, the terminal was never given back: without doing so first there
        would be two input threads, and raw mode would be taken for what the terminal was like before."""
        writer = self._writer_thread
        if self._auto_restart and writer is not None and writer.is_alive():
            self.suspend_application_mode()
            self._must_signal_resume = True  # and all is drawn anew
        super()._sigcont_application()

    def _enable_mouse_support(self) -> None:
        """Buttons, the wheel, and dragging; not each movement (mode 1003), which floods a slow line for nothing."""
        if self._mouse:
            self.write("\x1b[?1000h\x1b[?1002h\x1b[?1006h")
            self.flush()

    def _disable_mouse_support(self) -> None:
        if self._mouse:
            self.write("\x1b[?1006l\x1b[?1002l\x1b[?1000l")
            self.flush()

    def _read(self) -> bytes:
        try:
            return os.read(self.fileno, 4096)
        except OSError:
            return b""

    def write(self, data: str) -> None:
        """Write, unless the terminal's writer is gone (we are being hung up): its queue would fill and block us."""
        if self._writer_thread is not None and self._writer_thread.is_alive():
            self.written += len(data)
            self._writer_thread.write(data)


def adopt(app: App[Any], depth: Depth, ascii_only: bool) -> None:
    """Give the app our filters and our choice of colours in place of Textual's own."""
    painting.install()
    app._filters = [HarmlessFilter()]
    if depth == "none":
        app._filters.append(ColourlessFilter())
    if ascii_only:
        app._filters.append(AsciiFilter())
    systems = {"true": ColorSystem.TRUECOLOR, "256": ColorSystem.EIGHT_BIT, "16": ColorSystem.STANDARD}
    app.console._color_system = systems.get(depth, ColorSystem.STANDARD)


def set_mouse(app: App[Any], on: bool) -> None:
    """Have the terminal tell us about the mouse, or leave the mouse to it."""
    driver = app._driver
    if isinstance(driver, LinuxDriver) and driver._mouse != on:
        if on:
            driver._mouse = True
            driver._enable_mouse_support()
        else:
            driver._disable_mouse_support()
            driver._mouse = False


def set_ascii(app: App[Any], on: bool) -> None:
    """Draw with ASCII only, or with all characters."""
    app._filters = [one for one in app._filters if not isinstance(one, AsciiFilter)]
    if on:
        app._filters.append(AsciiFilter())


def is_reading(app: App[Any]) -> bool:
    """Whether a driver with a real terminal serves the app (tests have none)."""
    return app._driver is not None and not app._driver.is_headless


def is_synchronised(app: App[Any]) -> bool:
    """Whether the terminal has said that it knows mode 2026."""
    return app._sync_available


def synchronise(app: App[Any]) -> None:
    """Have each frame shown at once: the terminal knows mode 2026."""
    app._sync_available = True


def arrange_again(screen: Screen[Any]) -> None:
    """Lay the screen's panes out anew although neither its size nor its children have changed."""
    screen._clear_arrangement_cache()
    screen.refresh(layout=True)


def laid_out_next(screen: Screen[Any]) -> None:
    """Textual lays the screen out next, for its size: what asked for that before, has it by then."""
    screen._layout_required = False


def leave_terminal(app: App[Any]) -> None:
    """Give the terminal back to somebody else; `take_terminal` undoes it."""
    driver = app._driver
    if driver is not None:
        driver.suspend_application_mode()
        driver._auto_restart = False


def take_terminal(app: App[Any]) -> None:
    """Take the terminal again and draw everything anew."""
    driver = app._driver
    if driver is not None:
        driver._auto_restart = True
        driver.resume_application_mode()
        app.refresh(layout=True)
