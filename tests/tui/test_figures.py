"""The small pure parts: figures, filters, rings, cells, graphs, the line being typed."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.style import Style

from pyctr_engine.model.stats import HostStats, Stats
from pyctr_engine.record import replace
from pyctr_tui.dialogs.command_palette import score
from pyctr_tui.figures import age, cpus, exact_size, nice_bytes, nice_top, percent, size
from pyctr_tui.grouping import ContainerRow, StackRow, natural, rows
from pyctr_tui.keymap import key_name
from pyctr_tui.palette import Depth, palette, themes
from pyctr_tui.query import parse
from pyctr_tui.samples import KEPT, METRICS, Ring, host_sample, sample
from pyctr_tui.view import container_view, made_by, short_image
from pyctr_tui.widgets.braille import area, bar, dots
from pyctr_tui.widgets.draw import fill, fit, fit_tail, length, spread, width_of
from pyctr_tui.widgets.line_edit import LineEdit
from tests.tui.fake import FakeEngine


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0"), (999, "999"), (1000, "1.0K"), (38 << 20, "38M"), ((1 << 30) - 1, "1.0G"), (1 << 50, "1.0P")],
)
def test_sizes_are_short(count: int, text: str) -> None:
    assert size(count) == text


@given(st.integers(min_value=0, max_value=1 << 59))
def test_a_size_never_takes_more_than_four_cells(count: int) -> None:
    assert len(size(count)) <= 4


def test_sizes_for_sentences() -> None:
    assert [exact_size(count) for count in (1, 812, 2048, 38 << 20)] == ["1 byte", "812 bytes", "2 KiB", "38 MiB"]


def test_other_figures() -> None:
    assert [percent(share) for share in (0, 0.04, 0.4, 12.4, 800)] == ["0%", "0%", "0.4%", "12%", "800%"]
    assert [age(seconds) for seconds in (-1, 41, 720, 10800, 6 * 86400, 63 * 86400, 800 * 86400)] == [
        "0s", "41s", "12m", "3h", "6d", "9w", "2y",
    ]  # fmt: skip
    assert [cpus(count) for count in (2.0, 0.034, 12.34)] == ["2.0", "0.03", "12.3"]
    assert key_name("ctrl+d") == "Ctrl+D"


@given(st.floats(min_value=0, max_value=1e12))
def test_scales_hold_their_values(value: float) -> None:
    assert nice_top(value, 0.05) >= value
    assert nice_bytes(value) >= value


def reading(time: float, cpu: int, periods: int = 0, throttled: int = 0) -> Stats:
    return Stats(time, cpu_usec=cpu, periods=periods, throttled_periods=throttled, tx_bytes=cpu)


def test_rates_are_differences_over_time() -> None:
    found = sample(reading(10, 1_000_000, 100, 10), reading(12, 2_000_000, 200, 15))
    assert found.cpu == pytest.approx(0.5)
    assert found.throttled == pytest.approx(5.0)
    assert found.tx == pytest.approx(500_000)


def test_a_restarted_container_has_no_negative_rates() -> None:
    found = sample(reading(10, 9_000_000), reading(11, 5))
    assert found.cpu == 0
    assert found.tx == 0
    assert sample(None, reading(1, 5)).cpu == 0


def test_host_share_is_of_all_cpus() -> None:
    before = HostStats(1, 4, 1_000_000, 10_000_000, 1, 2)
    assert host_sample(before, HostStats(2, 4, 2_000_000, 14_000_000, 1, 2)).cpu == pytest.approx(25)


def test_ring_bridges_a_late_reading_and_shows_a_gap() -> None:
    ring = Ring(("cpu",))
    for second in (100, 101, 103, 120):
        ring.append(second, {"cpu": float(second)})
    assert ring.buckets("cpu", 1, 5, 104)[:4] == [100, 101, 101, 103]
    assert math.isnan(ring.buckets("cpu", 1, 1, 110)[0])
    assert math.isnan(ring.buckets("cpu", 1, 1, 99)[0])
    ring.append(119, {"cpu": 1.0})
    assert ring.last("cpu", 1) == [120], "the past is not rewritten"


def test_ring_is_bounded() -> None:
    ring = Ring(METRICS)
    for second in range(5000):
        ring.append(second, dict.fromkeys(METRICS, 1.0))
    assert KEPT <= len(ring) <= KEPT + 300
    assert ring.start + len(ring) == 5000


@given(st.integers(1, 20), st.integers(1, 300), st.integers(900, 1700))
def test_buckets_are_the_highest_of_their_seconds(step: int, columns: int, end: int) -> None:
    ring = Ring(("cpu",))
    for second in range(1000, 1500):
        if second % 17 and not 1200 < second < 1230:
            ring.append(second, {"cpu": float(second * 7919 % 101)})
    kept = dict(enumerate(ring.values["cpu"], ring.start))
    first = (end // step - columns + 1) * step
    for column, value in enumerate(ring.buckets("cpu", step, columns, end)):
        low = first + column * step
        known = [kept[second] for second in range(low, low + step) if kept.get(second, -1) >= 0]
        assert value == max(known) if known else math.isnan(value)


def test_graph_has_a_bright_edge_over_a_dim_body() -> None:
    edge, body = Style(color="red"), Style(color="blue")
    lines = area([1.0] * 4, 2, 3, 1.0, edge, body)
    assert [line[0].style for line in lines] == [edge, body, body]
    assert [line[0].text for line in lines] == ["⣿⣿"] * 3


def test_graph_shows_idle_as_a_baseline_and_unknown_as_nothing() -> None:
    lines = area([math.nan, math.nan, 0.0, 0.0], 2, 1, 1.0, Style(), Style())
    assert "".join(segment.text for segment in lines[0]) == " ⣀"


def test_the_smallest_value_is_seen() -> None:
    assert dots(0.0001, 1.0, 4) == 1
    assert dots(5.0, 1.0, 4) == 16
    assert dots(math.nan, 1.0, 4) == -1


@given(st.text(max_size=40), st.integers(0, 60))
def test_fitted_text_takes_its_width(text: str, width: int) -> None:
    from pyctr_tui.safe_text import safe

    for fitted in (fit(safe(text), width), fit(safe(text), width, right=True), fit_tail(safe(text), width)):
        assert width_of(fitted) == width


def test_lines_are_filled_and_spread() -> None:
    from rich.segment import Segment

    left, right = [Segment("left")], [Segment("right")]
    assert length(fill(left, 9)) == 9
    assert length(fill(left, 3)) == 3
    assert "".join(segment.text for segment in spread(left, right, 12)) == "left   right"
    assert length(bar(0.5, 8, Style(), Style())) == 8


def test_natural_order() -> None:
    assert sorted(["web-10", "web-2", "web-1", "db"], key=natural) == ["db", "web-1", "web-2", "web-10"]


def test_stack_rows_sum_their_members_even_when_filtered() -> None:
    engine = FakeEngine()
    views = [container_view(one) for one in engine.containers()]
    samples = {id: sample(None, stats) for id, stats in engine.all_stats().items()}
    whole = rows(views, samples, parse(""))
    part = rows(views, samples, parse("web-1"))
    shop = next(row for row in whole if isinstance(row, StackRow) and row.name == "shop")
    assert part[0] == shop
    assert [row.container.label for row in part if isinstance(row, ContainerRow)] == ["web-1"]
    assert isinstance(whole[-1], ContainerRow)
    assert not whole[-1].container.stack, "containers without a stack come last"


@pytest.mark.parametrize("text", ["cpu>", "cpu>x", "state:", "-", "mem<5q", "a:b:c"])
def test_a_filter_that_is_being_typed_is_no_error(text: str) -> None:
    engine = FakeEngine()
    parse(text).matches(container_view(engine.containers()[0]), None)


def test_names_of_images_and_commands_are_short() -> None:
    assert short_image("pyctr/base:latest") == "pyctr/base"
    assert short_image("sha256:" + "ab" * 32) == "ab" * 6
    assert made_by("/bin/sh -c #(nop) WORKDIR /app") == "WORKDIR /app"
    assert made_by("/bin/sh -c apt-get update # buildkit") == "RUN apt-get update"


def test_line_edit() -> None:
    edit = LineEdit("shop:new")
    for key in ("home", "right", "delete", "end", "backspace", "ctrl+a"):
        assert edit.key(key, None)
    assert (edit.value, edit.cursor) == ("sop:ne", 0)
    edit.key("h", "h")
    edit.insert("a\nb\x1b[2J")
    assert edit.value == "ha b␛[2Jsop:ne"
    edit.key("ctrl+k", None)
    edit.key("ctrl+w", None)
    assert edit.value == "ha "
    assert not edit.key("f5", None)


def test_palette_prefers_beginnings() -> None:
    assert score("res", "restart") is not None
    assert score("zz", "restart") is None
    better, worse = score("re", "restart"), score("re", "theme pure")
    assert better is not None
    assert worse is not None
    assert better > worse


@pytest.mark.parametrize("depth", ["true", "256", "16", "none"])
def test_every_theme_tells_edge_from_body(depth: Depth) -> None:
    for name in themes(depth):
        styles = palette(name, depth)
        assert styles.selected != styles.base
        for hue, edge in styles.edge.items():
            assert edge != styles.body[hue]


def test_containers_are_sorted_by_the_port_they_are_reached_at() -> None:
    engine = FakeEngine()
    one = container_view(engine.containers()[0])
    told = ("", "80", ":9090→9090", "127.0.0.1:8080→80 :8443→443", ":443→443")
    views = [replace(one, id=str(at), label=f"web-{at}", stack="", ports=ports) for at, ports in enumerate(told)]
    shown = [row.container.ports for row in rows(views, {}, parse(""), sort="ports") if isinstance(row, ContainerRow)]
    assert shown == [":443→443", "127.0.0.1:8080→80 :8443→443", ":9090→9090", "80", ""]
