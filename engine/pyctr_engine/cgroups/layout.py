"""Which control groups this host has, and what a container's start must do with them.

Three layouts, one description. A controller is at home either in a v1 hierarchy of its own (or one shared with
others, such as ``cpu,cpuacct``) or in the unified tree (cgroup2):

    ======  =======================  ==========================================================
    mode    controllers              cgroup.kill, cgroup.freeze, cpu.stat, \\*.pressure
    ======  =======================  ==========================================================
    v2      unified tree             unified tree
    hybrid  v1 hierarchies           unified tree (mounted at ``unified/``, without controllers)
    v1      v1 hierarchies           none: freezer and cpuacct serve instead
    none    none                     none: an ordinary user to whom nothing is delegated
    ======  =======================  ==========================================================

Below each hierarchy's mount point: ``<parent>/containers/<id>`` for a container, ``<parent>/monitors/<id>`` for its
monitor, which sits outside so that a container's figures are its own. Where the parent is, `systemd.Home` decides.

Sources: admin-guide/cgroup-v2.rst, admin-guide/cgroup-v1/cgroups.rst, proc_pid_mountinfo(5).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Literal, Protocol

from pyctr_engine.cgroups import cpu, cpuset, files, hugetlb, io, memory, pids
from pyctr_engine.cgroups.setting import Setting
from pyctr_engine.errors import Conflict, Unsupported
from pyctr_engine.model.spec import Resources
from pyctr_engine.record import asdict, dataclass, replace

Mode = Literal["v2", "hybrid", "v1", "none"]
Writes = tuple[tuple[str, str], ...]


class Controller(Protocol):
    """What each controller's module offers."""

    NAME: str
    ALWAYS: bool

    def asked(self, resources: Resources) -> str:
        """The name of a limit that needs this controller; empty when there is none."""

    def settings(self, resources: Resources, version: int) -> list[Setting]:
        """Limits as writes, in order, for version 1 or 2; raises InvalidValue."""

    def lifted(self, before: Resources, after: Resources, version: int) -> list[Setting]:
        """Writes that take back the limits which only ``before`` has."""


_CONTROLLERS: tuple[Controller, ...] = (cpu, memory, pids, io, cpuset, hugetlb)
_V1_NAMES = {"io": "blkio"}  # where v1's name is another
_HANDED_DOWN = frozenset({"cpu", "cpuset", "io", "memory", "pids"})  # those that systemd knows
_V1_KNOWN = frozenset({"cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids", "hugetlb"})


