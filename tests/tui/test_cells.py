"""Whatever text comes: what is drawn takes the cells that the layout thinks it takes, and nothing raises."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from wcwidth import wcswidth

from pyctr_tui.safe_text import safe, safe_log
from pyctr_tui.terminal.cells import harmless as in_cells
from pyctr_tui.terminal.filters import AsciiFilter, ColourlessFilter, HarmlessFilter
from pyctr_tui.widgets.draw import beside, cells, column, fill, fit, fit_tail, length, spread, width_of
from tests.tui.hostile import CORPUS, harmless

ANY = st.one_of(
    st.text(st.characters()),  # surrogates too: undecodable bytes of file names
    st.text(st.sampled_from("".join(CORPUS[:20]) + "日本e\u0301\U0001f468\u200d\u0e33\u1100\u1161\U0001f1e9")),
)
DISPUTED = "\U0001171e"
"""A mark that changed its kind between releases of Unicode."""
WIDTHS = st.integers(-2, 60)
BLACK = Color(0, 0, 0)


@given(ANY, WIDTHS)
def test_fitted_text_takes_its_width(text: str, width: int) -> None:
    for shown in (safe(text), safe_log(text)):
        assert width_of(shown) == cell_len(shown)
        for fitted in (fit(shown, width), fit(shown, width, right=True), fit_tail(shown, max(width, 1))):
            assert harmless(fitted)
            fitted.encode()
        assert cell_len(fit(shown, width)) == max(width, 0)
        assert cell_len(fit(shown, width, right=True)) == max(width, 0)
        assert cell_len(fit_tail(shown, max(width, 1))) == max(width, 1)


@given(st.lists(ANY, max_size=5), st.lists(ANY, max_size=5), st.integers(0, 60))
def test_lines_take_their_width(left: list[str], right: list[str], width: int) -> None:
    one, other = ([Segment(safe(text)) for text in side] for side in (left, right))
    assert length(fill(one, width)) == width
    assert length(spread(one, other, width)) == width
    block = column([one, other], width, 3)
    assert [length(line) for line in block] == [width] * 3
    assert [length(line) for line in beside(block, block, 2)] == [2 * width + 2] * 3
    assert length([cells(text, width, None) for text in map(safe, left)]) == width * len(left)


@given(ANY)
def test_the_net_changes_no_width(text: str) -> None:
    """Text that nobody made harmless, as a stock widget would draw it, keeps the width it was measured to take."""
    measured = cell_len(text)
    line = HarmlessFilter().apply([Segment(text)], BLACK)
    assert sum(cell_len(segment.text) for segment in line) == measured
    for net in (ColourlessFilter(), AsciiFilter()):
        line = net.apply(line, BLACK)
        assert sum(cell_len(segment.text) for segment in line) == measured
        assert all(harmless(segment.text) for segment in line)
    assert all(segment.text.isascii() for segment in line)


@given(ANY, st.integers(1, 2))
def test_a_cell_of_a_containers_terminal_stays_one(text: str, wide: int) -> None:
    shown = in_cells(text, wide)
    assert cell_len(shown) == wide
    assert harmless(shown)


def test_terminals_count_the_same_cells() -> None:
    """As wcwidth does, whose tables terminals go by: each character behind a letter and alone."""
    for code in range(0x20, 0x20000):
        character = chr(code)
        if character in DISPUTED:
            continue
        for shown in (safe(character), safe("a" + character)):
            assert cell_len(shown) == wcswidth(shown), hex(code)
