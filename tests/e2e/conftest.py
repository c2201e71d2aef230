"""The installed program, in a real terminal and out of one."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator

import pytest

from pyctr_engine.paths import Paths
from tests.e2e.tmux import PROMPT, Tmux, program

Cli = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def cli(paths: Paths) -> Iterator[Cli]:
    """Call the installed program; in the end everything that it made is removed."""
    environment = {**os.environ, "PYCTR_STATE_DIR": paths.state, "PYCTR_RUN_DIR": paths.run, "LC_ALL": "C.UTF-8"}
    environment.pop("PYCTR_DEBUG", None)

    def call(*words: str, input: str = "", code: int | None = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [program(), *words],
            env=environment,
            input=input,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        if code is not None and done.returncode != code:
            raise AssertionError(f"{words} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done

    yield call
    if os.path.exists(paths.database):
        ids = call("ps", "-aq", "--no-trunc", code=None).stdout.split()
        if ids:
            call("rm", "-fv", *ids, code=None)


@pytest.fixture
def terminal(paths: Paths) -> Iterator[Callable[..., Tmux]]:
    """Open terminals; those are closed in the end."""
    with contextlib.ExitStack() as stack:

        def open_one(columns: int = 120, rows: int = 36) -> Tmux:
            os.makedirs(paths.state, exist_ok=True)
            tmux = Tmux(paths, columns, rows)
            stack.callback(tmux.close)
            tmux.wait_for(PROMPT)
            return tmux

        yield open_one
