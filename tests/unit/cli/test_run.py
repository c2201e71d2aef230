"""``run``, ``exec``, ``start -a``: streams, exit codes, and what is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from pyctr_engine.errors import CommandError, NotFound, StartError
from pyctr_engine.model.spec import ContainerRequest, ExecRequest, IdExtent
from pyctr_engine.model.status import State
from pyctr_engine.runtime import protocol
from pyctr_tui.cli import attach
from pyctr_tui.cli.detach import KeyFilter, parse_keys
from pyctr_tui.cli.options import UsageError
from tests.unit.cli.conftest import Cli
from tests.unit.cli.fake import ID, FakeEngine, Monitor, container, ends_with, session


def test_the_program_s_exit_code_is_ours(cli: Cli, engine: FakeEngine) -> None:
    engine.program = ends_with(42, b"hi\n")
    assert cli("run", "--rm", "img", "true") == (42, "hi\n", "")
    assert engine.calls == [("warm",), ("run", ContainerRequest("img", command=("true",), auto_remove=True))]


@pytest.mark.parametrize("way", [(), ("-d",)])
@pytest.mark.parametrize(
    ("options", "binds", "said"),
    [
        (("--privileged",), (), "note: --privileged implies --userns=host: root inside is root on the host"),
        (("--network", "host"), (), "note: --network host implies --userns=host"),
        (("--pid=host", "--userns=host"), (), ""),
        ((), ("/a", "/b"), "warning: files in /a, /b keep the host's ids, which are nobody's inside"),
    ],
)
def test_what_one_may_not_think_of_is_said_in_one_line(
    cli: Cli, engine: FakeEngine, way: tuple[str, ...], options: tuple[str, ...], binds: tuple[str, ...], said: str
) -> None:
    engine.plain_binds_ = binds
    engine.ids_ = () if options else (IdExtent(0, 524288, 65536),)
    err = cli("run", *way, *options, "img")[2]
    assert err.startswith(f"pyctr-tui: {said}" if said else "")
    assert err.count("\n") == bool(said)


def test_after_a_layer_a_shell_is_what_runs(cli: Cli, engine: FakeEngine) -> None:
    engine.program = ends_with(0)
    assert cli("run", "--layer", "3", "img")[0] == 0
    assert cli("run", "--layer=3", "img", "ls")[0] == 0
    requests = [call[1] for call in engine.calls if call[0] == "run"]
    assert requests == [
        ContainerRequest("img@3", command=("sh",), entrypoint=()),
        ContainerRequest("img@3", command=("ls",)),
    ]
    assert cli("run", "--layer", "x", "img")[0] == 125


def test_standard_output_and_error_are_kept_apart(cli: Cli, engine: FakeEngine) -> None:
    def program(monitor: Monitor) -> int:
        monitor.send(protocol.STDOUT, b"out")
        monitor.send(protocol.STDERR, b"err")
        return 0

    engine.program = program
    assert cli("run", "img") == (0, "out", "err")


def test_output_is_passed_on_byte_by_byte(engine: FakeEngine, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    from pyctr_tui.cli.main import main

    everything = bytes(range(256)) * 1000
    engine.program = ends_with(0, everything)
    assert main(["run", "img"], engine) == 0
    assert capfdbinary.readouterr().out == everything


def test_detached_prints_the_id(cli: Cli, engine: FakeEngine) -> None:
    assert cli("run", "-d", "img") == (0, ID + "\n", "")
    assert [call[0] for call in engine.calls] == ["warm", "create", "start"]


def test_what_could_not_be_started_is_not_left_behind(cli: Cli, engine: FakeEngine) -> None:
    def start(ref: str) -> None:
        raise StartError("mounting /x: no such file", "make it")

    engine.start = start  # type: ignore[assignment,method-assign]
    code, _, err = cli("run", "-d", "img")
    assert code == 125
    assert err == "pyctr-tui: mounting /x: no such file\n  hint: make it\n"
    assert engine.calls[-1] == ("remove", ID, True, True)


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (NotFound("there is no image img", "`pyctr-tui images`"), 125),
        (StartError("mounting: no"), 125),
        (CommandError("no such program: x"), 127),
        (CommandError("x can't be executed", exit_code=126), 126),
    ],
)
@pytest.mark.parametrize("options", [(), ("-d",)])
def test_failures_of_run_have_docker_s_codes(
    cli: Cli, engine: FakeEngine, failure: NotFound, code: int, options: tuple[str, ...]
) -> None:
    engine.failure = failure
    assert cli("run", *options, "img")[0] == code


def test_a_lost_monitor_is_an_error(cli: Cli, engine: FakeEngine) -> None:
    def program(monitor: Monitor) -> int:
        monitor.vanish()
        return 0

    engine.program = program
    code, _, err = cli("run", "img")
    assert code == 125
    assert "monitor has gone" in err


def test_a_terminal_wants_a_terminal(cli: Cli) -> None:
    code, _, err = cli("run", "-it", "img")
    assert code == 125
    assert "not a terminal" in err


def test_exec_asks_for_what_was_typed(cli: Cli, engine: FakeEngine) -> None:
    engine.program = ends_with(7)
    assert cli("exec", "-e", "A=b", "-w", "/srv", "-u", "1:1", "web", "ls", "-l")[0] == 7
    request = ExecRequest(("ls", "-l"), env=("A=b",), working_dir="/srv", user="1:1")
    assert engine.calls == [("warm",), ("exec", "web", request)]


def test_exec_in_a_container_that_is_not_there_is_1(cli: Cli, engine: FakeEngine) -> None:
    engine.failure = NotFound("there is no container web")
    assert cli("exec", "web", "ls")[0] == 1


def test_attaching_to_what_does_not_run_says_so(cli: Cli, engine: FakeEngine) -> None:
    engine.containers_ = [container(state=State.EXITED)]
    code, _, err = cli("attach", "web")
    assert code == 1
    assert "web is exited, not running" in err


def test_start_attached(cli: Cli, engine: FakeEngine) -> None:
    engine.containers_ = [container(state=State.EXITED)]
    engine.program = ends_with(5, b"again")
    assert cli("start", "-a", "web") == (5, "again", "")


# -- the pump, in a process of its own where it needs one -----------------------------------------------------------

_CHILD = """
import sys
sys.path.insert(0, {root!r})
from tests.unit.cli import test_run
test_run.{program}()
"""


def child(program: str, **options: object) -> subprocess.Popen[bytes]:
    """A process that runs one of the functions below, which end in `sys.exit`."""
    root = os.path.abspath(f"{os.path.dirname(__file__)}/../../..")
    source = _CHILD.format(root=root, program=program)
    return subprocess.Popen([sys.executable, "-c", source], **options)  # type: ignore[call-overload,no-any-return]


def echo(monitor: Monitor) -> int:
    """Says what it was sent, as a program with a terminal would see it; ends at end of input or at ``q``."""
    while True:
        kind, data = monitor.receive()
        if kind == protocol.STDIN:
            monitor.send(protocol.STDOUT, data.upper())
            if b"q" in data:
                return 0
        elif kind == protocol.RESIZE:
            monitor.send(
                protocol.STDOUT,
                b"size %(rows)d %(columns)d\r\n" % {k.encode(): v for k, v in json.loads(data).items()},
            )
        elif kind == protocol.EOF:
            return 9
        elif not kind:
            return 1


def pump_pipe() -> None:
    sys.exit(attach.pump(session(echo), tty=False, stdin=True, detach_keys=parse_keys("")))


def pump_terminal() -> None:
    code = attach.pump(session(echo), tty=True, stdin=True, detach_keys=parse_keys(""))
    sys.exit(77 if code is None else code)


def pump_signals() -> None:
    received: list[str] = []
    arrived = threading.Event()

    def program(monitor: Monitor) -> int:
        monitor.send(protocol.STDOUT, b"ready\n")
        arrived.wait()
        monitor.send(protocol.STDOUT, received[0].encode())
        return 128 + 15

    def send_signal(name: str) -> None:
        received.append(name)
        arrived.set()

    sys.exit(attach.pump(session(program), tty=False, stdin=False, detach_keys=b"x", send_signal=send_signal))


def test_input_is_passed_on_to_its_end() -> None:
    process = child("pump_pipe", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    out, _ = process.communicate(b"hello" * 100_000, timeout=60)
    assert out == b"HELLO" * 100_000
    assert process.returncode == 9


def test_signals_are_passed_on_without_a_terminal() -> None:
    process = child("pump_signals", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=60)[0] == b"TERM"
    assert process.returncode == 143


class Terminal:
    """A pseudo terminal with the pump at its other end."""

    def __init__(self) -> None:
        self.ours, theirs = os.openpty()
        import fcntl
        import struct
        import termios

        self.resize = lambda rows, columns: fcntl.ioctl(
            theirs_kept, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0)
        )
        self.modes = lambda: termios.tcgetattr(theirs_kept)
        theirs_kept = os.dup(theirs)
        self.resize(24, 80)
        self.process = child("pump_terminal", stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
        os.close(theirs)
        self.seen = b""

    def wait_for(self, text: bytes) -> None:
        while text not in self.seen:
            self.seen += os.read(self.ours, 65536)

    def type(self, keys: bytes) -> None:
        os.write(self.ours, keys)


def test_a_terminal_s_keys_go_through_raw_and_its_modes_come_back() -> None:
    terminal = Terminal()
    before = terminal.modes()
    terminal.wait_for(b"size 24 80\r\n")
    terminal.type(b"ab\x03\x1a")
    terminal.wait_for(b"AB\x03\x1a")
    terminal.type(b"q")
    assert terminal.process.wait(60) == 0
    assert terminal.modes() == before


def test_a_changed_size_is_passed_on() -> None:
    terminal = Terminal()
    terminal.wait_for(b"size 24 80")
    terminal.resize(50, 132)
    terminal.process.send_signal(signal.SIGWINCH)
    terminal.wait_for(b"size 50 132")
    terminal.type(b"q")
    assert terminal.process.wait(60) == 0


def test_detach_keys_leave_the_program_running() -> None:
    terminal = Terminal()
    before = terminal.modes()
    terminal.wait_for(b"size")
    terminal.type(b"x\x10")
    terminal.wait_for(b"X")
    time.sleep(0.05)
    terminal.type(b"\x11")
    assert terminal.process.wait(60) == 77
    assert b"\x10" not in terminal.seen
    assert terminal.modes() == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_the_terminal_sane(number: signal.Signals) -> None:
    terminal = Terminal()
    before = terminal.modes()
    terminal.wait_for(b"size")
    terminal.process.send_signal(number)
    terminal.process.wait(60)
    assert terminal.modes() == before


@pytest.mark.parametrize(
    ("typed", "passed", "detached"),
    [
        ([b"ab"], b"ab", False),
        ([b"\x10\x11"], b"", True),
        ([b"a\x10", b"\x11b"], b"a", True),
        ([b"\x10", b"x"], b"\x10x", False),
        ([b"\x10\x10\x11"], b"\x10", True),
    ],
)
def test_detach_keys_among_others(typed: list[bytes], passed: bytes, detached: bool) -> None:
    keys = KeyFilter(parse_keys(""))
    results = [keys.feed(data) for data in typed]
    assert b"".join(data for data, _ in results) == passed
    assert any(found for _, found in results) is detached


def test_detach_keys_can_be_chosen() -> None:
    assert parse_keys("ctrl-a,d") == b"\x01d"
    assert parse_keys("ctrl-],x") == b"\x1dx"
    for wrong in ("ctrl-", "abc", "ctrl-1", "a,"):
        with pytest.raises(UsageError):
            parse_keys(wrong)
