"""Which tests run in which guest, and as whom.

A module below ``inside/`` says it itself: ``pytestmark = guest("user")``. For tests that run on any machine it is
said here.
"""

from __future__ import annotations

import functools
import os
import re
import subprocess
import sys
from dataclasses import dataclass

from tests.guest.image import REPOSITORY

IS_WHOLE = bool(os.environ.get("PYCTR_GUEST"))
"""Whether all is to be run (`make test-guest`), or what shows that all still holds together (`make test`)."""


@dataclass(frozen=True)
class Kind:
    """A kind of machine: its control groups, and whether systemd is its init."""

    layout: str = "v2"
    systemd: bool = True

    def __str__(self) -> str:
        return f"{self.layout}-{'systemd' if self.systemd else 'plain'}"


@dataclass(frozen=True)
class Run:
    """Tests to run in a machine as one user.

    Attributes:
        user: ``root``; ``user``, an ordinary user with a session and a user manager; ``rootless``, the same, for
            tests of containers that such a user runs.
        tests: Paths and node ids, as for pytest.
        but: Patterns of node ids that are left out there, with the reason.
    """

    kind: Kind
    user: str
    tests: tuple[str, ...]
    but: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return f"{self.kind}-{self.user}"


SYSTEMD = Kind()

_SMOKE = ("tests/guest/inside/test_scope.py",)
_WHOLE = (
    "tests/guest/inside/test_scope.py",
    "tests/guest/inside/test_apparmor.py",
    "tests/engine/containers/test_run.py",
    "tests/engine/containers/test_exec.py",
    "tests/engine/containers/test_limits.py",
    "tests/engine/containers/test_isolation.py",
    "tests/engine/containers/test_security.py",
    "tests/engine/containers/test_sharing.py",
    "tests/engine/containers/test_network.py",
    "tests/engine/containers/test_lifecycle.py",
    "tests/engine/containers/test_change.py",
    "tests/engine/containers/test_restart.py",
    "tests/engine/containers/test_health.py",
    "tests/engine/cgroups",
    "tests/engine/network",
)
_CGROUPS = ("tests/engine/cgroups",)

RUNS = (
    Run(SYSTEMD, "root", _WHOLE if IS_WHOLE else _SMOKE),
    Run(SYSTEMD, "user", ("tests/guest/inside/test_user.py",)),
)
if IS_WHOLE:
    RUNS += (
        Run(Kind("v2", systemd=False), "root", (*_CGROUPS, "tests/engine/containers/test_run.py")),
        Run(Kind("hybrid"), "root", (*_CGROUPS, "tests/engine/containers/test_run.py")),
        Run(Kind("v1", systemd=False), "root", (*_CGROUPS, "tests/engine/containers/test_run.py")),
    )


def node_ids(run: Run) -> list[str]:
    """The tests of a run, as pytest collects them here."""
    return [
        node
        for test in run.tests
        for node in collected()
        if node.startswith((f"{test}/", f"{test}::")) and not any(re.search(pattern, node) for pattern, _ in run.but)
    ]


@functools.cache
def collected() -> tuple[str, ...]:
    """The tests of all runs: one look, in a process of its own, for these modules are none of this session's."""
    paths = dict.fromkeys(test for run in RUNS for test in run.tests)
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *paths]
    environment = {**os.environ, "PYCTR_INSIDE": "1"}
    ran = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, env=environment, check=False)
    if ran.returncode:
        raise RuntimeError(f"the tests for the guest can't be collected:\n{ran.stdout}{ran.stderr}")
    return tuple(line for line in ran.stdout.splitlines() if "::" in line)
