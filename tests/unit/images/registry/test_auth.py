"""Reading WWW-Authenticate headers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyctr_engine.images.registry.auth import Challenge, challenges


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", []),
        ("Basic", [Challenge("basic", {})]),
        ('Basic realm="Registry Realm"', [Challenge("basic", {"realm": "Registry Realm"})]),
        (
            'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push"',
            [
                Challenge(
                    "bearer",
                    {
                        "realm": "https://auth.docker.io/token",
                        "service": "registry.docker.io",
                        "scope": "repository:a/b:pull,push",
                    },
                )
            ],
        ),
        ("bearer Realm = x , service=y", [Challenge("bearer", {"realm": "x", "service": "y"})]),
        (
            'Basic realm="a, b", Bearer realm="c\\"d", charset=utf-8',
            [Challenge("basic", {"realm": "a, b"}), Challenge("bearer", {"realm": 'c"d', "charset": "utf-8"})],
        ),
        ("Negotiate, Basic realm=x", [Challenge("negotiate", {}), Challenge("basic", {"realm": "x"})]),
        ('Bearer realm="never ends', [Challenge("bearer", {})]),
    ],
)
def test_challenges(header: str, expected: list[Challenge]) -> None:
    assert challenges(header)[: len(expected) or 1] == expected


@given(st.text(alphabet='abB =",\\\t', max_size=200))
def test_nonsense_ends(header: str) -> None:
    challenges(header)
