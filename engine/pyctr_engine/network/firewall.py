"""A network's nftables table, named after its bridge: what goes out, what comes in, what is published.

- Out: traffic from the subnet to anywhere else is masqueraded.
- In: only answers, and what a published port led here. Nothing else is forwarded to the bridge, though other hosts
  may have a route to it.
- Published ports are two maps, so publishing is adding elements. They hold for packets that arrive (prerouting) and
  for the host's own (output), on the host's addresses (``fib daddr type local``), 127.0.0.1 among them: for that the
  bridge has ``route_localnet``, and the source is masqueraded, for 127.0.0.1 means something else in the container.
- A container that calls a published port of its own network is masqueraded too: else the answer would come straight
  from the other container, not from the address that was called. Such a caller is seen as the gateway.
- ``route_localnet`` would let containers reach what listens on the host's 127.0.0.1 (CVE-2020-8558): ``guard`` drops
  that, and packets with a source that is not of the subnet.

Ports are published on IPv4. Other tables still have their say: an accept here does not overrule a drop there.
Source: nft(8).
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from pyctr_engine.errors import Conflict, NotFound
from pyctr_engine.house.network import in_network
from pyctr_engine.linux import nftables
from pyctr_engine.model.network import Network, PublishedPort
from pyctr_engine.model.spec import Port


def chains(network: Network) -> dict[str, tuple[str, tuple[str, ...]]]:
    """The table's chains: name → (hook, or "" for a chain that is jumped to; rules)."""
    bridge, subnet = f'"{network.bridge}"', network.subnet
    return {
        "publish": (
            "",
            (
                "dnat ip to ip daddr . meta l4proto . th dport map @address_ports",
                "dnat ip to meta l4proto . th dport map @ports",
            ),
        ),
        "guard": (
            "type filter hook prerouting priority -300; policy accept;",
            (
                f"iifname {bridge} ip saddr != {subnet} drop",
                f"iifname {bridge} ip daddr 127.0.0.0/8 drop",
            ),
        ),
        "prerouting": (
            "type nat hook prerouting priority -100; policy accept;",
            ("fib daddr type local jump publish",),
        ),
        "output": (
            "type nat hook output priority -100; policy accept;",
            ("fib daddr type local jump publish",),
        ),
        "postrouting": (
            "type nat hook postrouting priority 100; policy accept;",
            (
                f'ip saddr {subnet} oifname != {{ {bridge}, "lo" }} masquerade',
                f"oifname {bridge} ip saddr 127.0.0.0/8 masquerade",
                f"oifname {bridge} ip saddr {subnet} ct status dnat masquerade",
            ),
        ),
        "forward": (
            "type filter hook forward priority 0; policy accept;",
            (
                f"oifname != {bridge} accept",
                "ct state established,related accept",
                f"iifname {bridge} accept",
                "ct status dnat accept",
                "drop",
            ),
        ),
    }


def table_text(network: Network, published: Sequence[PublishedPort] = ()) -> str:
    """The commands that make the table, in place of one that is there, in one transaction."""
    table = network.bridge
    lines = [f"add table ip {table}", f"delete table ip {table}", f"table ip {table} {{"]
    lines += ["map ports { type inet_proto . inet_service : ipv4_addr . inet_service; }"]
    lines += ["map address_ports { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }"]
    for name, (hook, rules) in chains(network).items():
        lines += [f"chain {name} {{ {hook}", *rules, "}"]
    lines += ["}"]
    lines += [publish_text(network.bridge, p.address, (p.port,)) for p in published]
    return "\n".join(lines)


def publish_text(table: str, address: str, ports: Sequence[Port]) -> str:
    """The commands that publish a container's ports (``address`` without a prefix length)."""
    return "\n".join(f"add element ip {table} {_element(address, port)}" for port in ports)


def unpublish_text(table: str, address: str, port: Port) -> str:
    """The commands that undo `publish_text` for one port, in one transaction.

    Adding what is there already does nothing, and adding to a key that leads elsewhere fails. So they succeed
    whether the port was published or not, and fail when the port is another container's now.
    """
    element = _element(address, port)
    return f"add element ip {table} {element}\ndelete element ip {table} {element}"


@in_network
def is_intact(network: Network) -> bool:
    """Whether the table is there with all its rules; 0.1 ms, without loading libnftables."""
    return nftables.rule_count(network.bridge) == sum(len(rules) for _, rules in chains(network).values())


@in_network
def ensure(network: Network, published: Sequence[PublishedPort] = ()) -> None:
    """Make the table anew, with the ports that are to be published: atomically, connections go on.

    Raises:
        Unsupported: no libnftables.
        NotPermitted: not root.
        EngineError: the kernel refused.
    """
    nftables.run(table_text(network, published))


@in_network
def publish(network: Network, address: str, ports: Sequence[Port]) -> None:
    """Lead host ports to a container (``address`` without a prefix length). The table must be there.

    A port that leads elsewhere is taken over: the database decides whose it is (`ports.allocate`), so what is in the
    table was left behind by a monitor that was killed.

    Raises:
        NotFound: the table is not there: `ensure` makes it.
    """
    if not ports:
        return
    try:
        nftables.run(publish_text(network.bridge, address, ports))
    except Conflict:
        for port in ports:
            key = f"ip {network.bridge} {_map(port)} {{ {_key(port)} }}"
            with contextlib.suppress(NotFound):
                nftables.run(f"delete element {key}")
            nftables.run(publish_text(network.bridge, address, (port,)))


@in_network
def unpublish(network: Network, address: str, ports: Sequence[Port]) -> None:
    """Lead them nowhere again; nothing happens to those that don't lead to ``address``."""
    for port in ports:
        with contextlib.suppress(NotFound, Conflict):
            nftables.run(unpublish_text(network.bridge, address, port))


@in_network
def remove(network: Network) -> None:
    """Take the table away; nothing happens when there is none."""
    nftables.run(f"add table ip {network.bridge}\ndelete table ip {network.bridge}")


def _map(port: Port) -> str:
    return "address_ports" if port.host_ip else "ports"


def _key(port: Port) -> str:
    return f"{port.host_ip + ' . ' if port.host_ip else ''}{port.protocol} . {port.host_port}"


def _element(address: str, port: Port) -> str:
    return f"{_map(port)} {{ {_key(port)} : {address} . {port.container_port} }}"
