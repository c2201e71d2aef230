"""Limits hold, and what is used is told."""

from __future__ import annotations

import time

import pytest

from pyctr_engine.errors import InvalidValue
from pyctr_engine.model.spec import ContainerRequest, Resources
from tests.engine.containers.conftest import Bench, collect

pytestmark = pytest.mark.root


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
