from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pyctr_engine.database import Database
from pyctr_engine.errors import Conflict, InvalidValue, NotFound
from pyctr_engine.model.network import PublishedPort
from pyctr_engine.model.spec import Port
from pyctr_engine.network import addresses, ports
from pyctr_engine.network.addresses import Subnet
from pyctr_engine.network.store import NetworkStore
from pyctr_engine.paths import Paths

SMALL = "10.77.0.0/29"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(str(tmp_path / "pyctr.db"))
    yield opened
    opened.close()


@pytest.fixture
def store(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NetworkStore:
    monkeypatch.delenv("PYCTR_SUBNET", raising=False)
    return NetworkStore(database, Paths(str(tmp_path / "state"), str(tmp_path / "run")))


def lease(store: NetworkStore, database: Database, container: str) -> str:
    with database.transaction() as connection:
        return store.lease(store.default(), container, connection)


def test_the_default_network_is_chosen_once_and_named_after_the_state_directory(store: NetworkStore) -> None:
    network = store.default()
    assert network.bridge.startswith("pyctr-")
    assert len(network.bridge) <= 15
    assert network.gateway == network.subnet.replace(".0/20", ".1")
    assert store.default() == network
    assert store.list() == [network]


def test_the_default_directory_has_the_bridge_of_the_plain_name(database: Database) -> None:
    assert NetworkStore(database, Paths("/var/lib/pyctr-tui", "/run/pyctr-tui")).default().bridge == "pyctr0"


def test_a_subnet_that_the_host_uses_is_not_chosen(store: NetworkStore, monkeypatch: pytest.MonkeyPatch) -> None:
    used = [next(iter(addresses.candidates(store._paths.tag)))]
    monkeypatch.setattr(addresses, "host_subnets", lambda _bridge: used)
    assert not used[0].overlaps(addresses.parse_subnet(store.default().subnet))


def test_no_subnet_left_is_said_with_the_way_out(store: NetworkStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "host_subnets", lambda _bridge: [Subnet(0, 1)])
    with pytest.raises(Conflict) as caught:
        store.default()
    assert "PYCTR_SUBNET" in caught.value.hint


def test_the_environment_names_the_subnet(store: NetworkStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYCTR_SUBNET", SMALL)
    assert (store.default().subnet, store.default().gateway) == (SMALL, "10.77.0.1")


def test_the_environment_can_change_it_while_no_container_has_an_address(
    store: NetworkStore, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.default()
    monkeypatch.setenv("PYCTR_SUBNET", SMALL)
    assert lease(store, database, "a") == "10.77.0.2/29"
    monkeypatch.setenv("PYCTR_SUBNET", "10.78.0.0/24")
    with pytest.raises(Conflict, match=r"10\.77\.0\.0/29"):
        store.default()
    store.release("a")
    assert store.default().subnet == "10.78.0.0/24"


def test_nonsense_in_the_environment_is_refused(store: NetworkStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYCTR_SUBNET", "10.77.0.0/33")
    with pytest.raises(InvalidValue):
        store.default()


def test_a_subnet_of_the_host_in_the_environment_is_refused(
    store: NetworkStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(addresses, "host_subnets", lambda _bridge: [addresses.parse_subnet("10.77.0.0/16")])
    monkeypatch.setenv("PYCTR_SUBNET", SMALL)
    with pytest.raises(Conflict, match="in use on this host"):
        store.default()


def test_leases_differ_and_a_container_keeps_its_own(
    store: NetworkStore, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYCTR_SUBNET", SMALL)
    assert [lease(store, database, c) for c in "aba"] == ["10.77.0.2/29", "10.77.0.3/29", "10.77.0.2/29"]


def test_a_released_address_is_the_last_to_be_leased_again(
    store: NetworkStore, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYCTR_SUBNET", SMALL)
    leased = []
    for container in "abcdef":
        leased.append(lease(store, database, container))
        store.release(container)
    assert [address[8] for address in leased] == ["2", "3", "4", "5", "6", "2"]


def test_a_full_network_says_so_and_takes_a_container_again_after_a_release(
    store: NetworkStore, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYCTR_SUBNET", SMALL)
    for container in "abcde":
        lease(store, database, container)
    with pytest.raises(Conflict, match="no free address") as caught:
        lease(store, database, "f")
    assert "pyctr-tui ps -a" in caught.value.hint
    store.release("c")
    assert lease(store, database, "f") == "10.77.0.4/29"


def test_a_lease_is_undone_with_its_transaction(store: NetworkStore, database: Database) -> None:
    network = store.default()
    with pytest.raises(RuntimeError), database.transaction() as connection:
        store.lease(network, "a", connection)
        assert not store.is_empty(network)
        raise RuntimeError
    assert store.is_empty(network)


def test_release_gives_back_ports_too_and_may_be_called_twice(store: NetworkStore, database: Database) -> None:
    network = store.default()
    address = lease(store, database, "a").partition("/")[0]
    with database.transaction() as connection:
        (port,) = ports.allocate(connection, "a", [Port(80)])
    assert store.published(network) == (PublishedPort(address, port),)
    store.release("a")
    store.release("a")
    assert store.published(network) == ()
    assert store.is_empty(network)


def test_an_unknown_network_is_not_found(store: NetworkStore) -> None:
    with pytest.raises(NotFound, match="nonesuch"):
        store.get("nonesuch")
