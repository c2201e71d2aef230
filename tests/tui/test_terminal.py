"""The real program on a real pseudo-terminal: what it leaves behind, whatever ends it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyctr_engine.errors import StartError
from pyctr_tui.terminal.abilities import depth, is_ascii, refusal
from pyctr_tui.terminal.handover import Keys, LostError, pump
from tests.tui.fake import FakeSession

ROOT = Path(__file__).parents[2]
PATIENCE = 20.0


TURNED = {
    **{str(mode): (rf"\[\?{mode}h", rf"\[\?{mode}l") for mode in (1, 1000, 1002, 1003, 1004, 1006, 1049, 2004)},
    **{str(mode): (rf"\[\?{mode}h", rf"\[\?{mode}l") for mode in (2026, 2048)},
    **{name: (rf"\[\?{mode}l", rf"\[\?{mode}h") for name, mode in (("cursor", 25), ("wrap", 7))},
    "keypad": ("=", ">"),
    "margins": (r"\[\d+;\d+r", r"\[r"),
    "kitty keyboard": (r"\[>\d+u", r"\[<u"),
}
"""How what a terminal has is turned on and off, after an escape character."""


def last(sequence: str, seen: bytes) -> int:
    """Where a sequence stands last; -1 when it doesn't."""
    return max((found.start() for found in re.finditer(f"\x1b{sequence}".encode(), seen)), default=-1)


class Terminal:
    """A program on a pty. The slave stays open here, so that its settings can be read afterwards."""

    def __init__(self, *argv: str, rows: int = 24, columns: int = 80, **environ: str) -> None:
        self.master, self.slave = pty.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.before = termios.tcgetattr(self.slave)
        self.seen = b""
        self.pid = os.fork()
        if self.pid == 0:
            os.setsid()
            fcntl.ioctl(self.slave, termios.TIOCSCTTY, 0)
            for fd in (0, 1, 2):
                os.dup2(self.slave, fd)
            os.closerange(3, 256)
            os.chdir(ROOT)
            os.execve(sys.executable, [sys.executable, *argv], {**os.environ, "TERM": "xterm-256color", **environ})

    def read_until(self, *wanted: bytes) -> None:
        deadline = time.monotonic() + PATIENCE
        while not all(piece in self.seen for piece in wanted):
            assert time.monotonic() < deadline, (wanted, self.seen[-600:])
            if select.select([self.master], [], [], 0.1)[0]:
                with contextlib.suppress(OSError):
                    self.seen += os.read(self.master, 65536)

    def drain(self) -> None:
        while select.select([self.master], [], [], 0.2)[0]:
            try:
                self.seen += os.read(self.master, 65536)
            except OSError:
                return

    def wait(self) -> int:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            self.drain()
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.pid = 0
                return os.waitstatus_to_exitcode(status)
        raise AssertionError("it did not end")

    def close(self) -> None:
        if self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.master)
        os.close(self.slave)

    def is_sane(self) -> bool:
        """Whether the settings are as before, and the last words turned off what was turned on."""
        now = termios.tcgetattr(self.slave)
        return not self.left_on() and now[:4] == self.before[:4]

    def left_on(self) -> list[str]:
        """What has been turned on and not off again."""
        return [name for name, (on, off) in TURNED.items() if last(off, self.seen) < last(on, self.seen)]


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Terminal]:
    terminal = Terminal("-m", "tests.tui.demo", TMPDIR=str(tmp_path))
    try:
        terminal.read_until(b"fetch-1", b"pyctr")
        yield terminal
    finally:
        terminal.close()


def test_quit_leaves_the_terminal_as_it_was(demo: Terminal) -> None:
    os.write(demo.master, b"q")
    assert demo.wait() == 0
    assert demo.is_sane()
    assert b"9 containers go on" in demo.seen


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signals_leave_the_terminal_as_it_was(demo: Terminal, number: signal.Signals) -> None:
    os.kill(demo.pid, number)
    assert demo.wait() == 128 + number
    assert demo.is_sane()


def test_guardian_restores_the_terminal_after_sigkill(demo: Terminal) -> None:
    assert termios.tcgetattr(demo.slave)[3] & termios.ICANON == 0
    os.kill(demo.pid, signal.SIGKILL)
    assert demo.wait() == -signal.SIGKILL
    deadline = time.monotonic() + PATIENCE
    while not demo.is_sane():
        demo.drain()
        assert time.monotonic() < deadline, "the terminal stayed raw"


