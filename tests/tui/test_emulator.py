"""The emulator's adapter: as tmux on recorded programs, and nothing that a stranger's bytes can misuse."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.segment import Segment
from rich.style import Style

from pyctr_tui.terminal.cells import CURSOR, draw_row, harmless, lay_over
from pyctr_tui.terminal.emulator import HISTORY_LINES, MAX_STRING, Emulator
from pyctr_tui.terminal.keys import Modes, encode, paste
from pyctr_tui.widgets.draw import length, width_of
from tests.tui.hostile import CORPUS
from tests.tui.hostile import harmless as is_harmless

FOLDER = Path(__file__).parent / "corpus"
RECORDED = sorted(path.stem for path in FOLDER.glob("*.bin"))


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


@pytest.mark.parametrize("size", [1, 7, 4096])
@pytest.mark.parametrize("name", RECORDED)
def test_the_screen_is_as_tmux_had_it(name: str, size: int) -> None:
    expected = json.loads((FOLDER / f"{name}.json").read_text())
    emulator = Emulator(expected["columns"], expected["rows"])
    for piece in pieces((FOLDER / f"{name}.bin").read_bytes(), size):
        emulator.feed(piece)
    assert emulator.text() == expected["lines"]
    cursor = emulator.cursor
    assert [cursor.x, cursor.y, cursor.visible] == [*expected["cursor"], expected["cursor_shown"]]
    assert emulator.is_alternate == expected["alternate"]
    assert emulator.faults == 0


def test_the_corpus_is_there() -> None:
    assert {"vim", "less", "htop", "top", "tmux", "wide", "vim-mouse"} <= set(RECORDED)


@pytest.mark.parametrize(
    ("sequence", "style"),
    [
        ("1", "bold"), ("2", "dim"), ("3", "italic"), ("4", "underline"), ("7", "reverse"), ("8", "conceal"),
        ("9", "strike"), ("53", "overline"), ("1;2;3;4;7;9", "bold dim italic underline reverse strike"),
        ("1;2;22", ""), ("3;23", ""), ("4;24", ""), ("7;27", ""), ("8;28", ""), ("9;29", ""), ("53;55", ""),
        ("1;4;31;42;0", ""), ("1;4;31;42;", ""), ("4:3", "underline"), ("4:0", ""), ("21", "underline"),
        *((f"{30 + number}", f"color({number})") for number in range(8)),
        *((f"{90 + number}", f"color({8 + number})") for number in range(8)),
        *((f"{40 + number}", f"on color({number})") for number in range(8)),
        *((f"{100 + number}", f"on color({8 + number})") for number in range(8)),
        *((f"38;5;{number}", f"color({number})") for number in (0, 7, 15, 16, 231, 232, 255)),
        *((f"48;5;{number}", f"on color({number})") for number in (0, 15, 16, 255)),
        ("38;2;1;2;3", "#010203"), ("48;2;250;128;0", "on #fa8000"), ("38:2::1:2:3", "#010203"),
        ("38:2:1:2:3", "#010203"), ("38:5:99", "color(99)"), ("48:5:99", "on color(99)"),
        ("31;39", ""), ("42;49", ""), ("38;2;1;2;3;48;5;4;1", "bold #010203 on color(4)"),
        ("31;44;7", "reverse color(1) on color(4)"),
    ],
)  # fmt: skip
def test_what_is_drawn_looks_as_the_program_said(sequence: str, style: str) -> None:
    emulator = Emulator(20, 2)
    emulator.feed(f"\x1b[{sequence}mlike this\x1b[0m not".encode())
    (row, _) = emulator.rows()
    pieces = [(text, own) for text, own, _ in Segment.simplify(draw_row(row, 13))]
    plain = Style()
    expected = [("like this", Style.parse(style)), (" not", plain)] if style else [("like this not", plain)]
    assert pieces == expected


def test_a_screen_in_reverse_video_is_drawn_so() -> None:
    emulator = Emulator(20, 2)
    emulator.feed(b"\x1b[?5hone\x1b[7mtwo")
    assert emulator.is_reversed
    line = draw_row(emulator.rows()[0], 6, emulator.is_reversed)
    assert [(text, bool(style and style.reverse)) for text, style, _ in line] == [("one", True), ("two", False)]


def test_modes_are_known() -> None:
    emulator = Emulator(80, 24)
    emulator.feed((FOLDER / "vim-mouse.bin").read_bytes())
    assert emulator.wants_mouse
    assert emulator.modes.cursor_keys
    said: list[bytes] = []
    emulator.answered = said.append
    emulator.mouse(4, 2, 0, "press", set())
    emulator.mouse(4, 2, 0, "release", {"ctrl"})
    assert said == [b"\x1b[<0;5;3M", b"\x1b[<16;5;3m"]


def test_what_scrolls_away_is_kept_within_bounds() -> None:
    emulator = Emulator(20, 5)
    emulator.feed(b"".join(b"line %d\r\n" % number for number in range(HISTORY_LINES + 100)))
    assert len(emulator.history) == HISTORY_LINES
    assert "".join(cell[1] for cell in emulator.history[-1]).strip() == f"line {HISTORY_LINES + 95}"
    emulator.feed(b"\x1b[?1049h" + b"x\r\n" * 50)
    assert "".join(cell[1] for cell in emulator.history[-1]).strip() == f"line {HISTORY_LINES + 95}"


def test_lines_go_and_come_back_with_the_size() -> None:
    emulator = Emulator(20, 10)
    emulator.feed(b"".join(b"line %d\r\n" % number for number in range(8)) + b"$ ")
    before = emulator.text()
    emulator.resize(20, 4)
    assert emulator.text() == ["line 5", "line 6", "line 7", "$"]
    assert (emulator.cursor.x, emulator.cursor.y) == (2, 3)
    emulator.resize(20, 10)
    assert emulator.text() == before
    assert (emulator.cursor.x, emulator.cursor.y) == (2, 8)


@pytest.mark.parametrize(
    "bytes_",
    [
        b"\x1b[21t", b"\x1b[20t", b"\x1b]50;rm -rf\x07\x1b]50;?\x07", b"\x1bP$qevil\r\x1b\\", b"\x1bP+q6576\n\x1b\\",
        b"\x05", b"\x1b]52;c;aGk=\x07\x1b]52;c;?\x07", b"\x1b]2;evil\x07\x1b[21t", b"\x1b[>q", b"\x1b[?u",
    ],
)  # fmt: skip
def test_a_program_is_not_told_what_it_said(bytes_: bytes) -> None:
    said: list[bytes] = []
    Emulator(80, 24, said.append).feed(bytes_)
    assert said == []


def test_questions_are_answered() -> None:
    said: list[bytes] = []
    Emulator(80, 24, said.append).feed(b"ab\x1b[6n\x1b[c\x1b[5n\x1b[18t\x1b[?2026$p")
    assert said == [b"\x1b[1;3R", b"\x1b[?62;22c", b"\x1b[0n", b"\x1b[8;24;80t", b"\x1b[?2026;2$y"]


def test_the_clipboard_is_offered_and_never_set() -> None:
    emulator = Emulator(80, 24)
    emulator.feed(b"\x1b]52;c;aGVsbG8=\x07")
    assert emulator.clipboard == "hello"
    emulator.feed(b"\x1b]52;c;!!!\x07")
    assert emulator.clipboard == "hello"


@pytest.mark.parametrize(
    "bytes_",
    [
        b"\x1b[8;9999;9999t", b"\x1b[?3h", b"\x1b[132$|", b"\x1b[30t", b"x\x1b[999999999b", b"\x1b[999999999@",
        b"\x1b[999999999L", b"\x1b[999999999I", b"\x1b[" + b"9" * 6000 + b"m", b"\x1b[" + b"1;" * 5000 + b"m",
        b"\x1b]0;" + b"t" * (MAX_STRING * 2), b"\x1bP" + b"q" * (MAX_STRING * 2), b"\x1b[5i swallowed",
        b"\xff\xfe\x80" * 50, b"\x1b[?2027l", b"\x1b[1;1;1;1;1;1;1*y", b"\x1b[" + b";" * 300 + b"H",
    ],
)  # fmt: skip
def test_no_sequence_harms(bytes_: bytes) -> None:
    emulator = Emulator(80, 24)
    for piece in pieces(bytes_, 4096):
        emulator.feed(piece)
    assert emulator.size == (80, 24)
    assert len(emulator._board.parser.buffer) <= MAX_STRING
    emulator.feed(b"\x1b\\\x18\r\n\x1bcback")
    assert emulator.text()[0] == "back"
    assert all(len(row) == 80 for row in emulator.rows())


@pytest.mark.parametrize("text", CORPUS)
def test_every_cell_is_harmless_and_as_wide_as_it_is(text: str) -> None:
    emulator = Emulator(40, 6)
    emulator.feed(text.encode("utf-8", "surrogatepass"))
    for row in emulator.rows():
        line = draw_row(row, 40)
        assert length(line) == 40
        assert all(is_harmless(segment.text) for segment in line)
    assert is_harmless(emulator.title)


@pytest.mark.parametrize(
    ("text", "cells"), [("\ufdfa", 1), ("👨\u200d👩", 2), ("é", 1), ("\u0301", 1), ("日", 2), ("\x9b", 1)]
)
def test_a_cells_text_takes_its_cells(text: str, cells: int) -> None:
    assert width_of(harmless(text, cells)) == cells


def test_a_style_is_laid_over_cells() -> None:
    emulator = Emulator(10, 1)
    emulator.feed("a日b".encode())
    line = lay_over(draw_row(emulator.rows()[0], 10), 1, 3, CURSOR)
    assert [segment.text for segment in line if segment.style and segment.style.reverse] == ["日"]
    assert length(line) == 10


@pytest.mark.parametrize(
    ("key", "character", "expected"),
    [
        ("a", "a", b"a"), ("A", "A", b"A"), ("ä", "ä", "ä".encode()), ("space", " ", b" "), ("enter", "\r", b"\r"),
        ("tab", "\t", b"\t"), ("shift+tab", None, b"\x1b[Z"), ("escape", "\x1b", b"\x1b"),
        ("backspace", "\x7f", b"\x7f"), ("backspace", "\x08", b"\x08"), ("ctrl+c", "\x03", b"\x03"),
        ("ctrl+q", "\x11", b"\x11"),
        ("ctrl+z", "\x1a", b"\x1a"), ("ctrl+@", "\x00", b"\x00"), ("ctrl+backslash", "\x1c", b"\x1c"),
        ("ctrl+underscore", "\x1f", b"\x1f"), ("alt+x", "x", b"\x1bx"), ("alt+shift+x", "X", b"\x1bX"),
        ("up", None, b"\x1b[A"), ("ctrl+up", None, b"\x1b[1;5A"), ("alt+ctrl+up", None, b"\x1b[1;7A"),
        ("home", None, b"\x1b[H"), ("delete", None, b"\x1b[3~"), ("shift+delete", None, b"\x1b[3;2~"),
        ("f1", None, b"\x1bOP"), ("shift+f1", None, b"\x1b[1;2P"), ("f5", None, b"\x1b[15~"),
        ("f12", None, b"\x1b[24~"),
        ("question_mark", "?", b"?"), ("right_square_bracket", "]", b"]"), ("plus", "+", b"+"), ("print", None, b""),
    ],
)  # fmt: skip
def test_keys_are_what_xterm_sends(key: str, character: str | None, expected: bytes) -> None:
    assert encode(key, character) == expected


def test_cursor_keys_follow_the_mode() -> None:
    assert encode("up", None, Modes(cursor_keys=True)) == b"\x1bOA"
    assert encode("end", None, Modes(cursor_keys=True)) == b"\x1bOF"
    assert encode("ctrl+up", None, Modes(cursor_keys=True)) == b"\x1b[1;5A"


def test_pasted_text_can_not_end_its_own_bracket() -> None:
    sent = paste("ls\n\x1b[201~rm -rf /\r\n", Modes(bracketed_paste=True))
    assert sent.startswith(b"\x1b[200~ls\r")
    assert sent.endswith(b"\r\x1b[201~")
    assert sent.count(b"\x1b") == 2
    assert paste("a\nb\x1b[A", Modes()) == b"a\rb[A"


@pytest.mark.parametrize("lines", [b"y", b"a longer line that wraps around the edge of it", "wide 日本語".encode()])
def test_a_flood_may_be_skimmed(lines: bytes) -> None:
    flood = b"".join(lines + b" %d\r\n" % number for number in range(HISTORY_LINES * 2)) + b"$ "
    whole, skimmed = Emulator(20, 5), Emulator(20, 5)
    for emulator in (whole, skimmed):
        emulator.feed(b"\x1b[31mhalf a line")
    whole.feed(flood)
    short = skimmed.skim(flood)
    assert len(short) < len(flood) * 0.6
    skimmed.feed(short)
    assert skimmed.text() == whole.text()
    assert list(skimmed.history) == list(whole.history)
    assert skimmed.cursor == whole.cursor


@pytest.mark.parametrize("before", [b"\x1b]0;title", b"\x1b[?1049h", b"\x1b[2;4r", b"\xe6\x97"])
def test_what_means_something_else_is_not_skimmed(before: bytes) -> None:
    emulator = Emulator(20, 5)
    emulator.feed(before)
    flood = b"y\r\n" * HISTORY_LINES * 2
    assert emulator.skim(flood) == flood
    assert Emulator(20, 5).skim(flood + b"\x1b[m") == flood + b"\x1b[m"
