"""The same probe in our container, in docker's and in podman's: what each lets a program do, side by side.

    python -m tests.engine.isolation.compare            prints the table
    python -m tests.engine.isolation.compare --write    writes it to engine/SECURITY.md

All three run the same image (our built-in one, saved and loaded) as root inside, without a network, with nothing
switched on or off. Each runs once more without its filter, to tell what the filter refuses from what the kernel does.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from pyctr_engine.engine import Engine
from pyctr_engine.linux.capabilities import NAMES
from pyctr_engine.model.spec import ContainerRequest, Security
from tests.bench.peers import peers
from tests.conftest import end_spawner, own_paths
from tests.engine.containers.conftest import IMAGE, collect

PROBE = Path(__file__).with_name("probe.py").read_text()
PAGE = Path(__file__).parents[3] / "engine" / "SECURITY.md"
REFUSED = ("EPERM", "ENOSYS", "SIGSYS")
SETS = {
    "CapEff": "effective",
    "CapPrm": "permitted",
    "CapBnd": "bounding",
    "CapInh": "inheritable",
    "CapAmb": "ambient",
}
FLAGS = ("ro", "nosuid", "nodev", "noexec")
NEWER_CALLS = (
    "set_mempolicy_home_node cachestat fchmodat2 map_shadow_stack futex_wake futex_wait futex_requeue statmount "
    "listmount lsm_get_self_attr lsm_set_self_attr lsm_list_modules mseal setxattrat getxattrat listxattrat "
    "removexattrat open_tree_attr file_getattr file_setattr"
).split()
"""Those from number 450 on, which an older libseccomp can't name. Source: the kernel's syscall_64.tbl."""

REASONS = {
    "call cachestat": "newer than the peers' profiles; it tells of the caller's own files",
    "call fchmodat2": "newer than the peers' profiles; fchmodat with flags",
    "call futex_*": "newer than the peers' profiles; futex in several calls",
    "call io_pgetevents": "podman leaves it out; io_getevents with a signal mask, and docker has it",
    "call name_to_handle_at": "later dockers allow it: it tells a handle, and opening one stays refused",
    "call pkey_*": "later dockers allow it: memory protection keys of one's own memory",
    "call process_vm_*": "later dockers allow it; ptrace reads and writes the same, and all three allow that",
    "call vmsplice": "docker allows it",
    "hidden /sys/dev/block": "the same disks are in /sys/block and /proc/partitions, which all three show",
    "limit nofile": "podman's is set lower by the comparison: by itself it needs CAP_SYS_RESOURCE",
    "limit nproc": "podman's is set lower by the comparison: by itself it needs CAP_SYS_RESOURCE",
}
"""Where ours is weaker than a peer's, and why that may be. Patterns of what `weaknesses` says."""


@dataclass(frozen=True)
class Seen:
    """What the probe told in one runtime's container, and in one without the filter."""

    name: str
    version: str
    default: dict[str, Any]
    unfiltered: dict[str, Any]

    def refused(self, number: str) -> bool:
        """Whether a call can't be made, whoever refuses it."""
        return self.default["calls"][number] in REFUSED

    def capabilities(self, of: str = "CapEff") -> list[str]:
        """Names of what is in one of the sets."""
        mask = int(self.default["status"][of], 16)
        return [name for bit, name in enumerate(NAMES) if mask >> bit & 1]

    def shared(self) -> list[str]:
        """Namespaces that are the host's."""
        return [
            name
            for name, link in self.default["namespaces"].items()
            if not name.endswith("_for_children") and link == os.readlink(f"/proc/self/ns/{name}")
        ]

    def is_host_root(self) -> bool:
        """Whether root inside is the host's."""
        return bool(self.default["uid_map"][:2] == ["0", "0"])


def call_name(number: str) -> str:
    """What a call is named on this machine."""
    import pyseccomp

    if int(number) >= 450 and int(number) - 450 < len(NEWER_CALLS):
        return NEWER_CALLS[int(number) - 450]
    try:
        name = pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, int(number))
    except ValueError:
        return number
    return name.decode() if isinstance(name, bytes) else str(name)


