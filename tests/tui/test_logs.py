"""The log pane and the reader under it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from pyctr_engine.model.log import LogLine
from pyctr_tui.logs.file import BLOCK, Entry, LogFile, parse
from pyctr_tui.panes.logs import KEPT
from tests.tui.fake import START, FakeEngine
from tests.tui.harness import Running, running
from tests.tui.past import record
from tests.tui.test_more_actions import key


def line(number: int, text: str = "") -> str:
    return json.dumps({"t": 1000.0 + number, "s": "stdout", "m": text or f"line {number}"}) + "\n"


def texts(entries: list[Entry]) -> list[str]:
    return [parse(entry.raw).text for entry in entries]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.jsonl"
    path.write_text("".join(line(number) for number in range(20_000)))
    return path


def test_blocks_are_whole_lines_from_anywhere(log: Path) -> None:
    file = LogFile(str(log))
    last = file.before(file.size())
    assert texts(last)[-1] == "line 19999"
    assert last[-1].end == file.size()
    earlier = file.before(last[0].offset)
    assert earlier[-1].end == last[0].offset
    first = file.after(0)
    assert texts(first)[0] == "line 0"
    assert texts(file.after(first[-1].end))[0] == f"line {len(first)}"
    file.close()


def test_walking_back_sees_every_line_once(log: Path) -> None:
    file, seen = LogFile(str(log)), []
    end = file.size()
    while end:
        block = file.before(end, 10_000)
        seen[:0] = texts(block)
        end = block[0].offset
    assert seen == [f"line {number}" for number in range(20_000)]


def test_a_line_still_being_written_is_left_for_later(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(line(1) + '{"t": 2, "s": "std')
    file = LogFile(str(path))
    assert texts(file.after(0)) == ["line 1"]
    assert texts(file.before(file.size())) == ["line 1"]


def test_a_line_longer_than_a_block(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(line(1) + line(2, "x" * (BLOCK * 3)) + line(3))
    file = LogFile(str(path))
    first = file.after(0)
    second = file.after(first[-1].end)
    assert [len(text) for text in texts(first + second)] == [6, BLOCK * 3, 6]
    assert texts(file.before(file.size()))[-1] == "line 3"
    assert len(texts(file.before(file.before(file.size())[-1].offset))[-1]) == BLOCK * 3


def test_search_both_ways_in_any_case(log: Path) -> None:
    file = LogFile(str(log))
    found = file.find_before("LINE 777", file.size())
    assert found is not None
    assert texts(file.after(found))[0] == "line 7779"
    found = file.find_after("line 777", 0)
    assert found is not None
    assert texts(file.after(found))[0] == "line 777"
    assert file.find_before("never printed", file.size()) is None
    assert file.find_after("stdout", 0) is None, "only what was printed is searched"


def test_rotation_is_noticed(log: Path) -> None:
    file = LogFile(str(log))
    file.size()
    assert not file.changed()
    os.rename(log, f"{log}.1")
    log.write_text(line(1))
    assert file.changed()
    assert texts(file.before(file.size())) == ["line 1"]


def test_lines_that_are_no_json_are_shown_as_they_are() -> None:
    assert parse(b"plain \x1b[2J").text == "plain ␛[2J"
    assert parse(b'{"t": "x"}').text == '{"t": "x"}'
    assert parse(b"\xff\xfe").text == "��"


def last_line(it: Running) -> str:
    return it.lines()[-4]


async def test_new_lines_appear_while_following() -> None:
    async with running() as it:
        await it.press("5")
        await it.until(lambda: "GET https" in it.text())
        with open(it.engine.log_file("crawler-fetch-1"), "a") as file:
            file.write(it.engine.log_line("x", 1, 1e9, "the newest line"))
        await it.until(lambda: "the newest line" in last_line(it))


async def test_scrolling_back_stays_and_end_follows_again() -> None:
    async with running() as it:
        await it.press("5")
        await it.until(lambda: "GET https" in it.text())
        await it.press("pageup")
        assert "staying" in it.text()
        seen = it.lines()[2]
        with open(it.engine.log_file("crawler-fetch-1"), "a") as file:
            file.write(it.engine.log_line("x", 1, 1e9, "the newest line"))
        await it.press("w", "w")
        assert it.lines()[2] == seen
        await it.press("G")
        await it.until(lambda: "the newest line" in last_line(it))


async def test_scrolling_to_the_first_line_of_a_long_log(tmp_path: Path) -> None:
    engine = FakeEngine(logs=str(tmp_path))
    with open(engine.log_file("crawler-fetch-1"), "w") as file:
        file.writelines(line(number) for number in range(60_000))
    async with running(engine=engine) as it:
        await it.press("5")
        await it.until(lambda: "line 59999" in it.text())
        for _ in range(40):
            await it.press("pageup")
        assert len(it.app.home.logs.lines) <= KEPT * 2
        shown = [text.split("line ")[1].split()[0] for text in it.lines() if "line 5" in text]
        assert shown == [str(int(shown[0]) + number) for number in range(len(shown))], "no gap, no repetition"
        await it.press("g")
        await it.until(lambda: "line 0 " in it.text())
        await it.press("G")
        await it.until(lambda: "line 59999" in it.text())


async def test_search_goes_back_and_forth_and_shows_matches() -> None:
    async with running() as it:
        await it.press("5")
        await it.until(lambda: "GET https" in it.text())
        await it.press("slash", *"memoryerror", "enter")
        await it.until(lambda: it.app.home.logs.found >= 0)
        first = it.app.home.logs.found
        assert "/memoryerror" in it.text()
        await it.press("n")
        await it.until(lambda: it.app.home.logs.found != first)
        older = it.app.home.logs.found
        assert older < first
        await it.press("N")
        await it.until(lambda: it.app.home.logs.found == first)
        assert "MemoryError" in it.app.home.logs.line_in_sight()


async def test_search_without_a_match_says_so() -> None:
    async with running() as it:
        await it.press("5")
        await it.until(lambda: "GET https" in it.text())
        await it.press("slash", *"zzz", "enter")
        await it.until(lambda: "no further line with “zzz”" in it.text())


async def test_wrap_shows_the_whole_line() -> None:
    async with running() as it:
        await it.press("5")
        await it.until(lambda: "GET https" in it.text())
        with open(it.engine.log_file("crawler-fetch-1"), "a") as file:
            file.write(it.engine.log_line("x", 1, 1e9, "long " * 40 + "END"))
        await it.until(lambda: "long long" in it.text())
        assert "END" not in it.text()
        await it.press("w")
        assert "END" in it.text()
        await it.press("w", *["right"] * 20)
        assert "END" in it.text()


async def test_memory_is_bounded_under_a_flood() -> None:
    async with running() as it:
        await it.press("5")
        await it.until(lambda: "GET https" in it.text())
        path = it.engine.log_file("crawler-fetch-1")
        for block in range(5):
            with open(path, "a") as file:
                file.writelines(line(number) for number in range(block * 10_000, block * 10_000 + 10_000))
        await it.until(lambda: "line 49999" in it.text())
        assert len(it.app.home.logs.lines) <= KEPT


async def test_strip_merges_a_stack_by_time() -> None:
    async with running(200, 60) as it:
        await it.until(lambda: "5 Logs of crawler" in it.text() and "GET https" in it.text())
        engine = it.engine
        for name, at in (("crawler-parse-1", 5e9), ("crawler-fetch-1", 4e9)):
            with open(engine.log_file(name), "a") as file:
                file.write(engine.log_line(name, 1, at, f"from {name}"))
        await it.until(lambda: "from crawler-parse-1" in it.text() and "from crawler-fetch-1" in it.text())
        lines = it.lines()
        first = next(at for at, text in enumerate(lines) if "from crawler-fetch-1" in text)
        second = next(at for at, text in enumerate(lines) if "from crawler-parse-1" in text)
        assert first < second


@pytest.mark.parametrize("noise", ["", "no json at all\n", "x" * 3 * BLOCK + "\n"])
def test_a_time_is_found_by_halving(tmp_path: Path, noise: str) -> None:
    path = tmp_path / "log"
    path.write_text(
        noise + "".join(line(number) + (noise if number % 9_000 == 1 else "") for number in range(20_000))
    )
    file = LogFile(str(path))

    def at(when: float) -> str:
        found = file.find_time(when)
        assert found is not None
        return parse(file.after(found)[0].raw).text

    for number in (0, 1, 2, 777, 9_001, 9_002, 13_000, 19_998, 19_999):
        assert at(1000.0 + number) == f"line {number}"
        assert at(1000.0 + number - 0.5) == f"line {number}"
    assert at(1.0) == "line 0"
    assert file.find_time(1000.0 + 20_000) is None


def test_a_time_in_a_long_log_costs_few_reads(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, reads = LogFile(str(log)), [0]
    pread = os.pread

    def counted(fd: int, length: int, offset: int) -> bytes:
        reads[0] += 1
        return pread(fd, length, offset)

    monkeypatch.setattr(os, "pread", counted)
    assert file.find_time(1000.0 + 12_345) is not None
    assert reads[0] <= 16
    assert LogFile("/nowhere").find_time(1.0) is None


async def moments(it: Running) -> None:
    """Have the selected container print a line each ten seconds of the last hour."""
    container = it.app.home.containers.container
    assert container is not None
    with open(it.engine.log_file(container.id), "w") as file:
        for back in range(3600, 0, -10):
            file.write(json.dumps({"t": START - back, "s": "stdout", "m": f"{back} seconds before"}) + "\n")


async def test_one_moment_in_graphs_logs_and_events() -> None:
    engine = FakeEngine()
    record(engine)
    async with running(engine=engine) as it:
        await moments(it)
        home = it.app.home
        await it.press("4")
        home.graphs.put_cursor(int(START) - 605)
        await it.press("enter")
        assert home.focus_name == "logs"
        await it.until(lambda: "600 seconds before" in it.text())
        assert "at " in it.text()
        assert not home.logs.following
        assert home.logs.moment_in_sight() == START - 600
        await it.press("k", "k", "k")
        moment = home.logs.moment_in_sight()
        await it.press("enter")
        assert home.focus_name == "graphs"
        assert home.graphs.cursor == int(moment) != START - 600, "what was scrolled to"
        await it.press("v")
        await it.until(lambda: home.page is not None and "reading" not in it.text())
        event = home.page.panes[0].selected  # type: ignore[union-attr,attr-defined]
        assert event.time <= moment + 1
        await it.press("5", "G")
        await it.until(lambda: home.logs.following)


async def test_from_an_event_to_its_moment() -> None:
    engine = FakeEngine()
    record(engine)
    async with running(engine=engine) as it:
        await it.press("v")
        await it.until(lambda: it.app.home.page is not None and "reading" not in it.text())
        pane = it.app.home.page.panes[0]  # type: ignore[union-attr]
        at = next(n for n, item in enumerate(pane.items) if getattr(item, "id", "") in it.app.store.by_id)  # type: ignore[attr-defined]
        pane.move_to(at)  # type: ignore[attr-defined]
        event = pane.selected  # type: ignore[attr-defined]
        await it.press("m")
        home = it.app.home
        assert home.focus_name == "graphs"
        assert home.graphs.subject.ids == (event.id,)
        await it.until(lambda: home.graphs.cursor == int(event.time))


async def test_a_log_is_saved_whole_with_or_without_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = FakeEngine()
    log = [
        LogLine(1000.5, "stdout", "one"), LogLine(1001.0, "stdout", "ha", partial=True),
        LogLine(1001.0, "stdout", "lf"), LogLine(1002.0, "stderr", "\udcff raw \x1b[31m"),
    ]  # fmt: skip
    monkeypatch.setattr(engine, "logs", lambda ref: iter(log), raising=False)
    async with running(engine=engine) as it:
        await it.press("5", "ctrl+s")
        assert "Save the log of crawler-fetch-1" in it.text()
        monkeypatch.chdir(tmp_path)
        plain, timed = tmp_path / "plain", tmp_path / "timed"
        await it.press("ctrl+u", *"plain")
        assert "$ pyctr-tui logs crawler-fetch-1 > plain" in it.text()
        await it.press("enter")
        await it.until(lambda: "3 lines (21 bytes) of crawler-fetch-1 in" in it.text())
        assert plain.read_bytes() == b"one\nhalf\n\xff raw \x1b[31m\n"
        await it.press("ctrl+s", "ctrl+u", *"timed", "tab", "space")
        assert "logs -t crawler-fetch-1 > timed" in it.text()
        await it.press("enter")
        await it.until(lambda: timed.exists() and b"raw" in timed.read_bytes())
        assert timed.read_bytes().startswith(
            b"1970-01-01T00:16:40.500000000Z one\n1970-01-01T00:16:41.000000000Z half\n"
        )
        await it.press("ctrl+s", "ctrl+u", *(key(letter) for letter in "/nowhere/log"), "enter")
        assert "there is no directory /nowhere" in it.text()


async def test_a_program_that_reads_a_log_needs_a_terminal() -> None:
    async with running() as it:
        await it.press("5", "vertical_line", "ctrl+u", *"cat")
        assert "$ pyctr-tui logs crawler-fetch-1 | cat" in it.text()
        await it.press("enter")
        assert "cat needs a real terminal" in it.text()
