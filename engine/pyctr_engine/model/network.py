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
