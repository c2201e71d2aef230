"""Figures of an ordinary user's calls, beside root's of the same run."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tests.bench.figures import Figure
from tests.bench.place import IMAGE, Place
from tests.engine.rootless.user import PROGRAM, User

if TYPE_CHECKING:
    from tests.bench.measures import Effort

_CALLS = {
    "ps": ("ps",),
    "run --rm --network none": ("run", "--rm", "--network", "none", IMAGE, "true"),
    "run --rm": ("run", "--rm", IMAGE, "true"),
}
_TIMER = """
import json, os, sys, time
program, calls, rounds = sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3])
quiet = [(os.POSIX_SPAWN_OPEN, fd, "/dev/null", os.O_RDWR, 0) for fd in (0, 1)]
found = {}
for name, words in calls.items():
    found[name] = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        pid = os.posix_spawn(program, [program, *words], dict(os.environ), file_actions=quiet)
        _, status = os.waitpid(pid, 0)
        found[name].append((time.perf_counter() - began) * 1000)
        assert status == 0, (name, status)
print(json.dumps(found))
"""
_ENTRY = """
import os, sys, time
sys.path.insert(0, sys.argv[1])
from pyctr_engine.house import entry
from pyctr_engine.paths import Paths
paths = Paths()
began = time.perf_counter()
entry.enter(paths.run)
print((time.perf_counter() - began) * 1000)
"""


def rootless(place: Place, effort: Effort) -> Iterator[Figure]:
    """The same calls by both; the first of an ordinary user makes the house, and the image."""
    import pyctr_engine

    user = User()
    try:
        (making,) = _enter(user, pyctr_engine.__path__[0], 1)
        yield Figure("an ordinary user's namespaces are made", (making,))
        user("run", "--rm", IMAGE, "true")
        yield Figure("… are entered", tuple(_enter(user, pyctr_engine.__path__[0], effort.calls)))
        program = (sys.executable, "-c", _TIMER, PROGRAM, json.dumps(_CALLS), str(effort.calls))
        out, err = user.spawn(*program).communicate()
        assert out, err
        for name, samples in json.loads(out).items():
            yield Figure(f"{name} by CLI, root", tuple(place.cli(*_CALLS[name]) for _ in range(effort.calls)))
            yield Figure(f"{name} by CLI, ordinary user", tuple(samples[1:]))
    finally:
        user.remove()


def _enter(user: User, package: str, rounds: int) -> list[float]:
    found = []
    for _ in range(rounds):
        out, err = user.spawn(sys.executable, "-c", _ENTRY, package.rpartition("/")[0]).communicate()
        assert out, err
        found.append(float(out))
    return found
