"""The outer half of a start, where it needs no container."""

from __future__ import annotations

import resource

import pytest

from pyctr_engine.runtime import birth

CORE = resource.RLIMIT_CORE


@pytest.mark.parametrize(
    ("now", "asked", "set_to"),
    [
        ((10, 20), (15, 30), (10, 30)),
        ((10, 20), (15, -1), (10, -1)),
        ((10, 20), (15, 20), None),
        ((10, 20), (1, 2), None),
        ((10, -1), (15, 30), None),
        ((-1, -1), (-1, -1), None),
    ],
)
def test_of_what_was_asked_for_only_higher_hard_limits_are_set_from_outside(
    monkeypatch: pytest.MonkeyPatch, now: tuple[int, int], asked: tuple[int, int], set_to: tuple[int, int] | None
) -> None:
    """With a double of the kernel's: it raises none for who lacks CAP_SYS_RESOURCE, as root does in many places."""
    written = []

    def prlimit(pid: int, which: int, limits: tuple[int, int] | None = None) -> tuple[int, int]:
        assert (pid, which) == (42, CORE)
        if limits is not None:
            written.append(limits)
        return now

    monkeypatch.setattr(resource, "prlimit", prlimit)
    birth.raise_limits(42, [[CORE, *asked]])
    assert written == ([set_to] if set_to else [])
