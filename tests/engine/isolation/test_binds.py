"""What was bound read-only stays so, with all that is mounted below it, whoever tries from inside."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyctr_engine.errors import StartError
from pyctr_engine.model.spec import Mount, Security
from tests.engine.containers.conftest import Bench
from tests.engine.isolation.attacks import attack
from tests.engine.isolation.conftest import Weaken

pytestmark = pytest.mark.root

WRITE = """
attempt("a file", open_for_writing, "/given/file")
attempt("a new file", lambda: os.close(os.open("/given/new", os.O_CREAT | os.O_WRONLY)))
attempt("its mode", os.chmod, "/given/file", 0o777)
attempt("its times", os.utime, "/given/file")
attempt("an attribute", os.setxattr, "/given/file", "user.x", b"y")
attempt("through a descriptor", lambda: open_for_writing(f"/proc/self/fd/{os.open('/given/file', os.O_PATH)}"))
attempt("by another name", open_for_writing, "/proc/self/root/given/file")
"""
REMOUNT = """
attempt("remount", call, "mount", None, b"/given", None, 0x20 | 0x1000, None)
attempt("set attributes", call, "mount_setattr", -100, b"/given", 0, struct.pack("QQQQ", 0, 1, 0, 0), 32)
def copy():
    os.makedirs("/tmp/copy", exist_ok=True)
    call("mount", b"/given", b"/tmp/copy", None, 0x1000, None)
    call("mount", None, b"/tmp/copy", None, 0x20 | 0x1000, None)
attempt("a bind of its own", copy)
attempt("unmount", call, "umount2", b"/given", 2)
"""


@pytest.fixture
def given(host_directory: Path) -> Iterator[Path]:
    """A directory of the host with another file system mounted in it."""
    (host_directory / "file").write_text("the host's")
    (host_directory / "below").mkdir()
    below = str(host_directory / "below")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=777", "pyctr-test", below], check=True)
    (host_directory / "below" / "file").write_text("the host's, below")
    try:
        yield host_directory
    finally:
        subprocess.run(["umount", "-l", below], check=True)


def test_it_cannot_be_written_to_by_any_name(bench: Bench, given: Path) -> None:
    mounts = (Mount("bind", str(given), "/given", read_only=True),)
    for security in (Security(), Security(userns="host")):
        told = attack(bench, WRITE + REMOUNT, mounts=mounts, security=security)
        assert {told.pop(name) for name in ("remount", "set attributes", "a bind of its own", "unmount")} == {"EPERM"}
        assert set(told.values()) == {"EROFS"}
    assert (given / "file").read_text() == "the host's"


def test_what_is_mounted_below_it_is_read_only_too(bench: Bench, weaken: Weaken, given: Path) -> None:
    mounts = (Mount("bind", str(given), "/given", read_only=True),)
    script = WRITE.replace("/given/", "/given/below/")
    for security in (Security(), Security(userns="host")):
        assert set(attack(bench, script, mounts=mounts, security=security).values()) == {"EROFS"}
    topmost_only = """
from pyctr_engine.runtime import trees
real = trees._open_one
trees._open_one = lambda path, bind, target, *more: real(
    path, bind._replace(read_only=bind.read_only and target == bind.target), target, *more
)
"""
    weak = weaken(topmost_only)
    assert attack(weak, script, mounts=mounts)["a new file"] == "done"
    assert attack(weak, WRITE, mounts=mounts)["a new file"] == "EROFS"


def test_an_added_sys_admin_undoes_it(bench: Bench, given: Path) -> None:
    """As with docker and podman: whoever may mount in there may make it writable again. It is no default."""
    mounts = (Mount("bind", str(given), "/given", read_only=True),)
    for security in (Security(cap_add=("SYS_ADMIN",)), Security(cap_add=("SYS_ADMIN",), userns="host")):
        told = attack(bench, REMOUNT.replace("umount2", "getpid") + WRITE, mounts=mounts, security=security)
        assert told["remount"] == told["a file"] == "done"


def test_volumes_and_single_files_are_held_the_same_way(bench: Bench, given: Path) -> None:
    mounts = (
        Mount("bind", str(given / "file"), "/given/file", read_only=True),
        Mount("volume", "kept", "/volume", read_only=True),
    )
    script = """
