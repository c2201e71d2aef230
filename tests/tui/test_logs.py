"""The log pane and the reader under it."""

from __future__ import annotations

import json
import os
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pyctr_tui.logs import reader
from pyctr_tui.logs.merge import Logs
from pyctr_tui.panes.log_lines import clock
from pyctr_tui.panes.logs import KEPT
from tests.tui.fake import START, FakeEngine
from tests.tui.harness import PATIENCE, Running, running
from tests.tui.past import record
from tests.tui.test_more_actions import key


def line(number: int, text: str = "") -> str:
    return json.dumps({"t": 1000.0 + number, "s": "stdout", "m": text or f"line {number}"}) + "\n"


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
        await it.until(lambda: it.app.home.logs.found is not None)
        first = it.app.home.logs.found
        assert first
        assert "/memoryerror" in it.text()
        await it.press("n")
        await it.until(lambda: it.app.home.logs.found != first)
        older = it.app.home.logs.found
        assert older
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


def write(engine: FakeEngine, name: str, *printed: tuple[float, str]) -> None:
    """Have printed just this: seconds before the start of the test, and texts."""
    with open(engine.log_file(name), "w") as file:
        for back, text in printed:
            file.write(json.dumps({"t": START - back, "s": "stdout", "m": text}) + "\n")


def shown(it: Running) -> list[str]:
    """The lines of the logs in the pane, without events, marks and the line of its state."""
    return [text for text in drawn(it) if not text.startswith("──")]


def drawn(it: Running) -> list[str]:
    """All lines of the pane but the one of its state."""
    return [text.strip() for text in it.app.home.logs.text_lines()[:-1] if text.strip()]


async def test_only_lines_that_match_are_shown_and_around_them_again_all(tmp_path: Path) -> None:
    engine = FakeEngine(logs=str(tmp_path))
    with open(engine.log_file("crawler-fetch-1"), "w") as file:
        file.writelines(line(number) for number in range(30_000))
    async with running(engine=engine) as it:
        await it.press("5")
        await it.until(lambda: "line 29999" in it.text())
        await it.press("ampersand", *(key(letter) for letter in "ine 1?0500"), "enter")
        await it.until(lambda: [text.split(" ", 1)[1] for text in shown(it)] == ["line 10500"])
        assert "& ine 1?0500" in it.text()
        with open(engine.log_file("crawler-fetch-1"), "a") as file:
            file.write(line(40_000) + line(0, "another line 0500") + line(40_001))
        await it.until(lambda: len(shown(it)) == 2)
        assert "another line 0500" in shown(it)[1]
        await it.press("f")
        assert "staying" in it.text()
        await it.press("escape")
        await it.until(lambda: len(shown(it)) > 20)
        assert any("another line 0500" in text for text in shown(it))
        assert any("line 29999" in text for text in shown(it))
        await it.press("ampersand", *"nowhere", "enter")
        await it.until(lambda: "no line is wanted by & nowhere" in it.text())
        await it.press("escape", "G")
        await it.until(lambda: "line 40001" in it.text())


async def test_scrolling_through_what_is_shown_only(tmp_path: Path) -> None:
    engine = FakeEngine(logs=str(tmp_path))
    with open(engine.log_file("crawler-fetch-1"), "w") as file:
        file.writelines(line(number) for number in range(60_000))
    async with running(engine=engine) as it:
        await it.press("5")
        await it.until(lambda: "line 59999" in it.text())
        await it.press("ampersand", *(key(letter) for letter in "5$"), "enter")
        await it.until(lambda: len(shown(it)) > 20 and all(text.endswith("5") for text in shown(it)))
        await it.press("g")
        await it.until(lambda: shown(it)[0].endswith("line 5"))
        assert [int(text.split()[-1]) for text in shown(it)] == list(range(5, 10 * len(shown(it)), 10))
        seen = set()
        for _ in range(40):
            await it.press("pagedown")
            await it.until(lambda: it.app.log_reader.is_idle)
            seen.update(text.split()[-1] for text in shown(it))
        assert {str(number) for number in range(8_005, 8_500, 10)} <= seen


