"""Networks together with who is on them, and who is on none."""

from __future__ import annotations

from collections.abc import Sequence

from pyctr_engine.containers import listing
from pyctr_engine.containers.context import Context
from pyctr_engine.model.network import Member, Network, NetworkUse
from pyctr_engine.model.status import Container
from pyctr_engine.network.store import NetworkStore


def networks(context: Context) -> list[NetworkUse]:
    """Every network with its containers, by name; then those on the host's, and those on none."""
    with context.lock:
        listed = NetworkStore(context.database, context.paths).list()
    containers = listing.all_containers(context)
    used = [NetworkUse(network, _members([one for one in containers if _on(one, network)])) for network in listed]
    for mode in ("host", "none"):
        members = _members([one for one in containers if one.spec.request.network == mode])
        if members:
            used.append(NetworkUse(Network(mode, "", "", ""), members))
    return used


def _on(container: Container, network: Network) -> bool:
    return bool(container.spec.address) and container.spec.request.network == network.name


def _members(containers: Sequence[Container]) -> tuple[Member, ...]:
    return tuple(
        Member(
            id=one.id,
            name=one.name,
            address=one.spec.address.partition("/")[0],
            names=tuple(dict.fromkeys((one.name, *one.spec.request.aliases))),
            ports=one.ports,
            is_up=one.state.is_alive,
        )
        for one in containers
    )
