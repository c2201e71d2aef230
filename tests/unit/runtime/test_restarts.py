"""When a container is started again, and after which pause."""

from __future__ import annotations

import pytest

from pyctr_engine.runtime.restarts import HEALTHY_SECONDS, Policy


@pytest.mark.parametrize(
    ("name", "code", "again"),
    [
        ("no", 0, False),
        ("no", 1, False),
        ("on-failure", 0, False),
        ("on-failure", 1, True),
        ("always", 0, True),
        ("always", 1, True),
        ("unless-stopped", 0, True),
    ],
)
def test_the_policy_decides(name: str, code: int, again: bool) -> None:
    assert (Policy(name, 0).next_pause(code, 0.0) is not None) is again


def test_the_pause_doubles_up_to_a_minute() -> None:
    policy = Policy("always", 0)
    pauses = [policy.next_pause(1, 0.0) for _ in range(12)]
    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 60.0, 60.0]


def test_a_healthy_run_begins_from_the_first_pause() -> None:
    policy = Policy("always", 0)
    for _ in range(5):
        policy.next_pause(1, 0.0)
    assert policy.next_pause(1, HEALTHY_SECONDS) == 0.1
    assert policy.next_pause(1, 0.0) == 0.2


def test_on_failure_counts_its_tries_whatever_happens_between() -> None:
    policy = Policy("on-failure", 2)
    assert [policy.next_pause(1, 0.0) for _ in range(3)] == [0.1, 0.2, None]
    policy = Policy("on-failure", 2)
    assert [policy.next_pause(1, lived) for lived in (0.0, 0.0, HEALTHY_SECONDS)] == [0.1, 0.2, None]
