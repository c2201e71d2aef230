"""The program on the terminals there are: what it writes to each, and what it leaves behind however it ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import signal
import struct
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tui.test_terminal import PATIENCE, Terminal

SGR = re.compile(rb"\x1b\[([\d;]*)m")
DEMO = ("-m", "tests.tui.demo")
JOB_CONTROL = f"""\
{sys.executable} -m tests.tui.demo
echo "stopped $?"; read answer; fg >/dev/null
echo "ended $?"
"""


def of_session(leader: int) -> list[int]:
    """Processes of a session, without those that are dead and wait to be looked after."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                fields = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
                if int(fields[3]) == leader and fields[0] != "Z":
                    found.append(int(entry))
    return found


def colours(seen: bytes) -> tuple[set[int], set[int]]:
    """SGR parameters that were sent by themselves, and the kinds of extended colours (2: RGB, 5: of 256)."""
    plain, extended = set(), set()
    for found in SGR.finditer(seen):
        codes = [int(code or b"0") for code in found[1].split(b";")]
        while codes:
            code = codes.pop(0)
            if code in (38, 48):
                kind = codes.pop(0)
                extended.add(kind)
                del codes[: 3 if kind == 2 else 1]
            else:
                plain.add(code)
    return plain, extended


BASIC = {39, 49, *range(30, 38), *range(40, 48), *range(90, 98), *range(100, 108)}


