"""Fixtures for all tests: directories of one's own, root, and a guard against litter on the machine."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
import time
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


@pytest.fixture
def paths(tmp_path: Path) -> Iterator[Paths]:
    """State and run directories of this test's own, and so an engine with names of its own.

    The run directory has a short name: a UNIX socket's path holds 107 bytes.
    """
    run = tempfile.mkdtemp(prefix="pt-", dir="/run" if os.geteuid() == 0 else None)
    yield Paths(state=str(tmp_path / "state"), run=run)
    shutil.rmtree(run, ignore_errors=True)


@pytest.fixture
def no_leaks(paths: Paths) -> Iterator[Paths]:
    """Fail the test when the engine of ``paths`` holds more of the machine after it than before.

    The spawner may stay for a while, by design: it is ended here.
    """
    before = leaks.held(paths)
    yield paths
    end_spawner(paths)
    leaked = settled_leaks(paths, before)
    assert not leaked, f"left behind: {leaked}"


def end_spawner(paths: Paths) -> None:
    """End the spawner of ``paths``, if there is one: it holds no facts and no container needs it."""
    pid = leaks.spawner(paths)
    if pid:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)


def settled_leaks(paths: Paths, before: leaks.Holdings, patience: float = 5.0) -> dict[str, list[str]]:
    """What is still held after the kernel had time to take links and processes down, which it does by itself."""
    deadline = time.monotonic() + patience
    while True:
        leaked = leaks.held(paths).leaked_since(before)
        if not leaked or time.monotonic() > deadline:
            return leaked
        time.sleep(0.05)
