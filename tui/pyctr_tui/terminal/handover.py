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
from pyctr_tui import glyphs
from pyctr_tui.safe_text import safe, safe_error
from pyctr_tui.terminal.driver import is_reading, leave_terminal, take_terminal
from pyctr_tui.terminal.guardian import MARGINS_OFF, MODES_OFF, VISIBLE
from pyctr_tui.terminal.tabs import SHELL

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyctr_engine.engine import Session
    from pyctr_engine.model.status import Container
    from pyctr_tui.application import Application
    from pyctr_tui.view import ContainerView

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


class LostError(OSError):
    """The line to the program was lost: whether it runs on is not known."""


def shell(application: Application, container: ContainerView, id: str = "") -> tuple[str, str, bool]:
    """Open a shell over the whole screen, or come back to the session ``id``.

    Returns a sentence about how it ended, its tone, and whether it was left and runs on.
    """
    engine = application.engine
    request = ExecRequest(SHELL, env=(_term(),), tty=True, stdin=True)

    def connect() -> Session:
        return engine.reattach(container.id, id)[0] if id else engine.exec(container.id, request)

    return _hand_over(application, container.name, connect, "the shell", again=bool(id))


def run(
    application: Application,
    container: ContainerView,
    argv: tuple[str, ...] = (),
    user: str = "",
    directory: str = "",
    env: tuple[str, ...] = (),
) -> tuple[str, str]:
    """Run a program, or a shell, over the whole screen; returns a sentence about how it ended, and its tone."""
    request = ExecRequest(argv or SHELL, (_term(), *env), directory, user, tty=True, stdin=True)
    what = safe(argv[0]) if argv else "the shell"
    return _hand_over(application, container.name, lambda: application.engine.exec(container.id, request), what)[:2]


def attach(application: Application, container: ContainerView) -> tuple[str, str]:
    """Attach to a container's first program over the whole screen; returns how it ended, and its tone.

    Without a terminal of its own, what it writes is shown with whole line ends, and Ctrl+C leaves it alone: it comes
    back here.
    """
    engine = application.engine
    try:
        has_terminal = engine.container(container.id).spec.request.tty
    except EngineError as error:
        return safe_error(error), "bad"
    name = container.name
    return _hand_over(application, name, lambda: engine.attach(container.id), "the program", has_terminal)[:2]


def layer_shell(application: Application, ref: str, name: str) -> None:
    """Open a shell in a container of its own, made from an image or a layer's state; it is removed at the end."""
    from pyctr_engine.model.spec import ContainerRequest

    home, cli = application.home, f"run -it --rm {name} sh"
    if not is_reading(application):
        home.notify_line("the shell needs a real terminal", "warn")
        return
    request = ContainerRequest(ref, command=SHELL, tty=True, stdin_open=True, auto_remove=True)

    def then(made: tuple[Container, Session]) -> None:
        container, session = made
        if not is_reading(application):  # it has left meanwhile, or is about to
            session.close()
            remove = application.engine.remove
            application.jobs.run(f"removing {safe(container.name)}", lambda job: remove(container.id, force=True))
            return
        said, tone, left = _hand_over(application, name, lambda: session, "the shell")
        if left:
            said = f"left {name} {glyphs.DOT} its shell runs on in {safe(container.name)}: a there comes back"
        home.notify_line(said, tone)

    work = application.engine.run
    application.jobs.run(f"making a container of {name}", lambda job: work(request, job.report), name, cli, then)


def _term() -> str:
    return f"TERM={os.environ.get('TERM', 'xterm')}"


def _hand_over(
    application: Application,
    name: str,
    connect: Callable[[], Session],
    what: str,
    has_terminal: bool = True,
    again: bool = False,
) -> tuple[str, str, bool]:
    """Hand the terminal to a session, and take it back whatever happens; see `shell` for what is returned."""
    if not is_reading(application):
        return f"{what} needs a real terminal", "warn", again
    try:
        session = connect()
    except EngineError as error:
        return safe_error(error), "bad", False
    code: int | None = None
    leaves = "Ctrl+] d leaves" if has_terminal else "Ctrl+C or Ctrl+] d leaves, and it goes on"
    try:
        leave_terminal(application)
        try:
            _write_all(SCREEN, f"\x1b[2J\x1b[H\x1b[2m{name}: {leaves}\x1b[0m\r\n".encode())
            code = pump(session, KEYBOARD, SCREEN, has_terminal, again)
        finally:
            take_terminal(application)
    except EngineError as error:
        return safe_error(error), "bad", False
    except LostError:
        return f"the line to {what} in {name} was lost: its monitor has gone", "bad", False
    except OSError as error:
        return f"{what} was lost: {(error.strerror or 'error').lower()}", "bad", False
    finally:
        with contextlib.suppress(EngineError, OSError):
            session.close()
    if code is None:
        goes_on = "its shell runs on, e comes back" if what == "the shell" else f"{what} goes on"
        return f"left {name} · {goes_on}", "text", True
    return f"{what} in {name} ended with exit code {code}", "good" if code == 0 else "text", False


def pump(session: Session, keyboard: int, screen: int, has_terminal: bool = True, again: bool = False) -> int | None:
    """Carry bytes until the program ends (its exit code) or the user leaves (``None``). Raises LostError.

    Args:
        has_terminal: Whether the program has one of its own; to one that has none Ctrl+C means nothing, and leaves.
        again: It has run before, and is to draw everything anew.
    """
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
        if again:
            _resize(session, screen, fewer=1)  # only a change of size makes a program draw all
        _resize(session, screen)
        while True:
            ready, _, _ = select.select([keyboard, session.fileno(), reading], [], [])
            if reading in ready:
                os.read(reading, 64)
                _resize(session, screen)
            reading_on = session.fileno() in ready
            while reading_on:
                stream, data = session.read()
                if stream == "exit":
                    return int(data or b"0")
                if stream == "closed":
                    raise LostError("its monitor has gone")
                _write_all(screen, data if has_terminal else data.replace(b"\n", b"\r\n"))
                reading_on = getattr(session, "has_buffered", False)
            if keyboard in ready:
                typed, leave = keys.feed(os.read(keyboard, 4096) or PREFIX + b"d")
                if not has_terminal:
                    typed, leave = typed.partition(b"\x03")[0].replace(b"\r", b"\n"), leave or b"\x03" in typed
                if typed:
                    session.write(typed)
                if leave:
                    return None
    finally:
        signal.signal(signal.SIGWINCH, before)
        os.close(reading)
        os.close(writing)
        termios.tcsetattr(keyboard, termios.TCSADRAIN, attributes)
        # The program may have left the terminal in any state.
        _write_all(screen, MODES_OFF + MARGINS_OFF + b"\x1b[?1049l" + VISIBLE)


def _resize(session: Session, screen: int, fewer: int = 0) -> None:
    size = os.get_terminal_size(screen)
    with contextlib.suppress(EngineError, OSError):
        session.resize(max(size.lines - fewer, 1), size.columns)


def _write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]
