"""An ordinary user's containers: everything works as for root, with the user's own rights."""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
import time
from pathlib import Path

import pytest

from tests.engine.rootless.user import User

pytestmark = pytest.mark.root
IMAGE = "pyctr/base"
WAIT = ("sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.05; done")


def start(user: User, name: str, *command: str, options: tuple[str, ...] = ()) -> None:
    user("run", "-d", "--name", name, "--network", "none", *options, IMAGE, *(command or WAIT))


def test_root_inside_is_the_user_outside(user: User) -> None:
    script = "id -u; touch /h/roots /h/nobodys; chown nobody /h/nobodys"
    assert user.out("run", "--rm", "-v", f"{user.home}:/h", IMAGE, "sh", "-c", script) == "0"
    assert (user.home / "roots").stat().st_uid == user.uid
    assert (user.home / "nobodys").stat().st_uid == user.first + 65533
    for name in ("roots", "nobodys"):
        (user.home / name).unlink()


def test_ids_are_mapped_as_they_are_and_nothing_else_is(user: User) -> None:
    lines = user.out("run", "--rm", "--network", "none", IMAGE, "cat", "/proc/self/uid_map").split("\n")
    assert [line.split() for line in lines] == [["0", "0", "1"], ["1", "1", "65536"]]
    failed = user("run", "--rm", "--network", "none", "--user", "70000", IMAGE, "true", code=126)
    assert "70000 is not among the ids" in failed.stderr


def test_it_may_do_no_more_than_the_user(user: User) -> None:
    shown = user("run", "--rm", "--privileged", "-v", "/etc:/e", IMAGE, "cat", "/e/shadow", code=1)
    assert "Permission denied" in shown.stderr
    made = user("run", "--rm", "--privileged", IMAGE, "mknod", "/disk", "b", "254", "0", code=1)
    assert "Operation not permitted" in made.stderr


@pytest.mark.parametrize("how", [("--userns=host",), ("--privileged",), ("--network", "host"), ("--network", "none")])
def test_every_way_of_sharing_namespaces(user: User, how: tuple[str, ...]) -> None:
    assert user.out("run", "--rm", *how, IMAGE, "id", "-u") == "0"


def test_host_network_is_the_hosts_and_not_the_houses(user: User) -> None:
    inside = user.out("run", "--rm", "--network", "host", IMAGE, "readlink", "/proc/self/ns/net")
    assert inside == os.readlink("/proc/self/ns/net")


def test_another_containers_network(user: User) -> None:
    start(user, "one")
    script = "import os; print(os.readlink('/proc/self/ns/net'))"
    first = user.out("exec", "one", "python3", "-c", script)
    assert user.out("run", "--rm", "--network", "container:one", IMAGE, "python3", "-c", script) == first


def test_privileged_mounts_in_its_own_house(user: User) -> None:
    assert (
        user.out("run", "--rm", "--privileged", IMAGE, "sh", "-c", "mount -t tmpfs x /mnt && echo mounted")
        == "mounted"
    )


def test_exec_top_stats_logs_and_diff(user: User) -> None:
    start(user, "busy", "sh", "-c", "echo hello; touch /new; while :; do sleep 0.05; done")
    assert user.out("exec", "-u", "nobody", "busy", "id", "-u") == "65534"
    assert "sleep" in user.out("top", "busy")
    assert user.out("logs", "busy") == "hello"
    assert "A /new" in user.out("diff", "busy").split("\n")
    memory = user.out("stats", "--no-stream", "--format", "{{.MemUsage}}", "busy")
    assert not memory.startswith("0B")
    assert user.out("stats", "--no-stream", "--format", "{{.PIDs}}", "busy") in ("1", "2"), "between two sleeps: 1"


def test_history_is_recorded_without_control_groups(user: User) -> None:
    start(user, "recorded", "sh", "-c", "while :; do :; done")
    path = user.state_dir / "containers" / user.out("inspect", "recorded", "--format", "{{.Id}}") / "history"
    deadline = time.monotonic() + 15
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert path.stat().st_size


