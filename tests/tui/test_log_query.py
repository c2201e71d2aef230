"""Which lines are wanted, what they say of themselves, and the child that looks for them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pyctr_engine
import pyctr_tui
from pyctr_engine.runtime.logs import LogWriter, Rotation
from pyctr_tui.logs import matcher as child
from pyctr_tui.logs.level import Level, level_of, record_of
from pyctr_tui.logs.matching import Matcher, TooSlow, Unwanted
from pyctr_tui.logs.query import BadQuery, Finder, Query, parse_query, required_literal, text_query


@pytest.mark.parametrize(
    ("text", "level", "word"),
    [
        ("2026-01-01 ERROR it broke", Level.ERROR, "ERROR"),
        ("2026/01/01 [warn] 12#0: slow", Level.WARN, "warn"),
        ("[Error] it broke", Level.ERROR, "Error"),
        ("<info> up", Level.INFO, "info"),
        ('time=1 level=warning msg="slow"', Level.WARN, "warning"),
        ("severity: critical", Level.FATAL, "critical"),
        ("E0102 15:04:05.123 main.go:1] no", Level.ERROR, "E"),
        ("I0102 15:04:05.123 main.go:1] yes", Level.INFO, "I"),
        ("panic: runtime error", Level.FATAL, "panic"),
        ("main.c:12: error: no such thing", Level.ERROR, "error"),
        ("Traceback (most recent call last):", Level.ERROR, "Traceback (most recent call last)"),
        ("ValueError: no", Level.ERROR, "ValueError"),
        ('10.0.0.1 - - [1/Jan] "GET / HTTP/1.1" 502 12', Level.ERROR, "502"),
        ('10.0.0.1 - - [1/Jan] "GET / HTTP/1.1" 404 12', Level.WARN, "404"),
        ('10.0.0.1 - - [1/Jan] "GET / HTTP/1.1" 200 12', Level.NONE, ""),
        ("10.0.0.1 POST /x HTTP/2 503 1ms", Level.ERROR, "503"),
        ("no errors today, terror neither", Level.NONE, ""),
        ("DEBUG detail", Level.DEBUG, "DEBUG"),
        ("x" * 1000 + " ERROR", Level.NONE, ""),
    ],
)
def test_levels_are_seen_as_programs_write_them(text: str, level: Level, word: str) -> None:
    found, start, end = level_of(text)
    assert (found, text[start:end]) == (level, word)


@pytest.mark.parametrize(
    ("fields", "level", "text"),
    [
        ({"level": "error", "msg": "it broke", "code": 7}, Level.ERROR, "error it broke code=7"),
        ({"level": 40, "time": 12, "msg": "slow", "pid": 3}, Level.WARN, "warn slow pid=3"),
        ({"severity": "INFO", "message": "up", "a": "b c"}, Level.INFO, 'info up a="b c"'),
        ({"event": "up", "n": {"x": [1]}}, Level.NONE, 'up n={"x":[1]}'),
        ({"level": "loud", "msg": "hey"}, Level.NONE, "loud hey"),
        ({"message": "no", "level": 400, "level_name": "ERROR"}, Level.ERROR, "error no level=400"),
        ({"msg": "gelf", "level": 3}, Level.ERROR, "error gelf"),
        ({"msg": "", "ok": True, "e": ""}, Level.NONE, ' ok=true e=""'),
    ],
)
def test_json_lines_are_read_as_records(fields: dict[str, object], level: Level, text: str) -> None:
    record = record_of(json.dumps(fields))
    assert record is not None
    assert (record.level, record.text) == (level, text)


@pytest.mark.parametrize("text", ["{}", '{"a": 1}', "[1]", "{broken}", '{"msg": 3}', "plain", '{"level": [1]}'])
def test_other_lines_are_no_records(text: str) -> None:
    assert record_of(text) is None


def test_what_is_typed_is_understood() -> None:
    assert parse_query("") == Query()
    assert not parse_query("  ")
    assert parse_query("time.*out") == Query("time.*out")
    assert parse_query("!^GET ") == Query("^GET", leave_out=True)
    assert parse_query("level:warn stream:stderr oops") == Query("oops", False, Level.WARN, "stderr")
    assert parse_query("level:ERROR") == Query(level=Level.ERROR)
    for bad, why in (
        ("a(b", "no regular expression: missing ), unterminated subpattern at 2"),
        ("level:loud", "no level is called “loud”: trace, debug, info, warn, error, fatal"),
        ("stream:both", "a stream is stdout or stderr"),
        ("(" * 3000, "no regular expression"),
    ):
        with pytest.raises(BadQuery) as caught:
            parse_query(bad)
        assert str(caught.value).startswith(why)


@pytest.mark.parametrize(
    ("pattern", "literal"),
    [
        ("timeout", "timeout"),
        ("time.*longest", "longest"),
        (r"^GET /api/\d+$", "GET /api/"),
        ("colou?r", "colo"),
        ("ab*c", "a"),
        ("x{2}yz", "yz"),
        (r"10\.0\.0\.1", "10.0.0.1"),
        ("(a|b)cde", "cde"),
        ("[abc]def]", "def]"),
        ("a|b", ""),
        ("error {|panic", ""),
        ("{a}bc", "{a}bc"),
        ("(?i)foo", ""),
        (r"\x41bc", ""),
        ("", ""),
    ],
)
def test_the_text_that_every_match_has_in_it(pattern: str, literal: str) -> None:
    assert required_literal(pattern) == literal


PIECES = st.sampled_from(
    ["a", "b", "ab", "foo", "A", " ", "é", "ſ", "K", ".", ".*", "a*", "b?", "(a|b)", "(ab)?", "[ab]", "[^a]", "zq",
     "|", "{", "}", "{a|b}", r"\d", r"\.", r"\w+", "^", "$", r"\b", "x{2}", '"', r"\\", "(?:ab)", "o+", "\t",
     "\x1b[1m", "1", "k", "s"]
)  # fmt: skip
TEXTS = st.lists(
    st.sampled_from(
        [
            "a",
            "b",
            "foo",
            "F",
            " ",
            "\t",
            "é",
            "ſ",
            "K",
            "\x1b[1m",
            '"',
            "\\",
            "\r",
            "x",
            "1",
            ".",
            "k",
            "q",
            "z",
            "{",
            "}",
        ]
    ),
    max_size=8,
).map("".join)


@given(st.lists(PIECES, max_size=5).map("".join), st.lists(TEXTS, min_size=1, max_size=6), st.booleans())
def test_passing_over_blocks_loses_no_line(
    tmp_path_factory: pytest.TempPathFactory, pattern: str, printed: list[str], by_monitor: bool
) -> None:
    try:
        finder = Finder(Query(pattern))
    except BadQuery:
        return
    data = b"".join(written(text, tmp_path_factory) if by_monitor else made(text) for text in printed)
    expected, at = [], 0
    for raw in data.split(b"\n")[:-1]:
        if finder.fits(raw):
            expected.append((at, at + len(raw)))
        at += len(raw) + 1
    assert finder.spans(data) == expected


def made(text: str) -> bytes:
    return json.dumps({"t": 1.0, "s": "stdout", "m": text}).encode() + b"\n"


def written(text: str, factory: pytest.TempPathFactory) -> bytes:
    """As the monitor writes it."""
    directory = factory.mktemp("log")
    writer = LogWriter(str(directory), Rotation(1 << 20, 1))
    writer.write("stdout", text.encode() + b"\n", 1.0)
    writer.close()
    with open(writer.path, "rb") as file:
        return file.read()


def block(*texts: str, stream: str = "stdout") -> bytes:
    return b"".join(json.dumps({"t": 1.0, "s": stream, "m": text}).encode() + b"\n" for text in texts)


def picked(found: Finder | Matcher, data: bytes) -> list[str]:
    spans = found(data) if isinstance(found, Matcher) else found.spans(data)
    return [json.loads(data[start:end])["m"] for start, end in spans]


def test_what_is_matched_is_what_is_shown() -> None:
    data = block("\x1b[31mERR\x1b[0mOR: red", "tab\there", "pro\rgress", "Übergröße", 'say "hi"', "stdout")
    data += block('{"level":"warn","msg":"slow","code":7}', "10€ ſale")
    for typed, found in (
        ("error: red", ["\x1b[31mERR\x1b[0mOR: red"]),
        ("^tab     here$", ["tab\there"]),
        ("^gress", ["pro\rgress"]),
        ("^ÜBERGRÖSSE|übergröße", ["Übergröße"]),
        ('"hi"', ['say "hi"']),
        ("^stdout$", ["stdout"]),
        ("warn slow code=7", ['{"level":"warn","msg":"slow","code":7}']),
        ('"code":7', ['{"level":"warn","msg":"slow","code":7}']),
        ("10€|ſale", ["10€ ſale"]),
        ("nothing", []),
    ):
        assert picked(Finder(parse_query(typed)), data) == found, typed


def test_levels_streams_and_what_to_leave_out() -> None:
    data = block("INFO up", "WARN slow", '{"level":"error","msg":"broke"}', "plain")
    data += block("ERROR x", stream="stderr")
    assert picked(Finder(parse_query("level:warn")), data) == [
        "WARN slow", '{"level":"error","msg":"broke"}', "plain", "ERROR x",
    ]  # fmt: skip
    trace = block("INFO up", "ERROR it broke", "  at main.c:1", "caused by that", "INFO on")
    assert picked(Finder(parse_query("level:error")), trace) == ["ERROR it broke", "  at main.c:1", "caused by that"]
    assert picked(Finder(parse_query("level:error main")), trace) == ["  at main.c:1"]
    on = block("  at main.c:2", "INFO on", "  on")
    assert picked(Finder(parse_query("level:error")), on) == []
    assert Finder(parse_query("level:error")).spans(on, trace[: trace.rfind(b"\n", 0, -1) + 1]) == [
        (0, on.find(b"\n"))
    ]
    assert picked(Finder(parse_query("stream:stderr")), data) == ["ERROR x"]
    assert picked(Finder(parse_query("!warn|info")), data)[-1] == "ERROR x"
    assert picked(Finder(parse_query("level:error !broke")), data) == ["plain", "ERROR x"]


# -- the child ------------------------------------------------------------------------------------------------------


def test_the_child_finds_what_the_finder_finds() -> None:
    data = block(*(f"line {number}" for number in range(3000)))
    matcher = Matcher(text_query("LINE 7"))
    try:
        assert picked(matcher, data) == [f"line {n}" for n in range(3000) if str(n).startswith("7")]
        assert matcher(b"") == []
        assert picked(matcher, block("line 70")) == ["line 70"]
    finally:
        matcher.close()


def test_the_child_is_told_what_comes_before_a_block() -> None:
    matcher, data = Matcher(parse_query("level:error")), block("  at main.c:1", "INFO on")
    try:
        assert matcher(data) == []
        assert matcher(data, lambda: block("ERROR it broke")) == [(0, data.find(b"\n"))]
    finally:
        matcher.close()


RUNAWAY = r"^(\w+\s?)*[!]$"


def test_a_pattern_that_takes_for_ever_is_ended() -> None:
    matcher = Matcher(parse_query(RUNAWAY))
    began = time.monotonic()
    with pytest.raises(TooSlow, match="too slow: a simpler pattern helps"):
        matcher(block("a" * 60 + "?"))
    assert time.monotonic() - began < child.LIMIT + 5
    matcher.close()


def test_what_is_no_longer_wanted_is_given_up_at_once() -> None:
    until = time.monotonic() + 0.3
    matcher = Matcher(parse_query(RUNAWAY), lambda: time.monotonic() < until)
    with pytest.raises(Unwanted):
        matcher(block("a" * 60 + "?"))
    assert time.monotonic() - until < 2
    assert not [one for one in psutil.Process().children() if "logs.matcher" in " ".join(one.cmdline())]


def test_a_child_whose_parent_was_killed_ends() -> None:
    program = (
        "from pyctr_tui.logs.matching import Matcher; from pyctr_tui.logs.query import parse_query\n"
        f"m = Matcher(parse_query({RUNAWAY!r})); m._start(); print(m._child.pid, flush=True)\n"
        f"m({block('a' * 60 + '?')!r})"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    matching = psutil.Process(pid)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + child.LIMIT + 10
    while matching.is_running() and matching.status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not matching.is_running() or matching.status() == psutil.STATUS_ZOMBIE


def test_the_child_needs_little_but_the_standard_library() -> None:
    matcher = Matcher(Query("x"))
    process = matcher._start()
    matcher(block("x"))
    mapped = {os.path.basename(one.path) for one in psutil.Process(process.pid).memory_maps()}
    matcher.close()
    assert not [name for name in mapped if re.search("textual|rich|yaml", name)]
    command = [sys.executable, "-I", "-S", "-c"]
    roots = [os.path.dirname(os.path.dirname(str(package.__file__))) for package in (pyctr_tui, pyctr_engine)]
    code = f"import sys; sys.path[:0] = {roots!r}; import pyctr_tui.logs.matcher; print(*sys.modules)"
    loaded = subprocess.run([*command, code], capture_output=True, text=True, check=True).stdout.split()
    ours = {"pyctr_engine", "pyctr_engine.record"}
    assert {name for name in loaded if name.startswith(("textual", "rich", "yaml", "pyctr_engine"))} == ours
    assert "dataclasses" not in loaded
