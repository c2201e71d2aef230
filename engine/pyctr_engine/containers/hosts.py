"""The files that tell a container its own name and its peers': /etc/hosts, /etc/hostname, /etc/resolv.conf.

They live in the run directory, belong to the container's root, and are bound into it; so they are rewritten in place,
because a rename is not seen through a bind. Containers of one stack find each other by container name, service name
and alias; containers of no stack by container name.
"""

from __future__ import annotations

import contextlib
import os

from pyctr_engine.containers import status, store
from pyctr_engine.containers.context import Context
from pyctr_engine.model.spec import ContainerSpec
from pyctr_engine.network import names


def write_files(context: Context, spec: ContainerSpec, owner: int) -> None:
    """Write the three files before a start; ``owner`` is the host's id of the container's root."""
    run = context.paths.run_container(spec.id)
    os.makedirs(run, 0o700, exist_ok=True)
    _write(f"{run}/hosts", hosts_of(context, spec, peers(context, spec)), owner)
    _write(f"{run}/hostname", spec.hostname + "\n", owner)
    _write(f"{run}/resolv.conf", names.resolv_conf_text(), owner)


def announce(context: Context, spec: ContainerSpec) -> None:
    """Tell the running peers of a container that it came or went."""
    if not spec.address:
        return
    with context.lock:
        # one look at the store for all of them: a stack of n starts n times
        told = peers(context, spec)
        if not told:
            return
        everyone = members(context, spec.request.stack)
        for peer in told:
            others = [other for other in everyone if other.id != peer.id]
            with contextlib.suppress(FileNotFoundError):
                text = hosts_of(context, peer, others)
                names.write_in_place(f"{context.paths.run_container(peer.id)}/hosts", text, create=False)


def peers(context: Context, spec: ContainerSpec) -> list[ContainerSpec]:
    """The running containers that may know of this one: those of its stack, other than itself, with an address."""
    return members(context, spec.request.stack, spec.id)


def members(context: Context, stack: str, but: str = "") -> list[ContainerSpec]:
    """The running containers of a stack that have an address; of no stack, where it is empty. Without id ``but``."""
    with context.lock:
        return [
            spec
            for spec in store.all_specs(context.database, but)
            if spec.address
            and spec.request.stack == stack
            and status.status_of(status.read_state(context.paths, spec.id)).state.is_alive
        ]


def hosts_of(context: Context, spec: ContainerSpec, others: list[ContainerSpec]) -> str:
    """The text of a container's /etc/hosts."""
    entries = [(_ip(other), _names(other)) for other in ([spec] if spec.address else []) + others]
    gateway = context.networks.default().gateway if spec.address else ""
    return names.hosts_text(entries, spec.hostname, _ip(spec), spec.request.extra_hosts, gateway)


def _ip(spec: ContainerSpec) -> str:
    return spec.address.split("/")[0]


def _names(spec: ContainerSpec) -> list[str]:
    found = [spec.name, *spec.request.aliases]
    if spec.request.service:
        found.insert(0, spec.request.service)
    return list(dict.fromkeys(found))


def _write(path: str, text: str, owner: int) -> None:
    names.write_in_place(path, text)
    os.chown(path, owner, owner)
    os.chmod(path, 0o644)
