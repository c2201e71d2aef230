"""The engine of the containers' tests, and others that lack one defence each."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pyctr_engine.engine import Engine
from tests.conftest import own_paths
from tests.engine.containers.conftest import Bench, bench, host_directory, shared_engine
from tests.engine.isolation.attacks import weakened

__all__ = ["bench", "host_directory", "shared_engine"]

Weaken = Callable[[str], Bench]


@pytest.fixture
def weaken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Weaken]:
    """A bench of its own whose spawner, monitors and inits run with some of their code replaced by a patch."""
    with contextlib.ExitStack() as held:

        def make(patch: str) -> Bench:
            paths = held.enter_context(own_paths(tmp_path / f"weak-{len(list(tmp_path.iterdir()))}"))
            monkeypatch.setattr("pyctr_engine.containers.spawner._PROGRAM", weakened(patch))
            engine = Engine(paths)
            held.callback(_end, engine)
            return Bench(engine)

        yield make


def _end(engine: Engine) -> None:
    for container in engine.containers():
        engine.remove(container.id, force=True, volumes=True)
    engine.close()
