"""The pump between our own standard streams and a program's in a container.

::

    fd 0 ──▶ input thread ──▶ session        only with -i; detach keys are looked for only on a terminal
    fd 1, 2 ◀── main thread ◀── session      standard output and error kept apart, bytes untouched
    signals ──▶ wake-up pipe ──▶ main thread  SIGWINCH resizes, others are passed on or make us leave

The input has a thread of its own because either side may be full: a program that does not read while it writes
must not stop what it writes from being read.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import termios
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from pyctr_engine.errors import EngineError
from pyctr_tui.cli.call import is_terminal
from pyctr_tui.cli.detach import KeyFilter

if TYPE_CHECKING:
    from pyctr_engine.engine import Session

CHUNK = 256 << 10
_DETACH = b"\0"
_PATIENCE = 3
"""After this many SIGINT or SIGTERM that the program did not end of, we leave."""

SendSignal = Callable[[str], None]


class LostError(EngineError):
    """The connection to a container's monitor ended without an exit code."""

    exit_code = 125


def pump(
    session: Session, *, tty: bool, stdin: bool, detach_keys: bytes, send_signal: SendSignal | None = None
) -> int | None:
    """Pass streams on until the program ends; its exit code, or ``None`` when the user detached.

    Args:
        session: The program's streams.
        tty: Whether it has a terminal.
        stdin: Whether to pass our standard input on.
        detach_keys: What the user types to leave; looked for on a terminal only.
        send_signal: Passes a signal on by its name, ``INT``; ``None``: signals do to us what they always do.
    """
    sys.stdout.flush()
    with _Wakeup() as wakeup, contextlib.ExitStack() as stack:
        raw = tty and stdin and is_terminal(0)
        if raw:
            stack.enter_context(_raw_terminal(0))
        if tty:
            _resize(session)
            wakeup.watch("WINCH")
        if raw:
            wakeup.watch("TERM", "HUP")
        elif send_signal is not None:
            wakeup.watch("INT", "TERM", "HUP", "QUIT", "USR1", "USR2")
        if stdin:
            keys = KeyFilter(detach_keys) if raw else None
            stack.callback(_start_input(session, keys, wakeup.detach))
        return _Output(session, wakeup, None if raw else send_signal).run()


class _Output:
    """The main thread's part."""

    def __init__(self, session: Session, wakeup: _Wakeup, send_signal: SendSignal | None) -> None:
        self._session = session
        self._wakeup = wakeup
        self._send_signal = send_signal
        self._endings = 0

    def run(self) -> int | None:
        while True:
            if not self._session.has_buffered:
                stream, wakeup = self._session.fileno(), self._wakeup.fileno()
                ready, _, _ = select.select([stream, wakeup], [], [])
                if wakeup in ready and self._woken():
                    return None
                if stream not in ready:
                    continue
            kind, data = self._session.read()
            if kind == "exit":
                return int(data)
            if kind == "closed":
                raise LostError("the container's monitor has gone, and with it the program")
            write_all(2 if kind == "stderr" else 1, data)

    def _woken(self) -> bool:
        """Act on what came through the wake-up pipe; whether to leave."""
        for number in self._wakeup.read():
            if number == 0:
                return True
            if number == signal.SIGWINCH:
                _resize(self._session)
                continue
            if self._send_signal is None:
                raise Terminated(number)
            self._endings += number in (signal.SIGINT, signal.SIGTERM)
            if self._endings >= _PATIENCE:
                raise Terminated(number)
            with contextlib.suppress(EngineError):  # it may have ended meanwhile: the session says so next
                self._send_signal(signal.Signals(number).name.removeprefix("SIG"))
        return False


class Terminated(EngineError):
    """A signal ended this program while it was attached; the container goes on."""

    def __init__(self, number: int) -> None:
        name = signal.Signals(number).name
        super().__init__(f"left by {name}; the program goes on", "`pyctr-tui ps` shows it")
        self.exit_code = 128 + number


class _Wakeup:
    """A pipe that becomes readable on a signal (a byte with its number) or on detaching (a zero byte)."""

    def __init__(self) -> None:
        self._read_end, self._write_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._handlers: dict[int, signal._HANDLER] = {}
        self._previous = -1

    def __enter__(self) -> _Wakeup:
        self._previous = signal.set_wakeup_fd(self._write_end, warn_on_full_buffer=False)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._previous)
        os.close(self._read_end)
        os.close(self._write_end)

    def fileno(self) -> int:
        return self._read_end

    def watch(self, *names: str) -> None:
        """From now on these signals come through the pipe, and do nothing else."""
        for name in names:
            number = signal.Signals[f"SIG{name}"]
            self._handlers[number] = signal.signal(number, lambda *_: None)

    def detach(self) -> None:
        with contextlib.suppress(OSError):
            os.write(self._write_end, _DETACH)

    def read(self) -> bytes:
        with contextlib.suppress(BlockingIOError):
            watched = os.read(self._read_end, 64)
            return bytes(number for number in watched if number == 0 or number in self._handlers)
        return b""


def _start_input(session: Session, keys: KeyFilter | None, detach: Callable[[], None]) -> Callable[[], None]:
    """Pass fd 0 on in a thread; what is returned ends it, so that it steals no key from whoever reads next."""
    import threading

    read_end, write_end = os.pipe2(os.O_CLOEXEC)

    def run() -> None:
        while True:
            ready, _, _ = select.select([0, read_end], [], [])
            if read_end in ready:
                return
            data = os.read(0, CHUNK)
            if not data:
                session.close_stdin()
                return
            passed, detached = keys.feed(data) if keys else (data, False)
            if passed:
                session.write(passed)
            if detached:
                detach()
                return

    def guarded() -> None:
        with contextlib.suppress(OSError, EngineError):  # it has ended, or our terminal has gone
            run()

    thread = threading.Thread(target=guarded, daemon=True)
    thread.start()

    def stop() -> None:
        os.close(write_end)
        thread.join(timeout=0.2)  # it may hang in a write to a program that never reads

    return stop


@contextlib.contextmanager
def _raw_terminal(fd: int) -> Iterator[None]:
    import tty

    before = termios.tcgetattr(fd)
    tty.setraw(fd, termios.TCSADRAIN)  # what is typed ahead is not lost
    try:
        yield
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)


def _resize(session: Session) -> None:
    for fd in (1, 0, 2):
        with contextlib.suppress(OSError):
            columns, rows = os.get_terminal_size(fd)
            session.resize(rows, columns)
            return


def write_all(fd: int, data: bytes) -> None:
    """Write everything, also where somebody made the file non-blocking. Raises BrokenPipeError."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(fd, view) :]
        except BlockingIOError:
            select.select([], [fd], [])
