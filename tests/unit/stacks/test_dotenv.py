"""``.env`` files."""

from __future__ import annotations

import pytest

from pyctr_engine.errors import InvalidStack
from pyctr_engine.stacks.dotenv import parse


def read(text: str, **variables: str) -> dict[str, str]:
    return parse(text, ".env", variables, lambda mark, what: None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("\n# comment\n  # another\n\n", {}),
        ("A=1\nB = two \n", {"A": "1", "B": "two"}),
        ("export A=1", {"A": "1"}),
        ("A=", {"A": ""}),
        ("A= # nothing", {"A": ""}),
        ("A=x # comment", {"A": "x"}),
        ("A=x#y", {"A": "x#y"}),
        ("A='$B # \"x\"' # c", {"A": '$B # "x"'}),
        ('A="a\\nb\\t\\"q\\" \\\\ \\$B"', {"A": 'a\nb\t"q" \\ $B'}),
        ("A='two\nlines'\nB=1", {"A": "two\nlines", "B": "1"}),
        ('A="two\nlines"', {"A": "two\nlines"}),
        ('A=1\nB=${A}2\nC="$B$A"', {"A": "1", "B": "12", "C": "121"}),
        ("A=${X:-d}", {"A": "d"}),
        ("A=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
        ("A=1\nA=2", {"A": "2"}),
        ("A=é=ü", {"A": "é=ü"}),
        ("MISSING\nA=1", {"A": "1"}),
    ],
)
def test_lines(text: str, expected: dict[str, str]) -> None:
    assert read(text) == expected


def test_the_environment_wins_in_references() -> None:
    assert read("A=file\nB=$A", A="shell") == {"A": "file", "B": "shell"}


def test_a_name_alone_comes_from_the_environment() -> None:
    assert read("A\nB", A="shell") == {"A": "shell"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A=1\n=2", ".env:2:1: expected NAME=value"),
        ("A=1\n  9x=2", ".env:2:3: expected NAME=value"),
        ("A='x", ".env:1:1: the ' has no end"),
        ('A="x', '.env:1:1: the " has no end'),
        ("A='x' y", ".env:1:1: something follows the value of A"),
        ("A B", ".env:1:1: something follows the value of A"),
        ("\nA=$(x)", ".env:2:1: a $ has no variable's name after it"),
    ],
)
def test_what_can_t_be(text: str, expected: str) -> None:
    with pytest.raises(InvalidStack) as caught:
        read(text)
    assert caught.value.message == expected
