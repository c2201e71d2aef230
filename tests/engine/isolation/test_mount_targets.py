"""CVE-2021-30465, 2025-31133, 2025-52565, 2025-52881: where mounts, masks and writes to /proc really go.

What is in common: the image, or another container with the same volume, makes a path lead elsewhere while the engine
uses it. Here nothing can lead out, for the host's root is gone by then; what is left is to lead onto the container's
own /proc, and to have the engine's protection land on something else.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pytest

from pyctr_engine.errors import EngineError
from pyctr_engine.model.spec import ContainerRequest, Mount, Security
from pyctr_engine.snapshots import stack
from tests.engine.containers.conftest import IMAGE, Bench, collect
from tests.engine.isolation.attacks import attack, program
from tests.engine.isolation.conftest import Weaken

pytestmark = pytest.mark.root

HOST = Security(userns="host")

CHECK = """
def device(path):
    return os.stat(path).st_dev
proc = [line.split() for line in read("/proc/self/mountinfo").splitlines()] if os.path.exists("/proc/self") else []
told["proc"] = "real" if read("/proc/self/status").startswith("Name:") else "FALSE"
told["mounted on /proc"] = sum(fields[4] == "/proc" for fields in proc)
for path in ("/proc/keys", "/proc/timer_list", "/proc/interrupts"):
    told[path] = "masked" if stat.S_ISCHR(os.stat(path).st_mode) and os.stat(path).st_rdev == 0x103 else "OPEN"
flags = [fields[5] for fields in proc if fields[4] == "/proc/sys"]
told["/proc/sys"] = "read-only" if flags and flags[-1].startswith("ro") else "WRITABLE"
told["null"] = "real" if os.stat("/dev/null").st_rdev == 0x103 else "FALSE"
"""
SAFE = {
    "proc": "real",
    "mounted on /proc": 1,
    "/proc/keys": "masked",
    "/proc/timer_list": "masked",
    "/proc/interrupts": "masked",
    "/proc/sys": "read-only",
    "null": "real",
}


class Tampered(NamedTuple):
    """A container made but not started, whose image has symlinks where it pleases."""

    bench: Bench
    id: str

    def check(self) -> dict[str, Any] | str:
        """What `CHECK` tells in it, or why it can't be started."""
        try:
            session = self.bench.engine.start_attached(self.id)
        except EngineError as error:
            return error.message
        outcome = collect(session)
        told: dict[str, Any] = json.loads(outcome.out) if outcome.code == 0 else {"failed": outcome.err}
        return told


def tampered(bench: Bench, links: dict[str, str], **options: Any) -> Tampered:
    """``links``: path → where it leads. They lie in the upper directory, as if in the image's topmost layer."""
    request = ContainerRequest(IMAGE, command=program(CHECK), **options)
    container = bench.engine.create(request)
    directory = bench.engine.paths.container(container.id)
    upper = f"{directory}/{stack.read(directory).upper}"
    for path, target in links.items():
        os.makedirs(os.path.dirname(upper + path), exist_ok=True)
        os.symlink(target, upper + path)
    return Tampered(bench, container.id)


@pytest.mark.parametrize(
    "links",
    [
        {"/proc": "/tmp/elsewhere"},
        {"/proc": "/volume/proc"},
        {"/sys": "/volume/sys"},
        {"/dev": "/volume/dev"},
        {"/dev": "/proc/self"},
        {"/target": "/proc"},
        {"/target": "/proc/sys"},
        {"/target": "/proc/self"},
        {"/target": "/sys/fs/cgroup"},
        {"/target": "/dev"},
        {"/target": "/"},
        {"/target": "../../../../.."},
        {"/target": "way", "/way": "/proc/self/../../proc"},
    ],
    ids=str,
)
@pytest.mark.parametrize(
    ("kind", "security"), [("bind", Security()), ("tmpfs", HOST)], ids=["bind, own ids", "tmpfs, host's ids"]
)
def test_a_symlink_where_the_kernels_files_belong_is_refused(
    bench: Bench, host_directory: Path, links: dict[str, str], kind: Literal["bind", "tmpfs"], security: Security
) -> None:
    source = str(host_directory) if kind == "bind" else ""
    mounts = (Mount("volume", "shared", "/volume"), Mount(kind, source, "/target"))
    told = tampered(bench, links, mounts=mounts, security=security).check()
    assert "a symlink stands where something is mounted" in str(told)
    assert list(host_directory.iterdir()) == []


def test_any_other_symlink_is_followed_inside(bench: Bench, host_directory: Path) -> None:
    """/var/run is one in most images."""
    (host_directory / "file").write_text("the host's")
    mounts = (Mount("bind", str(host_directory), "/var/run/target"), Mount("tmpfs", "", "/link/target"))
    assert tampered(bench, {"/link": "/mnt"}, mounts=mounts).check() == SAFE


