"""Sizes, durations and moments."""

from __future__ import annotations

import time

import pytest

from pyctr_tui.cli import text, values
from pyctr_tui.cli.options import UsageError


@pytest.mark.parametrize(
    ("written", "bytes_"),
    [
        ("0", 0),
        ("1024", 1024),
        ("10b", 10),
        ("512k", 512 << 10),
        ("1.5g", 3 << 29),
        ("2GiB", 2 << 30),
        ("1MB", 1 << 20),
    ],
)
def test_sizes(written: str, bytes_: int) -> None:
    assert values.size(written, "--memory") == bytes_


@pytest.mark.parametrize(
    ("written", "seconds"), [("10", 10), ("10s", 10), ("1h30m", 5400), ("1.5h", 5400), ("250ms", 0.25), ("2m3s", 123)]
)
def test_durations(written: str, seconds: float) -> None:
    assert values.seconds(written, "--since") == pytest.approx(seconds)


@pytest.mark.parametrize("written", ["", "m", "10x", "h1", "--"])
def test_no_durations(written: str) -> None:
    with pytest.raises(UsageError):
        values.seconds(written, "--since")


def test_moments() -> None:
    assert values.moment("1700000000.5", "--since") == 1700000000.5
    assert values.moment("2023-11-14T22:13:20Z", "--since") == 1700000000
    assert values.moment("10m", "--since") == pytest.approx(time.time() - 600, abs=5)
    with pytest.raises(UsageError):
        values.moment("2023-99-14", "--since")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.4, "Less than a second"), (1, "1 second"), (59, "59 seconds"), (60, "About a minute"), (185, "3 minutes"),
        (3600, "About an hour"), (3 * 3600, "3 hours"), (3 * 86400, "3 days"), (21 * 86400, "3 weeks"),
        (90 * 86400, "3 months"), (3 * 365 * 86400, "3 years"),
    ],
)  # fmt: skip
def test_ages_in_docker_s_words(seconds: float, words: str) -> None:
    assert text.duration(seconds) == words


@pytest.mark.parametrize(("count", "shown"), [(0, "0B"), (999, "999B"), (1130, "1.13kB"), (124_000_000, "124MB")])
def test_sizes_as_docker_shows_them(count: int, shown: str) -> None:
    assert text.size(count) == shown


def test_timestamps_have_nanoseconds() -> None:
    assert text.timestamp(1700000000.25) == "2023-11-14T22:13:20.250000000Z"


def test_lines_for_a_terminal_keep_colours_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    hostile = "\x1b[31mred\x1b[0m \x1b]52;c;aGk=\x07 \x1b[2J \x9b5n a\tb \u202egnp"
    shown = text.harmless_line(hostile)
    assert "\x1b[31mred\x1b[0m" in shown
    assert "a\tb" in shown
    for harmful in ("\x1b]", "\x1b[2J", "\x07", "\x9b", "\u202e"):
        assert harmful not in shown
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in text.harmless_line(hostile)
