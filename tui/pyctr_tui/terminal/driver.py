"""All that leans on Textual's private parts: the driver's input loop, the colour depth, the filters.

Textual is pinned exactly because of this module; look here first when that pin moves.
"""

from __future__ import annotations

import os
import selectors
import signal
import time
from codecs import getincrementaldecoder
from typing import TYPE_CHECKING, Any

from rich.color import ColorSystem
from textual._parser import ParseError
from textual._xterm_parser import XTermParser
from textual.drivers.linux_driver import LinuxDriver

from pyctr_tui.terminal.filters import AsciiFilter, ColourlessFilter, HarmlessFilter

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
    """Textual's driver with an input loop that answers a lone Esc within ``ESCDELAY`` and a few milliseconds."""

    def run_input_thread(self) -> None:
        """Wait for input and hand it to the parser."""
        selector = selectors.SelectSelector()
        selector.register(self.fileno, selectors.EVENT_READ)
        parser = XTermParser(self._debug)
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
                    data = decode(raw)
                    alert_until = time.monotonic() + ALERT
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

    def _read(self) -> bytes:
        try:
            return os.read(self.fileno, 4096)
        except OSError:
            return b""

    def write(self, data: str) -> None:
        """Write, unless the terminal's writer is gone (we are being hung up): its queue would fill and block us."""
        if self._writer_thread is not None and self._writer_thread.is_alive():
            self._writer_thread.write(data)


def adopt(app: App[Any], depth: Depth, ascii_only: bool) -> None:
    """Give the app our filters and our choice of colours in place of Textual's own."""
    app._filters = [HarmlessFilter()]
    if depth == "none":
        app._filters.append(ColourlessFilter())
    if ascii_only:
        app._filters.append(AsciiFilter())
    systems = {"true": ColorSystem.TRUECOLOR, "256": ColorSystem.EIGHT_BIT, "16": ColorSystem.STANDARD}
    app.console._color_system = systems.get(depth, ColorSystem.STANDARD)


def is_reading(app: App[Any]) -> bool:
    """Whether a driver with a real terminal serves the app (tests have none)."""
    return app._driver is not None and not app._driver.is_headless


def arrange_again(screen: Screen[Any]) -> None:
    """Lay the screen's panes out anew although neither its size nor its children have changed."""
    screen._clear_arrangement_cache()
    screen.refresh(layout=True)


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
