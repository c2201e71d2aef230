"""Further programs in a running container."""

from __future__ import annotations

import os

import pytest

from pyctr_engine.errors import CommandError, Conflict, InvalidValue
from pyctr_engine.model.spec import ExecRequest
from tests.engine.containers.conftest import Bench, collect
from tests.engine.containers.test_lifecycle import until

pytestmark = pytest.mark.root


def test_it_runs_inside_with_the_containers_own_limits_on_it(bench: Bench) -> None:
    container = bench.start(env=("COLOUR=red",), hostname="box")
    script = (
        "hostname; echo $COLOUR $EXTRA; pwd; grep -E 'CapEff|Seccomp:' /proc/self/status; readlink /proc/self/ns/user"
    )
    first = bench.exec(container, "sh", "-c", script, env=("EXTRA=1",), working_dir="/tmp").out.splitlines()
    assert first[:3] == ["box", "red 1", "/tmp"]
    assert first[3:5] == ["CapEff:\t00000000a80425fb", "Seccomp:\t2"]
    assert first[5] == os.readlink(f"/proc/{container.status.pid}/ns/user")


def test_limits_that_were_asked_for_are_its_own_too(bench: Bench) -> None:
    container = bench.start(ulimits={"nofile": (77, 99)})
    assert bench.exec(container, "sh", "-c", "ulimit -Sn; ulimit -Hn").out == "77\n99\n"


def test_its_input_ends_with_whoever_asked_for_it(bench: Bench) -> None:
    """Else a ``cat`` whose caller was killed would stay for ever."""
    container = bench.start()
    session = bench.engine.exec(container.id, ExecRequest(("cat",), stdin=True))
    assert len(bench.engine.processes(container.id)) == 2
    session.close()
    until(lambda: len(bench.engine.processes(container.id)) == 1)


def test_it_is_counted_in_the_containers_cgroup(bench: Bench) -> None:
    container = bench.start()
    session = bench.engine.exec(container.id, ExecRequest(("sleep", "1000")))
    commands = {process.command for process in bench.engine.processes(container.id)}
    assert commands == {"sleep 1000"}
    assert bench.engine.stats(container.id).pids == 2
    session.close()


def test_output_input_and_exit_code(bench: Bench) -> None:
    container = bench.start()
    outcome = bench.exec(container, "sh", "-c", "echo o; echo e >&2; exit 7")
    assert (outcome.out, outcome.err, outcome.code) == ("o\n", "e\n", 7)
    session = bench.engine.exec(container.id, ExecRequest(("wc", "-c"), stdin=True))
    session.write(b"x" * 3_000_000)
    session.close_stdin()
    assert collect(session).out.strip() == "3000000"


def test_it_does_not_wait_for_what_it_left_in_the_background(bench: Bench) -> None:
    container = bench.start()
    assert bench.exec(container, "sh", "-c", "sleep 1000 & echo done").out == "done\n"


def test_what_cannot_run_is_an_error_with_dockers_code(bench: Bench) -> None:
    container = bench.start()
    for argv, code in ((("ghost",), 127), (("/etc",), 126)):
        with pytest.raises(CommandError) as caught:
            bench.engine.exec(container.id, ExecRequest(argv))
        assert caught.value.exit_code == code
    assert len(bench.engine.processes(container.id)) == 1


def test_a_container_that_does_not_run_takes_none(bench: Bench) -> None:
    container = bench.start()
    bench.engine.stop(container.id, timeout=0)
    with pytest.raises(Conflict, match="is not running"):
        bench.exec(container, "true")


def test_one_that_ends_meanwhile_is_said_not_to_run(bench: Bench) -> None:
    for _ in range(10):
        container = bench.start("sleep", "0.02")
        with pytest.raises(Conflict, match="is not running"):
            while True:
                assert bench.exec(container, "true").code in (0, 137)


def test_when_the_container_ends_its_sessions_end_too(bench: Bench) -> None:
    container = bench.start()
    session = bench.engine.exec(container.id, ExecRequest(("sleep", "1000")))
    bench.engine.kill(container.id)
    assert session.wait() == 137


def test_a_closed_session_ends_nothing(bench: Bench) -> None:
    container = bench.start()
    session = bench.engine.exec(
        container.id, ExecRequest(("sh", "-c", "sleep 0.2; echo on > /dev/shm/on; sleep 100"))
    )
    session.close()
    script = "for i in 1 2 3 4 5 6 7 8 9; do [ -e /dev/shm/on ] && exit 0; sleep 0.2; done; exit 1"
    assert bench.exec(container, "sh", "-c", script).code == 0


def test_it_can_be_run_as_another_user_and_with_a_terminal(bench: Bench) -> None:
    container = bench.start()
    assert bench.exec(container, "id", "-u", user="1000").out == "1000\n"
    outcome = bench.exec(container, "sh", "-c", "tty; echo $TERM", tty=True)
    assert outcome.out == "/dev/pts/0\r\nxterm\r\n"


def test_two_hundred_one_after_the_other_leave_nothing(bench: Bench) -> None:
    container = bench.start()
    monitor = f"/proc/{container.status.monitor_pid}/fd"
    bench.exec(container, "true")  # its monitor answers by now: it has everything that it was handed
    before = len(os.listdir(monitor))
    for _ in range(200):
        assert bench.exec(container, "true").code == 0
    assert len(os.listdir(monitor)) <= before + 1
    assert len(bench.engine.processes(container.id)) == 1


def test_a_working_directory_is_entered_not_made(bench: Bench) -> None:
    """`run` makes it, as docker does; a further program finds what is there."""
    container = bench.start()
    for path, reason in (("/missing", "no such file or directory"), ("/etc/passwd", "not a directory")):
        with pytest.raises(CommandError, match=f"cannot run pwd: {reason}: {path}"):
            bench.exec(container, "pwd", working_dir=path)
    with pytest.raises(InvalidValue, match="not an absolute path"):
        bench.exec(container, "pwd", working_dir="tmp")
    assert bench.exec(container, "ls", "-d", "/missing").code == 2
    assert bench.run("pwd", working_dir="/made/here").out == "/made/here\n"


def test_it_joins_a_container_with_an_init_of_ours(bench: Bench) -> None:
    """Which lets nobody inside look at it: what an exec joins is opened from outside."""
    container = bench.start(init=True)
    assert bench.exec(container, "cat", "/proc/self/cgroup").out.splitlines()[-1].endswith(":/")
