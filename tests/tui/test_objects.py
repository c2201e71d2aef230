"""The pages of stacks, volumes and networks."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyctr_engine.errors import Conflict
from pyctr_engine.model.spec import Port
from pyctr_tui.pages.networks import exposed
from pyctr_tui.screens.editor import EditorScreen
from tests.tui.fake import FakeEngine
from tests.tui.fake_explorer import FakeExplorer
from tests.tui.harness import Running, running
from tests.tui.hostile import CORPUS
from tests.tui.snapshot import check

SIZES = ((80, 24), (120, 36), (200, 60))


async def shown(it: Running, *texts: str) -> None:
    await it.until(lambda: all(text in it.text() for text in texts))


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize(
    ("key", "name", "text"),
    [("S", "stacks", "crawler-fetch-1"), ("V", "volumes", "PG_VERSION"), ("W", "networks", "10.88.0.2")],
)
async def test_pictures(key: str, name: str, text: str, width: int, height: int) -> None:
    async with running(width, height) as it:
        await it.press(key)
        await it.settle()
        if name == "stacks":
            await it.press("G")
        if height > 24 or name != "volumes":
            await it.until(lambda: text in it.text() or "recreate" in it.text() or width < 100)
        await it.settle()
        check(it.picture(), f"{name}-{width}x{height}")


# -- stacks ---------------------------------------------------------------------------------------------------------


async def test_the_plan_of_the_selected_stack_is_beside_it() -> None:
    async with running() as it:
        await it.press("S")
        await shown(it, "Stacks · 3", "Plan of crawler", "as the file says")
        await it.press("G")
        await shown(it, "Plan of shop · 2 changes", "recreate", "TAG is not set", "/srv/shop/compose.yaml")
        await it.press("k")
        await shown(it, "Plan of monitoring", "its file is not known")
        await it.press("u")
        await shown(it, "the file of monitoring is not known")


async def test_up_asks_when_something_is_replaced() -> None:
    async with running() as it:
        await it.press("S", "u")
        await shown(it, "crawler is as its file says")
        await it.press("G")
        await shown(it, "recreate")
        await it.press("u")
        await shown(it, "Bring up shop?", "recreate shop-web-1: image changed", "loses the files it changed")
        await it.press("n")
        assert not it.engine.calls
        await it.press("u", "y")
        await shown(it, "shop is up")
        assert ("up", "shop") in it.engine.calls


async def test_down_tells_what_goes_and_volumes_only_if_asked() -> None:
    async with running() as it:
        await it.press("S", "G", "D")
        await shown(it, "Take down stack shop?", "shop-db-1", "come back", "$ pyctr-tui down -p shop")
        await it.press("v")
        await shown(it, "$ pyctr-tui down -v -p shop")
        await it.press("escape")
        assert not it.engine.calls
        await it.press("D", "y")
        await shown(it, "shop is down")


@pytest.mark.parametrize(("key", "call"), [("s", "stop"), ("r", "restart"), ("p", "pull_stack")])
async def test_all_of_a_stack_at_once(key: str, call: str) -> None:
    async with running() as it:
        await it.press("S", "G")
        await shown(it, "recreate")
        await it.press(key)
        await it.until(lambda: any(one[0] == call for one in it.engine.calls))
        await it.press("J")
        await shown(
            it, {"stop": "stop shop-", "restart": "restart shop-", "pull_stack": "pull /srv/shop/compose.yaml"}[call]
        )


async def test_a_stack_is_brought_up_from_its_file_and_what_is_wrong_is_told() -> None:
    async with running() as it:
        plan = it.engine.plan
        it.engine.plan = lambda stack: [one for one in plan(stack) if one.kind == "create"]  # type: ignore[method-assign]
        await it.press("S", "N", *"new", "full_stop", *"yaml", "tab", *"fresh", "enter")
        await shown(it, "fresh is up")
        await it.press("N", *"wrong", "enter")
        await shown(it, "wrong:3:5: there is no attribute imge · did you mean image?")


async def test_a_file_of_a_stack_that_is_there_is_brought_up_after_asking() -> None:
    async with running() as it:
        await it.press("S", "N", *"new", "full_stop", *"yaml", "enter")
        await shown(it, "Bring up shop?", "recreate shop-web-1: image changed", "$ pyctr-tui up -p shop new.yaml")
        await it.press("n")
        assert not it.engine.calls
        await it.press("N", *"new", "tab", *"crawler", "enter")
        await shown(it, "crawler is as its file says")
        await it.press("N", *"new", "enter")
        await shown(it, "Bring up shop?")
        await it.press("y")
        await shown(it, "shop is up")


async def test_it_is_edited_and_its_containers_are_found(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text("services: {}\n")
    engine = FakeEngine()
    async with running(engine=engine) as it:
        await it.press("S", "enter")
        assert it.app.home.page is None
        assert it.app.home.containers.stack is not None
        assert it.app.home.containers.stack.name == "crawler"
        stacks = engine.stacks()
        from pyctr_engine.record import replace

        engine.stacks = lambda: [replace(stacks[0], path=str(tmp_path / "compose.yaml"))]  # type: ignore[method-assign]
        engine.check_stack = lambda path, text, name="": engine.load_stack(path)  # type: ignore[method-assign]
        await it.press("S")
        await it.until(lambda: it.app.home.page is not None and it.idle)
        await it.press("e")
        await it.until(lambda: isinstance(it.app.screen, EditorScreen))


# -- volumes --------------------------------------------------------------------------------------------------------


async def test_files_of_a_volume_are_browsed() -> None:
    async with running() as it:
        await it.press("V")
        await shown(it, "Volumes · 4", "shop_data", "PG_VERSION", "latest@ → logs/1.log")
        await it.press("enter")
        await it.press("enter")
        await shown(it, "shop_data:/base", "the first 2")
        await it.press("h")
        await it.until(lambda: "PG_VERSION" in it.text())
        assert it.app.home.page is not None
        await it.press("G", "k")
        await it.press("enter")
        await shown(it, "max_connections = 100")
        await it.press("escape")
        await it.press("g", "j", "enter")
        await shown(it, "/gone is gone")
        await it.press("escape", "escape", "escape")
        assert it.app.home.page is None


async def test_a_file_is_copied_out_complete_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with running() as it:
        await it.press("V")
        await shown(it, "PG_VERSION")
        await it.press("enter")
        await it.press("G", "k", "X", "enter")
        await it.until(lambda: (tmp_path / "postgresql.conf").exists())
        assert (tmp_path / "postgresql.conf").read_text().startswith("# settings")
        await it.press("X", "enter")
        await shown(it, "file exists")
        await it.press("g", "X")
        await shown(it, "only files")


async def test_a_file_that_is_shown_goes_with_its_volume() -> None:
    async with running() as it:
        await it.press("V")
        await shown(it, "PG_VERSION")
        await it.press("enter", "G", "k", "enter")
        await shown(it, "max_connections = 100")
        await it.press("shift+tab", "j")
        await shown(it, "crawler_cache:/")
        assert "max_connections" not in it.text()
        await it.press("tab")
        assert it.app.home.focus_name == "files"


async def test_volumes_are_made_and_removed() -> None:
    async with running() as it:
        await it.press("V")
        await shown(it, "shop_data")
        await it.press("d")
        await shown(it, "shop_data is used by shop-db-1")
        await it.press("j", "j", "d")
        await shown(it, "Remove volume backup?", "Lost for good: 12 MiB", "$ pyctr-tui volume rm backup")
        await it.press("y")
        await it.until(lambda: ("remove_volume", "backup") in it.engine.calls)
        await it.until(lambda: "backup " not in it.text())
        await it.press("N", *"fresh", "enter")
        await shown(it, "fresh is there")
        it.engine.fail["create_volume"] = Conflict("there is a volume fresh already", "look")
        await it.press("N", *"fresh", "enter")
        await shown(it, "there is a volume fresh already")


async def test_hostile_file_names_stay_names() -> None:
    async with running() as it:
        explore = it.engine.explore
        assert isinstance(explore, FakeExplorer)
        explore.names = [text.replace("/", "") for text in CORPUS]
        await it.press("V")
        await shown(it, "shop_data", "PG_VERSION")
        assert all(character.isprintable() for character in it.text().replace("\n", ""))


# -- networks -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("port", "whom", "tone"),
    [
        (Port(80, 8080, "127.0.0.1"), "this host only", "dim"),
        (Port(80, 8080), "everybody who reaches this host", "warn"),
        (Port(80, 8080, "192.0.2.7"), "who reaches 192.0.2.7", "text"),
        (Port(80, 0), "not published", "faint"),
    ],
)
def test_to_whom_a_port_is_exposed(port: Port, whom: str, tone: str) -> None:
    assert exposed(port) == (whom, tone)


async def test_who_is_on_a_network_and_what_is_published() -> None:
    async with running() as it:
        copied: list[str] = []
        it.app.copy_to_clipboard = copied.append  # type: ignore[method-assign,assignment]
        await it.press("W")
        await shown(it, "Networks · 2", "10.88.0.0/16", "pyctr0", "8080 → 80", "everybody who reaches this host")
        await it.press("y")
        await it.press("enter")
        await it.press("y")
        assert copied == ["10.88.0.0/16", "10.88.0.2"]
        await it.press("enter")
        assert it.app.home.page is None
        await it.press("W", "j")
        await shown(it, "On host · 1 container")
