"""What can be changed of a container that is there: name, limits, policy."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from pyctr_engine.cgroups.layout import detect
from pyctr_engine.cgroups.systemd import home
from pyctr_engine.errors import Conflict, EngineError, InvalidValue, NotFound
from pyctr_engine.model.spec import ContainerRequest, Resources
from pyctr_engine.model.status import Container
from tests.engine.containers.conftest import IMAGE, Bench
from tests.engine.containers.test_lifecycle import until

pytestmark = pytest.mark.root

MIB = 1 << 20


def _limit(bench: Bench, container: Container, controller: str, *names: str) -> str:
    parent = home(bench.engine.paths.cgroup_name).parent
    _, directory = detect().directory(controller, parent, container.id)
    for name in names:
        if os.path.exists(f"{directory}/{name}"):
            with open(f"{directory}/{name}") as file:
                return file.read().strip()
    raise FileNotFoundError(names)


def _memory(bench: Bench, container: Container) -> str:
    return _limit(bench, container, "memory", "memory.max", "memory.limit_in_bytes")


def test_a_name_is_another_s_at_once(bench: Bench) -> None:
    first, second = bench.start(name="first"), bench.start(name="second")
    bench.engine.rename("first", "renamed")
    assert bench.engine.container("renamed").id == first.id
    with pytest.raises(NotFound):
        bench.engine.container("first")
    until(lambda: "renamed" in bench.exec(second, "cat", "/etc/hosts").out)
    assert "first" not in bench.exec(second, "cat", "/etc/hosts").out
    bench.engine.stop("renamed", timeout=0)
    died = [
        event for event in bench.engine.events(0.0, follow=False) if event.id == first.id and event.action == "die"
    ]
    assert died[-1].name == "renamed", "its monitor knows too"
    for name, error in (("second", Conflict), ("renamed", InvalidValue), ("no/name", InvalidValue)):
        with pytest.raises(error):
            bench.engine.rename("renamed", name)


def test_limits_change_while_it_runs_up_and_down_and_away(bench: Bench) -> None:
    container = bench.start(resources=Resources(memory=64 * MIB, pids=50))
    for memory in (128 * MIB, 32 * MIB, 512 * MIB):
        bench.engine.update(container.id, Resources(memory=memory, pids=20, cpus=0.5))
        assert _memory(bench, container) == str(memory)
    assert _limit(bench, container, "pids", "pids.max") == "20"
    assert _limit(bench, container, "cpu", "cpu.max", "cpu.cfs_quota_us").split()[0] == "50000"
    stats = bench.engine.stats(container.id)
    assert (stats.memory_limit, stats.pids_limit, stats.cpu_limit) == (512 * MIB, 20, 0.5)
    bench.engine.update(container.id, Resources())
    assert _memory(bench, container) in ("max", "9223372036854771712")
    assert _limit(bench, container, "pids", "pids.max") == "max"
    assert _limit(bench, container, "cpu", "cpu.max", "cpu.cfs_quota_us").split()[0] in ("max", "-1")


def test_what_the_kernel_refuses_changes_nothing(bench: Bench) -> None:
    script = "import time; x = bytearray(60 << 20); print('ready', flush=True); time.sleep(1000)"
    container = bench.start_when(
        "ready", "python3", "-c", script,
        resources=Resources(memory=128 * MIB, memory_swap=128 * MIB, pids=40),
    )  # fmt: skip
    before = bench.engine.container(container.id).spec.request.resources
    if detect().home("memory")[0] == 1:  # v2 would kill something in it instead
        with pytest.raises(EngineError, match=r"it uses \d+ MiB of memory now, more than the new limit of 8 MiB"):
            bench.engine.update(container.id, Resources(memory=8 * MIB, memory_swap=8 * MIB, pids=10))
        assert _memory(bench, container) == str(128 * MIB)
        assert _limit(bench, container, "pids", "pids.max") == "40"
        assert bench.engine.container(container.id).spec.request.resources == before
    with pytest.raises(InvalidValue):
        bench.engine.update(container.id, Resources(memory=1))


def test_limits_of_one_that_does_not_run_are_those_of_its_next_start(bench: Bench) -> None:
    container = bench.engine.create(ContainerRequest(IMAGE, command=("sleep", "1000")))
    bench.engine.update(container.id, Resources(memory=77 * MIB))
    bench.engine.start(container.id)
    assert _memory(bench, container) == str(77 * MIB // 4096 * 4096)


def test_a_first_cpu_set_needs_a_start_on_v1(bench: Bench) -> None:
    container = bench.start()
    if detect().home("cpuset")[0] == 1:
        with pytest.raises(Conflict, match="first CPU set"):
            bench.engine.update(container.id, Resources(cpuset="0"))
    pinned = bench.start(resources=Resources(cpuset="0"))
    bench.engine.update(pinned.id, Resources(cpuset="1"))
    assert bench.exec(pinned, "python3", "-c", "import os; print(os.sched_getaffinity(0))").out == "{1}\n"


def test_two_who_change_it_at_once_are_both_heard(bench: Bench) -> None:
    container = bench.start()

    def change(number: int) -> None:
        if number % 2:
            bench.engine.update(container.id, lambda now: replace(now, pids=100 + number))
        else:
            bench.engine.update(container.id, lambda now: replace(now, memory=(100 + number) * MIB))

    with ThreadPoolExecutor() as pool:
        renamed = pool.submit(bench.engine.rename, container.id, "busy")
        for number in range(20):
            list(pool.map(change, [number]))
        renamed.result()
    found = bench.engine.container("busy").spec.request.resources
    assert (found.memory, found.pids) == (118 * MIB, 119)
    with ThreadPoolExecutor() as pool:
        list(pool.map(change, range(20)))
    found = bench.engine.container("busy").spec.request.resources
    assert found.memory is not None
    assert found.pids is not None


def test_who_shares_its_network_still_finds_it_by_its_new_name(bench: Bench) -> None:
    bench.start(name="owner")
    sharing = bench.start(network="container:owner", name="sharing")
    bench.engine.rename("owner", "other")
    bench.engine.restart(sharing.id, timeout=0)
    assert bench.engine.container("sharing").spec.request.network == "container:other"


def test_cpus_that_are_not_there(bench: Bench) -> None:
    container = bench.engine.create(ContainerRequest(IMAGE))
    with pytest.raises(InvalidValue, match="there is no CPU 77 here"):
        bench.engine.update(container.id, Resources(cpuset="0,77"))
