"""The house: how it is made, entered, kept, left, and mended; and what is said where there can be none."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.engine.rootless.test_network import get, serve
from tests.engine.rootless.user import LOGIN, PROGRAM, User

pytestmark = pytest.mark.root
IMAGE = "pyctr/base"
BRIEF = {"PYCTR_HOUSE_IDLE": "0.5", "PYCTR_SPAWNER_IDLE": "0.5"}


def wait(good: Callable[[], object], patience: float = 30.0) -> None:
    deadline = time.monotonic() + patience
    while not good():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def kill(user: User, name: str) -> int:
    pid = user.pid(name)
    assert pid
    os.kill(pid, 9)
    wait(lambda: pid not in user.processes())
    return pid


@pytest.fixture
def web(user: User) -> Iterator[str]:
    """A container that serves, published; its address."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    serve(user, f"{port}:80")
    yield f"http://127.0.0.1:{port}"


def serves(user: User, url: str) -> None:
    assert get(url)
    assert user.out("exec", "web", "echo", "in") == "in"
    assert user.out("run", "--rm", IMAGE, "echo", "new") == "new"
    assert get(url)
    user("system", "check")


def test_a_killed_keeper_is_replaced(user: User, web: str) -> None:
    before = kill(user, "pyctr-house")
    assert get(web)
    serves(user, web)
    assert user.pid("pyctr-house") not in (0, before)


def test_a_killed_pasta_is_started_again(user: User, web: str) -> None:
    kill(user, "passt") if user.pid("passt") else kill(user, "pasta")
    serves(user, web)


def test_a_killed_spawner_is_replaced(user: User, web: str) -> None:
    kill(user, "pyctr-spawner")
    serves(user, web)


def test_a_wiped_run_directory_is_made_again(user: User, web: str) -> None:
    keeper = user.pid("pyctr-house")
    shutil.rmtree(user.run_dir)
    serves(user, web)
    assert user.pid("pyctr-house") == keeper


def test_a_wiped_run_directory_and_no_keeper(user: User, web: str) -> None:
    kill(user, "pyctr-house")
    shutil.rmtree(user.run_dir)
    serves(user, web)


def test_all_killed_at_once(user: User, web: str) -> None:
    user.end_processes()
    assert "Exited (137)" in user.out("ps", "-a")
    user("start", "web")
    serves(user, web)


