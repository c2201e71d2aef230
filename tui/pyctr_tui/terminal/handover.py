"""Handing the whole terminal to a program in a container, and taking it back whatever happens."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import termios
import tty
from typing import TYPE_CHECKING

from pyctr_engine.errors import EngineError
from pyctr_engine.model.spec import ExecRequest
from pyctr_tui.safe_text import safe
from pyctr_tui.terminal.driver import is_reading, leave_terminal, take_terminal

if TYPE_CHECKING:
    from pyctr_engine.engine import Session
    from pyctr_tui.application import Application
    from pyctr_tui.view import ContainerView

SHELL = ("/bin/sh", "-c", "command -v bash >/dev/null 2>&1 && exec bash || exec sh")
KEYBOARD, SCREEN = 0, 1
"""Not ``sys.stdin`` and ``sys.stdout``: Textual puts its own in their place."""
PREFIX = b"\x1d"
"""Ctrl+]; ``d`` after it leaves, a second one is sent on."""


class Keys:
    """Splits what is typed into what goes to the program and the wish to leave."""

    def __init__(self) -> None:
        self._prefixed = False

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """What to send on, and whether to leave."""
        out = bytearray()
        for byte in data:
            piece = bytes((byte,))
            if self._prefixed:
                self._prefixed = False
                if piece == b"d":
                    return bytes(out), True
                out += piece if piece == PREFIX else PREFIX + piece
            elif piece == PREFIX:
                self._prefixed = True
            else:
                out += piece
        return bytes(out), False


def shell(application: Application, container: ContainerView) -> tuple[str, str]:
    """Open a shell over the whole screen; returns a sentence about how it ended, and its tone."""
    if not is_reading(application):
        return "a shell needs a real terminal", "warn"
    request = ExecRequest(SHELL, env=(f"TERM={os.environ.get('TERM', 'xterm')}",), tty=True, stdin=True)
    try:
        session = application.engine.exec(container.id, request)
    except EngineError as error:
        return safe(error.message + (f" · {error.hint}" if error.hint else "")), "bad"
    code: int | None = None
    try:
        leave_terminal(application)
        try:
            _write_all(SCREEN, f"\x1b[2J\x1b[H\x1b[2m{container.name}: Ctrl+] d leaves\x1b[0m\r\n".encode())
            code = pump(session, KEYBOARD, SCREEN)
        finally:
            take_terminal(application)
    except EngineError as error:
        return safe(error.message), "bad"
    except OSError as error:
        return f"the shell was lost: {(error.strerror or 'error').lower()}", "bad"
    finally:
        with contextlib.suppress(EngineError, OSError):
            session.close()
    if code is None:
        return f"left {container.name} · what runs in the shell goes on", "text"
    return f"the shell in {container.name} ended with exit code {code}", "good" if code == 0 else "text"


def pump(session: Session, keyboard: int, screen: int) -> int | None:
    """Carry bytes until the program ends (its exit code) or the user leaves (``None``)."""
    attributes = termios.tcgetattr(keyboard)
    reading, writing = os.pipe()
    os.set_blocking(writing, False)

    def resized(*_: object) -> None:
        with contextlib.suppress(OSError):
            os.write(writing, b"w")

    before = signal.signal(signal.SIGWINCH, resized)
    keys = Keys()
    try:
        tty.setraw(keyboard)
        _resize(session, screen)
        while True:
            ready, _, _ = select.select([keyboard, session.fileno(), reading], [], [])
            if reading in ready:
                os.read(reading, 64)
                _resize(session, screen)
            if session.fileno() in ready:
                stream, data = session.read()
                if stream == "exit":
                    return int(data or b"0")
                if stream == "closed":
                    return None
                _write_all(screen, data)
            if keyboard in ready:
                typed, leave = keys.feed(os.read(keyboard, 4096) or PREFIX + b"d")
                if typed:
                    session.write(typed)
                if leave:
                    return None
    finally:
        signal.signal(signal.SIGWINCH, before)
        os.close(reading)
        os.close(writing)
        termios.tcsetattr(keyboard, termios.TCSADRAIN, attributes)
        # The program may have left the terminal in any state: mouse off, main screen, cursor on, colours off.
        _write_all(
            screen, b"\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?2004l\x1b[?1l\x1b>\x1b[?1049l\x1b[?25h\x1b[0m"
        )


def _resize(session: Session, screen: int) -> None:
    size = os.get_terminal_size(screen)
    with contextlib.suppress(EngineError, OSError):
        session.resize(size.lines, size.columns)


def _write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]