@pytest.mark.parametrize("ended", ["q", "SIGTERM", "SIGKILL"])
def test_what_a_modern_terminal_has_is_turned_off_too(demo: Terminal, ended: str) -> None:
    os.write(demo.master, b"\x1b[?2048;2$y\x1b[?2026;2$y")
    demo.read_until(b"\x1b[?2048h", b"\x1b[?2026h")
    assert {"1004", "2048", "kitty keyboard"} <= set(demo.left_on())
    if ended == "q":
        os.write(demo.master, b"q")
    else:
        os.kill(demo.pid, signal.Signals[ended])
    demo.wait()
    deadline = time.monotonic() + PATIENCE
    while not demo.is_sane():
        demo.drain()
        assert time.monotonic() < deadline, demo.left_on()


def test_guardian_undoes_what_the_program_that_had_the_terminal_did(demo: Terminal) -> None:
    os.write(demo.master, b"E")
    demo.read_until(b"Ctrl+] d leaves", b"fake shell")
    vim = b"\x1b[?1049h\x1b[?1h\x1b=\x1b[2;9r\x1b[?2004h\x1b[?1004h"
    os.write(demo.master, vim)
    demo.read_until(vim)
    os.kill(demo.pid, signal.SIGKILL)
    demo.wait()
    deadline = time.monotonic() + PATIENCE
    while not demo.is_sane():
        demo.drain()
        assert time.monotonic() < deadline, demo.left_on()
    assert last(r"\[r", demo.seen) < last(r"\[\?1049l", demo.seen), "it moves the cursor"


def test_escape_is_answered_without_a_second_key(demo: Terminal) -> None:
    os.write(demo.master, b"/")
    demo.read_until(b"Enter keeps")
    demo.seen = b""
    os.write(demo.master, b"\x1b")
    demo.read_until(b"palette")


def test_shell_gets_the_whole_terminal_and_gives_it_back(demo: Terminal) -> None:
    os.write(demo.master, b"E")
    demo.read_until(b"Ctrl+] d leaves", b"fake shell")
    os.write(demo.master, b"hello q\r")
    demo.read_until(b"hello q\r\n$ ")
    demo.seen = b""
    os.write(demo.master, b"\x1dd")
    demo.read_until(b"left crawler-fetch-1")
    demo.seen = b""
    os.write(demo.master, b"E")
    demo.read_until(b"fake shell")
    os.write(demo.master, b"\x04")
    demo.read_until(b"ended with exit code 3")


def test_resize_is_followed(demo: Terminal) -> None:
    demo.seen = b""
    fcntl.ioctl(demo.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 60, 200, 0, 0))
    os.kill(demo.pid, signal.SIGWINCH)
    demo.read_until(b"Events", b"5 Logs of crawler")


def test_lines_typed_blind_never_crash(demo: Terminal) -> None:
    os.write(demo.master, b"\x1b[99;99R\x1b[?9999$y\x1b[<0;500;500M\x00\xff\xfe\x1b]11;x\x07\x1bOP\x9b")
    demo.drain()
    os.write(demo.master, b"\x1b")
    demo.drain()
    time.sleep(1)  # what follows Esc at once is Alt and that key, and a loaded machine's "at once" is long
    os.write(demo.master, b"?")
    demo.read_until(b"Keys in")


def test_detach_prefix() -> None:
    keys = Keys()
    assert keys.feed(b"ls\x1d") == (b"ls", False)
    assert keys.feed(b"\x1d") == (b"\x1d", False)
    assert keys.feed(b"a\x1dd") == (b"a", True)
    assert Keys().feed(b"\x1dx") == (b"\x1dx", False)


def test_pump_restores_the_terminal_when_the_session_breaks() -> None:
    master, slave = pty.openpty()
    try:
        before = termios.tcgetattr(slave)
        session = FakeSession()
        os.close(session._writing)
        session.read = lambda: (_ for _ in ()).throw(OSError(5, "gone"))  # type: ignore[method-assign]
        with pytest.raises(OSError, match="gone"):
            pump(session, slave, slave)
        assert termios.tcgetattr(slave)[:4] == before[:4]
        os.close(session._reading)
    finally:
        os.close(master)
        os.close(slave)


class Broken(FakeSession):
    """A session that gives what it is told to, one thing after the other."""

    def __init__(self, *gives: tuple[str, bytes] | BaseException) -> None:
        super().__init__()
        self.gives = list(gives)

    def read(self) -> tuple[str, bytes]:
        given = self.gives.pop(0)
        if isinstance(given, BaseException):
            raise given
        return given


