"""The cpuset controller: which CPUs a container may run on, and whose memory it may use.

Joined only when asked for: a cpuset costs the scheduler a domain, and v1's must be filled in before use.
Sources: admin-guide/cgroup-v2.rst ("Cpuset"), admin-guide/cgroup-v1/cpusets.rst.
"""

from __future__ import annotations

from pyctr_engine.cgroups import files
from pyctr_engine.cgroups.setting import Setting
from pyctr_engine.errors import InvalidValue, Unsupported
from pyctr_engine.model.spec import Resources

NAME = "cpuset"
ALWAYS = False

_MOST = 8192  # CPUs; the kernel's largest NR_CPUS


def asked(resources: Resources) -> str:
    """The name of a limit that needs this controller; empty when there is none."""
    if resources.cpuset:
        return "cpuset"
    return "cpuset_mems" if resources.cpuset_mems else ""


def settings(resources: Resources, version: int) -> list[Setting]:
    """Limits as writes; raises InvalidValue. What v1 must hold of the two and isn't asked for, `inherited` gives."""
    found = []
    if resources.cpuset:
        parse(resources.cpuset)
        found.append(Setting("cpuset.cpus", resources.cpuset))
    if resources.cpuset_mems:
        parse(resources.cpuset_mems, "memory nodes")
        found.append(Setting("cpuset.mems", resources.cpuset_mems))
    return found


def lifted(before: Resources, after: Resources, version: int) -> list[Setting]:
    """Writes that take back the limits which only ``before`` has; v1 takes no empty set, so all that there are."""
    found = []
    if before.cpuset and not after.cpuset:
        found.append(Setting("cpuset.cpus", _all("/sys/devices/system/cpu/present", version)))
    if before.cpuset_mems and not after.cpuset_mems:
        found.append(Setting("cpuset.mems", _all("/sys/devices/system/node/online", version)))
    return found


def _all(path: str, version: int) -> str:
    """What stands for no limit."""
    return "\n" if version == 2 else files.read(path).strip()


def nodes() -> set[int]:
    """The memory nodes of this machine; node 0 alone where the kernel knows none."""
    try:
        return parse(files.read("/sys/devices/system/node/online").strip(), "memory nodes")
    except (OSError, InvalidValue):
        return {0}


def inherited(base: str) -> tuple[tuple[str, str], ...]:
    """What each v1 cpuset must be given before anything may join it: all that the hierarchy's root has.

    A new v1 cpuset is empty and refuses processes with ENOSPC. Raises Unsupported when the root can't be read.
    """
    try:
        return tuple((name, files.read(f"{base}/{name}").strip()) for name in ("cpuset.cpus", "cpuset.mems"))
    except OSError as error:
        raise Unsupported(f"cannot read the CPUs of {base}: {error.strerror}", "leave the cpuset out") from error


def parse(text: str, what: str = "CPUs") -> set[int]:
    """The numbers in a list such as ``0-1,3``; raises InvalidValue."""
    found: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        last = last if dash else first
        if not (first.isdecimal() and last.isdecimal() and int(first) <= int(last) < _MOST):
            raise InvalidValue(f"{text!r} is not a list of {what}", f"0-1,3 means the {what} 0, 1 and 3")
        found.update(range(int(first), int(last) + 1))
    return found
