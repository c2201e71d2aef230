"""Options that say what holds a container in: filters, ids, devices, hidden paths, groups, profiles."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from pyctr_engine.errors import Conflict, InvalidValue, Unsupported
from pyctr_engine.model.spec import ContainerRequest, Device, DeviceRule, Mount, Security
from tests.engine.containers.conftest import IMAGE, Bench

pytestmark = pytest.mark.root

CALL = """
import ctypes, errno, sys
libc = ctypes.CDLL(None, use_errno=True)
result = libc.syscall(*map(int, sys.argv[1:]))
print(result if result >= 0 else errno.errorcode[ctypes.get_errno()])
"""
OLD_CALL = """
import ctypes, mmap, struct, errno
# int 0x80 with the numbers that 32-bit programs use; arguments lie below 4 GiB
code = bytes.fromhex("53 89f8 89f3 89d1 31d2 cd80 5b c3")
page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
page.write(code)
call = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int)(
    ctypes.addressof(ctypes.c_char.from_buffer(page)))
def say(name, result):
    print(name, result if result >= 0 else errno.errorcode[-result])
say("getpid", call(20, 0, 0))
say("socket", call(359, 38, 5))
say("socketcall", call(102, 1, 0))
say("unshare", call(310, 0x10000000, 0))
say("mount", call(21, 0, 0))
"""
x86_only = pytest.mark.skipif(os.uname().machine != "x86_64", reason="the numbers are x86_64's")


# -- system calls --------------------------------------------------------------------------------------------------


@x86_only
def test_a_call_newer_than_the_filter_is_answered_as_by_an_old_kernel(bench: Bench) -> None:
    for number in (600, 0x40000000 + 39):  # the second is x32's getpid
        assert bench.run("python3", "-c", CALL, str(number)).out == "ENOSYS\n"


@x86_only
def test_32_bit_programs_run_and_are_held_by_the_same_rules(bench: Bench) -> None:
    lines = bench.run("python3", "-c", OLD_CALL).out.splitlines()
    assert lines == ["getpid 1", "socket EPERM", "socketcall ENOSYS", "unshare EPERM", "mount EPERM"]


@x86_only
def test_a_profile_of_ones_own_replaces_the_default(bench: Bench) -> None:
    profile = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
        "syscalls": [
            {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95},
            {
                "names": ["kill"],
                "action": "SCMP_ACT_ERRNO",
                "args": [{"index": 1, "value": 10, "op": "SCMP_CMP_GE"}],
            },
            {
                "names": ["getppid"],
                "action": "SCMP_ACT_ERRNO",
                "errnoRet": 7,
                "includes": {"caps": ["CAP_SYS_ADMIN"]},
            },
        ],
    }
    held = Security(seccomp=json.dumps(profile))
    assert "Operation not supported" in bench.run("mkdir", "/x", security=held).err
    assert bench.run("python3", "-c", CALL, "62", "1", "12", security=held).out == "EPERM\n"
    assert bench.run("python3", "-c", CALL, "62", "1", "0", security=held).out == "0\n"
    assert bench.run("python3", "-c", CALL, "110", security=held).out == "0\n"
    admin = Security(seccomp=json.dumps(profile), cap_add=("SYS_ADMIN",))
    assert bench.run("python3", "-c", CALL, "110", security=admin).out == "E2BIG\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not JSON"),
        ("{}", "no defaultAction"),
        ('{"defaultAction": "SCMP_ACT_NOTIFY"}', "can't be had"),
        ('{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"action": "SCMP_ACT_ERRNO"}]}', "not well formed"),
    ],
)
def test_a_profile_that_cannot_be_is_refused_when_the_container_is_made(bench: Bench, text: str, said: str) -> None:
    with pytest.raises(InvalidValue, match=said):
        bench.engine.create(ContainerRequest(IMAGE, security=Security(seccomp=text)))


def test_the_filter_is_there_for_execs_too(bench: Bench) -> None:
    container = bench.start()
    assert "Seccomp:\t2" in bench.exec(container, "cat", "/proc/self/status").out


# -- ids -----------------------------------------------------------------------------------------------------------


def test_ids_can_be_chosen(bench: Bench, host_directory: Path) -> None:
    held = Security(userns="3000000:4000000:1000")
    container = bench.start(security=held, mounts=(Mount("bind", str(host_directory), "/data"),))
    assert bench.exec(container, "cat", "/proc/self/uid_map").out.split() == ["0", "3000000", "1000"]
    assert bench.exec(container, "cat", "/proc/self/gid_map").out.split() == ["0", "4000000", "1000"]
    assert bench.exec(container, "sh", "-c", "touch /data/x /y; chown 7:8 /y; stat -c %u:%g /y").out == "7:8\n"
    found = (host_directory / "x").stat()
    assert (found.st_uid, found.st_gid) == (0, 0), "an idmapped bind keeps the ids that are inside"
    process = os.stat(f"/proc/{container.status.pid}")
    assert (process.st_uid, process.st_gid) == (3000000, 4000000)
    assert bench.exec(container, "sh", "-c", "echo hi > /dev/stdout").out == "hi\n"
    with pytest.raises(Conflict, match="overlap"):
        bench.engine.create(ContainerRequest(IMAGE, security=Security(userns="3000500:5000000:10")))


def test_an_id_beyond_the_chosen_ones_cannot_be_had(bench: Bench) -> None:
    outcome = bench.engine.create(
        ContainerRequest(IMAGE, command=("id",), user="1000", security=Security(userns="3000000:3000000:1000"))
    )
    with pytest.raises(Exception, match="not among the ids"):
        bench.engine.start(outcome.id)


def test_keep_id_runs_as_the_caller(bench: Bench, host_directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_UID", "1234")
    monkeypatch.setenv("SUDO_GID", "2345")
    host_directory.chmod(0o777)
    held = Security(userns="keep-id")
    mounts = (Mount("bind", str(host_directory), "/data"),)
    assert bench.run("sh", "-c", "id -u; id -g; touch /data/x", security=held, mounts=mounts).out == "1234\n2345\n"
    found = (host_directory / "x").stat()
    assert (found.st_uid, found.st_gid) == (1234, 2345)


# -- devices -------------------------------------------------------------------------------------------------------

OPEN = "for path in {}; do (: {}$path) 2>/dev/null && echo $path; done; true"


@pytest.fixture
def loop_device(tmp_path: Path) -> str:
    """A block device node of the test's own, to nothing: opening it says ENXIO when that is allowed, else EPERM."""
    path = tmp_path / "node"
    os.mknod(path, stat.S_IFCHR | 0o640, os.makedev(10, 237))  # /dev/loop-control
    os.chown(path, 0, 27)
    return str(path)


