"""CVE-2024-21626: a descriptor of the host that was left open, as a working directory or by its number."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pyctr_engine.errors import CommandError, EngineError
from pyctr_engine.model.spec import CommitRequest, ContainerRequest, ExecRequest, Security
from tests.engine.containers.conftest import Bench, collect
from tests.engine.isolation.attacks import attack, attack_by_exec, program
from tests.engine.isolation.conftest import Weaken

pytestmark = pytest.mark.root

UP = """
here = os.open(".", os.O_PATH)
while True:
    above = os.open("..", os.O_PATH, dir_fd=here)
    if os.path.samestat(os.fstat(above), os.fstat(here)):
        break
    here = above
told["top"] = "inside" if os.path.samestat(os.fstat(here), os.stat("/")) else "OUTSIDE"
"""
"""Go up from the working directory as far as it goes: that must be the root."""

LEAK = """
import os
from pyctr_engine.linux import namespaces
def leak():
    fd = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    os.dup2(fd, 100, inheritable=True)
    os.close(fd)
def leaking(start):
    def begin(*arguments):
        leak()
        return start(*arguments)
    return begin
from pyctr_engine.runtime import exec as execution
from pyctr_engine.runtime import init
init._start = leaking(init._start)
execution._helper = leaking(execution._helper)
"""
"""The host's root, open and inheritable, in whoever becomes the container's program."""
CLOSE_NOTHING = """
namespaces.close_all_but = lambda kept: None
namespaces.close_on_exec_from = lambda first: None
"""
CHECK_NOTHING = """
init.enter_directory = lambda path, user, make=True: os.chdir(path)
"""


def tried(bench: Bench, number: int, **options: object) -> str:
    """What a program finds above a working directory of ``/proc/self/fd/<number>``: inside, OUTSIDE or refused."""
    try:
        return str(attack(bench, UP, working_dir=f"/proc/self/fd/{number}", **options)["top"])
    except CommandError as error:
        assert f"/proc/self/fd/{number}" in error.message
        return "refused"


def tried_by_exec(bench: Bench, number: int) -> str:
    container = bench.start()
    try:
        return str(attack_by_exec(bench, container, UP, working_dir=f"/proc/self/fd/{number}")["top"])
    except CommandError as error:
        assert f"/proc/self/fd/{number}" in error.message
        return "refused"


def test_no_number_leads_out(bench: Bench) -> None:
    container = bench.start()
    for number in range(64):
        for way in (f"/proc/self/fd/{number}", f"/proc/self/fd/{number}/../..", f"/proc/1/fd/{number}"):
            with pytest.raises(CommandError, match=rf"(no such file|not a directory).*: {way}$"):
                bench.engine.exec(container.id, ExecRequest(program(UP), working_dir=way))
    for way in ("/tmp", "/proc/self/root", "/proc/self/cwd/../.."):
        told = attack_by_exec(bench, container, UP, working_dir=way)
        assert told == {"top": "inside"}, "one that can be entered is inside"
    assert {tried(bench, number) for number in range(3, 16)} == {"refused"}


def test_an_image_cannot_name_one_either(bench: Bench) -> None:
    """By a symlink, which the engine follows like any path, and by its WORKDIR."""
    bench.start("sh", "-c", "ln -s /proc/self/fd/7 /seven; exec sleep 1000", name="evil")
    bench.exec(bench.engine.container("evil"), "true")
    changes = ("WORKDIR /proc/self/fd/8",)
    bench.engine.commit("evil", CommitRequest(name="evil:1", changes=changes))
    try:
        for directory in ("", "/seven", "/seven/../.."):
            request = ContainerRequest("evil:1", command=program(UP), working_dir=directory, auto_remove=True)
            try:
                _, session = bench.engine.run(request)
            except EngineError:
                continue
            assert '"top": "inside"' in collect(session).out
    finally:
        bench.engine.remove("evil", force=True)
        bench.engine.remove_image("evil:1")


def test_one_that_leaks_is_closed_before_anything_else(weaken: Weaken) -> None:
    weak = weaken(LEAK)
    assert tried(weak, 100) == "refused"
    assert tried_by_exec(weak, 100) == "refused"


def test_one_that_were_not_closed_would_be_refused_as_a_working_directory(weaken: Weaken) -> None:
    weak = weaken(LEAK + CLOSE_NOTHING)
    assert tried(weak, 100) == "refused"
    assert tried_by_exec(weak, 100) == "refused"


def test_without_either_the_host_lies_open(weaken: Weaken) -> None:
    weak = weaken(LEAK + CLOSE_NOTHING + CHECK_NOTHING)
    assert tried(weak, 100) == "OUTSIDE"
    assert tried_by_exec(weak, 100) == "OUTSIDE"


@pytest.mark.parametrize("tty", [False, True])
def test_a_program_has_three_and_no_more(bench: Bench, tty: bool) -> None:
    """Seen from the host, which sees them all."""
    line = "ready\r" if tty else "ready"
    container = bench.start_when(line, "sh", "-c", "echo ready; while :; do sleep 1; done", tty=tty)
    assert sorted(os.listdir(f"/proc/{container.status.pid}/fd")) == ["0", "1", "2"]
    session = bench.engine.exec(container.id, ExecRequest(("sh", "-c", "echo ready; read x"), stdin=True, tty=tty))
    assert b"ready" in session.read()[1]
    found = [
        pid
        for pid in os.listdir("/proc")
        if pid.isdigit() and "read x" in _command(pid) and _is_in(pid, container.status.pid)
    ]
    assert [sorted(os.listdir(f"/proc/{pid}/fd")) for pid in found] == [["0", "1", "2"]]
    session.close()


def _command(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def _is_in(pid: str, init: int) -> bool:
    return os.stat(f"/proc/{pid}/ns/pid").st_ino == os.stat(f"/proc/{init}/ns/pid").st_ino


def test_no_descriptor_that_it_has_is_of_the_hosts_files(bench: Bench) -> None:
    """Pipes and the null device: nothing to go up from, nothing to open again with other rights."""
    script = """
for fd in (0, 1, 2):
    kind = os.fstat(fd).st_mode
    told[str(fd)] = "pipe" if stat.S_ISFIFO(kind) else "device" if stat.S_ISCHR(kind) else "other"
attempt("up from it", lambda: os.open("..", os.O_PATH, dir_fd=0))
"""
    assert attack(bench, script) == {"0": "device", "1": "pipe", "2": "pipe", "up from it": "ENOTDIR"}


ESCAPE = """
os.mkdir("/tmp/jail")
before = os.open("/", os.O_RDONLY)
os.chroot("/tmp/jail")
os.fchdir(before)
for _ in range(64):
    os.chdir("..")
os.chroot(".")
"""


def test_leaving_a_chroot_ends_at_the_containers_own_root(bench: Bench, weaken: Weaken) -> None:
    """Two chroots and a way up lead out of a chroot; here there is nothing above: the host's root is unmounted."""
    root = os.stat("/")
    script = f"""{ESCAPE}
now = os.stat("/")
told["top"] = "OUTSIDE" if (now.st_dev, now.st_ino) == {(root.st_dev, root.st_ino)} else "inside"
"""
    assert attack(bench, script) == {"top": "inside"}
    assert attack(bench, script, security=Security(userns="host")) == {"top": "inside"}
    weak = weaken(
        "import os; from pyctr_engine.linux import mount; mount.pivot_root = lambda new, old: os.chroot(new);"
        "mount.umount = lambda target, flags=0: None"
    )
    assert attack(weak, script, security=Security(userns="host")) == {"top": "OUTSIDE"}
