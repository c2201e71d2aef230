"""The settings in the running interface: the page, themes, keys, own commands, menus, copy mode."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from pyctr_engine.errors import Conflict
from pyctr_tui.application import Application
from pyctr_tui.settings.settings import Settings
from pyctr_tui.settings.table import SETTINGS
from pyctr_tui.terminal import host
from tests.tui.fake import START, FakeEngine, prefill
from tests.tui.harness import Running, StillFeed, running
from tests.tui.shells import ShellEngine
from tests.tui.snapshot import check

FILE = """\
key_preset: lazydocker
sort: cpu
keys:
  show_diff: F6
commands:
  container:
    - {name: ports, command: "printf '%s\\\\n' first {name}"}
    - {name: environment, command: "printf 'A=1\\\\nB=2\\\\n'; echo {image}", shows: pager}
    - {name: shell, command: "ls {name}", shows: terminal, runs: container}
    - {name: fails, command: "echo oh no; exit 3"}
    - {name: sleeps, command: "sleep 30"}
    - {name: inside, command: "uptime", runs: container}
  stack:
    - {name: which, command: "echo stack {stack}"}
themes:
  rose: {base: paper, accent: "#a03060"}
"""


@asynccontextmanager
async def configured(
    text: str, folder: Path, width: int = 120, height: int = 36, engine: FakeEngine | None = None
) -> AsyncIterator[Running]:
    """An interface with a settings file."""
    path = folder / "tui.yaml"
    path.write_text(text)
    settings = Settings(str(path), str(folder / "state" / "tui-state.json"))
    settings.read()
    os.environ["TZ"] = "UTC"
    engine = engine or FakeEngine()
    feed = StillFeed(engine, lambda: START)
    app = Application(engine, clock=lambda: START, feed=feed, settings=settings)
    async with app.run_test(size=(width, height)) as pilot:
        it = Running(app, engine, pilot)
        prefill(app.store, engine)
        app.home.deliver([feed.read(), feed.read()])
        await it.settle()
        try:
            yield it
        finally:
            app.leave()


# -- the page -----------------------------------------------------------------------------------------------------


async def test_every_setting_is_on_the_page_with_its_source(tmp_path: Path) -> None:
    async with configured(FILE, tmp_path) as it:
        await it.press("comma")
        text = it.text()
        for setting in SETTINGS:
            assert any(line[1:].strip().startswith(setting.name) for line in it.lines()), setting.name
            assert setting.help[:20] in text
        assert "lazydocker" in text
        assert "the file" in text
        await it.press("comma")
        assert "1 Containers" in it.text()


async def test_a_change_takes_effect_at_once_and_is_remembered(tmp_path: Path) -> None:
    async with configured(FILE, tmp_path) as it:
        await it.press("comma", "space")
        assert it.app.palette.name == "paper"
        assert "theme: paper" in it.text()
        await it.press("j", "enter")
        assert it.text().isascii()
        await it.press("enter", "j", "j", "space")
        assert it.app.keymap.lookup("containers", "d").action == "inspect"  # type: ignore[union-attr]
        assert "until you leave: tui.yaml says lazydocker" in it.text()
        assert "until you quit" in it.text()
        await it.press("d")
        assert it.app.keymap.lookup("containers", "d").action == "remove"  # type: ignore[union-attr]
        await it.press("j", "enter")
        assert "needs a real terminal" in it.text()
    settings = Settings(str(tmp_path / "tui.yaml"), str(tmp_path / "state" / "tui-state.json"))
    settings.read()
    assert settings.value("theme") == "paper"
    assert settings.value("key_preset") == "lazydocker"
    assert (tmp_path / "tui.yaml").read_text() == FILE


async def test_order_and_basis_chosen_by_keys_are_remembered(tmp_path: Path) -> None:
    async with configured("graph_span: 1h\n", tmp_path) as it:
        await it.press("o", "percent_sign", "t")
    settings = Settings("", str(tmp_path / "state" / "tui-state.json"))
    settings.read()
    assert settings.value("sort") != "name"
    assert settings.value("cpu_basis") == "limit"
    assert settings.value("theme") == "paper"


async def test_columns_are_chosen_and_remembered(tmp_path: Path) -> None:
    def titles(it: Running) -> list[str]:
        line = next(line for line in it.lines() if "   NAME" in line)
        return line.lstrip("│").partition("│")[0].split()

    async with configured("", tmp_path, 200, 50) as it:
        assert titles(it) == ["NAME", "IMAGE", "STATE", "CPU", "60s", "CPU", "MEM", "NET", "PORTS"]
        await it.press("vertical_line", "space", "down", "down", "space", "down", "space")  # not image, graph, cpu
        await it.press("enter")
        assert titles(it) == ["NAME", "STATE", "MEM", "NET", "PORTS"]
    async with configured("", tmp_path, 200, 50) as it:
        assert titles(it) == ["NAME", "STATE", "MEM", "NET", "PORTS"]
        await it.press("vertical_line", "space", "down", "down", "space", "down", "space", "enter")
        assert it.app.settings.value("columns") == ()
        assert titles(it)[1] == "IMAGE"
    async with configured("columns: [ports]\n", tmp_path, 60, 30) as it:
        assert titles(it) == ["NAME", "PORTS"]
        await it.press("vertical_line", "space", "enter")
        assert titles(it) == ["NAME", "IMAGE", "PORTS"]
        assert "until you leave: tui.yaml says ports" in it.text()


async def test_that_a_choice_cant_be_remembered_is_told(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file in the way")
    async with configured("", tmp_path) as it:
        await it.press("o")
        assert it.app.store.sort != "name"
        assert "it can't be remembered" in it.text()


async def test_the_file_decides_at_the_beginning(tmp_path: Path) -> None:
    text = "sort: cpu\ncpu_basis: host\ntheme: dracula\ngraph_span: 6h\n"
    async with configured(text, tmp_path) as it:
        assert it.app.store.sort == "cpu"
        assert it.app.store.basis == "host"
        assert it.app.palette.name == "dracula"
        assert it.app.home.graphs.step(60) * 60 * 2 >= 21_600
        names = []
        for _ in range(4):
            await it.press("t")
            names.append(it.app.palette.name)
        assert names == ["night", "paper", "contrast", "dracula"]


async def test_mistakes_are_told_at_the_start_and_on_the_page(tmp_path: Path) -> None:
    async with configured("themo: night\nkeys: {remove: x}\nsort: cpu\n", tmp_path) as it:
        assert "tui.yaml:1:1: there is no setting themo" in it.text()
        assert it.app.store.sort == "cpu"
        await it.press("comma")
        assert "2 wrong in the file" in it.text()
        assert "remove: x is “changes”" in it.text()


async def test_the_file_is_opened_in_the_editor_and_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, ...]] = []

    def edit(application: Application, argv: tuple[str, ...], name: str, pause: bool = False) -> tuple[str, str]:
        seen.append(tuple(argv))
        Path(argv[-1]).write_text("theme: nord\nkeys: {view stacks: F9}\n")
        return "ended", "good"

    monkeypatch.setattr(host, "run", edit)
    monkeypatch.setenv("VISUAL", "ed -p '> '")
    async with configured(FILE, tmp_path) as it:
        await it.press("comma", "e")
        assert seen == [("ed", "-p", "> ", str(tmp_path / "tui.yaml"))]
        assert it.app.palette.name == "nord"
        assert "the settings were read again" in it.text()
        await it.press("f9")
        assert it.app.home.focus_name == "stacks"


@pytest.mark.parametrize(
    ("environ", "argv"),
    [({}, ["vi"]), ({"EDITOR": "nano -w"}, ["nano", "-w"]), ({"VISUAL": "'", "EDITOR": "ed"}, ["ed"])],
)
def test_which_editor(environ: dict[str, str], argv: list[str]) -> None:
    assert host.editor(environ) == argv


# -- keys and themes ----------------------------------------------------------------------------------------------


async def test_footer_help_and_palette_show_the_keys_as_they_are(tmp_path: Path) -> None:
    async with configured("keys: {view stacks: F9, show_logs: F7}\n", tmp_path) as it:
        assert " F7 logs" in it.lines()[-1]
        await it.press("question_mark")
        await it.press("end")
        assert "F9" in it.text()
        await it.press("escape", "colon", *"stacks")
        assert any("stacks" in line and "F9" in line for line in it.lines())


async def test_a_theme_by_its_name_in_the_palette(tmp_path: Path) -> None:
    async with configured(FILE, tmp_path) as it:
        await it.press("colon", *"theme rose", "enter")
        assert it.app.palette.name in ("rose", "rose-pine")
        await it.press("colon", *"theme gruv", "enter")
        assert it.app.palette.name == "gruvbox"
        assert "theme gruvbox" in it.text()


# -- menus --------------------------------------------------------------------------------------------------------


async def test_the_menu_of_the_lazydocker_preset(tmp_path: Path) -> None:
    async with configured(FILE, tmp_path) as it:
        await it.press("x")
        assert "F6" in it.text()
        assert "restart" in it.text()
        await it.press("r")
        await it.until(lambda: any(call[0] == "restart" for call in it.engine.calls))
        await it.press("right_square_bracket")
        assert it.app.home.tab == "logs"
        await it.press("left_square_bracket", "left_square_bracket")
        assert it.app.home.tab == "term"
        await it.press("1", "2", "x")
        assert "push" in it.text()
        await it.press("escape")


async def test_bulk_stops_all_and_leaves_the_marks(tmp_path: Path) -> None:
    async with configured(FILE, tmp_path) as it:
        up = sum(one.is_up for one in it.app.store.containers)
        await it.press("space", "b")
        assert f"the {up} that run" in it.text()
        marks = set(it.app.store.marks)
        await it.press("s")
        assert f"Stops {up} containers" in it.text()
        assert not it.engine.calls
        await it.press("y")
        await it.until(lambda: sum(call[0] == "stop" for call in it.engine.calls) == up)
        assert it.app.store.marks == marks


async def test_show_all_takes_the_filter_away(tmp_path: Path) -> None:
    async with configured("key_preset: k9s\n", tmp_path) as it:
        before = len(it.app.home.containers.items)
        await it.press("slash", *"web", "enter", "A")
        assert len(it.app.home.containers.items) < before
        await it.press("0")
        assert len(it.app.home.containers.items) == before


# -- own commands -------------------------------------------------------------------------------------------------


async def test_own_commands_in_the_background(tmp_path: Path) -> None:
    async with configured(FILE, tmp_path) as it:
        container = it.app.home.containers.container
        assert container is not None
        await it.press("c")
        assert f"For {container.name}" in it.text()
        await it.press("1")
        await it.until(lambda: f"ports: {container.name}" in it.text())
        await it.press("J")
        assert f"✓ printf '%s\\n' first {container.name}" in it.text()
        await it.press("1", "c", "4")
        await it.until(lambda: "fails: exit code 3: oh no" in it.text())


async def test_own_commands_to_read(tmp_path: Path) -> None:
    async with configured(FILE, tmp_path) as it:
        await it.press("c", "j", "enter")
        await it.until(lambda: "A=1" in it.text())
        assert "B=2" in it.text()
        await it.press("escape")
        assert "A=1" not in it.text()


async def test_own_commands_can_be_cancelled(tmp_path: Path) -> None:
    async with configured(FILE, tmp_path) as it:
        await it.press("c", "5")
        await it.until(lambda: any(True for _ in it.app.jobs.running))
        await it.press("ctrl+x")
        await it.until(lambda: "cancelled: sleeps" in it.text())


async def test_own_commands_in_the_container(tmp_path: Path) -> None:
    async with configured(FILE, tmp_path) as it:
        it.engine.fail["exec"] = Conflict("it does not run", "start it")
        await it.press("c", "6")
        await it.until(lambda: "it does not run · start it" in it.text())
        await it.press("c", "3")
        assert "needs a real terminal" in it.text()


async def test_a_cancelled_command_in_the_container_is_ended(tmp_path: Path) -> None:
    engine = ShellEngine()
    async with configured(FILE, tmp_path, engine=engine) as it:
        await it.press("c", "6")
        await it.until(lambda: bool(engine.shells.get("crawler-fetch-1")))
        await it.press("ctrl+x")
        await it.until(lambda: "cancelled: inside" in it.text())
        assert engine.shells["crawler-fetch-1"][0].code == 129


async def test_own_commands_of_a_stack_and_where_there_are_none(tmp_path: Path) -> None:
    async with configured(FILE, tmp_path) as it:
        await it.press("g")
        stack = it.app.home.containers.stack
        assert stack is not None
        await it.press("c", "1")
        await it.until(lambda: f"which: stack {stack.name}" in it.text())
        await it.press("2", "c")
        assert "for an image yet" in it.text()
        await it.press("V", "c")
        assert "for a volume" in it.text()


# -- copy mode ----------------------------------------------------------------------------------------------------


async def test_copy_mode_is_plain_text_over_the_whole_screen() -> None:
    async with running() as it:
        await it.press("ctrl+y")
        await it.until(lambda: it.app.screen is not it.app.home)
        lines = it.lines()
        assert lines[0].lstrip().startswith("NAME")
        assert not any(frame in it.text() for frame in "╭╰│")
        assert "Esc goes back" in lines[-1]
        await it.press("G", "g", "escape")
        assert it.app.screen is it.app.home
        assert not it.app.home.zoomed
        await it.press("P", "ctrl+y")
        await it.until(lambda: it.app.screen is not it.app.home)
        await it.press("escape")
        assert it.app.home.page is not None


# -- pictures -----------------------------------------------------------------------------------------------------

PICTURED = FILE.replace("key_preset: lazydocker", "keys_preset: lazydocker").replace("F6", "Ctrl+I")


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 36), (200, 60)])
async def test_picture_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: int, height: int) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    async with configured(PICTURED, tmp_path, width, height) as it:
        await it.press("comma", "j", "j")
        check(it.picture(), f"settings-{width}x{height}")


async def test_picture_of_the_page_on_paper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    async with configured("theme: paper\n", tmp_path) as it:
        await it.press("comma")
        check(it.picture(), "settings-paper")


@pytest.mark.parametrize("key", ["x", "c", "b"])
async def test_pictures_of_menus(tmp_path: Path, key: str) -> None:
    async with configured(FILE, tmp_path) as it:
        await it.press(key)
        check(it.picture(), f"menu-{key}")


@pytest.mark.parametrize("theme", ["contrast", "nord", "rose"])
async def test_pictures_of_themes(tmp_path: Path, theme: str) -> None:
    async with configured(f"theme: {theme}\nthemes: {{rose: {{base: paper, accent: '#a03060'}}}}\n", tmp_path) as it:
        check(it.picture(), f"theme-{theme}")