def observe(directory: str) -> list[Seen]:
    """Ours first, then docker's and podman's; ``directory`` is for what they store."""
    archive = f"{directory}/image.tar"
    found = [_ours(Path(directory), archive)]
    with peers(f"{directory}/peers") as there:
        for peer in there:
            peer.call("load", "-i", archive)
            engine = "Server" if peer.name == "docker" else "Client"
            version = peer.call("version", "--format", f"{{{{.{engine}.Version}}}}").strip()
            run = ("run", "--rm", "--network", "none")
            words = ("docker.io/pyctr/base" if peer.name == "podman" else IMAGE, "python3", "-c", PROBE)
            default = json.loads(peer.call(*run, *words))
            unfiltered = json.loads(peer.call(*run, "--security-opt", "seccomp=unconfined", *words))
            found.append(Seen(peer.name, version, default, unfiltered))
    return found


def _ours(directory: Path, archive: str) -> Seen:
    with own_paths(directory) as paths:
        engine = Engine(paths)

        def run(security: Security) -> dict[str, Any]:
            request = ContainerRequest(
                IMAGE, command=("python3", "-c", PROBE), network="none", security=security, auto_remove=True
            )
            outcome = collect(engine.run(request)[1])
            assert outcome.code == 0, outcome.err
            told: dict[str, Any] = json.loads(outcome.out)
            return told

        try:
            seen = Seen(
                "pyctr-tui",
                importlib.metadata.version("pyctr-tui"),
                run(Security()),
                run(Security(seccomp="unconfined")),
            )
            engine.save([IMAGE], archive)
        finally:
            engine.close()
            end_spawner(paths)
    return seen


def weaknesses(ours: Seen, peer: Seen) -> list[str]:
    """Everything that ours lets a program do and the peer's doesn't; each a kind and a name."""
    a, b = ours.default, peer.default
    found = [
        f"{SETS[which]} capability {name}"
        for which in SETS
        for name in ours.capabilities(which)
        if name not in peer.capabilities(which)
    ]
    if int(a["status"]["Seccomp"]) < int(b["status"]["Seccomp"]):
        found.append("no filter")
    found += [
        f"call {call_name(number)}" for number in a["calls"] if peer.refused(number) and not ours.refused(number)
    ]
    found += [
        f"argument {name}"
        for name, answer in a["variants"].items()
        if b["variants"][name] in REFUSED and answer not in REFUSED
    ]
    found += [f"hidden {p}" for p, seen in a["hidden"].items() if seen == "readable" and b["hidden"][p] != "readable"]
    found += [f"writable {path}" for path in a["writable"] if path not in b["writable"]]
    found += [
        f"device {path}" for path, (_, opens) in a["devices"].items() if opens == "ok" and path not in b["devices"]
    ]
    found += [f"node {name}" for name, answer in a["nodes"].items() if answer == "opens" != b["nodes"][name]]
    found += [
        f"mount {point} {flag}"
        for point, mount in a["mounts"].items()
        if point in b["mounts"]
        for flag in FLAGS
        if flag in b["mounts"][point]["flags"] and flag not in mount["flags"]
    ]
    found += [f"namespace {name}" for name in ours.shared() if name not in peer.shared()]
    if ours.is_host_root() and not peer.is_host_root():
        found.append("ids")
    found += [f"limit {name}" for name, limit in a["limits"].items() if _above(limit[1], b["limits"][name][1])]
    if _above(_pids(a), _pids(b)):
        found.append("processes")
    if a["status"]["NoNewPrivs"] < b["status"]["NoNewPrivs"]:
        found.append("privileges can be gained")
    if a["label"] in ("unconfined", "EINVAL") and b["label"] not in ("unconfined", "EINVAL"):
        found.append("no AppArmor profile")
    found += [f"descriptor {fd}" for fd in a["descriptors"] if fd not in b["descriptors"]]
    found += [f"cgroup {line}" for line in a["cgroup"] if not line.endswith(":/")]
    return found


