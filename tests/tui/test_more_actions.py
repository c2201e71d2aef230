"""Actions with forms, marks over many, and what is said before something goes."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual import events

from pyctr_engine.errors import Conflict, NotFound, RegistryError
from pyctr_tui.bindings import COMMANDS
from pyctr_tui.dialogs.form import FormDialog
from pyctr_tui.keymap import first_key
from tests.tui.harness import Running, running


async def palette(it: Running, name: str) -> None:
    """Choose an action by its name."""
    await it.press("colon", *(key(letter) for letter in name), "enter")


def key(letter: str) -> str:
    return {" ": "space", "/": "slash", ".": "full_stop", ":": "colon", "-": "minus", "=": "equals_sign",
            "~": "tilde", "*": "asterisk", "_": "underscore", "[": "left_square_bracket",
            '"': "quotation_mark"}.get(letter, letter)  # fmt: skip


async def fill(it: Running, *values: str) -> None:
    """Type into the fields of the form, one after the other; ``None`` in one leaves it."""
    for at, value in enumerate(values):
        if at:
            await it.press("tab")
        if value:
            await it.press("ctrl+e", "ctrl+u", *(key(letter) for letter in value))


async def called(it: Running, *call: object) -> None:
    await it.until(lambda: call in it.engine.calls)


def test_actions_without_a_key_are_in_the_palette_alone() -> None:
    assert {command.action for command in COMMANDS if not command.keys} >= {"export", "create", "login", "untag"}
    assert first_key(next(command for command in COMMANDS if command.action == "export")) == ""


# -- marks ------------------------------------------------------------------------------------------------------


async def test_marks_over_all_that_is_shown() -> None:
    async with running() as it:
        await it.press("asterisk")
        assert len(it.app.store.marks) == 11
        await it.press("exclamation_mark")
        assert not it.app.store.marks
        await it.press("space", "exclamation_mark")
        assert len(it.app.store.marks) == 10
        await it.press("backslash")
        assert not it.app.store.marks
        await it.press("A", "asterisk")
        assert len(it.app.store.marks) == 9, "only what is shown"
        await it.press("asterisk")
        assert not it.app.store.marks


async def test_removing_many_says_each_and_all() -> None:
    async with running() as it:
        await it.press("space", "space", "d")
        await it.until(lambda: "80 MiB of the disk come back." in it.text())
        text = it.text()
        assert "Remove 2 containers?" in text
        assert "$ pyctr-tui rm -f crawler-fetch-1 crawler-index-1" in text
        await it.press("y")
        await called(it, "remove", "crawler-fetch-1", True)
        await called(it, "remove", "crawler-index-1", True)
        assert not it.app.store.marks


async def test_volumes_that_stay_and_go_are_named() -> None:
    async with running() as it:
        it.app.home.containers.select(it.engine.container("shop-db-1").id)
        await it.settle()
        await it.press("d")
        await it.until(lambda: "Volumes that stay" in it.text())
        assert "shop_data 120M, ffffffffffff (unnamed) 7.0M" in it.text()
        await it.press("v")
        text = it.text()
        assert "Volumes that go too: ffffffffffff (unnamed) 7.0M" in text
        assert "Volumes that stay: shop_data 120M" in text
        assert "$ pyctr-tui rm -fv shop-db-1" in text
        await it.press("y")
        await called(it, "remove", "shop-db-1", True, True)


async def test_a_signal_can_be_chosen() -> None:
    async with running() as it:
        await it.press("K", "s", "s", "s")
        assert "Many programs read their configuration again" in it.text()
        assert "$ pyctr-tui kill -s HUP crawler-fetch-1" in it.text()
        await it.press("y")
        await called(it, "kill", "crawler-fetch-1", "HUP")
        await it.until(lambda: "was sent SIGHUP" in it.text())


async def test_down_takes_the_stacks_of_the_marked_and_their_volumes_if_wished() -> None:
    async with running() as it:
        await it.press("asterisk", "D")
        assert "Take down 3 stacks?" in it.text()
        await it.press("v", "y")
        for stack in ("shop", "crawler", "monitoring"):
            await called(it, "down", stack, True)


async def test_many_images_are_removed_with_what_comes_back() -> None:
    async with running() as it:
        await it.press("2", "space", "space", "d")
        await it.until(lambda: "of the disk come back" in it.text())
        text = it.text()
        assert "Remove 2 images?" in text
        assert "319 MiB of the disk come back; 234 MiB stay: others need them." in text
        assert "$ pyctr-tui rmi crawler:4 app:dev" in text
        await it.press("y")
        await called(it, "remove_image", "crawler:4")
        await called(it, "remove_image", "app:dev")


async def test_what_some_refuse_is_said_with_how_many_went() -> None:
    async with running() as it:
        it.engine.fail["restart"] = Conflict("it is busy", "wait")
        await it.press("space", "space", "r")
        await it.until(lambda: "0 of 2 restarted; it is busy · wait" in it.text())


# -- containers -------------------------------------------------------------------------------------------------


async def test_rename() -> None:
    async with running() as it:
        await it.press("m")
        await fill(it, "shop-web-1")
        assert "another container has that name" in it.text()
        await fill(it, "fetcher")
        assert "$ pyctr-tui rename crawler-fetch-1 fetcher" in it.text()
        await it.press("enter")
        await called(it, "rename", "crawler-fetch-1", "fetcher")


async def test_run_reads_what_the_command_line_reads() -> None:
    async with running() as it:
        await it.press("ctrl+n")
        await fill(it, "nginx:1.27", "web", "sh -c true", "8080:80", "data:/data", "A=b", "64m", "0.5")
        await it.press("tab", "tab")
        await it.press(*(key(letter) for letter in "--read-only"))
        text = it.text()
        assert "$ pyctr-tui run -d --name web -p 8080:80 -v data:/data -e A=b -m 64m" in text
        assert "--cpus 0.5 --read-only nginx:1.27 sh -c true" in text
        await it.press("enter")
        await it.until(lambda: any(call[0] == "start" for call in it.engine.calls))
        request = next(call[1] for call in it.engine.calls if call[0] == "create")
        assert (request.name, request.command, request.env) == ("web", ("sh", "-c", "true"), ("A=b",))
        assert (request.resources.memory, request.security.read_only) == (64 << 20, True)
        assert request.ports[0].host_port == 8080
        await it.read()
        await it.until(lambda: it.app.home.containers.container is not None
                       and it.app.home.containers.container.name == "web")  # fmt: skip


@pytest.mark.parametrize(
    ("ports", "more", "says"),
    [("99999:1", "", "is not a port"), ("", "--no-such", "no option"), ("", "--help", "--help is no option here")],
)
async def test_what_run_can_not_read_is_said_in_the_form(ports: str, more: str, says: str) -> None:
    async with running() as it:
        await it.press("ctrl+n")
        await fill(it, "", "", "", ports)
        await it.press(*["tab"] * 6, *(key(letter) for letter in more), "enter")
        assert says in it.text()
        assert isinstance(it.app.screen, FormDialog)
        assert not it.engine.calls


async def test_what_can_not_be_started_is_not_left() -> None:
    async with running() as it:
        it.engine.fail["start"] = Conflict("the port is taken", "choose another")
        await it.press("ctrl+n", "enter")
        await it.until(lambda: "the port is taken · choose another" in it.text())
        assert "quick-badger" not in {container.name for container in it.engine.containers()}


async def test_create_does_not_start() -> None:
    async with running() as it:
        await palette(it, "create")
        await it.press("enter")
        await it.until(lambda: any(call[0] == "create" for call in it.engine.calls))
        assert not any(call[0] == "start" for call in it.engine.calls)


async def test_export_and_copies(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    async with running() as it:
        await palette(it, "export")
        await fill(it, f"{tmp_path}/x.tar")
        await it.press("enter")
        await called(it, "export", "crawler-fetch-1", f"{tmp_path}/x.tar")
        await it.press("I")
        await fill(it, f"{tmp_path}/none", "/srv")
        await it.press("enter")
        assert f"there is no {tmp_path}/none here" in it.text()
        await it.press("shift+tab")
        await fill(it, f"{tmp_path}/a")
        await it.press("enter")
        await called(it, "copy_in", "crawler-fetch-1", f"{tmp_path}/a", "/srv", False)
        await it.press("O")
        await fill(it, "/etc/hosts", f"{tmp_path}/")
        await it.press("tab", "space", "enter")
        await called(it, "copy_out", "crawler-fetch-1", "/etc/hosts", f"{tmp_path}/", True)
        await it.until(lambda: not any(it.app.jobs.running))
        assert [job.command for job in it.app.jobs.all] == [
            f"pyctr-tui export -o {tmp_path}/x.tar crawler-fetch-1",
            f"pyctr-tui cp {tmp_path}/a crawler-fetch-1:/srv",
            f"pyctr-tui cp -L crawler-fetch-1:/etc/hosts {tmp_path}/",
        ]


async def test_attach_wants_a_terminal_and_a_running_container() -> None:
    async with running() as it:
        await it.press("a")
        await it.until(lambda: "needs a real terminal" in it.text())
        await it.press("j", "a")
        assert "is not running" in it.text()
        await it.press("E")
        assert "is not running" in it.text()


async def test_the_restart_policy_is_among_the_limits() -> None:
    async with running() as it:
        await it.press("M")
        await it.until(lambda: "restart" in it.text() and "reading" not in it.text())
        await it.press(*["tab"] * 5, "ctrl+u", *"always")
        assert "$ pyctr-tui update --restart always crawler-fetch-1" in it.text()
        await it.press("enter")
        await it.until(lambda: any(call[0] == "update" and call[-1].name == "always" for call in it.engine.calls))


# -- images -----------------------------------------------------------------------------------------------------


async def test_pull_selects_what_came() -> None:
    async with running() as it:
        await it.press("2", "p")
        await fill(it, "Nginx")
        await it.press("enter")
        assert "must be in lower case" in it.text()
        await fill(it, "redis:7")
        await it.press("enter")
        await called(it, "pull", "redis:7", "")
        await it.read()
        await it.until(lambda: it.app.home.images.selected is not None
                       and it.app.home.images.selected.label == "redis:7")  # fmt: skip


async def test_a_pull_shows_how_far_it_is_and_is_cancelled_from_anywhere() -> None:
    async with running() as it:
        it.engine.hold.clear()
        await it.press("2", "p")
        await fill(it, "redis:7")
        await it.press("enter", "1")
        await it.until(lambda: "50%" in it.lines()[-1] and "Ctrl+X cancels" in it.lines()[-1])
        assert "pulling redis:7" in it.lines()[-1]
        assert "1 job" in it.lines()[0]
        await it.press("j", "ctrl+x")
        await it.until(lambda: "cancelled: pulling redis:7" in it.text())
        assert "1 job" not in it.lines()[0]


async def test_a_tag_of_the_registry_s_is_chosen_and_pulled() -> None:
    async with running() as it:
        await it.press("2")
        it.app.home.images.select(next(one.id for one in it.app.store.images if one.label == "postgres:16"))
        await it.press("colon", *(key(letter) for letter in "what tags"), "enter")
        await called(it, "registry_tags", "postgres")
        await it.until(lambda: "Tags of postgres · 4" in it.text())
        lines = [line for line in it.lines() if "is here" in line]
        assert len(lines) == 1
        assert " 16 " in lines[0]
        assert "\x1b[2J" not in it.text()
        await it.press("down", "down", "enter")
        assert "pyctr-tui pull postgres:17-rc" in it.text()
        await it.press("enter")
        await called(it, "pull", "postgres:17-rc", "")


async def test_refusals_of_registries_are_said() -> None:
    async with running() as it:
        it.engine.fail["pull"] = RegistryError("the registry answers 500", "try later")
        await it.press("2", "p", "enter")
        await it.until(lambda: "the registry answers 500 · try later" in it.text())


async def test_push_login_and_logout() -> None:
    async with running() as it:
        await it.press("2", "X")
        await it.press("tab", "space")
        assert "$ pyctr-tui push --compression-format zstd crawler:4" in it.text()
        await it.press("enter")
        await called(it, "push", "crawler:4", "zstd")
        await palette(it, "login")
        await fill(it, "", "me", "secret")
        assert "secret" not in it.text()
        assert "******" in it.text()
        await it.press("enter")
        await called(it, "login", "", "me", "secret")
        await palette(it, "logout")
        await it.press("enter")
        await called(it, "logout", "")
        assert all("secret" not in job.cli + job.title + job.said for job in it.app.jobs.all)


async def test_tag_says_whose_name_it_takes() -> None:
    async with running() as it:
        await it.press("2", "T")
        await fill(it, "app:dev")
        assert "replaces the name of another image" in it.text()
        await fill(it, "app:new")
        assert "$ pyctr-tui tag crawler:4 app:new" in it.text()
        await it.press("enter")
        await it.until(lambda: any(call[0] == "tag" and call[2] == "app:new" for call in it.engine.calls))
        await it.read()
        await palette(it, "untag")
        assert "The image stays under its other names." in it.text()
        await it.press("enter")
        await called(it, "remove_image", "app:new")


async def test_save_load_and_import(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_text("x")
    async with running() as it:
        await it.press("2", "space", "space", "s")
        await fill(it, f"{tmp_path}/a.tar")
        assert "replaced" in it.text()
        await fill(it, f"{tmp_path}/no/b.tar")
        await it.press("enter")
        assert "there is no directory" in it.text()
        await fill(it, f"{tmp_path}/b.tar")
        await it.press("enter")
        await called(it, "save", ("crawler:4", "app:dev"), f"{tmp_path}/b.tar", "")
        await it.press("l")
        await fill(it, f"{tmp_path}/a.tar")
        await it.press("enter")
        await called(it, "load", f"{tmp_path}/a.tar")
        await it.until(lambda: "loaded loaded:1" in it.text())
        await palette(it, "import")
        await fill(it, f"{tmp_path}/a.tar", "mine:1", "found", 'CMD ["sh"]')
        await it.press("enter")
        await called(it, "import", f"{tmp_path}/a.tar", "mine:1", ('CMD ["sh"]',), "found")


async def test_nothing_selected_is_said() -> None:
    async with running() as it:
        it.engine._images.clear()
        await it.read()
        await it.press("2")
        assert "pulls an image" in it.text()
        for pressed in ("X", "T", "s", "d"):
            await it.press(pressed)
            assert "select an image first" in it.text()


async def test_leaving_while_something_is_done_asks() -> None:
    async with running() as it:
        it.engine.hold.clear()
        await it.press("2", "p")
        await fill(it, "redis:7")
        await it.press("enter", "q")
        text = it.text()
        assert "1 job still running" in text
        assert "they run in this program and end with it" in text
        await it.press("escape")
        assert it.app.return_value is None
        await it.pilot.press("q", "c")
        await it.pilot.pause(0.2)
        deadline = 200
        while it.app.return_value is None and deadline:
            await it.pilot.pause(0.01)
            deadline -= 1
        assert it.app.return_value == 0
        assert next(iter(it.app.jobs.all)).cancel.is_set()


async def test_a_job_is_shown_whole_and_done_again() -> None:
    async with running() as it:
        it.engine.fail["restart"] = NotFound("it has gone", "look again")
        await it.press("r")
        await it.until(lambda: "it has gone" in it.text())
        await it.press("J", "enter")
        text = it.text()
        assert "restarting crawler-fetch-1" in text
        assert "it has gone · look again" in text
        assert "pyctr-tui restart crawler-fetch-1" in text
        await it.press("y")
        assert it.app.clipboard == "pyctr-tui restart crawler-fetch-1"
        del it.engine.fail["restart"]
        await it.press("r")
        await it.until(lambda: len([call for call in it.engine.calls if call[0] == "restart"]) == 2)
        await it.press("r")
        await it.until(lambda: len([call for call in it.engine.calls if call[0] == "restart"]) == 3)


async def test_what_is_typed_ahead_goes_into_the_form() -> None:
    async with running() as it:
        pane = it.app.home.containers
        for pressed in ("m", "ctrl+u", "n", "e", "w", "enter"):
            pane.post_message(events.Key(pressed, pressed if len(pressed) == 1 else None))
        await called(it, "rename", "crawler-fetch-1", "new")
