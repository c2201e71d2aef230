"""Where an engine's cgroups belong, and living under systemd: the one place that decides it.

systemd owns the unified tree of a host that it manages; others may make cgroups only where it has handed a part of it
down (``Delegate=yes``). There the engine lives in a scope of its own, a unit that holds processes which systemd did
not start: it outlives the login, or the service, out of which it was made, and any ``daemon-reload``, and systemd
removes it when its last process has ended. ::

    system.slice/                       a user's: user.slice/user-UID.slice/user@UID.service/app.slice/
    └─ pyctr-tui[-tag].scope            no processes: what hands controllers down has none
       ├─ spawner                       the spawner, what starts and what records containers
       ├─ monitors/<id>
       └─ containers/<id>               the root of that container's cgroup namespace, and all it sees of the tree

Without systemd, on v1 and hybrid hosts (there systemd keeps to a hierarchy of its own), and where PYCTR_CGROUPS=plain
asks for it, it is a plain subtree ``pyctr-tui[-tag]`` at the root.

Sources: systemd's "Control Group APIs and Delegation"; systemd.scope(5); org.freedesktop.systemd1(5).
"""

from __future__ import annotations

import contextlib
import os
import time

from pyctr_engine.cgroups import files
from pyctr_engine.errors import EngineError, InvalidValue, NotPermitted, Unsupported
from pyctr_engine.paths import is_rootless, user_id
from pyctr_engine.record import dataclass

TYPE_CHECKING = False  # typing's own costs 8 ms, and few callers have to ask systemd
if TYPE_CHECKING:
    from pyctr_engine.cgroups.bus import Bus, Manager, Refused, Value

LEAF = "spawner"
"""The cgroup of the spawner and of what serves all containers, in the scope."""
VARIABLE = "PYCTR_CGROUPS"
_MANAGED = "/run/systemd/system"
_PATIENCE = 30.0
"""Seconds for systemd to make the scope: it does one thing after the other."""
_PLAIN_HINT = f"`systemctl status` shows how systemd is; {VARIABLE}=plain does without it"


@dataclass(frozen=True, slots=True)
class Home:
    """Where an engine's cgroups may be.

    Attributes:
        unified: Where the unified tree is mounted; empty without one, or with v1 hierarchies beside it.
        plain: The plain subtree, relative to a hierarchy's root.
        scope: The delegated scope, likewise; empty where there is to be none.
        manager: Whose systemd it is.
        uid: The user's, as the host counts.
        is_preferred: Whether the scope is what a new spawner should live in.
    """

    unified: str
    plain: str
    scope: str
    manager: Manager
    uid: int
    is_preferred: bool

    @property
    def parent(self) -> str:
        """The cgroup under which all is, relative to a hierarchy's root.

        What is there already goes on where it is, whatever this caller prefers: containers outlive their callers.
        """
        if not self.scope:
            return self.plain
        first, second = (self.scope, self.plain) if self.is_preferred else (self.plain, self.scope)
        if not os.path.isdir(f"{self.unified}/{first}") and os.path.isdir(f"{self.unified}/{second}"):
            return second
        return first

    @property
    def is_delegated(self) -> bool:
        """Whether `parent` is the scope: then a spawner has to be brought there, by `enter`."""
        return bool(self.scope) and self.parent == self.scope


def home(name: str, manager: Manager | None = None, uid: int = -1) -> Home:
    """Where the cgroups of ``name`` (`Paths.cgroup_name`) belong.

    ``manager`` and ``uid`` say whose systemd to ask; by default what this process is: in a user namespace of its own
    it is not what it seems. Raises InvalidValue for a PYCTR_CGROUPS that can't be; Unsupported as `layout.detect`.
    """
    from pyctr_engine.cgroups import layout

    wish = os.environ.get(VARIABLE, "")
    if wish not in ("", "plain", "systemd"):
        raise InvalidValue(f"{VARIABLE} can't be {wish!r}", "unset it, or say `plain` to do without systemd")
    manager = manager or ("user" if is_rootless() else "system")
    uid = user_id() if uid < 0 else uid
    try:
        here = layout.detect()
    except Unsupported:
        if manager == "system":
            raise
        return Home("", name, "", manager, uid, False)  # an ordinary user's containers do without
    if here.mode != "v2" or not os.path.isdir(_MANAGED) or not _is_reachable(manager, uid):
        return Home("", name, "", manager, uid, False)
    above = "system.slice"
    if manager == "user":
        above = f"user.slice/user-{uid}.slice/user@{uid}.service/app.slice"
    return Home(here.unified, name, f"{_root()}{above}/{name}.scope", manager, uid, wish != "plain")


def _is_reachable(manager: Manager, uid: int) -> bool:
    """Whether there is somebody to ask: who came by su(1) or cron has no systemd of their own."""
    return manager == "system" or os.path.exists(f"/run/user/{uid}/systemd/private")


