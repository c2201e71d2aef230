"""A real terminal for the tests: a tmux server of one's own, keys in, screen out."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Sequence

from pyctr_engine.paths import Paths

PATIENCE = 20.0
"""Seconds to wait for what has to appear: long, so that a slow machine fails no test; who sees it waits no longer."""

ENDING = 5.0
"""Seconds to wait for a program whose terminal has gone."""

PROMPT = "shell>"
"""The shell's prompt in a new window."""


def program() -> str:
    """The installed program: beside the interpreter that runs the tests."""
    return os.path.join(os.path.dirname(sys.executable), "pyctr-tui")


class Tmux:
    """One tmux server with one window; `close` ends it and what runs in it, and nothing else.

    Programs in it see the directories of ``paths`` in their environment, a UTF-8 locale, and no configuration.
    """

    def __init__(self, paths: Paths, columns: int = 120, rows: int = 36) -> None:
        self._socket = f"pyctr-e2e-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._environment = {
            "HOME": paths.state,
            "LC_ALL": "C.UTF-8",
            "PATH": f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}",
            "PYCTR_RUN_DIR": paths.run,
            "PYCTR_STATE_DIR": paths.state,
            "SHELL": "/bin/sh",
            "TERM": "xterm-256color",
        }
        # A pane that stays after its program has ended, so that its last words can be read.
        self._tmux(
            "-f", "/dev/null", "new-session", "-d", "-x", str(columns), "-y", str(rows), f"env PS1='{PROMPT} ' sh"
        )
        self._tmux("set-option", "-g", "remain-on-exit", "on")
        self._tmux("set-option", "-g", "escape-time", "0")

    def run(self, *words: str) -> None:
        """Type a call of the program at the shell's prompt."""
        self.type(shlex.join(words) + "\n")

    def type(self, text: str) -> None:
        """Type this text, a newline as Enter."""
        for piece in re.split(r"(\n)", text):
            if piece == "\n":
                self.press("Enter")
            elif piece:
                self._tmux("send-keys", "-l", "--", piece)

    def press(self, *keys: str) -> None:
        """Press keys by tmux's names: ``Enter``, ``Escape``, ``C-c``, ``Up``."""
        self._tmux("send-keys", *keys)

    def resize(self, columns: int, rows: int) -> None:
        """Change the window's size."""
        self._tmux("resize-window", "-x", str(columns), "-y", str(rows))

    def screen(self, *, colours: bool = False) -> str:
        """What is to be seen, a line per row; with ``colours``, with its escape sequences."""
        return self._tmux("capture-pane", "-p", *(["-e", "-N"] if colours else []))

    def wait_for(self, *texts: str, patience: float = PATIENCE) -> str:
        """Wait until all ``texts`` are on the screen at once; the screen."""
        return self.wait_until(lambda screen: all(text in screen for text in texts), repr(texts), patience)

    def wait_for_prompt(self, patience: float = PATIENCE) -> str:
        """Wait until the shell is ready for the next command; the screen."""
        return self.wait_until(lambda screen: screen.rstrip().endswith(PROMPT), "the shell's prompt", patience)

    def wait_gone(self, text: str, patience: float = PATIENCE) -> str:
        """Wait until ``text`` is no longer on the screen; the screen."""
        return self.wait_until(lambda screen: text not in screen, f"{text!r} to go", patience)

    def wait_until(self, good: Callable[[str], bool], what: str = "it", patience: float = PATIENCE) -> str:
        """Wait until the screen is as ``good`` says; the screen. Fails with the last one."""
        deadline = time.monotonic() + patience
        while True:
            screen = self.screen()
            if good(screen):
                return screen
            if time.monotonic() > deadline:
                raise AssertionError(f"waited for {what} in vain; on the screen was:\n{screen}")
            time.sleep(0.05)

    def process(self) -> int:
        """The pid of the window's foreground program (of the shell when there is none)."""
        shell = int(self._tmux("display-message", "-p", "#{pane_pid}"))
        with open(f"/proc/{shell}/stat") as file:
            return int(file.read().rpartition(")")[2].split()[5])

    def close(self) -> None:
        """End this server, and wait until what ran in it has gone: it may be writing its last words."""
        with contextlib.suppress(AssertionError, OSError, ValueError):
            running = self.process()
            self._tmux("kill-server", check=False)
            deadline = time.monotonic() + ENDING
            while os.path.exists(f"/proc/{running}") and time.monotonic() < deadline:
                time.sleep(0.02)
        self._tmux("kill-server", check=False)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"/tmp/tmux-{os.getuid()}/{self._socket}")

    def _tmux(self, *words: str, check: bool = True) -> str:
        command: Sequence[str] = ("tmux", "-u", "-L", self._socket, *words)
        done = subprocess.run(command, env=self._environment, capture_output=True, text=True, check=False, timeout=30)
        if check and done.returncode:
            raise AssertionError(f"{shlex.join(command)}: {done.stderr.strip()}")
        return done.stdout
