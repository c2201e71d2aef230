"""Who reaches whom, on the real kernel."""

from __future__ import annotations

import socket
import subprocess

import pytest

from pyctr_engine.linux import nftables
from pyctr_engine.model.network import Network, PublishedPort
from pyctr_engine.model.spec import Port
from pyctr_engine.network import bridge, firewall
from tests.engine.network.conftest import Join
from tests.engine.network.members import Member

pytestmark = pytest.mark.root

HTTP = Port(80, 47080)
DNS = Port(53, 47053, protocol="udp")


def call(host: str, port: Port) -> str:
    """What the host itself is answered; OSError when it can't connect."""
    kind = socket.SOCK_DGRAM if port.protocol == "udp" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.settimeout(2.0)
        sock.connect((host, port.host_port))
        if port.protocol == "udp":
            sock.send(b"?")
        return sock.recv(100).decode()


def test_the_host_reaches_a_published_port_on_loopback_and_on_its_own_addresses(
    network: Network, web: Member, lan: tuple[str, str]
) -> None:
    firewall.publish(network, web.address, (HTTP, DNS))
    for host in ("127.0.0.1", "127.0.0.9", network.gateway, f"{lan[1]}.1"):
        for port in (HTTP, DNS):
            assert call(host, port).split()[0] == "web", (host, port)


def test_another_host_reaches_a_published_port_and_is_seen_as_itself(
    network: Network, web: Member, neighbour: Member, lan: tuple[str, str]
) -> None:
    firewall.publish(network, web.address, (HTTP, DNS))
    assert neighbour.call(f"{lan[1]}.1", HTTP.host_port) == f"web {neighbour.address}"
    assert neighbour.call(f"{lan[1]}.1", DNS.host_port, "udp") == f"web {neighbour.address}"


def test_nothing_but_published_ports_is_forwarded_in(
    network: Network, web: Member, neighbour: Member, lan: tuple[str, str]
) -> None:
    """The neighbour has a route to the containers: what stops it is the firewall."""
    assert neighbour.call(web.address, 80).startswith("failed")
    firewall.publish(network, web.address, (HTTP,))
    assert neighbour.call(web.address, 80).startswith("failed")
    assert neighbour.call(web.address, 53, "udp").startswith("failed")
    assert neighbour.call(f"{lan[1]}.1", HTTP.host_port).startswith("web")


def test_what_else_the_host_forwards_is_left_alone(network: Network, neighbour: Member, stranger: Member) -> None:
    assert neighbour.call(stranger.address, 80) == f"stranger {neighbour.address}"
    assert stranger.call(neighbour.address, 80) == f"neighbour {stranger.address}"


def test_a_container_reaches_other_hosts_as_the_host(web: Member, neighbour: Member, lan: tuple[str, str]) -> None:
    assert web.call(neighbour.address, 80) == f"neighbour {lan[1]}.1"
    assert web.call(neighbour.address, 53, "udp") == f"neighbour {lan[1]}.1"


def test_containers_reach_each_other_as_themselves(web: Member, join: Join) -> None:
    assert join("client").call(web.address, 80).startswith("web ")
    assert web.call(join("db").address, 80) == f"db {web.address}"


def test_a_container_reaches_a_published_port_another_s_and_its_own(
    network: Network, web: Member, join: Join, lan: tuple[str, str]
) -> None:
    client = join("client")
    firewall.publish(network, web.address, (HTTP, DNS))
    for caller in (client, web):
        for host in (network.gateway, f"{lan[1]}.1"):
            assert caller.call(host, HTTP.host_port).startswith("web "), (caller.address, host)
            assert caller.call(host, DNS.host_port, "udp").startswith("web "), (caller.address, host)


def test_an_address_limits_where_a_port_is_published(
    network: Network, web: Member, neighbour: Member, lan: tuple[str, str]
) -> None:
    local = Port(80, 47081, "127.0.0.1")
    firewall.publish(network, web.address, (local,))
    assert call("127.0.0.1", local).startswith("web ")
    assert neighbour.call(f"{lan[1]}.1", local.host_port).startswith("failed")
    with pytest.raises(OSError, match="refused"):
        call(network.gateway, local)


def test_two_containers_share_a_port_number_on_two_addresses(
    network: Network, web: Member, join: Join, lan: tuple[str, str]
) -> None:
    other = join("other")
    firewall.publish(network, web.address, (Port(80, 47082, "127.0.0.1"),))
    firewall.publish(network, other.address, (Port(80, 47082, f"{lan[1]}.1"),))
    assert call("127.0.0.1", Port(80, 47082)).startswith("web ")
    assert call(f"{lan[1]}.1", Port(80, 47082)).startswith("other ")


