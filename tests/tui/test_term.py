"""The terminal pane: whose the keys are, sessions as tabs, looking back, recording."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual import events

from pyctr_engine.errors import Conflict
from tests.tui.harness import Running, running
from tests.tui.hostile import CORPUS, harmless
from tests.tui.shells import Shell, ShellEngine
from tests.tui.snapshot import check

NAME = "crawler-fetch-1"
PREFIX = "ctrl+right_square_bracket"


async def opened(it: Running, key: str = "e") -> Shell:
    """Open a shell in the selected container and type into it."""
    engine = it.engine
    assert isinstance(engine, ShellEngine)
    before = len(engine.shells.get(NAME, []))
    await it.press(key)
    await it.until(lambda: len(engine.shells.get(NAME, [])) > before)
    await it.until(lambda: it.app.home.term.current is not None and it.app.home.term.current.state == "live")
    await it.until(lambda: "$" in "".join(it.app.home.term.current.emulator.text()))  # type: ignore[union-attr]
    return engine.shells[NAME][-1]


async def shown(it: Running, *texts: str) -> None:
    await it.until(lambda: all(text in it.text() for text in texts))


async def test_every_key_is_the_programs_until_the_prefix() -> None:
    async with running(engine=ShellEngine()) as it:
        shell = await opened(it)
        await it.press("q", "4", "tab", "escape", "ctrl+c", "ctrl+q", "ctrl+z", "colon", "up", "alt+x", "enter")
        await it.until(lambda: shell.typed == b"q4\t\x1b\x03\x11\x1a:\x1b[A\x1bx\r")
        await it.press(PREFIX, "right_square_bracket")
        await it.until(lambda: shell.typed.endswith(b"\x1d"))
        await it.press(PREFIX)
        assert "look back" in it.text()
        await it.press("o")
        assert it.app.home.focus_name == "containers"
        await it.press("4")
        assert it.app.home.focus_name == "graphs"
        assert shell.viewers, "it is still watched"


async def test_what_is_typed_ahead_is_not_taken_for_commands() -> None:
    async with running(engine=ShellEngine()) as it:
        await it.pilot.press("e", "l", "s", "enter")
        await it.until(lambda: NAME in it.engine.shells and it.engine.shells[NAME][0].typed == b"ls\r")  # type: ignore[attr-defined]
        assert it.app.home.focus_name == "term"


async def test_what_is_typed_before_the_focus_has_arrived_is_the_programs() -> None:
    async with running(engine=ShellEngine()) as it:
        shell = await opened(it)
        await it.press(PREFIX, "o")
        for key in ("9", "d", "ctrl+c"):  # at once, as a quick hand or a slow line brings them
            it.app.post_message(events.Key(key, key if len(key) == 1 else None))
        await it.until(lambda: shell.typed == b"d\x03")
        assert it.app.screen is it.app.home, "d is no command"


async def test_detaching_leaves_it_running_and_listed_and_e_comes_back_with_its_screen() -> None:
    async with running(engine=ShellEngine()) as it:
        shell = await opened(it)
        shell.write(b"kept on the screen")
        await shown(it, "kept on the screen")
        await it.press(PREFIX, "d")
        await it.until(lambda: not shell.viewers)
        assert shell.code is None
        shell.write(b"\r\nwhile away\x1b[c")
        await it.press("e")
        await shown(it, "kept on the screen", "while away")
        assert len(it.engine.shells[NAME]) == 1  # type: ignore[attr-defined]
        assert shell.typed == b"", "a question that was asked while away is not answered now"
        await it.until(lambda: len(shell.sizes) >= 3)
        assert shell.sizes[-2][0] == shell.sizes[-1][0] - 1, "it is made to draw everything anew"


async def test_sessions_of_a_former_life_are_found_and_come_back_to() -> None:
    engine = ShellEngine()
    engine.exec(NAME, type("Request", (), {"argv": ("top", "-d1")})()).close()
    engine.shells[NAME][0].write(b"old screen")
    async with running(engine=engine) as it:
        await it.press("9")
        await shown(it, "old screen", "1 top -d1")
        assert len(engine.shells[NAME]) == 1


async def test_looking_at_the_pane_starts_nothing() -> None:
    async with running(engine=ShellEngine()) as it:
        await it.press("9")
        await it.until(lambda: ("sessions", NAME) in it.engine.calls)
        await it.settle()
        assert it.app.home.focus_name == "term"
        assert f"a shell in {NAME}, here" in it.text()
        await it.press("enter")
        await shown(it, "1 shell")


async def test_several_sessions_are_tabs() -> None:
    async with running(engine=ShellEngine()) as it:
        first = await opened(it)
        await it.press(PREFIX, "c")
        await it.until(lambda: len(it.engine.shells[NAME]) == 2)  # type: ignore[attr-defined]
        second = it.engine.shells[NAME][1]  # type: ignore[attr-defined]
        await shown(it, "1 shell", "2 shell")
        await it.until(lambda: it.app.home.term.current.id == second.id)  # type: ignore[union-attr]
        await it.press("b")
        await it.until(lambda: second.typed == b"b")
        await it.press(PREFIX, "p", "a", PREFIX, "2", "c", PREFIX, "1", "d")
        await it.until(lambda: first.typed == b"ad" and second.typed == b"bc")
        await it.press(PREFIX, "x")
        assert "End this session?" in it.text()
        await it.press("y")
        await it.until(lambda: first.code == 129)
        await it.until(lambda: len(it.app.home.term.tabs.all) == 1)


async def test_one_that_ends_gives_the_keys_back() -> None:
    async with running(engine=ShellEngine()) as it:
        await opened(it)
        await it.press(*"exit", "space", "3", "enter")
        await shown(it, "shell ended with exit code 3", "Enter opens another")
        assert it.app.home.term.mode == ""
        await it.press("1")
        assert it.app.home.focus_name == "containers"


async def test_refusals_are_told() -> None:
    engine = ShellEngine()
    engine.fail["exec"] = Conflict("container \x1b[2Jx is not running", "start it")
    async with running(engine=engine) as it:
        await it.press("e")
        await shown(it, "is not running · start it")
        assert harmless(it.text().replace("\n", ""))
        assert it.app.home.term.tabs.all == []
        await it.until(lambda: it.app.home.term.mode == "")
        engine.fail["sessions"] = Conflict("its monitor does not answer", "")
        await it.press("9")
        await shown(it, "its monitor does not answer")


async def test_what_is_not_running_has_no_terminal() -> None:
    async with running(engine=ShellEngine()) as it:
        it.app.home.containers.select(next(c.id for c in it.app.store.containers if c.name == "crawler-index-1"))
        await it.press("e")
        assert "crawler-index-1 is not running · s starts it" in it.text()
        await it.press("G", "E")
        assert it.app.home.term.mode == ""


async def test_a_command_is_asked_for() -> None:
    async with running(engine=ShellEngine()) as it:
        await it.press("ctrl+e")
        await it.press(*"sh", "space", "apostrophe", "enter")
        assert "no closing quotation" in it.text()
        await it.press("backspace", *"-x", "tab", *"www")
        assert f"$ pyctr-tui exec -it -u www {NAME} sh -x" in it.text()
        await it.press("enter")
        await it.until(lambda: ("exec", NAME, ("sh", "-x")) in it.engine.calls)
        await shown(it, "1 sh -x")


async def test_pasting_several_lines_is_asked_about_unless_they_are_bracketed() -> None:
    async with running(engine=ShellEngine()) as it:
        shell = await opened(it)
        term = it.app.home.term
        term.on_paste(events.Paste("one"))
        await it.until(lambda: shell.typed == b"one")
        term.on_paste(events.Paste("rm -rf x\nls\n"))
        await it.settle()
        assert "Paste this?" in it.text()
        assert "rm -rf x" in it.text()
        await it.press("n")
        assert shell.typed == b"one"
        assert term.mode == "typing"
        shell.write(b"\x1b[?2004h")
        await it.until(lambda: term.current.emulator.modes.bracketed_paste)  # type: ignore[union-attr]
        term.on_paste(events.Paste("a\nb"))
        await it.until(lambda: shell.typed == b"one\x1b[200~a\rb\x1b[201~")


async def test_looking_back_searching_and_copying(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(engine=ShellEngine()) as it:
        shell = await opened(it)
        copied: list[str] = []
        monkeypatch.setattr(it.app, "copy_to_clipboard", copied.append)
        shell.write(b"\r\n".join(b"line %d of many" % number for number in range(200)))
        await shown(it, "line 199 of many")
        await it.press(PREFIX, "left_square_bracket", "g")
        await shown(it, "line 0 of many", "look back")
        shell.write(b"\r\nnewer")
        await it.press("slash", *"line", "space", *"77", "enter")
        await shown(it, "line 77 of many")
        await it.press("0", "v", "w", "w", "h", "y")
        assert copied == ["line 77"]
        assert it.app.home.term.mode == "typing"
        await shown(it, "newer")
        await it.press(PREFIX, "pageup", "slash", *"nowhere", "enter")
        assert "not found: nowhere" in it.text()
        await it.press("escape")
        assert it.app.home.term.mode == "typing"
        assert shell.typed == b""


async def test_a_programs_copy_is_only_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(engine=ShellEngine()) as it:
        shell = await opened(it)
        copied: list[str] = []
        monkeypatch.setattr(it.app, "copy_to_clipboard", copied.append)
        shell.write(b"\x1b]52;c;c3RvbGVu\x07ready")
        await shown(it, "ready")
        assert copied == []
        await it.press(PREFIX, "y")
        assert "stolen" in it.text()
        await it.press("y")
        assert copied == ["stolen"]


async def test_the_pane_and_the_terminal_have_one_size() -> None:
    async with running(engine=ShellEngine()) as it:
        shell = await opened(it)
        term = it.app.home.term
        await it.until(lambda: bool(shell.sizes) and shell.sizes[-1] == term.inner_size[::-1])
        await it.press(PREFIX, "z")
        await it.until(lambda: shell.sizes[-1] == term.inner_size[::-1] and shell.sizes[-1][1] > 110)
        await it.pilot.resize_terminal(80, 24)
        await it.until(lambda: shell.sizes[-1] == (20, 80))
        assert "1 shell" in it.text()
        assert term.current is not None
        assert term.current.emulator.size == (80, 20)


async def test_the_mouse_is_the_programs_when_it_asks_and_ours_with_shift() -> None:
    async with running(engine=ShellEngine()) as it:
        shell = await opened(it)
        shell.write(b"\x1b[?1000h\x1b[?1006h")
        await it.until(lambda: it.app.home.term.current.emulator.wants_mouse)  # type: ignore[union-attr]
        await it.pilot.mouse_down("#term", offset=(5, 3))
        await it.pilot.mouse_up("#term", offset=(5, 3))
        await it.until(lambda: shell.typed == b"\x1b[<0;5;3M\x1b[<0;5;3m")
        await it.pilot.mouse_down("#term", offset=(5, 3), shift=True)
        await it.pilot.pause()
        assert shell.typed == b"\x1b[<0;5;3M\x1b[<0;5;3m"


@pytest.mark.parametrize("text", CORPUS)
async def test_hostile_output_stays_in_its_cells(text: str) -> None:
    async with running(engine=ShellEngine()) as it:
        shell = await opened(it)
        shell.write(text.encode("utf-8", "surrogatepass") + b"\x18\x1b\\\r\nthe end")
        await shown(it, "the end")
        assert all(harmless(line) for line in it.lines())
        await it.press(PREFIX, "left_square_bracket")
        assert all(harmless(line) for line in it.lines())


async def test_a_flood_leaves_the_keys_alone_and_is_drawn_to_its_end() -> None:
    async with running(engine=ShellEngine()) as it:
        shell = await opened(it)
        shell.echoes = False
        shell.write(b"\x1b[31my\x1b[m\r\n" * 100_000)
        tab = it.app.home.term.current
        assert tab is not None
        it.app.home.term.post_message(events.Key("a", "a"))
        await it.until(lambda: shell.typed == b"a")
        assert tab.behind, "the key went before the flood"
        for number in range(40):
            shell.write(b"%d\r\n" % number * 5000)
        shell.write(b"the end")
        await shown(it, "the end", "39")
        assert not tab.behind


async def test_recording_and_playing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    async with running(engine=ShellEngine()) as it:
        shell = await opened(it)
        shell.write(b"before ")
        await shown(it, "before")
        await it.press(PREFIX, "r")
        await shown(it, "[rec]")
        shell.write("während\x1b]0;t\x07".encode())
        await shown(it, "während")
        await it.press(PREFIX, "r")
        (path,) = (tmp_path / "pyctr-tui" / "recordings").iterdir()
        assert path.stat().st_mode & 0o777 == 0o600
        await it.press(PREFIX, "R")
        assert path.name in it.text().replace("\n", "") or "recordings" in it.text()
        await it.press("enter")
        await it.until(lambda: type(it.app.screen).__name__ == "ReplayDialog")
        await it.until(lambda: it.app.screen.player.is_over)  # type: ignore[attr-defined]
        assert "before während" in it.text()
        await it.press("escape")
        assert it.app.home.term.mode == "typing"


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("end", ["exit", "detach", "stop"])
async def test_where_a_recording_is_is_told_whatever_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str, fails: bool
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    async with running(200, 40, engine=ShellEngine()) as it:
        shell = await opened(it)
        await it.press(PREFIX, "r")
        await shown(it, "[rec]")
        (path,) = (tmp_path / "pyctr-tui" / "recordings").iterdir()
        if fails:
            it.app.home.term.current.recorder.failed = "no space left on device"  # type: ignore[union-attr]
        if end == "exit":
            shell.end(0)
        else:
            await it.press(PREFIX, {"detach": "d", "stop": "r"}[end])
        said = "the recording ended early: no space left on device" if fails else "recorded: "
        await shown(it, said)
        assert path.name[:12] in it.lines()[-1]
        assert [job.cli for job in it.app.jobs.all if job.said.startswith(said)] == [f"replay {path}"]


def draw(shell: Shell) -> None:
    """As a person left it: a prompt, a coloured listing, and the beginning of the next command."""
    prompt = "\x1b[1;32mroot@fetch-1\x1b[0m:\x1b[1;34m/app\x1b[0m# "
    lines = [
        f"{prompt}ls -l --color",
        "total 24",
        "drwxr-xr-x 2 root root 4096 May  4 13:51 \x1b[1;34mcrawler\x1b[0m",
        "-rwxr-xr-x 1 root root  812 May  4 13:51 \x1b[1;32mentrypoint.sh\x1b[0m",
        "lrwxrwxrwx 1 root root   11 May  4 13:51 \x1b[1;36mlatest\x1b[0m -> crawler/4.py",
        "-rw-r--r-- 1 root root 5120 May  4 13:58 seen.db",
        f"{prompt}python3 -m crawler --check",
        "\x1b[32mok\x1b[0m  robots.txt    \x1b[2m12 hosts, 3 refused\x1b[0m",
        "\x1b[33mslow\x1b[0m  dns         \x1b[2mnameserver 10.0.0.1 took 812 ms\x1b[0m",
        "\x1b[1;31mfail\x1b[0m  memory      \x1b[2m913M of 1024M are in use\x1b[0m",
        f"{prompt}tail -f /var/log/fetch",
    ]
    shell.echoes = False
    shell.write(b"\x1bc" + "\r\n".join(lines).encode())


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 36), (200, 60)])
async def test_picture_of_a_program(width: int, height: int) -> None:
    async with running(width, height, engine=ShellEngine()) as it:
        shell = await opened(it)
        await it.press(PREFIX, "c")
        await it.until(lambda: len(it.engine.shells[NAME]) == 2)  # type: ignore[attr-defined]
        await it.press(PREFIX, "1")
        draw(shell)
        await shown(it, "tail -f")
        it.app.home.notify_line("")
        await it.settle()
        check(it.picture(), f"term-{width}x{height}")


async def test_picture_after_the_prefix_on_paper() -> None:
    async with running(120, 36, engine=ShellEngine()) as it:
        await it.press("t")
        shell = await opened(it)
        draw(shell)
        await shown(it, "tail -f")
        it.app.home.notify_line("")
        await it.press(PREFIX)
        check(it.picture(), "term-prefix-paper-120x36")


async def test_picture_of_looking_back() -> None:
    async with running(120, 36, engine=ShellEngine()) as it:
        shell = await opened(it)
        shell.write(b"\r\n".join(b"line %d of many" % number for number in range(60)))
        await shown(it, "line 59")
        it.app.home.notify_line("")
        await it.press(PREFIX, "left_square_bracket", "k", "k", "0", "v", "k", "k", "w")
        check(it.picture(), "term-copy-120x36")


async def test_picture_of_no_session() -> None:
    async with running(120, 36, engine=ShellEngine()) as it:
        it.app.home.action_pane("term")
        await it.settle()
        check(it.picture(), "term-none-120x36")