@dataclass(frozen=True, slots=True)
class CgroupPlan:
    """All that a start writes, as plain values.

    Attributes:
        parents: Directories that containers share, outermost first, each with the (file, value) pairs it must hold.
        directories: The container's own, one in each hierarchy that it joins.
        settings: (path, value) in the order they must be written.
        defaults: The same, but left out where the file doesn't exist: nobody asked for these.
        either: Groups of the same, each of a limit that several files serve: of each at least one must be written.
        attach: ``cgroup.procs`` files that the first process (and each exec's) must be written to; v1 only.
        clone_into: The container's directory in the unified tree, to be cloned into (``CLONE_INTO_CGROUP``);
            where that can't be done, write to its ``cgroup.procs``. Empty on v1.
        monitor_directories, monitor_attach: The monitor's.
        unified: The directory that has cgroup.kill, cgroup.freeze and cgroup.events; empty on v1.
        oom: ``memory.events`` (v2) or ``memory.oom_control`` (v1); empty without a memory controller.
    """

    parents: tuple[tuple[str, Writes], ...]
    directories: tuple[str, ...]
    settings: Writes
    defaults: Writes
    attach: tuple[str, ...]
    clone_into: str
    monitor_directories: tuple[str, ...]
    monitor_attach: tuple[str, ...]
    unified: str
    oom: str
    either: tuple[Writes, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The fields as values that JSON takes, for the request to the spawner."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Layout:
    """The hierarchies of this host.

    Attributes:
        mode: v2, hybrid, v1 or none.
        unified: Where the unified tree is mounted; empty without one.
        available: Controllers that live in the unified tree.
        v1: v1 controllers and where their hierarchies are mounted; several may share one.
    """

    mode: Mode
    unified: str
    available: frozenset[str]
    v1: Mapping[str, str]

    def within(self, parent: str) -> Layout:
        """The layout as it is for who lives in ``parent``: below another cgroup it has what that one hands down.

        Before it is made: what the service manager has to hand down, which is two further up (see `systemd`).
        """
        if self.mode != "v2" or "/" not in parent:
            return self
        for directory in (parent, os.path.dirname(os.path.dirname(parent))):
            if os.path.isdir(f"{self.unified}/{directory}"):
                handed = _available(f"{self.unified}/{directory}".rstrip("/"))
                return replace(self, available=_HANDED_DOWN.intersection(handed))
        return self

    def home(self, controller: str) -> tuple[int, str]:
        """The version (1 or 2) and mount point of a controller, v2's name; ``(0, "")`` when it's missing."""
        base = self.v1.get(_V1_NAMES.get(controller, controller))
        if base is not None:
            return 1, base
        return (2, self.unified) if controller in self.available else (0, "")

    def bases(self) -> tuple[str, ...]:
        """The mount points of all hierarchies, each once."""
        return tuple(dict.fromkeys([*([self.unified] if self.unified else []), *self.v1.values()]))

    def controllers(self) -> tuple[str, ...]:
        """The controllers that can be used here, v2's names."""
        return tuple(module.NAME for module in _CONTROLLERS if self.home(module.NAME)[0])

    def existing(self, parent: str, id: str) -> tuple[str, ...]:
        """The directories that exist of a container, then its monitor's: what is left to kill or remove."""
        found = [f"{base}/{parent}/{kind}/{id}" for kind in ("containers", "monitors") for base in self.bases()]
        return tuple(path for path in found if os.path.isdir(path))

    def ids(self, parent: str) -> set[str]:
        """Every container that has a cgroup or whose monitor has one: a lost run directory is found again by it."""
        found: set[str] = set()
        for base in self.bases():
            for kind in ("containers", "monitors"):
                try:
                    entries = os.scandir(f"{base}/{parent}/{kind}")
                except OSError:
                    continue
                with entries:
                    found.update(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
        return found

    def shared(self, parent: str) -> tuple[str, ...]:
        """The directories that containers share, innermost first: what `control.remove_shared` may remove."""
        own = ("/containers", "/monitors", *(() if "/" in parent else ("",)))  # a scope is systemd's to remove
        return tuple(f"{base}/{parent}{below}" for base in self.bases() for below in own)

    def plan(self, parent: str, id: str, resources: Resources) -> CgroupPlan:
        """What a start of container ``id`` with these limits must make, write and join.

        Raises InvalidValue for a limit that can't be, Unsupported for one whose controller is missing here.
        """
        joined = [module for module in _CONTROLLERS if self._joins(module, resources)]
        settings: list[tuple[str, str]] = []
        defaults: list[tuple[str, str]] = []
        either: dict[str, list[tuple[str, str]]] = {}
        for module in joined:
            version, base = self.home(module.NAME)
            directory = f"{base}/{parent}/containers/{id}"
            _sort(module.settings(resources, version), directory, settings, defaults, either)
        v1 = self._v1_joined(joined)
        for base in v1:
            own = f"{base}/{parent}/containers/{id}"
            given = {path for path, _ in settings}
            settings += [(f"{own}/{name}", text) for name, text in self._fill(base) if f"{own}/{name}" not in given]
        unified = f"{self.unified}/{parent}/containers/{id}" if self.unified else ""
        directories = tuple(f"{base}/{parent}/containers/{id}" for base in v1)
        monitors = [f"{self.unified or self._keeper()}/{parent}/monitors/{id}"] if self.mode != "none" else []
        return CgroupPlan(
            parents=self._parents(parent, joined, v1),
            directories=(*([unified] if unified else []), *directories),
            settings=tuple(settings),
            defaults=tuple(defaults),
            attach=tuple(f"{directory}/cgroup.procs" for directory in directories),
            clone_into=unified,
            monitor_directories=tuple(monitors),
            monitor_attach=tuple(f"{monitor}/cgroup.procs" for monitor in monitors),
            unified=unified,
            oom=self.oom_file(parent, id),
            either=tuple(map(tuple, either.values())),
        )

    def changes(
        self, parent: str, id: str, before: Resources, after: Resources
    ) -> tuple[Writes, Writes, tuple[Writes, ...]]:
        """What turns a running container's limits into others: a plan's ``settings``, ``defaults`` and ``either``.

        Raises InvalidValue, Unsupported as `plan`; Conflict for a limit whose cgroup it did not join at its start.
        """
        now, then = self.plan(parent, id, before), self.plan(parent, id, after)
        if set(then.directories) - set(now.directories):
            new = next(module for module in _CONTROLLERS if module.asked(after) and not module.asked(before))
            what = {"cpuset": "CPU set", "hugetlb": "limit of huge pages"}.get(new.NAME, new.NAME)
            raise Conflict(
                f"it can't be given its first {what} while it runs", "stop it, update it, and start it again"
            )
        settings, defaults = list(then.settings), list(then.defaults)
        either = {f"{number}": list(group) for number, group in enumerate(then.either)}
        for module in _CONTROLLERS:
            version, base = self.home(module.NAME)
            if version:
                directory = f"{base}/{parent}/containers/{id}"
                _sort(module.lifted(before, after, version), directory, settings, defaults, either)
        return tuple(settings), tuple(defaults), tuple(map(tuple, either.values()))

    def directory(self, controller: str, parent: str, id: str) -> tuple[int, str]:
        """A container's directory in a controller's hierarchy, with its version; ``(0, "")`` without that controller.

        ``unified`` names the unified tree itself, ``cpuacct`` and ``freezer`` are v1's.
        """
        version, base = (2, self.unified) if controller == "unified" else self.home(controller)
        return (version, f"{base}/{parent}/containers/{id}") if base else (0, "")

    def oom_file(self, parent: str, id: str) -> str:
        """The file that counts a container's OOM kills; empty without a memory controller."""
        version, directory = self.directory("memory", parent, id)
        if not directory:
            return ""
        return f"{directory}/memory.events" if version == 2 else f"{directory}/memory.oom_control"

    def _joins(self, module: Controller, resources: Resources) -> bool:
        """Whether a container joins a controller; raises Unsupported when it must and can't."""
        limit = module.asked(resources)
        if self.home(module.NAME)[0]:
            return bool(limit) or module.ALWAYS
        if limit and self.mode == "none":
            raise Unsupported(
                f"the limit {limit} can't be kept: no control groups are delegated to this user",
                "leave it out; or set PYCTR_LIMITS=optional to run without; or ask the administrator"
                " (`pyctr-tui doctor` says what for)",
            )
        if limit and self.unified and module.NAME in _available(self.unified):
            raise Unsupported(
                f"the limit {limit} can't be kept: systemd, or what else is above, hands down no {module.NAME}",
                "leave the limit out (`pyctr-tui doctor` shows which controllers there are)",
            )
        if limit:
            raise Unsupported(
                f"the limit {limit} can't be kept: this host has no {module.NAME} controller",
                "leave the limit out, or enable the controller (`pyctr-tui doctor` shows which there are)",
            )
        return False

    def _v1_joined(self, joined: list[Controller]) -> tuple[str, ...]:
        """The v1 hierarchies that a container joins, each once however many controllers share it.

        devices is left out: which devices there are is decided by what is mounted in /dev, and in a user
        namespace mknod makes none. cpuacct and freezer only serve where there is no unified tree.
        """
        bases = [self.home(module.NAME)[1] for module in joined if self.home(module.NAME)[0] == 1]
        if not self.unified:
            bases += [self.v1[name] for name in ("cpuacct", "freezer") if name in self.v1]
        return tuple(dict.fromkeys(bases))

    def _keeper(self) -> str:
        """The v1 hierarchy in which a monitor's cgroup names its container; one is enough."""
        return self.v1["freezer"] if "freezer" in self.v1 else next(iter(self.v1.values()))

    def _fill(self, base: str) -> Writes:
        """What every directory of a v1 hierarchy must hold before processes may join it: CPUs and nodes, if any."""
        return cpuset.inherited(base) if self.home("cpuset") == (1, base) else ()

    def _parents(self, parent: str, joined: list[Controller], v1: tuple[str, ...]) -> tuple[tuple[str, Writes], ...]:
        found: list[tuple[str, Writes]] = []
        if self.unified:
            wanted = " ".join(f"+{module.NAME}" for module in joined if self.home(module.NAME)[0] == 2)
            enable: Writes = (("cgroup.subtree_control", wanted),) if wanted else ()
            # v2 lets processes sit only where no controller is handed further down: in the leaves.
            # The mount point itself is a parent too; "monitors" hands nothing down.
            if enable and "/" not in parent:  # else all above it is systemd's, which hands down what there is
                found.append((self.unified, enable))
            base = f"{self.unified}/{parent}"
            found += [(base, enable), (f"{base}/containers", enable), (f"{base}/monitors", ())]
        for base in dict.fromkeys([*v1, *([] if self.unified or not self.v1 else [self._keeper()])]):
            fill = self._fill(base)
            count = io.counting() if self.home("io") == (1, base) else ()
            found += [(f"{base}/{parent}", (*fill, *count)), (f"{base}/{parent}/containers", fill)]
            if not self.unified and base == self._keeper():
                found.append((f"{base}/{parent}/monitors", fill))
        return tuple(found)


def _sort(
    found: list[Setting],
    directory: str,
    settings: list[tuple[str, str]],
    defaults: list[tuple[str, str]],
    either: dict[str, list[tuple[str, str]]],
) -> None:
    """Put a controller's settings where a plan has them."""
    for setting in found:
        write = (f"{directory}/{setting.file}", setting.value)
        if setting.either:
            either.setdefault(setting.either, []).append(write)
        else:
            (settings if setting.asked else defaults).append(write)


NOWHERE = Layout("none", "", frozenset(), {})
"""No hierarchy: nothing is made, nothing can be limited."""


def detect(root: str = "/sys/fs/cgroup", mountinfo: str = "/proc/self/mountinfo") -> Layout:
    """The layout below ``root``, read from the mount table; raises Unsupported when no cgroups are mounted there."""
    unified = ""
    v1: dict[str, str] = {}
    for point, kind, options in _mounts(mountinfo):
        if point != root and not point.startswith(f"{root}/"):
            continue
        if kind == "cgroup2":
            unified = point
        elif kind == "cgroup":
            v1.update(dict.fromkeys(_V1_KNOWN.intersection(options), point))
    if not unified and not v1:
        raise Unsupported(
            f"no control groups are mounted at {root}", "mount them: `mount -t cgroup2 none /sys/fs/cgroup`"
        )
    available = frozenset(_available(unified)) if unified else frozenset[str]()
    mode: Mode = "v1" if not unified else "hybrid" if v1 else "v2"
    return Layout(mode, unified, available, v1)


def _available(unified: str) -> list[str]:
    try:
        return files.read(f"{unified}/cgroup.controllers").split()
    except OSError as error:
        raise Unsupported(
            f"cannot read the control groups at {unified}: {(error.strerror or '').lower()}", "run `pyctr-tui doctor`"
        ) from error


def _mounts(path: str) -> list[tuple[str, str, set[str]]]:
    """(mount point, file system type, super options) of each mount; a later one on the same point hides the earlier.

    Fields: id parent major:minor root point options [optional…] - type source super-options.
    """
    found: dict[str, tuple[str, str, set[str]]] = {}
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as lines:
            for line in lines:
                before, _, after = line.partition(" - ")
                fields, tail = before.split(), after.split()
                if len(fields) > 4 and len(tail) > 2:
                    point = _unescaped(fields[4])
                    found[point] = (point, tail[0], set(tail[2].split(",")))
    except OSError as error:
        raise Unsupported(f"cannot read {path}: {(error.strerror or '').lower()}", "mount /proc") from error
    return list(found.values())


def _unescaped(text: str) -> str:
    """Spaces, tabs, newlines and backslashes are octal in mountinfo."""
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, character)
    return text
