"""Restart policies: done by the monitor, in the same namespaces and cgroup, and ended by who says so."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import time
from pathlib import Path

import pytest

from pyctr_engine.engine import Engine
from pyctr_engine.errors import Conflict, InvalidValue
from pyctr_engine.model.spec import ContainerRequest, Port, RestartPolicy
from pyctr_engine.model.status import Container, State
from pyctr_engine.paths import Paths
from tests.engine.containers.conftest import IMAGE, Bench
from tests.engine.containers.test_lifecycle import until

pytestmark = pytest.mark.root

ALWAYS = RestartPolicy("always")


def _restarts(bench: Bench, container: Container) -> int:
    return bench.engine.container(container.id).status.restart_count


def _actions(bench: Bench, container: Container) -> list[str]:
    return [event.action for event in bench.engine.events(0.0, follow=False) if event.id == container.id]


def test_on_failure_is_tried_so_often_in_the_same_namespaces(bench: Bench) -> None:
    script = "readlink /proc/self/ns/net /proc/self/ns/user; echo $$; hostname -i; echo x >> /kept; exit 7"
    container = bench.start("sh", "-c", script, restart=RestartPolicy("on-failure", 2))
    until(lambda: bench.engine.container(container.id).state is State.EXITED)
    ended = bench.engine.container(container.id).status
    assert (ended.exit_code, ended.restart_count, ended.error) == (7, 2, "")
    lines = [line.text for line in bench.engine.logs(container.id)]
    runs = [lines[at : at + 4] for at in range(0, len(lines), 4)]
    assert len(runs) == 3
    assert all(run == runs[0] for run in runs)
    assert runs[0][2] == "1"
    until(lambda: _actions(bench, container) == ["create", *["start", "die"] * 3])
    assert [change.path for change in bench.engine.changes(container.id)] == ["/kept"]


def test_always_goes_on_after_success_and_stop_ends_it(bench: Bench) -> None:
    container = bench.start("sh", "-c", "sleep 0.05", restart=ALWAYS)
    until(lambda: _restarts(bench, container) >= 2)
    bench.engine.stop(container.id)
    ended = bench.engine.container(container.id).status
    assert (ended.state, ended.stopped_by) == (State.EXITED, "stop")
    count = ended.restart_count
    time.sleep(0.5)
    assert _restarts(bench, container) == count


def test_it_can_be_stopped_between_two_runs(bench: Bench) -> None:
    container = bench.start("false", restart=RestartPolicy("unless-stopped"))
    until(lambda: bench.engine.container(container.id).status.restart_at > time.time() + 0.3, 10)
    waiting = bench.engine.container(container.id)
    assert (waiting.state, waiting.status.exit_code, waiting.status.pid) == (State.RESTARTING, 1, 0)
    with pytest.raises(Conflict, match="is restarting"):
        bench.exec(container, "true")
    with pytest.raises(Conflict, match="is restarting, not running"):
        bench.engine.pause(container.id)
    bench.engine.stop(container.id)
    assert bench.engine.container(container.id).state is State.EXITED


@pytest.mark.parametrize(("name", "ends"), [("KILL", True), ("TERM", True), ("USR1", False)])
def test_kill_ends_it_for_good_with_the_signals_that_mean_it(bench: Bench, name: str, ends: bool) -> None:
    container = bench.start("sleep", "1000", restart=ALWAYS, init=True)
    bench.engine.kill(container.id, name)
    if ends:
        until(lambda: bench.engine.container(container.id).state is State.EXITED)
        assert bench.engine.container(container.id).status.stopped_by == "kill"
    else:
        until(lambda: _restarts(bench, container) == 1)


def test_it_can_be_removed_while_it_restarts(bench: Bench) -> None:
    container = bench.start("false", restart=ALWAYS)
    until(lambda: _restarts(bench, container) >= 1)
    bench.engine.remove(container.id, force=True)
    assert container.id not in [other.id for other in bench.engine.containers()]


def test_a_terminal_and_an_init_are_there_again(bench: Bench) -> None:
    container = bench.start("sh", "-c", "tty; sleep 0.3", restart=ALWAYS, tty=True, init=True)
    until(lambda: _restarts(bench, container) >= 2)
    lines = [line.text.strip() for line in bench.engine.logs(container.id)]
    assert len(lines) >= 2
    assert set(lines) == {"/dev/pts/0"}


def test_a_published_port_leads_to_it_again(bench: Bench) -> None:
    server = "import socket; s=socket.create_server(('',80)); c,_=s.accept(); c.sendall(b'hello'); c.close()"
    container = bench.start("python3", "-c", server, restart=ALWAYS, ports=(Port(80, host_ip="127.0.0.1"),))
    (port,) = bench.engine.container(container.id).ports

    def answers() -> bool:
        try:
            with socket.create_connection(("127.0.0.1", port.host_port), timeout=1) as connection:
                return connection.recv(5) == b"hello"
        except OSError:
            return False

    until(answers, 10)
    until(lambda: _restarts(bench, container) >= 1, 10)
    until(answers, 10)


def test_what_cannot_be_started_again_is_tried_again_and_says_why(bench: Bench, tmp_path: Path) -> None:
    container = bench.engine.create(
        ContainerRequest(IMAGE, entrypoint=("/entry",), command=("-c", "rm /entry; sleep 0.1"), restart=ALWAYS)
    )
    bench.engine.copy_in(container.id, _program(tmp_path, "#!/bin/sh\nrm /entry\n"), "/entry")
    bench.engine.start(container.id)
    until(lambda: "no such program" in bench.engine.container(container.id).status.error)
    assert bench.engine.container(container.id).state is State.RESTARTING
    bench.engine.copy_in(container.id, _program(tmp_path, "#!/bin/sh\nsleep 1000\n"), "/entry")
    until(lambda: bench.engine.container(container.id).state is State.RUNNING, 20)
    assert bench.engine.container(container.id).status.error == ""


def _program(directory: Path, text: str) -> str:
    path = directory / "program"
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


def test_rm_and_restart_exclude_each_other(bench: Bench) -> None:
    with pytest.raises(InvalidValue, match="can't be restarted"):
        bench.engine.create(ContainerRequest(IMAGE, auto_remove=True, restart=ALWAYS))
    with pytest.raises(InvalidValue, match="can't have 3 retries"):
        bench.engine.create(ContainerRequest(IMAGE, restart=RestartPolicy("always", 3)))


def test_the_policy_can_be_changed_while_it_runs(bench: Bench) -> None:
    container = bench.start("sh", "-c", "trap 'exit 1' USR1; echo ready; while :; do sleep 0.02; done")
    bench.engine.update(container.id, restart=RestartPolicy("on-failure", 1))
    until(lambda: list(bench.engine.logs(container.id)))
    bench.engine.kill(container.id, "USR1")
    until(lambda: _restarts(bench, container) == 1)
    until(lambda: len(list(bench.engine.logs(container.id))) == 2)
    bench.engine.update(container.id, restart=RestartPolicy("no"))
    bench.engine.kill(container.id, "USR1")
    until(lambda: bench.engine.container(container.id).state is State.EXITED)


def test_waiting_ends_with_each_run(bench: Bench) -> None:
    container = bench.start("sh", "-c", "sleep 0.2; exit 9", restart=ALWAYS)
    assert bench.engine.wait(container.id) == 9
    assert bench.engine.wait(container.id) == 9


def test_after_a_boot_those_come_back_whose_policy_says_so(no_leaks: Paths) -> None:
    """A boot, as far as it can be had here: no process is left, and the run directory is gone."""
    engine = Engine(no_leaks)
    for name, policy, command in (
        ("always", "always", "sleep 1000"),
        ("stopped", "unless-stopped", "sleep 1000"),
        ("unless", "unless-stopped", "sleep 1000"),
        ("failed", "on-failure", "sleep 1000"),
        ("fine", "on-failure", "true"),
        ("no", "no", "sleep 1000"),
    ):
        request = ContainerRequest(
            IMAGE,
            name=name,
            command=tuple(command.split()),
            restart=RestartPolicy(policy),  # type: ignore[arg-type]
        )
        engine.start(engine.create(request).id)
    engine.create(ContainerRequest(IMAGE, name="never", restart=ALWAYS))
    until(lambda: engine.container("fine").state is State.EXITED)
    engine.stop("stopped", timeout=0)
    sharing = ContainerRequest(
        IMAGE, name="joined", network="container:unless", command=("sleep", "1000"), restart=ALWAYS
    )
    engine.start(engine.create(sharing).id)
    monitors = [container.status.monitor_pid for container in engine.containers() if container.state.is_alive]
    for pid in monitors:
        os.kill(pid, signal.SIGKILL)
    engine.close()
    shutil.rmtree(f"{no_leaks.run}/containers")

    engine = Engine(no_leaks)
    done = {container.name: error for container, error in engine.resume()}
    assert done == {"always": None, "unless": None, "failed": None, "joined": None}
    running = {container.name for container in engine.containers() if container.state is State.RUNNING}
    assert running == {"always", "unless", "failed", "joined"}
    assert engine.resume() == []
    for container in engine.containers():
        engine.remove(container.id, force=True)
    engine.close()


def test_a_monitor_that_is_asked_to_end_does_not_restart_it(bench: Bench) -> None:
    """As at a shutdown: SIGTERM to every process. What it was is kept for `resume`."""
    container = bench.start("sleep", "1000", restart=RestartPolicy("unless-stopped"), init=True)
    os.kill(bench.engine.container(container.id).status.monitor_pid, signal.SIGTERM)
    until(lambda: bench.engine.container(container.id).state is State.EXITED)
    assert bench.engine.container(container.id).status.stopped_by == ""
    assert [(c.name, error) for c, error in bench.engine.resume()] == [(container.name, None)]


def test_a_monitor_ends_cleanly_whenever_it_is_asked_to(bench: Bench) -> None:
    for turn in range(12):
        container = bench.start("false", restart=ALWAYS)
        until(lambda: _restarts(bench, container) >= 1)  # noqa: B023
        time.sleep(turn * 0.007)
        monitor = bench.engine.container(container.id).status.monitor_pid
        os.kill(monitor, signal.SIGTERM)
        until(lambda: not os.path.exists(f"/proc/{monitor}"))  # noqa: B023
        ended = bench.engine.container(container.id).status
        assert (ended.state, ended.exit_code, ended.error) == (State.EXITED, 1, "")
        bench.engine.remove(container.id)
