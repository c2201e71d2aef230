"""Which namespaces a container has for itself, which are the host's, and which another container's.

Namespaces belong to a user namespace, and only who is in it may use them: so who shares another container's network,
processes, IPC or host name shares its user namespace as well, and who shares the host's network, processes or IPC
stays in the host's. Sources: user_namespaces(7), namespaces(7).
"""

from __future__ import annotations

from collections.abc import Iterable

from pyctr_engine.containers import status, store
from pyctr_engine.containers.context import Context
from pyctr_engine.errors import Conflict, InvalidValue
from pyctr_engine.linux import namespaces
from pyctr_engine.model.spec import ContainerRequest, ContainerSpec, Namespaces
from pyctr_engine.model.status import State
from pyctr_engine.paths import is_rootless
from pyctr_engine.record import replace
from pyctr_engine.runtime import protocol

_OF_ANOTHER = "container:"
_FLAGS = namespaces.KINDS
_PLAIN = {
    "pid": ("private", "host"),
    "ipc": ("private", "shareable", "none", "host"),
    "uts": ("private", "host"),
    "cgroup": ("private", "host"),
    "time": ("private", "host"),
}
_SHARED = ("pid", "ipc", "uts")
"""Those of `Namespaces` that can be another container's."""


def modes(request: ContainerRequest) -> dict[str, str]:
    """Each kind's mode as it was asked for: ``private``, ``host``, ``container:X`` and so on."""
    asked = request.namespaces
    return {
        "user": request.security.userns,
        "net": request.network,
        **{kind: getattr(asked, kind) for kind in _SHARED},
    }


def check(request: ContainerRequest) -> None:
    """Refuse what can't be. Raises InvalidValue."""
    asked = request.namespaces
    for kind, known in _PLAIN.items():
        mode = getattr(asked, kind)
        if mode not in known and not (kind in _SHARED and _other(mode)):
            more = f", {_OF_ANOTHER}NAME" if kind in _SHARED else ""
            raise InvalidValue(f"there is no {kind} namespace {mode!r}", f"{', '.join(known)}{more}")
    if (asked.boottime or asked.monotonic) and asked.time != "private":
        raise InvalidValue("clocks are offset in a private time namespace only", "ask for that too: --timens private")
    if request.hostname and asked.uts != "private":
        raise InvalidValue(
            f"a host name can't be set in the uts namespace of {asked.uts}", "leave out one of the two"
        )
    userns = request.security.userns
    if userns not in ("auto", "host"):
        why = next((what for what in _reasons_for_host_ids(request) if what), "")
        if why:
            raise InvalidValue(f"{why} needs the host's user namespace, not {userns}", "leave out one of the two")
    if is_rootless() and (userns == "keep-id" or fixed_range(userns)):
        raise InvalidValue(
            f"--userns={userns} needs idmapped mounts, which the kernel gives to root only",
            "as you are, root inside is you: files that it makes in binds are yours",
        )
    fixed_range(userns)
    _check_sysctls(request)


def _check_sysctls(request: ContainerRequest) -> None:
    """A kernel parameter is set only where the namespace that it belongs to is the container's own."""
    for name in request.sysctls:
        owner, mode = ("network", request.network) if name.startswith("net.") else ("ipc", request.namespaces.ipc)
        if mode == "host" or _other(mode):
            raise InvalidValue(
                f"the sysctl {name} can't be set: the {owner} namespace is that of {_other(mode) or 'the host'}",
                "leave it out, or give the container a namespace of its own",
            )


def uses_host_ids(request: ContainerRequest) -> bool:
    """Whether it stays in the host's user namespace: asked for, or implied by what it shares or may do."""
    return request.security.userns == "host" or any(_reasons_for_host_ids(request))


def _reasons_for_host_ids(request: ContainerRequest) -> Iterable[str]:
    yield "--privileged" if request.security.privileged else ""
    yield "the host's network" if request.network == "host" else ""
    for kind in ("pid", "ipc"):
        yield f"the host's {kind} namespace" if getattr(request.namespaces, kind) == "host" else ""


def others(request: ContainerRequest) -> dict[str, str]:
    """Kind of namespace → the container (name or id) whose one is shared."""
    return {kind: other for kind, mode in modes(request).items() if (other := _other(mode))}


def _other(mode: str) -> str:
    return mode.removeprefix(_OF_ANOTHER) if mode.startswith(_OF_ANOTHER) else ""


