"""Limits hold, and what is used is told."""

from __future__ import annotations

import os
import resource
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest

from pyctr_engine.cgroups import hugetlb, place
from pyctr_engine.cgroups.layout import detect
from pyctr_engine.errors import InvalidValue, StartError, Unsupported
from pyctr_engine.linux import capabilities
from pyctr_engine.model.spec import ContainerRequest, Resources, RestartPolicy
from tests.engine.containers.conftest import Bench, collect
from tests.engine.containers.test_lifecycle import until
from tests.hogs import disk

pytestmark = pytest.mark.root

MAY_RAISE = bool(capabilities.permitted() & capabilities.mask(frozenset({"SYS_RESOURCE"})))
OPEN_FILES = resource.prlimit(1 if MAY_RAISE else 0, resource.RLIMIT_NOFILE)[1]
"""As many as containers may have open here unless more are asked for: see `spawner`."""
MESSAGES = max(0, resource.prlimit(1 if os.geteuid() == 0 else 0, resource.RLIMIT_MSGQUEUE)[1])
"""Bytes of message queues that the first process may have; of files, under systemd, it has all there can be."""


def test_out_of_memory_is_killed_and_told(bench: Bench) -> None:
    request = ContainerRequest(
        "pyctr/base", command=("python3", "-c", "x = bytearray(200 << 20)"), resources=Resources(memory=48 << 20)
    )
    container, session = bench.engine.run(request)
    assert collect(session).code == 137
    assert bench.engine.container(container.id).status.oom_killed
    assert "oom" in [event.action for event in bench.engine.events(container.spec.created, follow=False)]


def test_no_more_processes_than_allowed(bench: Bench) -> None:
    script = "for i in 1 2 3 4 5 6 7 8; do sleep 5 & done; wait"
    assert "fork" in bench.run("sh", "-c", script, resources=Resources(pids=5)).err.lower()


