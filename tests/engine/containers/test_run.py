"""Running a program: its output, input, end, and what it is given."""

from __future__ import annotations

import pytest

from pyctr_engine.errors import CommandError, Conflict, InvalidValue, NotFound
from pyctr_engine.model.spec import ContainerRequest, Mount
from tests.engine.containers.conftest import IMAGE, Bench, collect

pytestmark = pytest.mark.root


def test_output_and_errors_are_kept_apart(bench: Bench) -> None:
    outcome = bench.run("sh", "-c", "echo out; echo err >&2; exit 3")
    assert (outcome.out, outcome.err, outcome.code) == ("out\n", "err\n", 3)


def test_a_program_killed_by_a_signal_ends_with_128_and_its_number(bench: Bench) -> None:
    assert bench.run("sh", "-c", "sh -c 'kill -TERM $$'; exit $?").code == 143
    container = bench.start()
    bench.engine.kill(container.id, "USR1")  # PID 1 without a handler ignores it
    bench.engine.kill(container.id, "SIGKILL")
    assert bench.engine.wait(container.id) == 137


@pytest.mark.parametrize(("command", "code"), [("no-such-program", 127), ("/etc/passwd", 126), ("/etc", 126)])
def test_a_program_that_cannot_run_is_an_error_and_the_container_says_why(
    bench: Bench, command: str, code: int
) -> None:
    bench.engine.create(ContainerRequest(IMAGE, command=(command,), name="broken"))
    with pytest.raises(CommandError) as caught:
        bench.engine.start("broken")
    assert caught.value.exit_code == code
    container = bench.engine.container("broken")
    assert container.status.exit_code == code
    assert command in container.status.error
    assert bench.engine.processes("broken") == []


def test_a_failed_run_leaves_no_container(bench: Bench) -> None:
    with pytest.raises(CommandError):
        bench.engine.run(ContainerRequest(IMAGE, command=("no-such-program",)))
    assert bench.engine.containers() == []


def test_environment_directory_user_and_hostname_are_as_asked(bench: Bench) -> None:
    outcome = bench.run(
        "sh",
        "-c",
        "echo $GREETING $PATH; pwd; id -u; id -g; hostname; cat /etc/hostname",
        env=("GREETING=good day",),
        working_dir="/var/made/here",
        user="1234:2345",
        hostname="box",
    )
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    assert outcome.out.splitlines() == [f"good day {path}", "/var/made/here", "1234", "2345", "box", "box"]


def test_a_user_is_found_by_name_with_home_and_groups(bench: Bench) -> None:
    assert bench.run("sh", "-c", "id -un; echo $HOME", user="nobody").out == "nobody\n/nonexistent\n"
    with pytest.raises(CommandError, match="no user ghost"):
        bench.run("id", user="ghost")


def test_a_user_may_open_its_own_standard_streams_again(bench: Bench) -> None:
    outcome = bench.run("sh", "-c", "echo a > /dev/stdout; echo b > /dev/stderr", user="1000")
    assert (outcome.out, outcome.err, outcome.code) == ("a\n", "b\n", 0)


def test_standard_input_reaches_the_program_and_its_end_too(bench: Bench) -> None:
    _, session = bench.engine.run(ContainerRequest(IMAGE, command=("sha256sum",), stdin_open=True, auto_remove=True))
    data = bytes(range(256)) * 20_000
    session.write(data)
    session.close_stdin()
    import hashlib

    assert collect(session).out.split()[0] == hashlib.sha256(data).hexdigest()


def test_binary_output_of_many_megabytes_arrives_whole(bench: Bench) -> None:
    outcome = bench.run("sh", "-c", "head -c 20000000 /dev/zero | tr '\\0' x")
    assert len(outcome.out) == 20_000_000
    assert set(outcome.out) == {"x"}


def test_without_input_the_program_reads_end_of_file(bench: Bench) -> None:
    assert bench.run("cat").code == 0


def test_a_terminal_has_a_size_echo_and_control_characters(bench: Bench) -> None:
    request = ContainerRequest(
        IMAGE, command=("sh", "-c", "read x; stty size; tty; cat"), tty=True, stdin_open=True, auto_remove=True
    )
    _, session = bench.engine.run(request)
    session.resize(33, 77)
    session.write(b"go\nread by cat\n")
    seen = b""
    # Once cat runs: the shell is the first process, which a signal without a handler does not reach.
    while b"/dev/pts/0" not in seen or seen.count(b"read by cat") < 2:
        kind, data = session.read()
        assert kind == "stdout"
        seen += data
    session.write(b"\x03")
    assert b"33 77" in seen
    assert collect(session).code == 130


def test_init_reaps_orphans_and_passes_signals_on(bench: Bench) -> None:
    script = "(sleep 0.05 &) ; sleep 0.3; ps -o stat= -A | grep -c Z; cat /proc/1/comm"
    outcome = bench.run("sh", "-c", script, init=True)
    assert outcome.out == "0\ninit\n"
    script = "trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done"
    container = bench.start_when("ready", "sh", "-c", script, init=True)
    bench.engine.stop(container.id)
    assert bench.engine.container(container.id).status.exit_code == 9


def test_init_goes_on_when_its_program_is_beyond_its_signals(bench: Bench) -> None:
    """A program that has made itself root, by its set-user-id bit, may not be signalled by the user that init is."""
    volume = Mount("volume", "programs", "/programs")
    bench.run("sh", "-c", "cp $(readlink -f /usr/bin/python3) /programs/p; chmod 4755 /programs/p", mounts=(volume,))
    script = (
        "import os, time; os.setresuid(0, 0, 0); print('root', flush=True)\n"
        "while not os.path.exists('/tmp/go'): time.sleep(0.05)\n"
        "os._exit(7)"
    )
    container = bench.start_when("root", "/programs/p", "-c", script, init=True, user="1000", mounts=(volume,))
    bench.engine.kill(container.id, "TERM")
    assert bench.exec(container, "touch", "/tmp/go").code == 0
    assert bench.engine.wait(container.id) == 7


def test_a_taken_name_is_refused(bench: Bench) -> None:
    bench.engine.create(ContainerRequest(IMAGE, name="twin"))
    with pytest.raises(Conflict, match="the name twin is taken"):
        bench.engine.create(ContainerRequest(IMAGE, name="twin"))
    assert len(bench.engine.containers()) == 1


def test_what_cannot_be_is_refused_with_one_sentence(bench: Bench) -> None:
    with pytest.raises(NotFound, match="no such image: no-such-image"):
        bench.engine.create(ContainerRequest("no-such-image"))
    with pytest.raises(InvalidValue, match="is no name for a container"):
        bench.engine.create(ContainerRequest(IMAGE, name="/bad name"))
    with pytest.raises(InvalidValue, match="no such network"):
        bench.engine.create(ContainerRequest(IMAGE, network="other"))
    assert bench.engine.containers() == []