async def test_a_filter_says_what_is_wrong_with_it_while_it_is_typed() -> None:
    async with running() as it:
        await it.press("5")
        await it.until(lambda: "GET https" in it.text())
        await it.press("ampersand", *(key(letter) for letter in "a(b"))
        assert "no regular expression: missing )" in it.text()
        await it.press("enter")
        assert "no regular expression: missing )" in it.text()
        assert it.app.home.prompt.is_open
        await it.press("ctrl+u", *(key(letter) for letter in "level:warn"), "enter")
        await it.until(lambda: all("WARN" in text or "ERROR" in text for text in shown(it)))
        assert len(shown(it)) > 10
        await it.press("ampersand", "ctrl+u", *(key(letter) for letter in "!info|warn"), "enter")
        await it.until(lambda: len(shown(it)) > 5 and all("ERROR" in text for text in shown(it)))
        await it.press("1", "down", "down", "5")  # another container's log is shown by the same filter
        await it.until(lambda: it.app.home.logs.name_shown == "crawler-parse-1")
        await it.until(lambda: len(shown(it)) > 5 and all("ERROR" in text for text in shown(it)))


async def test_a_filter_that_takes_for_ever_is_ended_by_escape() -> None:
    async with running() as it:
        write(it.engine, "crawler-fetch-1", (1, "a" * 60 + "?"))
        await it.press("5")
        await it.until(lambda: "aaaa" in it.text())
        await it.press("ampersand", *(key(letter) for letter in r"^(\w+\s?)*[!]$"))
        await it.pilot.press("enter")
        assert "looking 0%, Esc stops · & ^" in it.text()
        await it.pilot.press("escape")  # at once
        await it.until(lambda: "given up" in it.text())
        await it.press("escape")
        await it.until(lambda: "aaaa" in it.text() and "& ^" not in it.text())
        await it.press("ampersand", *(key(letter) for letter in r"^(\w+\s?)*[!]$"), "enter")
        await it.until(lambda: "staying · too slow: a simpler pattern helps · & ^" in it.text())
        await it.press("escape", "G")
        await it.until(lambda: "aaaa" in it.text() and "following" in it.text())


async def test_a_search_that_takes_long_is_stopped_by_escape(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "TELL", 0.0)
    slowly(monkeypatch, 0.2)
    async with running() as it:
        with open(it.engine.log_file("crawler-fetch-1"), "w") as file:
            file.writelines(line(number, "x" * 500) for number in range(100_000))
        await it.press("5")
        await it.until(lambda: "xxx" in it.text())
        await it.press("slash", *"zzz")
        await it.pilot.press("enter")
        await it.until(lambda: "looking 1" in it.text())
        assert "Esc stops" in it.text()
        await it.pilot.press("escape")
        await it.until(lambda: "given up" in it.text())
        assert "looking" not in it.text()
        await it.press("G")
        await it.until(lambda: "following" in it.text())


def slowly(monkeypatch: pytest.MonkeyPatch, pause: float) -> list[int]:
    """Have blocks matched slowly; their sizes."""
    spans, sizes = reader.Matcher.__call__, []

    def slow(self: reader.Matcher, block: bytes, head: Callable[[], bytes] = bytes) -> list[tuple[int, int]]:
        time.sleep(pause)
        sizes.append(len(block))
        return spans(self, block, head)

    monkeypatch.setattr(reader.Matcher, "__call__", slow)
    return sizes


def grow(it: Running, *texts: str) -> None:
    """Have the selected container print some megabytes between two looks, with these lines in between."""
    much = "".join(line(number, "x" * 400) for number in range(4000))
    with pytest.MonkeyPatch.context() as held, open(it.engine.log_file("crawler-fetch-1"), "a") as file:
        held.setattr(Logs, "refresh", lambda self: None)
        for text in texts:
            file.write(much + line(4000, text))
        file.write(much)
        file.flush()


async def only(it: Running, wanted: str) -> None:
    await it.press("5")
    await it.until(lambda: "xxx" in it.text())
    await it.press("ampersand", *wanted, "enter")
    await it.until(lambda: it.app.log_reader.is_idle and len(shown(it)) == 1)