def test_unchecked_the_engine_writes_and_masks_something_else(weaken: Weaken, host_directory: Path) -> None:
    """A tree of another's making covers /proc: writes meant for the kernel go there, and nothing is masked."""
    unchecked = """
import os
from pyctr_engine.linux import mount
from pyctr_engine.runtime import init, rootfs
def place(target):
    root = os.open("/", os.O_PATH)
    try:
        return mount.open_in_root(root, target, os.O_PATH)
    finally:
        os.close(root)
rootfs.open_place = place
def write(path, value):
    with open(f"/proc/{path}", "w") as file:
        file.write(value)
init._write_proc = write
rootfs.Mount.execute = lambda self: (
    rootfs.make_directory(self.target), mount.mount(self.fstype, self.target, self.fstype, self.flags, self.options)
)
"""
    (host_directory / "sys" / "net" / "ipv4").mkdir(parents=True)
    (host_directory / "self").mkdir()
    for name in ("sys/net/ipv4/ip_unprivileged_port_start", "sys/net/ipv4/ping_group_range", "keys", "timer_list"):
        (host_directory / name).write_text("nothing yet")
    (host_directory / "interrupts").write_text("")
    (host_directory / "self" / "status").write_text("a lie")
    (host_directory / "self" / "mountinfo").write_text("")
    weak = weaken(unchecked)
    mounts = (Mount("bind", str(host_directory), "/target"),)
    told = tampered(weak, {"/target": "/proc"}, mounts=mounts).check()
    assert isinstance(told, dict)
    assert (told["proc"], told["/proc/sys"]) == ("FALSE", "WRITABLE")
    assert (host_directory / "sys/net/ipv4/ip_unprivileged_port_start").read_text().startswith("0")


FLIP = """
import itertools, os, sys
os.chdir("/volume")
print("ready", flush=True)
for target in itertools.cycle(("/proc", "/", "/proc/sys", "../../..", "/dev", "/sys")):
    try:
        os.mkdir("t.new"); os.rename("t.new", "t"); os.rmdir("t")
        os.symlink(target, "t"); os.unlink("t")
    except OSError:
        for way in (lambda: os.unlink("t"), lambda: os.rmdir("t"), lambda: os.rmdir("t.new")):
            try:
                way()
            except OSError:
                pass
"""


@pytest.mark.parametrize("security", [Security(), HOST], ids=["own ids", "host's ids"])
def test_a_target_that_changes_meanwhile_stays_safe(bench: Bench, host_directory: Path, security: Security) -> None:
    """CVE-2021-30465: another container with the same volume swaps the target, as fast as it can."""
    shared = Mount("volume", "shared", "/volume")
    bench.start_when("ready", "python3", "-c", FLIP, mounts=(shared,), security=security)
    before = Path("/proc/self/mountinfo").read_text().count("\n")
    outcomes = set()
    for number in range(30):
        kind: Literal["bind", "tmpfs"] = "bind" if number % 2 else "tmpfs"
        inner = Mount(kind, str(host_directory) if number % 2 else "", "/volume/t")
        request = ContainerRequest(
            IMAGE, command=program(CHECK), mounts=(shared, inner), security=security, auto_remove=True
        )
        try:
            outcome = collect(bench.engine.run(request)[1])
        except EngineError:
            outcomes.add("refused")
            continue
        assert outcome.code == 0, outcome.err
        assert json.loads(outcome.out) == SAFE
        outcomes.add("started")
    assert outcomes <= {"started", "refused"}
    assert list(host_directory.iterdir()) == []
    assert abs(Path("/proc/self/mountinfo").read_text().count("\n") - before) <= 2, "nothing was mounted on the host"


@pytest.mark.parametrize("security", [Security(), HOST], ids=["own ids", "host's ids"])
@pytest.mark.parametrize(
    "links", [{"/dev/null": "/etc/hostname"}, {"/dev/console": "/etc/passwd"}, {"/dev/pts/0": "/etc"}]
)
def test_what_an_image_has_in_dev_is_not_used(bench: Bench, links: dict[str, str], security: Security) -> None:
    """CVE-2025-31133, CVE-2025-52565: /dev is new, and holds what the engine put there."""
    assert tampered(bench, links, security=security).check() == SAFE
    told = tampered(bench, links, security=security, tty=True).check()
    assert isinstance(told, dict)
    assert {**SAFE, **told} == told | SAFE


def test_what_masks_is_looked_at_by_what_is_mounted_then(weaken: Weaken) -> None:
    """Were /dev/null another file at that moment, there would be no container."""
    replaced = """
import os
from pyctr_engine.runtime import rootfs
real = rootfs.operations
class Replace:
    def describe(self):
        return "replace /dev/null"
    def execute(self):
        from pyctr_engine.linux import mount
        mount.umount("/dev/null")
        os.unlink("/dev/null")
        os.symlink("/etc/hostname", "/dev/null")
rootfs.operations = lambda *arguments: [*real(*arguments), Replace()]
"""
    assert "not the null device" in str(tampered(weaken(replaced), {}).check())


CONSOLE = """
told["console"] = "its own" if os.path.samestat(os.stat("/dev/console"), os.fstat(0)) else "ANOTHER"
told["of the host's"] = os.stat("/dev/pts/ptmx").st_dev
told["terminals"] = sorted(os.listdir("/dev/pts"))
attempt("push input", fcntl.ioctl, 0, 0x5412, b"x")
"""


def test_the_console_and_terminals_are_the_containers_own(bench: Bench) -> None:
    """What TIOCSTI pushes back is read by the container's own programs: no terminal of the host's is in reach."""
    told = attack(bench, CONSOLE, tty=True)
    assert told["console"] == "its own"
    assert told["of the host's"] != os.stat("/dev/pts").st_dev
    assert told["terminals"] == ["0", "ptmx"]
    without = attack(bench, 'attempt("push", fcntl.ioctl, 0, 0x5412, b"x")\nattempt("tty", os.open, "/dev/tty", 2)')
    assert without == {"push": "ENOTTY", "tty": "ENXIO"}
