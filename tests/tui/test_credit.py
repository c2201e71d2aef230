"""Frame credit: live frames wait for the terminal's answer, keys don't."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

from pyctr_tui.terminal import credit
from pyctr_tui.terminal.credit import ATTRIBUTES, MODE, Credit
from tests.bench.tui.terminal import Terminal

PROGRAM = (sys.executable, "-m", "tests.bench.tui.program")


class Bare:
    """An application without a terminal, whose threads' calls are kept."""

    _driver = None

    def __init__(self) -> None:
        self.called: list[Any] = []

    def from_thread(self, call: Callable[..., object], *arguments: Any) -> None:
        self.called.append(arguments)


@pytest.mark.parametrize("answer", ["\x1b[?2026;2$y", "\x1b[?2026;0$y", "\x1b[?62;22c", "\x1b[?6c"])
def test_answers_are_taken_out_wherever_they_are_cut(answer: str) -> None:
    for before, after in (("j", "k"), ("", ""), ("\x1b[A", "\x1b[B")):
        text = before + answer + after
        for cut in range(len(text) + 1):
            bare = Bare()
            one = Credit(bare)  # type: ignore[arg-type]
            shown = one.filter(text[:cut]) + one.filter(text[cut:])
            held = cut - len(before) not in (1, 2)  # Esc, and Esc [, may be keys
            assert shown == (before + after if held else text)
            assert bare.called == [(MODE if "$" in answer else ATTRIBUTES, ";2$" in answer)]


@pytest.mark.parametrize("keys", ["\x1b", "\x1b[A", "\x1bOP", "\x1b[1;2R", "\x1b[200~x\x1b[201~", "ü", ""])
def test_keys_pass(keys: str) -> None:
    bare = Bare()
    assert Credit(bare).filter(keys) == keys  # type: ignore[arg-type]
    assert bare.called == []


def test_without_a_terminal_all_is_taken_at_once() -> None:
    taken: list[str] = []
    one = Credit(Bare())  # type: ignore[arg-type]
    one.live("feed", lambda: taken.append("feed"))
    assert taken == ["feed"]


def test_one_live_frame_is_under_way_at_a_time() -> None:
    """A terminal that stops answering gets no further frame for as long as patience lasts; keys are answered."""
    terminal = Terminal((*PROGRAM, "all", "20", "0"))
    try:
        terminal.wait(lambda: "fetch-1" in terminal.text() and "MEM" in terminal.text())
        terminal.wait(lambda: terminal.questions >= 4)
        terminal.answers = False
        before = terminal.questions
        terminal.idle(credit.PATIENCE * 0.6)
        assert terminal.questions - before <= 1
        terminal.press("?")
        terminal.wait(lambda: "Keys in" in terminal.text())
        terminal.answers = True
        terminal.wait(lambda: terminal.questions > before + 2, patience=credit.PATIENCE * 3)
    finally:
        terminal.close()


def test_a_terminal_that_never_answers_is_drawn_on_all_the_same() -> None:
    terminal = Terminal((*PROGRAM, "all", "20", "0"), answers=False)
    try:
        terminal.wait(lambda: "fetch-1" in terminal.text() and "MEM" in terminal.text())
        first = terminal.text()
        terminal.wait(lambda: terminal.text() != first)
    finally:
        terminal.close()


def test_frames_are_shown_at_once_where_the_terminal_can_do_that() -> None:
    """However late it says so: its answer to Textual's question comes when answers are taken out of what is typed."""
    terminal = Terminal((*PROGRAM, "all", "20", "0"))
    terminal.delay = 0.3
    try:
        terminal.wait(lambda: "fetch-1" in terminal.text() and "MEM" in terminal.text())
        terminal.wait(lambda: terminal.updates > 3)
    finally:
        terminal.close()


def test_no_answer_is_typed_into_what_follows() -> None:
    terminal = Terminal(("/bin/sh", "-c", f"{' '.join(PROGRAM)} all 20 0; echo LEFT; exec cat -v"))
    terminal.delay = 0.4
    try:
        terminal.wait(lambda: "fetch-1" in terminal.text() and "MEM" in terminal.text())
        terminal.wait(lambda: terminal.questions >= 5)
        asked = terminal.questions
        terminal.wait(lambda: terminal.questions > asked)
        terminal.press("q")
        terminal.wait(lambda: "LEFT" in terminal.text())
        terminal.idle(terminal.delay * 2)
        assert "$y" not in terminal.text()
        assert "62;22" not in terminal.text()
    finally:
        terminal.close()
