"""What the kernel kills for want of memory is told at once, and once."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from pyctr_engine.containers import spawner
from pyctr_engine.engine import Engine
from pyctr_engine.model.event import Event
from pyctr_engine.model.spec import Resources, RestartPolicy
from pyctr_engine.model.status import Container, State
from pyctr_engine.runtime import history
from tests import hogs, leaks
from tests.conftest import own_paths
from tests.engine.containers.conftest import Bench
from tests.engine.containers.test_lifecycle import until
from tests.engine.isolation.attacks import weakened

pytestmark = pytest.mark.root

MIB = 1 << 20
LIMITS = Resources(memory=48 * MIB, memory_swap=48 * MIB)

HOG = (
    "import os, sys, time\n"
    "print('ready', flush=True)\n"
    "for line in iter(sys.stdin.readline, ''):\n"
    "    if os.fork() == 0:\n"
    "        open('/proc/self/oom_score_adj', 'w').write('1000')\n"
    "        held = bytearray(b'x') * (200 << 20)\n"
    "    os.wait()\n"
    "    print('killed', time.time(), flush=True)\n"
)
"""Kills a child for each line that it is sent, and says when that was; goes on."""


def ooms(bench: Bench, container: Container) -> list[Event]:
    happened = bench.engine.events(0.0, follow=False)
    return [event for event in happened if (event.id, event.action) == (container.id, "oom")]


def recorder(bench: Bench) -> int:
    """The pid of the engine's recorder."""

    def find() -> list[int]:
        found = []
        for pid in leaks.processes(bench.engine.paths):
            try:
                with open(f"/proc/{pid}/comm") as file:
                    found += [pid] if file.read().strip() == "pyctr-recorder" else []
            except OSError:
                continue
        return found

    until(lambda: len(find()) == 1)
    return find()[0]


def start(bench: Bench) -> Container:
    """The hog, with a pipe to send it lines by."""
    return bench.start_when("ready", "sh", "-c", 'mkfifo /f; exec python3 -c "$0" <>/f', HOG, resources=LIMITS)


def said(bench: Bench, container: Container) -> list[str]:
    return [line.text for line in bench.engine.logs(container.id) if line.text.startswith("killed")]


def kill_a_child(bench: Bench, container: Container) -> float:
    """When it was killed."""
    before = len(said(bench, container))
    assert bench.exec(container, "sh", "-c", "echo now > /f").code == 0
    until(lambda: len(said(bench, container)) > before)
    return float(said(bench, container)[-1].split()[-1])


def test_a_child_s_end_is_told_at_once_though_the_container_goes_on(bench: Bench) -> None:
    container = start(bench)
    recorder(bench)
    time.sleep(1.0)  # a container is known to the recorder after half a second
    assert not bench.engine.container(container.id).status.oom_killed
    killed = kill_a_child(bench, container)
    until(lambda: len(ooms(bench, container)) == 1)
    told = ooms(bench, container)[0]
    assert told.attributes == {"kills": "1", "limit": str(48 * MIB)}
    print(f"told {1000 * (told.time - killed):.1f} ms after the parent knew")
    until(lambda: bench.engine.container(container.id).status.oom_killed)
    assert bench.engine.container(container.id).state is State.RUNNING
    assert "the kernel killed something in it for want of memory" in bench.engine.why(container.id).verdict
    assert bench.engine.inspect(container.id)["State"]["OOMKilled"]
    kill_a_child(bench, container)
    until(lambda: len(ooms(bench, container)) == 2)
    bench.engine.stop(container.id, timeout=0)
    assert len(ooms(bench, container)) == 2, "its end tells nothing again"
    assert bench.engine.container(container.id).status.oom_killed


READ_NOTHING = """
from pyctr_engine.runtime import recorder
recorder._Container.record = lambda self, *arguments: None
"""
HEAR_NOTHING = """
from pyctr_engine.cgroups import oom
def refuse(path):
    raise OSError(24, "no more descriptors")
oom.Watch = refuse
"""


