"""CVE-2019-5736 and its kin: the engine's own processes, looked into, traced or overwritten from inside."""

from __future__ import annotations

import encodings
import json
import os
import sys
import sysconfig
from pathlib import Path

import pytest

from pyctr_engine.model.spec import ContainerRequest, Mount, Security
from pyctr_engine.model.status import Container
from pyctr_engine.record import replace
from tests.engine.containers.conftest import IMAGE, Bench, collect
from tests.engine.isolation.attacks import attack, prelude
from tests.engine.isolation.conftest import Weaken

pytestmark = pytest.mark.root

HOST = Security(userns="host")
INTERPRETER = os.path.realpath(sys.executable)

OVERWRITE = """#!/proc/self/exe -S
import os
told = "not the host's"
if os.stat("/proc/self/exe").st_dev != os.stat("/").st_dev:
    told = "the host's:"
    for way in ("/proc/self/exe", "/proc/1/exe"):
        try:
            os.close(os.open(way, os.O_WRONLY))
        except OSError as error:
            told += f" {error.errno}"
        else:
            told += " OPENED"
    held = os.open("/proc/self/exe", os.O_PATH)
    os.set_inheritable(held, True)
    print(told, flush=True)
    os.execv("/usr/bin/python3", ["python3", "-c", AGAIN, str(held)])
print(told)
"""
AGAIN = """
import errno, os, sys, time
answers = set()
for _ in range(200):
    try:
        os.close(os.open(f"/proc/self/fd/{sys.argv[1]}", os.O_WRONLY))
        answers.add("OPENED")
    except OSError as error:
        answers.add(errno.errorcode[error.errno])
    time.sleep(0.001)
print(*sorted(answers))
"""
"""Once the interpreter is no longer what this process runs: the file that it was held by, again and again."""


def overwriting(directory: Path) -> tuple[ContainerRequest, ...]:
    """Requests that have the engine execute itself inside: as the program, and as what interprets a script."""
    script = directory / "attack"
    script.write_text(OVERWRITE.replace("AGAIN", repr(AGAIN)))
    script.chmod(0o755)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    mounts: tuple[Mount, ...] = (
        Mount("bind", str(script), "/attack"),
        Mount("bind", os.path.dirname(encodings.__file__), f"/py/lib/{version}/encodings", read_only=True),
    )
    env: tuple[str, ...] = ("PYTHONHOME=/py", "PYTHONDONTWRITEBYTECODE=1")
    if sysconfig.get_config_var("Py_ENABLE_SHARED"):
        library = str(sysconfig.get_config_var("INSTSONAME"))
        mounts += (
            Mount("bind", f"{sysconfig.get_config_var('LIBDIR')}/{library}", f"/py/{library}", read_only=True),
        )
        env += ("LD_LIBRARY_PATH=/py",)
    return (
        ContainerRequest(IMAGE, command=("/attack",), mounts=mounts, env=env, auto_remove=True),
        ContainerRequest(
            IMAGE, command=("/proc/self/exe", "-S", "/attack"), mounts=mounts, env=env, auto_remove=True
        ),
    )


def test_the_engines_own_program_cannot_be_written_to(bench: Bench, host_directory: Path) -> None:
    """``#!/proc/self/exe``: what is executed is the interpreter that the engine runs in, a file of the host's."""
    before = Path(INTERPRETER).read_bytes()
    for request in overwriting(host_directory):
        outcome = collect(bench.engine.run(request)[1])
        first, *rest = outcome.out.splitlines() or [str(outcome)]
        assert first == "the host's: 13 13", f"the attack did not get that far: {outcome}"
        assert rest == ["EACCES"], "no id of the container's is the file's owner, whatever its rights"
    assert Path(INTERPRETER).read_bytes() == before


def test_as_the_hosts_root_it_is_busy_as_long_as_a_monitor_runs_it(bench: Bench, host_directory: Path) -> None:
    """With the user namespace taken away, the kernel's rule about running programs is what is left."""
    for request in overwriting(host_directory):
        outcome = collect(bench.engine.run(_as_host(request))[1])
        first, *rest = outcome.out.splitlines() or [str(outcome)]
        assert first == "the host's: 26 26", outcome
        assert rest == ["ETXTBSY"]


def _as_host(request: ContainerRequest) -> ContainerRequest:
    return replace(request, security=HOST)


