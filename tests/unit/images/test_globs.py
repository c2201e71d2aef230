"""Patterns for paths."""

from __future__ import annotations

import pytest

from pyctr_engine.errors import InvalidValue
from pyctr_engine.images import globs


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("/etc/x", [b"etc/x", b"etc/x/y"], [b"etc/xy", b"a/etc/x", b"etc"]),
        ("/etc", [b"etc", b"etc/x"], [b"a/etc", b"etcx"]),
        ("etc/x", [b"etc/x"], [b"a/etc/x"]),
        ("*.log", [b"a.log", b"var/log/b.log", b"x.log/inside"], [b"a.logs", b"log"]),
        ("/var/*/x", [b"var/a/x", b"var/a/x/y"], [b"var/a/b/x", b"var/x"]),
        ("/var/**/x", [b"var/x", b"var/a/b/x"], [b"x", b"var/xx"]),
        ("/a?c", [b"abc", b"a\xffc"], [b"a/c", b"ac"]),
        ("/[a-c]x", [b"ax", b"cx/y"], [b"dx", b"/x"]),
        ("/[!a-c]x", [b"dx"], [b"ax", b"/x"]),
        ("/a.b", [b"a.b"], [b"axb"]),
        ("/new\nline*", [b"new\nline\n1"], [b"new"]),
        ("name/", [b"name", b"a/name/x"], [b"names"]),
    ],
)
def test_what_matches(pattern: str, matching: list[bytes], others: list[bytes]) -> None:
    expression = globs.compile([pattern])
    assert [path for path in matching if not expression.match(path)] == []
    assert [path for path in others if expression.match(path)] == []


def test_one_of_several() -> None:
    assert globs.compile(["/a", "/b"]).match(b"b")


@pytest.mark.parametrize("pattern", ["", "/", "/a[b", "[z-a]"])
def test_nonsense(pattern: str) -> None:
    with pytest.raises(InvalidValue):
        globs.compile([pattern])
