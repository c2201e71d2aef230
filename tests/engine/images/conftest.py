"""Stores of a test's own."""

from __future__ import annotations

import pytest

from pyctr_engine.images.store import ImageStore
from pyctr_engine.paths import Paths


@pytest.fixture
def store(paths: Paths) -> ImageStore:
    """An empty image store."""
    return ImageStore(paths)
