"""Recordings: what is written, what is read, and how it is played."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from pyctr_engine.errors import EngineError, InvalidValue
from pyctr_tui.cli.main import main
from pyctr_tui.dialogs.replay import Player
from pyctr_tui.terminal import asciicast
from pyctr_tui.terminal.asciicast import Event, Header, Recorder

HEADER = '{"version": 2, "width": 20, "height": 4}\n'


def test_what_is_recorded_is_read_again(tmp_path: Path) -> None:
    path = str(tmp_path / "deep" / "a.cast")
    recorder = Recorder(path, 20, 4, "evil\x1b]0;t\x07", "first")
    recorder.output("h\u00e4".encode()[:2])
    recorder.output("h\u00e4".encode()[2:] + b"\x1b[31m")
    recorder.resized(30, 5)
    recorder.close()
    header, events = asciicast.read(path)
    assert (header.columns, header.rows) == (20, 4)
    assert "\x1b" not in header.title
    assert [(event.kind, event.data) for event in events] == [
        ("o", "first"),
        ("o", "h"),
        ("o", "\u00e4\x1b[31m"),
        ("r", "30x5"),
    ]
    assert all(line.isascii() for line in Path(path).read_text().splitlines())
    with pytest.raises(EngineError, match=r"a\.cast"):
        Recorder(path, 20, 4, "")


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "link.cast").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(EngineError):
        Recorder(str(tmp_path / "link.cast"), 20, 4, "")
    assert not (tmp_path / "elsewhere").exists()


def test_a_full_disk_ends_the_recording_only(tmp_path: Path) -> None:
    recorder = Recorder(str(tmp_path / "a.cast"), 20, 4, "")
    os.close(recorder._file.fileno())
    recorder.output(b"x" * 100_000)
    recorder.output(b"x" * 100_000)
    assert recorder.failed
    recorder.close()


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("", ":1:"), ("nonsense\n", ":1:"), ('{"version": 1}\n', ":1:"), ("[]\n", ":1:"), ("[" * 100_000, ":1:"),
        (HEADER + "nonsense\n", ":2:"), (HEADER + '["a", "o", "x"]\n', ":2:"), (HEADER + "[1]\n[2]\n", ":2:"),
    ],
)  # fmt: skip
def test_what_is_no_recording_is_refused_with_its_place(text: str, where: str, tmp_path: Path) -> None:
    (tmp_path / "a.cast").write_text(text)
    with pytest.raises(InvalidValue, match=where):
        asciicast.read(str(tmp_path / "a.cast"))


def test_one_that_was_cut_off_is_played_up_to_there(tmp_path: Path) -> None:
    (tmp_path / "a.cast").write_text(HEADER + '[0.5, "o", "hello"]\n[0.6, "o", "wor')
    assert asciicast.read(str(tmp_path / "a.cast"))[1] == [Event(0.5, "o", "hello")]


def test_only_output_and_sizes_are_played(tmp_path: Path) -> None:
    kinds = ("o", "i", "", "or", "m", "r", "x")
    (tmp_path / "a.cast").write_text(HEADER + "".join(f'[{at}, "{kind}", "9x9"]\n' for at, kind in enumerate(kinds)))
    assert asciicast.read(str(tmp_path / "a.cast"))[1] == [Event(0.0, "o", "9x9"), Event(5.0, "r", "9x9")]


def test_an_event_without_an_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asciicast, "MOST_LINE", 60)
    path, longest = tmp_path / "a.cast", json.dumps([2.0, "o", "x" * 45]) + "\n"
    path.write_text(HEADER + longest)
    assert len(longest) == 60
    assert asciicast.read(str(path))[1] == [Event(2.0, "o", "x" * 45)]
    for end in ("\n", ""):
        path.write_text(HEADER + '[1.0, "o", "x"]\n' + longest.rstrip() + "  " + end)
        with pytest.raises(InvalidValue, match=":3:"):
            asciicast.read(str(path))


def test_names_of_recordings_are_harmless() -> None:
    assert asciicast.fresh_path("/x", "../a b\x1b", 0).startswith("/x/_a_b_-")
    assert asciicast.folder({"XDG_STATE_HOME": "relative", "HOME": "/h"}) == "/h/.local/state/pyctr-tui/recordings"


def player(*events: Event, idle: float = 0.0) -> Player:
    return Player(Header(20, 4, "", idle), events)


def test_it_is_played_in_its_time_with_pauses_shortened() -> None:
    playing = player(Event(0.5, "o", "one "), Event(100.0, "o", "two "), Event(100.5, "r", "30x3"))
    assert playing.length == pytest.approx(3.0)
    playing.advance(1.0)
    assert playing.emulator.text()[0] == "one"
    playing.advance(1.6)
    assert playing.emulator.text()[0] == "one two"
    playing.advance(10)
    assert playing.is_over
    assert playing.emulator.size == (30, 3)
    playing.seek(1.0)
    assert playing.emulator.text()[0] == "one"
    assert playing.emulator.size == (20, 4)


def test_a_flood_in_a_recording_takes_its_time() -> None:
    playing = player(Event(0.0, "o", "y\r\n" * 200_000), Event(0.1, "o", "end"))
    playing.advance(5.0, budget=0.005)
    assert not playing.is_over
    while not playing.is_over:
        playing.advance(1.0, budget=1.0)
    assert playing.emulator.text()[-1] == "end"


def test_speeds() -> None:
    playing = player()
    for _ in range(20):
        playing.faster(1)
    assert playing.speed == 16
    for _ in range(20):
        playing.faster(-1)
    assert playing.speed == 0.25


def test_the_command_refuses_without_a_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.cast"
    path.write_text(HEADER + json.dumps([0, "o", "x"]) + "\n")
    assert main(["replay", str(path)]) != 0
    assert "terminal" in capsys.readouterr().err
    assert main(["replay", "--speed", "-1", str(path)]) != 0
    assert "not a sensible number" in capsys.readouterr().err
    assert main(["replay", str(tmp_path / "none")]) != 0
    assert "none" in capsys.readouterr().err