attempt("file", open_for_writing, "/given/file")
attempt("volume", lambda: os.close(os.open("/volume/new", os.O_CREAT | os.O_WRONLY)))
attempt("over it", os.rename, "/etc/hostname", "/given/file")
attempt("take it away", os.unlink, "/given/file")
"""
    told = attack(bench, script, mounts=mounts)
    assert (told["file"], told["volume"]) == ("EROFS", "EROFS")
    assert told["take it away"] == "EBUSY"
    assert (given / "file").read_text() == "the host's"


@pytest.fixture
def shared(host_directory: Path) -> Iterator[Path]:
    """A directory of the host in a mount that is shared, as all are under systemd."""
    place = host_directory / "shared"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=777", "pyctr-test", str(place)], check=True)
    try:
        subprocess.run(["mount", "--make-shared", str(place)], check=True)
        (place / "file").write_text("the host's")
        (place / "below").mkdir(mode=0o777)
        yield place
    finally:
        subprocess.run(["umount", "-R", "-l", str(place)], check=True)


MOUNT = """
attempt("mount", call, "mount", b"none", b"/given/below", b"tmpfs", 0, None)
attempt("over a file", call, "mount", b"/dev/null", b"/given/file", None, 0x1000, None)
print(open("/given/file").read())
"""


def mounted_on_the_host(place: Path) -> set[str]:
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    return {target for line in mounts if (target := line.split()[4]).startswith(f"{place}/")}


def test_what_is_mounted_inside_is_not_mounted_on_the_host(bench: Bench, weaken: Weaken, shared: Path) -> None:
    mounts = (Mount("bind", str(shared), "/given"),)
    for security in (Security(cap_add=("SYS_ADMIN",)), Security(cap_add=("SYS_ADMIN",), userns="host")):
        told = attack(bench, MOUNT, mounts=mounts, security=security)
        assert told["mount"] == told["over a file"] == "done"
        assert mounted_on_the_host(shared) == set()
    as_it_was = """
from pyctr_engine.linux import mount
real = mount.set_attributes
def set_attributes(tree, set=0, clear=0, userns=-1, recursive=False, propagation=0):
    if set or clear or userns >= 0:
        real(tree, set, clear, userns, recursive)
mount.set_attributes = set_attributes
"""
    hold = MOUNT + "import time; time.sleep(0.5)\n"
    security = Security(cap_add=("SYS_ADMIN",), userns="host")
    attack(weaken(as_it_was), hold, mounts=mounts, security=security)
    assert mounted_on_the_host(shared) == {f"{shared}/below", f"{shared}/file"}


def test_what_hides_a_file_hides_it_from_the_container_alone(bench: Bench, shared: Path) -> None:
    """The files the engine keeps for a container lie in a shared mount too: it could not remove them any more."""
    mounts = (Mount("bind", str(shared / "file"), "/given/file"),)
    ran = bench.run("cat", "/given/file", mounts=mounts, security=Security(mask=("/given/file", "/etc/hostname")))
    assert (ran.out, ran.code) == ("", 0)
    assert mounted_on_the_host(shared) == set()
    assert (shared / "file").read_text() == "the host's"


APPEARS = """
import time
deadline = time.monotonic() + 20
while not os.path.exists("/given/below/from the host") and time.monotonic() < deadline:
    open("/given/ready", "w").close()
    time.sleep(0.02)
attempt("seen", os.stat, "/given/below/from the host")
"""


@pytest.mark.parametrize(("propagation", "seen"), [("", "ENOENT"), ("rslave", "done"), ("shared", "done")])
def test_what_the_host_mounts_later_appears_where_that_was_asked_for(
    bench: Bench, shared: Path, propagation: str, seen: str
) -> None:
    script = APPEARS if propagation else APPEARS.replace("+ 20", "+ 1")

    def mount_later() -> None:
        deadline = time.monotonic() + 20
        while not (shared / "ready").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=777", "pyctr-test", str(shared / "below")], check=True)
        (shared / "below" / "from the host").touch()

    (shared).chmod(0o777)
    host = threading.Thread(target=mount_later)
    host.start()
    mounts = (Mount("bind", str(shared), "/given", propagation=propagation),)
    told = attack(bench, script, mounts=mounts, security=Security(userns="host"))
    host.join()
    assert told["seen"] == seen


def test_only_shared_shows_the_host_what_is_mounted_inside(bench: Bench, shared: Path) -> None:
    security = Security(cap_add=("SYS_ADMIN",), userns="host")
    for propagation, there in (("rslave", set()), ("rshared", {f"{shared}/below"})):
        mounts = (Mount("bind", str(shared), "/given", propagation=propagation),)
        script = 'import time\nattempt("mount", call, "mount", b"none", b"/given/below", b"tmpfs", 0, None)\n'
        assert attack(bench, script, mounts=mounts, security=security)["mount"] == "done"
        assert mounted_on_the_host(shared) == there


def test_one_below_that_is_not_shared_is_no_hindrance(bench: Bench, shared: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "pyctr-test", str(shared / "below")], check=True)
    subprocess.run(["mount", "--make-private", str(shared / "below")], check=True)
    (shared / "below" / "file").write_text("private")
    for propagation in ("rslave", "rshared"):
        mounts = (Mount("bind", str(shared), "/given", propagation=propagation),)
        assert bench.run("cat", "/given/below/file", mounts=mounts, security=Security(userns="host")).out == "private"


def test_a_mount_that_is_not_shared_cannot_be_followed(bench: Bench, host_directory: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "pyctr-test", str(host_directory)], check=True)
    try:
        subprocess.run(["mount", "--make-private", str(host_directory)], check=True)
        mounts = (Mount("bind", str(host_directory), "/given", propagation="rslave"),)
        with pytest.raises(StartError, match="rslave needs a mount that is shared"):
            bench.run("true", mounts=mounts)
    finally:
        subprocess.run(["umount", str(host_directory)], check=True)
