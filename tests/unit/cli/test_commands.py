"""Every other command: what it asks of the engine, what it prints, and how it fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading

import pytest

from pyctr_engine.errors import Conflict
from pyctr_engine.model.event import Event
from pyctr_engine.model.host import Finding
from pyctr_engine.model.log import LogLine
from pyctr_engine.model.progress import Progress
from pyctr_engine.model.spec import CommitRequest, ContainerRequest
from pyctr_engine.model.stack import Action
from pyctr_engine.model.status import State
from pyctr_tui.cli import logs
from pyctr_tui.cli.commands import ALIASES, COMMANDS
from pyctr_tui.cli.main import main
from tests.unit.cli.conftest import Cli
from tests.unit.cli.fake import FakeEngine, container


@pytest.mark.parametrize("name", [*COMMANDS, *ALIASES])
def test_every_command_has_a_help(cli: Cli, engine: FakeEngine, name: str) -> None:
    code, out, err = cli(*name.split(), "--help")
    assert (code, err) == (0, "")
    assert out.startswith("Usage: pyctr-tui ")
    assert engine.calls == []


def test_the_help_names_every_command(cli: Cli) -> None:
    for words in (["--help"], ["-h"], ["help"]):
        code, out, _ = cli(*words)
        assert code == 0
        assert all(name in out for name in COMMANDS)


def test_an_unknown_command_gets_the_nearest(cli: Cli) -> None:
    code, _, err = cli("imagse")
    assert code == 125
    assert "did you mean `pyctr-tui images`?" in err


def test_unknown_options_are_125_everywhere(cli: Cli) -> None:
    assert cli("ps", "--shiny")[0] == 125
    assert cli("--shiny")[0] == 125


def test_directories_are_given_before_the_command(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    import pyctr_engine.engine

    seen = []

    class Spy(FakeEngine):
        def __init__(self, paths: object) -> None:
            super().__init__()
            seen.append(paths)

    monkeypatch.setattr(pyctr_engine.engine, "Engine", Spy)
    monkeypatch.setattr(pyctr_engine.engine, "enter", lambda paths: None)
    assert main(["--state-dir", "/s", "--run-dir=/r", "ps"]) == 0
    assert (seen[0].state, seen[0].run) == ("/s", "/r")


def test_each_goes_on_after_a_failure(cli: Cli, engine: FakeEngine) -> None:
    engine.containers_ = [container("a"), container("b")]
    code, out, err = cli("stop", "-t", "3", "a", "nope", "b")
    assert code == 1
    assert out == "a\nb\n"
    assert "there is no container nope" in err
    assert engine.calls == [("stop", "a", 3.0), ("stop", "b", 3.0)]


def test_wait_prints_exit_codes(cli: Cli) -> None:
    assert cli("wait", "a", "b")[1] == "3\n3\n"


def test_kill_and_rm(cli: Cli, engine: FakeEngine) -> None:
    cli("kill", "-s", "HUP", "a")
    cli("rm", "-fv", "a")
    assert engine.calls == [("kill", "a", "HUP"), ("remove", "a", True, True)]


def test_commit_prints_the_id_and_keeps_progress_apart(cli: Cli, engine: FakeEngine) -> None:
    engine.progress_ = [Progress("layer", "packing", 10, 20), Progress("layer", "done", 20, 20, finished=True)]
    code, out, err = cli(
        "commit", "-a", "me", "-m", "why", "-c", "CMD x", "-c", "ENV A=b", "-p=false", "web", "app:2"
    )
    assert code == 0
    assert out == "sha256:" + "cd" * 32 + "\n"
    assert err == "layer  packing\nlayer  done\n"
    request = CommitRequest("app:2", "me", "why", ("CMD x", "ENV A=b"), pause=False)
    assert engine.calls == [("commit", "web", request)]


def test_commit_takes_a_part_or_all_in_one(cli: Cli, engine: FakeEngine) -> None:
    assert cli("commit", "--no-pause", "--include", "/a", "--include=*.b", "--exclude", "/c", "-s", "web")[0] == 0
    request = CommitRequest(pause=False, include=("/a", "*.b"), exclude=("/c",), squash=True)
    assert engine.calls == [("commit", "web", request)]


def test_import(cli: Cli, engine: FakeEngine) -> None:
    assert cli("import", "-c", "CMD sh", "-m", "x", "rootfs.tar", "deb:12")[0] == 0
    assert engine.calls == [("import_image", "rootfs.tar", "deb:12", ["CMD sh"], "x")]


def test_load_prints_what_it_loaded_as_docker_does(cli: Cli, engine: FakeEngine) -> None:
    assert cli("load", "-q", "-i", "a.tar")[1].splitlines() == [
        "Loaded image: app:1",
        "Loaded image: app:2",
        "Loaded image ID: sha256:" + "ab" * 32,
    ]
    assert cli("load", "a.tar")[0] == 0
    assert engine.calls == [("load", "a.tar", True), ("load", "a.tar", False)]


def test_save_in_every_format(cli: Cli, engine: FakeEngine) -> None:
    cli("save", "-o", "a.tar", "app:1", "app:2")
    cli("save", "--format", "docker-archive", "-o", "a.tar", "app")
    cli("image", "save", "--format=oci", "-o", "d/", "app")
    assert engine.calls == [
        ("save", ["app:1", "app:2"], "a.tar", ""),
        ("save", ["app"], "a.tar", "docker"),
        ("save", ["app"], "d/", "oci"),
    ]
    code, _, err = cli("save", "--format", "zip", "-o", "a.tar", "app")
    assert code == 125
    assert "there is no format zip" in err


def test_export(cli: Cli, engine: FakeEngine) -> None:
    assert cli("export", "web") == (0, "", "")
    assert cli("container", "export", "-o", "web.tar", "web")[0] == 0
    assert engine.calls == [("export", "web", "-"), ("export", "web", "web.tar")]


def test_rmi_prints_what_was_done(cli: Cli) -> None:
    assert cli("rmi", "a", "b")[1] == "Untagged: a\nUntagged: b\n"


# -- logs -----------------------------------------------------------------------------------------------------------


def lines(*times: float, stream: str = "stdout") -> list[LogLine]:
    return [LogLine(time, stream, f"at {time:g}") for time in times]  # type: ignore[arg-type]


def test_logs_go_where_the_container_wrote_them(cli: Cli, engine: FakeEngine) -> None:
    engine.logs_ = {"web": [*lines(1), *lines(2, stream="stderr")]}
    assert cli("logs", "--tail", "5", "--since", "0", "web") == (0, "at 1\n", "at 2\n")
    assert engine.calls == [("logs", "web", False, 5, 0.0)]
    assert cli("logs", "-t", "web")[1] == "1970-01-01T00:00:01.000000000Z at 1\n"
    assert cli("logs", "--until", "1.5", "web")[2] == ""


@pytest.fixture
def shop(engine: FakeEngine) -> None:
    request = ContainerRequest("img", stack="shop", service="x")
    engine.containers_ = [container(name, request=request, id=name) for name in ("shop-web-1", "shop-db-1")]
    engine.logs_ = {"shop-web-1": lines(1, 4), "shop-db-1": lines(2, 3)}


@pytest.mark.usefixtures("shop")
def test_a_stack_s_logs_are_merged_in_time_with_names(cli: Cli) -> None:
    assert cli("logs", "--stack", "shop")[1] == "web-1 | at 1\ndb-1  | at 2\ndb-1  | at 3\nweb-1 | at 4\n"


@pytest.mark.usefixtures("shop")
def test_following_a_stack_ends_when_all_have_ended(cli: Cli) -> None:
    assert sorted(cli("logs", "-f", "--stack", "shop")[1].splitlines()) == [
        "db-1  | at 2", "db-1  | at 3", "web-1 | at 1", "web-1 | at 4",
    ]  # fmt: skip


def test_lines_of_a_stack_are_shown_before_the_other_sources_end() -> None:
    gate = threading.Event()

    def slow():  # type: ignore[no-untyped-def]
        gate.wait()
        yield lines(2)[0]

    following = logs._follow([("a", iter(lines(1))), ("b", slow())])
    assert next(following)[0] == "a"
    gate.set()
    assert next(following)[0] == "b"


def test_logs_of_nothing(cli: Cli) -> None:
    assert cli("logs")[0] == 125
    code, _, err = cli("logs", "--stack", "nope")
    assert code == 1
    assert "the stack nope has no containers" in err


# -- stacks ---------------------------------------------------------------------------------------------------------


def test_up_prints_plain_lines_without_a_terminal(cli: Cli, engine: FakeEngine) -> None:
    engine.progress_ = [Progress("hello-web-1", "creating"), Progress("hello-web-1", "started", finished=True)]
    engine.actions_ = [Action("create", "hello-web-1", "web", "new")]
    assert cli("up", "-d", "hello.yaml") == (0, "hello-web-1  creating\nhello-web-1  started\n", "")
    assert engine.calls == [("warm",), ("load_stack", "hello.yaml", ""), ("up", "hello")]


def test_up_warns_of_binds_that_could_not_be_idmapped(cli: Cli, engine: FakeEngine) -> None:
    engine.actions_ = [Action("create", "hello-web-1", "web", "new"), Action("keep", "hello-db-1", "db", "")]
    engine.containers_ = [container(name, plain_binds=("/mnt",)) for name in ("hello-web-1", "hello-db-1")]
    _, _, err = cli("up", "-d", "hello.yaml")
    assert err.startswith("pyctr-tui: warning: hello-web-1: files in /mnt keep the host's ids")
    assert err.count("\n") == 1


def test_up_of_what_is_up_says_so(cli: Cli, engine: FakeEngine) -> None:
    engine.actions_ = [Action("keep", "hello-web-1", "web", "")]
    assert cli("up", "hello.yaml")[1] == "hello  up to date\n"


def test_up_finds_the_file_of_this_directory(
    cli: Cli, engine: FakeEngine, tmp_path: os.PathLike[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = cli("up", "-d")
    assert code == 1
    assert "there is no stack file here" in err
    open("compose.yaml", "w").close()
    assert cli("up", "-d", "-p", "mine")[0] == 0
    assert ("load_stack", "compose.yaml", "mine") in engine.calls


def test_up_wait_fails_with_what_ended(cli: Cli, engine: FakeEngine) -> None:
    request = ContainerRequest("img", stack="hello", service="web")
    engine.containers_ = [container("hello-web-1", State.EXITED, request, exit_code=3)]
    code, _, err = cli("up", "--wait", "hello.yaml")
    assert code == 1
    assert "hello-web-1 ended with 3" in err
    engine.containers_ = [container("hello-web-1", State.RUNNING, request)]
    assert cli("up", "--wait", "hello.yaml")[0] == 0
    engine.containers_ = [container("hello-web-1", State.CREATED, request)]
    assert "created after 0 seconds" in cli("up", "--wait", "--wait-timeout", "0", "hello.yaml")[2]


def test_down_by_file_and_by_name(cli: Cli, engine: FakeEngine) -> None:
    cli("down", "-v", "hello.yaml")
    cli("down", "shop")
    assert [call for call in engine.calls if call[0] == "down"] == [("down", "hello", True), ("down", "shop", False)]


def test_stack_ls(cli: Cli) -> None:
    assert json.loads(cli("stack", "ls", "--format", "json")[1])[0]["Status"] == "running(1/2)"


# -- the system -----------------------------------------------------------------------------------------------------


def test_doctor_says_what_a_lack_costs_and_fails(cli: Cli, engine: FakeEngine) -> None:
    engine.findings_ = [
        Finding("ok", "kernel", "6.18"),
        Finding("fail", "nftables", "no library", "no published ports"),
    ]
    code, out, _ = cli("doctor")
    assert code == 1
    assert out.splitlines() == ["ok    kernel    6.18", "fail  nftables  no library", " " * 16 + "no published ports"]
    assert json.loads(cli("doctor", "--format", "json")[1])[1]["Level"] == "fail"
    engine.findings_ = [Finding("warn", "swap", "none", "no swap")]
    assert cli("system", "check")[0] == 0


def test_events(cli: Cli, engine: FakeEngine) -> None:
    engine.events_ = [Event(1.5, "container", "die", "abc", "web", {"exitCode": "3"})]
    code, out, _ = cli("events", "--since", "0", "--until", "now")
    assert code == 0
    assert out == "1970-01-01T00:00:01.500000000Z container die abc (exitCode=3, name=web)\n"
    assert engine.calls == [("events", 0.0, False)]
    assert (
        json.loads(cli("events", "--until", "now", "--format", "json")[1])["Actor"]["Attributes"]["exitCode"] == "3"
    )


def test_version(cli: Cli) -> None:
    assert cli("--version")[1].startswith("pyctr-tui 0.")


# -- errors ---------------------------------------------------------------------------------------------------------


def test_an_error_is_a_sentence_and_a_hint(cli: Cli, engine: FakeEngine) -> None:
    engine.failure = Conflict("the name web is taken", "choose another")
    code, out, err = cli("create", "--name", "web", "img")
    assert (code, out) == (125, "")
    assert err == "pyctr-tui: the name web is taken\n  hint: choose another\n"


def test_the_unexpected_is_a_sentence_too(cli: Cli, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    def images() -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr(engine, "images", images)
    monkeypatch.delenv("PYCTR_DEBUG", raising=False)
    code, _, err = cli("images")
    assert code == 125
    assert "RuntimeError: boom" in err
    assert "Traceback" not in err
    monkeypatch.setenv("PYCTR_DEBUG", "1")
    assert "Traceback" in cli("images")[2]


def test_an_interrupt_is_130(cli: Cli, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    def images() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(engine, "images", images)
    assert cli("images") == (130, "", "")


def test_a_closed_pipe_is_quiet() -> None:
    program = "import sys; from pyctr_tui.cli.main import main; sys.exit(main(['--help']))"
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    assert process.communicate()[1] == b""
    assert process.returncode == 141


def test_no_terminal_no_interface(cli: Cli) -> None:
    code, _, err = cli()
    assert code == 1
    assert "needs a terminal" in err
