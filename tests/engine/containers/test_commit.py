"""A container's changes become an image, and the image runs."""

from __future__ import annotations

import contextlib
import os
import signal
import time

import pytest

from pyctr_engine.containers import freeze
from pyctr_engine.engine import Engine
from pyctr_engine.errors import Conflict, NotFound
from pyctr_engine.model.spec import CommitRequest, ContainerRequest, Mount
from pyctr_engine.model.status import State
from tests.engine.containers.conftest import Bench, collect

pytestmark = pytest.mark.root


def test_what_was_added_changed_and_deleted_is_told_and_kept(bench: Bench) -> None:
    container = bench.start()
    bench.exec(container, "sh", "-c", "echo new > /new; echo more >> /etc/os-release; rm /etc/profile; mkdir -p /d/e")
    changes = {change.path: change.kind for change in bench.engine.changes(container.id)}
    assert changes == {
        "/d": "A",
        "/d/e": "A",
        "/etc": "C",
        "/etc/os-release": "C",
        "/etc/profile": "D",
        "/new": "A",
    }
    image = bench.engine.commit(container.id, CommitRequest("mine:1", author="me", message="more"))
    assert image.names == ("mine:1",)
    assert bench.engine.container(container.id).state is State.RUNNING
    script = "cat /new; tail -1 /etc/os-release; ls /etc/profile; ls -d /d/e"
    _, session = bench.engine.run(ContainerRequest("mine:1", command=("sh", "-c", script), auto_remove=True))
    outcome = collect(session)
    assert outcome.out == "new\nmore\n/d/e\n"
    assert "/etc/profile" in outcome.err
    top = bench.engine.layers("mine:1")[-1]
    assert (top.author, top.comment, top.empty) == ("me", "more", False)
    bench.engine.remove_image("mine:1")
    with pytest.raises(NotFound):
        bench.engine.image("mine:1")


def test_mounts_and_engine_made_files_are_never_committed(bench: Bench) -> None:
    mounts = (Mount("tmpfs", "", "/scratch"), Mount("volume", "vol", "/vol"))
    container = bench.start(mounts=mounts)
    bench.exec(
        container, "sh", "-c", "echo x > /scratch/x; echo x > /vol/x; echo x > /dev/shm/x; echo '# x' >> /etc/hosts"
    )
    assert bench.engine.changes(container.id) == []
    image = bench.engine.commit(container.id, CommitRequest("unchanged:1"))
    assert image.layers == bench.engine.image("pyctr/base").layers
    bench.engine.remove(container.id, force=True)
    bench.engine.remove_image("unchanged:1")
    bench.engine.remove_volume("vol")


def test_the_config_takes_the_containers_and_the_changes_asked_for(bench: Bench) -> None:
    container = bench.start("sleep", "999", env=("A=1",), working_dir="/srv", user="1000")
    changes = ('CMD ["id", "-u"]', "ENV B=2", "LABEL role=test", "EXPOSE 8080")
    bench.engine.commit(container.id, CommitRequest("configured:1", changes=changes))
    config = bench.engine.inspect_image("configured:1")["Config"]
    assert config["Cmd"] == ["id", "-u"]
    assert {"A=1", "B=2"} <= set(config["Env"])
    assert (config["WorkingDir"], config["User"]) == ("/srv", "1000")
    _, session = bench.engine.run(ContainerRequest("configured:1", auto_remove=True))
    assert collect(session).out == "1000\n"
    bench.engine.remove(container.id, force=True)
    bench.engine.remove_image("configured:1")


def test_a_stopped_container_can_be_committed_and_paths_left_out(bench: Bench) -> None:
    container = bench.start("sh", "-c", "mkdir /cache; echo big > /cache/big; echo small > /small")
    bench.engine.wait(container.id)
    bench.engine.commit(container.id, CommitRequest("partly:1", exclude=("/cache",)))
    _, session = bench.engine.run(ContainerRequest("partly:1", command=("ls", "/small", "/cache"), auto_remove=True))
    outcome = collect(session)
    assert outcome.out == "/small\n"
    bench.engine.remove_image("partly:1")


def test_a_killed_commit_lets_the_container_go_on(bench: Bench) -> None:
    """What froze it can't thaw it then."""
    container = bench.start()
    pid = os.fork()
    if not pid:
        engine = Engine(bench.engine.paths)
        with (
            contextlib.suppress(BaseException),
            freeze.standing_still(engine._context, engine.container(container.id)),
        ):
            if engine.container(container.id).state is State.PAUSED:
                os.kill(os.getpid(), signal.SIGKILL)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    deadline = time.monotonic() + 10
    while bench.engine.container(container.id).state is not State.RUNNING and time.monotonic() < deadline:
        time.sleep(0.01)
    assert bench.exec(container, "true").code == 0


def test_running_paused_and_stopped_ones_stay_what_they_are(bench: Bench) -> None:
    container = bench.start()
    bench.exec(container, "touch", "/x")
    layers = set()
    for change in (None, bench.engine.pause, bench.engine.unpause, bench.engine.stop):
        if change is not None:
            change(container.id)
        before = bench.engine.container(container.id).state
        image = bench.engine.commit(container.id, CommitRequest("state:1"))
        assert bench.engine.container(container.id).state is before
        layers.add(bench.engine.layers(image.id)[-1].diff_id)
    assert len(layers) == 1
    bench.engine.remove_image("state:1")


def test_an_image_in_use_is_not_removed(bench: Bench) -> None:
    container = bench.start()
    bench.exec(container, "touch", "/x")
    bench.engine.commit(container.id, CommitRequest("used:1"))
    user = bench.engine.create(ContainerRequest("used:1"))
    assert bench.engine.image("used:1").used_by == (user.id,)
    with pytest.raises(Conflict):
        bench.engine.remove_image("used:1")
    bench.engine.remove(user.id)
    bench.engine.remove_image("used:1")


def test_thirty_commits_in_a_row_still_start(bench: Bench) -> None:
    ref = "pyctr/base"
    for number in range(30):
        container, session = bench.engine.run(
            ContainerRequest(ref, command=("sh", "-c", f"echo {number} > /n{number}"))
        )
        assert collect(session).code == 0
        bench.engine.commit(container.id, CommitRequest("tower:1"))
        bench.engine.remove(container.id)
        ref = "tower:1"
    _, session = bench.engine.run(ContainerRequest(ref, command=("sh", "-c", "cat /n* | wc -l"), auto_remove=True))
    assert collect(session).out.strip() == "30"
    bench.engine.remove_image(ref)
