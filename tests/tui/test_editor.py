"""The stack editor: checked as it is typed, the plan beside it, saved and applied."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from pyctr_engine.errors import InvalidStack
from pyctr_engine.model.stack import Action, Stack
from pyctr_tui.screens.editor import EditorScreen, edit
from tests.tui.fake import FakeEngine
from tests.tui.harness import Running, running
from tests.tui.snapshot import check

TEXT = """\
# the shop
name: shop
services:
  web:
    image: nginx:${TAG}
    ports: ["8080:80"]
"""


class Checking(FakeEngine):
    """Finds a text wrong that has a tab or the word ``wrong`` in it; plans one change of three."""

    def check_stack(self, path: str, text: str, name: str = "") -> Stack:
        for number, line in enumerate(text.split("\n"), 1):
            if "wrong" in line:
                column = line.index("wrong") + 1
                raise InvalidStack(f"{path}:{number}:{column}: there is no attribute wrong", "did you mean image?")
        if "$bad" in text:
            raise InvalidStack(".env:3:1: expected NAME=value", "")
        return Stack(name or "shop", path, (), warnings=(f"{path}:5:1: TAG is not set",))

    def load_stack(self, path: str, name: str = "") -> Stack:
        return self.check_stack(path, Path(path).read_text(), name)

    def plan(self, stack: Stack) -> list[Action]:
        return [
            Action("keep", "shop-db-1", "db", "as the file says"),
            Action("recreate", "shop-web-1", "web", "image changed: nginx:1.27 → nginx:1.28"),
            Action("create", "shop-cache-1", "cache", "not there yet"),
        ]

    def up(self, stack: Stack, progress: object = None, pull: str = "", cancel: object = None) -> list[Action]:
        self._note("up", stack.name)
        return []


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stack file, named as pictures show it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop.yaml").write_text(TEXT)
    (tmp_path / "shop.yaml").chmod(0o640)
    return tmp_path / "shop.yaml"


async def opened(it: Running) -> EditorScreen:
    edit(it.app, "shop.yaml")
    await it.until(lambda: isinstance(it.app.screen, EditorScreen))
    await it.until(lambda: "recreate" in it.text())
    screen = it.app.screen
    assert isinstance(screen, EditorScreen)
    return screen


async def test_an_error_is_shown_at_its_place_as_it_is_typed(file: Path) -> None:
    async with running(engine=Checking()) as it:
        screen = await opened(it)
        assert "TAG is not set" in it.text()
        screen.yaml.move_cursor((4, 4))
        await it.pilot.press(*"wrong")
        await it.until(lambda: "line 5, column 5: there is no attribute" in it.text())
        assert "did you mean image?" in it.text()
        assert screen.yaml.problem == (4, 4)
        screen.yaml.move_cursor((0, 0))
        await it.pilot.press("f8")
        assert screen.yaml.cursor_location == (4, 4)
        await it.pilot.press("f5")
        await it.until(lambda: "mend the error first" in it.text())
        await it.pilot.press("end", *["backspace"] * 3)
        assert file.read_text() == TEXT


async def test_saving_keeps_the_mode_and_writes_all(file: Path) -> None:
    async with running(engine=Checking()) as it:
        screen = await opened(it)
        screen.yaml.move_cursor((0, 0))
        await it.pilot.press("x", "ctrl+s")
        await it.until(lambda: "saved shop.yaml" in it.text())
        assert file.read_text() == "x" + TEXT
        assert file.stat().st_mode & 0o777 == 0o640
        assert [found.name for found in file.parent.iterdir() if found.suffix == ".yaml"] == ["shop.yaml"]
        await it.pilot.press("escape")
        await it.until(lambda: it.app.screen is it.app.home)


async def test_what_is_not_saved_is_not_dropped_unasked(file: Path) -> None:
    async with running(engine=Checking()) as it:
        screen = await opened(it)
        await it.pilot.press("x", "escape")
        await it.until(lambda: "is not saved" in it.text())
        await it.pilot.press("n")
        await it.until(lambda: it.app.screen is screen)
        await it.pilot.press("escape", "y")
        await it.until(lambda: it.app.screen is it.app.home)
        assert file.read_text() == TEXT


async def test_applying_saves_and_brings_it_up_after_asking(file: Path) -> None:
    engine = Checking()
    async with running(engine=engine) as it:
        await opened(it)
        await it.pilot.press("f5")
        await it.until(lambda: "Apply shop?" in it.text())
        assert "recreate shop-web-1: image changed" in it.text()
        await it.pilot.press("y")
        await it.until(lambda: ("up", "shop") in engine.calls)
        await it.until(lambda: it.app.screen is it.app.home)


async def test_what_is_applied_is_what_was_confirmed(file: Path) -> None:
    """Typed and applied at once: the plan that is asked about is that of the new text."""
    engine = Checking()
    planned: list[str] = []

    def plan(stack: Stack) -> list[Action]:
        planned.append(screen.yaml.text)
        return [Action("remove", f"shop-{len(planned)}", "web", "no longer in the file")]

    async with running(engine=engine) as it:
        screen = await opened(it)
        engine.plan = plan  # type: ignore[method-assign]
        screen.yaml.move_cursor((0, 0))
        await it.pilot.press("#", "f5")
        await it.until(lambda: "Apply shop?" in it.text())
        assert planned[-1] == "#" + TEXT
        assert "no longer in the file" in it.text()
        assert "loses the files it changed" in it.text()
        assert file.read_text() == TEXT


async def test_who_types_on_does_not_apply(file: Path) -> None:
    """F5 asks when its plan has come; a key before that takes it back."""
    engine = Checking()
    planned: list[str] = []
    may_answer = threading.Event()

    def plan(stack: Stack) -> list[Action]:
        planned.append(screen.yaml.text)
        may_answer.wait(10)
        return [Action("remove", "shop-web-1", "web", "no longer in the file")]

    async with running(engine=engine) as it:
        screen = await opened(it)
        engine.plan = plan  # type: ignore[method-assign]
        await it.pilot.press("f5")
        await it.until(lambda: planned == [TEXT])
        await it.pilot.press("x")
        may_answer.set()
        await it.until(lambda: len(planned) > 1 and not it.app.details._busy)
        assert it.app.screen is screen


async def test_a_stack_of_another_name_stays_that_stack(file: Path) -> None:
    engine = Checking()
    async with running(engine=engine) as it:
        edit(it.app, "shop.yaml", "other")
        await it.until(lambda: "Plan of other" in it.text())
        await it.pilot.press("f5")
        await it.until(lambda: "Apply other?" in it.text())
        assert "up -p other shop.yaml" in it.text()
        await it.pilot.press("y")
        await it.until(lambda: ("up", "other") in engine.calls)


async def test_a_stack_of_the_files_name_goes_with_the_file(file: Path) -> None:
    async with running(engine=Checking()) as it:
        edit(it.app, "shop.yaml", "shop")
        await it.until(lambda: "Plan of shop" in it.text())
        await it.pilot.press("f5")
        await it.until(lambda: "Apply shop?" in it.text())
        assert "$ pyctr-tui up shop.yaml" in it.text()


async def test_what_somebody_else_wrote_is_not_written_over_unasked(file: Path) -> None:
    async with running(engine=Checking()) as it:
        screen = await opened(it)
        file.write_text("theirs")
        await it.pilot.press("x", "ctrl+s")
        await it.until(lambda: "was changed by somebody else" in it.text())
        await it.pilot.press("n")
        await it.until(lambda: it.app.screen is screen)
        assert file.read_text() == "theirs"
        await it.pilot.press("ctrl+s", "y")
        await it.until(lambda: "saved shop.yaml" in it.text())
        assert file.read_text() == screen.yaml.text
        await it.pilot.press("y", "ctrl+s")
        await it.until(lambda: file.read_text() == screen.yaml.text)
        assert it.app.screen is screen


async def test_an_error_in_another_file_is_not_shown_in_this_one(file: Path) -> None:
    async with running(engine=Checking()) as it:
        screen = await opened(it)
        await it.pilot.press(*"$bad")
        await it.until(lambda: ".env:3:1: expected NAME=value" in it.text())
        assert screen.yaml.problem is None


async def test_a_file_that_cannot_be_written_is_told(file: Path) -> None:
    async with running(engine=Checking()) as it:
        screen = await opened(it)
        screen.path = "/proc/nothing.yaml"
        await it.pilot.press("x", "ctrl+s")
        await it.until(lambda: "can't write /proc/nothing.yaml" in it.text())


async def test_it_opens_from_home_and_asks_where_no_file_is_known(file: Path) -> None:
    engine = Checking()
    engine.stacks = list  # type: ignore[method-assign,assignment]
    async with running(engine=engine) as it:
        await it.press("Y")
        await it.until(lambda: "Edit a stack file" in it.text())
        await it.pilot.press("enter")
        await it.until(lambda: isinstance(it.app.screen, EditorScreen))
        assert "pyctr/base" in it.text()


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 36), (200, 60)])
async def test_pictures(file: Path, width: int, height: int) -> None:
    async with running(width, height, engine=Checking()) as it:
        screen = await opened(it)
        screen.yaml.cursor_blink = False
        if width == 80:
            screen.yaml.move_cursor((4, 4))
            await it.pilot.press(*"wrong: x")
            await it.until(lambda: "did you mean" in it.text())
        await it.pilot.pause()
        check(it.screen_picture(), f"editor-{width}x{height}")
