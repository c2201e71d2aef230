"""The filter of every list: its language, its prompt, and what it lights."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.segment import Segment
from rich.style import Style

from pyctr_tui.query import (
    CONTAINER_FIELDS,
    CONTAINER_FIGURES,
    Subject,
    complete,
    figure,
    of_container,
    parse,
)
from pyctr_tui.samples import Sample
from pyctr_tui.view import container_view
from pyctr_tui.widgets.lit import lit
from tests.tui.fake import FakeEngine
from tests.tui.harness import Running, running
from tests.tui.snapshot import check

SUBJECT = Subject(
    "web-1\npyctr/web",
    {"state": ("running", "up"), "label": ("tier=front", "tier"), "network": ("bridge",), "name": ("web-1",)},
    {"cpu": 12.0, "mem": float(200 << 20), "age": 3600.0, "restarts": 2.0},
)


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("web", True), ("-web", False), ("WEB pyctr", True), ("state:run", True), ("state:up", True),
        ("state=run", False), ("name=web-1", True), ("name=web", False), ("label:tier", True),
        ("label:tier=front", True), ("label:tier=fro", False), ("-label:tier", False), ("network:bri", True),
        ("cpu>10", True), ("cpu>12", False), ("cpu<12.5%", True), ("mem>100m", True), ("mem>1g", False),
        ("age<2h", True), ("age>1d", False), ("restarts>1", True), ("size>1", False), ("-", True), ("state:", True),
    ],
)  # fmt: skip
def test_language(text: str, passes: bool) -> None:
    assert parse(text).passes(SUBJECT) is passes


def test_what_cannot_be_read_is_said_and_lets_pass() -> None:
    query = parse("cpu>x web")
    assert query.problem == "cpu>x: not a figure"
    assert query.passes(SUBJECT)
    assert parse("cpu>").problem == ""


def test_unknown_figures_pass_no_comparison() -> None:
    view = container_view(FakeEngine().containers()[0])
    assert not parse("cpu>0").passes(of_container(view, None, 0.0))
    assert not parse("cpu<100").passes(of_container(view, None, 0.0))
    assert parse("cpu<100").passes(of_container(view, Sample(cpu=0.5), 0.0))


@given(st.text(max_size=60))
def test_any_text_is_a_filter(text: str) -> None:
    query = parse(text)
    assert query.passes(SUBJECT) in (True, False)
    assert query.text == text


@given(st.text(alphabet="webx1-_ ", min_size=1, max_size=8).filter(lambda text: text.strip(" -") == text))
def test_minus_turns_a_word_around(word: str) -> None:
    for one in word.split():
        assert parse(f"-{one}").passes(SUBJECT) is not parse(one).passes(SUBJECT) or one.startswith("-")


@given(st.integers(0, 10**6), st.sampled_from(["", "k", "m", "g"]))
def test_figures_grow_with_their_unit(number: int, unit: str) -> None:
    assert figure("mem", f"{number}{unit}") == number * {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}[unit]


@pytest.mark.parametrize("value", ["", "x", "1x", "m", "1.2.3", "-1", "nan", "inf", "1e5"])
def test_what_is_no_figure(value: str) -> None:
    assert figure("mem", value) is None


def test_completion() -> None:
    known = {"state": ["running", "restarting", "exited"], "stack": ["shop"], "used": ["yes"]}
    assert complete("sta", known, ("cpu",)) == "sta"
    assert complete("-stat", known, ("cpu",)) == "-state:"
    assert complete("web c", known, ("cpu",)) == "web cpu>"
    assert complete("state:r", known, ()) == "state:r"
    assert complete("state:e", known, ()) == "state:exited"
    assert complete("stack:x", known, ()) == "stack:x"
    assert complete("", known, ()) == ""


@given(st.text(max_size=30), st.lists(st.text(min_size=1, max_size=3), max_size=3))
def test_lighting_keeps_the_text(text: str, words: list[str]) -> None:
    line = lit([Segment(text)], [word.lower() for word in words], Style(bold=True))
    assert "".join(segment.text for segment in line) == text


async def _type(it: Running, text: str) -> None:
    for character in text:
        it.app.home.prompt.key(character, character)
    await it.settle()


async def test_images_are_filtered_where_they_are() -> None:
    async with running() as it:
        await it.read()
        await it.press("2", "slash")
        total = len(it.app.home.images.items)
        await _type(it, "debian")
        images = it.app.home.images
        assert 0 < len(images.items) < total
        assert all("debian" in image.label for image in images.items)
        await it.press("enter")
        assert f"{len(images.items)} shown" in it.text()
        assert f"Images · {total}" in it.text()
        await it.read()
        assert len(images.items) < total
        await it.press("escape")
        assert len(images.items) == total
        assert it.app.home.focus_name == "images"


async def test_problem_stands_in_the_prompt() -> None:
    async with running() as it:
        await it.press("slash")
        await _type(it, "cpu>x")
        assert "cpu>x: not a figure" in it.lines()[-1]
        check(it.picture(), "filter-problem")


async def test_nothing_passes() -> None:
    async with running() as it:
        await it.read()
        await it.press("2", "slash")
        await _type(it, "nosuch")
        assert "nothing passes" in it.text()


async def test_history_and_completion_in_the_prompt() -> None:
    async with running() as it:
        await it.press("slash")
        await _type(it, "web")
        await it.press("enter", "slash")
        await it.press("ctrl+u")
        await it.press("up")
        assert it.app.home.prompt.edit.value == "web"
        await it.press("down")
        assert it.app.home.prompt.edit.value == ""
        await _type(it, "serv")
        await it.press("tab")
        assert it.app.home.prompt.edit.value == "service:"


async def test_sorting_the_other_way_keeps_the_cursors_item() -> None:
    async with running() as it:
        pane = it.app.home.containers
        before = pane.selected
        keys = [row.key for row in pane.items]
        await it.press("ctrl+o")
        assert it.app.store.reverse
        assert [row.key for row in pane.items] != keys
        assert before is not None
        assert pane.selected is not None
        assert pane.selected.key == before.key


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 36), (200, 60)])
async def test_filtered_list(width: int, height: int) -> None:
    async with running(width, height) as it:
        await it.press("slash")
        await _type(it, "web state:up")
        check(it.picture(), f"filter-{width}")


def test_every_field_and_figure_has_its_values() -> None:
    subject = of_container(container_view(FakeEngine().containers()[0]), Sample(), 1.0)
    assert set(CONTAINER_FIELDS) == subject.values.keys()
    assert set(CONTAINER_FIGURES) == subject.figures.keys()


async def test_a_noun_in_the_palette_takes_a_filter() -> None:
    async with running() as it:
        await it.press("colon", *"containers", "space", *"state", "colon", *"exited")
        assert "Enter shows containers that pass state:exited" in it.text()
        await it.press("enter")
        assert it.app.store.query.text == "state:exited"
        assert it.app.home.focus_name == "containers"
        shown = [row.container for row in it.app.home.containers.items if hasattr(row, "container")]
        assert shown
        assert all(one.state == "exited" for one in shown)


async def test_help_is_searched_by_typing() -> None:
    async with running() as it:
        await it.press("question_mark", *"jobs")
        assert "what was done, its command lines" in it.text()
        assert "filter: words" not in it.text()
        await it.press("escape")
        assert it.app.screen is not it.app.home
        await it.press("escape")
        assert it.app.screen is it.app.home


async def test_a_click_on_a_columns_title_sorts_by_it() -> None:
    async with running() as it:
        pane, store = it.app.home.containers, it.app.store
        line = next(line for line in it.lines() if "NAME" in line and "CPU" in line)
        await it.pilot.click(pane, offset=(line.index("CPU") + 1 - pane.region.x, 1))
        await it.settle()
        assert (store.sort, store.reverse) == ("cpu", False)
        assert "by stack ▾ cpu" in it.text()
        await it.pilot.click(pane, offset=(line.index("CPU") + 1 - pane.region.x, 1))
        await it.settle()
        assert (store.sort, store.reverse) == ("cpu", True)