def _above(mine: int, theirs: int) -> bool:
    return theirs != -1 and (mine == -1 or mine > theirs)


def _pids(told: dict[str, Any]) -> int:
    return -1 if told["pids_limit"] == "max" else int(told["pids_limit"])


def reason(weakness: str) -> str:
    """Why it may be; empty when nothing says so."""
    return next((why for pattern, why in REASONS.items() if fnmatchcase(weakness, pattern)), "")


# -- the page -------------------------------------------------------------------------------------------------------


def page(seen: list[Seen]) -> str:
    """The table as Markdown."""
    ours, *others = seen
    heads = [f"{each.name} {each.version}" for each in seen]
    kernel = ".".join(os.uname().release.split(".")[:2])
    lines = [
        "# What a container may do, side by side",
        "",
        f"Made by `python -m tests.engine.isolation.compare --write`, as root on Linux {kernel} "
        f"({ours.default['machine']}, {_layout()}), by running one program (`tests/engine/isolation/probe.py`) with "
        "nothing switched on or off in each. `tests/engine/isolation/test_compare.py` makes it again and fails where "
        "ours is weaker without a reason that is stated below.",
        "",
        _row(["", *heads]),
        _row(["---"] * (len(seen) + 1)),
    ]
    lines += [_row([what, *(told(each) for each in seen)]) for what, told in ROWS]
    lines += ["", "## System calls, one by one", "", *_calls(seen)]
    lines += ["", "## Where ours is weaker, and why", "", "| what | than | why |", "|---|---|---|"]
    for weakness in sorted({item for other in others for item in weaknesses(ours, other)}):
        than = ", ".join(other.name for other in others if weakness in weaknesses(ours, other))
        lines.append(_row([f"`{weakness}`", than, reason(weakness) or "**no reason**"]))
    lines += [
        "",
        "What shows of the host all the same, in each of them: `/proc/self/mountinfo` names the directories that "
        "binds come from (for `/etc/hosts`, `/etc/hostname` and `/etc/resolv.conf` that of the run directory); files "
        "of `/proc` and `/sys` that know no namespaces (`cpuinfo`, `meminfo`, `stat`, `loadavg`, `cmdline`, "
        "`config.gz`, `partitions`, `/sys/block`) tell of the machine; so does the clock.",
        "",
    ]
    return "\n".join(lines)


def _layout() -> str:
    if os.path.exists("/sys/fs/cgroup/cgroup.controllers"):
        return "cgroup v2"
    return "hybrid cgroups" if os.path.exists("/sys/fs/cgroup/unified") else "cgroup v1"


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _words(items: Iterable[object]) -> str:
    return " ".join(map(str, items)) or "none"


def _root(seen: Seen) -> str:
    return "the host's root" if seen.is_host_root() else f"an id of {seen.default['uid_map'][2]} of its own"


def _reachable(seen: Seen) -> str:
    there = [number for number, answer in seen.unfiltered["calls"].items() if answer != "ENOSYS"]
    return f"{sum(not seen.refused(number) for number in there)} of {len(there)}"


def _variants(prefix: str) -> Any:
    def told(seen: Seen) -> str:
        return _words(
            name.removeprefix(prefix).strip()
            for name, answer in seen.default["variants"].items()
            if name.startswith(prefix) and answer == "ok"
        )

    return told


def _mount(point: str) -> Any:
    def told(seen: Seen) -> str:
        mount = seen.default["mounts"].get(point)
        return "no mount" if mount is None else _words(flag for flag in mount["flags"] if flag in (*FLAGS, "rw"))

    return told


def _looked(state: str) -> Any:
    def told(seen: Seen) -> str:
        return _words(f"`{path}`" for path, found in seen.default["hidden"].items() if found == state)

    return told


def _keyring(seen: Seen) -> str:
    return "reached" if seen.default["variants"]["keyctl get session"] == "ok" else "refused"


