"""A network with two containers on it, and a neighbour of the host on another bridge; all with names of their own."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest

from pyctr_engine.database import Database
from pyctr_engine.linux import rtnetlink
from pyctr_engine.model.network import Network
from pyctr_engine.network import bridge
from pyctr_engine.network.store import NetworkStore
from pyctr_engine.paths import Paths
from tests.engine.network.members import Member

Join = Callable[[str], Member]


@pytest.fixture
def database(no_leaks: Paths) -> Iterator[Database]:
    opened = Database(no_leaks.database)
    yield opened
    opened.close()


@pytest.fixture
def store(database: Database, no_leaks: Paths) -> NetworkStore:
    return NetworkStore(database, no_leaks)


@pytest.fixture
def network(store: NetworkStore) -> Iterator[Network]:
    """The default network, its bridge up; removed afterwards."""
    chosen = store.default()
    try:
        bridge.ensure(chosen)
        yield chosen
    finally:
        bridge.remove(chosen)


@pytest.fixture
def join(network: Network, store: NetworkStore, database: Database) -> Iterator[Join]:
    """Puts a container of the given name on the network, with a leased address."""
    members: list[Member] = []

    def put(name: str) -> Member:
        with database.transaction() as connection:
            address = store.lease(network, name, connection)
        members.append(Member(name, network.bridge, address, network.gateway))
        return members[-1]

    yield put
    for member in members:
        member.end()


@pytest.fixture
def web(join: Join) -> Member:
    return join("web")


@contextlib.contextmanager
def host_interface(name: str, prefix: str) -> Iterator[tuple[str, str]]:
    """Another interface of the host, with an address: yields its name and the first three numbers of its /24."""
    with rtnetlink.Socket() as netlink:
        netlink.create_bridge(name)
        try:
            index = rtnetlink.link_index(name)
            netlink.add_address(index, f"{prefix}.1/24")
            netlink.set_up(index)
            yield name, prefix
        finally:
            netlink.delete_link(name)


@pytest.fixture
def lan(no_leaks: Paths) -> Iterator[tuple[str, str]]:
    with host_interface(f"pl-{no_leaks.tag}", f"198.18.{int(no_leaks.tag, 16) % 256}") as made:
        yield made


@pytest.fixture
def neighbour(lan: tuple[str, str]) -> Iterator[Member]:
    """Another host, with the host as its router: it could reach containers if it were let."""
    name, prefix = lan
    member = Member("neighbour", name, f"{prefix}.2/24", f"{prefix}.1")
    yield member
    member.end()


@pytest.fixture
def stranger(no_leaks: Paths) -> Iterator[Member]:
    """One more host, behind one more interface."""
    with host_interface(f"ps-{no_leaks.tag}", f"198.19.{int(no_leaks.tag, 16) % 256}") as (name, prefix):
        member = Member("stranger", name, f"{prefix}.2/24", f"{prefix}.1")
        yield member
        member.end()
