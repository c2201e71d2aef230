"""What keys do to containers and images, and what is asked before something goes."""

from __future__ import annotations

import pytest
from textual import events

from pyctr_engine.errors import Conflict
from pyctr_tui.actions.possible import why_not
from pyctr_tui.dialogs.dialog import Dialog
from tests.tui.harness import running


@pytest.mark.parametrize(
    ("keys", "call"),
    [
        (("s",), ("stop", "crawler-fetch-1")),
        (("j", "s"), ("start", "crawler-index-1")),
        (("r",), ("restart", "crawler-fetch-1")),
        (("p",), ("pause", "crawler-fetch-1")),
        (("j", "j", "p"), ("unpause", "crawler-parse-1")),
        (("K", "y"), ("kill", "crawler-fetch-1")),
        (("d", "y"), ("remove", "crawler-fetch-1", True)),
        (("D", "y"), ("down", "crawler")),
    ],
)
async def test_keys_act_on_the_selected_container(keys: tuple[str, ...], call: tuple[object, ...]) -> None:
    async with running() as it:
        await it.press(*keys)
        await it.until(lambda: bool(it.engine.calls))
        assert it.engine.calls[0] == call


async def test_up_makes_the_selected_container_s_stack_as_its_file_says_after_asking() -> None:
    async with running() as it:
        await it.press("u")
        assert "crawler is as its file says" in it.text()
        await it.press("colon", *"shop-web-1", "enter", "u")
        assert "Bring up shop?" in it.text()
        assert "recreate shop-web-1: image changed" in it.text()
        assert "$ pyctr-tui up -p shop /srv/shop/compose.yaml" in it.text()
        await it.press("n", "4", "u", "y")
        await it.until(lambda: "shop is up" in it.text())
        assert it.engine.calls == [("up", "shop")]
        await it.press("1", "colon", *"monitoring-prom", "enter", "u")
        assert "the file of monitoring is not known" in it.text()
        await it.press("G", "u")
        assert "select a stack, or a container of one" in it.text()
        await it.press("asterisk", "u")
        assert "one stack at a time is brought up" in it.text()
        assert len(it.engine.calls) == 1


@pytest.mark.parametrize("pane", ["3", "7"])
async def test_where_an_image_is_shown_no_container_is_meant(pane: str) -> None:
    async with running() as it:
        await it.press("2", pane)
        for key in ("s", "r", "p", "d", "K", "D", "C", "e"):
            await it.press(key)
            assert "this is an image: select a container first" in it.text(), key
            assert it.app.screen is it.app.home
            it.app.home.notify_line("")
        assert not it.engine.calls
        await it.press("1", pane, "r")
        await it.until(lambda: it.engine.calls == [("restart", "crawler-fetch-1")])


async def test_the_palette_knows_that_an_image_is_shown() -> None:
    async with running() as it:
        await it.press("2", "3", "colon", *"restart", "enter")
        assert "restart: this is an image: select a container first" in it.text()
        await it.press("y")
        assert it.app.clipboard == "crawler:4"
        await it.press("ctrl+n")
        assert "crawler:4" in it.text()


@pytest.mark.parametrize("key", ["d", "K", "D"])
@pytest.mark.parametrize("answer", ["n", "escape", "enter"])
async def test_nothing_is_destroyed_without_a_yes(key: str, answer: str) -> None:
    async with running() as it:
        await it.press(key)
        assert it.app.screen is not it.app.home
        await it.press(answer)
        assert it.app.screen is it.app.home
        assert not it.engine.calls


async def test_removing_says_how_much_goes() -> None:
    async with running() as it:
        await it.press("d")
        text = it.text()
        assert "Remove crawler-fetch-1?" in text
        assert "still runs and is killed first" in text
        assert "Gone for good: 38 MiB in 7 changed paths" in text


async def test_answer_can_be_chosen_with_arrows_and_enter() -> None:
    async with running() as it:
        await it.press("d", "right", "enter")
        await it.until(lambda: ("remove", "crawler-fetch-1", True) in it.engine.calls)


async def test_refusal_of_the_engine_is_shown_with_its_hint() -> None:
    async with running() as it:
        it.engine.fail["stop"] = Conflict("it can't be stopped", "wait")
        await it.press("s")
        await it.until(lambda: "it can't be stopped · wait" in it.lines()[-1])


async def test_image_is_removed_after_asking() -> None:
    async with running() as it:
        await it.press("2", "d")
        assert "Remove image crawler:4?" in it.text()
        assert "3 containers made from it" in it.text()
        await it.press("y")
        await it.until(lambda: bool(it.engine.calls))
        assert it.engine.calls[0][0] == "remove_image"


