"""The installed program, in a real terminal and out of one.

All of these tests share one state directory, so that the built-in image is made once; each removes its containers.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Callable, Iterator

import pytest

from pyctr_engine.paths import Paths
from tests import leaks
from tests.conftest import end_spawner, own_paths
from tests.e2e.tmux import PROMPT, Tmux, program

Done = subprocess.CompletedProcess[str]


class Cli:
    """Calls of the installed program, each a process of its own."""

    def __init__(self, paths: Paths) -> None:
        self.paths = paths
        self.environment = {
            **os.environ,
            "LC_ALL": "C.UTF-8",
            "PYCTR_RUN_DIR": paths.run,
            "PYCTR_STATE_DIR": paths.state,
        }
        self.environment.pop("PYCTR_DEBUG", None)

    def __call__(self, *words: str, input: str = "", code: int | None = 0) -> Done:
        """Call it, and fail unless it ends with ``code`` (``None``: whatever it ends with)."""
        done = subprocess.run(
            [program(), *words],
            env=self.environment,
            input=input,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        if code is not None and done.returncode != code:
            raise AssertionError(f"{words} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Call it, and let it run."""
        return subprocess.Popen(
            [program(), *words],
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def rows(self, *words: str) -> list[dict[str, object]]:
        """What a listing command prints as JSON."""
        rows: list[dict[str, object]] = json.loads(self(*words, "--format", "json").stdout)
        return rows

    def remove_all(self) -> None:
        """Remove every container."""
        ids = self("ps", "-aq", "--no-trunc").stdout.split()
        if ids:
            self("rm", "-fv", *ids)


@pytest.fixture(scope="session")
def paths(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Paths]:
    """Directories of these tests' own; in the end nothing of what was done in them is left on the machine.

    What containers share (the bridge, parents of cgroups) goes with the spawner.
    """
    with own_paths(tmp_path_factory.mktemp("e2e")) as paths:
        before = leaks.held(paths)
        yield paths
        end_spawner(paths)
        left = leaks.settled(paths, before)
        assert not left, f"left behind: {left}"


@pytest.fixture
def cli(paths: Paths) -> Iterator[Cli]:
    """The program; in the end every container is removed."""
    cli = Cli(paths)
    yield cli
    if os.path.exists(paths.database):
        cli.remove_all()


@pytest.fixture
def terminal(paths: Paths) -> Iterator[Callable[..., Tmux]]:
    """Open terminals; those are closed in the end."""
    with contextlib.ExitStack() as stack:

        def open_one(columns: int = 120, rows: int = 36) -> Tmux:
            os.makedirs(paths.state, mode=0o700, exist_ok=True)
            tmux = Tmux(paths, columns, rows)
            stack.callback(tmux.close)
            tmux.wait_for(PROMPT)
            return tmux

        yield open_one