def renamed(request: ContainerRequest, before: str, after: str) -> ContainerRequest:
    """The request with another container's new name in the place of the old one."""
    old, new = f"{_OF_ANOTHER}{before}", f"{_OF_ANOTHER}{after}"
    asked = request.namespaces
    pid, ipc, uts = (new if mode == old else mode for mode in (asked.pid, asked.ipc, asked.uts))
    return replace(
        request,
        network=new if request.network == old else request.network,
        namespaces=replace(asked, pid=pid, ipc=ipc, uts=uts),
        security=replace(request.security, userns=new) if request.security.userns == old else request.security,
    )


def partner(context: Context, request: ContainerRequest) -> ContainerSpec | None:
    """The container whose user namespace it is in, as it shares something of that one's; ``None`` for none.

    Raises NotFound, and Conflict where it shares with several that are not in one user namespace.
    """
    found = [store.find(context.database, ref) for ref in others(request).values()]
    for other in found:
        if other.ids != found[0].ids:
            raise Conflict(
                f"{found[0].name} and {other.name} are in different user namespaces: nothing can be shared with both",
                f"make one of them with --userns {_OF_ANOTHER}{found[0].name}",
            )
    if found and uses_host_ids(request) and found[0].ids:
        raise Conflict(
            f"{found[0].name} has a user namespace of its own, and this one stays in the host's",
            "leave out what needs the host's, or what is shared",
        )
    return found[0] if found else None


def flags(spec: ContainerSpec) -> int:
    """The namespaces that its start makes."""
    made = protocol.OWN_NAMESPACES
    asked = spec.request.namespaces
    if not spec.ids or others(spec.request):
        made &= ~namespaces.CLONE_NEWUSER
    if spec.request.network not in ("bridge", "none"):
        made &= ~namespaces.CLONE_NEWNET
    for kind in _SHARED:
        mode = getattr(asked, kind)
        if mode == "host" or _other(mode):
            made &= ~_FLAGS[kind]
    return made


def joins(context: Context, spec: ContainerSpec) -> list[protocol.Join]:
    """The containers whose namespaces it enters, as they run now. Raises Conflict when one doesn't."""
    wanted: dict[str, int] = {}
    specs: dict[str, ContainerSpec] = {}
    for kind, ref in others(spec.request).items():
        other = store.find(context.database, ref)
        specs[other.id] = other
        wanted[other.id] = wanted.get(other.id, 0) | _FLAGS[kind]
    found: list[protocol.Join] = []
    for id, kinds in wanted.items():
        other = specs[id]
        state = status.read_state(context.paths, id)
        if status.status_of(state).state is not State.RUNNING:
            what = "the network" if kinds == namespaces.CLONE_NEWNET else "namespaces"
            raise Conflict(
                f"cannot share {what} of {other.name}: it is not running",
                f"start it: `pyctr-tui start {other.name}`",
            )
        user = namespaces.CLONE_NEWUSER if other.ids and not found else 0
        found.append(protocol.Join(kinds & ~_FLAGS["user"] | user, id, int(state["pid"]), int(state["pid_start"])))
    return found


def offsets(asked: Namespaces) -> list[int]:
    """Of a private time namespace: boottime and monotonic; empty for the host's."""
    return [asked.boottime, asked.monotonic] if asked.time == "private" else []


def fixed_range(userns: str) -> tuple[int, int, int] | None:
    """(first user id, first group id, count) of ``uid:gid:size``; ``None`` for another mode. Raises InvalidValue."""
    if userns in ("auto", "host", "keep-id") or _other(userns):
        return None
    words = userns.split(":")
    if len(words) != 3 or not all(word.isascii() and word.isdecimal() and len(word) <= 10 for word in words):
        raise InvalidValue(
            f"there is no user namespace {userns!r}", f"auto, host, keep-id, {_OF_ANOTHER}NAME, or UID:GID:SIZE"
        )
    uid, gid, size = map(int, words)
    if not size or uid + size > _MOST_IDS or gid + size > _MOST_IDS:
        raise InvalidValue(f"{size} ids from {uid} and {gid} on can't be", "ids go to 4294967294")
    if 0 in (uid, gid):
        raise InvalidValue(
            "a range that begins with 0 would make root inside root outside", "--userns=host says that"
        )
    return uid, gid, size


_MOST_IDS = 2**32 - 1
