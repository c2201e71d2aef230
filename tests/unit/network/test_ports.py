from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from sqlite3 import Connection

import pytest

from pyctr_engine.database import Database
from pyctr_engine.errors import Conflict, InvalidValue, Unsupported
from pyctr_engine.model.spec import Port
from pyctr_engine.network import ports


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    opened = Database(str(tmp_path / "pyctr.db"))
    yield opened.connection
    opened.close()


@pytest.fixture
def free() -> int:
    """A port that nothing used a moment ago."""
    with socket.socket() as sock:
        sock.bind(("0.0.0.0", 0))
        number: int = sock.getsockname()[1]
        return number


def test_a_named_port_is_given_as_asked(connection: Connection, free: int) -> None:
    asked = (Port(80, free), Port(53, free, "127.0.0.1", "udp"))
    assert ports.allocate(connection, "a", asked) == asked
    assert set(ports.allocated(connection, "a")) == set(asked)


def test_every_address_is_spelt_one_way(connection: Connection, free: int) -> None:
    assert ports.allocate(connection, "a", [Port(80, free, "0.0.0.0")])[0].host_ip == ""


def test_port_0_becomes_a_free_one_each_time_another(connection: Connection) -> None:
    given = ports.allocate(connection, "a", [Port(80), Port(80), Port(80, protocol="udp")])
    assert all(port.host_port > 1023 for port in given)
    assert given[0].host_port != given[1].host_port


@pytest.mark.parametrize("taken_on", ["", "127.0.0.1"])
@pytest.mark.parametrize("asked_on", ["", "127.0.0.1"])
def test_a_port_of_another_container_is_refused_and_the_container_named(
    connection: Connection, free: int, taken_on: str, asked_on: str
) -> None:
    ports.allocate(connection, "0123456789abcdef", [Port(80, free, taken_on)])
    with pytest.raises(Conflict, match=f"{free}/tcp is already published by container 0123456789ab") as caught:
        ports.allocate(connection, "b", [Port(80, free, asked_on)])
    assert caught.value.hint


def test_the_same_number_is_free_for_another_protocol_or_address(connection: Connection, free: int) -> None:
    ports.allocate(connection, "a", [Port(80, free, "127.0.0.1")])
    ports.allocate(connection, "b", [Port(80, free, "127.0.0.1", "udp"), Port(80, free, "127.0.0.2")])


def test_the_same_port_twice_in_one_container_is_refused(connection: Connection, free: int) -> None:
    with pytest.raises((InvalidValue, Conflict), match="twice"):
        ports.allocate(connection, "a", [Port(80, free), Port(81, free)])


@pytest.mark.parametrize("listener_on", ["127.0.0.1", "0.0.0.0"])
def test_a_port_that_the_host_listens_on_is_refused(connection: Connection, listener_on: str) -> None:
    with socket.create_server((listener_on, 0)) as server:
        number = server.getsockname()[1]
        with pytest.raises(Conflict, match=f"port {number}/tcp is in use by a program") as caught:
            ports.allocate(connection, "a", [Port(80, number)])
    assert f"sport = :{number}" in caught.value.hint


def test_a_udp_port_that_the_host_uses_is_refused(connection: Connection) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("0.0.0.0", 0))
        with pytest.raises(Conflict, match="/udp is in use"):
            ports.allocate(connection, "a", [Port(53, sock.getsockname()[1], protocol="udp")])


def test_connections_that_a_server_closed_do_not_keep_its_port(connection: Connection) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", number)) as client:
            accepted, _ = server.accept()
            accepted.close()  # this end closes first, so it is this port that stays in TIME_WAIT
            assert client.recv(1) == b""
    ports.allocate(connection, "a", [Port(80, number)])


def test_a_bound_port_is_nobody_elses(free: int) -> None:
    with ports.bind_port(Port(80, free)), socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", free))


def test_a_container_that_starts_again_may_have_its_port_again(connection: Connection, free: int) -> None:
    ports.allocate(connection, "a", [Port(80, free)])
    assert ports.allocate(connection, "a", [Port(80, free)]) == (Port(80, free),)


def test_a_released_port_is_anyones(connection: Connection, free: int) -> None:
    ports.allocate(connection, "a", [Port(80, free)])
    ports.release(connection, "a")
    ports.allocate(connection, "b", [Port(80, free)])


@pytest.mark.parametrize(
    ("port", "error"),
    [
        (Port(0, 80), InvalidValue),
        (Port(80, 65536), InvalidValue),
        (Port(80, 0, "192.0.2.250"), InvalidValue),
        (Port(80, 0, "1.2.3"), InvalidValue),
        (Port(80, 0, "::1"), Unsupported),
    ],
)
def test_what_cannot_be_published_is_refused(connection: Connection, port: Port, error: type[Exception]) -> None:
    with pytest.raises(error):
        ports.allocate(connection, "a", [port])
