"""Cgroups without containers, for tests on this machine's real ones."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from pyctr_engine.cgroups import control, stats
from pyctr_engine.cgroups.layout import CgroupPlan, Layout, detect
from pyctr_engine.model.spec import Resources
from pyctr_engine.model.stats import Stats
from tests.patience import PATIENCE

PARENT = f"pyctr-tui-test-{os.getpid()}"
MIB = 1 << 20


class Cgroup:
    """A container's cgroups without a container: programs are run in them."""

    def __init__(self, layout: Layout, id: str, resources: Resources) -> None:
        self.layout, self.id, self.resources = layout, id, resources
        self.plan: CgroupPlan = layout.plan(PARENT, id, resources)
        self.children: list[subprocess.Popen[str]] = []
        plan = self.plan
        control.prepare(plan.parents, plan.directories, plan.settings, plan.defaults, plan.either)

    def run(self, program: str) -> subprocess.Popen[str]:
        """Start a Python program that joins before its first line."""
        procs = [*self.plan.attach, *([f"{self.plan.unified}/cgroup.procs"] if self.plan.unified else [])]
        join = f"for path in {procs!r}:\n    open(path, 'w').write('0')\n"
        child = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", join + program], stdout=subprocess.PIPE, text=True
        )
        self.children.append(child)
        return child

    def read(self) -> Stats:
        return stats.read(self.layout, PARENT, self.id, self.resources)

    def kill(self) -> None:
        control.kill(self.plan.unified, self.plan.directories)

    def close(self) -> list[str]:
        """Kill, reap, remove; returns what could not be removed."""
        self.kill()
        for child in self.children:
            child.wait()
            if child.stdout:
                child.stdout.close()
        return control.remove(self.plan.directories)


Maker = Callable[..., Cgroup]


@pytest.fixture
def cgroup() -> Iterator[Maker]:
    """Makes cgroups with limits; all are removed afterwards."""
    layout = detect()
    made: list[Cgroup] = []

    def make(**limits: object) -> Cgroup:
        made.append(Cgroup(layout, f"{len(made):064x}", Resources(**limits)))  # type: ignore[arg-type]
        return made[-1]

    yield make
    left = [path for each in made for path in each.close()]
    control.remove_shared(layout.shared(PARENT))
    assert left == []
    assert [path for path in layout.shared(PARENT) if os.path.exists(path)] == []


def until(condition: Callable[[], bool], patience: float = 10.0) -> bool:
    """Wait for something that the kernel or a child does by itself."""
    deadline = time.monotonic() + patience * PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


def first_line(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    return child.stdout.readline().strip()