def _cgroup(seen: Seen) -> str:
    return "`/`" if all(line.endswith(":/") for line in seen.default["cgroup"]) else "the host's path"


def _files(seen: Seen) -> str:
    found = seen.default["writable"]
    return f"{len(found)}" + (f": {_words(f'`{path}`' for path in found)}" if len(found) < 6 else "")


def _nodes(seen: Seen) -> str:
    made = [name for name, answer in seen.default["nodes"].items() if answer != "EPERM"]
    opened = [name for name, answer in seen.default["nodes"].items() if answer == "opens"]
    return f"{len(made)} of {len(seen.default['nodes'])} made; opened: {_words(opened)}"


ROWS: list[tuple[str, Any]] = [
    ("root inside is", _root),
    ("capabilities: effective, permitted, bounding", lambda seen: _words(seen.capabilities()).lower()),
    ("… inheritable, ambient", lambda s: _words([*s.capabilities("CapInh"), *s.capabilities("CapAmb")])),
    ("… and they count", lambda s: "on the host" if s.is_host_root() else "in its own user namespace only"),
    ("seccomp mode (2: a filter)", lambda seen: seen.default["status"]["Seccomp"]),
    ("no_new_privs", lambda seen: seen.default["status"]["NoNewPrivs"]),
    ("AppArmor label (EINVAL: the host has none)", lambda seen: seen.default["label"]),
    ("system calls that it reaches", _reachable),
    ("… `unshare` of", _variants("unshare ")),
    ("… `clone` with a new", _variants("clone ")),
    ("… socket families (by number)", _variants("socket ")),
    ("… personalities", _variants("personality ")),
    ("… x32 calls", lambda seen: seen.default["variants"]["x32 getpid"]),
    ("… the session keyring", _keyring),
    ("namespaces shared with the host", lambda seen: _words(seen.shared())),
    ("its cgroup as it sees it", _cgroup),
    ("hidden, or not to be read", _looked("hidden")),
    ("can be read", _looked("readable")),
    ("files of /proc and /sys that open for writing", _files),
    ("devices in /dev that open", lambda s: _words(p[5:] for p, (_, o) in s.default["devices"].items() if o == "ok")),
    ("device nodes of its own", _nodes),
    ("`/`", _mount("/")),
    ("`/proc`", _mount("/proc")),
    ("`/proc/sys`", _mount("/proc/sys")),
    ("`/sys`", _mount("/sys")),
    ("`/sys/fs/cgroup`", _mount("/sys/fs/cgroup")),
    ("`/dev`", _mount("/dev")),
    ("`/dev/shm`", _mount("/dev/shm")),
    ("processes at most", lambda seen: seen.default["pids_limit"]),
    ("open files at most", lambda seen: "{}, {}".format(*seen.default["limits"]["nofile"])),
    ("descriptors", lambda seen: _words(seen.default["descriptors"])),
    ("environment", lambda seen: _words(f"`{name}`" for name in seen.default["environment"])),
]  # fmt: skip


def _calls(seen: list[Seen]) -> list[str]:
    """Who refuses what, where they differ; and what all refuse."""
    there = [number for number, answer in seen[0].unfiltered["calls"].items() if answer != "ENOSYS"]
    groups: dict[tuple[str, ...], list[str]] = {}
    for number in there:
        groups.setdefault(tuple(each.name for each in seen if each.refused(number)), []).append(call_name(number))
    lines = ["| refused by | calls |", "|---|---|"]
    for who, names in sorted(groups.items(), key=lambda item: (-len(item[0]), item[0])):
        if who:
            lines.append(_row([", ".join(who), " ".join(sorted(names))]))
    return lines


def main() -> None:
    """Print the table, or write it where it is read."""
    with tempfile.TemporaryDirectory(prefix="pyctr-compare-", ignore_cleanup_errors=True) as directory:
        seen = observe(directory)
    text = page(seen)
    if "--write" in sys.argv[1:]:
        PAGE.write_text(text)
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
