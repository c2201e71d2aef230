"""What is listed: tables as docker's, JSON arrays with stable keys, templates, filters."""

from __future__ import annotations

import json
import time

import pytest

from pyctr_engine.model.host import ProcessInfo
from pyctr_engine.model.image import Change, ImageSummary, LayerInfo
from pyctr_engine.model.spec import ContainerRequest, Port
from pyctr_engine.model.stats import Stats
from pyctr_engine.model.status import State
from pyctr_tui.cli import stats
from tests.unit.cli.conftest import Cli
from tests.unit.cli.fake import ID, FakeEngine, container

PS_KEYS = {
    "ID", "Names", "Image", "Command", "CreatedAt", "RunningFor", "Ports", "State", "Status", "Labels", "Mounts",
    "Networks", "Pid", "ExitCode", "Stack", "Service", "Health", "RestartCount",
}  # fmt: skip


@pytest.fixture
def two(engine: FakeEngine) -> None:
    now = time.time()
    request = ContainerRequest("nginx:1.27", labels={"tier": "front"}, stack="shop", service="web")
    engine.containers_ = [
        container("web", State.RUNNING, request, (Port(80, 8080, "127.0.0.1"), Port(443)), started_at=now - 7300),
        container("job", State.EXITED, id="f" * 64, exit_code=137, finished_at=now - 300, oom_killed=True),
    ]


@pytest.mark.usefixtures("two")
def test_ps_looks_like_docker_s(cli: Cli) -> None:
    code, out, _ = cli("ps")
    header, line = out.splitlines()
    assert code == 0
    headers = [text for text in header.split("  ") if text]
    assert [text.strip() for text in headers] == [
        "CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES",
    ]  # fmt: skip
    for text in (ID[:12], "nginx:1.27", '"sleep 1000"', "Up 2 hours", "127.0.0.1:8080->80/tcp, 443/tcp", "web"):
        assert text in line


@pytest.mark.usefixtures("two")
def test_ps_all_shows_why_one_ended(cli: Cli) -> None:
    assert "Exited (137, out of memory) 5 minutes ago" in cli("ps", "-a")[1]


@pytest.mark.usefixtures("two")
def test_ps_json_is_one_array_with_stable_keys(cli: Cli) -> None:
    rows = json.loads(cli("ps", "-a", "--format", "json")[1])
    assert [row["Names"] for row in rows] == ["web", "job"]
    assert all(set(row) == PS_KEYS for row in rows)
    assert rows[1]["ExitCode"] == 137


def test_nothing_is_an_empty_array(cli: Cli) -> None:
    for words in (["ps"], ["images"], ["volume", "ls"]):
        assert json.loads(cli(*words, "--format", "json")[1]) == []


@pytest.mark.usefixtures("two")
@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["ps"], ["web"]),
        (["ps", "-a"], ["web", "job"]),
        (["ps", "-n", "1"], ["web"]),
        (["ps", "-f", "status=exited"], ["job"]),
        (["ps", "-a", "--filter", "name=jo"], ["job"]),
        (["ps", "-a", "-f", "label=tier"], ["web"]),
        (["ps", "-a", "-f", "label=tier=back"], []),
        (["ps", "-a", "-f", "ancestor=nginx"], ["web"]),
        (["ps", "-a", "-f", "exited=137"], ["job"]),
        (["ps", "-a", "--stack", "shop"], ["web"]),
        (["container", "ls", "-a", "-f", "name=web", "-f", "name=job"], ["web", "job"]),
    ],
)
def test_what_ps_shows(cli: Cli, words: list[str], names: list[str]) -> None:
    assert cli(*words, "--format", "{{.Names}}")[1].split() == names


@pytest.mark.usefixtures("two")
def test_ps_of_a_stack_file(cli: Cli, engine: FakeEngine) -> None:
    from pyctr_engine.model.stack import Stack

    engine.stack_ = Stack("shop", "/srv/shop.yaml", ())
    assert cli("ps", "-q", "shop.yaml")[1] == ID[:12] + "\n"
    assert ("load_stack", "shop.yaml", "") in engine.calls


@pytest.mark.usefixtures("two")
def test_a_table_of_one_s_own(cli: Cli) -> None:
    out = cli("ps", "-a", "--format", r"table {{.Names}}\t{{.Status}}")[1].splitlines()
    assert out[0].split() == ["NAMES", "STATUS"]
    assert out[1] == "web     Up 2 hours"


