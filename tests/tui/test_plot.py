"""Stacked bands and lines in braille, and the past in two resolutions."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.style import Style

from pyctr_engine.model.past import History
from pyctr_engine.model.stats import Stats
from pyctr_tui.past import Past, recorded
from pyctr_tui.samples import METRICS, Ring
from pyctr_tui.widgets.draw import Line, length
from pyctr_tui.widgets.plot import Marks, bands, curves

EDGE, BODY, HARM, CURSOR = (Style(color=colour) for colour in ("cyan", "blue", "red", "white"))


def drawn(series: list[list[float]], width: int, rows: int, top: float, marks: Marks) -> list[Line]:
    return bands(series, width, rows, top, EDGE, BODY, HARM, CURSOR, marks)


def text(lines: list[Line]) -> list[str]:
    return ["".join(segment.text for segment in line) for line in lines]


def test_bands_are_told_apart_without_colours() -> None:
    lines = text(drawn([[4.0] * 2, [8.0] * 2, [4.0] * 2], 1, 4, 16.0, Marks()))
    assert lines[3] == "⣿", "the first is solid"
    assert lines[2] == lines[1] == "⡪", "the second chequered"
    assert lines[0] == "⣛", "the third striped, under a whole upper edge"


def test_a_cell_is_blank_where_nothing_is_known_and_a_baseline_where_all_is_zero() -> None:
    nan = math.nan
    assert text(drawn([[nan, nan, 0.0, 0.0], [nan, nan, 0.0, 0.0]], 2, 1, 1.0, Marks())) == [" ⣀"]


def test_the_limit_steps_when_it_was_changed() -> None:
    lines = text(drawn([[0.0] * 8], 4, 4, 4.0, Marks(limit=[3.5] * 4 + [1.5] * 4)))
    assert lines[0] == "╌╌  "
    assert lines[2] == "  ╌╌"


def test_marks_stand_above_the_curve_and_the_cursor_goes_through() -> None:
    lines = drawn([[1.0] * 6], 3, 2, 2.0, Marks(events={0: HARM}, cursor=2))
    assert text(lines) == ["│ │", "⣿⣿⣿"]
    assert [segment.style for segment in lines[0]] == [HARM, None, CURSOR]
    assert [segment.style for segment in lines[1]] == [EDGE, CURSOR]


def test_throttled_cells_have_an_edge_in_the_colour_of_harm() -> None:
    lines = drawn([[1.0] * 4], 2, 1, 1.0, Marks(hot={1}))
    assert [segment.style for segment in lines[0]] == [EDGE, HARM]


def test_lines_carry_their_number_and_the_first_is_on_top() -> None:
    lines = curves([[3.0] * 8, [3.0] * 8, [0.0] * 8], [EDGE, BODY, HARM], 4, 2, 4.0, CURSOR)
    assert text(lines) == ["⠤⠤⠤1", "⣀⣀⣀3"]
    assert lines[0][0].style == EDGE


@given(
    st.lists(st.lists(st.one_of(st.just(math.nan), st.floats(0, 1e9)), max_size=40), min_size=1, max_size=4),
    st.integers(1, 30), st.integers(1, 12), st.floats(0.1, 1e9),
)  # fmt: skip
def test_every_picture_takes_its_width(series: list[list[float]], width: int, rows: int, top: float) -> None:
    for lines in (
        bands(series[:3], width, rows, top, EDGE, BODY, HARM, CURSOR),
        curves(series, [EDGE, BODY], width, rows, top, CURSOR),
    ):
        assert [length(line) for line in lines] == [width] * rows


def past_of_two_hours() -> Past:
    def read(at: int) -> Stats:
        return Stats(float(at), cpu_usec=at * 250_000, memory=at, memory_limit=1 << 30)

    fine = tuple(read(at) for at in range(3600, 7200, 2) if not 5000 <= at < 5400)
    coarse = tuple(read(at) for at in range(60, 7200, 60) if not 5000 <= at < 5400)
    return recorded(History(fine, coarse)).past


def test_a_past_is_read_at_any_step() -> None:
    past = past_of_two_hours()
    for step in (1, 2, 7, 60, 600):
        assert past.buckets("cpu", step, 3, 7100) == pytest.approx([0.25] * 3), step
    assert past.buckets("cpu", 1, 4, 1800) == pytest.approx([0.25] * 4), "where only minutes are known, these"
    assert past.buckets("memory_limit", 60, 1, 7100) == [1 << 30]
    assert 60 <= past.first <= 180


def test_what_was_not_recorded_is_a_gap() -> None:
    past = past_of_two_hours()
    assert all(math.isnan(value) for value in past.buckets("cpu", 60, 4, 5300))
    assert math.isnan(past.buckets("cpu", 2, 1, 5200)[0])
    assert math.isnan(past.buckets("cpu", 60, 1, -6000)[0])


def test_a_past_goes_on() -> None:
    past = past_of_two_hours()
    ring = Ring()
    for second in range(7190, 7320):
        ring.append(second, dict.fromkeys(METRICS, 2.0))
    past.follow(ring)
    assert past.buckets("cpu", 60, 1, 7319) == pytest.approx([2.0])
    past.add(7320, dict.fromkeys(METRICS, 4.0))
    past.add(7321, dict.fromkeys(METRICS, 6.0))
    assert past.buckets("cpu", 60, 1, 7321) == pytest.approx([5.0]), "a minute is the mean of its seconds"
    assert past.buckets("cpu", 2, 1, 7321) == pytest.approx([6.0])
