"""Under systemd, as root: containers live in a scope that is theirs, and the rest of the tree is left alone."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from pyctr_engine.cgroups.layout import detect
from pyctr_engine.cgroups.systemd import home
from pyctr_engine.engine import Engine
from pyctr_engine.errors import EngineError
from pyctr_engine.paths import Paths
from tests import leaks
from tests.conftest import end_spawner
from tests.engine.containers.conftest import Bench, bench, shared_engine
from tests.engine.containers.test_lifecycle import until

__all__ = ["bench", "shared_engine"]
pytestmark = pytest.mark.root
TREE = Path("/sys/fs/cgroup")


def scope(paths: Paths) -> Path:
    return TREE / "system.slice" / f"{paths.cgroup_name}.scope"


def properties(unit: str, *names: str) -> dict[str, str]:
    said = subprocess.run(
        ["systemctl", "show", unit, "-p", ",".join(names)], capture_output=True, text=True, check=True
    )
    return dict(line.split("=", 1) for line in said.stdout.splitlines())


def cgroup(pid: int) -> Path:
    return TREE / Path(f"/proc/{pid}/cgroup").read_text().strip().removeprefix("0::/")


def inner_nodes(directory: Path) -> list[Path]:
    """Cgroups with both processes of their own and cgroups below them."""
    return [Path(path) for path, below, _ in os.walk(directory) if below and Path(path, "cgroup.procs").read_text()]


def without_spawner(bench: Bench) -> None:
    end_spawner(bench.engine.paths)
    until(lambda: not leaks.spawner(bench.engine.paths))


def test_all_of_an_engine_lives_in_leaves_of_its_delegated_scope(bench: Bench) -> None:
    container = bench.start()
    place = scope(bench.engine.paths)
    assert cgroup(container.status.pid) == place / "containers" / container.id
    assert cgroup(leaks.spawner(bench.engine.paths)) == place / "spawner"
    for pid in leaks.processes(bench.engine.paths):
        assert place in cgroup(pid).parents
    assert inner_nodes(place) == []
    found = properties(place.name, "Delegate", "TasksMax", "OOMPolicy", "ActiveState")
    assert found == {"Delegate": "yes", "TasksMax": "infinity", "OOMPolicy": "continue", "ActiveState": "active"}


def test_a_container_sees_nothing_but_its_own_part_of_the_tree(bench: Bench) -> None:
    container = bench.start()
    assert bench.exec(container, "cat", "/proc/self/cgroup").out == "0::/\n"
    seen = bench.exec(container, "cat", "/sys/fs/cgroup/cgroup.procs").out.split()
    assert "1" in seen
    assert bench.exec(container, "sh", "-c", "echo 1 > /sys/fs/cgroup/cgroup.freeze").code != 0
    assert bench.exec(container, "sh", "-c", "cat /sys/fs/cgroup/../cgroup.procs 2>/dev/null").out == ""


def test_containers_and_their_limits_outlive_reloads_and_the_spawner(bench: Bench) -> None:
    container = bench.start()
    place = scope(bench.engine.paths)
    handed_down = (place / "cgroup.subtree_control").read_text()
    for command in ("daemon-reload", "daemon-reexec", "daemon-reload"):
        subprocess.run(["systemctl", command], check=True)
    without_spawner(bench)
    assert (place / "cgroup.subtree_control").read_text() == handed_down
    assert bench.run("true").code == 0  # by another spawner, in the same scope
    assert cgroup(leaks.spawner(bench.engine.paths)) == place / "spawner"
    assert bench.engine.container(container.id).status.state.is_alive


def test_the_scope_goes_with_the_last_process(bench: Bench) -> None:
    unit = scope(bench.engine.paths).name
    container = bench.start()
    without_spawner(bench)
    assert properties(unit, "ActiveState") == {"ActiveState": "active"}
    bench.engine.remove(container.id, force=True)
    until(lambda: properties(unit, "LoadState") == {"LoadState": "not-found"})
    assert not scope(bench.engine.paths).exists()


def test_plain_does_without_systemd_and_goes_on_where_it_began(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = bench.engine.paths
    without_spawner(bench)
    until(lambda: not scope(paths).exists())
    monkeypatch.setenv("PYCTR_CGROUPS", "plain")
    engine = Engine(paths)
    container = Bench(engine).start()
    assert cgroup(container.status.pid) == TREE / paths.cgroup_name / "containers" / container.id
    monkeypatch.delenv("PYCTR_CGROUPS")
    assert home(paths.cgroup_name).parent == paths.cgroup_name
    bench.engine.remove(container.id, force=True)
    without_spawner(bench)
    engine.close()
    until(lambda: not (TREE / paths.cgroup_name).exists())


def test_a_wish_that_cannot_be_is_refused(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    without_spawner(bench)
    monkeypatch.setenv("PYCTR_CGROUPS", "slice")
    engine = Engine(bench.engine.paths)
    with pytest.raises(EngineError, match="PYCTR_CGROUPS can't be 'slice'") as caught:
        Bench(engine).start()
    assert "plain" in caught.value.hint
    engine.close()


def test_controllers_that_systemd_does_not_hand_down_are_not_offered(bench: Bench) -> None:
    bench.start()
    parent = home(bench.engine.paths.cgroup_name).parent
    offered = detect().within(parent).available
    assert offered <= set((TREE / parent / "cgroup.controllers").read_text().split())
    assert {"cpu", "memory", "pids"} <= offered
