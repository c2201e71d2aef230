"""Checkpoints of containers' file systems: taken running and stopped, gone back to, branched from, seen through."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pyctr_engine.errors import Conflict, InvalidValue, NotFound
from pyctr_engine.model.spec import CommitRequest, ContainerRequest, Mount
from pyctr_engine.model.status import Container, State
from pyctr_engine.snapshots import stack as stacks
from tests.engine.containers.conftest import Bench, collect

pytestmark = pytest.mark.root


def do(bench: Bench, container: Container, script: str) -> str:
    """Run it in a running container, or once in a stopped one by starting it for that."""
    outcome = bench.exec(container, "sh", "-ec", script)
    assert outcome.code == 0, outcome.err
    return outcome.out


def directory(bench: Bench, container: Container) -> Path:
    return Path(bench.engine.paths.container(container.id))


@pytest.mark.parametrize("how", ["running", "paused", "stopped"])
def test_a_container_goes_back_to_what_it_was(bench: Bench, how: str) -> None:
    container = bench.start()
    do(bench, container, "echo one > /a; mkdir /d; echo x > /d/x; rm /etc/profile; chmod 750 /d; chown 7:8 /d/x")
    match how:
        case "paused":
            bench.engine.pause(container.id)
        case "stopped":
            bench.engine.stop(container.id)
    point = bench.engine.checkpoint(container.id, "first", "before the mess")
    assert (point.name, point.message, point.current) == ("first", "before the mess", True)
    state = {"running": State.RUNNING, "paused": State.PAUSED, "stopped": State.EXITED}[how]
    assert bench.engine.container(container.id).state is state
    match how:
        case "paused":
            bench.engine.unpause(container.id)
        case "stopped":
            bench.engine.start(container.id)
    do(bench, container, "echo two > /a; rm -r /d; mkdir /d; echo y > /etc/profile; rm -r /srv; echo > /new")
    restored = bench.engine.restore(container.id, "first")
    assert restored.restarted
    assert restored.container.state is State.RUNNING
    assert do(bench, container, "cat /a /d/x; ls -d /srv; stat -c %a:%u:%g /d /d/x") == (
        "one\nx\n/srv\n750:0:0\n644:7:8\n"
    )
    assert bench.exec(container, "ls", "/etc/profile", "/new").code
    assert {change.path: change.kind for change in bench.engine.changes(container.id)} == {
        "/a": "A",
        "/d": "A",
        "/d/x": "A",
        "/etc": "C",
        "/etc/profile": "D",
    }


def test_a_container_at_rest_goes_back_and_stays_at_rest(bench: Bench) -> None:
    container = bench.engine.create(
        ContainerRequest("pyctr/base", command=("sh", "-c", "echo more >> /log; cat /log"))
    )
    bench.engine.checkpoint(container.id)
    bench.engine.start(container.id)
    bench.engine.wait(container.id)
    bench.engine.checkpoint(container.id)
    assert [(point.name, point.parent) for point in bench.engine.checkpoints(container.id)] == [("1", ""), ("2", "1")]
    for expected in ("more\nmore\n", "more\nmore\nmore\n"):
        assert collect(bench.engine.start_attached(container.id)).out == expected
    assert not bench.engine.restore(container.id, "2").restarted
    assert collect(bench.engine.start_attached(container.id)).out == "more\nmore\n"
    bench.engine.restore(container.id, "1")
    assert collect(bench.engine.start_attached(container.id)).out == "more\n"
    assert (
        not (directory(bench, container) / "upper").exists()
        or stacks.FIRST in stacks.read(str(directory(bench, container))).referenced()
    )


def test_a_running_container_pays_only_for_what_changed_since(bench: Bench) -> None:
    container = bench.start()
    do(bench, container, "head -c 3000000 /dev/urandom > /big; for i in 1 2 3; do echo $i > /s$i; done; ln /s1 /l1")
    do(bench, container, "sleep 0.2")
    first = bench.engine.checkpoint(container.id, "a")
    assert first.size > 3_000_000
    do(bench, container, "echo changed > /s2; sleep 0.2")
    second = bench.engine.checkpoint(container.id, "b")
    assert 0 < second.size < 100
    do(bench, container, "chmod 600 /s3; printf x | dd of=/big conv=notrunc bs=1 seek=5 2>/dev/null; rm /s1")
    third = bench.engine.checkpoint(container.id, "c")
    assert third.size > 3_000_000
    place = directory(bench, container)
    inodes = {
        name: (place / deltas[0] / "big").stat().st_ino
        for name, deltas in ((point.name, point.deltas) for point in stacks.read(str(place)).points)
    }
    assert inodes["a"] == inodes["b"] != inodes["c"]
    bench.engine.restore(container.id, "b")
    assert (
        do(bench, container, "cat /s2 /l1; stat -c %a /s3; test /s1 -ef /l1 && echo same")
        == "changed\n1\n644\nsame\n"
    )
    bench.engine.restore(container.id, "c")
    assert do(bench, container, "stat -c %a /s3; dd if=/big bs=1 skip=5 count=1 2>/dev/null") == "600\nx"


MAPPED = """
import mmap, os, time
with open("/mapped", "w+b") as file:
    file.write(bytes(8192))
    file.flush()
    memory = mmap.mmap(file.fileno(), 8192)
