"""A network, and what is published on it."""

from __future__ import annotations

from pyctr_engine.model.spec import Port
from pyctr_engine.record import dataclass


@dataclass(frozen=True, slots=True)
class Network:
    """A bridge and the addresses behind it.

    Attributes:
        name: What users call it.
        bridge: The bridge's interface name, and the name of its nft table.
        subnet: ``a.b.c.d/len``, IPv4.
        gateway: The bridge's own address, the subnet's first.
    """

    name: str
    bridge: str
    subnet: str
    gateway: str


@dataclass(frozen=True, slots=True)
class PublishedPort:
    """A port of the host that leads to ``port.container_port`` of the container that has ``address``."""

    address: str
    port: Port


@dataclass(frozen=True, slots=True)
class Member:
    """A container on a network.

    Attributes:
        id, name: The container's.
        address: ``a.b.c.d``; empty without one.
        names: What it answers to on the network, its own name first.
        ports: Published ones.
        is_up: Whether it runs.
    """

    id: str
    name: str
    address: str
    names: tuple[str, ...]
    ports: tuple[Port, ...]
    is_up: bool


@dataclass(frozen=True, slots=True)
class NetworkUse:
    """A network and who is on it. ``host`` and ``none`` stand for containers without one; they have no bridge."""

    network: Network
    members: tuple[Member, ...]