def test_first_calls_at_once_make_one_house(user: User) -> None:
    directories = ("--run-dir", str(user.home / "many"))
    calls = [user.spawn(PROGRAM, *directories, "ps", "-q", environment=BRIEF) for _ in range(8)]
    for call in calls:
        out, err = call.communicate(timeout=60)
        assert (out, err, call.returncode) == ("", "", 0)
    words = [Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0") for pid in user.processes()]
    keepers = [line for line in words if b"keeper" in b" ".join(line) and os.fsencode(directories[1]) in line]
    assert len(keepers) <= 1  # none when they have all left again


def test_it_leaves_when_nobody_needs_it(user_without_ids: User) -> None:
    user = user_without_ids
    user.give_ids()
    user("run", "--rm", "--network", "none", IMAGE, "true", environment=BRIEF)
    wait(lambda: not user.processes())
    assert not (user.run_dir / "house.pid").exists()
    assert not (user.run_dir / "house.uplink").exists()


def test_containers_keep_it_when_nobody_calls(user_without_ids: User) -> None:
    user = user_without_ids
    user.give_ids()
    user("run", "-d", "--name", "stays", IMAGE, "sleep", "1000", environment=BRIEF)
    time.sleep(3)  # six times as long as an empty house is kept
    assert user.pid("pyctr-house")
    assert user.out("exec", "stays", "echo", "there", environment=BRIEF) == "there"
    user("rm", "-f", "stays", environment=BRIEF)
    wait(lambda: not user.processes())


def test_a_user_without_ids_is_told_what_the_administrator_types(user_without_ids: User) -> None:
    user = user_without_ids
    refused = user("ps", code=1)
    assert f"{user.name} has no ids for containers in /etc/subuid and /etc/subgid" in refused.stderr
    assert "usermod --add-subuids" in refused.stderr
    found = user("doctor", code=1).stdout
    assert "usermod --add-subuids" in found
    assert "newuidmap and newgidmap are installed" in found
    user.give_ids()
    assert user.out("ps", "-q") == ""


def test_a_host_without_newuidmap_is_told_what_to_install(user_without_ids: User) -> None:
    user = user_without_ids
    user.give_ids()
    refused = user("ps", code=1, hide=["/usr/bin/newuidmap"])
    assert "newuidmap is not installed" in refused.stderr
    assert "apt-get install uidmap passt" in refused.stderr
    assert "apt-get install uidmap passt" in user("doctor", code=1, hide=["/usr/bin/newuidmap"]).stdout


def test_a_tun_device_that_is_closed_is_told(user_without_ids: User) -> None:
    user = user_without_ids
    user.give_ids()
    options = {"tun": False, "environment": BRIEF}
    assert user.out("run", "--rm", "--network", "none", IMAGE, "echo", "ok", **options) == "ok"
    refused = user("run", "--rm", IMAGE, "true", code=125, **options)
    assert "there is no network for this user's containers: pasta did not start" in refused.stderr
    found = user("doctor", code=1, **options).stdout
    assert "/dev/net/tun" in found
    assert "chmod 666 /dev/net/tun" in found


def test_a_network_that_could_not_be_had_is_tried_again(user_without_ids: User) -> None:
    """The administrator mends what was wrong, and nothing has to be stopped for it."""
    user = user_without_ids
    user.give_ids()
    user("run", "-d", "--name", "stays", "--network", "none", IMAGE, "sleep", "1000", tun=False)
    keeper = user.pid("pyctr-house")
    user("run", "--rm", IMAGE, "true", code=125)
    subprocess.run(["nsenter", "-m", f"-t{keeper}", "chmod", "666", "/dev/net/tun"], check=True)
    assert user.out("run", "--rm", IMAGE, "echo", "out") == "out"
    assert user.pid("pyctr-house") == keeper


def test_doctor_finds_nothing_wrong(user: User) -> None:
    found = user("doctor").stdout
    assert "pasta leads out and in" in found
    assert "none delegated to this user" in found


def test_a_run_directory_that_another_planted_is_refused(user: User) -> None:
    planted = user.home / "planted"
    planted.mkdir()
    planted.chmod(0o777)
    refused = user("--run-dir", str(planted), "ps", code=1)
    assert "is not this user's alone" in refused.stderr


def test_an_engine_that_has_entered_nothing_says_how(user: User) -> None:
    import pyctr_engine

    program = (
        f"import sys; sys.path.insert(0, {os.path.dirname(os.path.dirname(pyctr_engine.__file__))!r})\n"
        "from pyctr_engine.engine import Engine, enter\n"
        "from pyctr_engine.errors import EngineError\n"
        "from pyctr_engine.paths import Paths\n"
        "import threading\n"
        "paths = Paths()\n"
        "try:\n    Engine(paths).containers()\n"
        "except EngineError as error:\n    print(error.hint)\n"
        "blocker = threading.Event(); thread = threading.Thread(target=blocker.wait); thread.start()\n"
        "try:\n    enter(paths)\n"
        "except EngineError as error:\n    print(error)\n"
        "blocker.set(); thread.join()\n"
        "enter(paths)\n"
        "print(Engine(paths).containers())\n"
    )
    out, err = user.spawn(sys.executable, "-c", program).communicate(timeout=60)
    assert out.split("\n")[:3] == [
        "call `pyctr_engine.engine.enter(paths)` first of all, before any thread is started",
        "a process that has threads can't enter the user's namespaces",
        "[]",
    ], err


def test_relative_paths_mean_what_they_mean_outside(user: User) -> None:
    (user.home / "here").mkdir()
    shutil.chown(user.home / "here", user.name)
    run = f'{PROGRAM} run --rm -v "$PWD/file:/f" -v ./:/d {IMAGE} cat /f /d/file'
    script = f"cd {user.home}/here && echo found > file && {run}"
    out, err = user.spawn("/bin/sh", "-c", script).communicate(timeout=60)
    assert out == "found\nfound\n", err


def test_a_terminal_with_job_control(user: User) -> None:
    """`run -it` on a real terminal."""
    from pyctr_engine.paths import Paths
    from tests.e2e.tmux import Tmux

    command = user.command([PROGRAM, "run", "-it", "--rm", "--network", "none", IMAGE, "bash"])
    terminal = Tmux(Paths(str(user.state_dir), str(user.run_dir)))
    try:
        terminal.run(*command)
        terminal.wait_for("bash-")
        terminal.type("id -u; tty; stty size\n")
        terminal.wait_for("/dev/pts/0", "36 120")
        terminal.type("sleep 99\n")
        time.sleep(0.3)
        terminal.press("C-z")
        terminal.wait_for("Stopped")
        terminal.type("kill %1; exit\n")
        terminal.type("exit\n")
        terminal.wait_for_prompt()
    finally:
        terminal.close()


def test_the_interface_shows_and_stops_containers(user: User) -> None:
    from pyctr_engine.paths import Paths
    from tests.e2e.tmux import Tmux

    user("run", "-d", "--name", "shown", "--stop-timeout", "1", IMAGE, "sleep", "1000")
    terminal = Tmux(Paths(str(user.state_dir), str(user.run_dir)))
    try:
        terminal.run(*user.command([PROGRAM]))
        terminal.wait_for("shown", user.name, "cgroup none", "1 up")
        terminal.press("5")
        terminal.press("1", "s")
        terminal.wait_for("exit 137")
        terminal.press("q")
        terminal.wait_for_prompt()
    finally:
        terminal.close()
    assert "Exited" in user.out("ps", "-a")


def test_nothing_of_ours_is_set_user_id() -> None:
    root = Path(LOGIN).parents[3]
    listed = subprocess.run(["git", "-C", str(root), "ls-files"], capture_output=True, text=True, check=True).stdout
    for name in listed.split("\n"):
        with contextlib.suppress(FileNotFoundError):
            assert not (root / name).stat().st_mode & 0o6000, name


def test_control_groups_are_used_where_they_are_delegated_and_nowhere_else(user: User) -> None:
    """Looked at with a tree of files: what counts is who may write."""
    import pyctr_engine

    program = (
        f"import os, sys; sys.path.insert(0, {os.path.dirname(os.path.dirname(pyctr_engine.__file__))!r})\n"
        "from pyctr_engine.cgroups import place\n"
        "from pyctr_engine.cgroups.layout import Layout\n"
        "tree = Layout('v2', sys.argv[1], frozenset({'memory'}), {})\n"
        "found = [place.is_delegated(tree, f'{name}/pyctr-tui.scope') for name in ('mine', 'roots')]\n"
        "print(place.is_users_own(), *found)\n"
    )
    tree = user.home / "tree"
    for name in ("mine", "roots"):
        (tree / name).mkdir(parents=True)
        (tree / name / "cgroup.procs").write_text("")
    (tree / "cgroup.procs").write_text("")
    for path in (tree / "mine", tree / "mine" / "cgroup.procs"):
        shutil.chown(path, user.name)
    out, err = user.spawn(sys.executable, "-c", program, str(tree)).communicate(timeout=60)
    assert out.split() == ["True", "True", "False"], err