WATCH = """
KNOWN = ("/proc", "pipe:", "/dev", "/usr", "/tmp/stop")  # the last is what touch(1) opens at the end
seen, mine, ours = set(), os.getpid(), os.stat("/").st_dev
libc.prctl(4, 1)
print("ready", flush=True)
def theirs(path):
    try:
        return os.stat(path).st_dev not in (ours, os.stat("/proc").st_dev)
    except OSError:
        return False
until = time.monotonic() + 60
while not os.path.exists("/tmp/stop") and time.monotonic() < until:
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) in (1, mine):
            continue
        base = f"/proc/{name}"
        for what in ("exe", "cwd", "root"):
            if theirs(f"{base}/{what}"):
                seen.add(what)
        try:
            for fd in os.listdir(f"{base}/fd"):
                if int(fd) > 2 and not os.readlink(f"{base}/fd/{fd}").startswith(KNOWN):
                    seen.add("fd " + os.readlink(f"{base}/fd/{fd}"))
        except OSError:
            pass
        try:
            if "pyctr_engine" in read(f"{base}/cmdline"):
                seen.add("command line")
        except OSError:
            pass
        if theirs(f"{base}/exe"):
            if os.fork() == 0:  # what it holds it lets go of at its end
                try:
                    call("ptrace", 0x4206, int(name), 0, 0)
                    os._exit(1)
                finally:
                    os._exit(0)
            if os.wait()[1]:
                seen.add("TRACED")
print(json.dumps(sorted(seen)))
"""
SEEN = """
from pyctr_engine.runtime import init
init.stay_unseen = lambda: None
"""
SLOWLY = """
import time
from pyctr_engine.runtime import init
become = init.drop_privileges
init.drop_privileges = lambda *arguments: (time.sleep(0.05), become(*arguments), time.sleep(0.05))[1]
"""
"""A twentieth of a second before and after rights are dropped for an exec, so that no attack misses it."""


def watched(bench: Bench, execs: int, **options: object) -> list[str]:
    """What a process inside saw of the host in those that join its container."""
    container = bench.start_when("ready", "python3", "-c", prelude() + WATCH, **options)
    for _ in range(execs):
        assert bench.exec(container, "true").code == 0
    bench.exec(container, "touch", "/tmp/stop")
    return sorted(set(_last_line(bench, container)))


def _last_line(bench: Bench, container: Container) -> list[str]:
    lines = [line.text for line in bench.engine.logs(container.id, follow=True)]
    found: list[str] = json.loads(lines[-1])
    return found


def test_what_joins_a_container_cannot_be_looked_into(bench: Bench, weaken: Weaken) -> None:
    """An attacker who polls /proc sees a process that is still the engine's, and nothing of what it holds."""
    assert watched(bench, 25) == []
    slow = weaken(SLOWLY)
    assert watched(slow, 8) == []
    assert watched(slow, 8, security=Security(cap_add=("SYS_PTRACE",))) == []
    assert watched(slow, 8, security=HOST) == []


def test_were_it_not_for_that_it_could(weaken: Weaken) -> None:
    weak = weaken(SEEN + SLOWLY)
    assert {"exe", "TRACED", "command line"} <= set(watched(weak, 8, security=HOST))


@pytest.mark.parametrize("security", [Security(), HOST])
def test_an_init_of_ours_tells_nothing_and_cannot_be_traced(bench: Bench, weaken: Weaken, security: Security) -> None:
    """``init: true``: PID 1 stays a process of the engine's as long as the container runs."""
    script = """
told["command line"] = read("/proc/1/cmdline")
attempt("program", os.readlink, "/proc/1/exe")
attempt("environment", read, "/proc/1/environ")
attempt("memory", read, "/proc/1/maps")
attempt("descriptors", os.readlink, "/proc/1/fd/0")
in_child("trace", call, "ptrace", 0x4206, 1, 0, 0)
"""
    told = attack(bench, script, init=True, security=security)
    assert told.pop("command line").strip("\0") == "init"
    assert set(told.values()) <= {"EACCES", "EPERM"}, told
    weak = attack(weaken(SEEN), script, init=True, security=security)
    assert "pyctr_engine" in weak.pop("command line")
    if security is HOST:  # with a user namespace, becoming root in it makes a process one that cannot be looked into
        assert set(weak.values()) == {"done"}