def test_copying_in_and_out(user: User) -> None:
    start(user, "box")
    source = user.write("in.txt", "from the user\n")
    user("cp", str(source), "box:/root/in.txt")
    assert user.out("exec", "box", "cat", "/root/in.txt") == "from the user"
    user("exec", "box", "sh", "-c", "echo from inside > /root/out.txt; chown nobody /root/out.txt")
    user("cp", "box:/root/out.txt", str(user.home / "out.txt"))
    assert (user.home / "out.txt").read_text() == "from inside\n"
    assert (user.home / "out.txt").stat().st_uid == user.uid


def test_commit_save_load_and_export(user: User) -> None:
    start(user, "worked", "sh", "-c", "echo kept > /kept; chown 1000:1000 /kept; while :; do sleep 0.05; done")
    user("commit", "--no-pause", "worked", "mine:1")
    user("stop", "-t", "0", "worked")
    user("commit", "worked", "mine:2")
    assert user.out("run", "--rm", "mine:2", "stat", "-c", "%u %g", "/kept") == "1000 1000"
    archive, tree = user.home / "mine.tar", user.home / "tree.tar"
    user("save", "-o", str(archive), "mine:1", "mine:2")
    user("rmi", "mine:1")
    user("load", "-i", str(archive))
    assert user.out("run", "--rm", "mine:1", "cat", "/kept") == "kept"
    user("export", "-o", str(tree), "worked")
    with tarfile.open(tree) as tar:
        assert tar.getmember("kept").uid == 1000
    user("rm", "worked")
    user("rmi", "mine:1", "mine:2")


def test_checkpoints(user: User) -> None:
    start(user, "back")
    user("exec", "back", "sh", "-c", "echo 1 > /state")
    refused = user("checkpoint", "create", "back", code=1)
    assert "can't stand still" in refused.stderr
    user("stop", "-t", "0", "back")
    user("checkpoint", "create", "back", "first")
    user("start", "back")
    user("exec", "back", "sh", "-c", "echo 2 > /state")
    user("stop", "-t", "0", "back")
    user("checkpoint", "restore", "back", "first")
    user("start", "back")
    assert user.out("exec", "back", "cat", "/state") == "1"


def test_volumes_keep_their_owners(user: User) -> None:
    user("run", "--rm", "-v", "kept:/v", IMAGE, "sh", "-c", "echo x > /v/f; chown 33:33 /v/f")
    assert user.out("run", "--rm", "-v", "kept:/v", IMAGE, "stat", "-c", "%u", "/v/f") == "33"
    user("prune", "-f", "--volumes", code=None)


def test_a_bind_of_a_tree_with_mounts_in_it(user: User) -> None:
    assert user.out(
        "run", "--rm", "-v", "/:/host:ro", IMAGE, "sh", "-c", "ls -d /host/proc/self; touch /host/tmp/x; true"
    )


def test_layers_with_devices_and_whiteouts(user: User) -> None:
    """A layer's device nodes can't be made by an ordinary user, and containers never see them."""
    tree = user.home / "devices.tar"
    with tarfile.open(tree, "w") as tar:
        for name, kind in (("dev", tarfile.DIRTYPE), ("etc", tarfile.DIRTYPE)):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = kind, 0o755
            tar.addfile(entry)
        entry = tarfile.TarInfo("dev/null")
        entry.type, entry.devmajor, entry.devminor, entry.mode = tarfile.CHRTYPE, 1, 3, 0o666
        tar.addfile(entry)
    tree.chmod(0o644)
    user("import", str(tree), "devices:1")
    user("create", "--name", "never", "devices:1", "/nothing")
    user("rm", "never")
    user("rmi", "devices:1")
    start(user, "white")
    user("exec", "white", "rm", "-r", "/srv")
    user("stop", "-t", "0", "white")
    user("commit", "white", "white:1")
    assert user("run", "--rm", "white:1", "ls", "/srv", code=2).returncode == 2
    user("rm", "white")
    user("rmi", "white:1")


def test_an_image_with_ids_that_the_user_has_not(user: User) -> None:
    tree = user.home / "high.tar"
    with tarfile.open(tree, "w") as tar:
        entry = tarfile.TarInfo("file")
        entry.uid = 200_000
        tar.addfile(entry)
    tree.chmod(0o644)
    refused = user("import", str(tree), "high:1", code=1)
    assert "the owner 200000, and this user has 65537 ids" in refused.stderr
    assert "usermod --add-subuids" in refused.stderr