def test_a_container_that_names_no_limit_of_processes_has_the_usual_one(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in podman: a fork bomb is nobody else's trouble. The administrator may say another number."""
    file = tmp_path / "engine.toml"
    monkeypatch.setenv("PYCTR_CONFIG", str(file))

    def limit(pids: int | None = None) -> tuple[int | None, int | None]:
        container = bench.start(resources=Resources(pids=pids))
        shown = bench.engine.inspect(container.id)["HostConfig"]["PidsLimit"]
        return bench.engine.stats(container.id).pids_limit, shown

    assert limit() == (2048, 2048)
    assert limit(7) == (7, 7)
    assert limit(-1) == (None, -1)
    file.write_text("pids_limit = 99\n")
    assert limit() == (99, 99)
    file.write_text("pids_limit = -1\n")
    assert limit() == (None, None)
    for wrong in ("-2", "true", "'many'"):
        file.write_text(f"pids_limit = {wrong}\n")
        with pytest.raises(InvalidValue, match="pids_limit can't be"):
            limit()


def test_cpu_is_held_back_and_counted(bench: Bench) -> None:
    container = bench.start("sh", "-c", "while :; do :; done", resources=Resources(cpus=0.2))
    first = bench.engine.stats(container.id)
    time.sleep(1.0)
    second = bench.engine.stats(container.id)
    share = (second.cpu_usec - first.cpu_usec) / ((second.time - first.time) * 1e6)
    assert share < 0.35
    assert second.cpu_limit == 0.2
    assert second.throttled_periods > first.throttled_periods


def test_memory_and_its_parts_are_told(bench: Bench) -> None:
    container = bench.start(
        "python3",
        "-c",
        "x = bytearray(30 << 20); import time; print('ready', flush=True); time.sleep(1000)",
        resources=Resources(memory=128 << 20, pids=64),
    )
    while not list(bench.engine.logs(container.id)):
        time.sleep(0.02)
    reading = bench.engine.stats(container.id)
    assert 30 << 20 < reading.anon <= reading.memory < 128 << 20
    assert (reading.memory_limit, reading.pids_limit, reading.pids) == (128 << 20, 64, 1)
    assert bench.engine.all_stats().keys() == {container.id}


def test_network_bytes_are_the_containers_view(bench: Bench) -> None:
    container = bench.start()
    gateway = bench.engine.inspect(container.id)["NetworkSettings"]["Gateway"]
    before = bench.engine.stats(container.id)
    send = f"import socket; s = socket.socket(2, 2); [s.sendto(b'x' * 1000, ('{gateway}', 9)) for _ in range(50)]"
    assert bench.exec(container, "python3", "-c", send).code == 0
    after = bench.engine.stats(container.id)
    assert after.tx_bytes - before.tx_bytes > 50_000
    assert after.rx_bytes - before.rx_bytes < 30_000


def test_limits_that_cannot_be_are_refused(bench: Bench) -> None:
    for resources in (Resources(memory=1000), Resources(cpus=1000.0), Resources(cpus=0.0)):
        with pytest.raises(InvalidValue):
            bench.run("true", resources=resources)
    assert bench.engine.containers() == []


def test_what_this_host_can_not_keep_is_refused_before_anything_is_made(bench: Bench) -> None:
    version = detect().home("memory")[0]
    wrong = Resources(memory_swappiness=5) if version == 2 else Resources(memory_high=64 << 20)
    with pytest.raises(Unsupported):
        bench.engine.create(ContainerRequest("pyctr/base", resources=wrong))
    assert bench.engine.containers() == []
    container = bench.engine.create(ContainerRequest("pyctr/base", command=("sleep", "1000")))
    with pytest.raises(Unsupported):
        bench.engine.update(container.id, wrong)
    assert bench.engine.container(container.id).spec.request.resources == Resources(pids=2048)


def test_every_kind_of_limit_is_in_force_and_shown(bench: Bench) -> None:
    here = place.here(bench.engine._context.cgroup_parent)
    given = Resources(
        memory=64 << 20,
        memory_reservation=32 << 20,
        cpu_quota=30_000,
        cpu_period=60_000,
        cpu_burst=5_000,
        cpuset="0",
        cpuset_mems="0",
        pids=50,
        hugetlb=tuple((size, 0) for size in hugetlb.sizes()) if here.home("hugetlb")[0] else (),
        device_write_bps=((disk(), 1 << 20),) if disk() else (),
    )
    container = bench.start(resources=given)
    shown = bench.engine.inspect(container.id)
    host = shown["HostConfig"]
    assert (host["CpuQuota"], host["CpuPeriod"], host["CpusetMems"], host["CpuBurst"]) == (30_000, 60_000, "0", 5_000)
    assert host["BlkioDeviceWriteBps"] == [{"Path": path, "Rate": rate} for path, rate in given.device_write_bps]
    assert set(shown["Pyctr"]["Limits"]) >= {"memory", "cpu_quota", "cpu_period", "cpu_burst", "cpuset", "pids"}
    assert bench.engine.stats(container.id).cpu_limit == 0.5
    assert bench.engine.container(container.id).spec.request.resources == given, "kept as it was given"
    bench.engine.update(container.id, replace(given, cpu_quota=6_000, pids=40, device_write_bps=()))
    assert bench.engine.stats(container.id).cpu_limit == 0.1
    assert bench.engine.all_stats()[container.id].pids_limit == 40
    bench.engine.stop(container.id, timeout=0)
    bench.engine.start(container.id)
    assert bench.engine.stats(container.id).cpu_limit == 0.1


def test_many_readings_follow_who_comes_and_goes(bench: Bench) -> None:
    first = bench.start()
    assert bench.engine.all_stats().keys() == {first.id}
    second = bench.start("sh", "-c", "while :; do :; done")
    assert bench.engine.all_stats().keys() == {first.id, second.id}
    before = bench.engine.all_stats()[second.id]
    time.sleep(0.3)
    assert bench.engine.all_stats()[second.id].cpu_usec > before.cpu_usec
    bench.engine.stop(first.id, timeout=0)
    assert bench.engine.all_stats().keys() == {second.id}
    bench.engine.start(first.id)
    assert bench.engine.all_stats().keys() == {first.id, second.id}
    bench.engine.remove(second.id, force=True)
    bench.engine.pause(first.id)
    assert bench.engine.all_stats().keys() == {first.id}
    os.kill(bench.engine.container(first.id).status.monitor_pid, signal.SIGKILL)
    until(lambda: bench.engine.all_stats() == {})


def test_another_start_is_another_interface(bench: Bench) -> None:
    container = bench.start("sh", "-c", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; exec sleep 1000")
    until(lambda: bench.engine.all_stats()[container.id].cpu_usec > 1000)
    bench.engine.restart(container.id, timeout=0)
    until(lambda: container.id in bench.engine.all_stats())
    gateway = bench.engine.inspect(container.id)["NetworkSettings"]["Gateway"]
    before = bench.engine.all_stats()[container.id]
    send = f"import socket; s = socket.socket(2, 2); [s.sendto(b'x' * 1000, ('{gateway}', 9)) for _ in range(50)]"
    assert bench.exec(container, "python3", "-c", send).code == 0
    assert bench.engine.all_stats()[container.id].tx_bytes - before.tx_bytes > 50_000


@pytest.mark.skipif(not MAY_RAISE, reason="root lacks CAP_SYS_RESOURCE here")
def test_a_hard_limit_is_raised_above_the_hosts_for_execs_and_restarts_too(bench: Bench) -> None:
    show = ("sh", "-c", "grep msgqueue /proc/self/limits | tr -s ' ' | cut -d ' ' -f 4,5")
    asked = {"msgqueue": (MESSAGES + 1, MESSAGES + 2)}
    wanted = f"{MESSAGES + 1} {MESSAGES + 2}"
    container = bench.start(ulimits=asked)
    assert bench.exec(container, *show).out.strip() == wanted
    policy = RestartPolicy("on-failure", 1)
    again = bench.start("sh", "-c", f"{show[-1]}; exit 1", ulimits=asked, restart=policy)
    until(lambda: len(list(bench.engine.logs(again.id))) == 2)
    assert [line.text for line in bench.engine.logs(again.id)] == [wanted] * 2


@pytest.mark.skipif(MAY_RAISE, reason="root has CAP_SYS_RESOURCE here")
def test_a_hard_limit_that_cannot_be_raised_is_refused_with_why_and_what_to_do(bench: Bench) -> None:
    with pytest.raises(StartError) as caught:
        bench.start(ulimits={"nofile": (100, OPEN_FILES + 1)})
    said = f"can't raise the hard limit of nofile from {OPEN_FILES} to {OPEN_FILES + 1}: this needs CAP_SYS_RESOURCE"
    assert said in caught.value.message
    assert "ulimit -H" in caught.value.hint


def test_limits_of_files_and_processes_are_lowered(bench: Bench) -> None:
    asked = {"nofile": (20, OPEN_FILES), "core": (0, 0)}
    assert bench.run("sh", "-c", "ulimit -Sn; ulimit -Hn; ulimit -Hc", ulimits=asked).out == f"20\n{OPEN_FILES}\n0\n"


def test_more_open_files_than_the_kernel_allows_are_refused_with_its_limit(bench: Bench) -> None:
    with open("/proc/sys/fs/nr_open") as file:
        highest = int(file.read())
    with pytest.raises(StartError, match=f"the kernel allows {highest} at most"):
        bench.start(ulimits={"nofile": (100, -1)})