for word in (b"one", b"two", b"six"):
    memory[:3] = word
    open("/" + word.decode(), "w").close()
    while not os.path.exists("/after-" + word.decode()):
        time.sleep(0.01)
"""


def test_what_a_program_writes_by_mmap_is_never_missed(bench: Bench) -> None:
    """No system call tells of such a write, and to a page that is written already not even the change time does."""
    container = bench.start("python3", "-c", MAPPED)
    for word in ("one", "two", "six"):
        while bench.exec(container, "test", "-e", f"/{word}").code:
            pass
        do(bench, container, "sleep 0.2")
        bench.engine.checkpoint(container.id, word)
        do(bench, container, f"touch /after-{word}")
    for word in ("two", "one", "six"):
        bench.engine.restore(container.id, word)
        deltas = stacks.read(str(directory(bench, container))).point(word).deltas
        assert (directory(bench, container) / deltas[0] / "mapped").read_bytes()[:3] == word.encode()


WORK = (
    "echo 1 > /a; mkdir /d; echo 2 > /d/x; ln /a /hard; rm /etc/profile; echo more >> /etc/os-release",
    "echo 3 >> /a; rm -r /d; mkdir /d; echo 4 > /d/y; echo > /etc/profile; rm -r /srv; touch -d @1 /etc/os-release",
    "mkdir /srv; echo 5 > /srv/z; rm /hard; mv /d/y /d/z; ln -s x /link; chmod 711 /srv; exec 3<> /etc/passwd",
)


@pytest.mark.parametrize("kind", ["running", "stopped"])
def test_commit_and_diff_see_through_checkpoints(bench: Bench, kind: str) -> None:
    """The same deeds, with checkpoints between them and without, make the same layer."""
    paths = "/a /d/z /d /etc/profile /etc /srv/z /srv /link /"
    told, diff_ids = [], []
    for checkpointed in (False, True):
        container = bench.start()
        for number, deed in enumerate(WORK):
            do(bench, container, deed)
            if checkpointed:
                if kind == "stopped":
                    bench.engine.stop(container.id)
                bench.engine.checkpoint(container.id, f"p{number}")
                if kind == "stopped":
                    bench.engine.restore(container.id, f"p{number}")
                    bench.engine.start(container.id)
                else:
                    assert bench.engine.restore(container.id, f"p{number}").restarted
        do(bench, container, f"touch -hd @1700000000 {paths}")
        told.append(bench.engine.changes(container.id))
        image = bench.engine.commit(container.id, CommitRequest())
        diff_ids.append(bench.engine.layers(image.id)[-1].diff_id)
        bench.engine.remove(container.id, force=True)
        if checkpointed:
            bench.engine.remove_image(image.id, force=True)
    assert told[0] == told[1]
    assert diff_ids[0] == diff_ids[1]


def test_a_branch_is_a_container_of_its_own(bench: Bench) -> None:
    container = bench.start(mounts=(Mount("volume", "", "/data"),), env=("A=1",), labels={"kept": "yes"})
    do(bench, container, "echo one > /a; echo kept > /data/x")
    bench.engine.checkpoint(container.id, "p")
    do(bench, container, "echo two > /a")
    other = bench.engine.branch(container.id, "p", "other")
    assert (other.name, other.state) == ("other", State.CREATED)
    assert other.spec.mounts[0].source != container.spec.mounts[0].source
    bench.engine.remove(container.id, force=True, volumes=True)
    bench.engine.start(other.id)
    assert do(bench, other, "cat /a; echo $A; ls /data; echo three > /a; cat /a") == "one\n1\nthree\n"
    assert {change.path for change in bench.engine.changes(other.id)} == {"/a"}
    with pytest.raises(Conflict):
        bench.engine.branch(other.id, bench.engine.checkpoint(other.id).name, "other")


def test_removing_a_checkpoint_leaves_what_stands_on_it(bench: Bench) -> None:
    container = bench.engine.create(ContainerRequest("pyctr/base", command=("sh", "-c", "echo x >> /log; cat /log")))
    for name in ("a", "b", "c"):
        collect(bench.engine.start_attached(container.id))
        bench.engine.checkpoint(container.id, name)
    bench.engine.remove_checkpoint(container.id, "b")
    assert [(point.name, point.parent) for point in bench.engine.checkpoints(container.id)] == [("a", ""), ("c", "a")]
    assert collect(bench.engine.start_attached(container.id)).out == "x\n" * 4
    bench.engine.restore(container.id, "a")
    bench.engine.remove_checkpoint(container.id, "c")
    bench.engine.remove_checkpoint(container.id, "a")
    assert collect(bench.engine.start_attached(container.id)).out == "x\n" * 2
    assert len(os.listdir(directory(bench, container) / "d")) == 1, "what nothing names is swept"


def test_what_cannot_be(bench: Bench) -> None:
    container = bench.start()
    bench.engine.checkpoint(container.id, "a")
    with pytest.raises(Conflict):
        bench.engine.checkpoint(container.id, "a")
    for name in ("a b", "../x", "-x", "x\n", "a@b", "x" * 129):
        with pytest.raises(InvalidValue):
            bench.engine.checkpoint(container.id, name)
    for call in (bench.engine.restore, bench.engine.branch, bench.engine.remove_checkpoint):
        with pytest.raises(NotFound, match="no such checkpoint"):
            call(container.id, "none")  # type: ignore[operator]
    assert bench.engine.container(container.id).state is State.RUNNING
    fleeting = bench.start(auto_remove=True)
    bench.engine.checkpoint(fleeting.id, "a")
    with pytest.raises(Conflict, match="--rm"):
        bench.engine.restore(fleeting.id, "a")


def test_a_hostile_tree_is_copied_as_it_is(bench: Bench) -> None:
    container = bench.start()
    script = r"""
cd /srv; mkdir -p deep; i=0; while [ $i -lt 60 ]; do mkdir "$(printf 'n\nl')"; cd "$(printf 'n\nl')"; i=$((i+1)); done
cd /srv; printf x > "$(printf 'a\033[2Jb')"; printf y > "$(printf 'raw\377')"; ln -s /etc/shadow trap; mkfifo fifo
mkdir many; cd many; i=0; while [ $i -lt 2000 ]; do : > f$i; i=$((i+1)); done
truncate -s 1G /srv/sparse; rm /etc/os-release; rm -rf /etc/alternatives; mkdir -p /etc/alternatives
"""
    do(bench, container, script)
    before = bench.engine.changes(container.id)
    point = bench.engine.checkpoint(container.id)
    held = sum(
        os.lstat(os.path.join(top, name)).st_blocks * 512
        for top, _, names in os.walk(os.fsencode(directory(bench, container) / "d"))
        for name in names
    )
    assert held < 10 << 20, "holes stay holes"
    bench.engine.restore(container.id, point.name)
    assert bench.engine.changes(container.id) == before
