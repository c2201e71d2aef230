"""Outside text is harmless on the screen, whichever way it comes."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color

from pyctr_engine.model.event import Event
from pyctr_engine.model.host import ProcessInfo
from pyctr_engine.model.image import Change, ImageSummary, LayerInfo
from pyctr_engine.model.progress import Progress
from pyctr_tui.safe_text import MAX_MARKS, safe, safe_log
from pyctr_tui.terminal.filters import AsciiFilter, HarmlessFilter
from pyctr_tui.view import event_view
from tests.tui.fake import START, FakeEngine, digest
from tests.tui.harness import Running, running
from tests.tui.hostile import CORPUS, harmless


@pytest.mark.parametrize("text", CORPUS)
def test_corpus_becomes_harmless(text: str) -> None:
    assert harmless(safe(text))
    assert harmless(safe_log(text))
    safe(text).encode()  # no surrogate is left


@given(st.text())
def test_any_text_becomes_harmless(text: str) -> None:
    shown = safe(text)
    assert harmless(shown)
    shown.encode()
    assert safe(shown) == shown
    assert harmless(safe_log(text))


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126)))
def test_plain_text_stays_as_it_is(text: str) -> None:
    assert safe(text) == text


def test_living_languages_stay_readable() -> None:
    for text in ("Grüße", "日本語", "привет", "café", "e\u0301"):
        assert safe(text) == text
    assert safe("e" + "\u0301" * 9) == "e" + "\u0301" * MAX_MARKS


def test_controls_are_seen() -> None:
    assert safe("a\x1b[2Jb\x07") == "a␛[2Jb␇"


def test_log_colours_are_dropped_and_progress_bars_show_their_last_state() -> None:
    assert safe_log("\x1b[1;31merror\x1b[0m done") == "error done"
    assert safe_log("10%\r50%\r100%") == "100%"
    assert safe_log("a\tb") == "a       b"


@pytest.mark.parametrize("text", CORPUS)
def test_the_net_keeps_widths(text: str) -> None:
    for net in (HarmlessFilter(), AsciiFilter()):
        harmless_first = HarmlessFilter().apply([Segment(text)], Color(0, 0, 0))
        for segment in net.apply(harmless_first, Color(0, 0, 0)):
            assert harmless(segment.text)
            assert cell_len(segment.text) == cell_len(harmless_first[0].text)


def test_the_net_drops_control_segments() -> None:
    hostile = Segment("\x1b[2J", None, [(1, 2)])  # type: ignore[list-item]
    assert HarmlessFilter().apply([hostile, Segment("ok")], Color(0, 0, 0)) == [Segment("ok")]


class HostileEngine(FakeEngine):
    """Everything a stranger can name is named with ``text``."""

    def __init__(self, text: str, logs: str) -> None:
        super().__init__(logs=logs)
        self.text = text
        container = next(iter(self._containers.values()))
        request = replace(container.spec.request, stack=text, service=text)
        spec = replace(
            container.spec,
            name=text,
            image=text,
            argv=(text, text),
            request=request,
            hostname=text,
            labels={text: text},
        )
        status = replace(container.status, error=text)
        self._containers = {container.id: replace(container, spec=spec, status=status)}
        self._images = [
            ImageSummary(
                f"sha256:{digest('x')}", (text,) if text.strip() else (), START, 5, 1, "sha256:" + digest("y")
            )
        ]
        self._past = [
            Event(START - 5, text, text, text, text, {text: text, "exitCode": text, "image": text, "signal": text}),
            Event(START - 5, "container", "die", container.id, text, {"exitCode": text, "image": text}),
        ]
        self.only = container.id

    def layers(self, image: str) -> list[LayerInfo]:
        return [LayerInfo("", "", "", 1, 1, self.text, START, self.text, self.text)]

    def changes(self, ref: str) -> list[Change]:
        return [Change("/" + self.text, "A", 5), Change(self.text, "D")]

    def inspect(self, ref: str) -> dict[str, Any]:
        return {self.text: self.text, "nested": {self.text: [self.text, {self.text: self.text}]}}

    inspect_image = inspect

    def processes(self, ref: str) -> list[ProcessInfo]:
        return [ProcessInfo(1, 0, self.text, self.text or "S", START, 1.0, 1, self.text)]

    def log_file(self, ref: str) -> str:
        path = f"{self.logs_dir}/hostile.jsonl"
        with open(path, "w", errors="replace") as file:
            file.write(json.dumps({"t": START, "s": "stdout", "m": self.text}) + "\n")
            file.write(self.text.replace("\n", " ") + "\n")
        return path

    def commit(self, ref: str, request: Any, progress: Any = None) -> ImageSummary:
        from pyctr_engine.errors import Conflict

        progress(Progress(self.text, self.text, 1, 2))
        raise Conflict(self.text, self.text)


async def every_screen(it: Running) -> None:
    """Go through all panes and dialogs, looking at each."""
    for key in (
        *"12345678",
        "1",
        "7",
        "1",
        "k",
        "j",
        "d",
        "n",
        "K",
        "escape",
        "question_mark",
        "escape",
        "colon",
        "escape",
    ):
        await it.press(key)
        assert_clean(it)
    await it.press("1", "C")
    assert_clean(it)
    await it.press("enter")
    await it.until(lambda: not it.app.screen.pane.busy)  # type: ignore[attr-defined]
    assert_clean(it)
    await it.press("escape", "slash")
    it.app.home.prompt.paste(it.engine.text)  # type: ignore[attr-defined]
    await it.press("a")
    assert_clean(it)


def assert_clean(it: Running) -> None:
    for line in it.lines():
        assert harmless(line), repr(line)
        assert cell_len(line) == it.app.size.width, repr(line)
        line.encode()


GROUPS = (
    "".join(CORPUS[:6]),
    "".join(CORPUS[6:9]),
    "".join(CORPUS[9:12]),
    *CORPUS[12:15],
    "".join(CORPUS[15:20]),
    "",
    " ",
)


@pytest.mark.parametrize("text", GROUPS)
async def test_no_widget_lets_hostile_text_through(text: str, tmp_path: Any) -> None:
    async with running(200, 60, engine=HostileEngine(text, str(tmp_path)), past=False) as it:
        from pyctr_tui.feed import Happened

        it.app._filters.clear()  # without the net: each widget has to be safe by itself
        it.app.home.deliver([Happened(tuple(event_view(event) for event in it.engine._past))])
        it.app.home.notify_line(safe(text))
        await every_screen(it)
        await it.pilot.resize_terminal(80, 24)
        await it.settle()
        assert_clean(it)
