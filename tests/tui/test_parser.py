"""What comes from a terminal as keys: Esc and a key, Alt and a key, and which of them it was."""

from __future__ import annotations

import time

import pytest
from textual import events
from textual.constants import ESCAPE_DELAY

from pyctr_tui.terminal.keys import encode
from pyctr_tui.terminal.parser import Parser
from pyctr_tui.widgets.line_edit import LineEdit


def keys(data: str, *bound: str) -> list[events.Key]:
    """The keys of what a terminal sends at once, where these with Alt mean something."""
    parser = Parser(bound.__contains__)
    found = list(parser.feed(data))
    for _ in range(2):
        time.sleep(ESCAPE_DELAY * 1.1)
        found += parser.tick()
    return [event for event in found if isinstance(event, events.Key)]


@pytest.mark.parametrize(
    ("data", "names"),
    [
        ("\x1b", ["escape"]),
        ("\x1b:wq\r", ["escape", "colon", "w", "q", "enter"]),
        ("\x1bG", ["escape", "G"]),
        ("\x1b0", ["escape", "0"]),
        ("\x1b\r", ["escape", "enter"]),
        ("\x1b/é", ["escape", "slash", "é"]),
        ("\x1b\x1bx", ["escape", "escape", "x"]),
        ("\x1b[A\x1bOB", ["up", "down"]),
        ("\x1b[", ["escape", "left_square_bracket"]),
        ("\x1bf\x1b\x7f", ["alt+f", "alt+backspace"]),
    ],
)
def test_escape_is_never_lost(data: str, names: list[str]) -> None:
    assert [key.key for key in keys(data)] == names


def test_alt_and_a_key_are_one_where_they_mean_something() -> None:
    assert [key.key for key in keys("\x1bx\x1bX\x1b:", "alt+x", "alt+shift+x", "alt+colon")] == [
        "alt+x", "alt+shift+x", "alt+colon",
    ]  # fmt: skip


@pytest.mark.parametrize("data", ["\x1b:wq\r", "\x1b0", "\x1bx", "\x1bf", "\x1b\x7f", "\x1bé", "\x1b\t", "\x1b "])
def test_a_program_gets_the_bytes_that_were_typed(data: str) -> None:
    for bound in ((), ("alt+x", "alt+colon")):
        assert b"".join(encode(key.key, key.character) for key in keys(data, *bound)) == data.encode()


def test_a_line_is_edited_by_words() -> None:
    line = LineEdit("one two  three")
    line.key("alt+b", "b")
    line.key("ctrl+left", None)
    assert line.cursor == 4
    line.key("alt+f", "f")
    assert line.cursor == 7
    line.key("alt+d", "d")
    assert line.value == "one two"
    line.key("alt+backspace", None)
    assert (line.value, line.cursor) == ("one ", 4)
    line.key("alt+d", "d")
    line.key("ctrl+right", None)
    assert (line.value, line.cursor) == ("one ", 4)
