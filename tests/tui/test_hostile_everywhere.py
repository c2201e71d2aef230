"""Nothing a stranger wrote gets through any widget: all panes, pages and dialogs there are, and stock widgets too."""

from __future__ import annotations

import importlib
import os
import pkgutil
import re
import select
import signal
import time
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.text import Text
from textual.color import Color
from textual.screen import Screen
from textual.strip import Strip
from textual.widgets import DataTable, Input, Label, OptionList, Static, TextArea, Tree

import pyctr_tui
from pyctr_engine.errors import Conflict
from pyctr_engine.model.progress import Progress
from pyctr_tui.dialogs.confirm import Choice, ConfirmDialog
from pyctr_tui.dialogs.form import Field, FormDialog
from pyctr_tui.dialogs.job import JobDialog
from pyctr_tui.dialogs.leaving import LeavingDialog
from pyctr_tui.dialogs.limits import LimitsDialog
from pyctr_tui.dialogs.menu import Item, MenuDialog
from pyctr_tui.dialogs.replay import ReplayDialog
from pyctr_tui.feed import Happened
from pyctr_tui.jobs import Job
from pyctr_tui.pages import PAGES
from pyctr_tui.safe_text import safe
from pyctr_tui.screens.editor import EditorScreen
from pyctr_tui.screens.plain import PlainScreen
from pyctr_tui.terminal.asciicast import Event, Header
from pyctr_tui.view import event_view
from pyctr_tui.widgets.pane import Pane
from tests.tui.harness import Running, running
from tests.tui.hostile import CORPUS, harmless
from tests.tui.hostile_engine import AllHostile
from tests.tui.test_terminal import Terminal

TEXTS = ("".join(CORPUS[:12]), "".join(CORPUS[12:19]), "x" * 300 + "\x9b\u202e", "")
OWN = re.compile(
    rb"\x1b\[[0-9;]*[Hm]|\x1b\[\?[0-9;]+[hl]|\x1b\[\?[0-9;]+\$p|\x1b\[c|\x1b\[[><=][0-9;]*u|\x1b\[\?u|\x1b\[[0-9]*[JK]"
    rb"|\x1b\]22;default\x07"
)
"""Every sequence of the program itself: places, colours, modes, questions, the pointer; no title or clipboard."""


