"""`pull`, `push`, `login`, `logout`: docker's words, and what they ask of the engine."""

from __future__ import annotations

import io

import pytest

from pyctr_engine.model.image import ImageSummary
from pyctr_engine.model.progress import Progress
from tests.unit.cli.conftest import Cli
from tests.unit.cli.fake import ID, FakeEngine


def test_pull(cli: Cli, engine: FakeEngine) -> None:
    engine.progress_ = [Progress("0123", "downloading", 1, 2), Progress("0123", "pulled", 2, 2, finished=True)]
    code, out, err = cli("pull", "nginx")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "Using default tag: latest",
        "0123  downloading",
        "0123  pulled",
        "Digest: sha256:0",
        "Status: Downloaded newer image for nginx:latest",
        "docker.io/library/nginx:latest",
    ]
    assert engine.calls == [("pull", "nginx", "")]


@pytest.mark.parametrize("name", ["nginx:1", "nginx:latest", "nginx@sha256:" + "0" * 64])
def test_a_tag_that_was_given_is_not_explained(cli: Cli, name: str) -> None:
    assert "default tag" not in cli("pull", name)[1]


def test_pull_quietly_for_a_platform(cli: Cli, engine: FakeEngine) -> None:
    engine.warnings_ = ("it may not run",)
    code, out, err = cli("image", "pull", "-q", "--platform", "linux/arm64", "a/b:1")
    assert (code, out) == (0, "docker.io/a/b:1\n")
    assert "warning: it may not run" in err
    assert engine.calls == [("pull", "a/b:1", "linux/arm64", "quietly")]


def test_pull_all_tags(cli: Cli, engine: FakeEngine) -> None:
    assert cli("pull", "-qa", "x")[1] == "docker.io/library/x:1\ndocker.io/library/x:2\n"
    assert engine.calls[0] == ("registry_tags", "x")
    assert cli("pull", "-a", "x:1")[0] == 125


def test_pull_a_stack(cli: Cli, engine: FakeEngine) -> None:
    assert cli("pull", "stack.yaml")[0] == 0
    assert ("pull_stack", "hello") in engine.calls


def test_push(cli: Cli, engine: FakeEngine) -> None:
    code, out, _ = cli("push", "host:5000/x")
    assert code == 0
    assert out == "The push refers to repository [host:5000/x]\nlatest: digest: sha256:0 size: 7\n"
    assert cli("push", "-q", "--compression-format=zstd", "x:1")[1] == "docker.io/library/x:1\n"
    assert engine.calls == [("push", "host:5000/x", "gzip"), ("push", "x:1", "zstd")]


def test_push_all_tags(cli: Cli, engine: FakeEngine) -> None:
    engine.images_ = [ImageSummary(ID, ("x:2", "y:1", "x:1", "x@sha256:" + "0" * 64), None, 0, 1, "")]
    assert cli("push", "-qa", "x")[0] == 0
    assert [call[1] for call in engine.calls if call[0] == "push"] == ["x:1", "x:2"]
    assert "no image is called z" in cli("push", "-a", "z")[2]


def test_login(cli: Cli, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("secret\n"))
    code, out, err = cli("login", "-u", "alice", "--password-stdin", "host:5000")
    assert (code, out) == (0, "Login Succeeded\n")
    assert "kept unencrypted in /root/.docker/config.json" in err
    code, _, err = cli("login", "-u", "alice", "-p", "secret")
    assert code == 0
    assert "others can see a password" in err
    assert engine.calls == [("login", "host:5000", "alice", "secret"), ("login", "", "alice", "secret")]


def test_login_with_what_is_kept(cli: Cli, engine: FakeEngine) -> None:
    engine.login_name_ = "alice"
    assert cli("login", "host:5000") == (0, "Login Succeeded\n", "")
    assert engine.calls == [("login", "host:5000", "", "")]


@pytest.mark.parametrize("words", ["", "-u alice", "--password-stdin", "-u alice -p x --password-stdin"])
def test_login_without_a_terminal(cli: Cli, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, words: str) -> None:
    monkeypatch.setattr("pyctr_tui.cli.registries.is_terminal", lambda _fd: False)
    assert cli("login", *words.split())[0] == 125
    assert engine.calls == []


def test_logout(cli: Cli, engine: FakeEngine) -> None:
    assert cli("logout", "host:5000") == (0, "Not logged in to host:5000\n", "")
    engine.login_name_ = "alice"
    assert cli("logout") == (0, "Removed the login credentials for docker.io\n", "")


@pytest.mark.parametrize("policy", ["missing", "always", "never"])
def test_run_and_up_hand_the_policy_on(cli: Cli, engine: FakeEngine, policy: str) -> None:
    cli("create", "--pull", policy, "--platform", "linux/arm64", "x")
    cli("up", "-d", "--pull", policy, "stack.yaml")
    request = engine.calls[0][1]
    assert (request.pull, request.platform) == (policy, "linux/arm64")
    assert ("up", "hello", policy) in engine.calls
