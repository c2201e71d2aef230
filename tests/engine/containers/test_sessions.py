"""Exec sessions outlive those who watch them, and can be watched by several."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import pytest

from pyctr_engine.engine import Session
from pyctr_engine.errors import Conflict, NotFound
from pyctr_engine.model.spec import ExecRequest
from pyctr_engine.runtime.sessions import REPLAY_BYTES
from tests.engine.containers.conftest import Bench
from tests.engine.containers.test_lifecycle import until

pytestmark = pytest.mark.root


def _read_until(session: Session, wanted: bytes, seconds: float = 5.0) -> bytes:
    found = b""
    deadline = time.monotonic() + seconds
    while wanted not in found:
        assert time.monotonic() < deadline, found
        kind, data = session.read()
        assert kind in ("stdout", "stderr"), (kind, found)
        found += data
    return found


def test_a_lost_caller_ends_nothing_and_another_comes_back_to_it(bench: Bench) -> None:
    container = bench.start()
    program = (
        "import os, sys, signal; from pyctr_engine.engine import Engine; from pyctr_engine.paths import Paths\n"
        "from pyctr_engine.model.spec import ExecRequest\n"
        "s = Engine(Paths(*sys.argv[1:3])).exec(sys.argv[3], ExecRequest(('sh',), tty=True, stdin=True))\n"
        "s.write(b'x=kept; echo se\"\"en\\n')\n"
        "found = b''\n"
        "while b'seen' not in found: found += s.read()[1]\n"
        "print(s.id, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    paths = bench.engine.paths
    lost = subprocess.run(
        [sys.executable, "-c", program, paths.state, paths.run, container.id],
        capture_output=True,
        text=True,
        check=False,
    )
    id = lost.stdout.strip()
    assert id, lost.stderr
    until(lambda: [s.viewers for s in bench.engine.sessions(container.id)] == [0])
    session, tty = bench.engine.reattach(container.id, id[:6])
    assert tty
    assert b"seen" in _read_until(session, b"seen")
    session.write(b"echo still-$x\n")
    _read_until(session, b"still-kept")
    session.write(b"exit 5\n")
    while (piece := session.read())[0] != "exit":
        pass
    assert piece[1] == b"5"
    (ended,) = bench.engine.sessions(container.id)
    assert (ended.id, ended.exit_code, ended.pid, ended.argv) == (id, 5, 0, ("sh",))
    with pytest.raises(NotFound, match="has no session"):
        bench.engine.reattach(container.id, id)


def test_several_watch_the_same_and_any_may_type(bench: Bench) -> None:
    container = bench.start()
    first = bench.engine.exec(container.id, ExecRequest(("cat",), tty=True, stdin=True))
    second, _ = bench.engine.reattach(container.id, first.id)
    third, _ = bench.engine.reattach(container.id, first.id)
    until(lambda: [s.viewers for s in bench.engine.sessions(container.id)] == [3])
    second.write(b"from the second\n")
    for session in (first, second, third):
        _read_until(session, b"from the second\r\nfrom the second\r\n")
    first.close()
    third.write(b"still here\n")
    _read_until(second, b"still here\r\nstill here")
    second.close()
    third.close()
    assert [s.exit_code for s in bench.engine.sessions(container.id)] == [None]


def test_what_is_replayed_is_bounded(bench: Bench) -> None:
    container = bench.start()
    session = bench.engine.exec(container.id, ExecRequest(("sh", "-c", "seq 200000; echo done; exec sleep 1000")))
    _read_until(session, b"done", 30)
    session.close()
    again, _ = bench.engine.reattach(container.id, session.id)
    replayed = _read_until(again, b"done")
    assert replayed.endswith(b"199999\n200000\ndone\n")
    assert REPLAY_BYTES <= len(replayed) <= REPLAY_BYTES + (256 << 10)


def test_a_size_set_by_one_is_seen_by_the_program(bench: Bench) -> None:
    container = bench.start()
    session = bench.engine.exec(container.id, ExecRequest(("sh",), tty=True, stdin=True))
    again, _ = bench.engine.reattach(container.id, session.id)
    again.resize(33, 99)
    again.write(b"stty size\n")
    _read_until(again, b"33 99")


def test_sessions_end_with_their_container(bench: Bench) -> None:
    container = bench.start()
    session = bench.engine.exec(container.id, ExecRequest(("sleep", "1000")))
    bench.engine.stop(container.id, timeout=0)
    assert session.wait() == 137
    with pytest.raises(Conflict, match="not running"):
        bench.engine.sessions(container.id)


def test_binary_input_comes_back_as_it_went_and_its_end_is_exact(bench: Bench) -> None:
    container = bench.start()
    data = os.urandom(1 << 20)
    session = bench.engine.exec(container.id, ExecRequest(("cat",), stdin=True))
    found = bytearray()

    import threading

    def feed() -> None:
        session.write(data)
        session.close_stdin()

    feeder = threading.Thread(target=feed)
    feeder.start()
    while (piece := session.read())[0] == "stdout":
        found += piece[1]
    feeder.join()
    assert piece == ("exit", b"0")
    assert bytes(found) == data


def test_signals_of_the_container_do_not_reach_what_a_monitor_does(bench: Bench) -> None:
    """Between the clone and the exec a further program is a copy of the monitor, handlers and all."""
    container = bench.start("sh", "-c", "trap '' HUP TERM; while :; do kill -HUP -1; kill -TERM -1; done")
    for _ in range(15):
        session = bench.engine.exec(container.id, ExecRequest(("sh", "-c", "exit 0")))
        assert session.wait() in (0, 128 + 1, 128 + 15)
        session.close()
    assert bench.exec(container, "sh", "-c", "test ! -e /run/pt-*").code in (0, 129, 143)
    bench.engine.kill(container.id)
    until(lambda: not bench.engine.container(container.id).state.is_alive)


def test_a_byte_at_a_time_costs_bytes(bench: Bench) -> None:
    container = bench.start()
    script = (
        "import os\nfor _ in range(20000): os.write(1, b'x')\nos.write(1, b'done')\nimport time; time.sleep(1000)"
    )
    session = bench.engine.exec(container.id, ExecRequest(("python3", "-c", script)))
    _read_until(session, b"done", 20)
    again, _ = bench.engine.reattach(container.id, session.id)
    pieces = []
    while sum(map(len, pieces)) < 20_004:
        pieces.append(again.read()[1])
    assert len(pieces) < 10


def test_modes_survive_what_is_forgotten(bench: Bench) -> None:
    container = bench.start()
    flood = f"printf '\\033[?1049h\\033[?1;2004h\\033[?1l'; yes | head -c {2 * REPLAY_BYTES}; echo do''ne; read x"
    session = bench.engine.exec(container.id, ExecRequest(("sh", "-c", flood), tty=True, stdin=True))
    _read_until(session, b"done", 20)
    session.close()
    again, _ = bench.engine.reattach(container.id, session.id)
    seen = _read_until(again, b"done")
    assert seen.startswith(b"\x1b[?1049h\x1b[?2004h\x1b[?1l")
    assert again.replayed >= len(seen) - 2
    again.close()


def test_a_session_is_ended_by_others_than_its_viewers(bench: Bench) -> None:
    container = bench.start()
    sleeper = bench.engine.exec(container.id, ExecRequest(("sleep", "1000"), tty=True, stdin=True))
    stubborn = ExecRequest(("sh", "-c", "trap '' HUP; echo ready; while true; do sleep 1; done"), tty=True)
    other = bench.engine.exec(container.id, stubborn)
    _read_until(other, b"ready")
    for session in (sleeper, other):
        bench.engine.end_session(container.id, session.id)
        assert session.wait() in (129, 137)
    assert all(one.exit_code is not None for one in bench.engine.sessions(container.id))
    with pytest.raises(NotFound, match="has no session"):
        bench.engine.end_session(container.id, sleeper.id)


def test_letting_go_wakes_who_waits_for_output(bench: Bench) -> None:
    container = bench.start()
    session = bench.engine.exec(container.id, ExecRequest(("sleep", "1000"), tty=True, stdin=True))
    got: list[str] = []
    reader = threading.Thread(target=lambda: got.append(session.read()[0]))
    reader.start()
    time.sleep(0.1)
    session.close()
    reader.join(5)
    assert got == ["closed"]
