"""Fixtures for all tests: directories of one's own, root, and a guard against litter on the machine."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyctr_engine.paths import Paths
from tests import leaks


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Tests marked ``root``: without root an error in CI, skipped elsewhere."""
    if item.get_closest_marker("root") is None or os.geteuid() == 0:
        return
    if os.environ.get("CI"):
        pytest.fail("needs root, and CI has to have it", pytrace=False)
    pytest.skip("needs root: sudo make test")


@pytest.fixture(scope="session", autouse=True)
def nothing_leaves_this_machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests that ask for an image that isn't there must not ask docker.io; those of registries have their own."""
    file = tmp_path_factory.mktemp("settings") / "registries.toml"
    file.write_text('[registry."docker.io"]\nblocked = true\n')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYCTR_REGISTRIES", str(file))
        yield


@pytest.fixture(scope="module", autouse=True)
def the_machines_mounts_stay() -> Iterator[None]:
    """A test that covers the machine's own /dev, /proc or /sys fails there, not in a hundred tests after it."""

    def own() -> list[str]:
        with open("/proc/self/mountinfo") as file:
            points = (line.split(" ", 5)[4] for line in file)
            return [point for point in points if point.startswith(("/dev", "/proc", "/sys"))]

    before = own()
    yield
    assert own() == before


@contextlib.contextmanager
def own_paths(directory: Path) -> Iterator[Paths]:
    """State and run directories of one's own, and so an engine with names of its own; its spawner ends with them.

    The run directory has a short name: a UNIX socket's path holds 107 bytes.
    """
    run = tempfile.mkdtemp(prefix="pt-", dir="/run" if os.geteuid() == 0 else None)
    paths = Paths(state=str(directory / "state"), run=run)
    try:
        yield paths
    finally:
        end_spawner(paths)
        shutil.rmtree(run, ignore_errors=True)


@pytest.fixture
def paths(tmp_path: Path) -> Iterator[Paths]:
    """Directories of this test's own."""
    with own_paths(tmp_path) as paths:
        yield paths


@pytest.fixture
def no_leaks(paths: Paths) -> Iterator[Paths]:
    """Fail the test when the engine of ``paths`` holds more of the machine after it than before.

    The spawner may stay for a while, by design: it is ended here.
    """
    before = leaks.held(paths)
    yield paths
    end_spawner(paths)
    leaked = leaks.settled(paths, before)
    assert not leaked, f"left behind: {leaked}"


def end_spawner(paths: Paths) -> None:
    """End the spawner of ``paths``, if there is one: it holds no facts and no container needs it."""
    pid = leaks.spawner(paths)
    if pid:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
