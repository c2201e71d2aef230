"""A network's bridge: the link, its address, the settings of the host it needs, and the firewall's table.

Made with `linux.rtnetlink`, not pyroute2: it is made inside the first ``run`` after a boot, which must not pay
270 ms of imports for four messages.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Sequence

from pyctr_engine.errors import EngineError, Unsupported, from_os_error
from pyctr_engine.house.network import in_network
from pyctr_engine.linux import rtnetlink
from pyctr_engine.model.network import Network, PublishedPort
from pyctr_engine.network import firewall
from pyctr_engine.network.addresses import parse_subnet


@in_network
def ensure(network: Network, published: Sequence[PublishedPort] = ()) -> None:
    """Make what the network lacks; when all is there, which is the rule, look and return (0.3 ms).

    ``published`` is what the firewall's table is to hold if it has to be made (`NetworkStore.published`). The host
    becomes a router (``net.ipv4.ip_forward``), as with docker and podman, and stays one.

    Raises:
        Unsupported: the kernel has no bridges or no nftables, or libnftables is missing.
        NotPermitted: not root.
        EngineError: another program's interface has the bridge's name, or the kernel refused.
    """
    try:
        made = _ensure_link(network)
        _set("net/ipv4/ip_forward", "1")
        intact = not made and firewall.is_intact(network)  # a table beside no bridge may be of an earlier subnet
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.EPROTONOSUPPORT):
            raise Unsupported(
                f"cannot set up network {network.name}: {(error.strerror or '').lower()}",
                "this kernel lacks bridges, veth or nftables; `--network none` and `host` work without",
            ) from error
        raise from_os_error(error, f"set up network {network.name}") from error
    if not intact:
        firewall.ensure(network, published)


@in_network
def remove(network: Network) -> None:
    """Take away the table, then the bridge. Containers that are still on it lose their network."""
    firewall.remove(network)
    try:
        with rtnetlink.Socket() as netlink:
            netlink.delete_link(network.bridge)
    except OSError as error:
        if error.errno != errno.ENODEV:
            raise from_os_error(error, f"remove network {network.name}") from error


def exists(network: Network) -> bool:
    """Whether its bridge is there."""
    return os.path.isdir(f"/sys/class/net/{network.bridge}/bridge")


def ports(network: Network) -> list[str]:
    """The host's ends of the veth pairs that are on the bridge; none when there is no bridge."""
    try:
        return sorted(os.listdir(f"/sys/class/net/{network.bridge}/brif"))
    except FileNotFoundError:
        return []


def _ensure_link(network: Network) -> bool:
    """Whether the bridge had to be given its address: it is new, or somebody took the address away."""
    with rtnetlink.Socket() as netlink:
        address = _address(network.bridge)
        if address is not None and address != network.gateway:
            # left from an earlier subnet of a network that has had no containers since
            netlink.delete_link(network.bridge)
            address = None
        if address is None:
            with contextlib.suppress(FileExistsError):
                netlink.create_bridge(network.bridge)
            if not exists(network):
                raise EngineError(
                    f"an interface called {network.bridge} is there already and is no bridge",
                    f"remove it: `ip link delete {network.bridge}`",
                )
            index = rtnetlink.link_index(network.bridge)
            # IPv6 off before the link is up: else it gets an address that containers could reach the host by
            _set(f"net/ipv6/conf/{network.bridge}/disable_ipv6", "1", missing_ok=True)
            with contextlib.suppress(FileExistsError):
                netlink.add_address(index, f"{network.gateway}/{parse_subnet(network.subnet).prefix}")
            netlink.set_up(index)
        elif not _is_up(network.bridge):
            netlink.set_up(rtnetlink.link_index(network.bridge))
    _set(f"net/ipv4/conf/{network.bridge}/route_localnet", "1")
    return address is None


def _address(interface: str) -> str | None:
    """The interface's first IPv4 address; None when it has none or isn't there. Source: netdevice(7)."""
    import fcntl
    import socket
    import struct

    request = struct.pack("16sH14x", interface.encode(), socket.AF_INET)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            answer = fcntl.ioctl(sock, 0x8915, request)  # SIOCGIFADDR
        except OSError as error:
            if error.errno in (errno.ENODEV, errno.EADDRNOTAVAIL):
                return None
            raise
    return socket.inet_ntoa(answer[20:24])


def _is_up(interface: str) -> bool:
    with open(f"/sys/class/net/{interface}/flags", encoding="ascii") as file:
        return bool(int(file.read(), 16) & 1)


def _set(name: str, value: str, missing_ok: bool = False) -> None:
    """Write a sysctl if it has another value: reading needs no rights, and many hosts have it set."""
    path = f"/proc/sys/{name}"
    try:
        with open(path, encoding="ascii") as file:
            if file.read().strip() == value:
                return
        with open(path, "w", encoding="ascii") as file:
            file.write(value)
    except FileNotFoundError:
        if not missing_ok:
            raise
