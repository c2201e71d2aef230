"""Commands about a container's life: what they ask of the engine, and what they say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pyctr_engine.errors import EngineError
from pyctr_engine.model.event import Event
from pyctr_engine.model.log import LogLine
from pyctr_engine.model.past import PastProcess, PostMortem, Session
from pyctr_engine.model.spec import ContainerRequest, HealthCheck, Logging, Resources, RestartPolicy
from pyctr_engine.model.status import State
from pyctr_engine.paths import Paths
from tests.unit.cli.conftest import Cli
from tests.unit.cli.fake import FakeEngine, container, ends_with


def _request(engine: FakeEngine) -> ContainerRequest:
    request = engine.calls[-1][1]
    assert isinstance(request, ContainerRequest)
    return request


def test_health_options(cli: Cli, engine: FakeEngine) -> None:
    words = "--health-cmd x --health-interval 1m --health-retries 5 --health-start-period 90s".split()
    assert cli("create", *words, "img")[0] == 0
    assert _request(engine).health == HealthCheck(("CMD-SHELL", "x"), interval=60.0, retries=5, start_period=90.0)
    assert cli("create", "--no-healthcheck", "img")[0] == 0
    assert _request(engine).health == HealthCheck(("NONE",))
    assert cli("create", "img")[0] == 0
    assert _request(engine).health == HealthCheck()
    assert cli("create", "--no-healthcheck", "--health-cmd", "x", "img")[0] == 125
    assert cli("create", "--health-interval", "soon", "img")[0] == 125


def test_log_options(cli: Cli, engine: FakeEngine) -> None:
    words = "--log-driver json-file --log-opt max-size=5m --log-opt max-file=7 --log-opt rate-limit=100".split()
    assert cli("create", *words, "img")[0] == 0
    assert _request(engine).logging == Logging(5 << 20, 7, 100)
    assert cli("create", "--log-driver", "none", "img")[0] == 0
    assert _request(engine).logging == Logging(max_size=0)
    assert "there is no driver syslog" in cli("create", "--log-driver", "syslog", "img")[2]
    assert "'maxsize' is unknown" in cli("create", "--log-opt", "maxsize=1", "img")[2]


def test_rename_and_update(cli: Cli, engine: FakeEngine) -> None:
    before = Resources(memory=64 << 20, memory_swap=128 << 20, pids=10, cpus=1.0)
    engine.containers_ = [container("web", request=ContainerRequest("x", resources=before))]
    assert cli("rename", "web", "other") == (0, "", "")
    assert engine.calls == [("rename", "web", "other")]
    assert cli("update", "--memory", "1g", "--pids-limit", "-1", "web") == (0, "web\n", "")
    assert engine.calls[-1] == ("update", "web", Resources(memory=1 << 30, cpus=1.0, pids=-1), None)
    assert cli("update", "--restart", "on-failure:3", "web")[0] == 0
    assert engine.calls[-1] == ("update", "web", None, RestartPolicy("on-failure", 3))
    assert "nothing to change" in cli("update", "web")[2]


@pytest.mark.parametrize(
    ("words", "call"),
    [
        ("web:/a b", ("copy_out", "web", "/a", "b", False, False)),
        ("-a web:a/. -L -", ("copy_out", "web", "a/.", "-", True, True)),
        ("./a:b web:/c/", ("copy_in", "web", "./a:b", "/c/", False, False)),
        ("a web:", ("copy_in", "web", "a", "/", False, False)),
    ],
)
def test_cp_knows_which_end_is_inside(cli: Cli, engine: FakeEngine, words: str, call: tuple[object, ...]) -> None:
    assert cli("cp", *words.split()) == (0, "", "")
    assert engine.calls == [call]


def test_cp_between_two_or_none_is_refused(cli: Cli) -> None:
    assert "not between containers" in cli("cp", "a:/b", "c:/d")[2]
    assert "neither names a container" in cli("cp", "a", "b")[2]


def test_sessions_are_listed_and_come_back_to(cli: Cli, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyctr_tui.cli.output.is_terminal", lambda _fd: True)
    engine.containers_ = [container("web")]
    engine.sessions_ = [
        Session("0123456789ab", ("sh", "-c", "\x1b[2J"), True, 7, 0.0, 0.0, None, 2),
        Session("ba9876543210", ("false",), False, 0, 0.0, 1.0, 1, 0),
    ]
    code, out, _ = cli("exec", "--list", "web")
    assert code == 0
    assert "0123456789ab   running" in out
    assert "exited (1)" in out
    assert "\x1b" not in out
    assert [row["ID"] for row in json.loads(cli("exec", "--list", "--format", "json", "web")[1])] == [
        "0123456789ab",
        "ba9876543210",
    ]
    monkeypatch.setattr("pyctr_tui.cli.run.is_terminal", lambda _fd: True)
    engine.program = ends_with(5, b"again")
    assert cli("attach", "--session", "0123", "web")[:2] == (5, "again")
    assert ("reattach", "web", "0123") in engine.calls
    assert "no command given" in cli("exec", "web")[2]


def test_recording_needs_a_terminal(cli: Cli, engine: FakeEngine, tmp_path: Path) -> None:
    engine.containers_ = [container("web")]
    assert "only what has a terminal" in cli("exec", "--record", str(tmp_path / "x.cast"), "web", "true")[2]
    assert not (tmp_path / "x.cast").exists()
    assert "can't be recorded" in cli("exec", "-dt", "--record", str(tmp_path / "x.cast"), "web", "true")[2]
    assert "cannot record to" in cli("exec", "--record", "/nowhere/x", "-t", "web", "true")[2]
    assert not [call for call in engine.calls if call[0] == "exec"], "nothing is started that can't be recorded"


def test_resume_tells_what_came_back(cli: Cli, engine: FakeEngine) -> None:
    engine.resumed_ = [(container("one"), None), (container("two"), EngineError("cannot start two: x", "do y"))]
    code, out, err = cli("resume")
    assert (code, out) == (1, "one  started\n")
    assert "cannot start two: x" in err
    assert "do y" in err


def test_a_unit_is_printed(cli: Cli) -> None:
    for words, wanted in (((), "WantedBy=multi-user.target"), (("--user",), "WantedBy=default.target")):
        code, out, _ = cli("service", "install", "--print", *words)
        assert code == 0
        assert wanted in out or not words
        assert " -m pyctr_tui.cli.main" in out
        assert "KillMode=process" in out
        assert out.rstrip().splitlines()[-1].startswith("WantedBy=")


def test_a_unit_knows_where_the_state_is_and_quotes_it(
    cli: Cli, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYCTR_STATE_DIR", "/srv/state")
    engine.paths = Paths("/srv/state", '/srv/a "run" 100%')
    _, out, _ = cli("service", "install", "--print")
    assert ' --state-dir /srv/state --run-dir "/srv/a \\"run\\" 100%%" resume' in out


@pytest.mark.parametrize("text", ["inf", "nan", "1e400", "-1", "1e300s"])
def test_times_that_cannot_be(cli: Cli, text: str) -> None:
    code, _, err = cli("create", "--health-interval", text, "img")
    assert code == 125
    assert "is not a duration" in err


def test_a_negative_tail_is_all(cli: Cli, engine: FakeEngine) -> None:
    engine.logs_ = {"a": []}
    for given, tail in (("-1", None), ("all", None), ("0", 0), ("5", 5)):
        assert cli("logs", "--tail", given, "a")[0] == 0
        assert engine.calls[-1] == ("logs", "a", False, tail, None)


def test_events_are_filtered(cli: Cli, engine: FakeEngine) -> None:
    engine.events_ = [
        Event(1.0, "container", "die", "abcd" * 16, "web", {"exitCode": "3"}),
        Event(2.0, "container", "health_status: healthy", "abcd" * 16, "web"),
        Event(3.0, "image", "tag", "ef" * 32, "x:1"),
    ]

    def actions(*filters: str) -> list[str]:
        words = [word for filter in filters for word in ("--filter", filter)]
        return cli("events", "--since", "0", "--until", "now", "--format", "{{.Action}}", *words)[1].splitlines()

    assert actions("type=image") == ["tag"]
    assert actions("container=web") == ["die", "health_status: healthy"]
    assert actions("container=abcdabcd", "event=die") == ["die"]
    assert actions("event=health_status") == ["health_status: healthy"]
    assert actions("event=die", "event=tag") == ["die", "tag"]
    assert "is unknown" in cli("events", "--filter", "colour=red")[2]


def test_logs_of_several_are_merged_and_long_lines_put_together(cli: Cli, engine: FakeEngine) -> None:
    engine.containers_ = [container("a", id="a" * 64), container("bb", id="b" * 64)]
    engine.logs_ = {
        "a" * 64: [
            LogLine(1.0, "stdout", "one"),
            LogLine(3.0, "stdout", "thr", partial=True),
            LogLine(3.1, "stdout", "ee"),
        ],
        "b" * 64: [LogLine(2.0, "stdout", "two")],
    }
    assert cli("logs", "a", "bb")[1] == "a  | one\nbb | two\na  | three\n"
    engine.logs_["a"] = engine.logs_["a" * 64]
    assert cli("logs", "--until", "2.5", "a")[1] == "one\n"


def test_why_is_told_to_people_and_programs(cli: Cli, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyctr_tui.cli.output.is_terminal", lambda _fd: True)
    engine.containers_ = [container("web", State.EXITED, exit_code=137, finished_at=1.0)]
    engine.why_ = PostMortem(
        verdict="It ended.",
        details=("A fact.",),
        status=engine.containers_[0].status,
        limits=(("oom", 1),),
        logs=(LogLine(1.0, "stdout", "\x1b]0;evil\x07last words"),),
        usage=(),
        processes=(
            PastProcess(4, 1, 1.5, 3 << 20, "evil \x1b[2J"),
            PastProcess(9, 1, 0.1, 1 << 20, "another"),
            PastProcess(7, 6, 0.5, 2 << 20, "grandchild"),
            PastProcess(6, 4, 0.5, 2 << 20, "child"),
        ),
        processes_at=1.0,
        changes=(),
        changed=0,
        events=(Event(1.0, "container", "die", "x", "web", {"exitCode": "137"}),),
        health=(),
        trace=(),
    )
    code, out, _ = cli("inspect", "--why", "web")
    assert code == 0
    assert "It ended." in out
    assert "A fact." in out
    assert "last words" in out
    assert "die (exitCode=137)" in out
    told = out[out.index("Processes,") :].splitlines()[1:5]
    assert [line[line.index("MiB") + 5 :].split("␛")[0].rstrip() for line in told] == [
        "evil", "  child", "    grandchild", "another"
    ]  # fmt: skip
    assert "\x1b" not in out
    (row,) = json.loads(cli("inspect", "--why", "web", "--format", "json")[1])
    assert row["verdict"] == "It ended."