async def test_palette_finds_by_letters_in_order() -> None:
    async with running() as it:
        await it.press("colon", *"rstrt", "enter")
        await it.until(lambda: ("restart", "crawler-fetch-1") in it.engine.calls)


async def test_palette_goes_to_a_container_even_in_a_collapsed_stack() -> None:
    async with running() as it:
        await it.press("left", "colon", *"parse", "enter")
        assert it.app.home.containers.container is not None
        assert it.app.home.containers.container.label == "parse-1"


async def test_palette_knows_nouns() -> None:
    async with running() as it:
        await it.press("colon", *"images", "enter")
        assert it.app.home.focus_name == "images"


async def test_palette_greys_what_cannot_be_done_and_says_why() -> None:
    async with running() as it:
        await it.press("colon", *"take one")
        assert "in checkpoints · U goes there" in it.text()
        await it.press("enter")
        assert "take one: in checkpoints · U goes there" in it.text()
        assert it.app.screen is it.app.home
        await it.press("j", "colon", *"full scr")
        assert it.app.home.containers.container is not None
        name = it.app.home.containers.container.name
        assert f"{name} is not running" in it.text()
        await it.press("enter")
        assert f"full screen: {name} is not running" in it.text()
        assert not it.engine.calls
        await it.press("1", "k", "colon", *"full scr")
        assert "is not running" not in it.text()


@pytest.mark.parametrize("page", ["1", "2", "5", "9", "S", "V", "W", "v", "P", "F", "H", "comma", "J", "U", "f"])
async def test_whatever_the_palette_offers_has_somebody_who_does_it(page: str) -> None:
    async with running() as it:
        await it.press(page)
        home = it.app.home
        offered = [command for command in it.app.keymap.commands if not why_not(home, command)]
        assert len(offered) > 40
        for command in offered:
            assert callable(home.handler(command.action.partition(" ")[0])), command


async def test_a_pages_own_actions_are_not_asked_of_the_containers() -> None:
    async with running() as it:
        for container in it.engine.containers():
            it.engine.remove(container.id, force=True)
        await it.read()
        await it.press("V")
        offered = {command.action: why_not(it.app.home, command) for command in it.app.keymap.of("volumes")}
        assert offered["remove"] == ""
        await it.press("1")
        offered = {command.action: why_not(it.app.home, command) for command in it.app.keymap.of("containers")}
        assert offered["remove"] == "there is no container"


async def test_palette_begins_with_what_was_chosen_lately() -> None:
    async with running() as it:
        await it.press("colon", *"images", "enter", "colon", *"doctor", "enter", "1", "colon")
        lines = [
            line[line.index("│  ") :].split()[1] for line in it.lines() if "to the images" in line or "lacks" in line
        ]
        assert lines == ["doctor", "images"]
        await it.press("enter")
        assert it.app.home.focus_name == "doctor"


async def test_copy_goes_to_the_terminal_as_osc_52() -> None:
    async with running() as it:
        await it.press("y")
        assert it.app.clipboard == "crawler-fetch-1"


@pytest.mark.parametrize(
    ("keys", "times"),
    [((), 1), (("d",), 1), (("m",), 1), (("colon",), 1), (("slash", "w"), 1), (("ctrl+y",), 1), (("S", "slash"), 1),
     (("e",), 0)],
)  # fmt: skip
async def test_ctrl_z_suspends_wherever_it_is_no_program_s_key(keys: tuple[str, ...], times: int) -> None:
    async with running() as it:
        suspended: list[int] = []
        it.app.action_suspend_process = lambda: suspended.append(1)  # type: ignore[method-assign]
        await it.press(*keys, "ctrl+z")
        assert len(suspended) == times


async def test_quit_leaves_with_0() -> None:
    async with running() as it:
        await it.pilot.press("q")
        await it.pilot.pause()
        assert it.app.return_value == 0
        assert not it.engine.calls


@pytest.mark.parametrize(
    ("opening", "twice"), [("question_mark", "escape"), ("d", "y"), ("D", "n"), ("colon", "escape")]
)
async def test_keys_that_come_in_one_piece_answer_a_dialog_once(opening: str, twice: str) -> None:
    """A terminal sends what was typed fast at once: the second key reaches a dialog that was answered already."""
    async with running() as it:
        await it.press(opening)
        dialog = it.app.screen
        assert isinstance(dialog, Dialog)
        for _ in range(2):
            dialog.post_message(events.Key(twice, None))
        await it.settle()
        await it.until(lambda: it.app.screen is it.app.home)
        assert it.engine.calls == ([("remove", "crawler-fetch-1", True)] if twice == "y" else [])
