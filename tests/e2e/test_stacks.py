"""Stacks from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.conftest import Cli

pytestmark = pytest.mark.root

STACK = """\
name: pair
services:
  first:
    image: pyctr/base
    command: sh -c 'while true; do echo first; sleep 0.2; done'
    stop_grace_period: 0s
  second:
    image: pyctr/base
    command: sh -c 'while true; do echo {word}; sleep 0.2; done'
    depends_on: [first]
    stop_grace_period: 0s
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "pair.yaml"
    path.write_text(STACK.format(word="second"))
    return path


def ids(cli: Cli) -> dict[object, object]:
    return {row["Names"]: row["ID"] for row in cli.rows("ps")}


def test_up_changes_only_what_has_to_change(cli: Cli, file: Path) -> None:
    assert "pair-first-1  started" in cli("up", str(file)).stdout
    made = ids(cli)
    assert set(made) == {"pair-first-1", "pair-second-1"}
    assert cli("up", "--wait", str(file)).stdout.endswith("pair  up to date\npair  running\n")
    assert ids(cli) == made
    file.write_text(STACK.format(word="other"))
    assert "pair-second-1  recreate" in cli("up", "--dry-run", str(file)).stdout
    cli("up", "-d", str(file))
    after = ids(cli)
    assert after["pair-first-1"] == made["pair-first-1"]
    assert after["pair-second-1"] != made["pair-second-1"]
    cli("down", str(file))
    assert cli.rows("ps", "-a") == []
    assert cli.rows("stack", "ls") == []


def test_a_stack_s_containers_and_logs(cli: Cli, file: Path) -> None:
    cli("run", "-d", "--name", "other", "pyctr/base", "sleep", "1000")
    cli("up", "-d", str(file))
    assert [row["Service"] for row in cli.rows("ps", str(file))] == ["second", "first"]
    following = cli.start("logs", "-f", str(file))
    assert following.stdout is not None
    seen: set[str] = set()
    while seen != {"first-1  | first\n", "second-1 | second\n"}:
        seen.add(following.stdout.readline())
    following.kill()
    following.communicate()
    assert cli.rows("stack", "ls")[0]["Status"] == "running(2/2)"
    cli("down", "pair")


def test_a_mistake_is_found_by_line_and_column(cli: Cli, file: Path) -> None:
    file.write_text(STACK.format(word="x").replace("depends_on", "depend_on"))
    done = cli("up", str(file), code=1)
    assert f"{file}:10:5: " in done.stderr
    assert "depends_on" in done.stderr
    assert cli.rows("ps", "-a") == []


def test_config_shows_what_was_understood(cli: Cli, file: Path) -> None:
    assert "pyctr/base" in cli("stack", "config", str(file)).stdout