def test_limits_are_refused_and_never_dropped_in_silence(user: User) -> None:
    refused = user("run", "--rm", "-m", "64m", IMAGE, "true", code=125)
    assert "the limit memory can't be kept: no control groups are delegated to this user" in refused.stderr
    assert "PYCTR_LIMITS=optional" in refused.stderr
    start(user, "free")
    assert "can't be kept" in user("update", "--pids-limit", "100", "free", code=1).stderr
    assert "can't be paused" in user("pause", "free", code=1).stderr


def test_limits_that_may_be_left_out(user: User) -> None:
    wish = {"PYCTR_LIMITS": "optional"}
    command = ("run", "-d", "--name", "wish", "--network", "none", "-m", "64m", IMAGE, *WAIT)
    user(*command, environment=wish)
    told = json.loads(user.out("inspect", "wish"))[0]
    assert told["Pyctr"]["LimitsKept"] is False
    assert told["Pyctr"]["Cgroups"] == "none"
    user("stop", "-t", "1", "wish")  # what has limits that are not kept can be ended all the same
    user("rm", "wish")


def test_restarts_need_no_engine(user: User) -> None:
    start(user, "again", "sh", "-c", "echo run; exit 3", options=("--restart", "on-failure:2"))
    user("wait", "again", code=None)
    deadline = time.monotonic() + 10
    while user.out("logs", "again").count("run") < 3 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert user.out("logs", "again").count("run") == 3


def test_what_a_killed_monitor_left_is_swept(user: User) -> None:
    start(user, "lost")
    told = json.loads(user.out("inspect", "lost"))[0]
    first = told["State"]["Pid"]
    os.kill(told["Pyctr"]["MonitorPid"], 9)
    assert "Exited (137)" in user.out("ps", "-a")
    deadline = time.monotonic() + 5
    while first in user.processes() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert first not in user.processes()


def test_a_container_that_runs_is_removed_by_force(user: User) -> None:
    start(user, "stubborn", "sh", "-c", "trap '' TERM; while :; do sleep 0.05; done")
    user("rm", "-f", "stubborn")
    assert user.out("ps", "-aq") == ""


def test_a_stack(user: User) -> None:
    file = user.write(
        "stack.yaml",
        "name: pair\nservices:\n"
        "  web:\n    image: pyctr/base\n    command: python3 -m http.server 8000\n"
        "  client:\n    image: pyctr/base\n    depends_on: [web]\n"
        '    command: [python3, -c, "import urllib.request, time\\nfor _ in range(50):\\n try:\\n'
        "  print(urllib.request.urlopen('http://web:8000').status); break\\n except OSError: time.sleep(.1)\"]\n",
    )
    user("up", "-d", str(file))
    user("wait", "pair-client-1", code=None)
    assert user.out("logs", "pair-client-1") == "200"
    user("down", str(file))
    assert user.out("ps", "-aq") == ""


def test_the_store_is_the_users_and_closed_to_others(user: User) -> None:
    found = user.state_dir.stat()
    assert (found.st_uid, found.st_mode & 0o777) == (user.uid, 0o700)
    assert user.run_dir.stat().st_mode & 0o777 == 0o700


def test_pushing_to_and_pulling_from_a_registry_on_the_hosts_loopback(user: User, tmp_path: Path) -> None:
    """The front process stays in the host's network: what listens on its loopback is within reach."""
    port = _free_port()
    config = tmp_path / "registry.yml"
    config.write_text(
        f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {tmp_path}/registry}}}}\n"
        f"http: {{addr: '127.0.0.1:{port}'}}\n"
    )
    registry = subprocess.Popen(
        ["docker-registry", "serve", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _await_port(port)
        name = f"127.0.0.1:{port}/base:1"
        user("tag", IMAGE, name)
        user("push", name)
        user("rmi", name)
        user("pull", name)
        assert user.out("run", "--rm", name, "echo", "pulled") == "pulled"
        user("rmi", name)
    finally:
        registry.kill()
        registry.wait()


def _free_port() -> int:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def _await_port(port: int) -> None:
    import socket

    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            return