async def test_what_has_come_meanwhile_is_looked_through_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running() as it:
        grow(it, "rare one", *[""] * 4)
        await only(it, "rare")
        sizes = slowly(monkeypatch, 0.05)
        grow(it, "rare two", "rare three")
        await it.until(lambda: len(shown(it)) == 3)
        assert [text.split(" ", 1)[1] for text in shown(it)] == ["rare one", "rare two", "rare three"]
        assert sum(sizes) < 7 << 20, "of 14 MiB"
        assert it.app.home.logs.busy is None
        monkeypatch.setattr(reader, "MOST", 10)
        grow(it, *(f"rare {number}" for number in range(10, 30)))
        await it.until(lambda: "rare 29" in it.text())
        assert [int(text.split()[-1]) for text in shown(it)] == list(range(20, 30)), "the newest"


async def test_what_has_come_stops_no_look_through_what_was_there(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running() as it:
        grow(it, "rare one", *[""] * 8)
        await it.press("5")
        await it.until(lambda: "xxx" in it.text())
        may_find, spans = threading.Event(), reader.Matcher.__call__

        def held(self: reader.Matcher, block: bytes, head: Callable[[], bytes] = bytes) -> list[tuple[int, int]]:
            time.sleep(0.02)
            if b"rare one" in block:
                may_find.wait(PATIENCE)
            return spans(self, block, head)

        monkeypatch.setattr(reader.Matcher, "__call__", held)
        await it.press("ampersand", *"rare")
        await it.pilot.press("enter")
        await it.until(lambda: "looking" in it.text())
        grow(it, "rare two", "")
        await it.until(lambda: [text.split(" ", 1)[1] for text in shown(it)] == ["rare two"])
        may_find.set()
        await it.until(lambda: [text.split(" ", 1)[1] for text in shown(it)] == ["rare one", "rare two"])
        await it.until(lambda: it.app.log_reader.is_idle and it.app.home.logs.busy is None)


async def test_requests_are_answered_while_what_has_come_is_looked_through(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running() as it:
        grow(it, "rare one")
        await only(it, "rare")
        sizes = slowly(monkeypatch, 0.3)
        grow(it, *["rare two"] * 5)
        await it.until(lambda: "looking" in it.text())
        await it.pilot.press("f")
        await it.until(lambda: "staying" in it.text() and it.app.log_reader.is_idle)
        assert [text.split(" ", 1)[1] for text in shown(it)] == ["rare one"]
        assert it.app.home.logs.busy is None
        await it.pilot.press("f")
        await it.until(lambda: "rare two" in it.text())
        sizes.clear()
        grow(it, *["rare two"] * 5)
        await it.until(lambda: "looking" in it.text())
        await it.pilot.press("escape")
        await it.until(lambda: "given up" in it.text())
        assert sum(sizes) < 5 << 20, "of 10 MiB"
        grow(it, "rare three")
        await it.until(lambda: "rare three" in it.text())


async def test_a_stack_s_logs_are_one_in_the_order_of_time() -> None:
    async with running() as it:
        write(it.engine, "crawler-fetch-1", (30, "one"), (10, "three"))
        write(it.engine, "crawler-index-1", (40, "zero"), (20, "two"))
        write(it.engine, "crawler-parse-1", (5, "four"))
        await it.press("5")
        await it.until(lambda: [text.split()[-1] for text in shown(it)] == ["one", "three"])
        await it.press("A")
        await it.until(lambda: len(shown(it)) == 5)
        assert [text.split()[1:] for text in shown(it)] == [
            ["index-1", "zero"], ["fetch-1", "one"], ["index-1", "two"], ["fetch-1", "three"], ["parse-1", "four"],
        ]  # fmt: skip
        assert "crawler · 3 containers" in it.text()
        with open(it.engine.log_file("crawler-index-1"), "a") as file:
            file.write(it.engine.log_line("x", 1, START, "five"))
        await it.until(lambda: shown(it)[-1].split()[1:] == ["index-1", "five"])
        await it.press("slash", *"one", "enter")
        await it.until(lambda: it.app.home.logs.found is not None)
        assert it.app.home.logs.line_in_sight() == "one"
        await it.press("ctrl+s")
        assert "$ pyctr-tui logs --stack crawler > " in it.text()
        await it.press("escape", "escape", "A")
        await it.until(lambda: [text.split()[-1] for text in shown(it)] == ["one", "three"])


async def test_the_logs_of_a_stack_s_row_and_of_what_is_marked() -> None:
    async with running() as it:
        write(it.engine, "shop-web-1", (2, "a"))
        write(it.engine, "brave-otter", (1, "b"))
        await it.press("g", "5")
        await it.until(lambda: "crawler · 3 containers" in it.text())
        await it.press("1")
        for name in ("shop-web-1", "brave-otter"):
            it.app.home.containers.select(next(one.id for one in it.app.store.containers if one.name == name))
            await it.press("space")
        await it.press("5")
        await it.until(lambda: "2 marked" in it.text() and len(shown(it)) == 2)
        assert [text.split()[1:] for text in shown(it)] == [["shop-web-1", "a"], ["brave-otter", "b"]]


async def test_marks_and_events_are_lines_to_go_to() -> None:
    engine = FakeEngine()
    record(engine)
    async with running(engine=engine) as it:
        await moments(it)
        await it.press("5")
        await it.until(lambda: "10 seconds before" in it.text())
        logs = it.app.home.logs
        assert not any("committed" in text for text in drawn(it))
        await it.press("left_square_bracket")
        await it.until(lambda: any("committed" in text for text in drawn(it)))
        at = next(n for n, text in enumerate(drawn(it)) if "committed" in text)
        assert [drawn(it)[n].split(" ", 1)[1][:11] for n in (at - 1, at + 1)] == ["320 seconds", "310 seconds"]
        assert logs.line_in_sight() == "320 seconds before"
        await it.press("left_square_bracket")
        await it.until(lambda: logs.line_in_sight() == "520 seconds before")
        assert any("healthy" in text for text in drawn(it))
        await it.press("right_square_bracket")
        await it.until(lambda: logs.line_in_sight() == "320 seconds before")
        await it.press("k", "k", "k", "b")
        marked = logs.line_in_sight()
        at = next(n for n, text in enumerate(drawn(it)) if "marked" in text)
        assert drawn(it)[at - 1].endswith(marked)
        await it.press("g", "G")
        await it.until(lambda: logs.line_in_sight() == "10 seconds before")
        await it.press("left_square_bracket")
        await it.until(lambda: logs.line_in_sight() == marked)
        await it.press("b")
        assert not any("marked" in text for text in drawn(it))
        await it.press("G")
        await it.until(lambda: logs.following)
        await it.press("right_square_bracket")
        assert "no mark and no event after this" in it.text()


async def test_json_lines_are_readable_or_as_printed_and_harmless() -> None:
    async with running() as it:
        hostile = json.dumps({"level": "error", "msg": "\x1b[2J\u202eevil\nline", "user": "a b"})
        write(it.engine, "crawler-fetch-1", (2, hostile), (1, '{"lvl":"info","msg":"fine","n":1}'))
        await it.press("5")
        await it.until(lambda: "fine" in it.text())
        assert [text.split(" ", 1)[1] for text in shown(it)] == ['error ␛[2J·evil␊line user="a b"', "info fine n=1"]
        assert "\x1b[2J" not in it.text()
        await it.press("full_stop")
        assert '"msg": "\\u001b[2J' in it.text()
        await it.press("full_stop", "T")
        assert shown(it)[1] == "info fine n=1"


async def test_the_pane_reads_on_into_files_that_were_rotated_away(tmp_path: Path) -> None:
    engine = FakeEngine(logs=str(tmp_path))
    path = Path(engine.log_file("crawler-fetch-1"))
    async with running(engine=engine) as it:
        await it.press("5")
        path.write_text("".join(line(number) for number in range(5)))
        await it.until(lambda: "line 4" in it.text())
        path.rename(f"{path}.1")
        path.write_text("".join(line(number) for number in range(5, 10)))
        await it.until(lambda: "line 9" in it.text())
        assert [text.split(" ", 1)[1] for text in shown(it)] == [f"line {number}" for number in range(10)]
        await it.press("4", "1", "down", "5")
        await it.until(lambda: it.app.home.logs.name_shown == "crawler-index-1")
        await it.press("1", "up", "5")
        await it.until(lambda: [text.split(" ", 1)[1] for text in shown(it)] == [f"line {n}" for n in range(10)])


async def test_only_what_is_shown_is_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running() as it:
        monkeypatch.chdir(tmp_path)
        write(it.engine, "crawler-fetch-1", (3, "yes"), (2, "no"), (1, "yes again"))
        await it.press("5", "ampersand", *"yes", "enter")
        await it.until(lambda: len(shown(it)) == 2)
        await it.press("ctrl+s", "ctrl+u", *"some")
        assert "$ pyctr-tui logs crawler-fetch-1 | grep -iE yes > some" in it.text()
        await it.press("enter")
        await it.until(lambda: "2 lines (14 bytes) of crawler-fetch-1 in" in it.text())
        assert (tmp_path / "some").read_text() == "yes\nyes again\n"
        await it.press("A", "escape")
        await it.until(lambda: "crawler · 3 containers" in it.text())
        for name in ("crawler-index-1", "crawler-parse-1"):
            write(it.engine, name, (2.5, "between"))
        await it.press("ctrl+s", "ctrl+u", *"all", "enter")
        await it.until(lambda: "5 lines" in it.text())
        assert (tmp_path / "all").read_text().splitlines() == [
            "fetch-1 | yes", "index-1 | between", "parse-1 | between", "fetch-1 | no", "fetch-1 | yes again",
        ]  # fmt: skip


async def test_long_lines_are_saved_whole_and_saved_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running() as it:
        monkeypatch.chdir(tmp_path)
        with open(it.engine.log_file("crawler-fetch-1"), "w") as file:
            for stream, text, goes_on in (
                ("stdout", "out", True), ("stderr", "err ", True), ("stderr", "ends", False),
                ("stdout", "-put", False), ("stdout", "cut off", True),
            ):  # fmt: skip
                file.write(json.dumps({"t": START, "s": stream, "m": text, "p": goes_on}) + "\n")
        await it.press("5", "ctrl+s", "ctrl+u", *"saved", "enter")
        await it.until(lambda: "3 lines (25 bytes)" in it.text())
        assert (tmp_path / "saved").read_text() == "err ends\nout-put\ncut off\n"
        (tmp_path / "saved").unlink()
        await it.press("J", "r")
        await it.until(lambda: (tmp_path / "saved").exists() and (tmp_path / "saved").stat().st_size == 25)
        await it.press("5", "ampersand", *"out", "enter")
        await it.until(lambda: len(shown(it)) == 1)
        await it.press("ctrl+s", "ctrl+u", *"only", "enter")
        await it.until(lambda: "1 line (4 bytes)" in it.text())
        assert (tmp_path / "only").read_text() == "out\n"


async def test_a_log_that_can_not_be_saved_replaces_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running() as it:
        monkeypatch.chdir(tmp_path)
        write(it.engine, "crawler-fetch-1", (3, "a" * 60 + "?"))
        (tmp_path / "saved").write_text("older")
        await it.press("5", "ampersand", *(key(letter) for letter in r"^(\w+\s?)*[!]$"), "enter")
        await it.until(lambda: "too slow: a simpler pattern helps" in it.text())
        await it.press("ctrl+s", "ctrl+u", *"saved", "enter")
        await it.until(lambda: any(job.state == "failed" for job in it.app.jobs.all))
        assert (tmp_path / "saved").read_text() == "older"
        assert os.listdir(tmp_path) == ["saved"]


async def test_a_stack_s_logs_follow_who_comes_and_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running() as it:
        monkeypatch.chdir(tmp_path)
        await it.press("5", "A")
        await it.until(lambda: "crawler · 3 containers" in it.text())
        it.engine.remove(it.engine._find("crawler-parse-1").id, force=True)
        await it.press("ctrl+s", "ctrl+u", *"both")
        await it.press("enter")  # of one that has gone there is nothing to save
        await it.until(lambda: (tmp_path / "both").exists())
        await it.read()
        await it.until(lambda: "crawler · 2 containers" in it.text())
        assert len(it.app.home.logs.sources) == 2


async def test_a_mark_stands_after_its_line_also_when_many_have_one_time() -> None:
    async with running() as it:
        write(it.engine, "crawler-fetch-1", *((1, f"line {number}") for number in range(100)))
        await it.press("5")
        await it.until(lambda: "line 99" in it.text())
        await it.press("k", "k", "k", "b")
        assert drawn(it)[-1].startswith("── ◆ marked")
        assert drawn(it)[-2].endswith("line 96")
        await it.press("k", "k", "b")
        assert drawn(it)[-1].startswith("── ◆ marked")
        assert drawn(it)[-2].endswith("line 94")
        await it.press("g")
        await it.until(lambda: "line 0" in it.text())
        for _ in range(3):
            await it.press("k")
        assert drawn(it)[0].endswith("line 0")


async def test_the_first_line_can_be_reached_above_its_wrapped_text() -> None:
    async with running() as it:
        write(it.engine, "crawler-fetch-1", *((1, f"line {number} " + "x" * 400) for number in range(40)))
        await it.press("5")
        await it.until(lambda: "line 39" in it.text())
        await it.press("w", "g")
        for _ in range(40):
            await it.press("k")
        assert "line 0 xxx" in shown(it)[0]
        await it.press("G")
        await it.until(lambda: it.app.home.logs.following)


async def test_an_event_after_the_last_line_is_gone_to() -> None:
    engine = FakeEngine()
    record(engine)
    async with running(engine=engine) as it:
        write(it.engine, "crawler-fetch-1", (400, "last"))
        await it.press("5")
        await it.until(lambda: "last" in it.text())
        await it.press("left_square_bracket")
        await it.until(lambda: "at " in it.text())
        assert any("committed" in text for text in drawn(it))
        assert any("last" in text for text in drawn(it))


async def test_a_search_that_was_overtaken_leaves_nothing_behind(tmp_path: Path) -> None:
    engine = FakeEngine(logs=str(tmp_path))
    path = engine.log_file("crawler-fetch-1")
    with open(path, "w") as file:
        file.writelines(line(number, "x" * 300) for number in range(100_000))
    async with running(engine=engine) as it:
        await it.press("5")
        await it.until(lambda: "xxx" in it.text())
        logs = it.app.home.logs
        await it.press("slash", *"zzz")
        await it.pilot.press("enter", "escape", "G")
        await it.until(lambda: it.app.log_reader.is_idle)
        await it.press("slash", *"xx")
        await it.pilot.press("enter", "G", "escape", "escape")
        await it.until(lambda: it.app.log_reader.is_idle)
        assert logs.following == it.app.log_reader._following
        assert logs.busy is None
        with open(path, "a") as file:
            file.writelines(line(number, f"new {number}") for number in range(20_000))
        await it.until(lambda: it.app.log_reader.is_idle)
        assert len(logs.lines) <= KEPT


async def test_very_long_lines_take_no_more_room_than_short_ones(tmp_path: Path) -> None:
    engine = FakeEngine(logs=str(tmp_path))
    with open(engine.log_file("crawler-fetch-1"), "w") as file:
        file.writelines(line(number, f"{number} " + "\x01" * 16_000) for number in range(1000))
    async with running(engine=engine) as it:
        await it.press("5")
        await it.until(lambda: "999 " in it.text())
        for _ in range(20):
            await it.press("pageup")
        size = sum(len(entry.raw) for entry in it.app.home.logs.lines)
        assert size < 32 << 20, "of 96 MiB"
        assert [int(text.split()[1]) for text in shown(it)] == sorted(int(text.split()[1]) for text in shown(it))


async def test_the_rate_falls_to_nothing_when_nothing_comes() -> None:
    async with running() as it:
        await it.press("5")
        await it.until(lambda: "GET https" in it.text())
        with open(it.engine.log_file("crawler-fetch-1"), "a") as file:
            file.writelines(line(number) for number in range(500))
        await it.until(lambda: "lines/s" in it.text())
        await it.until(lambda: "lines/s" not in it.text())


async def test_what_was_said_of_a_search_goes_with_it() -> None:
    async with running() as it:
        await it.press("5")
        await it.until(lambda: "GET https" in it.text())
        await it.press("slash", *"zzz", "enter")
        await it.until(lambda: "no further line with “zzz”" in it.text() and "following" in it.text())
        await it.press("slash", "ctrl+u", *"get", "enter")
        await it.until(lambda: it.app.home.logs.found is not None)
        it.app.home.logs.give_up()
        await it.until(lambda: "given up" in it.text())
        assert "staying" in it.text(), "what was found stays in sight"
        await it.press("G")
        await it.until(lambda: "following" in it.text())
        assert "given up" not in it.text()


async def test_a_line_without_a_time_begins_no_day() -> None:
    async with running() as it:
        with open(it.engine.log_file("crawler-fetch-1"), "w") as file:
            file.write(it.engine.log_line("x", 1, START, "one") + "torn\n" + it.engine.log_line("x", 2, START, "two"))
        await it.press("5")
        await it.until(lambda: "torn" in it.text())
        at = next(n for n, text in enumerate(drawn(it)) if text.endswith("one"))
        assert [text.split()[-1] for text in drawn(it)[at : at + 3]] == ["one", "torn", "two"]


async def test_where_a_day_begins_is_drawn() -> None:
    async with running() as it:
        write(it.engine, "crawler-fetch-1", (90_000, "yesterday"), (1, "today"))
        await it.press("5")
        await it.until(lambda: "today" in it.text())
        rule = drawn(it)[next(n for n, text in enumerate(drawn(it)) if "yesterday" in text) + 1]
        assert re.search(r"── · \w+day, \d{4}-\d\d-\d\d ──", rule)


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


async def test_the_moment_of_a_whole_stack() -> None:
    engine = FakeEngine()
    record(engine)
    async with running(engine=engine) as it:
        await moments(it)
        home = it.app.home
        await it.press("k")
        assert home.containers.stack is not None
        await it.press("4")
        home.graphs.put_cursor(int(START) - 605)
        await it.press("5")
        await it.until(lambda: "600 seconds before" in it.text())
        assert home.logs.moment == int(START) - 605
        assert not home.logs.following


async def test_the_events_open_at_the_moment_of_the_lines_in_sight() -> None:
    engine = FakeEngine()
    record(engine)
    async with running(engine=engine) as it:
        await moments(it)
        home = it.app.home
        await it.press("5")
        home.logs.seek(START - 1205)
        await it.until(lambda: "1200 seconds before" in it.text())
        await it.press("v")
        await it.until(lambda: home.page is not None and "reading" not in it.text())
        event = home.page.panes[0].selected  # type: ignore[union-attr,attr-defined]
        assert event.time <= START - 1199


async def test_the_strips_go_where_the_cursor_is() -> None:
    engine = FakeEngine()
    record(engine)
    async with running(200, 60, engine=engine) as it:
        await moments(it)
        home = it.app.home
        await it.until(lambda: "following" in it.text() and "killed by the kernel: out of memory (512" in it.text())
        await it.press("4")
        home.graphs.put_cursor(int(START) - 605)
        when = f"until {clock(int(START) - 605)}"
        await it.until(lambda: "610 seconds before" in it.text() and f"Events {when}" in it.text())
        assert it.text().count(when) == 2
        assert "600 seconds before" not in it.text()
        assert "killed by the kernel: out of memory (512" not in it.text()
        await it.press("escape")
        await it.until(lambda: "following" in it.text() and "Events until" not in it.text())


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
    records: list[dict[str, object]] = [
        {"t": 1000.5, "s": "stdout", "m": "one"}, {"t": 1001.0, "s": "stdout", "m": "ha", "p": True},
        {"t": 1001.0, "s": "stdout", "m": "lf"}, {"t": 1002.0, "s": "stderr", "m": "\ufffd raw \x1b[31m"},
    ]  # fmt: skip
    with open(engine.log_file("crawler-fetch-1"), "w") as file:
        file.writelines(json.dumps(record) + "\n" for record in records)
    async with running(engine=engine) as it:
        await it.press("5", "ctrl+s")
        assert "Save the log of crawler-fetch-1" in it.text()
        monkeypatch.chdir(tmp_path)
        plain, timed = tmp_path / "plain", tmp_path / "timed"
        await it.press("ctrl+u", *"plain")
        assert "$ pyctr-tui logs crawler-fetch-1 > plain" in it.text()
        await it.press("enter")
        await it.until(lambda: "3 lines (23 bytes) of crawler-fetch-1 in" in it.text())
        assert plain.read_text() == "one\nhalf\n\ufffd raw \x1b[31m\n"
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