@pytest.mark.parametrize(
    ("given", "raised"),
    [
        (("closed", b""), LostError),
        (OSError(5, "gone"), OSError),
        (StartError("refused"), StartError),
        (RuntimeError("a fault"), RuntimeError),
    ],
)
def test_whatever_fails_inside_the_terminal_is_given_back(
    given: tuple[str, bytes] | BaseException, raised: type[BaseException]
) -> None:
    master, slave = pty.openpty()
    session = Broken(("stdout", b"\x1b[?1049h\x1b[?1003h\x1b[?25l\x1b[?1004h\x1b[?7l\x1b[2;9r"), given)
    session.has_buffered = True  # type: ignore[attr-defined]
    try:
        before = termios.tcgetattr(slave)
        handler = signal.getsignal(signal.SIGWINCH)
        with pytest.raises(raised):
            pump(session, slave, slave)
        assert termios.tcgetattr(slave)[:4] == before[:4]
        assert signal.getsignal(signal.SIGWINCH) is handler
        seen = os.read(master, 65536)
        assert not [name for name, (on, off) in TURNED.items() if last(off, seen) < last(on, seen)]
    finally:
        session.close()
        os.close(master)
        os.close(slave)


def test_one_that_is_come_back_to_is_made_to_draw_everything() -> None:
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 90, 0, 0))
    session = Broken(("exit", b"7"))
    try:
        assert pump(session, slave, slave, again=True) == 7
        assert session.sizes == [(29, 90), (30, 90)]
    finally:
        session.close()
        os.close(master)
        os.close(slave)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"TERM": "xterm-256color"}, "256"),
        ({"TERM": "tmux-256color", "COLORTERM": "truecolor"}, "true"),
        ({"TERM": "xterm-kitty"}, "true"),
        ({"TERM": "linux"}, "16"),
        ({"TERM": "screen"}, "16"),
        ({"TERM": "vt100"}, "none"),
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor", "NO_COLOR": "1"}, "none"),
        ({"TERM": "xterm-256color", "NO_COLOR": ""}, "256"),
    ],
)
def test_depth_of_colour(environ: dict[str, str], expected: str) -> None:
    assert depth(environ) == expected


def test_ascii_when_asked() -> None:
    assert is_ascii({"PYCTR_ASCII": "1"})
    assert not is_ascii({"PYCTR_ASCII": "0"})


def test_refuses_what_is_no_terminal() -> None:
    assert refusal({"TERM": "xterm"}, True, True, True) is None
    reason = refusal({"TERM": "dumb"}, True, True, True)
    assert reason is not None
    assert "dumb" in reason[0]
    for flags in ((False, True, True), (True, False, True), (True, True, False)):
        assert refusal({"TERM": "xterm"}, *flags) is not None


POOR = [{"TERM": "linux"}, {"TERM": "screen"}, {"TERM": "vt100"}, {"NO_COLOR": "1"}, {"LC_ALL": "C"}]


@pytest.mark.parametrize("environ", POOR)
def test_poor_terminals_are_drawn_on(environ: dict[str, str], tmp_path: Path) -> None:
    terminal = Terminal("-m", "tests.tui.demo", TMPDIR=str(tmp_path), **environ)
    try:
        terminal.read_until(b"fetch-1", b"palette")
        if "PYCTR_ASCII" in environ or "LC_ALL" in environ:
            assert terminal.seen.isascii()
        if "NO_COLOR" in environ or environ.get("TERM") == "vt100":
            assert b"38;" not in terminal.seen
            assert b"48;" not in terminal.seen
        os.write(terminal.master, b"q")
        assert terminal.wait() == 0
        assert terminal.is_sane()
    finally:
        terminal.close()


def test_ends_when_the_connection_is_lost(demo: Terminal) -> None:
    """The terminal goes away (SSH dropped): reads end, writes fail, and the kernel sends SIGHUP."""
    os.close(demo.slave)
    os.close(demo.master)
    deadline = time.monotonic() + PATIENCE
    while True:
        pid, status = os.waitpid(demo.pid, os.WNOHANG)
        if pid:
            break
        assert time.monotonic() < deadline, "it goes on without a terminal"
        time.sleep(0.05)
    demo.pid = 0
    # 120 is the interpreter's, when it can't flush what it had to say: there is nobody to say it to
    assert os.waitstatus_to_exitcode(status) in (128 + signal.SIGHUP, -signal.SIGHUP, 120)
    demo.master, demo.slave = pty.openpty()  # for the fixture to close


def test_sigterm_ends_it_even_when_the_terminal_takes_no_more_output(demo: Terminal) -> None:
    for _ in range(60):
        os.write(demo.master, b"z")  # each key a screenful, more of them than are queued, and nobody reads them
        time.sleep(0.06)
    os.kill(demo.pid, signal.SIGTERM)
    deadline = time.monotonic() + PATIENCE
    while not os.waitpid(demo.pid, os.WNOHANG)[0]:
        assert time.monotonic() < deadline, "it waits for the terminal for ever"
        time.sleep(0.05)
    demo.pid = 0
    while not demo.is_sane():
        demo.drain()
        assert time.monotonic() < deadline, "the terminal stayed raw"
