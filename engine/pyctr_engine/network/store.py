"""Networks and addresses in the database.

An address belongs to its container from creation to removal. Addresses go round (`addresses.next_free`), so a lease
may be released as soon as its container has ended, while the kernel is still taking the old namespace apart.
"""

from __future__ import annotations

import os
from sqlite3 import Connection

from pyctr_engine.database import Database
from pyctr_engine.errors import Conflict, NotFound
from pyctr_engine.model.network import Network, PublishedPort
from pyctr_engine.network import addresses, ports
from pyctr_engine.network.addresses import Subnet
from pyctr_engine.paths import Paths

DEFAULT = "bridge"
"""The default network's name, docker's word."""

SUBNET_VARIABLE = "PYCTR_SUBNET"


class NetworkStore:
    """The networks of one state directory. Methods may be called inside a transaction of the database or outside."""

    def __init__(self, database: Database, paths: Paths) -> None:
        self._database = database
        self._paths = paths

    def get(self, name: str) -> Network:
        """A network by name; NotFound when there is none."""
        row = self._connection.execute(
            "SELECT name, bridge, subnet, gateway FROM networks WHERE name = ?", (name,)
        ).fetchone()
        if row is None:
            raise NotFound(f"no such network: {name}", f"the default network is called {DEFAULT!r}")
        return Network(*row)

    def list(self) -> list[Network]:
        """All networks, by name."""
        rows = self._connection.execute("SELECT name, bridge, subnet, gateway FROM networks ORDER BY name")
        return [Network(*row) for row in rows]

    def default(self) -> Network:
        """The default network, chosen at first use and then remembered.

        PYCTR_SUBNET, when set, is its subnet; a network that has containers keeps the one it has.

        Raises:
            InvalidValue: PYCTR_SUBNET is no subnet.
            Conflict: it is in use on the host, or the network has containers on another one, or none is free.
        """
        wanted = os.environ.get(SUBNET_VARIABLE, "")
        try:
            network = self.get(DEFAULT)
        except NotFound:
            pass
        else:
            if not wanted or network.subnet == wanted:
                return network
        if self._connection.in_transaction:
            return self._make_default(wanted)
        with self._database.transaction():
            return self._make_default(wanted)

    def lease(self, network: Network, container_id: str, connection: Connection) -> str:
        """An address for a container, ``a.b.c.d/len``, inside the caller's transaction; the one it has if it has one.

        Raises:
            Conflict: every address is leased.
        """
        subnet = addresses.parse_subnet(network.subnet)
        rows = connection.execute("SELECT address, container FROM addresses WHERE network = ?", (network.name,))
        taken: dict[int, str] = dict(rows)
        for address, holder in taken.items():
            if holder == container_id:
                return f"{addresses.to_text(address)}/{subnet.prefix}"
        (cursor,) = connection.execute("SELECT cursor FROM networks WHERE name = ?", (network.name,)).fetchone()
        free = addresses.next_free(subnet, taken, cursor)
        if free is None:
            raise Conflict(
                f"network {network.name} has no free address: all {len(taken)} of {network.subnet} are leased",
                "remove containers that are no longer needed: `pyctr-tui ps -a` shows them",
            )
        connection.execute("INSERT INTO addresses VALUES (?, ?, ?)", (network.name, free, container_id))
        connection.execute("UPDATE networks SET cursor = ? WHERE name = ?", (free, network.name))
        return f"{addresses.to_text(free)}/{subnet.prefix}"

    def release(self, container_id: str) -> None:
        """Give back a container's addresses and published ports; nothing happens when it has none."""
        ports.release(self._connection, container_id)
        self._connection.execute("DELETE FROM addresses WHERE container = ?", (container_id,))

    def is_empty(self, network: Network) -> bool:
        """Whether no container has an address on it.

        Who removes the bridge of an empty network asks this inside a transaction that lasts until it is gone:
        leases are made inside transactions, so none can come between.
        """
        row = self._connection.execute("SELECT 1 FROM addresses WHERE network = ?", (network.name,)).fetchone()
        return row is None

    def published(self, network: Network) -> tuple[PublishedPort, ...]:
        """All ports that are allocated to containers of this network, for `firewall.ensure`."""
        return ports.published(self._connection, network.name)

    @property
    def _connection(self) -> Connection:
        return self._database.connection

    def _make_default(self, wanted: str) -> Network:
        bridge = f"pyctr-{self._paths.tag}" if self._paths.tag else "pyctr0"
        others = [addresses.parse_subnet(n.subnet) for n in self.list() if n.name != DEFAULT]
        used = [*others, *addresses.host_subnets(bridge), *addresses.nameservers()]
        if wanted:
            subnet = addresses.parse_subnet(wanted)
            if any(subnet.overlaps(other) for other in used):
                raise Conflict(f"{SUBNET_VARIABLE}={wanted} is in use on this host", "`ip route` shows what is")
        else:
            subnet = _first_free(self._paths.tag, used)
        network = Network(DEFAULT, bridge, str(subnet), addresses.to_text(subnet.gateway))
        if not self.is_empty(network):
            existing = self.get(DEFAULT)
            if existing.subnet == network.subnet:
                return existing
            raise Conflict(
                f"{SUBNET_VARIABLE}={wanted}, but containers have addresses of {existing.subnet}",
                f"remove them first, or unset {SUBNET_VARIABLE}",
            )
        self._connection.execute(
            "INSERT OR REPLACE INTO networks (name, bridge, subnet, gateway) VALUES (?, ?, ?, ?)",
            (network.name, network.bridge, network.subnet, network.gateway),
        )
        return network


def _first_free(tag: str, used: list[Subnet]) -> Subnet:
    for candidate in addresses.candidates(tag):
        if not any(candidate.overlaps(other) for other in used):
            return candidate
    raise Conflict(
        "no subnet is free for the default network: the host has routes to all of them",
        f"name one with {SUBNET_VARIABLE}=a.b.c.d/len",
    )