def enter(place: Home, pid: int) -> None:
    """Bring a spawner into the leaf of the scope, which is made if it is not there; returns when it is in it.

    An ordinary user may not move processes out of a login session; systemd does it for who asks.

    Raises Unsupported when there is no systemd to ask, EngineError when it refuses or takes longer than 30 s.
    """
    from pyctr_engine.cgroups.bus import Bus, Refused

    unit, directory = os.path.basename(place.scope), f"{place.unified}/{place.scope}"
    deadline = time.monotonic() + _PATIENCE
    try:
        bus = Bus(place.manager, place.uid)
    except OSError as error:
        raise _unreachable(place, error) from error
    except Refused as error:
        raise _refused(unit, error) from error
    try:
        while True:
            try:
                if not _attach(bus, unit, directory, pid):
                    bus.start_scope(unit, pid, _properties(place))
                    _settle(place, pid, deadline)
            except Refused as error:
                # The old scope is just going, or another caller was faster.
                if not error.name.endswith((".UnitExists", ".NoSuchUnit")) or time.monotonic() > deadline:
                    raise _refused(unit, error) from error
            if _cgroup(pid) == f"{place.scope}/{LEAF}":
                return
            if time.monotonic() > deadline or not os.path.exists(f"/proc/{pid}"):
                raise _slow(unit)
            time.sleep(0.02)
    except OSError as error:
        raise _unreachable(place, error) from error
    finally:
        bus.close()


def _attach(bus: Bus, unit: str, directory: str, pid: int) -> bool:
    """Into a scope that is there; False when it isn't."""
    from pyctr_engine.cgroups.bus import Refused

    try:
        os.mkdir(f"{directory}/{LEAF}")
    except FileExistsError:
        pass
    except FileNotFoundError:
        return False
    try:
        bus.attach(unit, f"/{LEAF}", pid)
    except Refused as error:
        # Its cgroup is there, the unit is not, or no longer.
        if error.name.endswith((".NoSuchUnit", ".ScopeNotRunning")) or "not active" in str(error):
            return False
        raise
    return True


def _settle(place: Home, pid: int, deadline: float) -> None:
    """Wait for the new scope, then move on into its leaf: from here on it is ours."""
    while _cgroup(pid) != place.scope:
        if time.monotonic() > deadline or not os.path.exists(f"/proc/{pid}"):
            raise _slow(os.path.basename(place.scope))
        time.sleep(0.002)
    leaf = f"{place.unified}/{place.scope}/{LEAF}"
    with contextlib.suppress(FileExistsError):
        os.mkdir(leaf)
    files.write(f"{leaf}/cgroup.procs", str(pid))


def _properties(place: Home) -> list[tuple[str, str, Value]]:
    """The scope's. Its own limit of tasks would be that of all containers together (systemd's default is 15%)."""
    return [
        ("Description", "s", "Containers of pyctr-tui"),
        ("Slice", "s", "system.slice" if place.manager == "system" else "app.slice"),
        ("Delegate", "b", True),
        ("TasksMax", "t", 2**64 - 1),
        ("CollectMode", "s", "inactive-or-failed"),
        # At a shutdown what brings containers back is stopped before them.
        ("Before", "as", ["pyctr-tui.service"]),
    ]


def _cgroup(pid: int) -> str:
    """A process's place in the unified tree, relative to its root; empty when it has ended."""
    try:
        for line in files.read(f"/proc/{pid}/cgroup").splitlines():
            if line.startswith("0::/"):
                return line[4:]
    except OSError:
        pass
    return ""


def _root() -> str:
    """Above systemd's own root, where it manages a part of a tree only (in a container without a namespace)."""
    first = _cgroup(1)
    return first.removesuffix("init.scope") if first.endswith("/init.scope") else ""


def _unreachable(place: Home, error: OSError) -> EngineError:
    reason = (error.strerror or str(error)).lower()
    if place.manager == "user":
        return Unsupported(
            f"no systemd of user {place.uid} can be asked to make room for the containers: {reason}",
            "log in by ssh or `machinectl shell` (not `su`), or have it run without: `loginctl enable-linger`",
        )
    return Unsupported(f"systemd can't be asked to make room for the containers: {reason}", _PLAIN_HINT)


def _refused(unit: str, error: Refused) -> EngineError:
    text = str(error).rstrip(".") or error.name
    closed = (".AccessDenied", ".AuthFailed", ".InteractiveAuthorizationRequired")
    kind = NotPermitted if error.name.endswith(closed) else EngineError
    return kind(f"systemd refuses to make room for the containers ({unit}): {text}", _PLAIN_HINT)


def _slow(unit: str) -> EngineError:
    return EngineError(f"systemd did not make {unit} in time", f"`journalctl -u {unit}` may say why; {_PLAIN_HINT}")
