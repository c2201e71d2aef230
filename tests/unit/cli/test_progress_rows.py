"""A row for each layer on a terminal, plain lines elsewhere."""

from __future__ import annotations

import io

import pytest

from pyctr_engine.model.progress import Progress
from pyctr_tui.cli import progress_rows
from pyctr_tui.cli.progress_rows import ProgressRows, left


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that tests turn; its hand is the only item."""
    now = [100.0]
    monkeypatch.setattr(progress_rows.time, "monotonic", lambda: now[0])
    return now


def screen(written: str) -> list[str]:
    """The lines that a terminal would show: cursor up, erase to the line's and the screen's end are understood."""
    lines: list[str] = [""]
    row = 0
    for part in written.replace("\x1b[", "\0\x1b[").split("\0"):
        text = part
        if part.startswith("\x1b["):
            end = next(at for at, character in enumerate(part) if character.isalpha() and at > 1)
            count, kind, text = part[2:end], part[end], part[end + 1 :]
            if kind == "A":
                row -= int(count)
            elif kind == "K":
                lines[row] = ""
            elif kind == "J":
                del lines[row + 1 :]
                lines[row] = ""
        for character in text:
            if character == "\n":
                row += 1
                if row == len(lines):
                    lines.append("")
            elif character != "\r":
                lines[row] += character
    return lines


def test_rows_with_rate_and_what_is_left(clock: list[float]) -> None:
    stream = Terminal()
    with ProgressRows(stream) as progress:
        progress(Progress("aaa", "downloading", 0, 50_000_000))
        progress(Progress("bbb", "downloading", 0, 1_000))
        clock[0] += 1
        progress(Progress("aaa", "downloading", 10_000_000, 50_000_000))
        assert screen(stream.getvalue())[:2] == ["aaa  downloading  10MB / 50MB  10MB/s  4s left", "bbb  downloading"]
        clock[0] += 1
        progress(Progress("aaa", "unpacking", 10_000_000, 50_000_000))
        progress(Progress("bbb", "pulled", 1_000, 1_000, finished=True))
    assert screen(stream.getvalue()) == ["aaa  unpacking  10MB / 50MB", "bbb  pulled", ""]


def test_more_rows_than_lines(clock: list[float]) -> None:
    """A test's stream has no size: 24 lines."""
    stream = Terminal()
    with ProgressRows(stream) as progress:
        for number in range(60):
            progress(Progress(f"{number:03}", "downloading"))
            clock[0] += 1
        assert len(screen(stream.getvalue())) == 24
        for number in range(30):
            progress(Progress(f"{number:03}", "pulled", finished=True))
        assert screen(stream.getvalue())[0] == "030  downloading", "those under way are shown"
    assert screen(stream.getvalue())[0] == "000  pulled"
    assert len(screen(stream.getvalue())) == 61, "all of them, at the end"


def test_plain_lines() -> None:
    stream = io.StringIO()
    with ProgressRows(stream) as progress:
        for done in range(5):
            progress(Progress("aaa", "downloading", done, 5))
        progress(Progress("bbb", "already there", finished=True))
        progress(Progress("aaa", "pulled", 5, 5, finished=True))
    assert stream.getvalue() == "aaa  downloading\nbbb  already there\naaa  pulled\n"


def test_a_hostile_subject_does_nothing_to_a_terminal(clock: list[float]) -> None:
    stream = Terminal()
    with ProgressRows(stream) as progress:
        progress(Progress("a\x1b]52;c;evil\x07", "downloading"))
    assert "\x1b]" not in stream.getvalue()


@pytest.mark.parametrize(
    ("size", "rate", "shown"), [(1, 1e9, "1s"), (59, 1, "59s"), (185, 1, "3m05s"), (7260, 1, "2h01m")]
)
def test_left(size: int, rate: float, shown: str) -> None:
    assert left(size, rate) == shown
