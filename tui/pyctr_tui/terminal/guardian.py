"""A small process that puts the terminal back when the program is killed without a chance to do so.

It is forked before anything heavy is imported, waits at a pipe, and costs a few pages. A byte says that the
program left in order; the end of the pipe without one means that it was killed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import termios

MODES_OFF = (
    b"\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1015l\x1b[?1006l\x1b[?1016l"  # mouse
    b"\x1b[?2004l\x1b[?1004l\x1b[?2048l\x1b[?2026l"  # paste, focus, resize reports, synchronised output
    b"\x1b[?1l\x1b>\x1b[?7h"  # cursor keys, keypad, wrap
)
"""What a program may have turned on, wherever the cursor is."""
MARGINS_OFF = b"\x1b[r"
"""Moves the cursor to the first cell."""
VISIBLE = b"\x1b[?25h\x1b[0m"
"""Cursor on, colours off."""
RESET = (
    b"\x1b[<u"  # leave the kitty keyboard protocol, while still on the alternate screen
    + MODES_OFF
    + MARGINS_OFF
    + b"\x1b[?1049l"  # main screen, and its cursor to where it was
    + VISIBLE
)


class Guardian:
    """Watches over the terminal at ``fd``. Call `start` early, `dismiss` at the end."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._pipe = -1
        self._pid = 0

    def start(self) -> None:
        """Fork the watcher; without a terminal or a free process there is none, and no harm."""
        try:
            attributes = termios.tcgetattr(self._fd)
            reading, writing = os.pipe()
        except (termios.error, OSError):
            return
        try:
            pid = os.fork()
        except OSError:
            os.close(reading)
            os.close(writing)
            return
        if pid == 0:
            try:
                os.close(writing)
                self._watch(reading, attributes)
            finally:
                os._exit(0)
        os.close(reading)
        self._pipe, self._pid = writing, pid

    def dismiss(self) -> None:
        """The program leaves in order."""
        if self._pipe < 0:
            return
        with contextlib.suppress(OSError):
            os.write(self._pipe, b"k")
        os.close(self._pipe)
        self._pipe = -1
        with contextlib.suppress(OSError):
            os.waitpid(self._pid, 0)

    def _watch(self, pipe: int, attributes: list[object]) -> None:
        """Wait for the end; runs in the child and uses no more than it must."""
        os.setpgid(0, 0)  # a signal to the program's group is not for us
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP):
            signal.signal(number, signal.SIG_IGN)
        for number in (signal.SIGTTOU, signal.SIGTTIN):
            signal.signal(number, signal.SIG_IGN)  # we are a background group: tcsetattr would stop us
        while True:
            try:
                said = os.read(pipe, 1)
                break
            except InterruptedError:
                continue
        if said:
            return
        with contextlib.suppress(OSError):
            os.write(self._fd, RESET)
        with contextlib.suppress(termios.error, OSError):
            termios.tcsetattr(self._fd, termios.TCSANOW, attributes)  # type: ignore[arg-type]