def size(terminal: Terminal, rows: int, columns: int) -> None:
    """Give it another size; the kernel tells the foreground group."""
    fcntl.ioctl(terminal.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def until_sane(terminal: Terminal) -> None:
    deadline = time.monotonic() + PATIENCE
    while not terminal.is_sane():
        terminal.drain()
        assert time.monotonic() < deadline, terminal.seen[-300:]


def until_gone(leader: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while left := of_session(leader):
        assert time.monotonic() < deadline, f"left behind: {left}"
        time.sleep(0.05)


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Terminal]:
    terminal = Terminal(*DEMO, TMPDIR=str(tmp_path))
    leader = terminal.pid
    try:
        terminal.read_until(b"fetch-1", b"palette")
        yield terminal
    finally:
        terminal.close()
    until_gone(leader)


@pytest.mark.parametrize(
    ("environ", "most"),
    [
        ({"TERM": "xterm-256color", "COLORTERM": ""}, 5),
        ({"TERM": "tmux-256color", "COLORTERM": ""}, 5),
        ({"TERM": "screen", "COLORTERM": ""}, 0),
        ({"TERM": "linux", "COLORTERM": ""}, 0),
        ({"TERM": "vt100", "COLORTERM": ""}, -1),
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor", "NO_COLOR": "1"}, -1),
    ],
)
def test_no_more_colours_than_there_are(environ: dict[str, str], most: int, tmp_path: Path) -> None:
    terminal = Terminal(*DEMO, TMPDIR=str(tmp_path), **environ)
    leader = terminal.pid
    try:
        terminal.read_until(b"fetch-1", b"palette")
        os.write(terminal.master, b"j7")
        terminal.drain()
        os.write(terminal.master, b"?")
        terminal.read_until(b"Keys in")
        os.write(terminal.master, b"\x1b")
        time.sleep(0.2)
        os.write(terminal.master, b"4")
        terminal.drain()
        os.write(terminal.master, b"q")
        assert terminal.wait() == 0
        assert terminal.is_sane()
        plain, extended = colours(terminal.seen)
        if most == 5:
            assert extended == {5}
        else:
            assert not extended
        if most < 0:
            assert not plain & BASIC
        if most == 0:
            assert plain & BASIC
        assert plain <= BASIC | set(range(10)) | set(range(21, 30)) | {53}
    finally:
        terminal.close()
    until_gone(leader)


@pytest.mark.parametrize("environ", [{"LC_ALL": "C", "LANG": "C"}, {"PYCTR_ASCII": "1"}])
def test_ascii_alone_where_nothing_else_is_known(environ: dict[str, str], tmp_path: Path) -> None:
    terminal = Terminal(*DEMO, TMPDIR=str(tmp_path), **environ)
    try:
        terminal.read_until(b"fetch-1", b"palette")
        for keys in (b"2", b"4", b"5", b"7", b"S", b"?", b"\x1b", b"z", b":"):
            os.write(terminal.master, keys)
            terminal.drain()
        assert terminal.seen.isascii(), [piece for piece in terminal.seen.split(b"\x1b") if not piece.isascii()][:5]
        os.kill(terminal.pid, signal.SIGTERM)
        assert terminal.wait() == 128 + signal.SIGTERM
        assert terminal.is_sane()
    finally:
        terminal.close()


def test_a_dumb_terminal_is_refused_with_a_sentence(tmp_path: Path) -> None:
    terminal = Terminal(*DEMO, TMPDIR=str(tmp_path), TERM="dumb")
    try:
        assert terminal.wait() != 0
        assert "can't be drawn on a terminal of type “dumb”".encode() in terminal.seen
        assert b"\x1b" not in terminal.seen
        assert terminal.is_sane()
    finally:
        terminal.close()


def test_only_buttons_wheel_and_drags_are_asked_for(demo: Terminal) -> None:
    assert b"[?1002h" in demo.seen
    assert b"[?1006h" in demo.seen
    assert b"[?1003h" not in demo.seen
    assert b"[?1015h" not in demo.seen


def test_a_storm_of_resizes_is_survived(demo: Terminal) -> None:
    for number in range(120):
        size(demo, 2 + number * 7 % 70, 3 + number * 31 % 230)
        if number % 10 == 0:
            os.write(demo.master, b"jk")
            demo.drain()
    size(demo, 40, 150)
    demo.seen = b""
    os.write(demo.master, b"?")
    demo.read_until(b"Keys in")
    os.kill(demo.pid, signal.SIGTERM)
    assert demo.wait() == 128 + signal.SIGTERM
    assert demo.is_sane()


def test_ctrl_c_says_how_to_leave(demo: Terminal) -> None:
    demo.seen = b""
    os.write(demo.master, b"\x03")
    demo.read_until(b"q")
    deadline = time.monotonic() + PATIENCE
    while not re.search(rb"q (leaves|quits)|press .*q|to quit", demo.seen):
        demo.drain()
        assert time.monotonic() < deadline, demo.seen
    assert os.waitpid(demo.pid, os.WNOHANG) == (0, 0)


def test_stopped_and_continued_from_outside(demo: Terminal) -> None:
    for _ in range(3):
        os.kill(demo.pid, signal.SIGSTOP)
        time.sleep(0.1)
        os.write(demo.master, b"j")
        os.kill(demo.pid, signal.SIGCONT)
        demo.drain()
    demo.seen = b""
    os.write(demo.master, b"?")
    demo.read_until(b"Keys in")
    demo.seen = b""
    os.write(demo.master, b"\x1b")
    time.sleep(1)  # what follows Esc at once is Alt and that key
    os.write(demo.master, b"q")
    assert demo.wait() == 0
    assert demo.is_sane()


def test_a_reader_that_stops_for_seconds_gets_the_newest_frame(demo: Terminal) -> None:
    for _ in range(8):
        os.write(demo.master, b"z")
        time.sleep(0.1)
    time.sleep(3)
    demo.drain()
    demo.seen = b""
    os.write(demo.master, b"?")
    demo.read_until(b"Keys in")
    demo.seen = b""
    os.write(demo.master, b"\x1b")
    time.sleep(1)  # what follows Esc at once is Alt and that key
    os.write(demo.master, b"q")
    assert demo.wait() == 0
    assert demo.is_sane()


def test_killed_in_the_middle_of_a_storm_the_guardian_mends_it(demo: Terminal) -> None:
    size(demo, 50, 180)
    os.write(demo.master, b"zzz")
    os.kill(demo.pid, signal.SIGKILL)
    assert demo.wait() == -signal.SIGKILL
    until_sane(demo)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_ended_while_a_shell_has_the_terminal(demo: Terminal, number: signal.Signals) -> None:
    os.write(demo.master, b"E")
    demo.read_until(b"fake shell")
    os.kill(demo.pid, number)
    assert demo.wait() == (-number if number == signal.SIGKILL else 128 + number)
    until_sane(demo)


def test_the_terminal_goes_while_a_shell_has_it(tmp_path: Path) -> None:
    terminal = Terminal(*DEMO, TMPDIR=str(tmp_path))
    leader = terminal.pid
    try:
        terminal.read_until(b"fetch-1", b"palette")
        os.write(terminal.master, b"E")
        terminal.read_until(b"fake shell")
        os.close(terminal.slave)
        os.close(terminal.master)
        terminal.master, terminal.slave = os.openpty()  # to be closed at the end
        deadline = time.monotonic() + PATIENCE
        while not os.waitpid(terminal.pid, os.WNOHANG)[0]:
            assert time.monotonic() < deadline, "it goes on without a terminal"
            time.sleep(0.05)
        terminal.pid = 0
    finally:
        terminal.close()
    until_gone(leader)


@pytest.mark.parametrize(("keys", "shows"), [(b"", b"palette"), (b"d", b"Remove crawler-fetch-1")])
def test_suspended_the_terminal_is_the_shells_and_fg_draws_again(tmp_path: Path, keys: bytes, shows: bytes) -> None:
    script = f"import os; os.execvp('sh', ['sh', '-m', '-c', {JOB_CONTROL!r}])"
    terminal = Terminal("-c", script, TMPDIR=str(tmp_path))
    leader = terminal.pid
    try:
        terminal.read_until(b"fetch-1", b"palette")
        os.write(terminal.master, keys)
        terminal.read_until(shows)
        os.write(terminal.master, b"\x1a")
        terminal.read_until(b"stopped ")
        until_sane(terminal)
        terminal.seen = b""
        os.write(terminal.master, b"\r")
        terminal.read_until(b"[?1049h", b"shop", shows)
        os.write(terminal.master, b"\x03")
        deadline = time.monotonic() + PATIENCE
        while b"ended 0" not in terminal.seen and time.monotonic() < deadline:  # a dialog that goes takes the key
            os.write(terminal.master, b"\x11")
            terminal.drain()
        assert terminal.wait() == 0
        assert terminal.is_sane()
    finally:
        terminal.close()
    until_gone(leader)
