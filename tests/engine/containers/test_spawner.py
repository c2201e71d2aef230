"""Who starts the spawner is not felt in the containers that it starts for everybody."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests import leaks
from tests.conftest import end_spawner
from tests.engine.containers.conftest import IMAGE, Bench
from tests.engine.containers.test_lifecycle import until

pytestmark = pytest.mark.root

CALLER = """
import ctypes, json, os, resource, signal, sys
from pyctr_engine.engine import Engine
from pyctr_engine.model.spec import ContainerRequest, Security
from pyctr_engine.paths import Paths
libc = ctypes.CDLL(None)
KEYCTL, ADD_KEY, SESSION = 250, 248, -3
libc.syscall(KEYCTL, 1, None)
assert libc.syscall(ADD_KEY, b"user", b"host-secret", b"x", 1, SESSION) > 0
for which in (resource.RLIMIT_NOFILE, resource.RLIMIT_CPU):
    resource.setrlimit(which, (200, resource.getrlimit(which)[1]))
os.nice(7)
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD, signal.SIGTERM})
with open("/proc/self/oom_score_adj", "w") as file:
    file.write("500")
engine = Engine(Paths(*sys.argv[1:3]))
_, session = engine.run(ContainerRequest(
    sys.argv[3], command=("python3", "-c", sys.argv[4]), auto_remove=True, security=Security(seccomp="unconfined"),
))
while (piece := session.read())[0] in ("stdout", "stderr"):
    os.write(1 if piece[0] == "stdout" else 2, piece[1])
"""
INSIDE = """
import ctypes, errno, json, os, resource
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall(249, b"user", b"host-secret", None, 0)
print(json.dumps({
    "key": errno.errorcode[ctypes.get_errno()], "files": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
    "cpu": resource.getrlimit(resource.RLIMIT_CPU)[0], "nice": os.nice(0), "cpus": len(os.sched_getaffinity(0)),
    "oom": open("/proc/self/oom_score_adj").read().strip(),
}))
"""


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the numbers are x86_64's")
def test_limits_priority_and_keys_are_not_those_of_the_caller(bench: Bench) -> None:
    """The session keyring can be read where there is no filter: by ``seccomp=unconfined`` and ``--privileged``."""
    bench.start()  # its removal sweeps what all share; that of one with --rm does not
    paths = bench.engine.paths
    before = leaks.spawner(paths)
    end_spawner(paths)
    until(lambda: not before or leaks.spawner(paths) != before)
    done = subprocess.run(
        [sys.executable, "-c", CALLER, paths.state, paths.run, IMAGE, INSIDE],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == {
        "key": "ENOKEY",
        "files": min(resource.prlimit(1, resource.RLIMIT_NOFILE)[0], resource.getrlimit(resource.RLIMIT_NOFILE)[1]),
        "cpu": resource.prlimit(1, resource.RLIMIT_CPU)[0],
        "nice": 0 if os.sched_getscheduler(1) & os.SCHED_RESET_ON_FORK else os.getpriority(os.PRIO_PROCESS, 1),
        "cpus": len(os.sched_getaffinity(1)),
        "oom": Path("/proc/1/oom_score_adj").read_text().strip(),
    }, done.stderr
