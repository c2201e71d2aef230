"""A container's network: its address, its peers' names, what is published, what is shared."""

from __future__ import annotations

import os
import socket
import time
import urllib.request

import pytest

from pyctr_engine.errors import Conflict, InvalidValue
from pyctr_engine.model.spec import Port
from tests.engine.containers.conftest import Bench

pytestmark = pytest.mark.root

SERVE = ("python3", "-m", "http.server", "8000", "--directory", "/etc")


def fetch(url: str, seconds: float = 10.0) -> str:
    """The page, once the server is up."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                return str(answer.read().decode())
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def free_port() -> int:
    """A port that nobody has now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def test_the_default_network_gives_an_address_and_a_route(bench: Bench) -> None:
    container = bench.start()
    address = container.spec.address.split("/")[0]
    gateway = bench.engine.inspect(container.id)["NetworkSettings"]["Gateway"]
    own = f"import socket; s = socket.socket(2, 2); s.connect(('{gateway}', 9)); print(s.getsockname()[0])"
    assert bench.exec(container, "python3", "-c", own).out.strip() == address
    routes = bench.exec(container, "cat", "/proc/net/route").out
    assert socket.inet_aton(gateway)[::-1].hex().upper() in routes


def test_members_of_a_stack_find_each_other_by_service_name_and_nobody_else(bench: Bench) -> None:
    web = bench.start(*SERVE, stack="s", service="web", number=1, name="s-web-1", aliases=("www",))
    client = bench.start(stack="s", service="client", number=1)
    outsider = bench.start(stack="t", service="client", number=1)
    for name in ("web", "s-web-1", "www"):
        assert bench.exec(client, "getent", "hosts", name).out.split()[0] == web.spec.address.split("/")[0]
    assert bench.exec(outsider, "getent", "hosts", "web").code == 2
    late = bench.start(stack="s", service="late", number=1)
    assert bench.exec(client, "getent", "hosts", "late").code == 0, "names of those that come later are seen too"
    bench.engine.remove(late.id, force=True)
    assert bench.exec(client, "getent", "hosts", "late").code == 2
    page = "import urllib.request as u; print(u.urlopen('http://web:8000/os-release').status)"
    deadline = time.monotonic() + 10
    while bench.exec(client, "python3", "-c", page).out != "200\n":
        assert time.monotonic() < deadline


def test_a_published_port_leads_to_the_container_until_it_ends(bench: Bench) -> None:
    port = free_port()
    container = bench.start(*SERVE, ports=(Port(8000, port, "127.0.0.1"),))
    assert "ID=" in fetch(f"http://127.0.0.1:{port}/os-release")
    assert bench.engine.container(container.id).ports == (Port(8000, port, "127.0.0.1"),)
    bench.engine.stop(container.id, timeout=0)
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), timeout=2)
    bench.engine.start(container.id)
    assert "ID=" in fetch(f"http://127.0.0.1:{port}/os-release")


def test_a_port_that_the_host_chooses_is_told(bench: Bench) -> None:
    container = bench.start(*SERVE, ports=(Port(8000),))
    [published] = bench.engine.container(container.id).ports
    assert published.host_port > 1023
    assert "ID=" in fetch(f"http://127.0.0.1:{published.host_port}/os-release")


def test_a_container_reaches_itself_by_its_published_port(bench: Bench) -> None:
    port = free_port()
    container = bench.start(*SERVE, ports=(Port(8000, port),))
    fetch(f"http://127.0.0.1:{port}/os-release")
    gateway = bench.engine.inspect(container.id)["NetworkSettings"]["Gateway"]
    page = f"import urllib.request as u; print(u.urlopen('http://{gateway}:{port}/os-release', timeout=5).status)"
    assert bench.exec(container, "python3", "-c", page).out == "200\n"


def test_a_taken_port_is_an_error_and_starts_nothing(bench: Bench) -> None:
    with socket.socket() as mine:
        mine.bind(("127.0.0.1", 0))
        mine.listen()
        port = mine.getsockname()[1]
        with pytest.raises(Conflict, match=f"{port}/tcp is in use"):
            bench.start(ports=(Port(80, port, "127.0.0.1"),))
    [container] = bench.engine.containers()
    assert not container.state.is_alive
    first = bench.start(ports=(Port(80, port, "127.0.0.1"),))
    with pytest.raises(Conflict, match=f"already published by container {first.id[:12]}"):
        bench.start(ports=(Port(80, port, "127.0.0.1"),))


def test_while_it_runs_its_port_cannot_be_taken_by_others(bench: Bench) -> None:
    port = free_port()
    bench.start(ports=(Port(80, port, "127.0.0.1"),))
    with socket.socket() as mine, pytest.raises(OSError, match="in use"):
        mine.bind(("127.0.0.1", port))


def test_none_has_loopback_only_and_host_has_all(bench: Bench) -> None:
    assert bench.run("sh", "-c", "ls /sys/class/net", network="none").out == "lo\n"
    assert bench.run("readlink", "/proc/self/ns/net", network="host").out.strip() == os.readlink("/proc/self/ns/net")
    with pytest.raises(InvalidValue, match="can't be published"):
        bench.run("true", network="host", ports=(Port(80, 80),))


def test_a_container_can_share_anothers_network(bench: Bench) -> None:
    first = bench.start(*SERVE)
    page = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8000/os-release').status)"
    second = bench.start(network=f"container:{first.name}")
    deadline = time.monotonic() + 10
    while bench.exec(second, "python3", "-c", page).out != "200\n":
        assert time.monotonic() < deadline
    assert (
        bench.exec(second, "readlink", "/proc/self/ns/net").out
        == bench.exec(first, "readlink", "/proc/self/ns/net").out
    )
    assert (
        bench.exec(second, "readlink", "/proc/self/ns/pid").out
        != bench.exec(first, "readlink", "/proc/self/ns/pid").out
    )
    bench.engine.stop(first.id, timeout=0)
    with pytest.raises(Conflict, match="is not running"):
        bench.start(network=f"container:{first.name}")
