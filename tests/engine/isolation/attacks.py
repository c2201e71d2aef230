"""What attacks are made of: programs that run inside, and the engine with one of its defences taken out.

An attack is a Python program in a container. It says of each thing that it tries what became of it: ``done``, or the
errno's name. Where a defence has no option that switches it off, the spawner is started with a patch: everything that
makes containers is cloned from it.
"""

from __future__ import annotations

import functools
import json
from typing import Any

from pyctr_engine.containers import spawner
from pyctr_engine.model.spec import ExecRequest
from pyctr_engine.model.status import Container
from tests.engine.containers.conftest import Bench, collect

_CALLS = (
    "acct add_key bpf clone fsopen getpid init_module io_uring_setup ioperm iopl kexec_load keyctl mount "
    "mount_setattr name_to_handle_at open_by_handle_at open_tree perf_event_open pivot_root ptrace reboot "
    "sethostname setns settimeofday swapon syslog umount2 unshare userfaultfd"
).split()

_PRELUDE = """
import ctypes, errno, fcntl, json, os, signal, socket, stat, struct, sys, time
libc = ctypes.CDLL(None, use_errno=True)
NUMBERS = %s
NEWNS, NEWCGROUP, NEWUSER, NEWPID, NEWNET = 0x20000, 0x2000000, 0x10000000, 0x20000000, 0x40000000
told = {}
def call(name, *words):
    ctypes.set_errno(0)
    words = [ctypes.c_long(word) if isinstance(word, int) else word for word in words]
    result = libc.syscall(ctypes.c_long(NUMBERS[name]), *words)
    if result == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
def attempt(name, act, *arguments):
    try:
        act(*arguments)
    except OSError as error:
        told[name] = errno.errorcode.get(error.errno, str(error.errno))
    else:
        told[name] = "done"
def in_child(name, act, *arguments):
    reading, writing = os.pipe()
    if os.fork() == 0:
        attempt(name, act, *arguments)
        os.write(writing, told[name].encode())
        os._exit(0)
    os.close(writing)
    told[name] = os.read(reading, 100).decode() or "killed"
    os.close(reading)
    os.wait()
def open_for_writing(path):
    os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
def read(path):
    with open(path) as file:
        return file.read()
"""


@functools.cache
def prelude() -> str:
    """What every attack begins with; the numbers of calls are this machine's."""
    import pyseccomp

    numbers = {name: pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, name) for name in _CALLS}
    return _PRELUDE % json.dumps(numbers)


def program(script: str) -> tuple[str, ...]:
    """The command line of an attack."""
    return ("python3", "-c", f"{prelude()}\n{script}\nprint(json.dumps(told))")


def attack(bench: Bench, script: str, **options: Any) -> dict[str, Any]:
    """Run it as a container's program: what became of each attempt."""
    outcome = bench.run(*program(script), **options)
    assert outcome.code == 0, outcome.err
    return _told(outcome.out)


def attack_by_exec(bench: Bench, container: Container, script: str, **options: Any) -> dict[str, Any]:
    """The same as a further program in a running container."""
    outcome = collect(bench.engine.exec(container.id, ExecRequest(program(script), **options)))
    assert outcome.code == 0, outcome.err
    return _told(outcome.out)


def _told(out: str) -> dict[str, Any]:
    """What it printed; a terminal may show what was typed before and after it."""
    told: dict[str, Any] = json.loads(out[out.index("{") : out.rindex("}") + 1])
    return told


def weakened(patch: str) -> str:
    """The spawner's program with ``patch`` run before it begins: Python that replaces what it finds in modules."""
    before, _, after = spawner._PROGRAM.partition("from pyctr_engine.runtime import spawner\n")
    assert after, "the spawner is started in another way by now"
    return f"{before}exec({patch!r})\nfrom pyctr_engine.runtime import spawner\n{after}"
