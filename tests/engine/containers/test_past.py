"""What is known afterwards: history, post-mortem, the last processes."""

from __future__ import annotations

import os
import signal

import pytest

from pyctr_engine.model.spec import ContainerRequest, Resources, RestartPolicy
from pyctr_engine.model.status import State
from tests.conftest import end_spawner
from tests.engine.containers.conftest import IMAGE, Bench
from tests.engine.containers.test_lifecycle import until

pytestmark = pytest.mark.root

BURN = "x = bytearray(30 << 20)\nwhile True: pass"


def test_what_it_used_is_kept_also_when_it_has_ended(bench: Bench) -> None:
    container = bench.start("python3", "-c", BURN, resources=Resources(memory=100 << 20, cpus=0.5, pids=20))
    until(lambda: len(bench.engine.history(container.id).fine) >= 3, 12)
    bench.engine.stop(container.id, timeout=0)
    history = bench.engine.history(container.id)
    first, *_, last = history.fine
    assert 0.3 < (last.cpu_usec - first.cpu_usec) / 1e6 / (last.time - first.time) < 0.7
    assert last.memory > 30 << 20
    assert (last.memory_limit, last.cpu_limit, last.pids_limit, last.pids) == (100 << 20, 0.5, 20, 1)
    assert len(history.coarse) == 1
    (process,) = bench.engine.why(container.id).processes
    assert process.command.startswith("python3 -c x = bytearray")


def test_another_recorder_takes_the_place_of_one_that_was_killed(bench: Bench) -> None:
    container = bench.start()
    until(lambda: bench.engine.history(container.id).fine, 6)
    os.kill(_recorder(bench), signal.SIGKILL)
    count = len(bench.engine.history(container.id).fine)
    until(lambda: len(bench.engine.history(container.id).fine) > count + 1, 8)


def test_it_goes_on_without_its_spawner_and_hands_over_to_the_next(bench: Bench) -> None:
    container = bench.start()
    recorder = _recorder(bench)
    end_spawner(bench.engine.paths)
    count = len(bench.engine.history(container.id).fine)
    until(lambda: len(bench.engine.history(container.id).fine) > count + 1, 8)
    assert os.path.exists(f"/proc/{recorder}")
    other = bench.start()  # a new spawner, whose recorder waits
    until(lambda: bench.engine.history(other.id).fine, 8)
    os.kill(recorder, signal.SIGKILL)
    count = len(bench.engine.history(other.id).fine)
    until(lambda: len(bench.engine.history(other.id).fine) > count + 1, 8)


def _recorder(bench: Bench) -> int:
    """The process that holds the recorder's lock. Source: proc_locks(5)."""
    inode = os.stat(f"{bench.engine.paths.run}/recorder.lock").st_ino
    with open("/proc/locks") as file:
        return next(int(line.split()[4]) for line in file if line.split()[5].endswith(f":{inode}"))


@pytest.mark.parametrize(
    ("script", "verdict"),
    [
        ("exit 0", "Its program ended by itself, with exit code 0."),
        ("exit 3", "Its program ended by itself, with exit code 3."),
        ("exit 127", "Its program ended by itself, with exit code 127: a program that was not found."),
    ],
)
def test_an_end_by_itself(bench: Bench, script: str, verdict: str) -> None:
    container = bench.start("sh", "-c", f"echo last words; {script}")
    bench.engine.wait(container.id)
    until(lambda: bench.engine.container(container.id).state is State.EXITED)
    found = bench.engine.why(container.id)
    assert found.verdict == verdict
    assert [line.text for line in found.logs] == ["last words"]
    assert [event.action for event in found.events] == ["create", "start", "die"]
    assert found.trace


def test_a_crash(bench: Bench) -> None:
    container = bench.start("python3", "-c", "import ctypes; ctypes.string_at(0)")
    bench.engine.wait(container.id)
    until(lambda: bench.engine.container(container.id).state is State.EXITED)
    assert bench.engine.why(container.id).verdict.startswith("It crashed: it touched memory that is not its own")


def test_out_of_memory(bench: Bench) -> None:
    container = bench.start(
        "python3", "-c", "x = bytearray(200 << 20)", resources=Resources(memory=32 << 20, memory_swap=32 << 20)
    )
    bench.engine.wait(container.id)
    found = bench.engine.why(container.id)
    assert found.verdict.startswith("It ran out of memory: the kernel killed it at its limit of 32 MiB")
    assert dict(found.limits)["oom"] == 1


def test_stopped_killed_and_never_started(bench: Bench) -> None:
    created = bench.engine.create(ContainerRequest(IMAGE))
    assert bench.engine.why(created.id).verdict == "It was made, and never started."
    stopped = bench.start()
    bench.engine.stop(stopped.id, timeout=0)
    assert "killed as it had not ended within its grace" in bench.engine.why(stopped.id).verdict
    killed = bench.start()
    bench.engine.kill(killed.id)
    until(lambda: bench.engine.container(killed.id).state is State.EXITED)
    assert "ended by `kill`" in bench.engine.why(killed.id).verdict
    outside = bench.start()
    os.kill(bench.engine.container(outside.id).status.pid, signal.SIGKILL)
    until(lambda: bench.engine.container(outside.id).state is State.EXITED)
    assert "neither `stop` nor `kill` had sent" in bench.engine.why(outside.id).verdict


def test_one_that_could_not_be_started_and_one_that_restarts(bench: Bench) -> None:
    failed = bench.engine.create(ContainerRequest(IMAGE, command=("/no/such/program",)))
    with pytest.raises(Exception, match="no such program"):
        bench.engine.start(failed.id)
    assert "could not be started or kept: exec: no such program" in bench.engine.why(failed.id).verdict
    looping = bench.start("false", restart=RestartPolicy("always"))
    until(lambda: bench.engine.container(looping.id).status.restart_count >= 2)
    until(lambda: "It has been restarted" in bench.engine.why(looping.id).verdict)
