"""A container's life: it outlives whoever looks at it, and ends cleanly however it ends."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from pyctr_engine.containers import remove
from pyctr_engine.engine import Engine
from pyctr_engine.errors import Conflict, NotFound, NotPermitted
from pyctr_engine.model.spec import ContainerRequest
from pyctr_engine.model.status import State
from tests import leaks
from tests.engine.containers.conftest import IMAGE, Bench, collect
from tests.patience import PATIENCE

pytestmark = pytest.mark.root


def until(condition: Callable[[], object], seconds: float = 5.0) -> None:
    """Wait for something that happens by itself."""
    deadline = time.monotonic() + seconds * PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def test_from_created_to_running_to_exited_and_again(bench: Bench) -> None:
    container = bench.engine.create(ContainerRequest(IMAGE, command=("sh", "-c", "echo $$; exit 4")))
    assert container.state is State.CREATED
    for _ in range(2):
        assert collect(bench.engine.start_attached(container.id)).code == 4
        ended = bench.engine.container(container.id)
        assert (ended.state, ended.status.exit_code) == (State.EXITED, 4)
        assert ended.status.finished_at >= ended.status.started_at > 0
    assert [line.text for line in bench.engine.logs(container.id)] == ["1", "1"]


def test_its_files_outlive_its_end(bench: Bench) -> None:
    container = bench.start("sh", "-c", "echo kept >> /kept; sleep 1000")
    until(lambda: bench.engine.changes(container.id))
    bench.engine.restart(container.id, timeout=0)
    until(lambda: bench.exec(container, "cat", "/kept").out == "kept\nkept\n")


def test_stop_is_a_signal_then_a_kill(bench: Bench) -> None:
    polite = bench.start_when("ready", "sh", "-c", "trap 'exit 5' TERM; echo ready; while :; do sleep 0.05; done")
    bench.engine.stop(polite.id)
    assert bench.engine.container(polite.id).status.exit_code == 5
    stubborn = bench.start_when("ready", "sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done")
    began = time.monotonic()
    bench.engine.stop(stubborn.id, timeout=0.3)
    assert time.monotonic() - began >= 0.3
    assert bench.engine.container(stubborn.id).status.exit_code == 137
    bench.engine.stop(stubborn.id)  # stopping what has ended is no error


def test_the_stop_signal_can_be_chosen(bench: Bench) -> None:
    script = "trap 'exit 6' QUIT; echo ready; while :; do sleep 0.05; done"
    container = bench.start_when("ready", "sh", "-c", script, stop_signal="SIGQUIT")
    bench.engine.stop(container.id)
    assert bench.engine.container(container.id).status.exit_code == 6


def test_pause_stops_it_where_it_is(bench: Bench) -> None:
    container = bench.start("sh", "-c", "while :; do echo tick; sleep 0.02; done")
    until(lambda: len(list(bench.engine.logs(container.id))) > 3)
    bench.engine.pause(container.id)
    assert bench.engine.container(container.id).state is State.PAUSED
    time.sleep(0.1)
    before = len(list(bench.engine.logs(container.id)))
    time.sleep(0.2)
    assert len(list(bench.engine.logs(container.id))) == before
    with pytest.raises(Conflict, match="is paused"):
        bench.exec(container, "true")
    bench.engine.unpause(container.id)
    until(lambda: len(list(bench.engine.logs(container.id))) > before)


def test_a_paused_container_can_be_stopped_and_removed(bench: Bench) -> None:
    first, second = bench.start(), bench.start()
    for container in (first, second):
        bench.engine.pause(container.id)
    bench.engine.stop(first.id, timeout=0)
    assert bench.engine.container(first.id).state is State.EXITED
    bench.engine.remove(second.id, force=True)
    with pytest.raises(NotFound):
        bench.engine.container(second.id)


def test_a_running_container_is_removed_only_by_force(bench: Bench) -> None:
    container = bench.start()
    with pytest.raises(Conflict, match="is running"):
        bench.engine.remove(container.id)
    bench.engine.remove(container.id, force=True)
    assert not os.path.exists(bench.engine.paths.container(container.id))
    assert not os.path.exists(bench.engine.paths.run_container(container.id))


def test_it_outlives_a_killed_viewer_and_its_log_goes_on(bench: Bench) -> None:
    program = (
        "import sys; from pyctr_engine.engine import Engine; from pyctr_engine.paths import Paths;"
        "from pyctr_engine.model.spec import ContainerRequest;"
        "e = Engine(Paths(sys.argv[1], sys.argv[2]));"
        "c, s = e.run(ContainerRequest('pyctr/base', name='orphan',"
        " command=('sh', '-c', 'i=0; while :; do i=$((i+1)); echo $i; sleep 0.02; done')));"
        "print(s.read(), flush=True)\nwhile True: s.read()"
    )
    paths = bench.engine.paths
    viewer = subprocess.Popen([sys.executable, "-c", program, paths.state, paths.run], stdout=subprocess.PIPE)
    assert viewer.stdout is not None
    assert viewer.stdout.readline()
    viewer.kill()
    viewer.wait()
    viewer.stdout.close()
    before = len(list(bench.engine.logs("orphan")))
    until(lambda: len(list(bench.engine.logs("orphan"))) > before + 5)
    assert bench.exec(bench.engine.container("orphan"), "echo", "here").out == "here\n"


def test_it_outlives_the_spawner(bench: Bench) -> None:
    container = bench.start()
    pid = leaks.spawner(bench.engine.paths)
    os.kill(pid, signal.SIGKILL)
    assert bench.exec(container, "echo", "here").out == "here\n"
    assert bench.run("echo", "another").out == "another\n"
    assert leaks.spawner(bench.engine.paths) != pid


def test_with_its_monitor_it_ends_and_the_next_call_sweeps(bench: Bench) -> None:
    container = bench.start_when("ready", "sh", "-c", "trap '' TERM INT HUP; echo ready; sleep 1000 & sleep 1000")
    inside = [process.pid for process in bench.engine.processes(container.id)]
    os.kill(container.status.monitor_pid, signal.SIGKILL)
    until(lambda: bench.engine.container(container.id).state is State.EXITED)
    ended = bench.engine.container(container.id)
    assert (ended.status.exit_code, ended.status.error) == (137, "its monitor was killed")
    until(lambda: not [pid for pid in inside if os.path.exists(f"/proc/{pid}")])
    assert not [name for name in leaks.held(bench.engine.paths).cgroups if container.id in name]
    assert bench.engine.start(container.id).state is State.RUNNING


def test_after_a_reboot_containers_read_as_ended_and_start_again(bench: Bench) -> None:
    container = bench.start()
    os.kill(container.status.monitor_pid, signal.SIGKILL)
    until(lambda: not os.path.exists(f"/proc/{container.status.pid}"))
    shutil.rmtree(bench.engine.paths.run_containers)
    ended = bench.engine.container(container.id)
    assert (ended.state, ended.status.exit_code) == (State.EXITED, 137)
    assert bench.engine.start(container.id).state is State.RUNNING


def test_a_wiped_run_directory_is_made_again(bench: Bench) -> None:
    """Whoever asks next makes the monitors listen again; before, `stop` said done and did nothing."""
    polite = ("sh", "-c", "trap 'exit 5' TERM; while :; do sleep 0.05; done")
    containers = [bench.start(*polite) for _ in range(2)]
    stopped, killed = containers
    durable = bench.engine.paths.container
    until(lambda: all(os.path.exists(f"{durable(container.id)}/state.json") for container in containers))
    shutil.rmtree(bench.engine.paths.run_containers)
    assert [bench.engine.container(container.id).state for container in containers] == [State.RUNNING] * 2
    assert bench.exec(stopped, "echo", "here").out == "here\n"
    bench.engine.stop(stopped.id)
    assert bench.engine.container(stopped.id).status.exit_code == 5
    bench.engine.kill(killed.id)
    until(lambda: bench.engine.container(killed.id).state is State.EXITED)
    assert bench.engine.start(stopped.id).state is State.RUNNING


@pytest.mark.parametrize("end", ["stop", "remove"])
def test_a_monitor_that_hangs_keeps_nothing_alive(bench: Bench, end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remove, "ANSWER_SECONDS", 0.1)
    monkeypatch.setattr(remove, "_END_SECONDS", 0.3)
    container = bench.start()
    os.kill(bench.engine.container(container.id).status.monitor_pid, signal.SIGSTOP)
    if end == "stop":
        bench.engine.stop(container.id, timeout=0.1)
        assert bench.engine.container(container.id).status.exit_code == 137
    else:
        bench.engine.remove(container.id, force=True)
        assert not bench.engine.containers()


def test_two_engines_see_the_same(bench: Bench) -> None:
    other = Engine(bench.engine.paths)
    container = bench.start(name="shared")
    assert other.container("shared").id == container.id
    other.remove("shared", force=True)
    other.close()
    assert bench.engine.containers() == []


def test_many_start_and_end_at_once(bench: Bench) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(lambda n: bench.run("sh", "-c", f"exit {n}").code, range(24)))
    assert codes == list(range(24))
    assert bench.engine.containers() == []


def test_the_start_is_traced_step_by_step(bench: Bench) -> None:
    container = bench.start()
    steps = bench.engine.inspect(container.id)["Pyctr"]["StartTrace"]
    names = [step["Step"] for step in steps]
    assert {"namespaces", "id maps", "root file system", "network", "cgroups", "exec"} <= set(names)
    assert all(step["End"] >= step["Begin"] >= 0 for step in steps)


def test_a_name_an_id_and_a_prefix_find_it(bench: Bench) -> None:
    container = bench.start(name="web")
    for ref in ("web", container.id, container.id[:6]):
        assert bench.engine.container(ref).id == container.id
    with pytest.raises(NotFound, match="no such container: we"):
        bench.engine.container("we")


def test_events_tell_what_happened(bench: Bench) -> None:
    since = time.time()
    bench.run("true", name="told")
    told = [event.action for event in bench.engine.events(since, follow=False) if event.name == "told"]
    assert told == ["create", "start", "die", "destroy"]


def test_one_that_cannot_be_removed_is_dead_and_keeps_nobody_else_from_working(bench: Bench) -> None:
    """Something in it is immutable, as on a disk that fails: what is left says so until it can go."""
    container = bench.start_when("ready", "sh", "-c", "echo x > /file; echo ready; sleep 1000")
    other = bench.start()
    file = f"{bench.engine.paths.container(container.id)}/upper/file"
    subprocess.run(["chattr", "+i", file], check=True)
    try:
        with pytest.raises(NotPermitted, match="cannot remove the container's files"):
            bench.engine.remove(container.id, force=True)
        dead = bench.engine.container(container.id)
        assert (dead.state, dead.status.error) == (State.DEAD, "its removal failed half way")
        assert {c.id for c in bench.engine.containers()} == {container.id, other.id}
        assert "removal failed" in bench.engine.why(container.id).verdict
        with pytest.raises(Conflict, match="is dead"):
            bench.engine.start(container.id)
        assert bench.exec(other, "echo", "fine").out == "fine\n"
    finally:
        left = f"{bench.engine.paths.going(container.id)}/upper/file"
        subprocess.run(["chattr", "-i", left if os.path.exists(left) else file], check=True)
    bench.engine.remove(container.id)
    assert {c.id for c in bench.engine.containers()} == {other.id}
