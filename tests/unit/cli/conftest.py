"""The command line, called in this process with an engine that only remembers."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pyctr_tui.cli.main import main
from tests.unit.cli.fake import FakeEngine

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def cli(engine: FakeEngine, capfd: pytest.CaptureFixture[str]) -> Cli:
    """Call the program with these words: its exit code, standard output and standard error."""

    def call(*words: str) -> tuple[int, str, str]:
        capfd.readouterr()
        code = main(words, engine)
        out, err = capfd.readouterr()
        return code, out, err

    return call
