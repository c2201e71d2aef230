"""What people who know docker type first: it works, or a sentence says what to do instead."""

from __future__ import annotations

import pytest

from pyctr_engine.errors import NotFound
from pyctr_tui.cli import docker
from pyctr_tui.cli.commands import COMMANDS
from pyctr_tui.cli.template import compile_template
from tests.unit.cli.conftest import Cli
from tests.unit.cli.fake import FakeEngine, container


@pytest.mark.parametrize("words", [name.split() for name in docker._COMMANDS if name not in COMMANDS])
def test_commands_of_docker_s_that_are_not_here(cli: Cli, words: list[str]) -> None:
    code, _, err = cli(*words, "x")
    assert code == 125
    assert err.startswith(f"pyctr-tui: docker's `{words[0]}` is not here\n  hint: ")


@pytest.mark.parametrize("name", ["--dns", "--ip", "-P", "--mac-address", "--volumes-from"])
def test_options_of_docker_s_run_that_are_not_here(cli: Cli, name: str) -> None:
    code, _, err = cli("run", name, "x", "img")
    assert (code, err.splitlines()[0]) == (125, f"pyctr-tui: docker's {name} is not here")
    assert "docker's" not in cli("ps", "--dns", "x")[2], "it is run's"


def test_only_what_is_near_is_proposed(cli: Cli) -> None:
    assert "did you mean --hostname?" in cli("run", "--hostnam", "x", "img")[2]
    for strange in ("--zz", "-X", "--annotate"):
        assert "did you mean" not in cli("run", strange, "img")[2]


def test_help_of_a_command(cli: Cli) -> None:
    assert cli("help", "run") == cli("run", "--help")
    assert cli("help", "stack", "ls") == cli("stack", "ls", "--help")
    assert cli("help") == cli("--help")
    assert cli("help", "nonsense")[0] == 0


def test_removing_by_force_what_is_not_there_is_no_failure(cli: Cli, engine: FakeEngine) -> None:
    def remove(ref: str, force: bool = False, volumes: bool = False) -> None:
        raise NotFound(f"no such container: {ref}")

    engine.remove = remove  # type: ignore[method-assign]
    assert cli("rm", "gone")[0] == 1
    assert cli("rm", "-f", "gone") == (0, "", "pyctr-tui: no such container: gone\n")


def test_both_names_of_the_grace_period(cli: Cli, engine: FakeEngine) -> None:
    engine.containers_ = [container()]
    for name in ("-t", "--time", "--timeout"):
        assert cli("stop", name, "3", "web")[0] == 0
    assert [call for call in engine.calls if call[0] == "stop"] == [("stop", "web", 3.0)] * 3


def test_a_label_in_a_template() -> None:
    render = compile_template('{{.Label "b"}}|{{.Label "none"}}|{{.Labels}}')
    assert render({"Labels": "a=1,b=x=y"}) == "x=y||a=1,b=x=y"
