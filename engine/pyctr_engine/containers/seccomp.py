"""Seccomp profiles: which system calls a container may make, and how the compiled filter is cached.

A profile is JSON in the form of the OCI runtime specification (config-linux, "Seccomp"), with docker's additions:
``includes`` and ``excludes`` by capability, architecture or kernel version, and ``archMap``. Ours is
``seccomp.json`` beside this file: an allow list; what it doesn't name is answered with EPERM, calls newer than all it
names with ENOSYS. What it leaves out, and why: the mount family, namespaces (setns, unshare, clone with new-namespace
flags), kernel keys, modules, kexec, bpf, perf, io_uring, userfaultfd, clock setting, swap, raw I/O ports, NUMA
policy, open_by_handle_at (it walks past mounts). Capabilities that are added bring back the calls they are for.
Sources: seccomp(2), capabilities(7), and the peers' published defaults for comparison.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from pyctr_engine.errors import InvalidValue, Unsupported
from pyctr_engine.linux import seccomp
from pyctr_engine.linux.seccomp import Action, Condition, Rule

DEFAULT, UNCONFINED = "default", "unconfined"

_EPERM = 1
_FORMAT = 4
"""Of the cache: another number when the same profile compiles to something else. A file of it begins with a line that
says which libseccomp has made it (see `_mark`): another version may know more calls."""
_ACTIONS = {
    "SCMP_ACT_ALLOW": "ALLOW",
    "SCMP_ACT_ERRNO": "ERRNO",
    "SCMP_ACT_KILL": "KILL_THREAD",
    "SCMP_ACT_KILL_THREAD": "KILL_THREAD",
    "SCMP_ACT_KILL_PROCESS": "KILL_PROCESS",
    "SCMP_ACT_LOG": "LOG",
    "SCMP_ACT_TRAP": "TRAP",
    "SCMP_ACT_TRACE": "TRACE",
}
_COMPARISONS = ("EQ", "NE", "LT", "LE", "GE", "GT", "MASKED_EQ")
_MACHINES = {"x86_64": ("SCMP_ARCH_X86_64", "amd64"), "aarch64": ("SCMP_ARCH_AARCH64", "arm64")}
_HINT = "the form is that of docker's profiles: see the OCI runtime specification, Seccomp"


def program(cache_dir: str, profile: str, capabilities: frozenset[str]) -> bytes:
    """The compiled filter of a profile (`DEFAULT`, or one's JSON text) for these capabilities.

    From the cache, or made now (about 30 ms, once). Raises InvalidValue for a profile that can't be, Unsupported when
    libseccomp is missing.
    """
    text = _own() if profile == DEFAULT else profile
    machine, release = os.uname().machine, os.uname().release
    key = hashlib.sha256(f"{_FORMAT}\0{machine}\0{release}\0{sorted(capabilities)}\0{text}".encode()).hexdigest()[:16]
    path = f"{cache_dir}/seccomp-{key}.bpf"
    with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
        made_by, _, data = file.read().partition(b"\n")
        mark = _mark(os.fsdecode(made_by.partition(b" ")[2]))
        if data and len(data) % 8 == 0 and mark and made_by == mark:
            return data
    data = build(text, capabilities)
    mark = _mark(seccomp.library())
    if not mark:  # it is not known which one made it: replaced while we run, perhaps
        return data
    os.makedirs(cache_dir, 0o700, exist_ok=True)
    # several threads of several programs may be making it at once
    temporary = f"{path}.{os.urandom(8).hex()}"
    with open(temporary, "wb") as file:
        file.write(mark + b"\n" + data)
    os.rename(temporary, path)
    return data


def _mark(library: str) -> bytes:
    """What changes with the library in this file: when it was changed, its size and its path, which has a version.

    Empty when there is no such file.
    """
    try:
        found = os.stat(library)
    except (OSError, ValueError):
        return b""
    return os.fsencode(f"{found.st_mtime_ns}-{found.st_size} {library}")


def build(text: str, capabilities: frozenset[str], machine: str = "") -> bytes:
    """Compile a profile for a machine, this one unless another is named. Raises as `program`."""
    profile = parse(text)
    own = "" if machine in ("", os.uname().machine) else _MACHINES[machine][0].removeprefix("SCMP_ARCH_")
    machine = machine or os.uname().machine
    try:
        default = _action(profile["defaultAction"], profile.get("defaultErrnoRet"))
        held = list(rules(profile, capabilities, machine))
        return seccomp.compile_filter(held, default, _sub_architectures(profile, machine), own)
    except (KeyError, TypeError, AttributeError) as error:
        raise InvalidValue(f"the seccomp profile is not well formed: {error!r}", _HINT) from error
    except ValueError as error:
        raise InvalidValue(f"the seccomp profile can't be made into a filter: {error}", _HINT) from error
    except (ImportError, OSError, RuntimeError) as error:
        raise Unsupported(
            f"cannot make the system call filter: {error}",
            "install libseccomp2 (Debian: apt-get install libseccomp2), or use --security-opt seccomp=unconfined",
        ) from error


def parse(text: str) -> dict[str, Any]:
    """A profile's JSON. Raises InvalidValue."""
    try:
        profile = json.loads(text)
    except ValueError as error:
        raise InvalidValue(f"the seccomp profile is not JSON: {error}", _HINT) from error
    if not isinstance(profile, dict) or "defaultAction" not in profile:
        raise InvalidValue("the seccomp profile has no defaultAction", _HINT)
    return profile


def rules(profile: dict[str, Any], capabilities: frozenset[str], machine: str) -> Iterator[Rule]:
    """The rules of a profile that hold on such a machine. Raises InvalidValue, KeyError.

    As in docker, several conditions on one argument are alternatives, those on several must all hold.
    """
    for entry in profile.get("syscalls") or ():
        if not _holds(entry, capabilities, machine):
            continue
        action = _action(entry["action"], entry.get("errnoRet"))
        names = entry.get("names") or [entry["name"]]
        conditions = [_condition(argument) for argument in entry.get("args") or ()]
        indices = [condition.argument for condition in conditions]
        alternatives: list[tuple[Condition, ...]] = [tuple(conditions)]
        if len(set(indices)) < len(indices):
            alternatives = [(condition,) for condition in conditions]
        for name in names:
            for alternative in alternatives:
                yield Rule(name, action, alternative)


def _holds(entry: dict[str, Any], capabilities: frozenset[str], machine: str) -> bool:
    """Whether an entry's ``includes`` are met, each kind of them, and its ``excludes`` are not, any of them."""
    met = _met(entry.get("includes") or {}, capabilities, machine, excluding=False)
    return all(met) and not any(_met(entry.get("excludes") or {}, capabilities, machine, excluding=True))


def _met(wanted: dict[str, Any], capabilities: frozenset[str], machine: str, excluding: bool) -> Iterator[bool]:
    if caps := wanted.get("caps"):
        there = [name.upper().removeprefix("CAP_") in capabilities for name in caps]
        yield any(there) if excluding else all(there)
    if arches := wanted.get("arches"):
        yield _MACHINES.get(machine, ("", machine))[1] in arches
    if least := wanted.get("minKernel"):
        yield _numbers(os.uname().release) >= _numbers(least)


def _numbers(release: str) -> tuple[int, ...]:
    """The first two numbers of a kernel's version."""
    parts = ["".join(digits) for is_digit, digits in groupby(release, str.isdigit) if is_digit]
    return tuple(map(int, parts[:2]))


def _action(name: str, number: object) -> Action:
    if name not in _ACTIONS:
        raise InvalidValue(f"the seccomp profile's action {name!r} can't be had", f"actions: {', '.join(_ACTIONS)}")
    kind = _ACTIONS[name]
    usual = _EPERM if kind == "ERRNO" else 0
    return Action(kind, int(str(number)) if number is not None else usual)


def _condition(argument: dict[str, Any]) -> Condition:
    comparison = str(argument["op"]).removeprefix("SCMP_CMP_")
    if comparison not in _COMPARISONS:
        raise InvalidValue(f"the seccomp profile's comparison {argument['op']!r} is unknown", _HINT)
    return Condition(int(argument["index"]), comparison, int(argument["value"]), int(argument.get("valueTwo") or 0))


def _sub_architectures(profile: dict[str, Any], machine: str) -> list[str]:
    """Those beside the machine's own, by ``archMap`` (docker's) or ``architectures`` (OCI's)."""
    own = _MACHINES.get(machine, ("", ""))[0]
    named = list(profile.get("architectures") or ())
    for entry in profile.get("archMap") or ():
        if entry["architecture"] == own:
            named += entry.get("subArchitectures") or ()
    return [name.removeprefix("SCMP_ARCH_") for name in dict.fromkeys(named) if name not in (own, "SCMP_ARCH_NATIVE")]


def _own() -> str:
    with open(f"{os.path.dirname(os.path.abspath(__file__))}/seccomp.json") as file:
        return file.read()