def test_a_device_has_the_ids_inside_that_it_has_outside(bench: Bench, loop_device: str) -> None:
    devices = (Device(loop_device, "/dev/thing"),)
    out = bench.run("stat", "-c", "%F %u:%g %a %t:%T", "/dev/thing", devices=devices).out
    assert out == "character special file 0:27 640 a:ed\n"
    assert bench.run("sh", "-c", "cat /dev/thing 2>&1", devices=devices, user="1000").out.count("Permission denied")
    member = bench.run("sh", "-c", "test -r /dev/thing && id -G", devices=devices, user="1000", group_add=("27",))
    assert member.out == "0 27\n"


@pytest.mark.parametrize(
    ("permissions", "refused"), [("r", [False, True]), ("w", [True, False]), ("rw", [False, False])]
)
def test_a_device_can_be_for_reading_only(
    bench: Bench, loop_device: str, permissions: str, refused: list[bool]
) -> None:
    """By the rules on devices, which are there where the container has the host's ids."""
    script = "(: < /dev/thing) 2>&1; echo; echo next; (: > /dev/thing) 2>&1; true"
    devices = (Device(loop_device, "/dev/thing", permissions),)
    out = bench.run("sh", "-c", script, devices=devices, security=Security(userns="host")).out
    assert ["not permitted" in answer for answer in out.split("next")] == refused, out


def test_a_device_of_the_default_ones_can_be_given_by_another_name(bench: Bench) -> None:
    script = OPEN.format("/dev/full2", ">") + "; " + OPEN.format("/dev/full2", "<")
    devices = (Device("/dev/full", "/dev/full2", "rw"),)
    assert bench.run("sh", "-c", script, devices=devices).out.split() == ["/dev/full2"] * 2


def test_a_directory_of_devices_is_shown_whole(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "bus" / "one").mkdir(parents=True)
    os.mknod(tmp_path / "bus" / "one" / "a", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(tmp_path / "bus" / "b", stat.S_IFCHR | 0o666, os.makedev(1, 5))
    devices = (Device(str(tmp_path / "bus"), "/dev/bus"),)
    out = bench.run("sh", "-c", "find /dev/bus | sort; echo x > /dev/bus/one/a", devices=devices)
    assert (out.out, out.err) == ("/dev/bus\n/dev/bus/b\n/dev/bus/one\n/dev/bus/one/a\n", "")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidValue, match="no devices"):
        bench.run("true", devices=(Device(str(tmp_path / "empty"), "/dev/bus"),))


MAKE = "mknod /thing c 10 237 && (: < /thing) 2>&1; mknod /null2 c 1 3 && echo x > /null2 && echo fine"


