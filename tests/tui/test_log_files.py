"""Logs as rows of lines: one file, the files of a container, several containers in the order of time."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from pyctr_tui.logs import merge
from pyctr_tui.logs.file import BLOCK, Block, LogFile, parse
from pyctr_tui.logs.log import Log
from pyctr_tui.logs.merge import Entry, Keep, Logs, Passed, Place
from pyctr_tui.logs.news import advanced, retreated
from pyctr_tui.logs.query import REACH, Finder, parse_query
from pyctr_tui.logs.strip import Strip


def line(number: float, text: str = "") -> str:
    return json.dumps({"t": 1000.0 + number, "s": "stdout", "m": text or f"line {number:g}"}) + "\n"


def texts(block: Block) -> list[str]:
    return [parse(raw).text for raw in block.data.split(b"\n")[:-1]]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.jsonl"
    path.write_text("".join(line(number) for number in range(20_000)))
    return path


def test_blocks_are_whole_lines_from_anywhere(log: Path) -> None:
    file = LogFile(str(log))
    last = file.before(file.size())
    assert texts(last)[-1] == "line 19999"
    assert last.end == file.size()
    earlier = file.before(last.start)
    assert earlier.end == last.start
    first = file.after(0)
    assert texts(first)[0] == "line 0"
    assert texts(file.after(first.end))[0] == f"line {len(texts(first))}"
    assert file.after(file.size()) == Block(file.size(), b"")
    assert file.before(0) == Block(0, b"")
    file.close()


def test_walking_back_sees_every_line_once(log: Path) -> None:
    file, seen = LogFile(str(log)), []
    end = file.size()
    while end:
        block = file.before(end, 10_000)
        seen[:0] = texts(block)
        end = block.start
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
    second = file.after(first.end)
    assert [len(text) for text in texts(first) + texts(second)] == [6, BLOCK * 3, 6]
    assert texts(file.before(file.size()))[-1] == "line 3"
    assert len(texts(file.before(file.before(file.size()).start))[-1]) == BLOCK * 3


def test_lines_that_are_no_json_are_shown_as_they_are() -> None:
    assert parse(b"plain \x1b[2J").text == "plain ␛[2J"
    assert parse(b'{"t": "x"}').text == '{"t": "x"}'
    assert parse(b"\xff\xfe").text == "��"


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
        return texts(file.after(found))[0]

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


# -- the files of a container ---------------------------------------------------------------------------------------


def all_of(log: Log) -> list[str]:
    out, at = [], log.start
    while (block := log.after(at, 5_000)).data:
        out += texts(block)
        at = block.end
    return out


def all_backwards(log: Log) -> list[str]:
    out, end = [], log.end
    while (block := log.before(end, 5_000)).data:
        out[:0] = texts(block)
        end = block.start
    return out


def lines(start: int, stop: int) -> str:
    return "".join(line(number) for number in range(start, stop))


def numbered(start: int, stop: int) -> list[str]:
    return [f"line {number}" for number in range(start, stop)]


def rotate(path: Path, most: int = 9) -> None:
    for number in range(most - 1, 0, -1):
        newer = Path(f"{path}.{number - 1}") if number > 1 else path
        if newer.exists():
            newer.rename(f"{path}.{number}")
    if most == 1:
        path.unlink()


def test_rotated_files_are_part_of_the_log(tmp_path: Path) -> None:
    path = tmp_path / "log"
    for start in range(0, 2000, 500):
        path.write_text(lines(start, start + 500))
        if start < 1500:
            rotate(path)
    log = Log(str(path))
    assert all_of(log) == numbered(0, 2000)
    assert all_backwards(log) == numbered(0, 2000)
    for number in (0, 499, 500, 1234, 1999):
        assert texts(log.after(log.find_time(1000.0 + number)))[0] == f"line {number}"
    assert log.find_time(5000.0) == log.end
    log.close()


def test_places_stay_what_they_are_when_files_are_rotated(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(lines(0, 500))
    log = Log(str(path))
    at = log.find_time(1000.0 + 250)
    with path.open("a") as file:
        file.write(lines(500, 520))  # not yet seen when the file is put aside
    rotate(path)
    path.write_text(lines(520, 900))
    log.refresh()
    assert texts(log.after(at))[0] == "line 250"
    assert all_of(log) == numbered(0, 900)
    for start in (900, 1200):  # twice between two looks
        rotate(path)
        path.write_text(lines(start, start + 300))
    log.refresh()
    assert all_of(log) == all_backwards(log) == numbered(0, 1500)
    assert texts(log.after(at))[0] == "line 250"


def test_what_is_rotated_away_is_missing_at_the_beginning(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(lines(0, 100))
    log = Log(str(path))
    at = log.find_time(1000.0 + 50)
    for start in (100, 200):
        rotate(path, most=2)
        path.write_text(lines(start, start + 100))
        log.refresh()
    assert all_of(log) == all_backwards(log) == numbered(100, 300)
    assert texts(log.after(at))[0] == "line 100"
    assert log.start > at


def test_places_hold_while_files_are_rotated_and_nobody_looks(tmp_path: Path) -> None:
    """A file that is made may get the inode number of one that was dropped."""
    path = tmp_path / "log"
    path.write_text(lines(0, 100))
    rotate(path, most=3)
    path.write_text(lines(100, 200))
    log = Log(str(path))
    at = log.find_time(1000.0 + 50)
    for start in (200, 300, 400):
        rotate(path, most=3)
        path.write_text(lines(start, start + 100))
    assert texts(log.after(at))[0] == "line 50", "what was opened is still there"
    assert texts(log.before(log.end))[-1] == "line 199"
    log.refresh()
    assert all_of(log) == all_backwards(log) == numbered(200, 500)
    assert texts(log.after(at))[0] == "line 200"


def test_a_record_that_is_half_written_is_not_yet_there(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(lines(0, 3) + '{"t": 1, "s"')
    log = Log(str(path))
    end = log.end
    assert texts(log.before(end)) == numbered(0, 3)
    assert texts(log.after(end)) == []
    with path.open("a") as file:
        file.write(': "stdout", "m": "whole"}\n')
    log.refresh()
    assert texts(log.after(end)) == ["whole"]
    os.truncate(path, path.stat().st_size)
    with path.open("a") as file:
        file.write('{"half')
    log.refresh()
    os.truncate(path, path.stat().st_size - 6)  # as the monitor does on a full disk
    log.refresh()
    assert not log.restarts


def test_a_single_file_that_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(lines(0, 100))
    log = Log(str(path))
    end = log.end
    rotate(path, most=1)
    path.write_text(lines(100, 110))
    log.refresh()
    assert texts(log.after(end)) == numbered(100, 110)


def test_a_truncated_log_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(lines(0, 100))
    log = Log(str(path))
    assert not log.restarts
    os.truncate(path, 0)
    log.refresh()
    assert log.restarts == 1
    assert log.start == log.end == 0
    path.write_text(lines(5, 6))
    log.refresh()
    assert all_of(log) == ["line 5"]


def test_a_log_that_is_not_there_yet(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = Log(str(path))
    assert (log.start, log.end, log.find_time(1.0)) == (0, 0, 0)
    assert all_of(log) == all_backwards(log) == []
    path.write_text(lines(0, 3))
    log.refresh()
    assert all_of(log) == numbered(0, 3)


# -- several containers ---------------------------------------------------------------------------------------------


@pytest.fixture
def three(tmp_path: Path) -> Logs:
    """Three logs that print in turns, one of them rarely, one with lines without a time."""
    rows: tuple[list[str], ...] = ([], [], [])
    for number in range(6000):
        source = 2 if number % 500 == 0 else number % 2
        rows[source].append(line(number, f"{source}:{number}"))
        if number % 1000 == 3:
            rows[1].append(f"1:{number} torn\n")
    for source, row in enumerate(rows):
        (tmp_path / f"log{source}").write_text("".join(row))
    return Logs([Log(str(tmp_path / f"log{source}")) for source in range(3)])


def entries(steps: object, most: int = 1 << 30) -> list[Entry]:
    found = []
    for step in steps:  # type: ignore[attr-defined]
        if isinstance(step, Entry):
            found.append(step)
            if len(found) == most:
                break
    return found


def said(found: list[Entry]) -> list[str]:
    return [parse(entry.raw).text for entry in found]


def test_lines_of_several_come_in_the_order_of_time(three: Logs) -> None:
    onwards = said(entries(three.forwards(three.start)))
    numbers = [int(text.split(":")[1].split()[0]) for text in onwards]
    assert len(onwards) == 6006
    assert numbers == sorted(numbers)
    back = said(entries(three.backwards(three.end)))
    assert [text for text in reversed(back) if "torn" not in text] == [t for t in onwards if "torn" not in t]


def test_pieces_fit_together_without_gap_or_repetition(three: Logs) -> None:
    whole, place = entries(three.forwards(three.start)), three.end
    pieces: list[Entry] = []
    while piece := entries(three.backwards(place), 700):
        place = retreated(place, piece)
        pieces[:0] = reversed(piece)
    assert place == three.start
    assert sorted(pieces, key=lambda one: (one.source, one.at)) == sorted(whole, key=lambda one: (one.source, one.at))
    onwards: list[Entry] = []
    while piece := entries(three.forwards(place), 700):
        place = advanced(place, piece)
        onwards += piece
    assert onwards == whole
    assert place == three.end


def test_a_time_is_a_place_in_all_of_them(three: Logs) -> None:
    place = three.find_time(1000.0 + 3210)
    assert said(entries(three.forwards(place), 3)) == ["0:3210", "1:3211", "0:3212"]
    assert said(entries(three.backwards(place), 2)) == ["1:3209", "0:3208"]
    entry = entries(three.forwards(place), 2)[1]
    assert three.place_of(entry) == three.find_time(1000.0 + 3211)


def test_only_wanted_lines_and_how_far_it_was_looked(three: Logs) -> None:
    def keep(block: bytes, head: object) -> list[tuple[int, int]]:
        at = block.find(b"0:4444")
        start = block.rfind(b"\n", 0, at) + 1
        return [(start, block.find(b"\n", at))] if at >= 0 else []

    reached: dict[int, int] = {}
    wanted = []
    for step in three.backwards(three.end, keep):
        if isinstance(step, Passed):
            reached[step.source] = step.at
        else:
            wanted.append(step)
    assert said(wanted) == ["0:4444"]
    assert tuple(reached[n] for n in range(3)) == three.start


def level_keep(wanted: str) -> Keep:
    finder = Finder(parse_query(wanted))
    return lambda block, head: finder.spans(block, head())


def traces(turns: int) -> str:
    """What two streams print in turns: lines that tell a level, and some that go on with it."""
    out = []
    for turn in range(turns):
        trouble = f"ERROR {turn}" if turn % 40 == 0 else f"  at {turn}" if turn % 40 < 20 else f"WARN {turn}"
        for stream, text in (("stdout", f"INFO {turn}" if turn % 3 == 0 else f"  on {turn}"), ("stderr", trouble)):
            out.append(json.dumps({"t": 1000.0 + turn, "s": stream, "m": text}) + "\n")
    return "".join(out)


@pytest.mark.parametrize("size", [100, 777, 5_000, 1 << 20])
def test_lines_that_go_on_with_a_level_are_found_wherever_blocks_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(merge, "LOOKED_THROUGH", size)
    monkeypatch.setattr(merge, "SMALLEST", size)
    printed, path = traces(400), tmp_path / "log"
    half = printed.index("\n", 20_000) + 1
    (tmp_path / "log.1").write_text(printed[:half])
    path.write_text(printed[half:])
    logs = Logs([Log(str(path))])
    wanted = [f"{'ERROR' if turn % 40 == 0 else '  at'} {turn}" for turn in range(400) if turn % 40 < 20]
    keep = level_keep("level:error")
    assert said(entries(logs.forwards(logs.start, keep))) == wanted
    assert said(entries(logs.backwards(logs.end, keep))) == wanted[::-1]


def test_lines_go_on_with_a_level_that_comes_before_what_is_followed(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(line(1, "ERROR it broke"))
    logs = Logs([Log(str(path))])
    seen = logs.end
    with path.open("a") as file:
        file.write(line(2, "  at main.c:1"))
    logs.refresh()
    assert said(entries(logs.forwards(seen, level_keep("level:error")))) == ["  at main.c:1"]
    assert said(entries(logs.forwards(seen, level_keep("level:fatal")))) == []


def test_a_level_reaches_as_far_in_either_direction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log"
    path.write_text(line(0, "ERROR") + "".join(line(number, "x" * 100) for number in range(2000)))
    logs, keep = Logs([Log(str(path))]), level_keep("level:error")
    found = []
    for size in (1_000, 50_000, 1 << 20):
        monkeypatch.setattr(merge, "LOOKED_THROUGH", size)
        monkeypatch.setattr(merge, "SMALLEST", size)
        found.append(entries(logs.forwards(logs.start, keep)))
        found.append(entries(logs.backwards(logs.end, keep))[::-1])
    assert all(one == found[0] for one in found)
    assert REACH - 200 < found[0][-1].at < REACH + 200


def test_a_clock_that_was_set_back_changes_no_log_s_order(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(line(10) + line(11) + line(5) + line(6) + line(12))
    other = tmp_path / "other"
    other.write_text(line(7, "other"))
    logs = Logs([Log(str(path)), Log(str(other))])
    own = ["line 10", "line 11", "line 5", "line 6", "line 12"]
    onwards = said(entries(logs.forwards(logs.start)))
    back = said(entries(logs.backwards(logs.end)))[::-1]
    for seen in (onwards, back):
        assert [text for text in seen if text != "other"] == own
        assert "other" in seen


def test_bytes_between_two_places(three: Logs) -> None:
    end: Place = three.end
    assert three.between(three.start, end) == sum(end)
    assert three.between(end, three.start) == 0


def test_the_strip_looks_for_a_moment_once_and_again_where_lines_came_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [tmp_path / "one", tmp_path / "two"]
    paths[0].write_text("".join(line(number) for number in range(100)))
    paths[1].write_text("".join(line(number, f"other {number}") for number in range(40)))
    strip = Strip((("1", "one"), ("2", "two")), Logs([Log(str(path)) for path in paths]))
    find, asked = Logs.find_time, []
    monkeypatch.setattr(Logs, "find_time", lambda self, when: asked.append(when) or find(self, when))
    news = strip.read(1050.0)
    assert news is not None
    assert (news.lines[-1][1].text, news.until) == ("line 49", 1050.0)
    for _ in range(25):
        strip.read(1050.0)
    assert strip.read(1050.0) is None
    assert asked == [1050.0]
    with open(paths[0], "a") as file:
        file.write(line(100))
    assert strip.read(1050.0) is None
    assert asked == [1050.0], "its place in that log is settled"
    with open(paths[1], "a") as file:
        file.write(line(49.5, "late"))
    news = strip.read(1050.0)
    assert news is not None
    assert news.lines[-1][1].text == "late"
    assert asked == [1050.0] * 2
    strip.close()