@pytest.mark.usefixtures("two")
def test_an_unknown_filter_or_field_says_what_there_is(cli: Cli) -> None:
    code, _, err = cli("ps", "--filter", "colour=red")
    assert code == 125
    assert "name=" in err
    code, _, err = cli("ps", "--format", "{{.Colour}}")
    assert code == 1
    assert ".Names" in err


def test_images_have_a_row_for_each_name(cli: Cli, engine: FakeEngine) -> None:
    engine.images_ = [
        ImageSummary("sha256:" + "a" * 64, ("app:1", "reg:5000/app:2"), time.time() - 60, 68_000_000, 3, "sha256:d"),
        ImageSummary("sha256:" + "b" * 64, (), None, 1, 1, "sha256:e"),
    ]
    rows = json.loads(cli("images", "--format", "json")[1])
    assert [(row["Repository"], row["Tag"]) for row in rows] == [
        ("app", "1"),
        ("reg:5000/app", "2"),
        ("<none>", "<none>"),
    ]
    assert cli("images", "-q")[1].split() == ["a" * 12, "b" * 12]
    assert cli("images", "app", "--format", "{{.Tag}} {{.Size}}")[1] == "1 68MB\n"


def test_history_is_newest_first_and_layers_are_lowest_first(cli: Cli, engine: FakeEngine) -> None:
    def layer(command: str, empty: bool = False) -> LayerInfo:
        digest = "" if empty else f"sha256:{command}"
        return LayerInfo(digest, digest, digest, 10, 5, command, 0.0, empty=empty)

    engine.layers_ = [layer("first"), layer("CMD x", empty=True), layer("second")]
    assert cli("history", "img", "--format", "{{.CreatedBy}}")[1].split("\n")[:3] == ["second", "CMD x", "first"]
    assert cli("layers", "img", "--format", "{{.CreatedBy}}")[1].split() == ["first", "second"]


def test_diff_is_docker_s(cli: Cli, engine: FakeEngine) -> None:
    engine.changes_ = [Change("/etc/x", "A", 5), Change("/etc/\udcff", "D")]
    assert cli("diff", "web")[1].encode(errors="surrogateescape").startswith(b"A /etc/x\nD /etc/")
    rows = json.loads(cli("diff", "web", "--format", "json")[1])
    assert rows[0] == {"Kind": "A", "Path": "/etc/x", "Size": 5, "Type": "file"}


def test_top(cli: Cli, engine: FakeEngine) -> None:
    engine.processes_ = [ProcessInfo(10, 1, "0", "S", 0.0, 65.0, 1 << 20, "nginx: master")]
    assert json.loads(cli("top", "web", "--format", "json")[1])[0]["Time"] == "00:01:05"


@pytest.mark.usefixtures("two")
def test_port(cli: Cli) -> None:
    assert cli("port", "web")[1] == "80/tcp -> 127.0.0.1:8080\n"
    assert cli("port", "web", "80")[1] == "127.0.0.1:8080\n"
    assert cli("port", "web", "81/udp")[0] == 1


def test_inspect_prints_what_it_finds_and_fails_for_the_rest(cli: Cli, engine: FakeEngine) -> None:
    engine.inspected_ = {"web": {"Name": "web", "State": {"Pid": 7}}}
    code, out, err = cli("inspect", "web", "nope")
    assert code == 1
    assert json.loads(out) == [engine.inspected_["web"]]
    assert "there is no container, image or volume nope" in err
    assert cli("inspect", "-f", "{{.State.Pid}}", "web")[1] == "7\n"


def test_stats_once(cli: Cli, engine: FakeEngine, two: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stats, "INTERVAL", 0.0)
    engine.stats_ = [
        {ID: Stats(10.0, cpu_usec=1_000_000)},
        {ID: Stats(12.0, cpu_usec=2_000_000, memory=512 << 20, pids=3)},
    ]
    (row,) = json.loads(cli("stats", "--no-stream", "--format", "json")[1])
    assert row["CPUPerc"] == "50.00%"
    assert row["MemUsage"] == "512MiB / 1GiB"
    assert row["MemPerc"] == "50.00%"


def test_names_are_harmless_on_a_terminal(engine: FakeEngine, capfd: pytest.CaptureFixture[str]) -> None:
    from pyctr_tui.cli import output

    rows = [{"Names": "\x1b]0;owned\x07"}]
    original = output.is_terminal
    try:
        output.is_terminal = lambda fd: True
        output.rows(rows, "", ("Names",))
        output.rows(rows, "{{.Names}}", ("Names",))
    finally:
        output.is_terminal = original
    out = capfd.readouterr().out
    assert "\x1b]" not in out
    assert "\x07" not in out
