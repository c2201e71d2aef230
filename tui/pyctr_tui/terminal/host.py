"""Handing the whole terminal to a program of the host (an editor, a command of the user's), and taking it back."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import termios
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any, Protocol

from pyctr_engine.errors import EngineError
from pyctr_tui.safe_text import safe, safe_error
from pyctr_tui.terminal.driver import is_reading, leave_terminal, take_terminal
from pyctr_tui.terminal.guardian import MARGINS_OFF, MODES_OFF, VISIBLE

if TYPE_CHECKING:
    from pyctr_tui.application import Application

KEYBOARD, SCREEN = 0, 1
FEEDER_ENDS = 2.0
"""Seconds after which who feeds a program that has ended must have noticed."""
_SANE = MODES_OFF + b"\x1b7" + MARGINS_OFF + b"\x1b8\x1b[?1047l" + VISIBLE
"""A program may have left the terminal in any state.

1047 and not 1049, which would put the cursor back to where it was before us, over what the program printed.
"""


def editor(environ: Mapping[str, str]) -> list[str]:
    """The user's editor, by VISUAL or EDITOR, with its options; vi when nothing is said."""
    for name in ("VISUAL", "EDITOR"):
        with contextlib.suppress(ValueError):  # quotes that don't close name no editor
            words = shlex.split(environ.get(name, ""))
            if words:
                return words
    return ["vi"]


def run(
    application: Application, argv: Sequence[str], name: str, pause: bool = False, feed: Feed | None = None
) -> tuple[str, str]:
    """Run a program over the whole screen; a sentence about how it ended, and its tone.

    ``pause``: what it printed stays until Enter is pressed. ``feed``: what it reads, as long as it reads.
    """
    if not is_reading(application):
        return f"{name} needs a real terminal", "warn"
    attributes = termios.tcgetattr(KEYBOARD)
    said: list[str] = []
    feeder = threading.Thread(target=_feed, daemon=True)
    try:
        leave_terminal(application)
        try:
            with _signals():
                stdin = KEYBOARD if feed is None else subprocess.PIPE
                with subprocess.Popen(argv, stdin=stdin, stdout=SCREEN, stderr=SCREEN) as process:
                    if process.stdin is not None:
                        feeder = threading.Thread(target=_feed, args=(feed, process.stdin, said), daemon=True)
                        feeder.start()
                        process.stdin = None  # the thread's
                    code = process.wait()
                if feed is not None:
                    feed.stop()
                    feeder.join(FEEDER_ENDS)  # what it has to say
            if pause:
                _pause(code)
        finally:
            termios.tcsetattr(KEYBOARD, termios.TCSADRAIN, attributes)
            os.write(SCREEN, _SANE)
            take_terminal(application)
    except OSError as error:
        return f"{name} can't be run: {(error.strerror or 'error').lower()}: {safe(argv[0])}", "bad"
    if said:
        return f"{name} did not read all: {said[0]}", "bad"
    return (f"{name} ended", "good") if code == 0 else (f"{name} ended with exit code {code}", "warn")


class Feed(Protocol):
    """What a program reads."""

    def __iter__(self) -> Iterator[bytes]:
        """Piece by piece; empty ones are nothing. Raises EngineError."""

    def stop(self) -> None:
        """No more is read."""


def _feed(feed: Feed, pipe: IO[bytes], said: list[str]) -> None:
    try:
        with contextlib.suppress(OSError), pipe:  # it has read enough
            for data in feed:
                if data:
                    pipe.write(data)
                    pipe.flush()
    except EngineError as error:
        said.append(safe_error(error))


@contextlib.contextmanager
def _signals() -> Iterator[None]:
    """Ctrl+C is the program's, and Ctrl+Z stops both, so that the shell's ``fg`` brings both back.

    Handlers that do nothing, not SIG_IGN: what is ignored would be so in the program as well.
    """
    wanted: dict[signal.Signals, Any] = {
        signal.SIGINT: lambda *_: None,
        signal.SIGTSTP: signal.SIG_DFL,
        signal.SIGCONT: signal.SIG_DFL,
    }
    before = {number: signal.signal(number, handler) for number, handler in wanted.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _pause(code: int) -> None:
    ended = "" if code == 0 else f"exit code {code} · "
    os.write(SCREEN, f"\r\n\x1b[0m\x1b[2m{ended}Enter goes back\x1b[0m".encode())
    with contextlib.suppress(OSError, KeyboardInterrupt):
        os.read(KEYBOARD, 4096)
