"""One call of the program: its global options and its engine."""

from __future__ import annotations

import contextlib
import os
import sys

TYPE_CHECKING = False  # not typing's own: see main.py
if TYPE_CHECKING:
    from pyctr_engine.engine import Engine
    from pyctr_engine.paths import Paths


class Call:
    """What every command is given. The directories are those of the command line, ``None`` for the usual ones."""

    def __init__(self, state: str | None = None, run: str | None = None) -> None:
        self._state = state
        self._run = run
        self._engine: Engine | None = None

    @property
    def ascii(self) -> bool:
        """Whether only ASCII may be printed: ``--ascii``, or PYCTR_ASCII."""
        return os.environ.get("PYCTR_ASCII", "0") not in ("", "0")

    @property
    def paths(self) -> Paths:
        """The engine's directories; for what needs no engine."""
        from pyctr_engine.paths import Paths

        return self._engine.paths if self._engine is not None else Paths(self._state, self._run)

    @property
    def engine(self) -> Engine:
        """The engine, made on first use; an ordinary user's program enters the user's namespaces then.

        Raises EngineError where the host lets the user have none.
        """
        if self._engine is None:
            from pyctr_engine.engine import Engine, enter

            paths = self.paths
            enter(paths)
            self._engine = Engine(paths)
        return self._engine

    @engine.setter
    def engine(self, engine: Engine) -> None:
        self._engine = engine

    def outside(self) -> Engine:
        """An engine that has entered nothing, for `Engine.doctor`."""
        from pyctr_engine.engine import Engine

        return Engine(self.paths)

    def close(self) -> None:
        """Let go of the engine, if there is one."""
        if self._engine is not None:
            self._engine.close()


def is_terminal(fd: int) -> bool:
    """Whether ``fd`` is open and a terminal."""
    try:
        return os.isatty(fd)
    except OSError:
        return False


def report(message: str, hint: str = "") -> None:
    """Print an error to standard error: one sentence, and what to do."""
    from pyctr_tui.cli.text import harmless

    with contextlib.suppress(OSError):  # that it can't be written to may be what is reported
        sys.stdout.flush()
    show = harmless if is_terminal(2) else str
    text = f"pyctr-tui: {show(message)}\n"
    if hint:
        text += f"  hint: {show(hint)}\n"
    sys.stderr.write(text)
    sys.stderr.flush()
