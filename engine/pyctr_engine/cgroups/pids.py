"""The pids controller: how many tasks (processes and threads) there are and may be.

The same files on v1 and v2 (admin-guide/cgroup-v2.rst, "PID").
"""

from __future__ import annotations

from pyctr_engine.cgroups.setting import Setting
from pyctr_engine.errors import InvalidValue
from pyctr_engine.linux.kept import Opener, number
from pyctr_engine.model.spec import Resources

NAME = "pids"

# Also joined without a limit: it counts tasks for one small read; walking cgroup.procs costs more.
ALWAYS = True


def asked(resources: Resources) -> str:
    """The name of a limit that needs this controller; empty when there is none."""
    return "pids_limit" if limit(resources) is not None else ""


def settings(resources: Resources, version: int) -> list[Setting]:
    """Limits as writes; raises InvalidValue."""
    count = limit(resources)
    return [] if count is None else [Setting("pids.max", str(count))]


def lifted(before: Resources, after: Resources, version: int) -> list[Setting]:
    """Writes that take back the limits which only ``before`` has."""
    return [Setting("pids.max", "max")] if limit(before) is not None and limit(after) is None else []


def limit(resources: Resources) -> int | None:
    """The limit; ``None`` without one. 0 and -1 are docker's words for no limit."""
    count = resources.pids
    if count is None or count in (0, -1):
        return None
    if count < -1:
        raise InvalidValue(f"a pids limit of {count} can't be", "-1 means no limit")
    return count


class Meter:
    """Reads how many tasks there are; ``value`` is ``None`` without a controller."""

    __slots__ = ("_current", "files", "value")

    def __init__(self, file: Opener, directory: str) -> None:
        self.value: int | None = None
        self._current = file(f"{directory}/pids.current")
        self.files = [self._current]

    def read(self) -> None:
        """Read it."""
        if self._current.changed():
            self.value = number(self._current.data)