def every_pane() -> set[type[Pane]]:
    """All kinds of panes that paint, of all modules there are."""
    for module in pkgutil.walk_packages(pyctr_tui.__path__, "pyctr_tui."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found: set[type[Pane]] = set()
    waiting: list[type[Pane]] = [Pane]
    while waiting:
        for kind in waiting.pop().__subclasses__():
            waiting.append(kind)
            if kind.__module__.startswith("pyctr_tui."):
                found.add(kind)
    return {kind for kind in found if not any(other is not kind and issubclass(other, kind) for other in found)}


class Seen:
    """Looks at all that panes paint, before any net."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.kinds: set[type[Pane]] = set()
        self.faults: list[str] = []
        paint = Pane._paint_all

        def painted(pane: Pane) -> list[Strip]:
            strips = paint(pane)
            if strips:
                self.kinds.add(type(pane))
            for strip in strips:
                if not harmless(strip.text) or cell_len(strip.text) != pane.size.width:
                    self.faults.append(f"{type(pane).__name__}: {strip.text.strip()[:160]!r}")
            return strips

        monkeypatch.setattr(Pane, "_paint_all", painted)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    return Seen(monkeypatch)


async def close(it: Running) -> None:
    while len(it.app.screen_stack) > 1:
        it.app.pop_screen()
        await it.pilot.pause()


async def every_page(it: Running) -> None:
    for name in PAGES:
        it.app.home.action_view(name)
        await it.settle()
        for key in ("enter", "j", "tab", "enter", "G", "escape", "tab", "enter"):
            await it.press(key)
        await close(it)
        for key in ("D", "escape", "b", "escape"):
            await it.press(key)
            await close(it)
        it.app.home.leave_page()
        await it.settle()


async def every_dialog(it: Running, text: str, file: Path) -> None:
    app = it.app
    job = Job(safe(text), safe(text), 0.0, True)
    job.report(Progress(text, text, 1, 2))
    job.take_steps(1.0)
    job.said = safe(text)
    container = app.store.containers[0]
    choice = Choice("c", safe(text), (safe(text), "b"))
    events = [Event(0.0, "o", text), Event(0.0, "o", "\x1b[1;1H" + text)]
    replay = ReplayDialog(Header(70, 20, safe(text), 0.0), events)
    for dialog in (
        ConfirmDialog(safe(text), [safe(text)] * 3, "go", (choice,), safe(text)),
        FormDialog(safe(text), (Field("a", safe(text), text, safe(text)),), "go", (safe(text),), cli=lambda _: text),
        JobDialog(job, lambda: 1.0, lambda _: None, lambda _: None),
        LeavingDialog([job]),
        LimitsDialog(app, container),
        replay,
        MenuDialog(safe(text), [Item(safe(text), safe(text), "x", lambda: None)]),
        PlainScreen(app, [safe(text)] * 3),
        EditorScreen(app, str(file), text),
    ):
        app.push_screen(dialog)
        await it.pilot.pause()
        if dialog is replay:
            replay.player.advance(1.0)
        dialog.refresh()
        await it.pilot.pause(0.05)
        for pane in dialog.query(Pane):
            pane.repaint()
        await close(it)


def refuse_everything(engine: AllHostile, text: str) -> None:
    """Every question is answered by an error that says what the stranger wrote."""

    def refuse(*_: object, **__: object) -> None:
        raise Conflict(text, text)

    for name in ("plan", "doctor", "volumes", "networks", "disk_usage", "processes", "inspect", "layers", "changes",
                 "stacks", "events", "start_trace", "checkpoints", "containers", "why", "log_file"):  # fmt: skip
        assert callable(getattr(engine, name))
        setattr(engine, name, refuse)
    for name in ("tree", "changes", "versions", "efficiency", "read", "directory", "compare", "text_difference"):
        assert callable(getattr(engine.explore, name))
        setattr(engine.explore, name, refuse)


@pytest.mark.parametrize("text", TEXTS, ids=("controls", "scripts", "long", "empty"))
async def test_no_pane_paints_what_does_more_than_stand_in_its_cell(text: str, seen: Seen, tmp_path: Path) -> None:
    engine = AllHostile(text, str(tmp_path))
    async with running(200, 60, engine=engine, past=False) as it:
        it.app._filters.clear()
        it.app.home.deliver([Happened(tuple(event_view(event) for event in engine._past))])
        for key in (*"23456789", "escape", "1"):
            await it.press(key)
            await close(it)
        it.app.home.term.repaint()
        for key in ("question_mark", "colon", "C", "M", "K", "d", "r", "I", "m", "Y"):
            it.app.home.action_pane("containers")
            await it.press(key)
            await close(it)
        await every_dialog(it, text, tmp_path / "stack.yaml")
        await every_page(it)
        if text == TEXTS[0]:
            refuse_everything(engine, text)
            await it.press("R")
            await every_page(it)
        for width, height in ((80, 24), (120, 36)):
            await it.pilot.resize_terminal(width, height)
            await it.settle()
        assert not seen.faults, "\n".join(sorted(set(seen.faults))[:20])
    missing = every_pane() - seen.kinds if text == TEXTS[0] else None
    assert not missing, f"this test never sees {sorted(kind.__name__ for kind in missing)}: have it opened here"


@pytest.mark.parametrize("text", TEXTS[:2], ids=("controls", "scripts"))
async def test_stock_widgets_are_drawn_through_the_net(text: str) -> None:
    """Whoever adds one of Textual's own and forgets: what reaches the terminal is harmless all the same."""
    async with running(80, 24) as it:
        area = TextArea(text)
        tree: Tree[None] = Tree("root")
        tree.root.add_leaf(Text(text.replace("\n", " ")))
        tree.root.expand()
        table: DataTable[Text] = DataTable()
        table.add_column("x")
        table.add_row(Text(text))
        it.app.notify(text.replace("[", "("), markup=False)
        for widget in (
            Static(text, markup=False),
            Label(text, markup=False),
            Input(text),
            OptionList(text.replace("[", "(")),
            area,
            tree,
            table,
        ):
            widget.styles.width, widget.styles.height = 78, 3
            screen: Screen[None] = Screen()
            it.app.push_screen(screen)
            await it.pilot.pause()
            await screen.mount(widget)
            await it.pilot.pause()
            shown = 0
            for strip in screen._compositor.render_strips():
                for net in it.app._filters:
                    strip = strip.apply_filter(net, Color(0, 0, 0))
                assert harmless(strip.text), (type(widget).__name__, strip.text)
                shown += bool(strip.text.strip())
            assert shown, type(widget).__name__
            it.app.pop_screen()
            await it.pilot.pause()


HOSTILE = """\
import sys
from pyctr_tui.app import run_app
from tests.tui.hostile_engine import AllHostile
from tests.tui.hostile import CORPUS
sys.exit(run_app(AllHostile("".join(CORPUS[:19]), sys.argv[1])))
"""


@pytest.mark.parametrize("environ", [{}, {"TERM": "linux", "COLORTERM": ""}, {"PYCTR_ASCII": "1"}])
def test_a_real_terminal_gets_our_own_sequences_alone(environ: dict[str, str], tmp_path: Path) -> None:
    terminal = Terminal("-c", HOSTILE, str(tmp_path), rows=50, columns=170, TMPDIR=str(tmp_path), **environ)
    try:
        terminal.read_until(b"c3RvbGVu", b"palette")
        for key in (*"2356789", "\x1b", "1", "S", "V", "W", "v", "P", "F", "H", "J", "U", "1", ":"):
            os.write(terminal.master, key.encode())
            time.sleep(0.15)
            read_what_is_there(terminal)
        os.kill(terminal.pid, signal.SIGTERM)
        assert terminal.wait() == 128 + signal.SIGTERM
        assert terminal.is_sane()
        text = OWN.sub(b"", terminal.seen).decode()
        faults = {repr(part[-200:]) for part in re.split(r"\r*\n", text) if not harmless(part)}
        assert not faults, sorted(faults)[:5]
    finally:
        terminal.close()


def read_what_is_there(terminal: Terminal) -> None:
    while select.select([terminal.master], [], [], 0)[0]:
        terminal.seen += os.read(terminal.master, 65536)
