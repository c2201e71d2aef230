"""A terminal for the bench: a pty, a screen model just good enough for what the interface draws, and a line's speed.

It answers the questions that a real one answers. With a ``speed`` it shows bytes no faster than that, behind a
buffer that takes all there is at once: what an SSH connection over a slow line does.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import threading
import time
from codecs import getincrementaldecoder
from collections import deque
from collections.abc import Callable, Sequence

from rich.cells import cell_len

_SEQUENCE = re.compile(r"\x1b(?:\[([0-?]*)([ -/]*)([@-~])|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-Z\\^-~])")
BUFFER = 64 << 10
"""Bytes that fit in front of a slow line."""


class Terminal:
    """Runs a program. All times are of `time.perf_counter`.

    Attributes:
        received: Bytes shown so far.
        questions: Questions that came, answered or not.
        delay: Seconds until an answer is back where the question came from.
        updates: Frames that were to be shown at once (mode 2026).
        cells: Rows of (character, style) as the screen is now.
    """

    def __init__(
        self, argv: Sequence[str], columns: int = 120, rows: int = 36, speed: float = 0, answers: bool = True
    ) -> None:
        self.columns, self.rows, self.speed, self.answers = columns, rows, speed, answers
        self.delay = 0.0
        self.updates = 0
        self.cells = [[(" ", "")] * columns for _ in range(rows)]
        self.received = 0
        self.questions = 0
        self._at = [0, 0]
        self._style = ""
        self._rest = ""
        self._decode = getincrementaldecoder("utf-8")("replace").decode
        self._changed = threading.Condition()
        self._painted = 0.0
        self.began = time.perf_counter()
        self.pid, self._master = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))
            environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", "LC_ALL": "C.UTF-8"}
            environment.pop("NO_COLOR", None)
            os.execve(argv[0], list(argv), environment)
        self._line: deque[bytes] = deque()
        self._held = 0
        self._closed = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if speed:
            threading.Thread(target=self._drain, daemon=True).start()

    # -- the two ends -------------------------------------------------------------------------------------------

    def press(self, keys: str) -> float:
        """Type; when that was."""
        now = time.perf_counter()
        os.write(self._master, keys.encode())
        return now

    def wait(self, good: Callable[[], bool], patience: float = 20.0) -> float:
        """Until the screen is as ``good`` says; when what made it so was shown. Raises TimeoutError."""
        deadline = time.perf_counter() + patience
        with self._changed:
            while not good():
                left = deadline - time.perf_counter()
                if left <= 0 or not self._changed.wait(left):
                    raise TimeoutError(f"never came; on the screen:\n{self.text()}")
            return self._painted

    def text(self) -> str:
        """The screen."""
        return "\n".join("".join(character for character, _ in row) for row in self.cells)

    def selected(self, colour: str) -> int:
        """The row whose third cell lies on a background colour (``48;2;…``); -1 for none."""
        return next((at for at, row in enumerate(self.cells) if colour in row[2][1]), -1)

    def idle(self, seconds: float) -> None:
        """Let time pass."""
        time.sleep(seconds)

    def resize(self, columns: int, rows: int) -> None:
        """Change the window's size."""
        with self._changed:
            self.columns, self.rows = columns, rows
            self.cells = [[(" ", "")] * columns for _ in range(rows)]
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))

    def close(self) -> None:
        """End the program, kindly first."""
        with contextlib.suppress(OSError):
            os.kill(self.pid, signal.SIGTERM)
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline:
            if os.waitpid(self.pid, os.WNOHANG)[0]:
                break
            time.sleep(0.02)
        else:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        self.speed, self._closed = 0, True
        self._reader.join()  # or it would read what the next terminal, with the same descriptor, is to show
        os.close(self._master)

    def cpu(self) -> float:
        """Seconds of processor time of the program so far. Source: proc_pid_stat(5)."""
        with open(f"/proc/{self.pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> int:
        """Bytes of resident memory of the program."""
        with open(f"/proc/{self.pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    # -- what comes in ------------------------------------------------------------------------------------------

    def _read(self) -> None:
        while not self._closed:
            with contextlib.suppress(OSError, ValueError):
                while self._held >= BUFFER and not self._closed:
                    time.sleep(0.002)
                if not select.select([self._master], [], [], 0.1)[0]:
                    continue
                data = os.read(self._master, 1 << 16)
                if data:
                    if self.speed:
                        self._held += len(data)
                        self._line.append(data)
                    else:
                        self._show(data)
                    continue
            return

    def _drain(self) -> None:
        """The slow line: pieces of 1/50 s."""
        piece = max(1, int(self.speed / 50))
        while self.speed:
            time.sleep(0.02)
            if not self._line:
                continue
            data = self._line.popleft()
            if len(data) > piece:
                self._line.appendleft(data[piece:])
                data = data[:piece]
            self._held -= len(data)
            self._show(data)

    def _show(self, data: bytes) -> None:
        now = time.perf_counter()
        with self._changed:
            self.received += len(data)
            self._parse(self._decode(data))
            self._painted = now
            self._changed.notify_all()

    def _parse(self, text: str) -> None:
        text, at = self._rest + text, 0
        self._rest = ""
        while at < len(text):
            if text[at] == "\x1b":
                found = _SEQUENCE.match(text, at)
                if found is None:
                    self._rest = text[at:]
                    return
                at = found.end()
                self._obey(found)
                continue
            end = text.find("\x1b", at)
            end = len(text) if end < 0 else end
            self._print(text[at:end])
            at = end

    def _obey(self, found: re.Match[str]) -> None:
        arguments, between, final = found.group(1) or "", found.group(2) or "", found.group(3) or ""
        if final == "m":
            self._style = "" if arguments in ("", "0") else f"{self._style};{arguments}"[-120:]
        elif final in ("H", "f"):
            row, _, column = arguments.partition(";")
            self._at = [int(row or 1) - 1, int(column or 1) - 1]
        elif final == "J":
            self.cells = [[(" ", "")] * self.columns for _ in range(self.rows)]
        elif final == "p" and between == "$":
            self._answer(f"\x1b[{arguments};2$y")
        elif final == "h" and arguments == "?2026":
            self.updates += 1
        elif final == "c" and not between:
            self._answer("\x1b[?62;22c")

    def _answer(self, text: str) -> None:
        self.questions += 1
        if self.answers and self.delay:
            threading.Timer(self.delay, self._type, (text,)).start()
        elif self.answers:
            self._type(text)

    def _type(self, text: str) -> None:
        with contextlib.suppress(OSError):
            os.write(self._master, text.encode())

    def _print(self, text: str) -> None:
        for character in text:
            if character in "\r\n":
                self._at = [self._at[0] + (character == "\n"), 0]
                continue
            row, column = self._at
            if row < len(self.cells) and column < len(self.cells[row]):
                self.cells[row][column] = (character, self._style)
            self._at[1] += 1 if character.isascii() else cell_len(character)