def test_unpublishing_ends_it_and_may_be_repeated(network: Network, web: Member) -> None:
    firewall.publish(network, web.address, (HTTP, DNS))
    assert call("127.0.0.1", HTTP).startswith("web ")
    firewall.unpublish(network, web.address, (HTTP, DNS))
    firewall.unpublish(network, web.address, (HTTP, DNS))
    for port in (HTTP, DNS):
        with pytest.raises(OSError, match="refused"):
            call("127.0.0.1", port)


def test_the_commands_for_unpublishing_can_be_run_later_by_another(network: Network, web: Member) -> None:
    firewall.publish(network, web.address, (HTTP,))
    nftables.run(firewall.unpublish_text(network.bridge, web.address, HTTP))
    with pytest.raises(OSError, match="refused"):
        call("127.0.0.1", HTTP)


def test_a_port_that_was_left_behind_is_taken_over_and_not_unpublished_by_the_old_one(
    network: Network, web: Member, join: Join
) -> None:
    other = join("other")
    firewall.publish(network, web.address, (HTTP,))
    firewall.publish(network, other.address, (DNS, HTTP))
    assert call("127.0.0.1", HTTP).startswith("other ")
    firewall.unpublish(network, web.address, (HTTP,))
    assert call("127.0.0.1", HTTP).startswith("other ")


def inside(member: Member, *command: str) -> None:
    """Run a program in a container's network namespace."""
    subprocess.run(["nsenter", "-t", str(member.process.pid), "-n", *command], check=True)


def reaches(caller: Member, server: socket.socket) -> str:
    """The address that a listener of the host is called from; empty when the call does not get through."""
    server.settimeout(0.1)
    caller.call(*server.getsockname())
    try:
        connection, peer = server.accept()
    except TimeoutError:
        return ""
    connection.close()
    return str(peer[0])


def test_what_the_host_keeps_on_loopback_is_out_of_reach(network: Network, web: Member) -> None:
    """With route_localnet on the bridge, a container may send 127.0.0.1 to its gateway: CVE-2020-8558."""
    inside(web, "sysctl", "-qw", "net.ipv4.conf.all.route_localnet=1")
    inside(web, "ip", "address", "del", "127.0.0.1/8", "dev", "lo")
    inside(web, "ip", "route", "add", "127.0.0.1", "via", network.gateway)
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert reaches(web, server) == ""
        nftables.run(f"flush chain ip {network.bridge} guard")
        assert reaches(web, server) == web.address  # so it was the guard that held


def test_a_source_that_is_not_of_the_subnet_is_dropped(network: Network, web: Member) -> None:
    forged = "198.51.100.7"
    inside(web, "ip", "address", "add", f"{forged}/32", "dev", "eth0")
    inside(web, "ip", "route", "add", f"{network.gateway}/32", "dev", "eth0", "src", forged)
    subprocess.run(["ip", "route", "add", f"{forged}/32", "dev", network.bridge], check=True)
    with socket.create_server((network.gateway, 0)) as server:
        assert reaches(web, server) == ""
        nftables.run(f"flush chain ip {network.bridge} guard")
        assert reaches(web, server) == forged  # so it was the guard that held


def test_rules_that_another_program_flushed_are_made_again_with_what_was_published(
    network: Network, web: Member, neighbour: Member, lan: tuple[str, str]
) -> None:
    published = (PublishedPort(web.address, HTTP),)
    firewall.publish(network, web.address, (HTTP,))
    for damage in (f"delete table ip {network.bridge}", f"flush table ip {network.bridge}"):
        nftables.run(damage)
        assert not firewall.is_intact(network)
        bridge.ensure(network, published)
        assert firewall.is_intact(network)
        assert call("127.0.0.1", HTTP).startswith("web ")
        assert neighbour.call(f"{lan[1]}.1", HTTP.host_port).startswith("web ")
        assert neighbour.call(web.address, 80).startswith("failed")


def test_a_connection_outlives_the_table_being_made_again(network: Network, web: Member) -> None:
    firewall.publish(network, web.address, (HTTP,))
    with socket.create_connection(("127.0.0.1", HTTP.host_port), timeout=2.0) as sock:
        firewall.ensure(network, (PublishedPort(web.address, HTTP),))
        assert sock.recv(100).startswith(b"web ")
