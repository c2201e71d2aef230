"""The files that tell a container its own name and its peers': /etc/hosts, /etc/hostname, /etc/resolv.conf.

They live in the run directory, belong to the container's root, and are bound into it; so they are rewritten in place,
because a rename is not seen through a bind. Containers of one stack find each other by container name, service name
and alias; containers of no stack by container name.
"""

from __future__ import annotations

import contextlib
import os

from pyctr_engine.containers import store
from pyctr_engine.containers.context import Context
from pyctr_engine.model.spec import ContainerSpec
from pyctr_engine.network import names, uplink


def write_files(context: Context, spec: ContainerSpec, owner: int, group: int) -> None:
    """Write the three files before a start; ``owner`` and ``group`` are the host's ids of the container's root."""
    run = context.paths.run_container(spec.id)
    os.makedirs(run, 0o700, exist_ok=True)
    own = store.member_of(spec)
    text = hosts_of(own, _running(context, spec.request.stack, spec.id), _gateway(context, own))
    _write(f"{run}/hosts", text, owner, group)
    _write(f"{run}/hostname", spec.hostname + "\n", owner, group)
    resolvers = names.resolv_conf_text(loopback=uplink.resolver() if own.address else "")
    _write(f"{run}/resolv.conf", resolvers, owner, group)


def announce(context: Context, spec: ContainerSpec) -> None:
    """Tell the running peers of a container that it came or went."""
    if not spec.address:
        return
    if context.unannounced is not None:
        context.unannounced.add(spec.request.stack)
        return
    announce_stack(context, spec.request.stack, spec.id)


def announce_stack(context: Context, stack: str, but: str = "") -> None:
    """Tell all running containers of a stack (of none, where it is empty) of each other; ``but`` one, who knows."""
    with context.lock:
        # one look at the store for all of them: a stack of n starts n times
        everyone = _running(context, stack)
        if not everyone:
            return
        gateway = _gateway(context, everyone[0])
    for peer in everyone:
        if peer.id != but:
            others = [other for other in everyone if other.id != peer.id]
            with contextlib.suppress(FileNotFoundError):
                text = hosts_of(peer, others, gateway)
                names.write_in_place(f"{context.paths.run_container(peer.id)}/hosts", text, create=False)


def _running(context: Context, stack: str, but: str = "") -> list[store.Member]:
    """Those that have a monitor, by its socket: it goes with the container's end, and a swept one is announced."""
    with context.lock:
        found = store.members(context.database, stack, but)
    return [member for member in found if os.path.exists(f"{context.paths.run_container(member.id)}/monitor.sock")]


def _gateway(context: Context, member: store.Member) -> str:
    with context.lock:
        return context.networks.default().gateway if member.address else ""


def hosts_of(own: store.Member, others: list[store.Member], gateway: str) -> str:
    """The text of a container's /etc/hosts."""
    entries = [(_ip(other), _names(other)) for other in ([own] if own.address else []) + others]
    return names.hosts_text(entries, own.hostname, _ip(own), own.extra_hosts, gateway)


def _ip(member: store.Member) -> str:
    return member.address.split("/")[0]


def _names(member: store.Member) -> list[str]:
    found = [member.name, *member.aliases]
    if member.service:
        found.insert(0, member.service)
    return list(dict.fromkeys(found))


def _write(path: str, text: str, owner: int, group: int) -> None:
    names.write_in_place(path, text)
    os.chown(path, owner, group)
    os.chmod(path, 0o644)
