"""After `down` and `rm` the machine is as it was before: compared whole, not by our own names only."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from pyctr_engine.engine import Engine
from pyctr_engine.model.spec import ContainerRequest, ExecRequest, Mount, Port
from pyctr_engine.paths import Paths
from tests.conftest import end_spawner

pytestmark = pytest.mark.root

STACK = """
services:
  web:
    image: pyctr/base
    command: [python3, -m, http.server, "8000"]
    ports: ["127.0.0.1::8000"]
    volumes: ["kept:/data", "/scratch"]
  client:
    image: pyctr/base
    command: sleep 1000
    depends_on: [web]
    mem_limit: 64m
    stop_grace_period: 1s
volumes:
  kept:
"""


def holdings(paths: Paths, interfaces: frozenset[str] = frozenset()) -> dict[str, set[str]]:
    """What the kernel and the directories hold: mounts, links, rules, cgroups, processes, files.

    Other engines may be at work on the same machine, so links are told by the names this one gave.
    """
    cgroups = {root for root, _, _ in os.walk("/sys/fs/cgroup") if paths.tag in root}
    rules = subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True, check=True).stdout
    processes = set()
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/cmdline") as file:
                command = file.read()
            with open(f"/proc/{name}/cgroup") as file:
                mine = paths.tag in file.read()
        except OSError:
            continue
        if mine or paths.run in command:
            processes.add(f"{name} {command}")
    with open("/proc/self/mountinfo") as file:
        mounts = {line.split()[4] for line in file if paths.state in line or paths.run in line}
    return {
        "mounts": mounts,
        "links": {name for name in os.listdir("/sys/class/net") if paths.tag in name or name in interfaces},
        "rules": {line.strip() for line in rules.splitlines() if paths.tag in line},
        "cgroups": cgroups,
        "processes": processes,
        "containers": set(os.listdir(paths.containers)) if os.path.isdir(paths.containers) else set(),
        "run": set(os.listdir(paths.run_containers)) if os.path.isdir(paths.run_containers) else set(),
        "volumes": set(os.listdir(paths.volumes)) if os.path.isdir(paths.volumes) else set(),
    }


def test_down_and_rm_leave_nothing(paths: Paths, tmp_path: Path) -> None:
    engine = Engine(paths)
    engine.create(ContainerRequest("pyctr/base", name="first"))  # the image is made, and stays
    engine.remove("first")
    before = holdings(paths)
    stack_file = tmp_path / "stack.yaml"
    stack_file.write_text(STACK)
    stack = engine.load_stack(str(stack_file), "litter")
    engine.up(stack)
    mounts = (Mount("tmpfs", "", "/t"), Mount("volume", "", "/v"))
    single = engine.start(
        engine.create(ContainerRequest("pyctr/base", command=("sleep", "1000"), mounts=mounts, ports=(Port(80),))).id
    )
    session = engine.exec(single.id, ExecRequest(("sleep", "1000")))
    interfaces = frozenset(container.status.interface for container in engine.containers())
    during = holdings(paths, interfaces)
    assert len(during["links"]) == 4, "a bridge and three pairs"
    assert all(
        during[kind] - before[kind] for kind in ("links", "rules", "cgroups", "processes", "containers", "run")
    )
    engine.down("litter", volumes=True)
    engine.remove(single.id, force=True, volumes=True)
    session.close()
    end_spawner(paths)
    deadline = time.monotonic() + 5
    while (left := holdings(paths, interfaces)) != before and time.monotonic() < deadline:
        time.sleep(0.05)  # the kernel takes namespaces down in its own time
    assert left == before
    database = engine._context.database.connection
    for table in ("containers", "addresses", "id_ranges", "published_ports", "volumes", "stacks"):
        assert database.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table
    engine.close()


def test_an_idle_spawner_leaves_and_takes_the_bridge_along(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYCTR_SPAWNER_IDLE", "0.3")
    engine = Engine(paths)
    _, session = engine.run(ContainerRequest("pyctr/base", command=("true",), auto_remove=True))
    assert session.wait() == 0
    bridge = f"/sys/class/net/pyctr-{paths.tag}"
    assert os.path.isdir(bridge)
    deadline = time.monotonic() + 10
    while os.path.isdir(bridge) or os.path.exists(paths.spawner_socket):
        assert time.monotonic() < deadline, "the spawner did not leave, or left the bridge"
        time.sleep(0.05)
    engine.close()
