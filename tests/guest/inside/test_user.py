"""As an ordinary user with a session: systemd makes room below the user's own manager."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyctr_engine.cgroups import control
from pyctr_engine.cgroups.layout import detect
from pyctr_engine.cgroups.systemd import Home, enter, home
from pyctr_engine.errors import EngineError, Unsupported
from pyctr_engine.model.spec import Resources

TREE = Path("/sys/fs/cgroup")


@pytest.fixture
def place() -> Home:
    return home("pyctr-tui-a-test")


@pytest.fixture
def sleepers(place: Home) -> Iterator[list[subprocess.Popen[bytes]]]:
    started = [subprocess.Popen(["sleep", "1000"]) for _ in range(2)]
    yield started
    for one in started:
        one.kill()
        one.wait()


def cgroup(pid: int) -> str:
    return Path(f"/proc/{pid}/cgroup").read_text().strip().removeprefix("0::/")


def test_the_scope_is_below_the_users_manager(place: Home, sleepers: list[subprocess.Popen[bytes]]) -> None:
    uid = os.getuid()
    assert "session-" in cgroup(os.getpid())  # from where an ordinary user may not move a process
    assert place.parent == f"user.slice/user-{uid}.slice/user@{uid}.service/app.slice/pyctr-tui-a-test.scope"
    for one in sleepers:  # the first makes it, the second comes into what is there
        enter(place, one.pid)
        assert cgroup(one.pid) == f"{place.parent}/spawner"


def test_limits_can_be_set_there(place: Home, sleepers: list[subprocess.Popen[bytes]]) -> None:
    enter(place, sleepers[0].pid)
    layout = detect().within(place.parent)
    assert {"cpu", "memory", "pids"} <= layout.available
    plan = layout.plan(place.parent, "e" * 64, Resources(memory=64 << 20, pids=100))
    control.prepare(plan.parents, plan.directories, plan.settings, plan.defaults)
    try:
        assert Path(plan.unified, "memory.max").read_text() == f"{64 << 20}\n"
        control.attach([f"{plan.unified}/cgroup.procs"], sleepers[0].pid)
        control.kill(plan.unified)
        assert sleepers[0].wait(10) == -9
    finally:
        assert control.remove(plan.directories) == []
        control.remove_shared(layout.shared(place.parent))


def test_a_controller_that_is_not_delegated_is_a_clear_refusal(place: Home) -> None:
    layout = detect().within(place.parent)
    missing = {"cpu", "memory", "pids", "io", "cpuset"} - layout.available
    assert missing == set((TREE / "cgroup.controllers").read_text().split()) & {"io", "cpuset"}
    with pytest.raises(Unsupported, match="cpuset"):
        layout.plan(place.parent, "e" * 64, Resources(cpuset="0"))


def test_a_refusal_of_systemd_is_one_sentence_with_a_way_out(sleepers: list[subprocess.Popen[bytes]]) -> None:
    hosts = home("pyctr-tui-a-test", "system")  # where an ordinary user has no say
    with pytest.raises(EngineError, match=r"systemd refuses to make room for the containers .*\.scope.: ") as caught:
        enter(hosts, sleepers[0].pid)
    assert "PYCTR_CGROUPS=plain" in caught.value.hint
