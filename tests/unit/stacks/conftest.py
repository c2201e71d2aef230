"""Stacks from text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pyctr_engine.model.stack import Stack
from pyctr_engine.stacks.load import load

StackOf = Callable[[str], Stack]


@pytest.fixture
def stack_of(tmp_path: Path) -> StackOf:
    def stack_of(text: str) -> Stack:
        file = tmp_path / "s.yaml"
        file.write_text(text)
        return load(str(file), name="shop", env={})

    return stack_of