def test_in_the_hosts_user_namespace_only_its_own_devices_open(bench: Bench) -> None:
    """10:237 is loop-control: a node can be made there, as in docker, but not opened."""
    held = bench.run("sh", "-c", MAKE, security=Security(userns="host"))
    assert "Operation not permitted" in held.out
    assert "fine" in held.out
    allowed = Security(userns="host", device_rules=(DeviceRule("c", 10, 237, "rwm"),))
    assert "not permitted" not in bench.run("sh", "-c", MAKE, security=allowed).out
    assert "not permitted" not in bench.run("sh", "-c", MAKE, security=Security(privileged=True)).out
    container = bench.start(security=Security(userns="host"))
    assert "Operation not permitted" in bench.exec(container, "sh", "-c", MAKE).out, "an exec is held by them too"


# -- paths, groups, the rest ---------------------------------------------------------------------------------------


def test_paths_can_be_hidden_and_shown(bench: Bench) -> None:
    script = "cat /etc/hostname | wc -c; ls /usr | wc -l; (echo 1 > /proc/sys/net/ipv4/ip_forward) && echo written"
    held = bench.run(
        "sh", "-c", script, security=Security(mask=("/etc/hostname", "/usr/share"), cap_add=("NET_ADMIN",))
    )
    assert held.out.split()[0] == "0"
    open_ = bench.run("sh", "-c", script, security=Security(unmask=("ALL",), cap_add=("NET_ADMIN",)))
    assert "written" in open_.out
    assert "written" not in held.out
    one = bench.run("sh", "-c", script, security=Security(unmask=("/proc/sys",), cap_add=("NET_ADMIN",)))
    assert "written" in one.out


def test_groups_are_added_for_the_program_and_execs(bench: Bench) -> None:
    asked = {"user": "1000:1000", "group_add": ("nogroup", "4711")}
    assert set(bench.run("id", "-G", **asked).out.split()) == {"1000", "65534", "4711"}
    container = bench.start(**asked)
    assert set(bench.exec(container, "id", "-G").out.split()) == {"1000", "65534", "4711"}
    missing = bench.engine.create(ContainerRequest(IMAGE, command=("id",), group_add=("nosuchgroup",)))
    with pytest.raises(Exception, match="no group nosuchgroup"):
        bench.engine.start(missing.id)


def test_umask_and_oom_score_hold_for_the_program_and_execs(bench: Bench) -> None:
    security = Security(umask=0o027, oom_score_adj=321)
    script = "umask; cat /proc/self/oom_score_adj"
    assert bench.run("sh", "-c", script, security=security).out == "0027\n321\n"
    container = bench.start(security=security)
    assert bench.exec(container, "sh", "-c", script).out == "0027\n321\n"
    assert bench.run("sh", "-c", script).out.split()[0] == "0022"


def test_the_hardened_profile(bench: Bench) -> None:
    script = "grep -E 'NoNewPrivs|CapBnd' /proc/self/status; cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max"
    out = bench.run("sh", "-c", script, security=Security(profile="hardened")).out.split()
    assert out[out.index("NoNewPrivs:") + 1] == "1"
    kept = int(out[out.index("CapBnd:") + 1], 16)
    assert not kept & (1 << 13 | 1 << 27), "neither NET_RAW nor MKNOD"
    assert "2048" in out


def test_the_configuration_says_what_is_usual(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "engine.toml"
    monkeypatch.setenv("PYCTR_CONFIG", str(file))
    read = ("grep", "-c", "NoNewPrivs:.1", "/proc/self/status")
    file.write_text("no_new_privileges = true\n")
    assert bench.run(*read).out == "1\n"
    assert bench.run(*read, security=Security(no_new_privileges=False)).out == "0\n"
    file.write_text("shiny = 1\n")
    with pytest.raises(InvalidValue, match="no setting shiny"):
        bench.run("true")
    file.write_text('unmappable_binds = "refuse"\n')
    mounts = (Mount("bind", "/sys/kernel", "/mnt"),)
    with pytest.raises(Exception, match="can't be idmapped"):
        bench.run("true", mounts=mounts)
    file.write_text("")
    container = bench.start(mounts=mounts)
    assert "/mnt" in bench.engine.container(container.id).status.plain_binds
    assert "/mnt" in bench.engine.inspect(container.id)["Pyctr"]["PlainBinds"]
    short, session = bench.engine.run(ContainerRequest(IMAGE, command=("true",), mounts=mounts))
    assert short.status.plain_binds == ("/mnt",), "told to who starts it, however soon it ends"
    session.close()


@pytest.mark.skipif(os.path.exists("/sys/module/apparmor"), reason="tests/guest has the host that has AppArmor")
def test_an_apparmor_profile_that_the_host_cannot_have_is_refused(bench: Bench) -> None:
    container = bench.engine.create(ContainerRequest(IMAGE, security=Security(apparmor="mine")))
    with pytest.raises(Unsupported, match="no AppArmor"):
        bench.engine.start(container.id)


def test_a_sysctl_goes_to_proc_whatever_the_image_has_there(bench: Bench) -> None:
    out = bench.run("cat", "/proc/sys/net/ipv4/ip_forward", sysctls={"net.ipv4.ip_forward": "1"}).out
    assert out == "1\n"