@pytest.mark.parametrize(("patch", "told"), [(READ_NOTHING, 1), (READ_NOTHING + HEAR_NOTHING, 0)])
def test_it_is_the_kernel_that_tells_of_it_not_the_next_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, patch: str, told: int
) -> None:
    """With a recorder that takes no readings; one that doesn't listen either shows that nobody else tells."""
    monkeypatch.setattr(spawner, "_PROGRAM", weakened(patch))
    with own_paths(tmp_path) as paths:
        engine = Engine(paths)
        bench = Bench(engine)
        try:
            container = start(bench)
            recorder(bench)
            time.sleep(1.0)
            kill_a_child(bench, container)
            if told:
                until(lambda: len(ooms(bench, container)) == told)
            else:
                time.sleep(history.PERIOD + 1.0)  # as long as one that takes readings would need at most
                assert ooms(bench, container) == []
        finally:
            for left in engine.containers():
                engine.remove(left.id, force=True, volumes=True)
            engine.close()


def test_the_first_process_s_end_is_told_once(bench: Bench) -> None:
    container = bench.start("python3", "-c", "x = bytearray(b'x') * (200 << 20)", resources=LIMITS)
    until(lambda: not bench.engine.container(container.id).state.is_alive)
    time.sleep(0.3)
    assert len(ooms(bench, container)) == 1
    mortem = bench.engine.why(container.id)
    assert mortem.verdict.startswith("It ran out of memory: the kernel killed it at its limit of 48 MiB")
    assert [event.action for event in mortem.events if event.action in ("oom", "die")] == ["oom", "die"]


def test_one_that_lives_for_a_while_and_is_killed_then(bench: Bench) -> None:
    script = "import time; time.sleep(1.2); x = bytearray(b'x') * (200 << 20)"
    container = bench.start("python3", "-c", script, resources=LIMITS)
    until(lambda: not bench.engine.container(container.id).state.is_alive)
    time.sleep(0.3)
    assert len(ooms(bench, container)) == 1, "the recorder and the end of it both know: one tells"


def test_another_start_begins_without_the_mark(bench: Bench) -> None:
    script = "test -e /again && exec sleep 1000; touch /again; exec python3 -c \"x = bytearray(b'x') * (200 << 20)\""
    container = bench.start("sh", "-c", script, resources=LIMITS, restart=RestartPolicy("on-failure", 3))
    until(lambda: bench.engine.container(container.id).status.restart_count == 1)
    until(lambda: bench.engine.container(container.id).state is State.RUNNING)
    assert not bench.engine.container(container.id).status.oom_killed
    assert len(ooms(bench, container)) == 1
    time.sleep(1.2)
    bench.engine.stop(container.id, timeout=0)
    assert len(ooms(bench, container)) == 1


def test_without_a_recorder_nothing_is_lost(bench: Bench) -> None:
    """It is killed, something else is, and the next recorder tells of it."""
    container = start(bench)
    os.kill(recorder(bench), signal.SIGKILL)
    kill_a_child(bench, container)
    until(lambda: len(ooms(bench, container)) == 1)
    assert bench.engine.container(container.id).state is State.RUNNING


def test_one_that_is_killed_again_and_again_is_no_flood(bench: Bench) -> None:
    """What a second brings is one event, and the events' counts are all that was killed."""
    container = bench.start("python3", "-c", hogs.MEMORY, resources=LIMITS)
    until(lambda: (bench.engine.stats(container.id).oom_kills or 0) > 20, 60)
    began = ooms(bench, container)[0].time
    bench.engine.pause(container.id)
    time.sleep(1.5)
    told = ooms(bench, container)
    assert len(told) <= told[-1].time - began + 2
    assert sum(int(event.attributes["kills"]) for event in told) == bench.engine.stats(container.id).oom_kills
    bench.engine.unpause(container.id)
