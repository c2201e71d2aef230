"""Checkpoints: the tree, taking one, going back, branching, forgetting."""

from __future__ import annotations

from pyctr_engine.errors import Conflict
from pyctr_engine.model.checkpoint import Checkpoint
from pyctr_tui.pages.checkpoints import tree
from pyctr_tui.widgets.draw import width_of
from tests.tui.harness import Running, running
from tests.tui.hostile import CORPUS
from tests.tui.snapshot import check


def points(*parents: str, current: str = "") -> list[Checkpoint]:
    """Checkpoints ``1``, ``2`` … with these parents."""
    names = [str(number) for number in range(1, len(parents) + 1)]
    current = current or names[-1]
    return [
        Checkpoint(name, float(at), "", 1, parent, name == current)
        for at, (name, parent) in enumerate(zip(names, parents, strict=True))
    ]


def drawn(points: list[Checkpoint]) -> list[str]:
    return [row.before + row.name for row in tree(points)]


def test_a_line_of_checkpoints_is_not_a_staircase() -> None:
    assert drawn(points("", "1", "2")) == ["1", "2", "3", "now"]


def test_branches_stand_further_right_and_the_present_goes_straight_on() -> None:
    assert drawn(points("", "1", "2", "1", current="4")) == ["1", "├─2", "│ 3", "4", "now"]
    assert drawn(points("", "1", "2", current="1")) == ["1", "├─2", "│ 3", "now"]


def test_without_any_there_is_the_present_alone() -> None:
    assert drawn([]) == ["now"]


def test_a_parent_that_has_gone_makes_a_root() -> None:
    assert drawn(points("gone", "gone", current="2")) == ["├─1", "2", "now"]


async def filled(it: Running) -> None:
    engine = it.engine
    ref = engine.container("crawler-fetch-1").id
    engine.checkpoint(ref, "fresh", "as it was installed")
    engine.checkpoint(ref, "configured", "proxy and certificates set")
    engine.checkpoint(ref, "try-uvloop", "uvloop instead of asyncio")
    engine.restore(ref, "configured")
    engine.checkpoint(ref, "patched", "retries on 503, 3 at most")
    engine.calls.clear()
    await it.press("U")
    await it.until(lambda: "patched" in it.text())


async def test_empty_says_how_to_begin() -> None:
    async with running() as it:
        await it.press("U")
        await it.until(lambda: "the container's files as they are" in it.text())
        assert "n take one" in it.lines()[-1]
        await it.press("r")
        assert "n takes one" in it.lines()[-1]


async def test_one_is_taken() -> None:
    async with running() as it:
        await it.press("U", "n", *"one", "tab", *"why")
        assert "$ pyctr-tui checkpoint create -m why crawler-fetch-1 one" in it.text()
        await it.press("enter")
        await it.until(lambda: ("checkpoint", "crawler-fetch-1", "one", "why") in it.engine.calls)
        await it.until(lambda: "checkpoint one of crawler-fetch-1 taken" in it.text())
        assert "Checkpoints of crawler-fetch-1 · 1" in it.text()


async def test_going_back_says_what_is_lost_and_can_keep_it() -> None:
    async with running() as it:
        await filled(it)
        await it.press("g", "r")
        await it.until(lambda: "Lost: 41 MiB in 5 paths that came since." in it.text())
        text = it.text()
        assert "Take crawler-fetch-1 back to fresh?" in text
        assert "It runs: it is stopped, and started again." in text
        assert "$ pyctr-tui checkpoint restore crawler-fetch-1 fresh" in text
        await it.press("t")
        assert "Nothing is lost: what is now becomes a checkpoint first." in it.text()
        await it.press("y")
        await it.until(lambda: ("restore", "crawler-fetch-1", "fresh") in it.engine.calls)
        assert it.engine.calls[0] == ("checkpoint", "crawler-fetch-1", "", "")
        await it.until(lambda: "is back at fresh" in it.text())


async def test_from_the_present_it_goes_back_to_where_that_began() -> None:
    async with running() as it:
        await filled(it)
        await it.press("G", "r")
        assert "Take crawler-fetch-1 back to patched?" in it.text()


async def test_nothing_is_done_without_a_yes() -> None:
    async with running() as it:
        await filled(it)
        for opening in ("r", "d"):
            for answer in ("n", "escape", "enter"):
                await it.press("g", opening, answer)
                assert it.app.screen is it.app.home
        assert not it.engine.calls


async def test_branch_and_forget() -> None:
    async with running() as it:
        await filled(it)
        await it.press("g", "b", *"twin")
        assert "$ pyctr-tui checkpoint branch crawler-fetch-1 fresh twin" in it.text()
        await it.press("enter")
        await it.until(lambda: ("branch", "crawler-fetch-1", "fresh", "twin") in it.engine.calls)
        await it.press("d")
        assert "At most 38 MiB come back" in it.text()
        await it.press("y")
        await it.until(lambda: ("remove_checkpoint", "crawler-fetch-1", "fresh") in it.engine.calls)
        await it.until(lambda: "as it was installed" not in it.text())


async def test_refusals_are_said() -> None:
    async with running() as it:
        await filled(it)
        it.engine.fail["restore"] = Conflict("it is restarting", "wait")
        await it.press("r", "y")
        await it.until(lambda: "it is restarting · wait" in it.text())
        it.engine.fail["checkpoints"] = Conflict("it has gone", "")
        await it.press("escape", "U")
        await it.until(lambda: "it has gone" in it.text())


async def test_on_a_stack_it_says_what_to_do() -> None:
    async with running() as it:
        await it.press("k", "U")
        assert "select a container first" in it.text()
        await it.press("n")
        assert "select a container first" in it.lines()[-1]


async def test_hostile_messages_are_harmless() -> None:
    async with running() as it:
        ref = it.engine.container("crawler-fetch-1").id
        for number, text in enumerate(CORPUS):
            it.engine.checkpoint(ref, f"c{number}", text)
        await it.press("U")
        await it.until(lambda: "c0" in it.text())
        assert all(width_of(line) <= 120 for line in it.lines())
        assert "\x1b" not in it.text()


async def test_pictures() -> None:
    for width, height in ((80, 24), (120, 36), (200, 60)):
        async with running(width, height) as it:
            await filled(it)
            check(it.picture(), f"checkpoints-{width}x{height}")
    async with running() as it:
        await it.press("t")
        await filled(it)
        it.app.home.notify_line("")
        await it.press("g", "r")
        await it.until(lambda: "Lost:" in it.text() and "counting" not in it.text())
        check(it.picture(), "checkpoints-paper")
