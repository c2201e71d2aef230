"""Containers from the command line, as people and scripts use it."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable

import pytest

from tests.e2e.conftest import Cli
from tests.e2e.tmux import Tmux

pytestmark = pytest.mark.root

BASE = "pyctr/base"


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["true"], 0),
        (["sh", "-c", "exit 3"], 3),
        (["sh", "-c", "kill -9 $$; exit 4"], 4),  # PID 1 of a namespace can't kill itself
        (["no-such-program"], 127),
        (["/etc/passwd"], 126),
    ],
)
def test_exit_codes_are_docker_s(cli: Cli, command: list[str], code: int) -> None:
    done = cli("run", "--rm", "--network", "none", BASE, *command, code=code)
    if code in (126, 127):
        assert done.stderr.startswith("pyctr-tui: ")
        assert command[0] in done.stderr


def test_what_fails_leaves_no_container(cli: Cli) -> None:
    cli("run", "--name", "x", "no/such/image", "true", code=125)
    cli("run", "--rm", "--name", "x", BASE, "no-such-program", code=127)
    cli("run", "-d", "--name", "x", BASE, "no-such-program", code=127)
    assert cli.rows("ps", "-a") == []


def test_streams_are_kept_apart_and_whole(cli: Cli) -> None:
    done = cli("run", "--rm", BASE, "sh", "-c", "echo out; echo err >&2")
    assert (done.stdout, done.stderr) == ("out\n", "err\n")
    text = "".join(f"line {number}\n" for number in range(50_000))
    assert cli("run", "-i", "--rm", BASE, "cat", input=text).stdout == text


def test_a_container_s_life(cli: Cli) -> None:
    id = cli("run", "-d", "--name", "web", "-e", "A=b", "-l", "tier=front", BASE, "sleep", "1000").stdout.strip()
    (row,) = cli.rows("ps", "--no-trunc")
    assert (row["ID"], row["Names"], row["State"]) == (id, "web", "running")
    assert cli("exec", "web", "sh", "-c", "echo $A; exit 4", code=4).stdout == "b\n"
    (shown,) = json.loads(cli("inspect", "web").stdout)
    assert shown["Id"] == id
    assert cli("inspect", "-f", "{{.State.Status}}", "web").stdout == "running\n"
    assert "is running" in cli("rm", "web", code=1).stderr
    cli("pause", "web")
    assert "(Paused)" in cli("ps").stdout
    cli("unpause", "web")
    cli("kill", "web")
    assert cli("wait", "web").stdout == "137\n"
    assert cli("ps").stdout.count("\n") == 1
    assert "Exited (137)" in cli("ps", "-a").stdout
    cli("start", "web")
    cli("stop", "-t", "0", "web")
    assert cli("rm", "web").stdout == "web\n"


def test_logs_are_there_after_the_end(cli: Cli) -> None:
    cli("run", "--name", "talk", BASE, "sh", "-c", "echo one; echo two >&2; echo three")
    done = cli("logs", "talk")
    assert (done.stdout, done.stderr) == ("one\nthree\n", "two\n")
    both = cli("logs", "-n", "1", "talk")
    assert (both.stdout + both.stderr).count("\n") == 1


def test_following_logs_ends_with_the_container(cli: Cli) -> None:
    cli("run", "-d", "--name", "talk", BASE, "sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.2; done")
    assert cli("logs", "-f", "talk").stdout == "1\n2\n3\n"


def test_a_commit_s_image_runs(cli: Cli) -> None:
    cli("run", "--name", "made", BASE, "sh", "-c", "echo hello > /greeting; rm /etc/hostname 2>/dev/null; true")
    assert "A /greeting\n" in cli("diff", "made").stdout
    image = cli("commit", "-m", "a greeting", "-c", 'CMD ["cat", "/greeting"]', "made", "greeting:1").stdout.strip()
    assert image.startswith("sha256:")
    assert cli("run", "--rm", "greeting:1").stdout == "hello\n"
    assert cli.rows("history", "greeting:1")[0]["Comment"] == "a greeting"
    assert len(cli.rows("layers", "greeting:1")) == 2
    cli("rm", "made")
    assert "Untagged: greeting:1" in cli("rmi", "greeting:1").stdout
    assert "greeting" not in cli("images").stdout


def test_limits_and_stats(cli: Cli) -> None:
    cli("run", "-d", "--name", "small", "-m", "64m", "--pids-limit", "20", "--cpus", "0.5", BASE, "sleep", "1000")
    (row,) = cli.rows("stats", "--no-stream", "small")
    assert str(row["MemUsage"]).endswith("/ 64MiB")
    assert row["PIDs"] == 1


def test_a_killed_client_harms_no_container(cli: Cli) -> None:
    client = cli.start("run", "--name", "on", BASE, "sh", "-c", "echo up; while true; do date; sleep 0.1; done")
    assert client.stdout is not None
    assert client.stdout.readline() == "up\n"
    client.send_signal(signal.SIGKILL)
    client.communicate()
    before = cli("logs", "on").stdout
    following = cli.start("logs", "-f", "--since", "0s", "on")
    assert following.stdout is not None
    assert following.stdout.readline() != ""
    following.kill()
    following.communicate()
    assert len(cli("logs", "on").stdout) > len(before)
    assert cli("exec", "on", "echo", "fine").stdout == "fine\n"


def test_sigterm_goes_to_the_program(cli: Cli) -> None:
    script = "trap 'echo caught; exit 5' TERM; echo ready; while true; do sleep 0.05; done"
    client = cli.start("run", "--rm", BASE, "sh", "-c", script)
    assert client.stdout is not None
    assert client.stdout.readline() == "ready\n"
    client.send_signal(signal.SIGTERM)
    assert client.communicate(timeout=60)[0] == "caught\n"
    assert client.returncode == 5


def test_a_shell_in_a_terminal(terminal: Callable[..., Tmux], cli: Cli) -> None:
    tmux = terminal(100, 30)
    tmux.run("pyctr-tui", "run", "-it", "--rm", "--name", "box", "-e", "PS1=inside> ", BASE, "sh")
    tmux.wait_for("\ninside>")
    tmux.type("tty; stty size\n")
    tmux.wait_for("/dev/pts/0", "30 100")
    tmux.type("sleep 1000\n")
    tmux.press("C-c")
    tmux.type("echo still here | tr a-z A-Z\n")
    tmux.wait_for("STILL HERE")
    tmux.resize(90, 25)
    tmux.type("stty size\n")
    tmux.wait_for("25 90")
    tmux.type("exit 7\n")
    tmux.wait_for_prompt()
    tmux.type("echo code $?\n")
    tmux.wait_for("code 7")


def test_detach_and_attach_again(terminal: Callable[..., Tmux], cli: Cli) -> None:
    tmux = terminal()
    tmux.run("pyctr-tui", "run", "-it", "--name", "box", "-e", "PS1=inside> ", BASE, "sh")
    tmux.wait_for("\ninside>")
    tmux.press("C-p", "C-q")
    tmux.wait_for_prompt()
    tmux.type("echo back $?\n")
    tmux.wait_for("back 0")
    assert cli.rows("ps")[0]["State"] == "running"
    tmux.run("pyctr-tui", "attach", "box")
    tmux.type("\necho again | tr a-z A-Z\n")
    tmux.wait_for("AGAIN")
    tmux.type("exit\n")
    tmux.wait_for_prompt()


def test_exec_in_a_terminal(terminal: Callable[..., Tmux], cli: Cli) -> None:
    cli("run", "-d", "--name", "box", BASE, "sleep", "1000")
    tmux = terminal()
    tmux.run("pyctr-tui", "exec", "-it", "-e", "PS1=inside> ", "box", "sh")
    tmux.wait_for("\ninside>")
    tmux.type("cat /proc/1/cmdline | tr '\\0' ' '; exit 3\n")
    tmux.wait_for("sleep 1000")
    tmux.wait_for_prompt()
    tmux.type("echo code $?\n")
    tmux.wait_for("code 3")


def test_hostile_names_stay_on_their_line(terminal: Callable[..., Tmux], cli: Cli) -> None:
    cli("run", "--name", "talk", BASE, "printf", r"\033]0;owned\007\033[2Jtext\033[31mred\n")
    tmux = terminal()
    tmux.run("pyctr-tui", "logs", "talk")
    assert "logs talk" in tmux.wait_for("textred")  # nothing was cleared


def test_a_bound_directory_and_a_volume(cli: Cli, tmp_path_factory: pytest.TempPathFactory) -> None:
    directory = tmp_path_factory.mktemp("bound")
    (directory / "in").write_text("from outside")
    cli(
        "run", "--rm", "-v", f"{directory}:/d", "-v", "data:/v", BASE, "sh", "-c", "cp /d/in /d/out; cp /d/in /v/kept"
    )
    assert (directory / "out").read_text() == "from outside"
    assert cli("run", "--rm", "-v", "data:/v:ro", BASE, "cat", "/v/kept").stdout == "from outside"
    assert [row["Name"] for row in cli.rows("volume", "ls")] == ["data"]
    cli("volume", "rm", "data")
